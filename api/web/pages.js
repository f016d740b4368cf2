// The links to the other pages of a result.

import { el } from './dom.js';
import { makeState, writeState } from './state.js';

const LAST_ALLOWED = 10000;

/** Return the navigation, or null where one page is all. */
export function pageLinks(state, response, t) {
  const last = Math.min(LAST_ALLOWED, Math.ceil(response.found / (response.per_page || 1)));
  if (last <= 1) return null;
  const now = state.page;
  const link = (page, text, props = {}) => el('a', { href: writeState(makeState({ page }, state)), 'data-nav': true, class: 'page', text, ...props });
  return el('nav', { class: 'pages', 'aria-label': t.pages },
    now > 1 && link(now - 1, t.previous, { rel: 'prev', class: 'page page-step' }),
    el('ol', {}, numbers(now, last).map((page) => el('li', {}, page === null
      ? el('span', { class: 'gap', 'aria-hidden': 'true', text: '…' })
      : link(page, String(page), { 'aria-label': t.page(page), 'aria-current': page === now ? 'page' : null })))),
    now < last && link(now + 1, t.next, { rel: 'next', class: 'page page-step' }));
}

/** Return the pages to name: the first, the last, those around this one; null is a gap. */
export function numbers(now, last) {
  const near = [1, now - 1, now, now + 1, last].filter((page) => page >= 1 && page <= last);
  const pages = [...new Set(near)].sort((a, b) => a - b);
  return pages.flatMap((page, i) => (i && page - pages[i - 1] > 1 ? [page - pages[i - 1] === 2 ? page - 1 : null, page] : [page]));
}
