// What narrows the result: read out of the query, or chosen. Each as a condition with the state that drops it.

import { el, langOf, refill } from './dom.js';
import { facetValue, fieldLabel, majorMoney, number } from './format.js';
import { cutSpans, fieldOf, hasPrice, makeState, valueOf } from './state.js';

/** Return what was understood that changes the result: not the thing itself, nor wishes that no field can answer. */
export function kept(response) {
  return response.applied.understood.filter((part) => part.kind !== 'object' && part.kind !== 'for' && (part.kind !== 'attribute' || part.terms.length));
}

/** Return `[{label, text, without}]`: every condition in force, and the state in which it is not. */
export function conditions(state, response, t) {
  const out = kept(response).map((part) => ({
    label: t.understood[part.kind] ?? fieldLabel(part.field, t), text: part.text, read: true, without: makeState({ q: cutSpans(state.q, [part]) }, state),
  }));
  for (const filter of state.filters) {
    const field = fieldOf(filter);
    out.push({ label: fieldLabel(field, t), text: filterText(filter, response, t), without: makeState({ filters: state.filters.filter((other) => other !== filter) }, state) });
  }
  if (hasPrice(state)) out.push({ label: t.fields.price, text: priceText(state, t), without: makeState({ min: '', max: '', currency: '' }, state) });
  return out;
}

/** Show the conditions as chips that can be removed, and the codes that were recognised. */
export function showChips(box, state, response, t, go) {
  const all = conditions(state, response, t);
  const chips = all.map(({ label, text, read, without }, i) => el('li', {}, el('button', {
    type: 'button', class: read ? 'chip chip-read' : 'chip', 'data-key': `chip-${i}`, 'aria-label': t.remove(`${label} ${text}`), on: { click: () => go(without) },
  }, el('span', { class: 'chip-label', text: label }), el('span', { lang: langOf(text), text }))));
  const codes = response.applied.codes.map((code) => el('li', { class: 'chip chip-fixed' }, el('span', { class: 'chip-label', text: t.code }), el('span', { text: code })));
  if (!chips.length && !codes.length) return refill(box);
  const plain = makeState({ q: cutSpans(state.q, kept(response)), filters: [], min: '', max: '', currency: '' }, state);
  const clear = all.length > 1 && el('li', {}, el('button', { type: 'button', class: 'link', 'data-key': 'clear-all', text: t.clearAll, on: { click: () => go(plain) } }));
  refill(box, el('ul', { class: 'chips', 'aria-label': t.applied }, codes, chips, clear));
}

/** Return a filter's value as the facets call it, or as it is written where they do not list it. */
export function filterText(filter, response, t) {
  const field = fieldOf(filter);
  const known = response.facet_counts.flatMap((facet) => facet.counts).find((count) => count.filter === filter);
  return facetValue(field, known ? known.value : valueOf(filter), t);
}

function priceText({ min, max, currency }, t) {
  const show = (value) => (currency ? majorMoney(Number(value), currency, t.lang) : number(Number(value), t.lang));
  if (min !== '' && max !== '') return t.between(show(min), show(max));
  if (min !== '') return t.atLeast(show(min));
  return max !== '' ? t.atMost(show(max)) : currency;
}
