// Speaks to the API on this page's own origin. Every failure leaves here as a Problem; an abort stays an AbortError.

const PATIENCE_MS = 20000;

/** What went wrong, after RFC 9457. `status` is 0 where no answer came. */
export class Problem extends Error {
  constructor({ title = '', detail = '', status = 0 } = {}) {
    super(detail || title);
    this.title = title;
    this.detail = detail;
    this.status = status;
  }
}

/** Search; what says who asks goes in the body, never into an address. */
export async function search(parameters, signal) {
  if (!parameters.client_id) return getJson('/v1/search', parameters, signal);
  return readJson(await ask('/v1/search', { ...asJson('POST', parameters), signal: patient(signal) }));
}

export function suggest(q, limit, signal) {
  return getJson('/v1/suggest', { q, limit }, signal);
}

export function similar(id, k, signal) {
  return getJson(`/v1/similar/${encodeURIComponent(id)}`, { k }, signal);
}

/** Return the guide's turn. */
export async function guide(request, signal) {
  return readJson(await ask('/v1/guide', { ...asJson('POST', request), signal: patient(signal) }));
}

/** Keep what somebody allows or likes. */
export function putPerson(id, change) {
  return ask(`/v1/users/${encodeURIComponent(id)}`, asJson('PUT', change));
}

/** Have everything of somebody erased. */
export function erasePerson(id) {
  return ask(`/v1/users/${encodeURIComponent(id)}`, { method: 'DELETE' });
}

/** Send an event, also where the page is being left. */
export function postEvent(event) {
  return ask('/v1/events', { ...asJson('POST', event), keepalive: true });
}

const patient = (signal) => AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]);

const asJson = (method, body) => ({ method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });

/** Yield `{event, data}` of an explanation as they arrive. */
export async function* explain(request, signal) {
  const response = await ask('/v1/explain', {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
    body: JSON.stringify(request),
    signal,
  });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let pending = '';
  for (;;) {
    const { done, value } = await reader.read().catch((error) => { throw asProblem(error); });
    if (done) return;
    // A lone CR at the end of a piece may be half of CRLF; it waits for the next piece.
    const text = pending + value;
    const held = text.endsWith('\r') ? '\r' : '';
    const blocks = text.slice(0, text.length - held.length).replace(/\r\n?/g, '\n').split('\n\n');
    pending = blocks.pop() + held;
    for (const block of blocks) {
      const event = readEvent(block);
      if (event) yield event;
    }
  }
}

function readEvent(block) {
  let event = 'message';
  const data = [];
  for (const line of block.split('\n')) {
    const found = /^(\w+):? ?(.*)$/.exec(line);
    if (found?.[1] === 'event') event = found[2];
    if (found?.[1] === 'data') data.push(found[2]);
  }
  if (!data.length) return null;
  try {
    return { event, data: JSON.parse(data.join('\n')) };
  } catch {
    throw new Problem({ status: 200 });
  }
}

async function getJson(path, parameters, signal) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== ''));
  return readJson(await ask(`${path}?${query}`, { signal: patient(signal) }));
}

async function readJson(response) {
  try {
    return await response.json();
  } catch (error) {
    throw asProblem(error);
  }
}

async function ask(address, init) {
  let response;
  try {
    response = await fetch(address, init);
  } catch (error) {
    throw asProblem(error);
  }
  if (response.ok) return response;
  const body = await response.json().catch(() => ({}));
  throw new Problem({ title: body.title || response.statusText, detail: body.detail, status: response.status });
}

function asProblem(error) {
  return error.name === 'AbortError' ? error : new Problem();
}
