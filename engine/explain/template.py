"""Sentences without a model: what of a product answers the need, said as a good shop assistant would.

In: a need and evidence. Out: drafts in English or Chinese. Wording varies with the product and is the same every
time for the same product. Each phrase is tried against the ground check before it is used, so that what a seller's
wording makes doubtful is left out rather than the whole sentence. Knows nothing of models or deadlines.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence

from engine.explain.evidence import Evidence, EvidenceField, Need, price_limits
from engine.explain.facts import PEOPLE, foreign, label, plain_value, shown_money, telling_nothing
from engine.explain.generator import Draft
from engine.explain.ground import check, unstated
from engine.explain.things import own_lexicon, thing_of
from engine.explain.vocabulary import EN_NEUTRAL
from engine.schema import Product

__all__ = ["TemplateGenerator", "beside"]

_MAX_PHRASES = 4
_MISSED = frozenset({"quality", "material", "season", "color"})
"""What a shopper wants to know that a record says nothing of."""
_MAX_QUOTE = 160
_USUAL = ("material", "waterproof", "weight", "capacity", "battery_life", "screen_size", "power", "size", "color")
_NOT_ATTRIBUTES = frozenset(
    {"title", "brand", "category", "description", "mpn", "gtin", "availability", "price", "sale_price", "condition", "age_group"}
)
_EN = {
    "material": "made of {v}", "weight": "weighs {v}", "capacity": "holds {v}", "color": "in {v}", "size": "size {v}",
    "battery_life": "battery life {v}", "screen_size": "{v} screen", "storage": "{v} storage",
}  # fmt: skip
_ZH = {"weight": "重{v}", "capacity": "容量{v}", "material": "材质{v}", "color": "{v}", "screen_size": "屏幕{v}"}
_ENGLISH_WORD = re.compile(r"[A-Za-z][a-z]{2,}(?: [A-Za-z][a-z]{2,})?")
_EN_PRICE = ("at {p}", "for {p}", "priced at {p}")
_EN_LIMIT = ("inside your {l} limit", "within your {l} limit", "under your {l} limit")
_ZH_PRICE = ("售价{p}", "现价{p}", "价格{p}")
_ZH_LIMIT = ("在您{l}的预算内", "符合您{l}的预算", "满足您{l}的预算")


def _pick(options: Sequence[str], product: Product) -> str:
    return options[zlib.crc32(product.id.encode()) % len(options)]


class TemplateGenerator:
    """The generator that is always there."""

    name = "template"

    def generate(self, need: Need, evidence: Sequence[Evidence]) -> Iterator[Draft]:
        """Yield up to three drafts for each product, in order."""
        products = [item.product for item in evidence]
        for item in evidence:
            yield from self.write(need, item, products)

    def write(self, need: Need, item: Evidence, products: Sequence[Product]) -> Iterator[Draft]:
        """Yield the drafts for one product; ``products`` are all that are shown."""
        return _Writer(need, item, products).drafts()


def beside(need: Need, item: Evidence, products: Sequence[Product], said: str) -> Iterator[Draft]:
    """Yield what no model need write: the sentence of the description that answers most and is not in ``said``, and an honest
    word on a wish that the record says nothing of."""
    writing = _Writer(need, item, products)
    for text in (writing.quote(said), writing.unknown()):
        if text:
            yield Draft(item.product.id, text)


class _Writer:
    """Writes about one product for one need."""

    def __init__(self, need: Need, item: Evidence, products: Sequence[Product]) -> None:
        self._need, self._item, self._products = need, item, products
        self._product = item.product
        self._zh = need.language == "zh"

    def drafts(self) -> Iterator[Draft]:
        """Yield the opening, the sentence of the description that answers most, and what is not known."""
        opening = self._opening()
        texts = [opening, self.quote(opening), self.unknown()]
        for text in texts:
            if text:
                yield Draft(self._product.id, text)

    def _holds(self, text: str) -> bool:
        return check(text, self._product, self._need, self._products).ok

    def _sentence(self, phrases: Sequence[str]) -> str:
        if self._zh:
            return "，".join(phrases) + "。"
        text = ", ".join(phrases) + "."
        return text[0].upper() + text[1:]

    def _opening(self) -> str:
        phrases = [p for p in self._phrases() if self._holds(self._sentence([p]))][:_MAX_PHRASES]
        price = [p for p in self._price() if self._holds(self._sentence([p]))][:1]
        for count in range(len(phrases), -1, -1):
            parts = [*phrases[:count], *price]
            if parts and self._holds(text := self._sentence(parts)):
                return text
        return ""

    def _phrases(self) -> Iterator[str]:
        """Yield phrases, the ones that answer the need first."""
        answered = [f for f in self._item.fields if f.part_of_need]
        if head := self._head([f for f in answered if f.field in ("title", "category", "brand")]):
            yield head
        fields = [f for f in answered if f.field not in _NOT_ATTRIBUTES]
        usual = [f for n in _USUAL for f in self._item.fields if f.field == n and f not in fields]
        other = [f for f in self._item.fields if f.field not in _NOT_ATTRIBUTES and f not in fields and f not in usual]
        seen = {f.field for f in fields if head and all(t in head.lower() for t in f.part_of_need.lower().split())}
        said = len(seen)
        for field in [*fields, *usual, *other[:3]]:
            if len(seen) - said >= 3 and field not in fields:
                return
            # A flag that nobody asked for and that is false is no reason to take the product.
            if field.field in seen or (field.value is False and not field.part_of_need) or not plain_value(field.value_shown):
                continue
            if field not in fields and telling_nothing(field.field, field.value_shown):
                continue
            english = self._zh and field.field != "gender" and _ENGLISH_WORD.fullmatch(field.value_shown)
            if english or foreign(field.value_shown, self._need.language):
                continue
            seen.add(field.field)
            yield self._attribute(field)

    def _head(self, fields: Sequence[EvidenceField]) -> str:
        """Return what the product is, where some of it is what was asked for."""
        return thing_of(self._product, self._need) if fields else ""

    def _attribute(self, field: EvidenceField) -> str:
        name = label(field.field, self._need.language)
        if field.field == "gender" and (people := PEOPLE.get(str(field.value).lower())):
            return people[1] if self._zh else f"for {people[0]}"
        if isinstance(field.value, bool):
            if self._zh:
                return name if field.value else f"不{name}"
            return name if field.value else f"not {name}"
        shape = (_ZH if self._zh else _EN).get(field.field, "{n}{v}" if self._zh else "{n} {v}")
        return shape.format(n=name, v=field.value_shown)

    def _price(self) -> Iterator[str]:
        """Yield ways to say the price, the fullest first."""
        product = self._product
        price = product.current_price
        if price is None:
            return
        shown = shown_money(price)
        plain = _pick(_ZH_PRICE if self._zh else _EN_PRICE, product).format(p=shown)
        limits = [x for x in price_limits(self._need) if x.op[0] == "<" and x.met_by(price)]
        if limits:
            limit = limits[0].shown
            if self._zh:
                yield f"{plain}，{_pick(_ZH_LIMIT, product).format(l=limit)}"
            else:
                yield f"{plain} — {_pick(_EN_LIMIT, product).format(l=limit)}"
        if product.sale_price and product.price and product.sale_price.amount < product.price.amount:
            former = shown_money(product.price)
            yield f"现价{shown}，原价{former}" if self._zh else f"now {shown}, down from {former}"
        yield plain

    def quote(self, opening: str) -> str:
        """Return the sentence of the description that answers most of the need, as the seller wrote it."""
        sentences = [f for f in self._item.fields if f.field == "description" and len(f.value_shown) <= _MAX_QUOTE]
        asked = [f for f in sentences if f.part_of_need]
        for field in [*asked, *(sentences if not opening else [])]:
            text = field.value_shown
            if text not in opening and not foreign(text, self._need.language) and self._holds(text):
                return text
        return ""

    def unknown(self) -> str:
        """Return an honest word on the first wish that the record surely says nothing of."""
        answers = any(f.part_of_need for f in self._item.fields if f.field not in ("price", "sale_price"))
        if not self._product.description or not answers:
            return ""
        for term in self._need.terms:
            known = any(e.kind in _MISSED for e in own_lexicon().get(term.lower()))
            if not known or term.lower() in EN_NEUTRAL or not unstated(term, self._product, self._need.language):
                continue
            text = f"描述中没有提到“{term}”。" if self._zh else f'The description does not mention "{term}".'
            if self._holds(text):
                return text
        return ""
