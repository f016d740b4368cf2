// The filters beside the results: a price range, and one group of checkboxes for each field with counts.

import { el, langOf, refill } from './dom.js';
import { facetValue, fieldLabel, number } from './format.js';
import { filterText } from './chips.js';
import { fieldOf, hasPrice, makeState, readRange } from './state.js';

const SHORT = 6;
const OWN_CONTROLS = new Set(['price', 'currency']);
const unfolded = new Set();

/** Show the facets of a response. `go(state)` is called with the state a change leads to. */
export function showFacets(box, state, response, t, go, close) {
  const price = response.facet_counts.find((facet) => facet.field === 'price');
  const groups = response.facet_counts
    .filter((facet) => !OWN_CONTROLS.has(facet.field))
    .map((facet) => facetGroup(facet, state, response, t, go));
  const range = (price?.stats.length || hasPrice(state)) && priceRange(price?.stats ?? [], state, t, go);
  const parts = [range, ...groups].filter(Boolean);
  const done = el('button', { type: 'button', class: 'go filters-done', text: t.done, on: { click: close } });
  refill(box, parts, parts.length > 0 && done);
  box.hidden = parts.length === 0;
}

function facetGroup(facet, state, response, t, go) {
  const chosen = state.filters.filter((filter) => fieldOf(filter) === facet.field || facet.counts.some((count) => count.filter === filter));
  const listed = new Set(facet.counts.map((count) => count.filter));
  const unlisted = chosen.filter((filter) => !listed.has(filter)).map((filter) => ({ filter, value: filterText(filter, response, t), count: null }));
  const rows = [...unlisted, ...facet.counts];
  if (!rows.length) return null;
  const labels = rows.map((row) => checkbox(row, facet.field, state, t, go));
  const spare = rows.length > SHORT + 1 ? labels.filter((_, i) => i >= SHORT && !chosen.includes(rows[i].filter)) : [];
  return el('fieldset', { class: 'facet' }, el('legend', { text: fieldLabel(facet.field, t) }), labels, spare.length > 0 && foldButton(facet.field, spare, t));
}

/** Return the button that shows and hides the `spare` values; what was unfolded stays so over the next answers. */
function foldButton(field, spare, t) {
  const button = el('button', { type: 'button', class: 'link', 'data-key': `fold-${field}` });
  const show = () => {
    const open = unfolded.has(field);
    for (const label of spare) label.hidden = !open;
    button.setAttribute('aria-expanded', String(open));
    button.textContent = open ? t.fewer : t.more(spare.length);
  };
  button.addEventListener('click', () => { if (!unfolded.delete(field)) unfolded.add(field); show(); });
  show();
  return button;
}

function checkbox({ filter, value, count }, field, state, t, go) {
  const checked = state.filters.includes(filter);
  const filters = checked ? state.filters.filter((other) => other !== filter) : [...state.filters, filter];
  const text = facetValue(field, value, t);
  const input = el('input', { type: 'checkbox', 'data-key': `facet-${filter}`, on: { change: () => go(makeState({ filters }, state)) } });
  input.checked = checked;
  return el('label', { class: 'choice' }, input, el('span', { class: 'choice-text', lang: langOf(text), text }),
    count !== null && el('span', { class: 'choice-count' }, el('span', { 'aria-hidden': 'true', text: number(count, t.lang) }), el('span', { class: 'sr', text: t.withCount(count) })));
}

function priceRange(stats, state, t, go) {
  const byCount = [...stats].sort((a, b) => b.count - a.count || (a.unit < b.unit ? -1 : 1));
  const units = [...new Set([...byCount.map((s) => s.unit), state.currency].filter(Boolean))];
  const unit = state.currency || (hasPrice(state) && units.length > 1 ? '' : units[0] ?? '');
  const min = amountBox('min', t.priceFrom, state.min);
  const max = amountBox('max', t.priceTo, state.max);
  const select = units.length > 1 && el('select', { id: 'price-currency', 'data-key': 'price-currency', 'aria-label': t.currency },
    units.map((u) => el('option', { value: u, text: u })), el('option', { value: '', text: t.anyCurrency }));
  const hint = () => {
    const known = stats.find((s) => s.unit === (select ? select.value : unit));
    min.input.placeholder = known ? String(Math.floor(known.min)) : '';
    max.input.placeholder = known ? String(Math.ceil(known.max)) : '';
  };
  if (select) { select.value = unit; select.addEventListener('change', hint); }
  hint();
  const submit = (event) => {
    event.preventDefault();
    const [from, to] = readRange(`${min.input.value}..${max.input.value}`);
    const currency = from === '' && to === '' ? '' : select ? select.value : state.currency;
    go(makeState({ min: from, max: to, currency }, state));
  };
  return el('form', { class: 'price-form', novalidate: true, on: { submit } }, el('fieldset', { class: 'facet' },
    el('legend', {}, t.fields.price, !select && unit && el('span', { class: 'unit', text: ` ${unit}` })),
    el('div', { class: 'range' }, min.label, el('span', { class: 'dash', 'aria-hidden': 'true', text: '–' }), max.label),
    el('div', { class: 'range-end' }, select, el('button', { type: 'submit', class: 'outline', 'data-key': 'price-apply', text: t.apply }))));
}

function amountBox(name, text, value) {
  const input = el('input', { id: `price-${name}`, 'data-key': `price-${name}`, type: 'text', inputmode: 'decimal', autocomplete: 'off', value });
  return { input, label: el('label', { class: 'amount' }, el('span', { text }), input) };
}
