"""May a shop change to this encoder? Two engines over the same products, compared where a change could do harm.

In: the engine that serves and the one that would, judged queries where there are any, and other shops' catalogues with their
judgements. Out: a :class:`GuardedSlice` for each kind of query. Whole searches are compared and not vectors alone: an encoder
that finds more by itself may take from a search what words added to it. Without judgements a catalogue still knows the
answers to needs made from its titles, to model numbers, and to both misspelt. Knows nothing of how a snapshot is made.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.encoder.source import GATE, TRAINING, find_source
from engine.engine import Engine
from engine.errors import EvaluationError, GateError
from evals.catalogue import catalogue_set
from evals.evalsets import EvalSet, Qrels, load_evalset
from evals.lines import write_text
from evals.measures import DECIDING, score_queries
from evals.run import make_run
from evals.stats import Estimate, paired_difference, randomisation_test
from indexer.reindex import reindex

__all__ = ["Guard", "GuardedSlice", "check_slices", "compare_engines", "opened_guards", "save_slices"]

_NEEDS = 200
_DEPTH = 100
_LEVEL = 0.05
_CODE = "c"
"""What the ids of a catalogue set's model numbers begin with."""


@dataclass(frozen=True, slots=True)
class Guard:
    """Judged queries and the engines they are asked of: the shop's own, or another catalogue's embedded by both encoders."""

    name: str
    before: Engine
    after: Engine
    evalset: EvalSet


@dataclass(frozen=True, slots=True)
class GuardedSlice:
    """Mean nDCG@10 of a kind of query with either engine, the gain with its interval, and the p value of no difference."""

    name: str
    before: float
    after: float
    gain: Estimate
    p: float

    @property
    def worse(self) -> bool:
        """Whether the new engine is worse by more than chance explains."""
        return self.gain.mean < 0 and self.p < _LEVEL

    def to_dict(self) -> dict[str, Any]:
        """Return the slice as plain JSON values."""
        return {
            "slice": self.name,
            "before": round(self.before, 4),
            "after": round(self.after, 4),
            "gain": self.gain.to_dict(),
            "p": round(self.p, 4),
            "worse": self.worse,
        }


def compare_engines(before: Engine, after: Engine, guards: Sequence[Guard] = (), seed: int = 0) -> list[GuardedSlice]:
    """Return every slice that there are queries for: made from the products both have, then those of the ``guards``."""
    slices = list(_catalogue_slices(before, after, seed))
    for guard in guards:
        for name, queries, qrels in _judged_slices(guard):
            slices += _slice(f"{guard.name}: {name}", guard.before, guard.after, queries, qrels, seed, condensed=True)
    return slices


def check_slices(slices: Sequence[GuardedSlice], model: str) -> None:
    """Refuse a model that is worse on any slice.

    Raises:
        GateError: it is; with the figures.
    """
    worse = [s for s in slices if s.worse]
    if worse:
        told = "; ".join(f"{s.name} {s.before:.3f} → {s.after:.3f} (p {s.p:.3f}, {s.gain.n} queries)" for s in worse)
        raise GateError(
            f"The encoder {model!r} is worse than the one that serves, by nDCG@10: {told}. Nothing was published. Train it with "
            "more of what it lost or keep less of what it learned (--share), or index with --accept-worse."
        )


def save_slices(slices: Sequence[GuardedSlice], before: Engine, after: Engine) -> None:
    """Write the slices beside the card of the new engine's encoder, where that was trained here: a model goes with what is known
    of it, also where it was refused."""
    folder = Path(after.model_source.model)
    if after.model_source.model and (folder / TRAINING).is_file() and os.access(folder, os.W_OK):
        told = {
            "compared_with": before.model_name,
            "measure": DECIDING,
            "products": after.product_count,
            "slices": [s.to_dict() for s in slices],
        }
        write_text(folder / GATE, json.dumps(told, indent=2, ensure_ascii=False) + "\n")


@contextmanager
def opened_guards(folders: Sequence[Path], before: Engine, after: Engine) -> Iterator[list[Guard]]:
    """Give a guard for each folder of judged queries. One with a feed of its own (``feed.*`` or ``catalogue.*``) is another
    catalogue, which both encoders embed meanwhile.

    Raises:
        EvaluationError: a folder holds no judged queries.
        EncoderError: the encoder that serves is no longer there to embed with.
    """
    with tempfile.TemporaryDirectory(prefix="daogou-guard-") as work:
        guards = []
        for number, folder in enumerate(folders):
            evalset = load_evalset(folder)
            feeds = sorted(p for name in ("feed", "catalogue") for p in folder.glob(f"{name}.*"))
            one, other = before, after
            if feeds:
                one, other = (_indexed(feeds[0], Path(work) / f"{number}-{i}", e) for i, e in enumerate((before, after)))
            guards.append(Guard(folder.name, one, other, evalset))
        yield guards


def _indexed(feed: Path, store: Path, like: Engine) -> Engine:
    """Return an engine over another catalogue with the encoder of ``like``."""
    source = like.model_source
    if source.files and dict(find_source(source.model).files) != dict(source.files):
        raise EvaluationError(
            f"The encoder that serves, {like.model_name!r}, is no longer what {source.model or 'the default model'!r} names, so it "
            "cannot embed another catalogue. Leave out the guards that have a feed."
        )
    settings = like.settings.model_copy(update={"store": store, "model": source.model})
    reindex(feed, settings)
    return Engine.open(settings)


def _catalogue_slices(before: Engine, after: Engine, seed: int) -> Iterator[GuardedSlice]:
    known = set(before.product_ids)
    try:
        made = catalogue_set((p for p in after.products() if p.id in known), _NEEDS, seed)
    except EvaluationError:  # a catalogue too small or too plain to ask anything of
        return
    qrels: Qrels = made.qrels
    texts: dict[str, dict[str, str]] = {"needs": {}, "typos": {}, "model numbers": {}}
    answers: dict[str, dict[str, Mapping[str, int]]] = {name: {} for name in texts}

    def ask(name: str, form: str, qid: str, text: str) -> None:
        texts[name][f"{form} {qid}"] = text
        answers[name][f"{form} {qid}"] = qrels[qid]

    for qid, text in made.queries.items():
        ask("model numbers" if qid.startswith(_CODE) else "needs", "plain", qid, text)
    for form, changed in made.forms.items():
        for qid, text in changed.items():
            if form.startswith("typo"):
                ask("typos", form, qid, text)
            elif form.startswith("code"):
                ask("model numbers", form, qid, text)
    for name in texts:
        yield from _slice(name, before, after, texts[name], answers[name], seed, condensed=False)


def _judged_slices(guard: Guard) -> Iterator[tuple[str, Mapping[str, str], Qrels]]:
    """Yield all judged queries that have an answer, then those of each kind the set names."""
    qrels = guard.evalset.view("").qrels
    queries = {qid: text for qid, text in guard.evalset.queries.items() if any(r > 0 for r in qrels.get(qid, {}).values())}
    yield "all", queries, qrels
    kinds = sorted({kind for qid in queries for kind in guard.evalset.kinds.get(qid, ())})
    for kind in kinds:
        yield kind, {qid: text for qid, text in queries.items() if kind in guard.evalset.kinds.get(qid, ())}, qrels


def _slice(
    name: str, before: Engine, after: Engine, queries: Mapping[str, str], qrels: Qrels, seed: int, condensed: bool
) -> Iterator[GuardedSlice]:
    """Yield the slice, where it has a query. What people did not rate is taken out of both rankings first (``condensed``):
    another encoder brings up others, whom nobody rated."""
    if not queries:
        return
    one, other = (_scores(engine, queries, qrels, condensed) for engine in (before, after))
    gain, p = paired_difference(one, other, seed=seed), randomisation_test(one, other, seed=seed)
    yield GuardedSlice(name, float(one.mean()), float(other.mean()), gain, p)


def _scores(engine: Engine, queries: Mapping[str, str], qrels: Qrels, condensed: bool) -> NDArray[np.float64]:
    rankings = make_run(engine, queries, depth=_DEPTH).rankings
    return score_queries(rankings, {q: qrels[q] for q in queries}, min_rel=1, condensed=condensed).column(DECIDING)
