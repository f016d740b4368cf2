"""What a product is, in the words of its title: ``a waterproof hiking jacket``, ``防水登山外套``.

In: a product and a need. Out: the thing the title names, as far as the lexicon knows it and the title ends its name with it,
with the shopper's own words that stand right before it. A case for a phone is no phone, and a laptop briefcase no laptop.
Knows nothing of sentences.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import lru_cache

from engine.explain.evidence import Need
from engine.language import Word, is_stop, stem_of, words
from engine.lexicon import Lexicon, find_head
from engine.schema import Product

__all__ = ["own_lexicon", "thing_of", "thing_translated", "translated"]

_HAN = re.compile(r"[\u3400-\u9fff]")
_ENDS = re.compile(
    r"[,;(（，；|/]|\s[-–—+]\s|\b(?:for|f|fits|compatible with|to fit|with|without|w|incl(?:uding|\.)?|no|and|plus)\b|&"
    r"|(?<!\w)\d[\d.,]*\s?(?:[a-z]{1,6}\b)?|适用|适配|专用|兼容|[含带配送](?!子|鱼)",
    re.IGNORECASE,
)
"""Where the name of a product may end in its title: what follows are parts, sizes, and what it goes with."""
_MASS = frozenset(
    "honey tea coffee toner paper ink food rice oil sugar salt litter furniture jewelry jewellery luggage memory software "
    "flour pasta milk chocolate shampoo soap sunscreen cream lotion toothpaste clothing footwear underwear bedding stationery "
    "equipment tape wire yarn fabric rope glue paint water juice wine beer granola muesli cutlery cookware glassware".split()
)
"""Things that are not counted and so have no ``a``."""

_LONG_U = re.compile(r"^(?:us|uni|use|usb|eu|ut)", re.IGNORECASE)


@lru_cache(maxsize=1)
def own_lexicon() -> Lexicon:
    """Return the lexicon that comes along, read once."""
    return Lexicon.own()


def _head(title: str) -> tuple[str, Sequence[Word], tuple[int, int] | None]:
    """Return the part of a title that names the product, its words, and which of them the lexicon knows it by."""
    if (match := _ENDS.search(title)) and match.start():
        title = title[: match.start()]
    found = words(title)
    head = find_head(found, own_lexicon().find(title, found))
    return title, found, head.thing if head.known else None


def thing_of(product: Product, need: Need) -> str:
    """Return what a product is in the language of the need, English with its article; empty where that is not sure."""
    title, found, thing = _head(product.title)
    if thing is None or (need.language != "zh" and _HAN.search(title)):
        return ""
    first, last = thing
    if last < len(found) and not title[found[last - 1].end : found[last].start].strip(" -") and _goes_on(found, last):
        return ""
    asked = {stem_of(w) for t in need.terms for w in words(t)}
    while first and not is_stop(found[first - 1]) and stem_of(found[first - 1]) in asked:
        if title[found[first - 1].end : found[first].start].strip(" -"):
            break
        first -= 1
    shown = title[found[first].start : found[last - 1].end]
    if need.language == "zh":
        return shown if _HAN.search(shown) else ""
    name = shown.lower()
    return "" if _HAN.search(name) else _with_article(name)


def thing_translated(product: Product, zh: bool) -> str:
    """Return what a product with a title in the other language is, as the lexicon says it, English with its article; empty where
    the lexicon does not know it."""
    title, found, thing = _head(product.title)
    if thing is None or bool(_HAN.search(title)) == zh:
        return ""
    name = title[found[thing[0]].start : found[thing[1] - 1].end].lower()
    if bool(_HAN.search(name)) == zh:
        return ""
    said = translated(name, zh, ("thing", "accessory"))
    return said if zh or not said else _with_article(said)


def translated(name: str, zh: bool, kinds: Collection[str]) -> str:
    """Return how the lexicon says a name of one of these kinds in Chinese or English; empty where it does not know it, or knows it
    as more than one thing, or not by its first word for it."""
    means = [e for e in own_lexicon().get(name.lower()) if e.kind in kinds]
    if len(means) != 1 or name.lower() != (means[0].en if zh else means[0].zh)[0].lower():
        return ""
    return (means[0].zh if zh else means[0].en)[0]


def _with_article(name: str) -> str:
    if (name.endswith("s") and not name.endswith("ss")) or name.split()[-1] in _MASS:
        return name
    return f"an {name}" if name[0] in "aeiou" and not _LONG_U.match(name) else f"a {name}"


def _goes_on(found: Sequence[Word], at: int) -> bool:
    """Return whether the word at a place may belong to the name that ends before it."""
    before, word = found[at - 1], found[at]
    if any(c.isdigit() for c in word.text) or is_stop(word):
        return False
    return not word.han or word.start == before.end
