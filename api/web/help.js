// What the page says when there is no list to show, or before there is a question: the start, and a search that found nothing.

import { el, langOf } from './dom.js';
import { conditions, kept } from './chips.js';
import { cutSpans, makeState, writeState } from './state.js';

const DEPARTMENTS = 8;
const WORDS = 6;

/** Return the start of the page: an invitation, examples, and the departments of the catalogue. */
export function welcome(response, state, t) {
  return [el('h1', { text: t.welcome }), el('p', { class: 'lead', text: t.welcomeHint }), ...examples(state, t), ...departments(response, state, t)];
}

/** Return help for a search that found nothing: what was applied, and one way out of each condition. */
export function nothingFound(response, catalogue, state, t, go) {
  const words = response.applied.q && { label: t.zeroWords, text: response.applied.q };
  const asked = [words, ...conditions(state, response, t)].filter(Boolean);
  const plain = cutSpans(state.q, kept(response));
  const fewer = fewerWords(plain, t).map((q) => navLink(q, makeState({ q }, state)));
  return [
    asked.length && group(t.zeroWhat, el('dl', { class: 'applied' }, asked.map((condition) => askedRow(condition, t, go)))),
    fewer.length && group(t.zeroFewer, row(fewer)),
    ...examples(state, t),
    ...departments(catalogue, state, t),
    el('p', {}, el('a', { href: writeState(makeState({ lang: state.lang })), 'data-nav': true, text: t.zeroStartOver })),
  ].filter(Boolean);
}

function askedRow({ label, text, without }, t, go) {
  const drop = without && el('button', { type: 'button', class: 'quiet', 'aria-label': t.zeroDropOne(`${label} ${text}`), text: t.zeroDrop, on: { click: () => go(without) } });
  return el('div', {}, el('dt', { text: label }), el('dd', { text, lang: langOf(text) }), drop && el('dd', { class: 'drop' }, drop));
}

/** Return the query with one of its words left out, for each of them. */
export function fewerWords(q, t) {
  const words = splitWords(q, t);
  if (words.length < 2 || words.length > WORDS) return [];
  const shorter = words.map((left) => words.filter((word) => word !== left).map((word) => word.gap + word.text).join('').trim());
  return [...new Set(shorter)].filter(Boolean);
}

function splitWords(q, t) {
  const out = [];
  let gap = '';
  for (const { segment, isWordLike } of new Intl.Segmenter(t.lang, { granularity: 'word' }).segment(q)) {
    if (isWordLike) out.push({ text: segment, gap });
    gap = isWordLike ? '' : gap + segment;
  }
  return out;
}

function examples(state, t) {
  const links = t.exampleQueries.map((q) => navLink(q, makeState({ q, lang: state.lang })));
  return [group(t.examples, row(links))];
}

function departments(response, state, t) {
  const counts = response?.facet_counts.find((facet) => facet.field === 'category')?.counts ?? [];
  if (!counts.length) return [];
  const links = counts.slice(0, DEPARTMENTS).map(({ value, filter }) => navLink(value, makeState({ filters: [filter], lang: state.lang })));
  return [group(t.departments, row(links))];
}

const group = (title, content) => el('section', { class: 'help-group' }, el('h2', { text: title }), content);
const row = (nodes) => el('ul', { class: 'help-row' }, nodes.map((node) => el('li', {}, node)));
const navLink = (text, state) => el('a', { class: 'pill', href: writeState(state), 'data-nav': true, lang: langOf(text), text });
