"""How fast an encoder is trained, beside sentence-transformers' own trainer: ``python -m benchmarks.bench_train EXAMPLES``.

The same model, examples, batch, learning rate and cut of texts; the loss is the plain contrastive one with one negative in both.
They take turns, twice. Ours does more for a step (it looks for unfair negatives), which is in its time. Beside both stands the
share of the processor's (or card's) matrix-product peak, measured in the same run: three times the products of a forward pass
over the tokens that were not padding. Writes ``results/train.json`` and ``results/train.md``. Needs
``pip install datasets accelerate``.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.encoder.source import find_source, load_original
from engine.train.encoder import Recipe, train_encoder
from engine.train.examples import ExampleSet, read_examples

RESULTS = Path(__file__).with_name("results")
TOKENS = 64
RATE = 3e-5


def peak(device: str) -> float:
    """Return the multiply-adds of a matrix product a second, times two, at its best of several sizes."""
    import torch

    best = 0.0
    for size in (512, 1024, 2048, 4096) if device == "cuda" else (512, 1024, 2048):
        kind = torch.bfloat16 if device == "cuda" else torch.float32
        a, b = (torch.randn(size, size, device=device, dtype=kind) for _ in range(2))
        for _ in range(4):
            started = time.perf_counter()
            a @ b
            if device == "cuda":
                torch.cuda.synchronize()
            best = max(best, 2 * size**3 / (time.perf_counter() - started))
    return best


def ours(examples: ExampleSet, steps: int, batch: int, device: str) -> float:
    """Return the examples a second of our loop, preparation left out."""
    recipe = Recipe(
        steps=steps, batch_size=batch, learning_rate=RATE, max_tokens=TOKENS, lengths=(1.0,), keep=0.0, graded=0.0,
        checkpoint_every=10**9,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as work:
        trained = train_encoder("", examples, Path(work), recipe, device=device)
    return float(trained.figures["examples_per_second"])


def theirs(examples: ExampleSet, steps: int, batch: int, device: str) -> float:
    """Return the examples a second of sentence-transformers' trainer over as many triplets."""
    from datasets import Dataset
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    model = load_original(find_source(""), max_tokens=TOKENS, device=device)
    model[0].auto_model.get_input_embeddings().weight.requires_grad_(False)
    rows = [e for e in examples.train if e.grade > 0][: steps * batch]
    texts = list(examples.texts.values())
    data = Dataset.from_dict(
        {
            "anchor": [e.query for e in rows],
            "positive": [examples.texts[e.product] for e in rows],
            "negative": [texts[(7919 * i) % len(texts)] for i in range(len(rows))],
        }
    )
    with tempfile.TemporaryDirectory() as work:
        arguments = SentenceTransformerTrainingArguments(
            output_dir=work, per_device_train_batch_size=batch, max_steps=steps, learning_rate=RATE, report_to=[],
            save_strategy="no", disable_tqdm=True, logging_strategy="no", use_cpu=device == "cpu", bf16=device == "cuda",
            dataloader_pin_memory=False,
        )  # fmt: skip
        trainer = SentenceTransformerTrainer(model, arguments, data, loss=MultipleNegativesRankingLoss(model))
        started = time.perf_counter()
        trainer.train()
        return steps * batch / (time.perf_counter() - started)


def main() -> None:
    """Measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("examples", type=Path)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    whole = read_examples(options.examples)
    # as if people had asked all of them, so that each has a negative
    train = [replace(e, source="judgements") for e in whole.train if e.grade > 0][: options.steps * options.batch]
    examples = ExampleSet({e.product: whole.texts[e.product] for e in train}, train)
    rates: dict[str, list[float]] = {"daogou": [], "sentence-transformers": []}
    for _ in range(options.rounds):
        rates["sentence-transformers"].append(theirs(examples, options.steps, options.batch, device))
        rates["daogou"].append(ours(examples, options.steps, options.batch, device))
    best = peak(device)
    model = load_original(find_source(""), max_tokens=TOKENS)
    body = sum(p.numel() for name, p in model.named_parameters() if "embeddings" not in name)
    cut = model.tokenizer([examples.texts[e.product] for e in train], truncation=True, max_length=TOKENS)["input_ids"]
    tokens = 2 * sum(map(len, cut)) / len(cut) + 8  # a product, a negative, a query
    found: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if device == "cuda" else platform.machine(),
        "threads": torch.get_num_threads(),
        "batch": options.batch,
        "tokens_an_example": round(tokens, 1),
        "peak_gflops": round(best / 1e9),
    }
    for name, seen in rates.items():
        rate = statistics.median(seen)
        found[name] = {"examples_per_second": round(rate, 2), "share_of_peak": round(6 * body * tokens * rate / best, 3)}
    found["ratio"] = round(statistics.median(rates["daogou"]) / statistics.median(rates["sentence-transformers"]), 2)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "train.json").write_text(json.dumps(found, indent=2) + "\n")
    (RESULTS / "train.md").write_text(_table(found))
    print(json.dumps(found, indent=2))


def _table(found: dict[str, Any]) -> str:
    lines = [
        f"Training all-MiniLM-L6-v2 on {found['device']}, {found['threads']} threads, batches of {found['batch']}, "
        f"{found['tokens_an_example']} tokens an example. Peak of a matrix product in the same run: {found['peak_gflops']} "
        "GFLOP/s.",
        "",
        "| trainer | examples/s | share of peak |",
        "|---|---|---|",
    ]
    for name in ("daogou", "sentence-transformers"):
        lines.append(f"| {name} | {found[name]['examples_per_second']} | {found[name]['share_of_peak']:.1%} |")
    return "\n".join([*lines, "", f"Ratio {found['ratio']}.", ""])


if __name__ == "__main__":
    main()
