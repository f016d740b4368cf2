// "Why this": a button and a region in which checked sentences appear as they stream, each with the fields it cites.

import { el, langOf } from './dom.js';
import { explain, Problem } from './client.js';
import { fieldLabel } from './format.js';

/** Return `{button, region}` for a product. The explanation is asked for when first opened, and kept once complete. */
export function makeWhy(product, q, id, t) {
  const button = el('button', { type: 'button', class: 'quiet why-button', 'aria-expanded': 'false', 'aria-controls': id, text: t.why });
  const region = el('section', { id, class: 'why', 'aria-label': t.whyRegion(product.title), 'aria-live': 'polite', hidden: true });
  let complete = false;
  let reading = null;

  async function read() {
    reading?.abort();
    const mine = (reading = new AbortController());
    const claims = el('ol', { class: 'claims' });
    const wait = el('p', { class: 'why-wait', text: t.whyWait });
    region.replaceChildren(claims, wait);
    region.setAttribute('aria-busy', 'true');
    const finish = (...nodes) => { wait.remove(); region.append(...nodes); region.setAttribute('aria-busy', 'false'); };
    try {
      for await (const { event, data } of explain({ q, ids: [product.id], language: t.lang }, mine.signal)) {
        if (event === 'claim') claims.append(claimEntry(data, t));
        if (event === 'error') throw new Problem(data);
        if (event === 'done') { complete = true; finish(footnote(data, claims.children.length, t)); }
      }
      if (!complete) throw new Problem();
    } catch (error) {
      if (mine.signal.aborted) return;
      finish(el('p', { class: 'why-error' }, `${error.detail || t.brokeOff} `, el('button', { type: 'button', class: 'link', text: t.retry, on: { click: () => { button.focus(); read(); } } })));
    }
  }

  button.addEventListener('click', () => {
    const opening = region.hidden;
    region.hidden = !opening;
    button.setAttribute('aria-expanded', String(opening));
    if (opening && !complete) read();
    if (!opening) reading?.abort();
  });
  return { button, region };
}

/** Return a claim with the fields it cites. */
export function claimEntry(claim, t) {
  return el('li', { class: 'claim' },
    el('p', { text: claim.text, lang: langOf(claim.text) }),
    el('dl', { class: 'citations', 'aria-label': t.source }, claim.citations.map(({ field, value }) => el('div', { class: 'citation' },
      el('dt', { text: fieldLabel(field, t) }), el('dd', { text: value, lang: langOf(value) })))));
}

function footnote({ checked, dropped, degraded }, shown, t) {
  if (!shown) return el('p', { class: 'why-note', text: t.nothingToSay });
  return el('p', { class: 'why-note', text: `${t.checked(checked, dropped)}${degraded ? ` ${t.degraded}` : ''}` });
}
