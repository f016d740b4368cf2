"""Read every number out of a folded text, with its unit, its currency and the word that bounds it.

In: text as :func:`engine.numerals.fold` writes it. Out: :class:`Number` records by place, ranges and
dimensions (``72到120厘米``, ``183 x 61 cm``) as one number with several values. Knows nothing of products: whether
a number is true is asked elsewhere.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace

from engine.units import leading_quantity

__all__ = ["Number", "read_numbers"]

_NUMBER = re.compile(r"(?<![A-Za-z0-9_])(?<!\d[.,])(?<![A-Za-z]-)(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)(?!\d)")
_CODE = re.compile(r"(?:[A-Za-z]+(?:[-./]?[A-Za-z0-9]+)*|(?<!\d)(?<!\d\.)\d[\d.]*[A-Za-z][A-Za-z0-9]*(?:[-/][A-Za-z0-9]+)*)")
_ISO = "USD|EUR|GBP|CNY|RMB|JPY|KRW|CAD|AUD|NZD|SGD|HKD|TWD|INR|CHF|SEK|NOK|DKK|PLN|CZK|MXN|BRL|THB|VND|MYR|RUB|TRY"
_BEFORE = re.compile(
    rf"(US\$|CA\$|C\$|A\$|AU\$|NZ\$|S\$|HK\$|NT\$|\$|¥|€|£|₩|₹|\b(?:{_ISO})|人民币)\s*$", re.IGNORECASE
)
_AFTER = re.compile(
    rf"\s*(?:-\s*)?(美元|美金|港元|港币|日元|欧元|英镑|加元|澳元|新台币|块钱|元钱|元|块(?=[以之左上下内,。;!?)]"
    rf"|出头|$)|人民币"
    rf"|(?:{_ISO})(?![a-z])|us dollars?|dollars?|bucks|cents?|yuan|renminbi|euros?|yen|€|£|\$|¥)(?![a-z])",
    re.IGNORECASE,
)
_CURRENCY = {
    "$": "USD", "us$": "USD", "ca$": "CAD", "c$": "CAD", "a$": "AUD", "au$": "AUD", "nz$": "NZD", "s$": "SGD",
    "hk$": "HKD", "nt$": "TWD", "¥": "¥", "€": "EUR", "£": "GBP", "₩": "KRW", "₹": "INR",
    "人民币": "CNY", "rmb": "CNY",
    "美元": "USD", "美金": "USD", "港元": "HKD", "港币": "HKD", "日元": "JPY", "欧元": "EUR", "英镑": "GBP",
    "加元": "CAD", "澳元": "AUD", "新台币": "TWD", "块钱": "CNY", "元钱": "CNY", "元": "CNY", "块": "CNY",
    "dollar": "USD", "us dollar": "USD", "buck": "USD", "yuan": "CNY", "renminbi": "CNY", "euro": "EUR",
    "yen": "JPY", "cent": "?",
}  # fmt: skip
_MIN = re.compile(
    r"(?:\bat least|\bover|\bmore than|\bno less than|\babove|\bfrom|\bminimum(?: of)?|\bexceed(?:s|ing)?|\bbeyond|"
    r"\bbeat(?:s|ing)?|超过|至少|不低于|不少于|高于|大于|多于|>=?)\s*(?:your |the |its |a )?\s*$",
    re.IGNORECASE,
)
_MIN_AFTER = re.compile(
    r"\s*(?:以上|起|多(?!功|种|款|色|用)|\+(?!\s*\d)|or more|or above|and up|plus\b|出头)", re.IGNORECASE
)
_MAX = re.compile(
    r"(?:\bup to|\bat most|\bunder|\bbelow|\bless than|\bno more than|\bwithin|\binside|\bnot over|\bmaximum(?: of)?|"
    r"\bnot above|不到|不超过|至多|最多|低于|少于|小于|不高于|最高|可达|<=?)\s*(?:your |the |its |a |您的|你的)?\s*$",
    re.IGNORECASE,
)
_MAX_AFTER = re.compile(r"\s*(?:以内|以下|之内|之下|内(?!存|部|里|衬|胆|置)|or less|or under|or below)", re.IGNORECASE)
_APPROX = re.compile(
    r"(?:\babout|\baround|\broughly|\bapproximately|\bapprox\.?|\bnearly|\balmost|\bcirca|大约|约|大概|近|将近"
    r"|差不多)\s*$",
    re.IGNORECASE,
)
_APPROX_AFTER = re.compile(r"\s*(?:左右|上下|or so\b)", re.IGNORECASE)
_BETWEEN = re.compile(r"\bbetween\s*$")
_RANGE = re.compile(r"\s*(?:-|~|to|到|至)\s*")
_TIMES = re.compile(r"\s*[x*X]\s*")
_NEAR = 48
"""Characters before a number in which its sign or what bounds it stands."""
_MOST_DIMENSIONS = 8


@dataclass(frozen=True, slots=True)
class Number:
    """One number as written: ``values`` in canonical units, two or more for a range or for dimensions.

    ``unit`` is empty for a bare number, ``%``, a canonical unit, or ``money``; ``currency`` is an ISO code, ``¥``
    (yuan or yen) or ``?`` (contradictory). ``factor`` is canonical value per written value. ``bound`` is ``min``,
    ``max``, ``approx`` or empty. ``written`` is the digits.
    """

    start: int
    end: int
    written: str
    values: tuple[float, ...]
    unit: str = ""
    factor: float = 1.0
    kind: str = "one"
    currency: str = ""
    bound: str = ""


def _currency(word: str) -> str:
    word = word.lower().strip()
    return _CURRENCY.get(word) or _CURRENCY.get(word.rstrip("s")) or word.upper()


def _money(text: str, number: Number) -> Number | None:
    """Return the number as money when a currency stands before or after it; two that differ make ``?``."""
    before, after = _BEFORE.search(text, max(0, number.start - _NEAR), number.start), _AFTER.match(text, number.end)
    found = {_currency(m[1]) for m in (before, after) if m}
    if not found:
        return None
    if found == {"¥", "CNY"} or found == {"¥", "JPY"}:
        found.discard("¥")
    start, end = before.start(1) if before else number.start, after.end(1) if after else number.end
    return replace(number, start=start, end=end, unit="money", currency=found.pop() if len(found) == 1 else "?")


def _unit(text: str, number: Number) -> Number:
    if text[number.end : number.end + 1] == "%":
        return replace(number, end=number.end + 1, unit="%")
    if (found := leading_quantity(text[number.start : number.start + 48])) is None:
        return number
    end, quantity = found
    value = number.values[0]
    factor = quantity.value / value if value else 1.0
    return replace(number, end=number.start + end, values=(quantity.value,), unit=quantity.unit, factor=factor)


def _bound(text: str, number: Number) -> Number:
    """Return the number with the word that bounds it (``under``, ``以上``, ``about``) noted."""
    near = max(0, number.start - _NEAR)
    for name, ahead, behind in (
        ("max", _MAX, _MAX_AFTER), ("min", _MIN, _MIN_AFTER), ("approx", _APPROX, _APPROX_AFTER)
    ):  # fmt: skip
        if ahead.search(text, near, number.start) or behind.match(text, number.end):
            return replace(number, bound=name)
    return number


def _single(text: str) -> Iterator[Number]:
    taken = -1
    codes = [m.span() for m in _CODE.finditer(text) if any(c.isdigit() for c in m.group())]
    starts = [start for start, _ in codes]
    for match in _NUMBER.finditer(text):
        if match.start() < taken:
            continue
        number = Number(*match.span(), match.group(), (float(match.group().replace(",", "")),))
        found = _money(text, number) or _unit(text, number)
        place = bisect_right(starts, match.start()) - 1
        if not found.unit and place >= 0 and match.end() <= codes[place][1]:
            continue
        taken = found.end
        yield found


def _joined(left: Number, right: Number, kind: str) -> Number:
    factor = right.factor if left.unit == "" else left.factor
    values = left.values if left.unit == right.unit else tuple(v * factor for v in left.values)
    currency = right.currency if left.currency in ("", right.currency) else "?"
    written = f"{left.written}{'-' if kind == 'range' else 'x'}{right.written}"
    return Number(left.start, right.end, written, values + right.values, right.unit, factor, kind, currency)


def read_numbers(text: str) -> list[Number]:
    """Return the numbers of a folded text in order; digits inside codes such as ``IPX7`` are not numbers.

    >>> [(n.values, n.unit) for n in read_numbers("420 g, 72到120厘米, $69.99, IPX7")]
    [((0.42,), 'kg'), ((72.0, 120.0), 'cm'), ((69.99,), 'money')]
    """
    found: list[Number] = []
    for number in _single(text):
        if found:
            left, gap = found[-1], text[found[-1].end : number.start]
            kind = "range" if _RANGE.fullmatch(gap) else "dims" if _TIMES.fullmatch(gap) else ""
            if kind == "" and gap.strip() == "and" and _BETWEEN.search(text, max(0, left.start - _NEAR), left.start):
                kind = "range"
            joins = left.kind == "one" or (left.kind == "dims" and len(left.values) < _MOST_DIMENSIONS)
            if kind and joins and left.unit in ("", number.unit):
                found[-1] = _joined(left, number, kind)
                continue
        found.append(number)
    return [_bound(text, n) for n in found]
