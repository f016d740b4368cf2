"""Values and measures a query names: ``red``, ``HP``, ``cotton``, ``16 GB``, ``15.6"``, ``42码``.

In: the words that are left once limits and exclusions are out. Out: :class:`Trait`, each with its characters: which
field, and which of the catalogue's labels say it, in both languages. A word that is part of the name of a thing is no
trait of it (``photo paper``). Knows nothing of scores.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.index.values import Value
from engine.language import Word
from engine.lexicon import Phrase, other_forms
from engine.lexicon.lexicon import Entry
from engine.numerals import EN_NUMBER, chinese_number, english_number
from engine.query.knowledge import Knowledge
from engine.query.spans import overlaps
from engine.query.wishes import counts
from engine.schema import Quantity
from engine.units import convert, find_quantities

__all__ = ["Trait", "find_traits"]

_TRAIT_KINDS = ("brand", "color", "material", "person", "season", "quality")
_SIZE = re.compile(
    r"(?<![\w])(?:size|sz)[\s:]*(?P<en>\d{1,3}(?:\.5)?|x{0,4}[sml]|\dx{1,2}l)(?![\w.])"
    r"|(?<![\w.])(?P<zh>\d{2,3}(?:\.5)?|[sml]|x{1,4}l|[2-5]xl)\s*码",
    re.IGNORECASE,
)
_NUMERAL = re.compile(r"(?P<n>[零一二两三四五六七八九十百千万]{1,12})(?P<unit>寸|英寸|升|毫升|公斤|斤|千克|克|米|厘米|瓦|毫安时?)")
_SMALL = {capital: capital + 32 for capital in range(ord("A"), ord("Z") + 1)}
"""Capitals to small letters, one character to one."""
_SPELT = re.compile(
    rf"(?<![\w-])(?P<n>{EN_NUMBER})[\s-]+(?P<unit>inch(?:es)?|ounces?|oz|"
    r"pounds?|lbs?|feet|foot|ft|yards?|centimeters?|cm|meters?|liters?|watts?|gb|tb|hours?)(?![\w])",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Trait:
    """Characters ``start`` to ``end`` name a trait.

    ``fields`` maps a field to the labels that say it; ``quantity`` is set for a measure instead. ``field`` is where
    the trait mostly stands, or the kind of word it is where no product has it.
    """

    start: int
    end: int
    field: str
    fields: Mapping[str, tuple[str, ...]]
    quantity: Quantity | None = None


def find_traits(
    text: str, found: Sequence[Word], known: Knowledge, phrases: Sequence[Phrase[Entry]]
) -> list[Trait]:
    """Return the traits of a query, left to right and without overlaps. ``phrases`` are the lexicon's in it."""
    traits = _measures(text) + _sizes(text, known)
    traits += [Trait(start, end, "size", {}) for start, end in counts(text)]
    for value in known.values.find(text, found):
        inside = next((p for p in phrases if p.start <= value.start and value.end <= p.end), None)
        if inside is not None and not _is_trait(inside) and (_is_thing(inside) or _longer(inside, value)):
            continue
        traits.append(_valued(value.start, value.end, value.means, inside, known))
    for phrase in phrases:
        if _is_trait(phrase):
            han = any(w.han for w in found[phrase.first : phrase.last])
            means = known.values.get((*other_forms(phrase, han), *other_forms(phrase, not han)))
            traits.append(_valued(phrase.start, phrase.end, means, phrase, known))
    traits += [t for t in _shouted(text) if not overlaps(t.start, t.end, [(u.start, u.end) for u in traits])]
    kept: list[Trait] = []
    for trait in sorted(traits, key=lambda t: (t.start, -t.end, not t.quantity)):
        if not kept or trait.start >= kept[-1].end:
            kept.append(trait)
    return kept


def _valued(
    start: int, end: int, means: Sequence[Value], phrase: Phrase[Entry] | None, known: Knowledge
) -> Trait:
    entries = [] if phrase is None else [e for e in phrase.means if e.kind in _TRAIT_KINDS]
    labels: dict[str, list[str]] = {}
    more = known.values.get([t for e in entries for t in (*e.en, *e.zh)])
    for value in (*means, *more):
        if value.label not in labels.setdefault(value.field, []):
            labels[value.field].append(value.label)
    kind = entries[0].kind if entries else ""
    name = next(iter(labels), kind)
    if kind in ("color", "material", "brand"):
        name = kind if kind in labels or not labels else name
    return Trait(start, end, name, {f: tuple(v) for f, v in labels.items()})


def _is_trait(phrase: Phrase[Entry]) -> bool:
    return phrase.means[0].kind in _TRAIT_KINDS


def _is_thing(phrase: Phrase[Entry]) -> bool:
    return phrase.means[0].kind in ("thing", "accessory")


def _longer(phrase: Phrase[Entry], value: Phrase[Value]) -> bool:
    return phrase.end - phrase.start > value.end - value.start


def _measures(text: str) -> list[Trait]:
    traits = [Trait(start, end, quantity.unit, {}, quantity) for start, end, quantity in find_quantities(text)]
    for match in _NUMERAL.finditer(text):
        if (quantity := _read(match["n"], match["unit"])) is not None:
            traits.append(Trait(match.start(), match.end(), quantity.unit, {}, quantity))
    for match in _SPELT.finditer(text):
        if (quantity := convert(float(english_number(match["n"])), match["unit"])) is not None:
            traits.append(Trait(match.start(), match.end(), quantity.unit, {}, quantity))
    return traits


def _shouted(text: str) -> list[Trait]:
    """Return the measures of a text in capitals alone, whose units are no longer told by their case: ``CABLE 3M``."""
    if any(c.islower() for c in text) or not any(c.isupper() for c in text):
        return []
    return [Trait(start, end, q.unit, {}, q) for start, end, q in find_quantities(text.translate(_SMALL))]


def _read(numeral: str, unit: str) -> Quantity | None:
    number = chinese_number(numeral)
    return None if number is None else convert(number, unit)


def _sizes(text: str, known: Knowledge) -> list[Trait]:
    traits = []
    for match in _SIZE.finditer(text):
        written = match["en"] or match["zh"]
        labels = tuple(v.label for v in known.values.get([written]) if v.field == "size")
        traits.append(Trait(match.start(), match.end(), "size", {"size": labels or (written,)}))
    return traits
