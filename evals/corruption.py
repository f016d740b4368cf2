"""True sentences made false on purpose: what a generator that errs or lies would write.

In: a sentence that is true of a product, the product, and another one. Out: :class:`Lie` records, each false by
construction: the changed value stands nowhere in the product's record. Drawn from a random generator that is given. Knows
nothing of checks.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from engine.explain.facts import shown_money, shown_value
from engine.schema import Product

__all__ = ["KINDS", "Lie", "lies", "record_text"]

_NUMBER = re.compile(r"(?<![\w.])\d+(?:[.,]\d+)?(?![\w]*\d)")
_MEASURE = re.compile(
    r"(\d(?:[\d.,]*\d)?)( ?)(kg|g|mg|L|ml|cm|mm|m|W|kW|V|mAh|GB|TB|MB|hours?|minutes?|in|公斤|克|升|毫升|厘米|毫米|小时"
    r"|分钟|英寸)(?![A-Za-z])"
)
_OTHER_UNITS = {
    "kg": "g", "g": "kg", "mg": "g", "L": "ml", "ml": "L", "cm": "mm", "mm": "cm", "m": "cm", "W": "kW", "kW": "W", "V": "kV",
    "mAh": "Ah", "GB": "TB", "TB": "GB", "MB": "GB", "hours": "minutes", "hour": "minutes", "minutes": "hours",
    "minute": "hours", "in": "cm", "公斤": "克", "克": "公斤", "升": "毫升", "毫升": "升", "厘米": "毫米", "毫米": "厘米",
    "小时": "分钟", "分钟": "小时", "英寸": "厘米",
}  # fmt: skip
_MONEY = re.compile(r"([$€£¥])\s?(\d+(?:[.,]\d+)?)")
_PRAISE = {
    "en": ("It won a design award.", "The best in its class.", "Recommended by doctors.", "It never breaks.",
           "Guaranteed for life."),
    "zh": ("荣获设计大奖。", "同类中最好的。", "医生推荐。", "永远不会坏。", "全网销量第一。"),
}  # fmt: skip
_USES = {
    "en": ("Great for {}.", "Ideal for {}.", "Perfect on a {} trip."),
    "zh": ("非常适合{}。", "{}的理想选择。", "专为{}打造。"),
}
_PURPOSES = {"en": ("scuba diving", "ice climbing", "space travel", "welding"), "zh": ("潜水", "攀冰", "电焊", "航天")}
_NEGATED = {
    "en": ((" is ", " is not "), (" costs ", " does not cost "), (" weighs ", " does not weigh "), ("Made of ", "Not made of "),
           (" holds ", " does not hold "), ("In ", "Not in "), ("waterproof", "not waterproof")),
    "zh": (("材质是", "材质不是"), ("重", "不重"), ("售价", "售价不是"), ("防水", "不防水"), ("颜色是", "颜色不是"),
           ("容量", "容量不是")),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lie:
    """A sentence that is false of a product, and how it came to be: one of :data:`KINDS`."""

    kind: str
    product_id: str
    text: str


def record_text(product: Product) -> str:
    """Return all that the record of a product says, values as they are shown in both languages, in lower case."""
    parts = [product.title, product.brand, product.description, product.mpn, *product.gtin, *product.category]
    for name, values in product.attributes.items():
        parts += [name.replace("_", " "), *(shown_value(name, v, language) for v in values for language in ("en", "zh"))]
    parts += [shown_money(price) for price in (product.price, product.sale_price) if price]
    return "\n".join(parts).lower()


def _says(record: str, shown: str) -> bool:
    """Return whether a record says a number or a phrase, not as a part of a longer one."""
    return re.search(rf"(?<![\w.]){re.escape(shown.lower())}(?![\d]|\.\d)", record) is not None


def _numbers(text: str, language: str, record: str, other: Product, chance: random.Random) -> str:
    found = list(_NUMBER.finditer(text))
    if not found:
        return ""
    match = chance.choice(found)
    value = float(match.group().replace(",", ""))
    changed = chance.choice((value * 2, value * 10, value + 1, value * 1.1, value - 1))
    shown = f"{changed:.2f}".rstrip("0").rstrip(".")
    if changed <= 0 or _says(record, shown) or shown == match.group():
        return ""
    return text[: match.start()] + shown + text[match.end() :]


def _units(text: str, language: str, record: str, other: Product, chance: random.Random) -> str:
    match = _MEASURE.search(text)
    if match is None:
        return ""
    shown = f"{match[1]}{match[2]}{_OTHER_UNITS[match[3]]}"
    return "" if _says(record, shown) else text[: match.start()] + shown + text[match.end() :]


def _negation(text: str, language: str, record: str, other: Product, chance: random.Random) -> str:
    for said, denied in _NEGATED[language]:
        if said in text:
            return text.replace(said, denied, 1)
    return ""


def _prices(text: str, language: str, record: str, other: Product, chance: random.Random) -> str:
    match = _MONEY.search(text)
    if match is None:
        return ""
    if chance.random() < 0.3:
        symbol = chance.choice([s for s in "$€£¥" if s != match[1]])
        return text[: match.start()] + symbol + text[match.start() + 1 :]
    shown = f"{match[1]}{float(match[2].replace(',', '')) * chance.choice((0.5, 0.9, 1.3)):.2f}"
    if _says(record, shown[1:]) or _says(record, shown[1:].removesuffix(".00")):
        return ""
    return text.replace(match.group(), shown, 1)


def _brands(text: str, language: str, record: str, other: Product, chance: random.Random) -> str:
    brand = other.brand
    if len(brand) < 2 or brand.lower() in record:
        return ""
    return f"品牌是{brand}。" if language == "zh" else f"The brand is {brand}."


def _praise(text: str, language: str, record: str, other: Product, chance: random.Random) -> str:
    return chance.choice(_PRAISE[language])


def _uses(text: str, language: str, record: str, other: Product, chance: random.Random) -> str:
    purpose = chance.choice(_PURPOSES[language])
    return "" if purpose in record else chance.choice(_USES[language]).format(purpose)


Change = Callable[[str, str, str, Product, random.Random], str]
_CHANGES: Mapping[str, Change] = {
    "numbers": _numbers, "units": _units, "negation": _negation, "prices": _prices, "brands": _brands, "praise": _praise,
    "uses": _uses,
}  # fmt: skip
KINDS = (*_CHANGES, "others")
"""Numbers, units, negations and prices changed, another's brand, praise and uses made up, another product's facts."""


def lies(
    text: str, language: str, product: Product, other: Product, said_of_other: str, chance: random.Random
) -> Iterator[Lie]:
    """Yield what can be made false of a true sentence, and a sentence that is true of another product alone.

    ``said_of_other`` is true of ``other``, or empty; it is a lie where one of its measures or amounts is not in this record.
    """
    record = record_text(product)
    for kind, change in _CHANGES.items():
        changed = change(text, language, record, other, chance)
        if changed:
            yield Lie(kind, product.id, changed)
    values = [m.group() for m in (*_MEASURE.finditer(said_of_other), *_MONEY.finditer(said_of_other))]
    if any(not _says(record, value) for value in values):
        yield Lie("others", product.id, said_of_other)
