"""What do a few dozen judged queries teach an encoder about queries nobody judged?

``python -m benchmarks.bench_judged STORE --data FOLDER`` trains on the judgements of all queries but those of one fold and
measures on that fold, for every fold, so each query is measured by a model that has seen no query of the same words. The
products that were rated for a query are put in order by meaning alone, by the model that comes along and by the trained one.
Which queries share a fold decides much where they are few, so they are dealt anew ``--repeats`` times and a query counts with
the mean of its scores (repeated cross-validation: Kohavi, *A Study of Cross-Validation*, IJCAI 1995).
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engine.encoder.source import find_source, load_original
from engine.engine import Engine
from engine.settings import load_settings
from engine.text import embedding_text
from engine.train.encoder import Recipe, mixed, train_encoder
from engine.train.examples import Example, ExampleSet, query_key
from evals.encoders import EncoderScores, compare_scores
from evals.evalsets import load_evalset
from evals.examples import judged_examples
from evals.training import UNSURE, score_model

LONGEST = 8192


def dealt(found: Sequence[Example], folds: int, turn: int) -> list[tuple[list[Example], list[Example]]]:
    """Return what is trained on and what is kept back for each fold; queries of the same words fall together."""
    keys = sorted({query_key(e.query) for e in found})
    random.Random(turn).shuffle(keys)
    fold = {key: i % folds for i, key in enumerate(keys)}
    parts: list[list[Example]] = [[] for _ in range(folds)]
    for example in found:
        parts[fold[query_key(example.query)]].append(example)
    return [([e for other in parts if other is not part for e in other], part) for part in parts]


def together(parts: Sequence[EncoderScores]) -> EncoderScores:
    """Return the scores of queries that were each measured the same number of times as their means."""
    values: dict[str, list[float]] = {}
    kinds: dict[str, str] = {}
    for part in parts:
        for query, kind, value in zip(part.queries, part.kinds, part.values["ranking"], strict=True):
            values.setdefault(query, []).append(float(value))
            kinds[query] = kind
    queries = tuple(sorted(values))
    means = np.array([np.mean(values[query]) for query in queries])
    return EncoderScores(queries, tuple(kinds[query] for query in queries), {"ranking": means})


def main() -> None:
    """Train and measure fold by fold, print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("--data", type=Path, default=Path("examples/demo"))
    parser.add_argument("--view", default="")
    parser.add_argument("--model", default="", help="what to begin with: a model trained on the catalogue, say")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epochs", type=float, default=3.0)
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    engine = Engine.open(load_settings(store=options.store))
    products = {p.id: p for p in engine.products()}
    evalset = load_evalset(options.data)
    found = list(judged_examples(evalset.queries, evalset.view(options.view).qrels, products, Counter()))
    texts = {e.product: embedding_text(products[e.product]) for e in found}
    recipe = Recipe(epochs=options.epochs, learning_rate=options.learning_rate, seed=options.seed)
    usual = load_original(find_source(""), max_tokens=LONGEST)
    before: list[EncoderScores] = []
    after: list[EncoderScores] = []
    every = [(turn, *both) for turn in range(options.repeats) for both in dealt(found, options.folds, turn)]
    for turn, train, test in every:
        with tempfile.TemporaryDirectory() as work:
            trained = train_encoder(options.model, ExampleSet(texts, train, [], {}), Path(work), recipe)
        mixed(trained, UNSURE)
        rated = {e.product: texts[e.product] for e in test}
        before.append(score_model(usual, test, rated))
        after.append(score_model(trained.model, test, rated))
        print(f"turn {turn}: {before[-1].values['ranking'].mean():.3f} → {after[-1].values['ranking'].mean():.3f}", file=sys.stderr)
    compared = compare_scores(together(before), together(after))
    print(json.dumps({"queries": len(together(before).queries), "compared": compared}, indent=2))


if __name__ == "__main__":
    main()
