"""Queries a shop's own catalogue gives, where there is no log and no judgement: what each product could be asked for by.

In: products and a lexicon. Out: :class:`~engine.train.examples.Example`, each answering fully. A query is put together from a
product's category, brand, qualities, model number or some of its words, and half of what the lexicon can say in the other
language is asked in that. Trained on as if people had asked them they teach what a search for words finds already, so the
training takes that away (see :mod:`engine.train.losses`). Drawn from a seed and each product's own id. Knows nothing of models.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from engine.language import PIECE, Word, fold, is_stop, language_of, replaced, words
from engine.lexicon import Lexicon, find_head, other_forms
from engine.schema import Product
from engine.train.examples import CATALOGUE, Example

__all__ = ["KINDS", "LONGEST_VALUE", "SAID", "catalogue_examples", "named_thing"]

_MOST_WORDS = 4
LONGEST_VALUE = 24
SAID = ("color", "material", "size", "style", "pattern", "season", "gender", "type", "product_type")
"""Attributes whose values people ask for, where they are short enough."""
_SHORTEST_CODE = 4


def catalogue_examples(products: Iterable[Product], lexicon: Lexicon, each: int = 3, seed: int = 0) -> Iterator[Example]:
    """Yield up to ``each`` different queries for each product, of different kinds where it has them."""
    for product in products:
        chance = random.Random(f"{seed} {product.id}")
        asked: set[str] = set()
        for kind in chance.sample(list(KINDS), len(KINDS)):
            query = " ".join(KINDS[kind](product, lexicon, chance).split())
            if len(query) > 1 and query.casefold() not in asked:
                asked.add(query.casefold())
                yield Example(_in_other_words(query, kind, lexicon, chance), product.id, 1.0, CATALOGUE, kind)
            if len(asked) == each:
                break


def _thing(product: Product, lexicon: Lexicon, chance: random.Random) -> str:
    """Return what a product is: its category, or the thing its title names."""
    if product.category and (len(product.category[-1]) <= 2 * LONGEST_VALUE):
        return product.category[-1]
    named = named_thing(product.title, lexicon)
    return product.title[named[0].start : named[-1].end] if named else ""


def named_thing(title: str, lexicon: Lexicon) -> Sequence[Word]:
    """Return the words of a title that name the thing, none where the lexicon knows none of its things."""
    found = words(title)
    head = find_head(found, lexicon.find(title, found))
    return found[head.thing[0] : head.thing[1]] if head.thing and head.known else ()


def _brand_thing(product: Product, lexicon: Lexicon, chance: random.Random) -> str:
    thing = _thing(product, lexicon, chance)
    return f"{product.brand} {thing}" if thing and product.brand else ""


def _quality_thing(product: Product, lexicon: Lexicon, chance: random.Random) -> str:
    thing = _thing(product, lexicon, chance)
    given = [str(v) for name in SAID for v in product.attributes.get(name, ()) if isinstance(v, str)]
    short = [v for v in given if 1 < len(v) <= LONGEST_VALUE and v.casefold() not in thing.casefold()]
    if not thing or not short:
        return ""
    return " ".join([*chance.sample(short, min(len(short), chance.choice((1, 1, 2)))), thing])


def _code(product: Product, lexicon: Lexicon, chance: random.Random) -> str:
    """Return the model number as it is, in lower case, without its hyphens, or cut between letters and digits."""
    code = product.mpn
    if len(code) < _SHORTEST_CODE or not any(c.isdigit() for c in code):
        return ""
    return chance.choice((code, code.lower(), "".join(PIECE.findall(code)), " ".join(PIECE.findall(code))))


def _brand_code(product: Product, lexicon: Lexicon, chance: random.Random) -> str:
    code = _code(product, lexicon, chance)
    return f"{product.brand} {code}" if code and product.brand else ""


def _title_span(product: Product, lexicon: Lexicon, chance: random.Random) -> str:
    return _span(product.title, chance)


def _description_span(product: Product, lexicon: Lexicon, chance: random.Random) -> str:
    return _span(product.description[:400], chance)


def _span(text: str, chance: random.Random) -> str:
    """Return two to four neighbouring words that do not begin or end with one that says nothing."""
    found = [w for w in words(text) if w.han or len(w.text) > 1 or w.text.isdigit()]
    if len(found) < 2:
        return ""
    size = chance.randint(2, min(_MOST_WORDS, len(found)))
    first = chance.randint(0, len(found) - size)
    chosen: Sequence[Word] = found[first : first + size]
    while chosen and is_stop(chosen[0]):
        chosen = chosen[1:]
    while chosen and is_stop(chosen[-1]):
        chosen = chosen[:-1]
    return text[chosen[0].start : chosen[-1].end] if len(chosen) > 1 else ""


KINDS: Mapping[str, Callable[[Product, Lexicon, random.Random], str]] = {
    "thing": _thing,
    "brand and thing": _brand_thing,
    "quality and thing": _quality_thing,
    "code": _code,
    "brand and code": _brand_code,
    "title": _title_span,
    "description": _description_span,
}
"""What kinds of query a product gives."""


def _in_other_words(query: str, kind: str, lexicon: Lexicon, chance: random.Random) -> str:
    """Return half of the queries with what the lexicon knows put into the other language, most of them in lower case."""
    if "code" not in kind and chance.random() < 0.5:
        found = words(query)
        han = language_of(query) == "zh"
        phrases = [p for p in lexicon.find(query, found) if found[p.first].han == han]
        said = [(p, forms) for p in phrases if (forms := other_forms(p, han=han))]
        changes = [(p.start, p.end, f" {chance.choice(forms)} " if han else chance.choice(forms)) for p, forms in said]
        query = " ".join(replaced(query, changes).split())
    return fold(query)[0] if chance.random() < 0.8 else query
