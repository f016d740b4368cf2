"""Measure everything that a report shows.

In: an engine and an evaluation set. Out: plain JSON values, the one source of both the page and the JSON file. Each part is
measured by the module that owns it; what cannot be measured on this shop is left out by name in ``left_out``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from engine.engine import Engine
from engine.errors import EvaluationError
from engine.match import Calibration
from evals.accessories import score_accessories
from evals.calibration import fit_calibration, judged_signals, reliability, score_matching, score_suitable
from evals.compare import compare
from evals.evalsets import EvalSet
from evals.evaluate import Report, evaluate
from evals.measures import DECIDING, MIN_REL
from evals.robustness import score_robustness
from evals.run import Run, make_pool_run, make_run
from evals.slices import score_slices, with_misspelt
from evals.spelling import score_spelling
from evals.stats import holm
from evals.suites import code_suite, score_suite

__all__ = ["STEPS", "gather"]

STEPS = (
    "search", "ordering", "comparison", "kinds", "probabilities", "nothing suitable", "other writings", "model numbers", "devices",
    "spelling",
)  # fmt: skip
"""The parts of a report, in the order they are measured."""
_CODES = 200
_WORDS = 200


def gather(
    engine: Engine,
    evalset: EvalSet,
    *,
    view: str = "",
    min_rel: int = MIN_REL,
    others: Mapping[str, Run] | None = None,
    hopeless: Sequence[str] = (),
    advance: Callable[[str], None] = lambda step: None,
) -> dict[str, Any]:
    """Return the report's values. ``others`` are runs of other systems by name, to compare with.

    Raises:
        EvaluationError: the view is unknown, or nothing of it can be scored.
    """
    chosen = evalset.view(view)
    queries = {qid: text for qid, text in evalset.queries.items() if qid in chosen.qrels}
    known = engine.product_ids
    run = make_run(engine, evalset.queries)
    advance("search")
    scored = evaluate(run, evalset, min_rel=min_rel)
    ordered = evaluate(
        make_pool_run(engine, queries, chosen.qrels, known), evalset, views=[chosen.name], min_rel=min_rel, task="ranking"
    )
    advance("ordering")
    systems = {
        "words alone": make_run(engine, evalset.queries, alpha=0.0, tag="words alone"),
        "meaning alone": make_run(engine, evalset.queries, alpha=1.0, tag="meaning alone"),
        **(others or {}),
    }
    compared = _compared(systems, run, evalset, chosen.name, min_rel)
    advance("comparison")
    result = scored.view(chosen.name)
    kinds = with_misspelt(engine, evalset)
    values: dict[str, Any] = {
        "evalset": evalset.name,
        "view": chosen.name,
        "note": chosen.note,
        "min_rel": min_rel,
        "snapshot": engine.snapshot_id,
        "model": engine.model_name,
        "products": engine.product_count,
        "queries": len(result.scores.qids),
        "settings": {name: getattr(engine.settings, name) for name in ("alpha", "feedback", "min_relevance", "tail_relevance")},
        "retrieval": scored.to_dict(),
        "ranking": ordered.to_dict(),
        "compared": compared,
        "kinds": [kind.to_dict() for kind in score_slices(result, evalset.queries, chosen.qrels, kinds)],
        "per_query": _per_query(scored, evalset, chosen.name),
        "left_out": [],
    }
    advance("kinds")
    _part(values, "probabilities", lambda: _probabilities(engine, evalset, chosen.name, min_rel, known), advance)
    limit = engine.settings.min_relevance
    suitable = score_suitable(engine, queries, chosen.qrels, limit, min_rel, hopeless)
    values["nothing_suitable"] = suitable.to_dict() | {"limit": limit}
    advance("nothing suitable")
    _part(values, "other writings", lambda: score_robustness(engine, queries, chosen.qrels).to_dict(), advance)
    _part(values, "model numbers", lambda: score_suite(engine, code_suite(engine.products(), _CODES)).to_dict(), advance)
    _part(values, "devices", lambda: score_accessories(engine).to_dict(), advance)
    _part(values, "spelling", lambda: score_spelling(engine, engine.products(), _WORDS).to_dict(), advance)
    return values


def _part(values: dict[str, Any], name: str, measure: Callable[[], dict[str, Any]], advance: Callable[[str], None]) -> None:
    """Measure one part, or say why this shop has none."""
    try:
        values[name.replace(" ", "_")] = measure()
    except EvaluationError as error:
        values["left_out"].append({"part": name, "why": str(error)})
    advance(name)


def _compared(systems: Mapping[str, Run], run: Run, evalset: EvalSet, view: str, min_rel: int) -> list[dict[str, Any]]:
    """Return how each system does against the run, p values corrected for the number of systems (Holm)."""
    rows: list[dict[str, Any]] = []
    for name, other in systems.items():
        found = compare(other, run, evalset, view, min_rel=min_rel)
        measured = next(m for m in found.measures if m.measure == DECIDING)
        rows.append(
            {
                "system": name,
                "theirs": measured.mean_a,
                "ours": measured.mean_b,
                "difference": measured.difference.to_dict(),
                "p": measured.p,
                "wins": measured.wins,
                "losses": measured.losses,
                "ties": measured.ties,
                "warnings": list(found.warnings),
            }
        )
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = p
    return rows


def _per_query(report: Report, evalset: EvalSet, view: str) -> list[dict[str, Any]]:
    result = report.view(view)
    rows = zip(result.scores.qids, result.scores.column(DECIDING), result.scores.possible[:, 0], strict=True)
    return [
        {
            "qid": qid,
            "query": evalset.queries.get(qid, ""),
            DECIDING: round(float(value), 4),
            "possible": bool(possible),
            "returned": len(report.run.rankings.get(qid, ())),
        }
        for qid, value, possible in rows
    ]


def _probabilities(engine: Engine, evalset: EvalSet, view: str, min_rel: int, known: frozenset[str]) -> dict[str, Any]:
    judged = judged_signals(engine, evalset.queries, evalset.view(view).qrels, min_rel, known)
    used = Calibration(*engine.settings.calibration)
    matching = score_matching(used, judged, engine.settings.tail_relevance)
    return matching.to_dict() | {
        "bins": [{"said": said, "true": true, "share": share} for said, true, share in reliability(used, judged)],
        "fitted": list(fit_calibration(judged).weights),
    }
