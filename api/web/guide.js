// The guide: a panel in which a conversation narrows what is wanted. The page keeps its state and sends it with every turn.

import { guide, Problem } from './client.js';
import { el, langOf, safeLink } from './dom.js';
import { fieldLabel, money } from './format.js';
import { who } from './me.js';
import { claimEntry } from './why.js';

const EMPTY = Object.freeze({ language: '', pieces: [], asked: [], shown: [], page: 1, turns: 0 });

/** Return what opens the panel and keeps its words in the page's language: `{translate}`. */
export function makeGuide() {
  const panel = document.getElementById('guide');
  const opener = document.getElementById('open-guide');
  const log = el('div', { class: 'guide-log', role: 'log', 'aria-live': 'polite', tabindex: '0' });
  const need = el('ul', { class: 'guide-need' });
  const input = el('input', { type: 'text', maxlength: '512', autocomplete: 'off', enterkeyhint: 'send' });
  const send = el('button', { type: 'submit', class: 'go' });
  const title = el('h2', { id: 'guide-title' });
  const again = el('button', { type: 'button', class: 'quiet', on: { click: restart } });
  const close = el('button', { type: 'button', class: 'quiet', on: { click: () => panel.close() } });
  const form = el('form', { class: 'guide-form', on: { submit: onSubmit } }, input, send);
  panel.replaceChildren(el('header', { class: 'guide-head' }, title, again, close), need, log, form);

  let t = null;
  let state = EMPTY;
  let pending = new AbortController();

  opener.addEventListener('click', () => {
    panel.showModal();
    if (!log.children.length) say(t.guideHello);
    input.focus();
  });

  function onSubmit(event) {
    event.preventDefault();
    const text = input.value.trim();
    if (!text) return;
    input.value = '';
    turn({ text }, text);
  }

  function restart() {
    pending.abort();
    state = EMPTY;
    log.replaceChildren();
    showNeed();
    say(t.guideHello);
    input.focus();
  }

  /** Send a turn, show what the shopper said, then the answer. */
  async function turn(what, shown) {
    pending.abort();
    const mine = (pending = new AbortController());
    for (const button of log.querySelectorAll('.guide-choices button')) button.disabled = true;
    if (shown) log.append(el('p', { class: 'guide-mine', lang: langOf(shown), text: shown }));
    const wait = log.appendChild(el('p', { class: 'guide-wait', text: t.loading }));
    toEnd();
    try {
      const reply = await guide({ state, ...who(), ...what }, mine.signal);
      if (mine.signal.aborted) return;
      state = reply.state;
      wait.remove();
      showReply(reply);
    } catch (error) {
      wait.remove();
      if (mine.signal.aborted) return;
      if (!(error instanceof Problem)) console.error(error);
      const retry = el('button', { type: 'button', class: 'link', text: t.retry, on: { click: () => { input.focus(); turn(what, ''); } } });
      log.append(el('p', { class: 'guide-said' }, `${error.detail || t.unreachable} `, retry));
    }
    toEnd();
  }

  function showReply(reply) {
    showNeed();
    for (const sentence of reply.say) say(sentence);
    if (reply.comparison) log.append(comparison(reply));
    else if (reply.hits.length) log.append(el('ol', { class: 'guide-products' }, reply.hits.map((hit) => product(hit.document, reply.claims))));
    if (reply.question) log.append(question(reply.question));
  }

  function say(text) {
    log.append(el('p', { class: 'guide-said', lang: langOf(text), text }));
  }

  function product(item, claims) {
    const address = safeLink(item.link);
    const name = address ? el('a', { href: address, rel: 'noreferrer', text: item.title }) : item.title;
    const price = item.sale_price ?? item.price;
    const why = claims.filter((claim) => claim.product_id === item.id);
    return el('li', { class: 'guide-product' },
      el('p', { class: 'guide-name' }, el('strong', { lang: langOf(item.title) }, name), price && el('span', { class: 'guide-price', text: money(price, t.lang) })),
      el('p', { class: 'guide-why', lang: langOf(why[0]?.text ?? '') }, why.map((claim) => claim.text).join(t.lang === 'zh' ? '' : ' ')),
      why.length && el('details', {}, el('summary', { text: t.source }), el('ol', { class: 'claims' }, why.map((claim) => claimEntry(claim, t)))));
  }

  function question(asked) {
    const choices = asked.choices.map((choice) => el('button', {
      type: 'button', class: 'outline', lang: langOf(choice.label), text: `${choice.label} (${choice.count})`,
      on: { click: () => { input.focus(); turn({ choice }, choice.label); } },
    }));
    const any = el('button', { type: 'button', class: 'quiet', text: t.guideAny, on: { click: () => { input.focus(); turn({ text: t.guideAny }, t.guideAny); } } });
    return el('div', { class: 'guide-question' }, el('p', { class: 'guide-said', text: asked.text }), el('div', { class: 'guide-choices' }, choices, any));
  }

  function comparison(reply) {
    const { rows, verdicts } = reply.comparison;
    const ids = rows[0]?.cells.map((cell) => cell.product_id) ?? [];
    const titles = new Map(reply.hits.map((hit) => [hit.document.id, hit.document.title]));
    const head = el('tr', {}, el('td', {}), ids.map((id) => el('th', { scope: 'col', lang: langOf(titles.get(id) ?? id), text: titles.get(id) ?? id })));
    const body = rows.map((row) => el('tr', {}, el('th', { scope: 'row', text: row.label || fieldLabel(row.field, t) }),
      row.cells.map((cell) => el('td', { class: cell.product_id === row.best ? 'best' : null, lang: langOf(cell.value), text: cell.value || '–' }))));
    return el('div', { class: 'guide-compared', tabindex: '0', role: 'group', 'aria-label': t.guideCompared },
      rows.length ? el('table', {}, el('thead', {}, head), el('tbody', {}, body)) : el('p', { text: t.guideSame }),
      verdicts.map((claim) => el('p', { class: 'guide-why', lang: langOf(claim.text) }, el('strong', { text: titles.get(claim.product_id) ?? claim.product_id }), ' ', claim.text)));
  }

  /** Show what is known of the need; every piece can be taken away. */
  function showNeed() {
    const pieces = state.pieces.filter((piece) => piece.kind !== 'word');
    need.hidden = !pieces.length;
    need.setAttribute('aria-label', t.guideNeed);
    need.replaceChildren(...pieces.map((piece) => el('li', {}, el('button', {
      type: 'button', class: 'chip', lang: langOf(piece.text), 'aria-label': t.remove(piece.text), text: piece.text,
      on: { click: () => { state = { ...state, page: 1, pieces: state.pieces.filter((other) => other !== piece) }; input.focus(); turn({}, ''); } },
    }))));
  }

  function toEnd() {
    log.scrollTop = log.scrollHeight;
  }

  return {
    translate(words) {
      t = words;
      opener.textContent = t.guide;
      title.textContent = t.guide;
      again.textContent = t.guideAgain;
      close.textContent = t.guideClose;
      send.textContent = t.guideSend;
      input.setAttribute('aria-label', t.guideAsk);
      input.placeholder = t.guideAsk;
      showNeed();
    },
  };
}
