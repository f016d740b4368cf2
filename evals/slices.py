"""Kinds of queries, told from their text and judgements alone, and how a run does on each.

In: an evaluation set and a scored view. Out: :class:`SliceResult` for every kind with a query in it. A query may be of
several kinds. Knows nothing of engines: what a query asks is read by the same rules as in a search, but without a
catalogue.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from engine.language import is_stop, language_of, words
from engine.lexicon import Lexicon, find_head
from engine.query.exclude import find_exclusions
from engine.query.price import find_prices
from engine.schema import SearchRequest
from evals.evalsets import EvalSet, Qrels
from evals.evaluate import ViewResult
from evals.measures import DECIDING
from evals.run import Searcher
from evals.stats import Estimate, bootstrap_mean

__all__ = ["SliceResult", "kinds_of", "render_slices", "score_slices", "with_misspelt"]

_CODE = re.compile(r"(?=\S*\d)(?=\S*[a-z])[a-z0-9][a-z0-9./-]{3,}|\b\d{8,14}\b", re.IGNORECASE)
_LONG = 5


@dataclass(frozen=True, slots=True)
class SliceResult:
    """Mean nDCG@10 of the queries of one kind."""

    kind: str
    estimate: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain JSON values."""
        return {"kind": self.kind, **self.estimate.to_dict()}


def kinds_of(text: str, ratings: Mapping[str, int], lexicon: Lexicon) -> list[str]:
    """Return the kinds of a query: language, length, ``price``, ``negation``, ``code``, ``accessory`` or ``device``, and
    ``nothing suitable`` where no product is rated 1 or more."""
    found = words(text)
    content = [w for w in found if not is_stop(w)]
    head = find_head(found, lexicon.find(text, found))
    kinds = ["Chinese" if language_of(text) == "zh" else "English"]
    kinds.append("long" if len(content) >= _LONG else "one word" if len(content) <= 1 else "short")
    if list(find_prices(text)):
        kinds.append("price")
    if list(find_exclusions(text, lexicon)):
        kinds.append("negation")
    if any(_CODE.fullmatch(part) for part in text.split()):
        kinds.append("code")
    if head.thing is not None:
        kinds.append("accessory" if head.accessory else "device")
    if not any(rating > 0 for rating in ratings.values()):
        kinds.append("nothing suitable")
    return kinds


def score_slices(
    result: ViewResult,
    queries: Mapping[str, str],
    qrels: Qrels,
    more: Mapping[str, Sequence[str]] | None = None,
    seed: int = 0,
) -> list[SliceResult]:
    """Return nDCG@10 of every kind, the largest kinds first; ``more`` names further kinds of queries by their ids."""
    lexicon = Lexicon.own()
    places: dict[str, list[int]] = {}
    for place, qid in enumerate(result.scores.qids):
        for kind in dict.fromkeys((*kinds_of(queries.get(qid, ""), qrels.get(qid, {}), lexicon), *(more or {}).get(qid, ()))):
            places.setdefault(kind, []).append(place)
    values = result.scores.column(DECIDING)
    ordered = sorted(places.items(), key=lambda item: (-len(item[1]), item[0]))
    return [SliceResult(kind, bootstrap_mean(values[rows], seed=seed)) for kind, rows in ordered]


def with_misspelt(searcher: Searcher, evalset: EvalSet) -> dict[str, list[str]]:
    """Return the kinds a set names, and ``typo`` for the queries in which the searcher finds a slip."""
    kinds = {qid: list(named) for qid, named in evalset.kinds.items()}
    for qid, text in evalset.queries.items():
        if searcher.search(SearchRequest(q=text, per_page=0)).applied.corrected:
            kinds.setdefault(qid, []).append("typo")
    return kinds


def render_slices(results: list[SliceResult], console: Console) -> None:
    """Print one row for each kind."""
    table = Table(title="nDCG@10 by kind of query", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("kind")
    for heading in ("mean", "95 %", "n"):
        table.add_column(heading, justify="right", no_wrap=True)
    for r in results:
        e = r.estimate
        table.add_row(escape(r.kind), f"{e.mean:.3f}", f"{e.low:.3f}-{e.high:.3f}", str(e.n))
    console.print(table)
