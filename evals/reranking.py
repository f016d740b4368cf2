"""Train a reranker, choose how many hits it puts in order and how much it counts, find out whether it pays, and write it down.

In: an open engine, examples of its catalogue, a recipe and a folder. Out: the folder :class:`~engine.reranker.Reranker` opens. A
reranker costs every search some milliseconds, so it is used only where whole searches get better by more than chance, on
queries that nothing was trained or chosen on, within the time the shop allows. What is measured is what would be served: the
exported graph, behind everything else a search does.
"""

from __future__ import annotations

import random
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from engine.encoder.card import describe
from engine.encoder.graph import export_module
from engine.encoder.quantise import quantise
from engine.encoder.source import languages_of, no_bars
from engine.engine import Engine
from engine.errors import EncoderError, TrainingError
from engine.pipeline import FirstHits
from engine.reranker import GRAPH, RERANKER, TOKENIZER, Reranker, RerankerCard, blended
from engine.schema import SearchRequest
from engine.train.examples import Example, ExampleSet
from engine.train.reranker import RerankerRecipe, TrainedReranker, train_reranker
from engine.train.steps import Step
from engine.train.world import device_count, run_together
from evals.encoders import rated_products
from evals.evalsets import Qrels
from evals.measures import DECIDING, score_queries
from evals.run import make_run
from evals.training import divided, free_place, hardware, put_in_place, refuse_users, thinned
from evals.tune import weigh_gain

__all__ = ["DEPTHS", "WEIGHTS", "train_and_weigh"]

DEPTHS = (10, 20, 50)
WEIGHTS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
_LISTED = 100
_CHOOSING, _TESTING, _TIMED, _COMPARED = 200, 500, 30, 20
"""Queries that depth and weight are chosen on, that the gain is measured on, that are timed, and compared with the original."""
_LONGEST = 512
"""A search takes no longer query."""
_LEVEL = 0.05
_MIN_AGREEMENT = 0.9
_BEST = 5


@dataclass(frozen=True, slots=True)
class _Asked:
    """One query: its first hits, and the probability of each of the first fifty."""

    query: str
    hits: FirstHits
    scores: Any


def train_and_weigh(
    engine: Engine,
    model: str,
    examples: ExampleSet,
    out: Path,
    recipe: RerankerRecipe,
    *,
    budget_ms: float,
    device: str = "auto",
    devices: int = 0,
    note: Callable[[str], None] = lambda line: None,
    advance: Callable[[Step], None] = lambda step: None,
) -> RerankerCard:
    """Train, export, choose, measure and write; return the card.

    Raises:
        EncoderError: there is no such model, or it cannot be a cross-encoder.
        TrainingError: ``out`` is taken, no query was kept back, the recipe cannot be used, or training diverged.
    """
    refuse_users(examples)
    if engine.settings.ranker:
        raise TrainingError("The setting `ranker` is in force, and a reranker cannot be served beside it. Unset it first.")
    if unread := sorted(set(engine.languages) - set(languages_of(model))):
        raise TrainingError(f"{model!r} is not known to read {', '.join(unread)}, which this shop does. Begin with another model.")
    place = free_place(out, device)
    engine = engine.with_reranker(None)
    test = _answerable(examples.test, _TESTING)
    learned, kept = divided(examples.train)
    valid = _answerable(kept, _CHOOSING)
    if not valid or not test:
        raise TrainingError("Too few queries to keep some back, by which to tell whether a reranker pays. Judge more.")
    started = time.monotonic()
    work = out.with_name(f"{out.name}.training")
    given = (model, replace(examples, train=_as_meant(engine, learned)), work, recipe)
    told = {"note": note, "advance": advance}
    trained = run_together(train_reranker, given, device_count(place, devices), place, told)
    trained.model.to("cpu")
    unfinished = out.with_name(f"{out.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    note("Exporting it, and trying it on queries kept back")
    languages = tuple(trained.figures["languages"])
    hits = {query: engine.first_hits(query, _LISTED, languages) for query in valid}
    card = _export(trained, engine.encoder_fingerprint, unfinished, list(hits.values())[:_COMPARED])
    reranker = Reranker(unfinished, card)
    asked = [_Asked(q, found, reranker.scores(found.query, found.texts[: DEPTHS[-1]])) for q, found in hits.items()]
    cost = _added_ms(engine, reranker, [q for q, found in hits.items() if len(found.texts) >= DEPTHS[-1]] or list(hits))
    card = _chosen(card, asked, valid, cost, budget_ms)
    if not card.verdict:
        card = _weighed(engine, reranker.with_card(card), test, cost[card.depth])
    with no_bars():
        trained.model.save_pretrained(unfinished / "model")
    trained.tokenizer.save_pretrained(unfinished / "model")
    (unfinished / RERANKER).write_text(card.model_dump_json(indent=2) + "\n", "utf-8")
    figures: dict[str, Any] = {
        **trained.figures,
        "data": examples.card,
        "loss": thinned(trained.losses),
        "hardware": hardware(place),
        "seconds": round(time.monotonic() - started, 1),
    }
    put_in_place(unfinished, out, work, figures)
    return card


def _answerable(examples: Sequence[Example], most: int) -> Qrels:
    """Return the ratings of at most ``most`` queries that have products of two ratings."""
    rated, _ = rated_products(examples)
    telling = sorted(query for query, own in rated.items() if len(set(own.values())) > 1 and len(query) <= _LONGEST)
    return {query: rated[query] for query in random.Random(0).sample(telling, min(most, len(telling)))}


def _as_meant(engine: Engine, examples: Sequence[Example]) -> list[Example]:
    """Return the examples with their queries as a search has them read."""
    meant = {q: engine.meant(q) or q for q in {e.query for e in examples}}
    return [replace(e, query=meant[e.query]) for e in examples]


def _export(trained: TrainedReranker, encoder: str, folder: Path, hits: Sequence[FirstHits]) -> RerankerCard:
    """Write graph and tokenizer as int8, or as float32 where int8 gives another order, and return the card so far."""
    from tokenizers import Tokenizer

    names = [n for n in ("input_ids", "attention_mask", "token_type_ids") if n in trained.tokenizer.model_input_names]
    trained.model.set_attn_implementation("eager")
    probe = trained.tokenizer(["a query", "another"], ["a text", "a text of another length"], padding=True, return_tensors="pt")
    full = folder / "full.onnx"
    export_module(_logits(trained.model, names), {name: probe[name] for name in names}, full, "score")
    Tokenizer.from_str(trained.tokenizer.backend_tokenizer.to_str()).save(str(folder / TOKENIZER))
    quantise(full, folder / GRAPH)
    card = RerankerCard(
        name=str(trained.figures["model"]),
        depth=DEPTHS[0],
        weight=WEIGHTS[0],
        max_tokens=trained.max_tokens,
        languages=tuple(trained.figures["languages"]),
        encoder=encoder,
    )
    agreement = _agreement(trained, Reranker(folder, card), hits)
    precision: Literal["int8", "fp32"] = "int8"
    if agreement < _MIN_AGREEMENT:
        full.replace(folder / GRAPH)
        precision, agreement = "fp32", _agreement(trained, Reranker(folder, card), hits)
        if agreement < _MIN_AGREEMENT:
            message = f"The reranker gives another order once exported: {agreement:.2f} of the five best are the same."
            raise EncoderError(f"{message} Choose another model.")
    full.unlink(missing_ok=True)
    files = {name: describe(folder / name) for name in (GRAPH, TOKENIZER)}
    return card.model_copy(update={"precision": precision, "agreement": round(agreement, 4), "files": files})


def _logits(model: Any, names: Sequence[str]) -> Any:
    import torch

    class Logits(torch.nn.Module):  # type: ignore[misc]
        """The named tensors in, one number a pair out."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *tensors: Any) -> Any:
            return self.model(**dict(zip(names, tensors, strict=True))).logits[:, 0]

    return Logits().eval()


def _agreement(trained: TrainedReranker, exported: Reranker, hits: Sequence[FirstHits]) -> float:
    shared = []
    for found in (found for found in hits if found.texts):
        texts = found.texts[: DEPTHS[1]]
        best = [set(np.argsort(-s.scores(found.query, texts), kind="stable")[:_BEST].tolist()) for s in (trained, exported)]
        shared.append(len(best[0] & best[1]) / len(best[0]))
    return float(np.mean(shared)) if shared else 0.0


def _added_ms(engine: Engine, reranker: Reranker, queries: Sequence[str]) -> dict[int, float]:
    """Return the median time, in ms, that putting so many hits in order adds to a search on this machine."""
    others = {d: engine.with_reranker(reranker.with_card(reranker.card.model_copy(update={"depth": d}))) for d in DEPTHS}
    took: defaultdict[int, list[float]] = defaultdict(list)
    for query in queries[:_TIMED]:
        request = SearchRequest(q=query)
        engine.search(request)  # the query's vector is known from here on, for all of them
        without = _ms(engine, request)
        for depth, other in others.items():
            took[depth].append(_ms(other, request) - without)
    return {depth: round(max(0.01, float(np.median(times))), 2) for depth, times in took.items()}


def _ms(engine: Engine, request: SearchRequest) -> float:
    started = time.perf_counter()
    engine.search(request)
    return 1000 * (time.perf_counter() - started)


def _chosen(
    card: RerankerCard, asked: Sequence[_Asked], qrels: Qrels, cost: Mapping[int, float], budget_ms: float
) -> RerankerCard:
    """Return the card with the depth and weight that are best within the budget; with a verdict where none helps."""
    affordable = [depth for depth in DEPTHS if cost[depth] <= budget_ms]
    if not affordable:
        least = cost[DEPTHS[0]]
        verdict = f"{DEPTHS[0]} hits take {least:.0f} ms of a search, more than the {budget_ms:g} ms allowed (--budget-ms)."
        return card.model_copy(update={"verdict": verdict, "added_ms": least})
    before = _ndcg(asked, qrels, 0, 0.0)
    tried = {(d, w): _ndcg(asked, qrels, d, w) for d in affordable for w in WEIGHTS}
    depth, weight = max(tried, key=lambda point: (round(tried[point], 4), -point[0], -point[1]))
    update: dict[str, Any] = {"depth": depth, "weight": weight, "added_ms": cost[depth]}
    if tried[depth, weight] <= before:
        update["verdict"] = f"searches were best without it on {len(asked)} queries kept back to choose (nDCG@10 {before:.3f})."
    return card.model_copy(update=update)


def _ndcg(asked: Sequence[_Asked], qrels: Qrels, depth: int, weight: float) -> float:
    rankings = {}
    for one in asked:
        ranking, scores = one.hits.ranking, one.scores[:depth]
        first = np.argsort(-blended(ranking.fused, ranking.code, scores, weight), kind="stable")
        rankings[one.query] = tuple(one.hits.ids[i] for i in (*first, *range(len(scores), len(one.hits.ids))))
    return float(score_queries(rankings, qrels, min_rel=1, condensed=True).column(DECIDING).mean())


def _weighed(engine: Engine, reranker: Reranker, qrels: Qrels, added_ms: float) -> RerankerCard:
    """Return the card with what whole searches gain by it, and whether that pays."""
    queries = {query: query for query in qrels}
    runs = (make_run(e, queries, depth=_LISTED).rankings for e in (engine, engine.with_reranker(reranker)))
    before, after = (score_queries(run, qrels, min_rel=1, condensed=True).column(DECIDING) for run in runs)
    weighed = weigh_gain(before, after, _LEVEL, seed=0)
    gain, pays = weighed["gain"], weighed["kept"] and weighed["gain"].low > 0
    verdict = (
        f"nDCG@10 {weighed['before']:.3f} → {weighed['after']:.3f} ({gain.mean:+.3f}, {gain.low:+.3f} to {gain.high:+.3f}, "
        f"p {weighed['p']:.3f}, {gain.n} queries) for {added_ms:.0f} ms of a search."
    )
    told = {**{name: round(weighed[name], 4) for name in ("before", "after", "p")}, **gain.to_dict()}
    return reranker.card.model_copy(update={"pays": pays, "verdict": verdict, "gain": told})
