"""A table of judged pairs, whatever its columns are called: a query, a product's title and a grade a line.

In: a CSV or TSV file, plain or gzipped. Out: products, queries and ratings from 0 to 3: grades are stretched so that the lowest is
0 and the highest 3. A product without an id of its own is known by its title. Knows nothing of engines.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from engine.errors import EvaluationError

__all__ = ["judged_pairs"]

_FIELD = 10_000_000
_PAIR_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "query": ("query", "search_term", "search_query", "keyword", "q"),
    "title": ("product_title", "title", "product_name", "product", "name", "document", "text"),
    "grade": ("grade", "relevance", "rating", "label", "score", "median_relevance", "gain"),
}
_PAIR_IDS = ("product_id", "product_uid", "id_product", "sku", "item_id", "asin")


def judged_pairs(
    source: Path, judge: Callable[[str, str, int], None], queries: dict[str, str], skipped: Counter[str]
) -> Iterator[dict[str, Any]]:
    """Yield the products of a table of judged pairs; fill in queries by id, and tell ``judge`` query id, product and rating.

    Raises:
        EvaluationError: the file cannot be read, or a needed column is missing.
    """
    rows = list(_delimited(source))
    plain = {name.strip().lower().replace(" ", "_"): name for name in (rows[0] if rows else ())}
    columns = {part: plain[n] for part, names in _PAIR_COLUMNS.items() if (n := next((n for n in names if n in plain), ""))}
    if missing := [part for part in _PAIR_COLUMNS if part not in columns]:
        known = ", ".join(_PAIR_COLUMNS[missing[0]])
        raise EvaluationError(f"{source} has no column for the {missing[0]}. Call one of its columns {known}.")
    product_id = next((plain[name] for name in _PAIR_IDS if name in plain), "")
    grades: list[tuple[str, str, float]] = []
    titles: dict[str, str] = {}
    for row in rows:
        query, title = (" ".join((row.get(columns[part]) or "").split()) for part in ("query", "title"))
        try:
            grade = float(row.get(columns["grade"]) or "")
        except ValueError:
            grade = math.nan
        if not query or not title or not math.isfinite(grade):
            skipped["pair without a query, a title or a grade"] += 1
            continue
        own = "-".join((row.get(product_id) or "").split()) if product_id else ""
        product = own or hashlib.sha256(title.encode()).hexdigest()[:16]
        titles.setdefault(product, title)
        grades.append((query, product, grade))
    if not grades:
        raise EvaluationError(f"{source} has no line with a query, a title and a grade.")
    low, high = (choose(grade for _, _, grade in grades) for choose in (min, max))
    numbers: dict[str, str] = {}
    for query, product, grade in grades:
        qid = numbers.setdefault(query, f"p{len(numbers) + 1}")
        queries[qid] = query
        judge(qid, product, round(3 * (grade - low) / (high - low)) if high > low else 3)
    for product, title in titles.items():
        yield {"id": product, "title": title}


def _delimited(path: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of a table, whose delimiter is what its first line has most of."""
    csv.field_size_limit(_FIELD)
    try:
        with gzip.open(path, "rt", encoding="utf-8", errors="replace") if path.suffix == ".gz" else path.open(
            encoding="utf-8-sig", errors="replace", newline=""
        ) as stream:
            first = stream.readline()
            names = next(csv.reader([first], delimiter=(delimiter := max("\t,;", key=first.count))), [])
            yield from csv.DictReader(stream, names, delimiter=delimiter)
    except (OSError, EOFError, csv.Error) as error:
        raise EvaluationError(f"{path} cannot be read: {error}. Give a CSV or TSV file.") from error
