// The search page, start to finish: the address says what is asked, one request answers, the parts show it.
// Read this first; each part it calls takes values and fills one box of the document.

import { Problem, search, similar } from './client.js';
import { el } from './dom.js';
import { number } from './format.js';
import { makeGuide } from './guide.js';
import { isOn, turnOff, turnOn, who } from './me.js';
import { makeCard, makeSkeleton } from './card.js';
import { showChips } from './chips.js';
import { showFacets } from './facets.js';
import { nothingFound, welcome } from './help.js';
import { pageLinks } from './pages.js';
import { makeSearchBox } from './searchbox.js';
import { chosenFields, filterBy, isStart, makeState, readState, SORTS, writeState } from './state.js';
import { firstLanguage, rememberLanguage, STRINGS, translate } from './strings.js';

const PER_PAGE = 12;
const SKELETON_AFTER_MS = 180;
const SKELETONS = 5;

const BOXES = ['layout', 'filters', 'main', 'intro', 'toolbar', 'count', 'sort', 'chips', 'banner', 'results', 'pages'];
const at = Object.fromEntries(BOXES.map((id) => [id, document.getElementById(id)]));
const openFilters = document.getElementById('open-filters');
const personal = document.getElementById('personal');
const searchBox = makeSearchBox(onSearch);
const guide = makeGuide();

let state = readState(location.search);
let t = STRINGS[firstLanguage(state.lang)];
let similarTitle = history.state?.title ?? '';
let pending = new AbortController();
let last = null; // {state, response, catalogue} of the list that is shown

/** Ask for what `state` describes and show the answer; a newer question silences this one. */
async function load() {
  pending.abort();
  const mine = (pending = new AbortController());
  const asked = state;
  at.banner.replaceChildren();
  at.results.setAttribute('aria-busy', 'true');
  const timer = setTimeout(showSkeletons, last ? SKELETON_AFTER_MS : 0);
  try {
    const answer = await fetchAnswer(asked, mine.signal);
    if (mine.signal.aborted) return;
    last = { state: asked, ...answer };
    show();
  } catch (error) {
    if (!mine.signal.aborted) showProblem(error);
  } finally {
    clearTimeout(timer);
    if (!mine.signal.aborted) at.results.setAttribute('aria-busy', 'false');
  }
}

async function fetchAnswer(asked, signal) {
  if (asked.similar) return { response: await similar(asked.similar, PER_PAGE, signal), catalogue: null };
  const base = { q: asked.q, facet_by: '*', sort_by: asked.sort, correct: !asked.exact };
  // Values beside a chosen one are counted as if nothing of their field were chosen, so that a second can be added.
  const side = (field) => search({ ...base, facet_by: field, filter_by: filterBy(asked, field), per_page: 0 }, signal).catch(() => null);
  const [response, ...beside] = await Promise.all([
    search({ ...base, filter_by: filterBy(asked), page: asked.page, per_page: PER_PAGE, ...who() }, signal),
    ...chosenFields(asked).map(side),
  ]);
  const facets = new Map(response.facet_counts.map((facet) => [facet.field, facet]));
  for (const facet of beside.flatMap((answer) => answer?.facet_counts ?? [])) facets.set(facet.field, facet);
  const catalogue = response.found === 0 && !isStart(asked)
    ? await search({ facet_by: 'category', per_page: 0 }, signal).catch(() => null) : null;
  return { response: { ...response, facet_counts: [...facets.values()] }, catalogue };
}

function show() {
  const { state: shown, response, catalogue } = last;
  const found = response.found ?? response.hits.length;
  const listing = !shown.similar;
  at.count.textContent = t.count(found, number(found, t.lang), response.found_relation === 'gte');
  at.toolbar.hidden = false;
  at.toolbar.classList.toggle('no-list', !listing || found === 0);
  at.intro.className = isStart(shown) ? 'intro intro-start' : 'intro';
  at.intro.replaceChildren(...heading(shown, response, found));
  if (listing) {
    if (found > 0) showChips(at.chips, shown, response, t, go);
    else at.chips.replaceChildren(); // the help names every condition
    showFacets(at.filters, shown, response, t, go, () => toggleFilters(false));
  } else {
    at.chips.replaceChildren();
    at.filters.hidden = true;
  }
  at.layout.classList.toggle('no-filters', at.filters.hidden);
  const chosen = shown.filters.length + Number(chosenFields(shown).includes('price'));
  openFilters.textContent = t.showFilters(chosen);
  openFilters.hidden = at.filters.hidden;
  showSorts(shown);
  showPersonal();
  showResults(shown, response, found, catalogue);
  const links = listing && pageLinks(shown, response, t);
  at.pages.replaceChildren(...(links ? [links] : []));
  document.title = [shown.similar ? t.similarProducts : shown.q, shown.page > 1 && t.page(shown.page), 'daogou'].filter(Boolean).join(' · ');
}

function heading(shown, response, found) {
  if (isStart(shown)) return welcome(response, shown, t);
  if (shown.similar) {
    const back = el('a', { class: 'back', href: writeState(makeState({ similar: '' }, shown)), 'data-nav': true, text: t.back });
    return [back, el('h1', { text: similarTitle ? t.similarTo(similarTitle) : t.similarProducts })];
  }
  const title = found === 0 ? (shown.q ? t.zero(shown.q) : t.zeroNoQuery) : (shown.q ? t.resultsFor(shown.q) : t.matching);
  const own = response.applied?.personal;
  const note = own && el('p', { class: 'corrected personal-note', text: t.personalNote(own.events) });
  return [el('h1', { text: title }), ...corrections(shown, response), ...(note ? [note] : [])];
}

/** Return what was searched for beside words no product has, and the way back to the words as typed. */
function corrections(shown, response) {
  const fixed = response.applied?.corrected ?? [];
  if (!fixed.length) return [];
  const said = t.corrected(fixed.map((c) => c.replacement).join(' '));
  const undo = el('a', { href: writeState(makeState({ exact: true }, shown)), 'data-nav': true, text: t.exactly(fixed.map((c) => c.text).join(' ')) });
  return [el('p', { class: 'corrected' }, el('span', { text: said }), ' ', undo)];
}

function showResults(shown, response, found, catalogue) {
  const title = el('h2', { class: isStart(shown) ? 'list-title' : 'sr', text: isStart(shown) ? t.allProducts : t.matching });
  if (response.hits.length) {
    const first = (shown.page - 1) * PER_PAGE + 1;
    const cards = response.hits.map((hit, i) => makeCard(hit, i, shown, t, { place: shown.similar ? 0 : first + i, queryId: response.query_id }));
    at.results.replaceChildren(title, el('ol', { class: 'cards' }, cards));
  } else if (found === 0 && !shown.similar && !isStart(shown)) {
    const near = (response.nearest ?? []).map((hit, i) => makeCard(hit, i, shown, t));
    const nearest = near.length && [el('h2', { class: 'list-title', text: t.nearest }), el('ol', { class: 'cards' }, near)];
    at.results.replaceChildren(...(nearest || []), el('div', { class: 'help' }, nothingFound(response, catalogue, shown, t, go)));
  } else if (found > 0) {
    const first = el('a', { href: writeState(makeState({ page: 1 }, shown)), 'data-nav': true, text: t.firstPage });
    at.results.replaceChildren(el('p', { class: 'note' }, `${t.pastEnd} `, first));
  } else at.results.replaceChildren();
}

/** Show the switch of personal results as it stands. */
function showPersonal() {
  personal.textContent = isOn() ? t.personalOn : t.personalOff;
  personal.setAttribute('aria-pressed', String(isOn()));
  personal.title = isOn() ? t.personalForget : t.personalAsk;
}

async function switchPersonal() {
  personal.disabled = true;
  try {
    await (isOn() ? turnOff() : turnOn());
    await load();
  } catch (error) {
    showProblem(error);
  } finally {
    personal.disabled = false;
  }
}

function showSorts(shown) {
  at.sort.replaceChildren(...SORTS.map((sort) => el('option', { value: sort, text: t.sorts[sort] })));
  at.sort.value = shown.sort;
}

function showSkeletons() {
  at.results.replaceChildren(el('ol', { class: 'cards', 'aria-hidden': 'true' }, Array.from({ length: SKELETONS }, makeSkeleton)));
  at.count.textContent = t.loading;
  at.pages.replaceChildren();
}

function showProblem(error) {
  if (!(error instanceof Problem)) console.error(error);
  const retry = el('button', { type: 'button', class: 'outline', text: t.retry, on: { click: () => { at.main.focus({ preventScroll: true }); load(); } } });
  at.count.textContent = '';
  at.results.replaceChildren();
  at.pages.replaceChildren();
  at.banner.replaceChildren(el('div', { class: 'problem' },
    el('div', {}, el('p', { class: 'problem-title', text: t.failed }), el('p', { text: error.detail || error.title || t.unreachable })), retry));
}

/** Go to a new state: the address follows, and the answer is fetched. */
function go(next, { title = '', toTop = false } = {}) {
  similarTitle = title;
  state = makeState({ lang: t.lang, page: next.page }, next);
  const address = writeState(state);
  if (address !== location.pathname + location.search) history.pushState({ title }, '', address);
  searchBox.show(state.q);
  if (toTop) { scrollTo({ top: 0 }); at.main.focus({ preventScroll: true }); }
  load();
}

function onSearch(q) {
  toggleFilters(false);
  // Another question starts without the filters of the last one.
  go(q === state.q && !state.similar ? state : makeState({ q, lang: state.lang }));
}

function toggleFilters(open) {
  at.filters.classList.toggle('open', open);
  openFilters.setAttribute('aria-expanded', String(open));
  if (!open && at.filters.contains(document.activeElement)) openFilters.focus();
}

function setLanguage(lang, remember) {
  t = STRINGS[lang];
  state = makeState({ lang }, state);
  if (last) last.state = makeState({ lang }, last.state);
  if (remember) { rememberLanguage(lang); history.replaceState(history.state, '', writeState(state)); }
  translate(t);
  searchBox.translate(t);
  guide.translate(t);
  openFilters.textContent = t.showFilters(0);
  if (last) show();
}

document.addEventListener('click', (event) => {
  const link = event.target.closest?.('a[data-nav]');
  if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  go(readState(new URL(link.href).search), { title: link.dataset.title ?? '', toTop: true });
});
addEventListener('popstate', (event) => {
  // The language stays as it is now, whatever it was when this entry was made.
  state = makeState({ lang: t.lang }, readState(location.search));
  similarTitle = event.state?.title ?? '';
  history.replaceState(history.state, '', writeState(state));
  searchBox.show(state.q);
  load();
});
for (const button of document.querySelectorAll('[data-lang]')) button.addEventListener('click', () => setLanguage(button.dataset.lang, true));
at.sort.addEventListener('change', () => go(makeState({ sort: at.sort.value }, state)));
personal.addEventListener('click', switchPersonal);
openFilters.addEventListener('click', () => toggleFilters(openFilters.getAttribute('aria-expanded') !== 'true'));

setLanguage(t.lang, false);
searchBox.show(state.q);
load();
