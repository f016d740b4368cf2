// Turns values of products into text for people, in the page's language.

const ZERO_DECIMALS = new Set('JPY KRW VND CLP ISK XAF XOF PYG UGX RWF'.split(' '));
const THREE_DECIMALS = new Set('BHD IQD JOD KWD LYD OMR TND'.split(' '));

/** Return how many decimals the minor unit of a currency stands for; the same table as the server's. */
export function decimals(currency) {
  return ZERO_DECIMALS.has(currency) ? 0 : THREE_DECIMALS.has(currency) ? 3 : 2;
}

/** Return `{amount, currency}` in minor units as a price: `{amount: 49900, currency: 'CNY'}` is `¥499.00` in Chinese. */
export function money({ amount, currency }, lang) {
  return majorMoney(amount / 10 ** decimals(currency), currency, lang, decimals(currency));
}

/** Return an amount in major units as a price; whole amounts without decimals unless told how many. */
export function majorMoney(amount, currency, lang, digits) {
  const shown = digits ?? (Number.isInteger(amount) ? 0 : decimals(currency));
  const options = { minimumFractionDigits: shown, maximumFractionDigits: shown };
  try {
    return new Intl.NumberFormat(locale(lang), { style: 'currency', currency, ...options }).format(amount);
  } catch {
    return `${new Intl.NumberFormat(locale(lang), options).format(amount)} ${currency}`;
  }
}

export function number(value, lang) {
  const useGrouping = lang === 'zh' ? 'min2' : 'auto';
  return new Intl.NumberFormat(locale(lang), { useGrouping, maximumFractionDigits: 3 }).format(value);
}

/** Return one value of an attribute: text, number, yes or no, or `{value, unit}`. */
export function attributeValue(name, value, t) {
  if (typeof value === 'boolean') return value ? t.yes : t.no;
  if (typeof value === 'number') return number(value, t.lang);
  if (value !== null && typeof value === 'object') return `${number(value.value, t.lang)} ${value.unit}`;
  return facetValue(name, String(value), t);
}

/** Return a field's name for people; a name nobody translated loses its underscores. */
export function fieldLabel(field, t) {
  const name = field.replace(/^attributes\./, '');
  if (Object.hasOwn(t.fields, name)) return t.fields[name];
  const words = name.replaceAll('_', ' ').trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** Return a value of a field for people; the few values that feeds have a fixed list for are translated. */
export function facetValue(field, value, t) {
  const known = t.values[field.replace(/^attributes\./, '')] ?? {};
  if (Object.hasOwn(known, value)) return known[value];
  if (value === 'true') return t.yes;
  if (value === 'false') return t.no;
  return value;
}

export const locale = (lang) => (lang === 'zh' ? 'zh-CN' : 'en');
