// What the shopper asked for, as a value, and its two other forms: the page's address and the search request.
// Knows nothing of the document or of the server's answers.

const MAX_QUERY = 512;

export const SORTS = ['', 'price:asc', 'price:desc'];

const EMPTY = Object.freeze({
  q: '', page: 1, sort: '', filters: [], min: '', max: '', currency: '', similar: '', lang: '', exact: false,
});

/** Return a state: `change` over `base`. Whatever narrows or reorders leads back to the first page. */
export function makeState(change = {}, base = EMPTY) {
  const page = change.page ?? (Object.keys(change).every((key) => key === 'lang') ? base.page : 1);
  return { ...base, ...change, page };
}

/** Return the state that an address's query string describes; what makes no sense in it is left out. */
export function readState(query) {
  const given = new URLSearchParams(query);
  const [min, max] = readRange(given.get('price') ?? '');
  const sort = given.get('sort') ?? '';
  const currency = given.get('currency') ?? '';
  const page = Number.parseInt(given.get('page') ?? '1', 10);
  return makeState({
    q: cut(given.get('q') ?? ''),
    page: page >= 1 && page <= 10000 ? page : 1,
    sort: SORTS.includes(sort) ? sort : '',
    filters: [...new Set(given.getAll('f').filter((f) => fieldOf(f) !== ''))],
    min, max,
    currency: /^[A-Z]{3}$/.test(currency) ? currency : '',
    similar: given.get('similar') ?? '',
    exact: given.get('exact') === '1',
    lang: ['zh', 'en'].includes(given.get('lang')) ? given.get('lang') : '',
  });
}

/** Return the address of a state, for example `/?q=laptop&f=brand:=HP&price=50..100&currency=USD&lang=en`. */
export function writeState(state) {
  const out = new URLSearchParams();
  if (state.q) out.append('q', state.q);
  for (const filter of state.filters) out.append('f', filter);
  if (state.min !== '' || state.max !== '') out.append('price', `${state.min}..${state.max}`);
  if (state.currency) out.append('currency', state.currency);
  if (state.sort) out.append('sort', state.sort);
  if (state.page > 1) out.append('page', state.page);
  if (state.similar) out.append('similar', state.similar);
  if (state.exact) out.append('exact', '1');
  if (state.lang) out.append('lang', state.lang);
  const query = out.toString().replaceAll('%3A', ':').replace(/%3D/g, '=');
  return query ? `/?${query}` : '/';
}

/** Return the state's `filter_by`. The filters of the field `without` are left out (`price` takes the currency along). */
export function filterBy(state, without = '') {
  const byField = new Map();
  for (const filter of state.filters) {
    const field = fieldOf(filter);
    if (field !== without) byField.set(field, [...(byField.get(field) ?? []), filter]);
  }
  const parts = [...byField.values()].map((some) => (some.length === 1 ? some[0] : `(${some.join(' || ')})`));
  if (without !== 'price') {
    const { min, max } = state;
    if (min !== '' && max !== '') parts.push(`price:[${min}..${max}]`);
    else if (min !== '') parts.push(`price:>=${min}`);
    else if (max !== '') parts.push(`price:<=${max}`);
    if (state.currency) parts.push(`currency:=${state.currency}`);
  }
  return parts.join(' && ');
}

/** Return the fields that something was chosen of. */
export function chosenFields(state) {
  const fields = new Set(state.filters.map(fieldOf));
  if (hasPrice(state)) fields.add('price');
  return [...fields];
}

export const hasPrice = (state) => state.min !== '' || state.max !== '' || state.currency !== '';

export const isStart = (state) => !state.q && !state.similar && !state.filters.length && !hasPrice(state) && state.page === 1;

/** Return the field of a filter expression: what stands before its colon. */
export function fieldOf(filter) {
  const found = /^\s*(?:`([^`]+)`|([^:`]+?))\s*:/.exec(filter);
  return found ? found[1] ?? found[2] : '';
}

/** Return a filter's value as one would read it, for when the server's own name of it is not at hand. */
export function valueOf(filter) {
  return filter.slice(filter.indexOf(':') + 1).replace(/^\s*=?\s*/, '').replace(/[`[\]]/g, '').replace('..', ' – ').trim();
}

/** Return `min` and `max` as plain numbers in order, '' where there is none. */
export function readRange(text) {
  const [min = '', max = ''] = text.split('..').map(amount);
  return min !== '' && max !== '' && Number(min) > Number(max) ? [max, min] : [min, max];
}

function amount(text) {
  const trimmed = text.trim();
  return /^\d{1,12}(\.\d{1,3})?$/.test(trimmed) ? String(Number(trimmed)) : '';
}

/** Return `q` without the spans, offsets in code points, and without the space and commas left around the gap. */
export function cutSpans(q, spans) {
  const points = Array.from(q);
  for (const { start, end } of [...spans].sort((a, b) => b.start - a.start)) points.splice(start, end - start, ' ');
  const edge = /^[\s,，、;；]+|[\s,，、;；]+$/g;
  return points.join('').replace(/\s+/g, ' ').replace(/ ([,，、;；])/g, '$1').replace(edge, '');
}

function cut(q) {
  return Array.from(q).slice(0, MAX_QUERY).join('');
}
