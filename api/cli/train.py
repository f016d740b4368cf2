"""``daogou examples`` and ``daogou train``: a shop's own models, from what it has.

Progress goes to stderr, the card of what was made to stdout. Computes nothing itself.
"""

from __future__ import annotations

import json
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer
from rich.console import Console
from rich.progress import Progress, TaskID, TextColumn

from engine.settings import load_settings

if TYPE_CHECKING:
    from engine.train.steps import Step

__all__ = ["register"]

_Store = Annotated[Path | None, typer.Option(help="Folder of the snapshots.")]
_Seed = Annotated[int, typer.Option(help="The same seed gives the same model.")]
_Json = Annotated[bool, typer.Option("--json", help="Print the card as JSON.")]

_EVERY_S = 30.0

_train = typer.Typer(help="Train a model of the shop's own.", no_args_is_help=True, rich_markup_mode=None)


class _Watch:
    """Shows how long work goes on stderr: a bar on a terminal, elsewhere a line twice a minute."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._console = Console(stderr=True, highlight=False)
        columns = [*Progress.get_default_columns(), TextColumn("{task.fields[figures]}")]
        self._bars = Progress(*columns, console=self._console, disable=not self._console.is_terminal)
        self._task: TaskID | None = None
        self._said = 0.0

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._bars.stop()

    def note(self, text: str) -> None:
        """Say something above the bar."""
        self._console.print(text, style="dim", markup=False)

    def advance(self, done: int, total: int, figures: str) -> None:
        """Show that ``done`` of ``total`` steps are done."""
        if self._task is None:
            self._task = self._bars.add_task(self._name, total=total, figures="")
        self._bars.update(self._task, completed=done, figures=figures)
        if not self._console.is_terminal and time.monotonic() - self._said > _EVERY_S:
            self._said = time.monotonic()
            self.note(f"{self._name}: {done} of {total}, {figures}")

    def step(self, step: Step) -> None:
        """Show a step of training."""
        figures = f"loss {step.loss:.3f} · {step.rate:.0f} examples/s · {step.left_s / 60:.0f} min left"
        self.advance(step.number, step.total, figures)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("examples")(_examples)
    app.add_typer(_train, name="train")


def _examples(
    out: Annotated[Path, typer.Argument(help="Folder for the examples.")],
    store: _Store = None,
    data: Annotated[list[Path] | None, typer.Option(help="Folder with queries and judgements; may be given often.")] = None,
    view: Annotated[str, typer.Option(help="Which judgements; empty is the main view.")] = "",
    log: Annotated[list[Path] | None, typer.Option(help="Search log (UBI); may be given often.")] = None,
    events: Annotated[bool, typer.Option("--events", help="What the store's own event log knows.")] = False,
    orders: Annotated[list[Path] | None, typer.Option(help="Orders, Parquet or CSV; may be given often.")] = None,
    catalogue: Annotated[
        int, typer.Option(help="Queries made from each product; without one, 3 where nothing else is given.", min=-1)
    ] = -1,
    folds: Annotated[int, typer.Option(help="One of so many parts of the queries is kept back as a test.", min=2)] = 5,
    per_user: Annotated[
        bool, typer.Option("--per-user", help="Keep what each user of the log chose apart, for training with --dp-epsilon.")
    ] = False,
    raw_clicks: Annotated[bool, typer.Option("--raw-clicks", help="Count clicks as they are, the pull of places and all.")] = False,
    seed: _Seed = 0,
    as_json: _Json = False,
) -> None:
    """Make training examples from judgements, search logs and orders, or from the catalogue alone."""
    from engine.engine import Engine
    from engine.events import EventLog
    from engine.lexicon import Lexicon
    from engine.train.examples import write_examples
    from evals.evalsets import load_evalset
    from evals.examples import Gathering
    from indexer.logs import logged, read_log
    from indexer.transactions import read_sales

    settings = load_settings(store=store)
    engine = Engine.open(settings)
    found = Gathering({p.id: p for p in engine.products()}, folds, seed)
    for folder in data or ():
        found.add_judged(load_evalset(folder), view)
    logs = [read_log(path) for path in log or ()]
    people: set[str] = set()
    if events:
        with closing(EventLog.open(settings)) as kept:
            own = logged(kept)
        if own.actions:
            logs.append(own)
            people = {q.user for q in own.queries} | {a.user for a in own.actions}
        else:
            typer.echo("The event log has no action that belongs to a search, so nothing is taken from it.", err=True)
    for one in logs:
        if per_user:
            found.add_users(one)
        else:
            found.add_log(one, debiased=not raw_clicks)
    for path in orders or ():
        found.add_sales(read_sales(path))
    each = catalogue if catalogue >= 0 else 0 if found.train else 3
    lexicon = Lexicon.own(*settings.lexicons)
    if each:
        found.add_catalogue(lexicon, each)
    sources = {"data": data, "log": log, "orders": orders}
    told: dict[str, Any] = {name: [path.name for path in paths] for name, paths in sources.items() if paths}
    told |= {"event_log": str(settings.store)} if events else {}
    glossing = None if "zh" in engine.languages else lexicon
    card = write_examples(out, found.finish(glossing, {**told, "snapshot": engine.snapshot_id, "catalogue": each, "folds": folds}))
    if people:
        with closing(EventLog.open(settings)) as kept:
            kept.uses.add("examples", card["fingerprint"], people)
    if as_json:
        typer.echo(json.dumps(card, ensure_ascii=False))
        return
    for part in ("train", "test"):
        counted = card[part]
        kinds = ", ".join(f"{name or 'other'} {n:,}" for name, n in counted["by_kind"].items())
        sizes = f"{counted['examples']:,} examples of {counted['queries']:,} queries and {counted['products']:,} products"
        typer.echo(f"{part}: {sizes} ({kinds})")
    for part, counted in card["left_out"].items():
        typer.echo(f"left out of {part}: " + ", ".join(f"{n:,} × {reason}" for reason, n in counted.items()))


def _note_model(examples: Path, out: Path) -> None:
    """Write down that a model saw the people whose events its examples were made from."""
    from engine.events import EventLog

    card = json.loads((examples / "card.json").read_bytes())
    if store := card.get("made_from", {}).get("event_log"):
        with closing(EventLog.open(load_settings(store=Path(store)))) as log:
            log.uses.inherit("model", str(out), "examples", card["fingerprint"])


@_train.command("vocabulary")
def _vocabulary(
    terms: Annotated[list[Path], typer.Argument(help="Tables of terms in English and Chinese: columns en, zh (or zh_cn, zh_tw).")],
    out: Annotated[Path, typer.Option(help="Folder for the extended model; `--model` takes it.")],
    model: Annotated[str, typer.Option(help="English model to extend, by name or path.")] = "all-MiniLM-L6-v2",
    store: Annotated[Path | None, typer.Option(help="A store whose English titles show how terms stand together.")] = None,
    phrases: Annotated[int, typer.Option(help="Phrases put together from terms, and as many from titles.", min=0)] = 25_000,
    epochs: Annotated[float, typer.Option(help="Passes over everything.", min=0.01)] = 1.5,
    seed: _Seed = 0,
    as_json: _Json = False,
) -> None:
    """Teach an English encoder the words of Chinese; what it makes of English stays as it is, to the bit."""
    from engine.engine import Engine
    from engine.lexicon import Lexicon
    from engine.train.vocabulary import Teaching, extend_model

    titles = [product.title for product in Engine.open(load_settings(store=store)).products()] if store else []
    lexicon = Lexicon.own(*terms)
    with _Watch("Teaching words") as watch:
        made = extend_model(
            model,
            lexicon,
            titles,
            out,
            phrases=phrases,
            teaching=Teaching(epochs=epochs, seed=seed),
            advance=lambda step, steps, loss, cosine: watch.advance(step, steps, f"loss {loss:.3f}, cosine {cosine:.3f}"),
        )
    if as_json:
        typer.echo(json.dumps(made, ensure_ascii=False))
    else:
        typer.echo(
            f"{made['tokens']:,} tokens with {made['rows']:,} rows for {model}, in {out}. Mean cosine of Chinese phrases to their "
            f"English {made['curve'][-1][1]:.3f}. Index with `daogou index FEED --model {out}`."
        )


@_train.command("encoder")
def _encoder(
    examples: Annotated[Path, typer.Argument(help="Folder made by `daogou examples`.")],
    out: Annotated[Path, typer.Option(help="Folder for the model; `--model` takes it.")],
    model: Annotated[str, typer.Option(help="Model to begin with, by name or path; empty is the one that comes along.")] = "",
    minutes: Annotated[float, typer.Option(help="Time for the steps; 0 takes what the epochs need.", min=0)] = 0.0,
    epochs: Annotated[
        float | None,
        typer.Option(help="Passes; by default one, over ten thousand examples where a catalogue alone gave them.", min=0.001),
    ] = None,
    steps: Annotated[int, typer.Option(help="Steps instead of epochs; 0 is none.", min=0)] = 0,
    batch_size: Annotated[int, typer.Option(help="Queries in a step.", min=2)] = 64,
    learning_rate: Annotated[float, typer.Option(help="Highest learning rate.")] = 5e-5,
    negatives: Annotated[
        int, typer.Option(help="Products that look like answers for each query, but for those a catalogue gave.", min=0, max=32)
    ] = 1,
    teacher: Annotated[str, typer.Option(help="Cross-encoder to learn the order of candidates from, by name or path.")] = "",
    share: Annotated[
        float,
        typer.Option(
            help="How much of what was learned to keep, 0 to 1; below 0 it is chosen on queries not trained on, is a half where "
            "these are too few, and all where a catalogue alone gave the examples."
        ),
    ] = -1.0,
    memory_mb: Annotated[int, typer.Option(help="Memory for the gradients of a step.", min=64)] = 4000,
    dp_epsilon: Annotated[
        float, typer.Option(help="Differential privacy for each user, of this ε at most; needs the extra `privacy`.", min=0)
    ] = 0.0,
    dp_delta: Annotated[float, typer.Option(help="δ of that; 0 is a tenth of one over the number of users.", min=0)] = 0.0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    devices: Annotated[int, typer.Option(help="Processes that train together; 0 is one for each CUDA device.", min=0)] = 0,
    seed: _Seed = 0,
    as_json: _Json = False,
) -> None:
    """Train a dual encoder on examples. A run that was killed goes on where it was when started again."""
    from engine.train.encoder import Recipe
    from engine.train.examples import read_examples
    from engine.train.private import Privacy
    from evals.training import train_and_measure, train_privately, worth_learning

    if dp_epsilon:
        with _Watch("Training privately") as watch:
            privacy = Privacy(dp_epsilon, dp_delta, users=batch_size, steps=steps or 200)
            card = train_privately(
                model, read_examples(examples), out, privacy, device=device, note=watch.note, advance=watch.advance
            )
        _show(card, out, as_json)
        _note_model(examples, out)
        return
    found = read_examples(examples)
    if epochs is None and not steps:
        found = worth_learning(found, seed)
    recipe = Recipe(
        epochs=epochs or 1.0,
        steps=steps,
        minutes=minutes,
        batch_size=batch_size,
        learning_rate=learning_rate,
        negatives=negatives,
        teacher=teacher,
        memory_mb=memory_mb,
        seed=seed,
    )
    with _Watch("Training") as watch:
        card = train_and_measure(
            model,
            found,
            out,
            recipe,
            share=share,
            device=device,
            devices=devices,
            note=watch.note,
            advance=watch.step,
        )
    _note_model(examples, out)
    _show(card, out, as_json)


@_train.command("reranker")
def _reranker(
    examples: Annotated[Path, typer.Argument(help="Folder made by `daogou examples` from judgements or a log.")],
    out: Annotated[Path, typer.Option(help="Folder for the reranker; the setting `reranker` takes it.")],
    store: _Store = None,
    model: Annotated[str, typer.Option(help="Encoder to begin with, by name or path; empty is the one that comes along.")] = "",
    minutes: Annotated[float, typer.Option(help="Time for the steps; 0 takes what the epochs need.", min=0)] = 0.0,
    epochs: Annotated[float, typer.Option(help="Passes over the queries.", min=0.001)] = 2.0,
    steps: Annotated[int, typer.Option(help="Steps instead of epochs; 0 is none.", min=0)] = 0,
    batch_size: Annotated[int, typer.Option(help="Queries in a step.", min=1)] = 16,
    learning_rate: Annotated[float, typer.Option(help="Highest learning rate.")] = 5e-5,
    layers: Annotated[int, typer.Option(help="Layers of the encoder to keep; half cost half the time, 0 is all.", min=0)] = 0,
    max_tokens: Annotated[int, typer.Option(help="Tokens of query and product together that are read.", min=16, max=512)] = 64,
    budget_ms: Annotated[float, typer.Option(help="Most that it may add to a search on this machine.", min=1)] = 50.0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    devices: Annotated[int, typer.Option(help="Processes that train together; 0 is one for each CUDA device.", min=0)] = 0,
    seed: _Seed = 0,
    as_json: _Json = False,
) -> None:
    """Train a cross-encoder that puts the first hits in order, and find out whether it pays what it costs a search."""
    from engine.engine import Engine
    from engine.train.examples import read_examples
    from engine.train.reranker import RerankerRecipe
    from evals.reranking import train_and_weigh

    recipe = RerankerRecipe(
        epochs=epochs,
        steps=steps,
        minutes=minutes,
        batch_size=batch_size,
        learning_rate=learning_rate,
        layers=layers,
        max_tokens=max_tokens,
        seed=seed,
    )
    engine = Engine.open(load_settings(store=store))
    with _Watch("Training") as watch:
        card = train_and_weigh(
            engine,
            model,
            read_examples(examples),
            out,
            recipe,
            budget_ms=budget_ms,
            device=device,
            devices=devices,
            note=watch.note,
            advance=watch.step,
        )
    _note_model(examples, out)
    if as_json:
        typer.echo(card.model_dump_json())
        return
    typer.echo(f"{out}: the first {card.depth} hits, weight {card.weight:g}, {card.precision}. {card.verdict}")
    typer.echo(f"It pays. Set DAOGOU_RERANKER={out} to use it." if card.pays else "It does not pay, and will not be served.")


@_train.command("explainer")
def _explainer(
    out: Annotated[Path, typer.Option(help="Folder for the voice; the setting `voice` takes it.")],
    store: Annotated[list[Path] | None, typer.Option(help="Store whose catalogue to write about; may be given often.")] = None,
    seeds: Annotated[Path | None, typer.Option(help="Folder with en.tsv and zh.tsv: department, need and explanation.")] = None,
    lessons: Annotated[int, typer.Option(help="Explanations grown from the seeds.", min=100)] = 40_000,
    products: Annotated[int, typer.Option(help="Products of each catalogue to write about, drawn by chance.", min=10)] = 1000,
    epochs: Annotated[float, typer.Option(help="Passes over them.", min=0.01)] = 4.0,
    seed: _Seed = 0,
    as_json: _Json = False,
) -> None:
    """Train the small model that writes explanations, in the words of a seed corpus and about the shop's catalogue."""
    from engine.engine import Engine
    from engine.explain.wording import OWN_VOICE, load_wording
    from engine.lexicon import Lexicon
    from engine.train.explainer import WriterRecipe, drawn, grow, queries_of, train_writer

    settings = load_settings()
    found = []
    for path in store or [Path(settings.store)]:
        found += drawn(list(Engine.open(load_settings(store=path, generator="template")).products()), products, seed)
    folder = seeds or OWN_VOICE
    wording = load_wording(folder)
    recipe = WriterRecipe(lessons=lessons, epochs=epochs, seed=seed)
    with _Watch("Growing the corpus") as watch:
        asked = queries_of(found, Lexicon.own(*settings.lexicons), seed)
        grown = []
        for lesson in grow(wording, found, asked, lessons, seed):
            grown.append(lesson)
            watch.advance(len(grown), lessons, f"{len(grown):,} explanations")
    with _Watch("Training") as watch:
        card = train_writer(wording, folder, grown, out, recipe, note=watch.note, advance=watch.step)
    if as_json:
        typer.echo(json.dumps(card, ensure_ascii=False))
        return
    size = f"{card['parameters'] / 1e6:.1f} million parameters, {sum(card['seeds'].values())} seeds"
    typer.echo(f"{out}: {size}, loss {card['loss']:.3f} learned and {card['held_back_loss']:.3f} on explanations kept back.")
    typer.echo(f"Set DAOGOU_VOICE={out} to use it.")


def _show(card: dict[str, Any], out: Path, as_json: bool) -> None:
    """Print what training came to."""
    if as_json:
        typer.echo(json.dumps(card, ensure_ascii=False))
        return
    if paid := card.get("privacy"):
        accounts = f"ε {paid['epsilon']:.2f} ({paid['epsilon_by_pld']:.3f} and {paid['epsilon_by_prv']:.3f} by two accountants)"
        typer.echo(f"{out}: {paid['steps']} steps, {accounts} at δ {paid['delta']:.1e} for each of {paid['users']} users.")
    else:
        typer.echo(f"{out}: {card['recipe']['steps']} steps, {card['share']:.0%} of what was learned kept.")
    typer.echo("nDCG@10 on queries kept back:" if card["test"] else "No query was kept back to measure on.")
    for row in card["test"]:
        gain = row["gain"]
        interval = f"{gain['mean']:+.3f}, {gain['low']:+.3f} to {gain['high']:+.3f}, p {row['p']:.3f}, {gain['n']} queries"
        typer.echo(f"  {row['task']:<10} {row['kind']:<18} {row['before']:.3f} → {row['after']:.3f}  ({interval})")
