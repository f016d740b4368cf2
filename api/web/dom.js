// Makes elements. All text goes through textContent; nothing here, or anywhere on the page, parses markup.

/** Return a new element. `class`, `text` and `on` are special, `true` is an empty attribute, false and null are none. */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === 'text') node.textContent = value;
    else if (name === 'on') for (const [event, handler] of Object.entries(value)) node.addEventListener(event, handler);
    else node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Replace what is in `box`, and put the focus back on the element with the same `data-key` if it had it. */
export function refill(box, ...children) {
  const key = box.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  box.replaceChildren(...children.flat().filter(Boolean));
  if (key === undefined) return;
  for (const node of box.querySelectorAll('[data-key]')) {
    if (node.dataset.key === key) return node.focus({ preventScroll: true });
  }
}

/** Return the `lang` attribute for text of a shop, where it is not the page's language; screen readers and fonts use it. */
export function langOf(text) {
  const page = document.documentElement.lang;
  const own = /[\u3040-\u30ff]/.test(text) ? 'ja' : /\p{Script=Han}/u.test(text) ? 'zh-CN' : /[a-z]{2}/i.test(text) ? 'en' : page;
  return own === page ? null : own;
}

/** Return `snippet` as nodes with the spans marked. Offsets count code points, as Python does, not UTF-16 units. */
export function marked(snippet, spans) {
  const points = Array.from(snippet);
  const nodes = [];
  let at = 0;
  for (const [from, to] of [...spans].sort((a, b) => a[0] - b[0])) {
    const start = Math.max(at, from);
    const end = Math.min(points.length, to);
    if (end <= start) continue;
    if (start > at) nodes.push(points.slice(at, start).join(''));
    nodes.push(el('mark', { text: points.slice(start, end).join('') }));
    at = end;
  }
  if (at < points.length) nodes.push(points.slice(at).join(''));
  return nodes;
}

/** Return the address if a browser may follow it from a product, else null: `javascript:` and its like are not followed. */
export function safeLink(address) {
  if (!address) return null;
  try {
    const url = new URL(address, location.href);
    return ['http:', 'https:'].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

/** Return the address if the content-security policy lets a picture come from there, else null. */
export function safeImage(address) {
  if (!address) return null;
  try {
    const url = new URL(address, location.href);
    return url.protocol === 'https:' || url.origin === location.origin || /^data:image\//i.test(url.href) ? url.href : null;
  } catch {
    return null;
  }
}
