"""Price limits in the words of shoppers: ``under $80``, ``between 20 and 40 dollars``, ``两百块以内``, ``1.5千到3000``.

In: the query. Out: the spans and limits found. A number counts as a price only beside a currency or a word of
limit, and never when a unit of measure follows it (``under 2 kg``). Knows nothing of the catalogue.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from engine.numerals import EN_NUMBER, chinese_number, english_number
from engine.query.spans import overlaps

__all__ = ["PriceLimit", "find_price_wishes", "find_prices"]

_CURRENCIES = {
    "$": "USD", "us$": "USD", "usd": "USD", "dollar": "USD", "dollars": "USD", "bucks": "USD", "buck": "USD",
    "美元": "USD", "美金": "USD", "刀": "USD", "¥": "CNY", "￥": "CNY", "cny": "CNY", "rmb": "CNY", "yuan": "CNY",
    "元": "CNY", "块": "CNY", "块钱": "CNY", "元钱": "CNY", "人民币": "CNY", "塊": "CNY", "圆": "CNY",
    "€": "EUR", "eur": "EUR", "euro": "EUR", "euros": "EUR", "欧元": "EUR", "£": "GBP", "gbp": "GBP",
    "pound": "GBP", "pounds": "GBP", "quid": "GBP", "英镑": "GBP", "hkd": "HKD", "hk$": "HKD", "港币": "HKD",
    "jpy": "JPY", "日元": "JPY", "yen": "JPY",
}  # fmt: skip
_AMBIGUOUS = frozenset("$ dollar dollars bucks buck ¥ ￥ 元 块 块钱 元钱 塊 圆 刀".split())
_SIGN = r"(?:us\$|hk\$|[$¥￥€£])"
_NAME = (
    r"(?:usd|dollars?|bucks?|美元|美金|cny|rmb|yuan|块钱|元钱|元|块|塊|圆|人民币|eur|euros?|欧元|gbp|pounds?|quid|英镑"
    r"|hkd|港币|jpy|日元|yen|[$¥￥€£])(?![a-z])"
)
_DIGITS = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
_ZH_NUMBER = (
    rf"(?:{_DIGITS}(?![\d.]*\d)\s*(?:[千万百k]|(?-i:w))?|[零一二两三四五六七八九十百千万]{{1,12}}(?![零一二两三四五六七八九十百千万]))"
)
_ZH_ABOUT = re.compile(r"(?P<a>[一二两三四五六七八九])(?P<b>[二三四五六七八九])(?P<unit>[十百千万])(?:块钱?|元|左右)")
_NUMERAL = re.compile(r"[\d零一二两三四五六七八九十百千万]|hundred|thousand|[tnfse]\w{2,5}ty", re.IGNORECASE)
_NOT_A_UNIT = (
    r"(?!\s*(?:%|kg|g|mg|lbs?|oz|ml|l|cm|mm|m|km|inch|inches|in|\"|″|ft|gb|tb|mb|w|kw|v|mah|wh|hz|mhz|ghz|hours?|h|"
    r"months?|years?|days?|weeks?|minutes?|mins?|seconds?|secs?|percent|degrees?|feet|foot|yards?|miles?|ounces?|grams?|kilos?|"
    r"kilograms?|cups?|quarts?|gallons?|rpm|db|lumens?|pcs?|pieces?|pack|people|persons?|liters?|litres?|watts?|分钟|秒|周|度|页|克|公斤|千克|斤|毫升|升|厘米|毫米|米"
    r"|英寸|寸|瓦|伏|小时|个|岁|年|月|天|件|只|片|人|码|号)(?![a-z]))"
)
_EN_UNIT = r"(?:one|two|three|four|five|six|seven|eight|nine)"
_EN_WORDS = (
    rf"(?:(?:(?:an?|{_EN_UNIT})[\s-])?(?:hundred|thousand)(?:[\s-](?:and[\s-])?{EN_NUMBER})?"
    rf"|(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)(?:[\s-]{_EN_UNIT})?)(?![\w-])(?=\s*(?:{_NAME}|[,.;:!?)]|and\b|to\b|$))"
)
_EN_NUMBER = (
    rf"(?P<sign{{0}}>{_SIGN})?\s*(?P<n{{0}}>{_DIGITS}k?(?![\d.]*\d)|(?<!\w){_EN_WORDS})(?:\s*(?P<name{{0}}>{_NAME}))?"
)


def _en(index: int) -> str:
    return _EN_NUMBER.replace("{0}", str(index))


def _zh(index: int) -> str:
    return rf"(?P<sign{index}>{_SIGN})?\s*(?P<n{index}>{_ZH_NUMBER})\s*(?P<name{index}>{_NAME})?"


_LEAD = r"(?:(?:the\s+)?(?:price[ds]?|costs?|costing|budget)\s+(?:(?:is|are|at|of|should|must|to|be|range|point|tag)\s+)*)?"
_BELOW = (
    rf"{_LEAD}(?:under|below|beneath|less than|lower than|lesser than|cheaper than|smaller than|up to|at most|no more than"
    r"|not more than|no higher than|not over|not exceeding|max(?:imum)?(?: of)?|budget(?: is| of)?|within|<=?|≤)"
)
_ABOVE = rf"{_LEAD}(?:over|above|more than|at least|from|starting at|no less than|min(?:imum)?|>=?|≥)"
_ABOUT = rf"{_LEAD}(?:about|around|approximately|roughly|circa|near)"
_ZH_BELOW = r"(?:以内|以下|之内|之下|内|封顶)"
_ZH_LESS = r"(?:不超过|不超過|别超过|不要超过|不能超过|低于|少于|小于|不到|最多|至多|不高于|不高於|预算)"
_ZH_MORE = r"(?:不低于|高于|大于|超过|至少|最少|不少于)"
_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern, re.IGNORECASE))
    for kind, pattern in (
        ("range", rf"(?<![\w.])(?:between|from)\s+{_en(1)}\s*(?:and|to|-|–)\s*{_en(2)}{_NOT_A_UNIT}"),
        ("range", rf"(?<![\w.]){_en(1)}\s*(?:to|-|–|~)\s*{_en(2)}(?![\w-]){_NOT_A_UNIT}"),
        ("range", rf"(?<![\d.]){_zh(1)}\s*(?:到|至|-|–|~|—)\s*{_zh(2)}(?:之间|之內|以内)?{_NOT_A_UNIT}"),
        ("below", rf"(?<![\w.])(?:{_BELOW})\s*{_en(1)}(?![\w-]){_NOT_A_UNIT}"),
        ("above", rf"(?<![\w.])(?:{_ABOVE})\s*{_en(1)}(?![\w-]){_NOT_A_UNIT}"),
        ("about", rf"(?<![\w.])(?:{_ABOUT})\s*{_en(1)}(?![\w-]){_NOT_A_UNIT}"),
        ("most", rf"(?<![\w.]){_en(1)}\s*(?:or|and)\s+(?:less|under|below|cheaper|lower)(?![\w-])"),
        ("most", rf"(?<![\w.]){_en(1)}\s*(?:at (?:the )?most|max(?:imum)?|tops)(?![\w-])"),
        ("least", rf"(?<![\w.]){_en(1)}\s*(?:or|and)\s+(?:more|over|above|up)(?![\w-])"),
        ("below", rf"(?:价格|价位|价钱)?(?:在|是|为)?\s*{_ZH_LESS}(?:了|是|为|在)?\s*{_zh(1)}{_NOT_A_UNIT}{_ZH_BELOW}?"),
        ("above", rf"(?:价格)?\s*{_ZH_MORE}\s*{_zh(1)}{_NOT_A_UNIT}"),
        ("below", rf"(?<![\d.]){_zh(1)}\s*{_ZH_BELOW}"),
        ("above", rf"(?<![\d.]){_zh(1)}\s*(?:以上|起)"),
        ("about", rf"(?:预算|价格|价位)?(?:在|是|大概|大约)?(?<![\d.]){_zh(1)}\s*(?:左右|上下|的样子)"),
        ("about", rf"(?:大概|大约|差不多)\s*{_zh(1)}"),
    )
)
_NEEDS_NO_CURRENCY = frozenset({"below", "above"})
_SPACES = re.compile(r"\s\s")
_ROUND_ZH = re.compile(r"[百千万]|(?<!\d)[1-9]\d{2,}(?!\d)")


@dataclass(frozen=True, slots=True)
class PriceLimit:
    """Characters ``start`` to ``end`` limit the price to ``low … high`` (either may be ``None``), in major units.

    ``currency`` is an ISO code or empty; ``ambiguous`` says that the word also names other countries' money.
    """

    start: int
    end: int
    low: float | None
    high: float | None
    currency: str
    ambiguous: bool


def find_prices(text: str) -> Iterator[PriceLimit]:
    """Yield the price limits of a query, left to right, without overlaps. ``text`` is as typed."""
    if not _NUMERAL.search(text):
        return
    text, places = _closed_up(text)
    taken: list[tuple[int, int]] = []
    found = []
    for kind, pattern in _PATTERNS:
        for match in pattern.finditer(text):
            if overlaps(match.start(), match.end(), taken):
                continue
            limit = _limit(kind, match)
            if limit is not None:
                taken.append((match.start(), match.end()))
                found.append(limit)
    for match in _ZH_ABOUT.finditer(text):
        low, high = (_number(match[n] + match["unit"]) for n in ("a", "b"))
        if low is not None and high is not None and low < high and not overlaps(*match.span(), taken):
            found.append(PriceLimit(match.start(), match.end(), low, high, "CNY", True))
    for limit in sorted(found, key=lambda p: p.start):
        yield replace(limit, start=places[limit.start], end=places[limit.end - 1] + 1)


def _closed_up(text: str) -> tuple[str, Sequence[int]]:
    """Return a text with each run of white space as one space, and where each of its characters was: the patterns have white space
    in so many places that they would try every way to share a long run out among them."""
    if not _SPACES.search(text):
        return text, range(len(text))
    places = [i for i, c in enumerate(text) if not (c.isspace() and i and text[i - 1].isspace())]
    return "".join(" " if text[i].isspace() else text[i] for i in places), places


def _limit(kind: str, match: re.Match[str]) -> PriceLimit | None:
    groups = match.groupdict()
    words = [(groups.get(f"{part}{i}") or "").lower() for i in (1, 2) for part in ("sign", "name")]
    word = next((w for w in words if w), "")
    if not word and kind not in _NEEDS_NO_CURRENCY and not _sounds_like_money(match):
        return None
    spelt = groups["n1"].strip()[:1].isalpha() and groups["n1"].isascii()
    if spelt and not word and kind != "below":
        return None  # a gift for someone over sixty
    first = _number(groups["n1"])
    second = _number(groups["n2"]) if groups.get("n2") else None
    if first is None or (kind == "range" and second is None):
        return None
    low, high = {
        "below": (None, first),
        "most": (None, first),
        "least": (first, None),
        "above": (first, None),
        "about": (round(first * 0.8, 2), round(first * 1.2, 2)),
        "range": (first, second),
    }[kind]
    if low is not None and high is not None and low > high:
        return None
    start = match.start() + len(match.group()) - len(match.group().lstrip())
    end = match.start() + len(match.group().rstrip())
    return PriceLimit(start, end, low, high, _CURRENCIES.get(word, ""), word in _AMBIGUOUS)


def _sounds_like_money(match: re.Match[str]) -> bool:
    """Return whether a Chinese range or rough figure without a currency is one of money: ``3000到5000``, ``300左右``."""
    written = match.group()
    return bool(re.search(r"[到至左上预大差]", written)) and all(
        _ROUND_ZH.search(match.groupdict()[name] or "") for name in ("n1", "n2") if match.groupdict().get(name)
    )


def _number(text: str) -> float | None:
    """Return a number as shoppers write it: ``1,500``, ``1.5k``, ``1.5千``, ``两百``."""
    text = text.strip().lower().replace(",", "")
    if text[:1].isalpha() and text.isascii():
        return english_number(re.sub(r"^an? ", "one ", text.replace("-", " ")))
    scale = {"k": 1e3, "千": 1e3, "w": 1e4, "万": 1e4, "百": 1e2}.get(text[-1:], 1.0)
    head = text[:-1].strip() if scale != 1.0 else text
    try:
        return float(head) * scale
    except ValueError:
        pass
    return chinese_number(text)


_CHEAP = re.compile(
    r"(?<![\w-])(?:cheap(?:est|er)?|inexpensive|affordable|low[\s-](?:cost|price[d]?)|budget[\s-]friendly|bargain|"
    r"reasonably priced|not (?:too )?expensive)(?![\w-])|便宜(?:一?点|些)?的?|实惠的?|平价的?|性价比高的?|划算的?|不贵的?|低价的?",
    re.IGNORECASE,
)
_DEAR = re.compile(
    r"(?<![\w-])(?:high[\s-]end|luxury|luxurious|expensive|top of the line)(?![\w-])|高端的?|高档的?|奢华的?|贵一?点的?",
    re.IGNORECASE,
)


def find_price_wishes(text: str) -> Iterator[tuple[int, int, bool]]:
    """Yield ``(start, end, cheap)`` for every wish about the price that names no number: ``cheap``, ``高端``."""
    for pattern, cheap in ((_CHEAP, True), (_DEAR, False)):
        for match in pattern.finditer(text):
            yield match.start(), match.end(), cheap
