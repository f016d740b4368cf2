"""Runs: what a system returned for each query, in TREC form.

In: anything that searches (:class:`Searcher`, which ``engine.engine.Engine`` satisfies), or a run file of any tool.
Out: a :class:`Run`, or a file of ``query id, Q0, product id, rank, score, tag`` lines that any tool can score.
Knows nothing of measures.

Order: a run made here keeps the searcher's order, and the file's scores only count down, so that no reader's way of
breaking ties can change it. A file read here is put in order by score, highest first, then by product id; its rank
column is not used, as trec_eval does not use it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from engine.errors import EvaluationError
from engine.schema import SearchRequest, SearchResponse
from evals.evalsets import Qrels
from evals.lines import numbered_lines, write_text

__all__ = ["Orderer", "Run", "Searcher", "make_pool_run", "make_run", "read_run", "write_run"]

_PAGE = 100  # SearchRequest allows no longer page


class Searcher(Protocol):
    """Anything that answers a search request."""

    def search(self, request: SearchRequest) -> SearchResponse:
        """Return one page of results."""
        ...


class Orderer(Protocol):
    """Anything that puts given products in order for a query."""

    def order(self, q: str, product_ids: Sequence[str]) -> list[str]:
        """Return the products, best first."""
        ...


@dataclass(frozen=True, slots=True)
class Run:
    """Product ids by query id, best first. A query that found nothing has an empty ranking."""

    rankings: Mapping[str, tuple[str, ...]]
    tag: str = "daogou"


def make_run(
    searcher: Searcher, queries: Mapping[str, str], depth: int = 100, tag: str = "daogou", alpha: float | None = None
) -> Run:
    """Search every query and return the first ``depth`` products of each, in the order the searcher gave them.

    ``alpha`` overrides the searcher's own weight of meaning against words.

    Raises:
        EvaluationError: a query cannot be asked, the depth is below 1, or a product came twice.
    """
    if depth < 1:
        raise EvaluationError(f"A run of depth {depth} holds nothing. Use 100.")
    return Run({qid: _ranking(searcher, qid, query, depth, alpha) for qid, query in queries.items()}, tag)


def make_pool_run(
    orderer: Orderer, queries: Mapping[str, str], qrels: Qrels, known: Collection[str], tag: str = "daogou"
) -> Run:
    """Put the judged products of every query in order, those that are ``known`` to the orderer."""
    pools = {qid: sorted(i for i in qrels.get(qid, {}) if i in known) for qid in queries}
    return Run({qid: tuple(orderer.order(queries[qid], pool)) for qid, pool in pools.items() if pool}, tag)


def _ranking(searcher: Searcher, qid: str, query: str, depth: int, alpha: float | None) -> tuple[str, ...]:
    per_page = min(depth, _PAGE)
    found: list[str] = []
    for page in range(1, math.ceil(depth / per_page) + 1):
        try:
            request = SearchRequest.model_validate({"q": query, "page": page, "per_page": per_page, "alpha": alpha})
        except ValidationError as error:
            reason = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise EvaluationError(f"Query {qid!r} cannot be searched. {reason}.") from error
        hits = searcher.search(request).hits
        found.extend(str(hit.document["id"]) for hit in hits)
        if len(hits) < per_page:
            break
    if len(set(found)) < len(found):
        twice = next(product for rank, product in enumerate(found) if product in found[:rank])
        raise EvaluationError(
            f"Query {qid!r} returned product {twice!r} twice. The pages of a search must not overlap."
        )
    return tuple(found[:depth])


def write_run(run: Run, path: Path, tag: str = "") -> None:
    """Write the run as a TREC file. An empty ``tag`` keeps the run's own; queries without results take no line.

    Raises:
        EvaluationError: an id or the tag has white space, which the format cannot hold, or the file cannot be written.
    """
    tag = _word(tag or run.tag, "run tag")
    lines = [
        f"{_word(qid, 'query id')} Q0 {_word(product, 'product id')} {rank} {len(ranking) - rank + 1} {tag}\n"
        for qid, ranking in run.rankings.items()
        for rank, product in enumerate(ranking, start=1)
    ]
    write_text(path, "".join(lines))


def read_run(path: Path) -> Run:
    """Return the run in a TREC file, whichever tool wrote it.

    Raises:
        EvaluationError: the file cannot be read, a line is malformed, or a product comes twice for a query.
    """
    scores: dict[str, dict[str, float]] = {}
    first: dict[tuple[str, str], int] = {}
    tag = ""
    for number, text in numbered_lines(path):
        cells = text.split()
        if len(cells) != 6:
            raise EvaluationError(
                f"{path}, line {number}: expected 6 columns (query id, Q0, product id, rank, score, tag), "
                f"found {len(cells)}."
            )
        qid, _, product, _, score, tag_here = cells
        if (qid, product) in first:
            raise EvaluationError(
                f"{path}, line {number}: product {product!r} was already returned for query {qid!r} on line "
                f"{first[qid, product]}. A run lists each product once a query."
            )
        first[qid, product] = number
        scores.setdefault(qid, {})[product] = _score(score, path, number)
        tag = tag or tag_here
    if not scores:
        raise EvaluationError(f"{path} holds no result. A run has lines of query id, Q0, product id, rank, score, tag.")
    rankings = {
        qid: tuple(product for _, product in sorted((-score, product) for product, score in found.items()))
        for qid, found in scores.items()
    }
    return Run(rankings, tag)


def _score(text: str, path: Path, number: int) -> float:
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if math.isnan(score):
        raise EvaluationError(f"{path}, line {number}: the score {text!r} is not a number that can be ordered.")
    return score


def _word(text: str, what: str) -> str:
    if len(text.split()) != 1 or text != text.strip():
        raise EvaluationError(
            f"The {what} {text!r} is empty or has white space in it, which a TREC run cannot hold. Use one without."
        )
    return text
