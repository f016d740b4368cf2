"""What do a few dozen judged queries teach an encoder about queries nobody judged?

``python -m benchmarks.bench_judged STORE --data FOLDER`` trains on the judgements of all queries but those of one fold and
measures on that fold, for every fold, so each query is measured by a model that has seen no query of the same words. The
products that were rated for a query are put in order by meaning alone, by the model that comes along and by the trained one.
"""

from __future__ import annotations

import argparse
import json
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
from engine.train.examples import ExampleSet, split
from evals.encoders import EncoderScores, compare_scores
from evals.evalsets import load_evalset
from evals.examples import judged_examples
from evals.training import UNSURE, score_model

LONGEST = 8192


def together(parts: Sequence[EncoderScores]) -> EncoderScores:
    """Return the scores of several sets of queries as those of one."""
    return EncoderScores(
        tuple(query for part in parts for query in part.queries),
        tuple(kind for part in parts for kind in part.kinds),
        {"ranking": np.concatenate([part.values["ranking"] for part in parts])},
    )


def main() -> None:
    """Train and measure fold by fold, print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("--data", type=Path, default=Path("examples/demo"))
    parser.add_argument("--view", default="")
    parser.add_argument("--model", default="", help="what to begin with: a model trained on the catalogue, say")
    parser.add_argument("--folds", type=int, default=3)
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
    for fold in range(options.folds):
        train, test = split(found, options.folds, fold)
        with tempfile.TemporaryDirectory() as work:
            trained = train_encoder(options.model, ExampleSet(texts, train, [], {}), Path(work), recipe)
        mixed(trained, UNSURE)
        rated = {e.product: texts[e.product] for e in test}
        before.append(score_model(usual, test, rated))
        after.append(score_model(trained.model, test, rated))
        print(f"fold {fold}: {before[-1].values['ranking'].mean():.3f} → {after[-1].values['ranking'].mean():.3f}", file=sys.stderr)
    compared = compare_scores(together(before), together(after))
    print(json.dumps({"queries": len(together(before).queries), "compared": compared}, indent=2))


if __name__ == "__main__":
    main()
