// One product in the list: picture or monogram, what matched, price, and the way to its reasons.

import { el, langOf, marked, safeImage, safeLink } from './dom.js';
import { attributeValue, facetValue, fieldLabel, money } from './format.js';
import { looked } from './me.js';
import { makeWhy } from './why.js';
import { makeState, writeState } from './state.js';

const ATTRIBUTES = 4;
const ATTRIBUTE_LENGTH = 48;
const TINTS = 5;

/** Return the list entry of a hit. `state` is what was searched for, `t` the page's words, `seen` its place and its search. */
export function makeCard(hit, index, state, t, seen = {}) {
  const { document: product, highlight } = hit;
  const look = () => looked(product, seen.place ?? 0, seen.queryId);
  const id = `product-${index}`;
  const why = state.q ? makeWhy(product, state.q, `${id}-why`, t) : null;
  why?.button.addEventListener('click', look, { once: true });
  return el('li', {}, el('article', { class: 'card', 'aria-labelledby': id },
    thumb(product),
    el('div', { class: 'card-body' },
      metaLine(product, highlight, t), title(product, highlight, id, look), because(hit), snippet(product, highlight), attributes(product, t)),
    offer(product, t),
    el('div', { class: 'card-actions' }, why?.button, similarLink(product, state, t, look)),
    why?.region));
}

/** Return what stands in for a card until its product is known. */
export function makeSkeleton() {
  const bar = (kind) => el('span', { class: `bone ${kind}` });
  return el('li', { class: 'card skeleton' }, bar('bone-thumb'), el('div', { class: 'card-body' },
    bar('bone-short'), bar('bone-title'), bar('bone-text'), bar('bone-text bone-last')));
}

function thumb(product) {
  const box = el('div', { class: 'thumb', 'aria-hidden': 'true' });
  const address = safeImage(product.image_link);
  if (!address) return monogram(box, product);
  const image = el('img', { alt: '', loading: 'lazy', decoding: 'async', referrerpolicy: 'no-referrer', on: { error: () => monogram(box, product) } });
  image.src = address;
  box.append(image);
  return box;
}

function monogram(box, product) {
  const letter = /[\p{L}\p{N}]/u.exec(product.brand || product.title)?.[0] ?? '';
  const kind = product.category?.join('/') || product.title;
  const tint = Array.from(kind).reduce((sum, c) => (sum * 31 + c.codePointAt(0)) % 9973, 7) % TINTS;
  box.classList.add('monogram', `tint-${tint}`);
  box.replaceChildren(el('span', { text: letter.toLocaleUpperCase() }));
  return box;
}

function metaLine(product, highlight, t) {
  const brand = product.brand && el('span', { class: 'brand', lang: langOf(product.brand) }, whole(product.brand, highlight.brand));
  const leaf = product.category?.at(-1);
  const parts = [brand, leaf && el('span', { lang: langOf(leaf), text: leaf })].filter(Boolean);
  return parts.length ? el('p', { class: 'meta' }, parts) : null;
}

/** Return why a hit stands where it does for this shopper, where it does for a reason. */
function because({ personal }) {
  const said = personal?.moved > 0 || personal?.because?.[0]?.signal === 'known' ? personal.because[0]?.text : '';
  return said ? el('p', { class: 'because', lang: langOf(said), text: said }) : null;
}

function title(product, highlight, id, look) {
  const address = safeLink(product.link);
  const text = whole(product.title, highlight.title);
  const lang = langOf(product.title);
  if (!address) return el('h3', { id, lang }, text);
  return el('h3', { id, lang }, el('a', { href: address, rel: 'noreferrer', on: { click: look } }, text));
}

/** Return the whole text with its marks, also where the snippet is only a piece of it. */
function whole(text, found) {
  if (!found) return text;
  const at = text.indexOf(found.snippet);
  if (at < 0) return marked(found.snippet, found.spans);
  const shift = Array.from(text.slice(0, at)).length;
  return marked(text, found.spans.map(([from, to]) => [from + shift, to + shift]));
}

function snippet(product, highlight) {
  const full = product.description ?? '';
  const found = highlight.description;
  if (!found) return full ? el('p', { class: 'snippet', lang: langOf(full), text: full.slice(0, 400) }) : null;
  const piece = found.snippet.replace(/^…|…$/g, '');
  const at = full.indexOf(piece);
  const before = at > 0 && !found.snippet.startsWith('…') ? '…' : '';
  const after = at >= 0 && at + piece.length < full.length && !found.snippet.endsWith('…') ? '…' : '';
  return el('p', { class: 'snippet', lang: langOf(found.snippet) }, before, marked(found.snippet, found.spans), after);
}

function attributes(product, t) {
  const short = Object.entries(product.attributes ?? {})
    .map(([name, values]) => [fieldLabel(name, t), values.map((value) => attributeValue(name, value, t)).join(t.lang === 'zh' ? '、' : ', ')])
    .filter(([, text]) => text && text.length <= ATTRIBUTE_LENGTH)
    .slice(0, ATTRIBUTES);
  if (!short.length) return null;
  return el('dl', { class: 'attributes' }, short.map(([name, text]) => el('div', {}, el('dt', { text: name }), el('dd', { text, lang: langOf(text) }))));
}

function offer(product, t) {
  const { price, sale_price: sale, availability } = product;
  const now = sale ?? price;
  const before = sale && price && price.amount !== sale.amount ? price : null;
  return el('div', { class: 'offer' },
    now ? el('p', { class: 'price' }, before && el('span', { class: 'sr', text: `${t.now} ` }), money(now, t.lang)) : el('p', { class: 'price none', text: t.noPrice }),
    before && el('p', { class: 'was' }, el('span', { class: 'sr', text: `${t.was} ` }), el('s', { text: money(before, t.lang) })),
    availability && el('p', { class: `stock stock-${availability}`, text: facetValue('availability', availability, t) }));
}

function similarLink(product, state, t, look) {
  const target = makeState({ similar: product.id }, state);
  return el('a', { class: 'quiet', href: writeState(target), 'data-nav': true, 'data-title': product.title, 'aria-label': t.similarName(product.title), text: t.similar, on: { click: look } });
}
