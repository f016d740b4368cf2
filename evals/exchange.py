"""Judgements and queries as other tools keep them: Quepid, and OpenSearch's Search Relevance Workbench.

In: a file that the other tool exported, or queries with judgements. Out: :class:`~evals.adapters.Converted`, or files the
other tool imports. Both tools know a query by its text alone, so queries are numbered in the order they come.

* **Quepid**, ratings as CSV: ``query,docid,rating``, a query without ratings being a line of its text alone. As Quepid does,
  a query that a spreadsheet would take for a formula is written with a space in front, which reading takes off again.
* **OpenSearch**, JSON bodies of its REST API: ``query_sets`` with ``querySetQueries``, ``judgments`` of type
  ``IMPORT_JUDGMENT`` with ``judgmentRatings``. What its search or its own judges return holds the same parts deeper inside.

Ratings here are whole numbers. Fractions (OpenSearch's judges rate from 0 to 1) become hundredths, as a whole file, and
``Converted.scale`` says so.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from engine.errors import EvaluationError
from evals.adapters import Converted
from evals.evalsets import Qrels

__all__ = ["FORMATS", "read_judgements", "write_judgements"]

FORMATS = ("quepid", "opensearch")
_COLUMNS = ("query", "docid", "rating")
_FORMULA = ("=", "+", "-", "@")
_HUNDREDTHS = 100


def read_judgements(kind: str, source: Path) -> Converted:
    """Return the queries and judgements of a file that Quepid or OpenSearch exported.

    Raises:
        EvaluationError: the format is unknown, or the file is not of it.
    """
    found = Converted()
    numbers: dict[str, str] = {}
    rated: list[tuple[str, str, float]] = []
    for query, product, rating in _reader(kind)(source):
        text = " ".join(query.split())
        if not text:
            found.skipped["row without a query"] += 1
            continue
        qid = numbers.setdefault(text, f"q{len(numbers) + 1}")
        found.queries[qid] = text
        if not product:
            continue
        try:
            value = float(rating)
        except ValueError:
            found.skipped["rating is no number"] += 1
            continue
        if len(product.split()) != 1 or product != product.strip():
            found.skipped["product id with white space"] += 1
        elif not 0 <= value < 1e6:
            found.skipped["rating below 0 or beyond a million"] += 1
        else:
            rated.append((qid, product, value))
    if not found.queries:
        raise EvaluationError(f"{source} holds no query. Export the ratings of a case or a judgement list that has some.")
    whole = all(value.is_integer() for _, _, value in rated)
    found.scale = 1 if whole else _HUNDREDTHS
    for qid, product, value in rated:
        found.judge(qid, product, round(value * found.scale))
    return found


def write_judgements(kind: str, queries: Mapping[str, str], qrels: Qrels, out: Path, name: str = "daogou") -> list[Path]:
    """Write queries and judgements for the other tool into the folder ``out`` and return the files.

    Raises:
        EvaluationError: the format is unknown, or a file cannot be written.
    """
    if kind not in FORMATS:
        raise EvaluationError(f"There is no format {kind!r}. Known: {', '.join(FORMATS)}.")
    try:
        out.mkdir(parents=True, exist_ok=True)
        return _write_quepid(queries, qrels, out) if kind == "quepid" else _write_opensearch(queries, qrels, out, name)
    except OSError as error:
        raise EvaluationError(f"{out} cannot be written: {error.strerror or error}. Choose another folder.") from error


def _write_quepid(queries: Mapping[str, str], qrels: Qrels, out: Path) -> list[Path]:
    path = out / "quepid.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(_COLUMNS)
        for qid, text in queries.items():
            safe = f" {text}" if text.startswith(_FORMULA) else text
            rated = qrels.get(qid, {})
            rows.writerows([safe, product, rating] for product, rating in rated.items())
            if not rated:
                rows.writerow([safe])
    return [path]


def _write_opensearch(queries: Mapping[str, str], qrels: Qrels, out: Path, name: str) -> list[Path]:
    described = "Written by daogou"
    query_set = {
        "name": name,
        "description": described,
        "sampling": "manual",
        "querySetQueries": [{"queryText": text} for text in queries.values()],
    }
    judgments = {
        "name": name,
        "description": described,
        "type": "IMPORT_JUDGMENT",
        "judgmentRatings": [
            {
                "query": queries[qid],
                "ratings": [{"docId": product, "rating": f"{rating:.3f}"} for product, rating in rated.items()],
            }
            for qid, rated in qrels.items()
            if qid in queries and rated
        ],
    }
    files = {"query_set.json": query_set, "judgments.json": judgments}
    for file, body in files.items():
        (out / file).write_text(json.dumps(body, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return [out / file for file in files]


def _reader(kind: str) -> Any:
    readers = {"quepid": _quepid, "opensearch": _opensearch}
    if kind not in readers:
        raise EvaluationError(f"There is no format {kind!r}. Known: {', '.join(FORMATS)}.")
    return readers[kind]


def _quepid(source: Path) -> Iterator[tuple[str, str, str]]:
    """Yield query, product and rating; a book's columns may be named as in Quepid's longer exports."""
    try:
        with source.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.reader(stream)
            heads = [cell.strip().lower().replace(" ", "").replace("_", "") for cell in next(rows, [])]
            places = [next((heads.index(n) for n in names if n in heads), -1) for names in _NAMES]
            if -1 in places:
                missing = _COLUMNS[places.index(-1)]
                raise EvaluationError(f"{source} has no column {missing!r}. Export the ratings as CSV ({','.join(_COLUMNS)}).")
            for row in rows:
                if any(cell.strip() for cell in row):
                    query, product, rating = (row[p].strip() if p < len(row) else "" for p in places)
                    yield query, product, rating
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        raise EvaluationError(f"{source} cannot be read: {error}.") from error


_NAMES = (("query", "querytext"), ("docid",), ("rating",))


def _opensearch(source: Path) -> Iterator[tuple[str, str, str]]:
    """Yield query, product and rating from every ``judgmentRatings`` and ``querySetQueries`` of the JSON."""
    try:
        body = json.loads(source.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise EvaluationError(f"{source} is no JSON that can be read: {error}.") from error
    for part in _objects(body):
        for query in _list(part.get("querySetQueries")):
            yield str(query.get("queryText", "")), "", ""
        for query in _list(part.get("judgmentRatings")):
            for rated in _list(query.get("ratings")):
                yield str(query.get("query", "")), str(rated.get("docId", "")), str(rated.get("rating", ""))


def _list(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _objects(body: object) -> Iterator[dict[str, Any]]:
    """Yield every object of a JSON value, outermost first, in order."""
    waiting: list[object] = [body]
    while waiting:
        part = waiting.pop(0)
        if isinstance(part, dict):
            yield part
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
