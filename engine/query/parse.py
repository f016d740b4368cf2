"""A query taken apart: words to search for, limits and exclusions to keep, each with its characters.

In: the text, and what the catalogue knows (its currencies and codes). Out: :class:`ParsedQuery`. What was
understood is blanked out of the words, never rewritten, so every span points into the text as typed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from engine.index.codes import CodeIndex, CodeMatch
from engine.language import Word, is_stop, language_of, words
from engine.query.exclude import find_exclusions
from engine.query.price import PriceLimit, find_prices
from engine.schema import Understood

__all__ = ["ParsedQuery", "parse_query"]


@dataclass(frozen=True, slots=True)
class ParsedQuery:
    """``text`` as typed; ``searched`` without what was understood; ``words`` of that, spans into ``text``.

    ``exclusions`` are groups of words: a product that affirms every word of a group is left out. ``only_codes`` says
    that the query is nothing but model numbers.
    """

    text: str
    searched: str
    words: tuple[Word, ...]
    language: Literal["en", "zh", ""]
    understood: tuple[Understood, ...]
    exclusions: tuple[tuple[Word, ...], ...]
    codes: tuple[CodeMatch, ...]

    @property
    def filters(self) -> list[str]:
        """The filter expressions understood."""
        return [u.filter for u in self.understood if u.filter]

    @property
    def only_codes(self) -> bool:
        """Whether every word that carries a need belongs to a code."""
        inside = {i for c in self.codes for i in range(c.first, c.last)}
        return bool(self.codes) and all(i in inside or is_stop(w) for i, w in enumerate(self.words))


def parse_query(text: str, codes: CodeIndex, currencies: Sequence[str], understand: bool = True) -> ParsedQuery:
    """Take a query apart. ``currencies`` are those of the catalogue."""
    understood: list[Understood] = []
    exclusions: list[tuple[Word, ...]] = []
    if understand:
        for price in find_prices(text):
            piece = text[price.start : price.end]
            filter_by = _price_filter(price, currencies)
            understood.append(Understood(kind="price", text=piece, start=price.start, end=price.end, filter=filter_by))
        taken = [(u.start, u.end) for u in understood]
        for e in find_exclusions(text):
            if not any(e.start < end and start < e.end for start, end in taken):
                named = [text[w.start : w.end] for w in e.words]
                piece = text[e.start : e.end]
                understood.append(Understood(kind="exclude", text=piece, start=e.start, end=e.end, terms=named))
                exclusions.append(e.words)
    blanked = list(text)
    for u in understood:
        blanked[u.start : u.end] = " " * (u.end - u.start)
    remaining = "".join(blanked)
    found = tuple(words(remaining))
    return ParsedQuery(
        text=text,
        searched=" ".join(remaining.split()),
        words=found,
        language=language_of(text),
        understood=tuple(sorted(understood, key=lambda u: u.start)),
        exclusions=tuple(exclusions),
        codes=tuple(codes.find(remaining, found)),
    )


def _price_filter(price: PriceLimit, currencies: Sequence[str]) -> str:
    """Return a limit as a filter. A word such as ``dollars`` means the shop's own money where it has only one."""
    own = price.ambiguous and len(currencies) == 1
    unit = "" if own else price.currency
    low, high = (f"{v:g}{unit}" if v is not None and v < 1e6 else f"{v:.2f}{unit}" if v is not None else ""
                 for v in (price.low, price.high))  # fmt: skip
    if low and high:
        return f"price:[{low}..{high}]"
    return f"price:<={high}" if high else f"price:>={low}"
