"""Public test collections as their owners publish them, turned into a feed and an evaluation set.

In: the folder a user downloaded. Out: ``feed.jsonl`` for ``daogou index`` and ``queries.tsv`` with ``qrels.txt`` for
``daogou eval``. Rows that cannot be used are counted by reason, not dropped in silence. Knows nothing of engines.

* **WANDS** (Wayfair): ``query.csv``, ``product.csv``, ``label.csv``, tab-separated. Exact 2, Partial 1, Irrelevant 0.
* **ESCI** (Amazon Shopping Queries): ``shopping_queries_dataset_examples.parquet`` and ``…_products.parquet``. The gains are
  Exact 1, Substitute 0.1, Complement 0.01, Irrelevant 0, written as ratings 100, 10, 1, 0, since gains here are linear.
  The scorer published with the data swaps Substitute and Complement (amazon-science/esci-data, issue on gains); ours does not.
* **Multi-CPR** (Alibaba, e-commerce): ``corpus.tsv``, ``dev.query.txt``, ``qrels.dev.tsv``. One relevant passage a query: 1.
* **Home Depot** (Kaggle): ``train.csv`` and ``product_descriptions.csv``. Mean relevance 1 to 3 as ratings 0 to 3.
* **pairs**: any table of judged pairs (:mod:`evals.pairs`).
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq

from engine.errors import EvaluationError
from evals.evalsets import write_qrels, write_queries
from evals.lines import write_text
from evals.pairs import judged_pairs

__all__ = ["ADAPTERS", "ESCI_RATINGS", "Converted", "convert"]

ESCI_RATINGS: Mapping[str, int] = {"E": 100, "S": 10, "C": 1, "I": 0}
"""Gains 1, 0.1, 0.01 and 0 in hundredths."""

_WANDS_RATINGS = {"exact": 2, "partial": 1, "irrelevant": 0}
_FIELD = 10_000_000


@dataclass(slots=True)
class Converted:
    """What was read: products and judged queries written, and rows left out by reason. Ratings were multiplied by
    ``scale`` to be whole numbers; ``kinds`` are kinds of queries by id."""

    products: int = 0
    queries: dict[str, str] = field(default_factory=dict)
    qrels: dict[str, dict[str, int]] = field(default_factory=dict)
    skipped: Counter[str] = field(default_factory=Counter)
    scale: int = 1
    kinds: dict[str, str] = field(default_factory=dict)

    def judge(self, qid: str, product: str, rating: int) -> None:
        """Keep a judgement; the first of a pair wins."""
        rated = self.qrels.setdefault(qid, {})
        if product in rated:
            self.skipped["pair judged twice"] += 1
        else:
            rated[product] = rating

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as plain JSON values."""
        pairs = sum(map(len, self.qrels.values()))
        counts = {"products": self.products, "queries": len(self.queries), "pairs": pairs, "scale": self.scale}
        return counts | {"skipped": dict(self.skipped)}

    def write(self, out: Path) -> None:
        """Write ``queries.tsv`` and ``qrels.txt`` into a folder; queries that nobody judged are counted and left out."""
        judged = [qid for qid in self.queries if qid in self.qrels]
        self.skipped["query without a judgement"] += len(self.queries) - len(judged)
        self.skipped = +self.skipped
        self.queries = {qid: self.queries[qid] for qid in judged}
        write_queries(out / "queries.tsv", self.queries)
        write_qrels(out / "qrels.txt", {qid: self.qrels[qid] for qid in judged})
        if kinds := [f"{qid}\t{self.kinds[qid]}\n" for qid in judged if qid in self.kinds]:
            write_text(out / "slices.tsv", "".join(kinds))


def convert(kind: str, source: Path, out: Path, locale: str = "us") -> Converted:
    """Write the collection in ``source`` as a feed and an evaluation set into ``out`` and return what was read.

    ``locale`` chooses the part of ESCI: ``us``, ``es`` or ``jp``.

    Raises:
        EvaluationError: the kind is unknown, or a file is missing or has other columns than its owner publishes.
    """
    if kind not in ADAPTERS:
        raise EvaluationError(f"There is no adapter {kind!r}. Known: {', '.join(ADAPTERS)}.")
    found = Converted()
    out.mkdir(parents=True, exist_ok=True)
    with (out / "feed.jsonl").open("wb") as feed:
        for product in ADAPTERS[kind](source, found, locale):
            feed.write(orjson.dumps({k: v for k, v in product.items() if v}) + b"\n")
            found.products += 1
    found.write(out)
    return found


def _wands(source: Path, found: Converted, locale: str) -> Iterator[dict[str, Any]]:
    for row in _table(source / "query.csv", "\t", ("query_id", "query")):
        found.queries[row["query_id"]] = row["query"]
    for row in _table(source / "label.csv", "\t", ("query_id", "product_id", "label")):
        rating = _WANDS_RATINGS.get(row["label"].lower())
        if rating is None:
            found.skipped["unknown label"] += 1
        else:
            found.judge(row["query_id"], row["product_id"], rating)
    for row in _table(source / "product.csv", "\t", ("product_id", "product_name")):
        features = dict(_pairs(row.get("product_features") or ""))
        yield {
            **features,
            "id": row["product_id"],
            "title": row["product_name"],
            "description": row.get("product_description"),
            "product_type": (row.get("category hierarchy") or row.get("product_class") or "").replace(" / ", " > "),
        }


def _pairs(features: str) -> Iterator[tuple[str, str]]:
    """Yield the features of a WANDS product, ``name:value|name:value``."""
    for pair in features.split("|"):
        name, _, value = pair.partition(":")
        if name.strip() and value.strip():
            yield name.strip().replace(" ", "_"), value.strip()


def _esci(source: Path, found: Converted, locale: str) -> Iterator[dict[str, Any]]:
    examples = _parquet(source / "shopping_queries_dataset_examples.parquet")
    for row in examples:
        if row["product_locale"] != locale:
            continue
        rating = ESCI_RATINGS.get(row["esci_label"])
        if rating is None:
            found.skipped["unknown label"] += 1
            continue
        found.queries[str(row["query_id"])] = row["query"]
        found.judge(str(row["query_id"]), row["product_id"], rating)
    for row in _parquet(source / "shopping_queries_dataset_products.parquet"):
        if row["product_locale"] == locale:
            yield {
                "id": row["product_id"],
                "title": row["product_title"],
                "description": " ".join(filter(None, (row.get("product_bullet_point"), row.get("product_description")))),
                "brand": row.get("product_brand"),
                "color": row.get("product_color") or row.get("product_color_name"),
            }


def _multi_cpr(source: Path, found: Converted, locale: str) -> Iterator[dict[str, Any]]:
    for row in _plain(source / "dev.query.txt", 2):
        found.queries[row[0]] = row[1]
    for row in _plain(source / "qrels.dev.tsv", 4):
        found.judge(row[0], row[2], int(row[3]))
    for row in _plain(source / "corpus.tsv", 2):
        yield {"id": row[0], "title": row[1]}


def _home_depot(source: Path, found: Converted, locale: str) -> Iterator[dict[str, Any]]:
    descriptions = {
        row["product_uid"]: row["product_description"]
        for row in _table(source / "product_descriptions.csv", ",", ("product_uid", "product_description"))
    }
    numbers: dict[str, str] = {}
    titles: dict[str, str] = {}
    needed = ("product_uid", "product_title", "search_term", "relevance")
    for row in _table(source / "train.csv", ",", needed):
        qid = numbers.setdefault(row["search_term"], f"h{len(numbers) + 1}")
        found.queries[qid] = row["search_term"]
        titles.setdefault(row["product_uid"], row["product_title"])
        found.judge(qid, row["product_uid"], round((float(row["relevance"]) - 1) * 1.5))
    for product, title in titles.items():
        yield {"id": product, "title": title, "description": descriptions.get(product)}


ADAPTERS: Mapping[str, Callable[[Path, Converted, str], Iterator[dict[str, Any]]]] = {
    "wands": _wands,
    "esci": _esci,
    "multi-cpr": _multi_cpr,
    "home-depot": _home_depot,
    "pairs": lambda source, found, locale: judged_pairs(source, found.judge, found.queries, found.skipped),
}
"""Kind → reader: yields the products of a collection and fills in queries and judgements."""


def _table(path: Path, delimiter: str, needed: tuple[str, ...]) -> Iterator[dict[str, str]]:
    csv.field_size_limit(_FIELD)
    try:
        with path.open(encoding="utf-8", errors="replace", newline="") as stream:
            rows = csv.DictReader(stream, delimiter=delimiter)
            missing = [name for name in needed if name not in (rows.fieldnames or ())]
            if missing:
                raise EvaluationError(f"{path} has no column {missing[0]!r}. Give the file as its owner publishes it.")
            yield from rows
    except (OSError, csv.Error) as error:
        raise EvaluationError(f"{path} cannot be read: {error}.") from error


def _plain(path: Path, cells: int) -> Iterator[list[str]]:
    try:
        with path.open(encoding="utf-8") as stream:
            for number, line in enumerate(stream, 1):
                row = line.rstrip("\n").split("\t")
                if len(row) < cells:
                    raise EvaluationError(f"{path}, line {number}: {cells} tab-separated cells were expected.")
                yield row
    except (OSError, UnicodeDecodeError) as error:
        raise EvaluationError(f"{path} cannot be read: {error}.") from error


def _parquet(path: Path) -> Iterator[dict[str, Any]]:
    try:
        table = pq.ParquetFile(path)
    except OSError as error:
        raise EvaluationError(f"{path} cannot be read: {error}.") from error
    for batch in table.iter_batches(10_000):
        yield from batch.to_pylist()
