// The search box: an ARIA combobox with suggestions. Tells `onSearch(text)` what to search for, and nothing else.
// While an input method composes (pinyin half-typed), nothing is suggested, chosen or searched.

import { el, langOf, marked } from './dom.js';
import { suggest } from './client.js';

const PAUSE_MS = 140;
const LIMIT = 8;
const PROCESSED_BY_INPUT_METHOD = 229;

/** Take charge of the form `#search`. Returns `{show(text), translate(t)}`. */
export function makeSearchBox(onSearch) {
  const form = document.getElementById('search');
  const input = document.getElementById('q');
  const list = document.getElementById('suggestions');
  const clear = document.getElementById('clear');
  let t = null;
  let composing = false;
  let active = -1;
  let offered = [];
  let timer = 0;
  let pending = new AbortController();

  function close() {
    clearTimeout(timer);
    pending.abort();
    list.hidden = true;
    input.setAttribute('aria-expanded', 'false');
    activate(-1);
  }

  function activate(index) {
    active = index;
    list.querySelectorAll('[role=option]').forEach((option, i) => option.setAttribute('aria-selected', String(i === active)));
    const option = list.querySelector('[aria-selected=true]');
    if (option) {
      input.setAttribute('aria-activedescendant', option.id);
      option.scrollIntoView({ block: 'nearest' });
    } else input.removeAttribute('aria-activedescendant');
  }

  function submit(text) {
    input.value = text;
    clear.hidden = text === '';
    close();
    onSearch(text.trim());
  }

  function offer(suggestions) {
    offered = suggestions;
    list.replaceChildren(...suggestions.map(({ text, kind, spans }, i) => el('li', {
      role: 'option', id: `suggestion-${i}`, 'aria-selected': 'false', class: 'suggestion',
      on: { mousedown: (event) => event.preventDefault(), click: () => submit(text) },
    }, el('span', { class: 'suggestion-text', lang: langOf(text) }, marked(text, spans)), t.kinds[kind] && el('span', { class: 'kind', text: t.kinds[kind] }))));
    list.hidden = suggestions.length === 0;
    input.setAttribute('aria-expanded', String(!list.hidden));
    activate(-1);
  }

  function ask(pause) {
    clearTimeout(timer);
    pending.abort();
    const text = input.value.trim();
    clear.hidden = input.value === '';
    if (!text) return close();
    const mine = (pending = new AbortController());
    timer = setTimeout(async () => {
      try {
        const answer = await suggest(text, LIMIT, mine.signal);
        if (!mine.signal.aborted && document.activeElement === input) offer(answer.suggestions);
      } catch { if (!mine.signal.aborted) close(); } // without suggestions the box still searches
    }, pause);
  }

  function move(event) {
    const open = !list.hidden;
    const last = offered.length - 1;
    const steps = {
      ArrowDown: () => activate(active >= last ? -1 : active + 1),
      ArrowUp: () => activate(active < 0 ? last : active - 1),
      Home: () => activate(0),
      End: () => activate(last),
    };
    if (event.key === 'Escape') {
      if (open) close();
      else if (input.value) { input.value = ''; clear.hidden = true; }
      else return;
    } else if (event.key === 'Enter' && open && active >= 0) submit(offered[active].text);
    else if (event.key === 'ArrowDown' && !open) ask(0);
    else if (open && (event.key.startsWith('Arrow') || active >= 0) && steps[event.key]) steps[event.key]();
    else return;
    event.preventDefault();
  }

  input.addEventListener('compositionstart', () => { composing = true; close(); });
  input.addEventListener('compositionend', () => { composing = false; ask(PAUSE_MS); });
  input.addEventListener('input', (event) => { if (!composing && !event.isComposing) ask(PAUSE_MS); });
  input.addEventListener('blur', close);
  input.addEventListener('keydown', (event) => {
    if (composing || event.isComposing || event.keyCode === PROCESSED_BY_INPUT_METHOD) {
      if (event.key === 'Enter') event.preventDefault();
      return;
    }
    move(event);
  });
  clear.addEventListener('click', () => { input.value = ''; clear.hidden = true; close(); input.focus(); });
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (!composing) submit(input.value);
  });

  return {
    show(text) {
      if (composing) return;
      if (input.value.trim() !== text) input.value = text;
      clear.hidden = input.value === '';
    },
    translate(strings) {
      t = strings;
      input.placeholder = t.placeholder;
      clear.setAttribute('aria-label', t.clear);
      list.setAttribute('aria-label', t.suggestions);
      close();
    },
  };
}
