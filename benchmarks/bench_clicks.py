"""Does a model learn more from clicks freed of the pull of the first places than from clicks as they are?

``python -m benchmarks.bench_clicks STORE`` simulates a thousand shoppers of a shop whose catalogue is in STORE. A wish is a
thing with one or two qualities, and how well a product meets it is told from its title and attributes alone, so the truth is
known. The shop shows what has words of the query, bestsellers first, and what sells best changes from one search to the next.
Clicks are made into examples twice, with and without taking the places into account, a model is trained on each, and both are
measured on wishes that nobody asked for.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

from engine.encoder.source import find_source, load_original
from engine.engine import Engine
from engine.errors import EvaluationError
from engine.language import stem
from engine.lexicon import Lexicon
from engine.schema import Product, SearchRequest
from engine.settings import load_settings
from engine.text import embedding_text
from engine.train.catalogue import LONGEST_VALUE, SAID, named_thing
from engine.train.encoder import Recipe
from engine.train.examples import Example, ExampleSet, query_key
from evals.encoders import EncoderScores, compare_scores
from evals.examples import click_examples, judged_examples
from evals.shoppers import simulated_log
from evals.training import score_model, train_and_measure
from indexer.logs import read_log

SHOWN = 20
MAX_TOKENS = 256
CANDIDATES = 100
LEAST_CANDIDATES = 5


def thing_of(product: Product, lexicon: Lexicon) -> tuple[str, str]:
    """Return the thing that a title names, as it is written there and as stems; nothing where it names none."""
    named = named_thing(product.title, lexicon)
    if not named:
        return "", ""
    written = " ".join(product.title[named[0].start : named[-1].end].split()).lower()
    return written, " ".join(word.text if word.han else stem(word.text) for word in named)


def qualities_of(product: Product) -> list[str]:
    """Return the qualities a product states, in lower case."""
    values = (v for name in SAID for v in product.attributes.get(name, ()) if isinstance(v, str))
    return sorted({v.casefold() for v in values if 1 < len(v) <= LONGEST_VALUE})


def make_wishes(engine: Engine, lexicon: Lexicon, n: int, seed: int) -> tuple[dict[str, str], dict[str, dict[str, int]]]:
    """Return up to ``n`` wishes and how well the products that words find meet them, as far as their titles say what they are: 3 is
    the thing with all qualities, 2 with some, 1 with none, 0 another thing."""
    products = {p.id: p for p in engine.products()}
    named = {i: thing_of(p, lexicon) for i, p in products.items()}
    things = {i: thing for i, (_, thing) in named.items() if thing}
    stated = {i: qualities_of(products[i]) for i in things}
    chance = random.Random(seed)
    queries: dict[str, str] = {}
    qrels: dict[str, dict[str, int]] = {}
    asked: set[str] = set()
    for product in chance.sample(sorted(i for i in things if stated[i]), sum(map(bool, stated.values()))):
        wanted = chance.sample(stated[product], min(len(stated[product]), chance.choice((1, 1, 2))))
        text = " ".join([*(" ".join(w.split()) for w in wanted), named[product][0]])
        if query_key(text) in asked:
            continue
        hits = engine.search(SearchRequest(q=text, alpha=0.0, per_page=CANDIDATES)).hits
        found = [i for hit in hits if (i := str(hit.document["id"])) in things]
        rated = {i: _rating(things[i] == things[product], sum(w in stated[i] for w in wanted), len(wanted)) for i in found}
        if len(rated) < LEAST_CANDIDATES or len(set(rated.values())) < 2:
            continue
        asked.add(query_key(text))
        qid = f"w{len(queries):04d}"
        queries[qid], qrels[qid] = text, rated
        if len(queries) == n:
            break
    return queries, qrels


def _rating(same: bool, met: int, wanted: int) -> int:
    return 0 if not same else 3 if met == wanted else 2 if met else 1


def bestsellers(qrels: Mapping[str, Mapping[str, int]], times: int, seed: int) -> dict[str, list[list[str]]]:
    """Return what the shop shows for each query at each of ``times``: by sales, which change by a third or so each time."""
    chance = random.Random(seed)
    sales = {i: chance.lognormvariate(0, 1.5) for i in sorted({i for rated in qrels.values() for i in rated})}
    shown: dict[str, list[list[str]]] = {qid: [] for qid in qrels}
    for _ in range(times):
        now = {i: sold * chance.lognormvariate(0, 0.3) for i, sold in sales.items()}
        for qid, rated in qrels.items():
            shown[qid].append(sorted(rated, key=lambda i: (-now[i], i))[:SHOWN])
    return shown


def in_true_order(examples: Iterable[Example], truth: Mapping[str, Mapping[str, int]]) -> tuple[int, int]:
    """Return how many pairs of products are in the true order, of those that truly differ and that examples put in an order, and
    how many these are; ``truth`` holds ratings by the text of the query."""
    graded: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for example in examples:
        graded[example.query][example.product] = example.grade
    right = told = 0
    for query, grades in graded.items():
        for (a, one), (b, other) in combinations(grades.items(), 2):
            truly = truth[query][a] - truth[query][b]
            if truly and one != other:
                told += 1
                right += (one > other) == (truly > 0)
    return right, told


def scores_of(model: str, test: Sequence[Example], examples: ExampleSet) -> EncoderScores:
    """Return how well a model puts the rated products of each query in order."""
    loaded = load_original(find_source(model), max_tokens=MAX_TOKENS)
    return score_model(loaded, test, {e.product: examples.texts[e.product] for e in test})


def in_order(before: EncoderScores, after: EncoderScores) -> dict[str, object]:
    """Return the comparison of two models over all queries; what nobody rated has no true place, so only the order is compared."""
    return next(row for row in compare_scores(before, after) if (row["task"], row["kind"]) == ("ranking", "all"))


def main() -> None:
    """Simulate, train twice, print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("--shoppers", type=int, default=1000)
    parser.add_argument("--searches", type=int, default=20)
    parser.add_argument("--wishes", type=int, default=1000, help="half of them are asked, the others measured")
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--pull", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    engine = Engine.open(load_settings(store=options.store))
    queries, qrels = make_wishes(engine, Lexicon.own(), options.wishes, options.seed)
    if len(queries) < 40:
        raise EvaluationError(f"The catalogue gives {len(queries)} wishes, which tell nothing. Index a larger one.")
    asked = dict(list(queries.items())[::2])
    truth = {qid: qrels[qid] for qid in asked}
    shown = bestsellers(truth, options.searches, options.seed)
    products = {p.id: p for p in engine.products()}
    keys = {query_key(text) for text in asked.values()}
    known = ExampleSet({i: embedding_text(p) for i, p in products.items()})
    test = [e for e in judged_examples(queries, qrels, products, Counter()) if query_key(e.query) not in keys]
    recipe = Recipe(steps=options.steps, batch_size=32, seed=options.seed)
    scores: dict[str, EncoderScores] = {}
    out: dict[str, object] = {"asked": len(asked), "measured": len({e.query for e in test})}
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.jsonl"
        simulated = simulated_log(
            asked, truth, shown, shoppers=options.shoppers, searches=options.searches, pull=options.pull, seed=options.seed
        )
        with log.open("w") as stream:
            stream.writelines(json.dumps(record) + "\n" for record in simulated)
        for name, debiased in (("debiased", True), ("raw", False)):
            found = replace(known, train=list(click_examples(read_log(log), products, Counter(), debiased)))
            right, told = in_true_order(found.train, {asked[qid]: rated for qid, rated in truth.items()})
            print(f"{name}: {len(found.train)} examples, {right} of {told} pairs in the true order", file=sys.stderr)
            train_and_measure("", found, Path(folder) / name, recipe, share=1.0)
            out[name] = {"examples": len(found.train), "pairs": told, "in_true_order": round(right / max(1, told), 4)}
            scores[name] = scores_of(str(Path(folder) / name), test, known)
    before = scores_of("", test, known)
    out["against_before"] = {name: in_order(before, scores[name]) for name in ("debiased", "raw")}
    out["debiased_against_raw"] = in_order(scores["raw"], scores["debiased"])
    print(json.dumps(out, indent=2))


if __name__ == "__main__":
    main()
