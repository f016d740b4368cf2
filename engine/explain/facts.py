"""What a product's record says, field by field, in a form that a sentence can be held against.

In: a :class:`~engine.schema.Product`. Out: :class:`Fact` records in the order of trust: typed values first, then the
title, then the description sentence by sentence. What a seller's text orders, compares, supposes or boasts is left
out, and so is everything that follows an order in the same field. Knows nothing of needs or generators.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from engine.explain.check_form import disguised
from engine.explain.reading import Clause, read_clauses, sentences
from engine.explain.vocabulary import LABELS, ORDERS, RANKING, UNUSABLE
from engine.schema import AttributeValue, Money, Product, Quantity

__all__ = ["PEOPLE", "Fact", "foreign", "label", "plain_value", "product_facts", "shown_money", "shown_value", "telling_nothing"]

_SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "CNY": "¥"}
_STOCK = {
    "in_stock": ("in stock", "available", "有货", "现货"),
    "out_of_stock": ("out of stock", "sold out", "缺货", "无货", "售罄"),
    "preorder": ("pre-order", "preorder", "预售", "预订"),
    "backorder": ("back-order", "backorder", "延期发货"),
}
_SAME = {
    "male": ("men's", "man", "男款", "男士", "男式"),
    "female": ("women's", "woman", "ladies", "女款", "女士", "女式"),
    "unisex": ("unisex", "男女同款", "男女通用"),
    "kids": ("kids", "children", "儿童"),
}
PEOPLE = {"male": ("men", "男士"), "female": ("women", "女士"), "kids": ("kids", "儿童")}
"""Value of ``gender`` → whom it is for, English and Chinese."""

_FOR = re.compile(r"\b(?:for|fits|compatible with|to fit)\b|适用|适配|专用|兼容", re.IGNORECASE)
_UNITS = {
    "kg": ((1.0, "kg", "公斤"), (1e-3, "g", "克"), (1e-6, "mg", "毫克")),
    "l": ((1.0, "L", "升"), (1e-3, "ml", "毫升")),
    "cm": ((1.0, "cm", "厘米"), (0.1, "mm", "毫米")),
    "GB": ((1000.0, "TB", "TB"), (1.0, "GB", "GB"), (1 / 1024, "MB", "MB")),
    "h": ((1.0, "hours", "小时"), (1 / 60, "minutes", "分钟")),
}
_HAN = re.compile(r"[\u3400-\u9fff]")
_HAS_UNIT = re.compile(
    r"dimension|diagonal|memory|speed|capacity|voltage|power|diameter|height|width|length|depth|weight|noise|frequency|rate|life|range|distance"
    r"|current|volume|temperature|resolution|level|consumption|flow|size|长|宽|高|重|速|容|压|率|径"
)
_PAPERWORK = re.compile(r"certification|country_of_origin|quantity_per_pack|date|harmonized|package_|_code|warranty_card|产地|上市")
_LATIN_WORD = re.compile(r"[A-Za-z]{3,}")
_MAX_DESCRIPTION = 8000
_MOST_WORDS = 6
_SENTENCE_MARKS = re.compile(r"[!?。！？;；]|\.(?:\s|$)|:\s|[\n{}]")
_WORDS = {"month": ("months", "个月")}


@dataclass(frozen=True, slots=True)
class Fact:
    """One field, or one sentence of it. ``shown`` is quoted to the shopper as it stands.

    ``whole`` when it describes the product as a whole and not one part of it. ``names`` are other words for the
    field itself: they support a sentence but are no value.
    """

    field: str
    shown: str
    clauses: tuple[Clause, ...]
    names: tuple[Clause, ...] = ()
    whole: bool = True


def label(name: str, language: str) -> str:
    """Return what an attribute is called: a word of the language where one is known, else its own name."""
    known = LABELS.get(name)
    return (known[1] if language == "zh" else known[0]).split()[0] if known else name.replace("_", " ")


def shown_money(money: Money) -> str:
    """Return an amount as a shop writes it: ``$69.99``, ``¥469``, ``69.99 CAD``.

    >>> shown_money(Money(6999, "USD")), shown_money(Money(46900, "CNY")), shown_money(Money(500, "JPY"))
    ('$69.99', '¥469', '500 JPY')
    """
    decimals = Money.decimals(money.currency)
    number = f"{money.major:.{decimals}f}" if money.amount % 10**decimals else f"{money.major:.0f}"
    symbol = _SYMBOLS.get(money.currency)
    return f"{symbol}{number}" if symbol else f"{number} {money.currency}"


def _quantity(value: Quantity, language: str, inches: bool) -> str:
    if inches and value.unit == "cm" and abs(round(value.value / 2.54, 1) * 2.54 - value.value) < 1e-9:
        return f"{round(value.value / 2.54, 1):g}{' in' if language != 'zh' else '英寸'}"
    rows = _UNITS.get(value.unit, ())
    for factor, en, zh in rows:
        amount = round(value.value / factor, 6)
        if amount >= 1 or factor == rows[-1][0]:
            return f"{_plain(amount)}{zh}" if language == "zh" else f"{_plain(amount)} {en}"
    en, zh = _WORDS.get(value.unit, (value.unit, value.unit))
    return f"{_plain(value.value)}{zh}" if language == "zh" else f"{_plain(value.value)} {en}"


def _plain(number: float) -> str:
    return f"{number:.12g}" if abs(number) < 1e12 else repr(number)


def shown_value(name: str, value: AttributeValue, language: str) -> str:
    """Return one attribute value as a shopper reads it: ``520 g`` for 0.52 kg, ``14 in`` for a screen."""
    if isinstance(value, bool):
        return ("是" if value else "否") if language == "zh" else ("yes" if value else "no")
    if isinstance(value, Quantity):
        return _quantity(value, language, "screen" in name or "display" in name)
    return f"{value:g}" if isinstance(value, float) and abs(value) < 1e6 else str(value)


def _attribute(name: str, values: tuple[AttributeValue, ...], language: str) -> Iterator[Fact]:
    en, zh = LABELS.get(name, (name.replace("_", " "), ""))
    names = tuple(c for words in (en, *zh.split(), name.replace("_", " ")) for c in read_clauses(words))
    texts_of = [shown_value(name, value, language) for value in values]
    if any(_steers(shown) for shown in texts_of):
        return  # a feed's commas may have cut an order into values that look harmless one by one
    for value, shown in zip(values, texts_of, strict=True):
        if isinstance(value, bool):
            texts = [*en.split(), *zh.split()] if name in LABELS else [en]
            texts = texts if value else [f"{'不' if '一' <= t[0] <= '鿿' else 'not '}{t}" for t in texts]
            yield Fact(name, shown, tuple(c for t in texts for c in read_clauses(t)))
        else:
            texts = [shown, *(_SAME.get(str(value).lower(), ()))]
            yield Fact(name, shown, tuple(c for t in texts for c in read_clauses(t)), names)


def _steers(text: str) -> bool:
    """Return whether a value orders, boasts, compares or is disguised instead of naming something."""
    return bool(ORDERS.search(text) or RANKING.search(text) or disguised(text))


def plain_value(shown: str) -> bool:
    """Return whether a text reads as the value of a field and not as a sentence."""
    return len(shown.split()) <= _MOST_WORDS and not _SENTENCE_MARKS.search(shown)


def _title(title: str) -> Iterator[Fact]:
    if ORDERS.search(title) or disguised(title):
        return
    head = title[: match.start()] if (match := _FOR.search(title)) else title
    if head.strip():
        yield Fact("title", title, read_clauses(head))
    if head != title:
        yield Fact("title", title, read_clauses(title), whole=False)


def _description(text: str) -> Iterator[Fact]:
    for sentence in sentences(text[:_MAX_DESCRIPTION]):
        if ORDERS.search(sentence) or disguised(sentence):
            return
        clauses = tuple(
            c for c in read_clauses(sentence) if not (UNUSABLE.search(c.text) or RANKING.search(c.text) or c.doubtful)
        )
        if clauses:
            yield Fact("description", sentence, clauses, whole=False)


def product_facts(product: Product, language: str = "en") -> list[Fact]:
    """Return what the record says of the product, prices left out: money is compared and not read."""
    facts: list[Fact] = []
    if product.availability:
        texts = _STOCK[product.availability]
        shown = texts[2] if language == "zh" else texts[0]
        facts.append(Fact("availability", shown, tuple(c for t in texts for c in read_clauses(t))))
    for name, values in product.attributes.items():
        facts.extend(_attribute(name, values, language))
    for name, text in (("brand", product.brand), ("mpn", product.mpn), *(("gtin", g) for g in product.gtin)):
        if text and not ORDERS.search(text) and not disguised(text):
            facts.append(Fact(name, text, read_clauses(text)))
    facts.extend(_title(product.title))
    path = [part for part in product.category if not ORDERS.search(part)]
    if path:
        facts.append(Fact("category", " > ".join(path), tuple(c for p in path for c in read_clauses(p))))
    facts.extend(_description(product.description))
    return facts


def telling_nothing(name: str, shown: str) -> bool:
    """Return whether a field says nothing to a shopper as it stands: a date, a bare number of what has a unit, or papers."""
    if shown.lower() in ("y", "yes", "true", "是", "有"):
        return True  # its name alone would be said
    bare = re.fullmatch(r"[\d.,\sx×*]+", shown) is not None and _HAS_UNIT.search(name) is not None
    return bare or _PAPERWORK.search(name) is not None or re.search(r"\d{4}-\d\d-", shown) is not None or "(" in shown


def foreign(value: str, language: str) -> bool:
    """Return whether a value is words of the other language: Chinese in an English answer, or more than two English ones in a
    Chinese one."""
    return bool(_HAN.search(value)) if language != "zh" else not _HAN.search(value) and len(_LATIN_WORD.findall(value)) > 2
