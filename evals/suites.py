"""Behaviour suites: queries whose right answers a catalogue itself knows, so nobody has to judge them.

In: products, then a searcher. Out: a list of :class:`CodeQuery`, then a :class:`SuiteReport` with RR@10 for each
written form. Knows nothing of indexing. The only suite so far is model numbers as shoppers write them.

A model number here is ``mpn`` with a digit in it, without white space, and four to 64 letters and digits long: feeds
also put long product names into that field, and searching those is another matter. Two model numbers are the same when
their letters and digits are, whatever their case. A written form is asked only where it differs from those before it.
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from engine.errors import EvaluationError
from engine.schema import Product, SearchRequest
from evals.run import Searcher
from evals.stats import RESAMPLES, Estimate, bootstrap_mean

__all__ = ["FORMS", "CodeQuery", "SuiteReport", "code_suite", "normalise_code", "render", "score_suite"]

FORMS = ("as-is", "lower", "no-hyphen", "spaced", "with-brand")
"""The written forms of a model number, in the order they are asked."""

_MIN_LENGTH = 4
_MAX_LENGTH = 64
_HYPHENS = re.compile(r"[-\u2010-\u2015\u2212]")
_BOUNDARY = re.compile(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")
_CUTOFF = 10


@dataclass(frozen=True, slots=True)
class CodeQuery:
    """One query for a model number, and every product that carries it."""

    qid: str
    form: str
    query: str
    accepted: frozenset[str]


@dataclass(frozen=True, slots=True)
class SuiteReport:
    """RR@10 of each form, of all queries together, and the queries whose product was not in the first ten."""

    forms: tuple[tuple[str, Estimate], ...]
    overall: Estimate
    not_found: tuple[CodeQuery, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        return {
            "measure": f"RR@{_CUTOFF}",
            "overall": self.overall.to_dict(),
            "forms": {form: estimate.to_dict() for form, estimate in self.forms},
            "not_found": [{"qid": query.qid, "form": query.form, "query": query.query} for query in self.not_found],
        }


def normalise_code(text: str) -> str:
    """Return the letters and digits of a code, compatibility-folded (NFKC) and case-folded."""
    return "".join(char for char in unicodedata.normalize("NFKC", text).casefold() if char.isalnum())


def code_suite(products: Iterable[Product], n: int, seed: int = 0) -> list[CodeQuery]:
    """Return queries in every written form for ``n`` model numbers, or for all when there are fewer.

    The choice depends on the seed and on which products there are, not on their order.

    Raises:
        EvaluationError: ``n`` is below 1, or no product has a model number.
    """
    if n < 1:
        raise EvaluationError(f"A suite of {n} model numbers asks nothing. Use 200.")
    carriers: defaultdict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for product in products:
        code = product.mpn.strip()
        key = normalise_code(code)
        if _MIN_LENGTH <= len(key) <= _MAX_LENGTH and len(code.split()) == 1 and any(map(str.isdigit, key)):
            carriers[key].append((product.id, code, product.brand))
    if not carriers:
        raise EvaluationError(
            "No product has a model number (mpn) with a digit and at least four characters to ask for."
        )
    keys = sorted(carriers)
    chosen = sorted(random.Random(seed).sample(keys, min(n, len(keys))))
    return [query for number, key in enumerate(chosen, start=1) for query in _forms(f"c{number:04d}", carriers[key])]


def _forms(qid: str, carriers: Sequence[tuple[str, str, str]]) -> list[CodeQuery]:
    _, code, brand = min(carriers)  # written as the product with the smallest id writes it, whatever the feed's order
    texts = (
        code,
        code.lower(),
        _HYPHENS.sub("", code),
        _BOUNDARY.sub(" ", code),
        f"{brand} {code}" if brand else code,
    )
    accepted = frozenset(product_id for product_id, _, _ in carriers)
    queries: dict[str, CodeQuery] = {}
    for form, text in zip(FORMS, texts, strict=True):
        queries.setdefault(text, CodeQuery(f"{qid}-{form}", form, text, accepted))
    return list(queries.values())


def score_suite(
    searcher: Searcher, suite: Sequence[CodeQuery], *, resamples: int = RESAMPLES, seed: int = 0
) -> SuiteReport:
    """Ask every query of the suite and return the mean reciprocal rank, cut at ten, of each form.

    Raises:
        EvaluationError: the suite is empty.
    """
    if not suite:
        raise EvaluationError("The suite has no query. Make one from a catalogue with model numbers.")
    values = np.array([_reciprocal_rank(searcher, query) for query in suite], dtype=np.float64)
    forms = np.array([query.form for query in suite])
    present = [form for form in dict.fromkeys((*FORMS, *forms.tolist())) if (forms == form).any()]
    return SuiteReport(
        tuple((form, bootstrap_mean(values[forms == form], resamples=resamples, seed=seed)) for form in present),
        bootstrap_mean(values, resamples=resamples, seed=seed),
        tuple(query for query, value in zip(suite, values, strict=True) if value == 0),
    )


def _reciprocal_rank(searcher: Searcher, query: CodeQuery) -> float:
    hits = searcher.search(SearchRequest.model_validate({"q": query.query, "per_page": _CUTOFF})).hits
    ranks = (rank for rank, hit in enumerate(hits, start=1) if hit.document["id"] in query.accepted)
    return next((1 / rank for rank in ranks), 0.0)


def render(report: SuiteReport, console: Console) -> None:
    """Print the mean of each form with its interval, and some of the queries that failed."""
    table = Table(title=f"Model numbers, MRR@{_CUTOFF}", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("form")
    for heading in ("mean", "95 %", "n"):
        table.add_column(heading, justify="right", no_wrap=True)
    for form, estimate in (*report.forms, ("all", report.overall)):
        table.add_row(form, f"{estimate.mean:.3f}", f"{estimate.low:.3f}-{estimate.high:.3f}", str(estimate.n))
    console.print(table)
    for query in report.not_found[:10]:
        console.print(f"  not in the first {_CUTOFF}: {escape(query.query)} ({query.form})")
    if len(report.not_found) > 10:
        console.print(f"  and {len(report.not_found) - 10} more.")
