"""Whether slips are mended, and what is well spelt is left alone.

In: products and a searcher. Out: :class:`SpellingReport`. Mended: words of titles with one slip, at their beginning, in their
middle and at their end; right is the word itself or one of the same stem. Slips that spell another word of the catalogue
are not asked. Left alone: title words as they are, and needs of other shops (``unsuitable/``), which are well spelt although
this catalogue may not have their words: a correction of those is a false one.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from engine.errors import EvaluationError
from engine.language import stem, words
from engine.schema import Product, SearchRequest
from evals.lines import numbered_lines
from evals.robustness import variants
from evals.run import Searcher
from evals.stats import Estimate, bootstrap_mean

__all__ = ["SpellingReport", "render", "score_spelling"]

_OTHERS = Path(__file__).with_name("unsuitable")
_PLACES = ("start", "middle", "end")
_SHORTEST = 5
_LEAST_PRODUCTS = 3


@dataclass(frozen=True, slots=True)
class SpellingReport:
    """``mended`` is the share of slips by place, ``false`` the share of well-spelt words corrected, by where they are from;
    ``examples`` are false corrections, what was typed and what was made of it."""

    mended: dict[str, Estimate]
    false: dict[str, Estimate]
    examples: tuple[tuple[str, str], ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        return {
            "mended": {place: e.to_dict() for place, e in self.mended.items()},
            "false": {source: e.to_dict() for source, e in self.false.items()},
            "examples": [list(pair) for pair in self.examples],
        }


def score_spelling(searcher: Searcher, products: Iterable[Product], n: int = 300, seed: int = 0) -> SpellingReport:
    """Ask ``n`` words of titles, or as many as there are, as they are and with slips, and needs of other shops.

    Raises:
        EvaluationError: no title word is long and common enough.
    """
    spread: Counter[str] = Counter()
    every: set[str] = set()
    for product in products:
        found = {w.text for w in words(product.title) if not w.han}
        every |= found
        spread.update(found)
    common = sorted(w for w, count in spread.items() if count >= _LEAST_PRODUCTS and len(w) >= _SHORTEST and _plain(w))
    if not common:
        raise EvaluationError(f"No word of {_SHORTEST} letters is in {_LEAST_PRODUCTS} titles, so no slip can be made.")
    chosen = random.Random(seed).sample(common, min(n, len(common)))
    asked = {word: word for word in chosen}
    mended = {}
    for place in _PLACES:
        slips = {w: s for w, s in variants(asked, f"typo-{place}", seed).items() if s not in every}
        right = [_right(w, _replacement(searcher, s)) for w, s in slips.items()]
        if right:
            mended[place] = bootstrap_mean(np.array(right, np.float64), seed=seed)
    others = sorted({text for file in sorted(_OTHERS.glob("*.txt")) for _, text in numbered_lines(file) if text.isascii()})
    false, examples = {}, []
    for source, texts in (("title words", chosen), ("needs of other shops", others)):
        made = [(text, _replacement(searcher, text)) for text in texts]
        false[source] = bootstrap_mean(np.array([r is not None for _, r in made], np.float64), seed=seed)
        examples += [(text, r) for text, r in made if r is not None]
    return SpellingReport(mended, false, tuple(examples[:20]))


def _plain(word: str) -> bool:
    return word.isascii() and word.isalpha()


def _replacement(searcher: Searcher, text: str) -> str | None:
    corrected = searcher.search(SearchRequest(q=text, per_page=0)).applied.corrected
    return " ".join(c.replacement for c in corrected) if corrected else None


def _right(word: str, replacement: str | None) -> bool:
    return replacement is not None and stem(replacement.lower()) == stem(word)


def render(report: SpellingReport, console: Console) -> None:
    """Print the shares, and some false corrections."""
    table = Table(title="Spelling", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("")
    for heading in ("share", "95 %", "n"):
        table.add_column(heading, justify="right", no_wrap=True)
    rows = [(f"slip at the {place}, mended", e) for place, e in report.mended.items()]
    rows += [(f"{source}, falsely corrected", e) for source, e in report.false.items()]
    for name, e in rows:
        table.add_row(name, f"{e.mean:.1%}", f"{e.low:.1%}-{e.high:.1%}", str(e.n))
    console.print(table)
    for text, replacement in report.examples[:8]:
        console.print(f"  {text} became {replacement}", markup=False)
