"""A robustness set made from any catalogue alone: needs, what answers them, and the same needs in every other form.

In: products. Out: :class:`RobustnessSet`, as values or as a folder that ``daogou eval`` reads too. A need is the first words of a
product's title, with a measure where the title has one; what answers it is every product whose title has all of those words,
found by comparing each title, so no search engine is asked. Model numbers come in their own written forms. Chosen by a seed
and by which products there are, not by their order. Knows nothing of engines.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from engine.errors import EvaluationError
from engine.language import Word, is_stop, stem, words
from engine.query.spans import overlaps
from engine.schema import Product
from engine.units import find_quantities
from evals.evalsets import Qrels, load_qrels, load_queries, write_qrels, write_queries
from evals.lines import write_text
from evals.robustness import FORMS, variants
from evals.suites import code_suite

__all__ = ["RobustnessSet", "catalogue_set", "read_set", "write_set"]

_RATING = 3
_MOST_ANSWERS = 20
_MOST_WORDS = 3
_LEAST = 2


@dataclass(slots=True)
class RobustnessSet:
    """``forms`` are the changed queries of each form, by query id; ids starting with ``c`` ask for a model number."""

    queries: dict[str, str] = field(default_factory=dict)
    qrels: dict[str, dict[str, int]] = field(default_factory=dict)
    forms: dict[str, dict[str, str]] = field(default_factory=dict)


def catalogue_set(products: Iterable[Product], n: int, seed: int = 0) -> RobustnessSet:
    """Return ``n`` needs, or as many as the titles give, and ``n // 4`` model numbers, in every form.

    Raises:
        EvaluationError: ``n`` is below 1, or no title gives a need.
    """
    if n < 1:
        raise EvaluationError(f"A set of {n} needs asks nothing. Use 200.")
    # judgements of an id with white space in it cannot be written
    known = sorted((p for p in products if len(p.id.split()) == 1), key=lambda product: product.id)
    having: defaultdict[str, set[str]] = defaultdict(set)
    for product in known:
        for word in words(product.title):
            having[_key(word)].add(product.id)
    made = RobustnessSet()
    seen: set[str] = set()
    for product in random.Random(seed).sample(known, len(known)):
        text = _need(product.title)
        keys = {_key(word) for word in words(text)}  # as the need alone is cut into words, which in Chinese may differ
        answers = set.intersection(*(having[key] for key in keys)) if keys else set()
        if len(keys) < _LEAST or text.casefold() in seen or product.id not in answers or len(answers) > _MOST_ANSWERS:
            continue
        seen.add(text.casefold())
        qid = f"n{len(made.queries) + 1:04d}"
        made.queries[qid] = text
        made.qrels[qid] = dict.fromkeys(sorted(answers), _RATING)
        if len(made.queries) == n:
            break
    if not made.queries:
        raise EvaluationError("No title gives a need of two words that at most twenty products answer.")
    made.forms = {form: changed for form in FORMS if (changed := variants(made.queries, form, seed))}
    _add_codes(made, known, max(1, n // 4), seed)
    return made


def _key(word: Word) -> str:
    return word.text if word.han else stem(word.text)


def _need(title: str) -> str:
    """Return the first words of a title that carry a need, with its first measure; empty where there are none."""
    found = words(title)
    carrying = [i for i, w in enumerate(found) if not is_stop(w) and len(w.text) > 1 and not any(c.isdigit() for c in w.text)]
    chosen = carrying[:_MOST_WORDS]
    if not chosen:
        return ""
    text = title[found[chosen[0]].start : found[chosen[0]].end]
    for before, i in pairwise(chosen):
        text += ("" if found[before].end == found[i].start else " ") + title[found[i].start : found[i].end]
    for start, end, _ in find_quantities(title):
        if not overlaps(start, end, [(found[i].start, found[i].end) for i in chosen]):
            return f"{text} {title[start:end]}"
    return text


def _add_codes(made: RobustnessSet, products: Sequence[Product], n: int, seed: int) -> None:
    """Add model numbers: as the catalogue writes them, and in the other written forms."""
    try:
        asked = code_suite(products, n, seed)
    except EvaluationError:  # a shop without model numbers
        return
    for query in asked:
        qid = query.qid.split("-", 1)[0]
        if query.form == "as-is":
            made.queries[qid] = query.query
            made.qrels[qid] = dict.fromkeys(sorted(query.accepted), _RATING)
        else:
            made.forms.setdefault(f"code-{query.form}", {})[qid] = query.query


def write_set(made: RobustnessSet, folder: Path) -> None:
    """Write ``queries.tsv``, ``qrels.txt`` and ``queries.FORM.tsv`` for each form.

    Raises:
        EvaluationError: a file cannot be written.
    """
    write_queries(folder / "queries.tsv", made.queries)
    write_qrels(folder / "qrels.txt", made.qrels)
    for form, changed in made.forms.items():
        # as they are: white space is what one of the forms changes
        write_text(folder / f"queries.{form}.tsv", "".join(f"{qid}\t{text}\n" for qid, text in changed.items()))


def read_set(folder: Path) -> RobustnessSet:
    """Return the set in a folder; white space at the ends of a query is not kept in a file.

    Raises:
        EvaluationError: the folder holds no such set, or a form changes a query that is not in it.
    """
    files = sorted(folder.glob("queries.?*.tsv"))
    if not files or not (folder / "qrels.txt").is_file():
        raise EvaluationError(f"{folder} holds no robustness set. Make one with `daogou variants {folder}`.")
    qrels: Qrels = load_qrels(folder / "qrels.txt")
    made = RobustnessSet(load_queries(folder / "queries.tsv"), {qid: dict(rated) for qid, rated in qrels.items()})
    for file in files:
        changed = load_queries(file)
        if unknown := sorted(set(changed) - set(made.queries)):
            raise EvaluationError(f"{file} changes the query {unknown[0]!r}, which {folder / 'queries.tsv'} does not have.")
        made.forms[file.name.removeprefix("queries.").removesuffix(".tsv")] = changed
    return made
