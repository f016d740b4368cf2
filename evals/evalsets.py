"""Queries with judgements, read from a folder and looked at from several sides.

In: a folder, either ``queries.tsv`` with ``qrels.txt`` (and ``qrels.NAME.txt``), or the Icecat development folder.
Out: an :class:`EvalSet`; its :meth:`~EvalSet.views` say which judgements to score with and whether to condense.
Knows nothing of runs, measures or engines.

A set of judgements called ``completed`` holds human judgements *plus* machine judgements of pairs no human rated.
Figures from it are always marked; it has no condensed view, which exists for sparse human judgements.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.errors import EvaluationError
from evals.lines import numbered_lines, write_text

__all__ = [
    "MACHINE_NOTE",
    "EvalSet",
    "Qrels",
    "View",
    "load_evalset",
    "load_kinds",
    "load_qrels",
    "load_queries",
    "write_qrels",
    "write_queries",
]

Qrels = Mapping[str, Mapping[str, int]]
"""Query id → product id → rating."""

MACHINE_NOTE = "includes machine judgements"
_MACHINE = frozenset({"completed"})
_CONDENSED_NOTE = "only rated products are kept in the run before scoring"


@dataclass(frozen=True, slots=True)
class View:
    """One way to score: which judgements, and whether unrated products are taken out of the run first."""

    name: str
    qrels: Qrels
    condensed: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class EvalSet:
    """Queries by id, and one or more sets of judgements by name, the main one first.

    ``kinds`` are kinds of queries that the set itself names (``slices.tsv``), such as head and tail of a shop's traffic.
    """

    name: str
    queries: Mapping[str, str]
    qrels: Mapping[str, Qrels]
    kinds: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def views(self) -> tuple[View, ...]:
        """Return every view, the main one first: each set of judgements as it is, then condensed."""
        views: list[View] = []
        for name, qrels in self.qrels.items():
            if name in _MACHINE:
                views.append(View(name, qrels, note=MACHINE_NOTE))
            else:
                views.append(View(name, qrels))
                views.append(View(f"{name}-condensed", qrels, condensed=True, note=_CONDENSED_NOTE))
        return tuple(views)

    def view(self, name: str = "") -> View:
        """Return the view of that name; an empty name is the main one.

        Raises:
            EvaluationError: there is no such view.
        """
        views = self.views()
        for view in views:
            if name in ("", view.name):
                return view
        known = ", ".join(view.name for view in views)
        raise EvaluationError(f"Evaluation set {self.name!r} has no view {name!r}. Choose one of: {known}.")


def load_queries(path: Path) -> dict[str, str]:
    """Return the queries of a TSV file, ``query id <TAB> query`` a line, in the file's order.

    Raises:
        EvaluationError: the file cannot be read, a line is malformed, or an id comes twice.
    """
    queries: dict[str, str] = {}
    first: dict[str, int] = {}
    for number, text in numbered_lines(path):
        cells = [cell.strip() for cell in text.split("\t")]
        if len(cells) != 2 or not all(cells):
            raise EvaluationError(
                f"{path}, line {number}: expected a query id, one tab and a query, found {_short(text)}. "
                "Write each query as id<TAB>query."
            )
        qid, query = cells
        if len(qid.split()) != 1:
            raise EvaluationError(f"{path}, line {number}: query id {qid!r} has white space in it. Remove it.")
        if qid in queries:
            raise EvaluationError(
                f"{path}, line {number}: query id {qid!r} was already used on line {first[qid]}. "
                "Give each query its own."
            )
        queries[qid], first[qid] = query, number
    if not queries:
        raise EvaluationError(f"{path} holds no query. Write each query as id<TAB>query.")
    return queries


def load_kinds(path: Path, queries: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the kinds of queries of a TSV file, ``query id <TAB> kind`` a line; a query may have several lines.

    Raises:
        EvaluationError: the file cannot be read, a line is malformed, or names a query that is not in ``queries``.
    """
    kinds: dict[str, list[str]] = {}
    for number, text in numbered_lines(path):
        cells = [cell.strip() for cell in text.split("\t")]
        if len(cells) != 2 or not all(cells) or cells[0] not in queries:
            raise EvaluationError(f"{path}, line {number}: expected the id of a query, one tab and a kind, found {_short(text)}.")
        kinds.setdefault(cells[0], []).append(cells[1])
    return kinds


def load_qrels(path: Path) -> dict[str, dict[str, int]]:
    """Return the judgements of a TREC file, ``query id, iteration, product id, rating`` a line.

    Raises:
        EvaluationError: the file cannot be read, a line is malformed, or a pair is judged twice.
    """
    qrels: dict[str, dict[str, int]] = {}
    first: dict[tuple[str, str], int] = {}
    for number, text in numbered_lines(path):
        cells = text.split()
        if len(cells) != 4:
            raise EvaluationError(
                f"{path}, line {number}: expected 4 columns (query id, 0, product id, rating), found {len(cells)} "
                f"in {_short(text)}."
            )
        qid, _, product, rating = cells
        if (qid, product) in first:
            raise EvaluationError(
                f"{path}, line {number}: product {product!r} was already judged for query {qid!r} on line "
                f"{first[qid, product]}. Keep one judgement of each pair."
            )
        try:
            qrels.setdefault(qid, {})[product] = int(rating)
        except ValueError as error:
            raise EvaluationError(
                f"{path}, line {number}: the rating {rating!r} is not a whole number. Use ratings such as 0, 1, 2, 3."
            ) from error
        first[qid, product] = number
    if not qrels:
        raise EvaluationError(f"{path} holds no judgement. Write each as query id, 0, product id, rating.")
    return qrels


def write_queries(path: Path, queries: Mapping[str, str]) -> None:
    """Write queries, and their folder, in the form :func:`load_queries` reads; white space in a query becomes one space.

    Raises:
        EvaluationError: the file cannot be written.
    """
    write_text(path, "".join(f"{qid}\t{' '.join(text.split())}\n" for qid, text in queries.items()), make_folder=True)


def write_qrels(path: Path, qrels: Qrels) -> None:
    """Write judgements in the form :func:`load_qrels` reads.

    Raises:
        EvaluationError: the file cannot be written.
    """
    lines = [f"{qid} 0 {product} {rating}\n" for qid, rated in qrels.items() for product, rating in rated.items()]
    write_text(path, "".join(lines))


def load_evalset(path: Path, queries: Path | None = None) -> EvalSet:
    """Return the evaluation set in a folder, recognised by the names of its files.

    ``queries`` takes the queries from another file with the same ids, for example the same needs in Chinese.

    Raises:
        EvaluationError: the folder is not an evaluation set, or a file in it cannot be used.
    """
    if not path.is_dir():
        raise EvaluationError(f"{path} is not a folder. Give a folder that holds queries.tsv and qrels.txt.")
    if (path / "queries.dev.tsv").is_file():
        query_file = path / "queries.dev.tsv"
        files = {"completed": path / "qrels.dev.completed.txt", "human": path / "qrels.dev.txt"}
    elif (path / "queries.tsv").is_file():
        query_file = path / "queries.tsv"
        named = {file.name.split(".", 1)[1].removesuffix(".txt"): file for file in sorted(path.glob("qrels.?*.txt"))}
        files = {"judged": path / "qrels.txt"} | {name: file for name, file in named.items() if name != "judged"}
    else:
        raise EvaluationError(
            f"{path} holds no evaluation set: there is neither queries.tsv (with qrels.txt) nor queries.dev.tsv "
            "(with qrels.dev.txt and qrels.dev.completed.txt) in it."
        )
    texts = load_queries(queries or query_file)
    qrels = {name: load_qrels(file) for name, file in files.items()}
    for name, file in files.items():
        if unknown := sorted(set(qrels[name]) - set(texts)):
            raise EvaluationError(
                f"{file} judges {len(unknown)} queries that {queries or query_file} does not have, {unknown[0]!r} "
                "first. Add their texts or take out their judgements."
            )
    name = path.resolve().name + (f":{queries.stem}" if queries else "")
    named_kinds = path / "slices.tsv"
    return EvalSet(name, texts, qrels, load_kinds(named_kinds, texts) if named_kinds.is_file() else {})


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
