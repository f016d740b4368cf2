// Who this browser is to the shop, and only if its shopper wants that: a random id, kept here, sent while personal results are on.

import { erasePerson, postEvent, putPerson } from './client.js';

const KEY = 'daogou-me';

const read = () => { try { return localStorage.getItem(KEY) ?? ''; } catch { return ''; } };

/** Return whether personal results are on. */
export const isOn = () => read() !== '';

/** Return what a request says of who asks: nothing while personal results are off. */
export function who() {
  const id = read();
  return id ? { client_id: id } : {};
}

/** Draw an id, let the shop know that it may remember, and keep the id. */
export async function turnOn() {
  const id = crypto.randomUUID();
  await putPerson(id, { consent: { personalisation: true } });
  localStorage.setItem(KEY, id);
}

/** Have the shop forget everything of this browser, then forget the id. */
export async function turnOff() {
  const id = read();
  if (id) await erasePerson(id);
  localStorage.removeItem(KEY);
}

/** Tell the shop that a product was looked at; what the shopper does next does not wait for it. */
export function looked(product, place, queryId) {
  if (!isOn()) return;
  const seen = { object: { object_id: product.id }, ...(place > 0 && { position: { ordinal: place } }) };
  postEvent({ action_name: 'click', ...who(), ...(queryId && { query_id: queryId }), event_attributes: seen }).catch(() => {});
}
