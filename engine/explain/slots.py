"""What may be named in a sentence by reference: ``{weight}``, ``{price}``, ``{thing}``.

In: a need, a product's evidence and the products shown beside it. Out: :class:`Slot` records by name, each with the text
that code puts in its place and the fields it rests on. A generator that writes references cannot get a value, a unit or a
currency wrong. What a seller typed himself (a colour, a material, a sentence) becomes a slot only where a sentence that
says nothing else passes the ground check. Knows nothing of wording or generators.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from engine.explain.check_ranks import ranked
from engine.explain.evidence import Evidence, EvidenceField, Need, price_limits
from engine.explain.facts import PEOPLE, foreign, label, plain_value, shown_money, telling_nothing
from engine.explain.ground import check
from engine.explain.things import own_lexicon, thing_of, thing_translated, translated
from engine.explain.vocabulary import NEGATIONS
from engine.language import stem_of, words
from engine.lexicon import is_accessory
from engine.numerals import fold
from engine.schema import AttributeValue, Citation, Product, Quantity

__all__ = ["ASKED", "SLOT", "SLOTS", "Slot", "fill", "fill_slots", "referred"]

SLOT = re.compile(r"\{([a-z_0-9]+\*?)\}")
ASKED = "*"
"""Ends the name of a slot that stands for what the shopper asked for; what says so may be said of no other."""

_NAMED = (
    "color", "material", "weight", "capacity", "size", "power", "voltage", "battery_life", "battery_capacity", "screen_size",
    "storage", "season", "style", "gender", "length", "width", "height", "depth", "warranty", "pattern", "flavor",
)  # fmt: skip
_MEASURED = frozenset(
    {"weight", "capacity", "power", "voltage", "battery_life", "battery_capacity", "screen_size", "storage",
     "length", "width", "height", "depth"}
)  # fmt: skip
SLOTS = (
    *_NAMED, "waterproof", "rating", "other", "other2", "thing", "kind", "brand", "use", "quote", "price", "limit", "former",
    "stock", "rank_price", "rank_weight",
)  # fmt: skip
"""Every name a slot can have."""

_NO_ATTRIBUTE = frozenset(
    {"title", "brand", "category", "description", "mpn", "gtin", "availability", "price", "sale_price", "condition", "age_group"}
)
_NONE = frozenset({"none", "no", "n/a", "na", "not rated", "not supported", "无", "否", "没有", "不支持", "-"})
_IN_NAMES = frozenset({"color", "material", "pattern", "style", "season"})
"""What is words of a language, and what a thing's own name may say already: a cast iron skillet is not said to be of cast iron."""

_MOST_JOINED = 3
_LONGEST = 60
_LONGEST_OTHER = 32
_LONGEST_QUOTE = 160
_HAN = re.compile(r"[\u3400-\u9fff]")
_ENGLISH_WORD = re.compile(r"[A-Za-z][a-z]{2,}")


@dataclass(frozen=True, slots=True)
class Slot:
    """``shown`` is what stands in its place; ``asked`` whether it answers something the shopper said."""

    name: str
    shown: str
    citations: tuple[Citation, ...]
    asked: bool = False


def referred(name: str, slots: Mapping[str, Slot]) -> Slot | None:
    """Return the slot that a name stands for: one that is there and, where the name says so, was asked for."""
    slot = slots.get(name.removesuffix(ASKED))
    return None if slot is None or (name.endswith(ASKED) and not slot.asked) else slot


def fill(text: str, slots: Mapping[str, Slot]) -> tuple[str, tuple[Slot, ...]] | None:
    """Return a sentence with its references filled in and the slots it used; ``None`` where one is not there.

    >>> fill("it weighs {weight}.", {"weight": Slot("weight", "420 g", ())})[0]
    'It weighs 420 g.'
    """
    used: list[Slot] = []
    for name in SLOT.findall(text):
        slot = referred(name, slots)
        if slot is None:
            return None
        used.append(slot)
    out = SLOT.sub(lambda m: slots[m[1].removesuffix(ASKED)].shown, text)
    return out[:1].upper() + out[1:], tuple(used)


def fill_slots(need: Need, item: Evidence, products: Sequence[Product]) -> dict[str, Slot]:
    """Return the slots of one product by name; ``products`` are all that are shown."""
    return {slot.name: slot for slot in _Filling(need, item, products).slots()}


class _Filling:
    """Finds the slots of one product."""

    def __init__(self, need: Need, item: Evidence, products: Sequence[Product]) -> None:
        self._need, self._item, self._products = need, item, products
        self._product = item.product
        self._zh = need.language == "zh"

    def slots(self) -> Iterator[Slot]:
        """Yield every slot that is there, each name once."""
        own = thing_of(self._product, self._need)
        thing = own or thing_translated(self._product, self._zh)
        yield from (s for s in self._attributes() if s.name not in _IN_NAMES or s.shown.lower() not in thing.lower())
        yield from self._prices()
        yield from self._ranks()
        product = self._product
        brand = product.brand if plain_value(product.brand) else ""
        if brand and (cited := self._stands(brand, "品牌是{}。" if self._zh else "By {}.")):
            yield Slot("brand", brand, cited, any(f.field == "brand" and f.part_of_need for f in self._item.fields))
        if product.availability == "in_stock":
            shown = "有货" if self._zh else "in stock"
            yield Slot("stock", shown, (Citation(field="availability", value=shown),))
        cited = self._stands(own, "这是{}。" if self._zh else "This is {}.") if own else ()
        if thing and not own:
            cited = (Citation(field="title", value=product.title),)
        if cited:
            named = {stem_of(w) for w in words(thing)}
            yield Slot("thing", thing, cited, any(stem_of(w) in named for t in self._need.terms for w in words(t)))
        if product.category and (cited := self._stands(kind := product.category[-1].lower(), "{}。" if self._zh else "{}.")):
            yield Slot("kind", kind, cited)
        yield from self._description(thing)

    def _is_accessory(self) -> bool:
        return is_accessory(self._product.category, self._product.title, own_lexicon())

    def _stands(self, shown: str, shape: str) -> tuple[Citation, ...]:
        """Return what a sentence that says only this rests on; nothing where it may not be said."""
        if len(shown) > _LONGEST or (bool(_HAN.search(shown)) != self._zh and not shown.isascii()):
            return ()
        return check(shape.format(shown), self._product, self._need, self._products).citations

    def _attributes(self) -> Iterator[Slot]:
        seen: set[str] = set()
        others = iter(("other", "other2"))
        for field in self._item.fields:
            if field.field in _NO_ATTRIBUTE or field.value is False or not plain_value(field.value_shown):
                continue
            if field.value_shown.strip().lower() in _NONE or (field.field == "screen_size" and self._is_accessory()):
                continue  # a bag's screen size is that of a laptop that fits
            held = self._product.attributes.get(field.field, ()) if field.field in _IN_NAMES else ()
            slot = self._together(field, held) if len(held) > 1 else self._named(field)
            if slot is not None:
                if slot.name not in seen:
                    seen.add(slot.name)
                    yield slot
            elif field.field not in {*seen, *_NAMED} and (shown := self._labelled(field)):
                seen.add(field.field)
                if name := next(others, ""):
                    yield Slot(name, *shown, bool(field.part_of_need))

    def _together(self, field: EvidenceField, held: Sequence[AttributeValue]) -> Slot | None:
        """Return the slot of several colours or materials: one of two is half of the truth, so all are said or none."""
        own = list(dict.fromkeys(self._own_word(field.field, str(v)) for v in held))
        if not all(own) or len(own) > _MOST_JOINED:
            return None
        cited = tuple(Citation(field=field.field, value=str(v)) for v in held)
        return Slot(field.field, ("、" if self._zh else " and ").join(own), cited, bool(field.part_of_need))

    def _own_word(self, name: str, value: str) -> str:
        """Return a colour or material in the language of the answer; empty where it may not be said, as a seller typed it."""
        said = _translated(value, self._zh)
        if NEGATIONS.search(value):
            return ""
        if said == value and not (plain_value(value) and self._stands(value, f"{label(name, self._need.language)} {{}}.")):
            return ""
        return said if self._zh else _lowered(said)

    def _named(self, field: EvidenceField) -> Slot | None:
        """Return the slot of an attribute whose name says what it is."""
        name, value, asked = field.field, field.value, bool(field.part_of_need)
        cited = (Citation(field=name, value=field.value_shown),)
        if name == "waterproof":
            if value is True:
                return Slot(name, label(name, self._need.language), cited, asked)
            stands = self._stands(field.value_shown, f"{label(name, self._need.language)} {{}}.")
            rated = any(c.isdigit() for c in field.value_shown)
            return Slot("rating", field.value_shown, stands, asked) if stands and rated else None
        if name not in _NAMED or isinstance(value, bool):
            return None
        if isinstance(value, Quantity):
            return Slot(name, field.value_shown, cited, asked)
        if name == "gender":
            shown = PEOPLE.get(str(value).lower())
            return Slot(name, shown[self._zh], cited, asked) if shown else None
        if name in _MEASURED or not isinstance(value, str):
            return None  # a number without a unit is said with its name
        if name in _IN_NAMES and (said := _translated(field.value_shown, self._zh)) != field.value_shown:
            return Slot(name, said, cited, asked) if said else None
        stands = self._stands(field.value_shown, f"{label(name, self._need.language)} {{}}.")
        shown_value = field.value_shown if self._zh else _lowered(field.value_shown)
        return Slot(name, shown_value, stands, asked) if stands else None

    def _labelled(self, field: EvidenceField) -> tuple[str, tuple[Citation, ...]] | None:
        """Return an attribute with its name before it, for which no slot has words."""
        named = label(field.field, self._need.language)
        shown = named if field.value is True else f"{named} {field.value_shown}"
        if telling_nothing(field.field, field.value_shown) or (field.value is True and not field.part_of_need):
            return None
        if self._zh and _ENGLISH_WORD.search(field.value_shown):
            return None
        if len(shown) > _LONGEST_OTHER or bool(_HAN.search(shown)) != self._zh or re.search(r"\d{4}-\d\d-|\.(?:jpg|png)", shown):
            return None
        cited = self._stands(shown, "{}。" if self._zh else "{}.")
        return (shown, cited) if cited else None

    def _prices(self) -> Iterator[Slot]:
        price, product = self._product.current_price, self._product
        if price is None:
            return
        cited = (Citation(field="sale_price" if product.sale_price else "price", value=shown_money(price)),)
        limits = [x for x in price_limits(self._need) if x.op[0] == "<" and x.met_by(price)]
        yield Slot("price", shown_money(price), cited, bool(limits))
        if limits:
            yield Slot("limit", limits[0].shown, cited, True)
        if product.sale_price and product.price and product.sale_price.amount < product.price.amount:
            former = shown_money(product.price)
            yield Slot("former", former, (*cited, Citation(field="price", value=former)))

    def _ranks(self) -> Iterator[Slot]:
        beside = [p for p in self._products if p.id != self._product.id]
        n = len(beside) + 1
        for name, what, en, zh in (("rank_price", "low", "cheapest", "最便宜"), ("rank_weight", "light", "lightest", "最轻")):
            cited = ranked(what, self._product, beside)
            if cited is not None:
                yield Slot(name, f"这{n}款里{zh}的" if self._zh else f"the {en} of these {n}", (cited,))

    def _description(self, thing: str) -> Iterator[Slot]:
        """Yield the words of the need that the description says, and its sentence that says most of them."""
        said = [f for f in self._item.fields if f.field == "description" and f.part_of_need]
        written = ("description", "title", "category")
        typed = {f.part_of_need for f in self._item.fields if f.part_of_need and f.field not in written}
        terms = [t for f in said for t in f.part_of_need.split() if t not in typed and t.lower() not in thing.lower()]
        for term in dict.fromkeys(terms):
            shown = f"“{term}”" if self._zh else f'"{term.lower()}"'
            text = f"描述：{term}。" if self._zh else f"The description: {term}."
            known = own_lexicon().get(term.lower()) and not any(c.isdigit() for c in fold(term))
            known = known and term.lower() not in self._product.title.lower() and len(term) > 1 + term.isascii()
            if known and bool(_HAN.search(term)) == self._zh and check(text, self._product, self._need, self._products).ok:
                field = next(f for f in said if term in f.part_of_need.split())
                yield Slot("use", shown, (Citation(field="description", value=field.value_shown),), True)
                break
        for field in said:
            quote = field.value_shown
            if len(quote) > _LONGEST_QUOTE or foreign(quote, self._need.language):
                continue
            if check(quote, self._product, self._need, self._products).ok:
                yield Slot("quote", quote, (Citation(field="description", value=quote),), True)
                break


def _translated(shown: str, zh: bool) -> str:
    """Return a colour or a material in the language of the answer, as the lexicon says it; empty where it is of the other language
    and the lexicon does not know it."""
    own = bool(_HAN.search(shown)) == zh or (zh and not _ENGLISH_WORD.search(shown))
    if own:
        return shown
    return translated(shown, zh, ("color", "material", "season"))


def _lowered(shown: str) -> str:
    """Return a value in small letters, but for codes and sizes: ``PU plastic``."""
    return " ".join(w if any(c.isdigit() or c.isupper() for c in w[1:]) or len(w) == 1 else w.lower() for w in shown.split(" "))
