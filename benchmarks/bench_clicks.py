"""Does a model learn more from clicks freed of the pull of the first places than from clicks as they are?

``python -m benchmarks.bench_clicks STORE --data FOLDER`` simulates a thousand shoppers whose wishes are the judgements of FOLDER.
The shop shows them what words alone find, in that order. Their clicks are made into examples twice, with and without taking the
places into account, a model is trained on each, and both are measured on judged queries that nobody asked.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

from engine.engine import Engine
from engine.schema import SearchRequest
from engine.settings import load_settings
from engine.train.encoder import Recipe
from engine.train.examples import ExampleSet, query_key
from evals.evalsets import load_evalset
from evals.examples import Gathering, judged_examples
from evals.shoppers import simulated_log
from evals.training import train_and_measure
from indexer.logs import read_log

SHOWN = 20
ASKED = 0.67


def main() -> None:
    """Simulate, train twice, print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("--data", type=Path, default=Path("examples/demo"))
    parser.add_argument("--shoppers", type=int, default=1000)
    parser.add_argument("--searches", type=int, default=20)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--pull", type=float, default=1.0)
    options = parser.parse_args()
    engine = Engine.open(load_settings(store=options.store))
    evalset = load_evalset(options.data)
    qrels = evalset.view("").qrels
    products = {p.id: p for p in engine.products()}
    judged = {qid: text for qid, text in evalset.queries.items() if any(r > 0 for r in qrels.get(qid, {}).values())}
    asked = random.Random(0).sample(sorted(judged), round(ASKED * len(judged)))
    keys = {query_key(judged[qid]) for qid in asked}
    requests = {qid: SearchRequest(q=judged[qid], alpha=0.0, per_page=SHOWN) for qid in asked}
    shown = {qid: [hit.document["id"] for hit in engine.search(request).hits] for qid, request in requests.items()}
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.jsonl"
        records = simulated_log(
            {qid: judged[qid] for qid in asked},
            qrels,
            shown,
            shoppers=options.shoppers,
            searches=options.searches,
            pull=options.pull,
        )
        with log.open("w") as stream:
            stream.writelines(json.dumps(record) + "\n" for record in records)
        test = [e for e in judged_examples(judged, qrels, products, Counter()) if query_key(e.query) not in keys]
        out: dict[str, object] = {}
        for name, debiased in (("debiased", True), ("raw", False)):
            made = Gathering(products)
            made.add_log(read_log(log), debiased=debiased)
            made.train += made.test  # what is measured on was asked by nobody
            made.test = test
            found = made.finish(None, {"log": "simulated"})
            print(f"{name}: {len(found.train)} examples", file=sys.stderr)
            card = train_and_measure(
                "",
                ExampleSet(found.texts, found.train, found.test, found.card),
                Path(folder) / name,
                Recipe(steps=options.steps, batch_size=32),
                share=1.0,
            )
            out[name] = {row["task"]: row for row in card["test"] if row["kind"] == "all"}
        print(json.dumps(out, indent=2))


if __name__ == "__main__":
    main()
