"""``daogou judge``: have the unrated products of a run rated, by a person or a model, and believe it only where it agrees.
``daogou blind``: have two writers of explanations compared.

Asks on the terminal, or asks an endpoint; both see the same. Computes nothing itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from engine.errors import EvaluationError
from engine.settings import load_settings

if TYPE_CHECKING:
    from engine.settings import Settings
    from evals.judging import Agreement, Journal
    from evals.pool import Pair

__all__ = ["register"]

_TO_RATE = ("0", "1", "2", "3")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("judge")(_judge)
    app.command("blind")(_blind)


def _blind(
    folder: Annotated[Path, typer.Argument(help="Where the sheet and its key go, or lie.")],
    tally: Annotated[bool, typer.Option("--tally", help="Say what a sheet that is filled in comes to.")] = False,
    data: Annotated[Path, typer.Option(help="Folder with queries.")] = Path("examples/demo"),
    store: Annotated[Path | None, typer.Option(help="Folder of the snapshots.")] = None,
    pairs: Annotated[int, typer.Option(help="Most needs of each language.", min=1)] = 40,
    seed: Annotated[int, typer.Option(help="Another seed, other needs and another order.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Compare the shop's generator with the template, read by someone who does not know which is which: a sheet to fill in with
    A, B or =, and what it came to."""
    from evals import blind

    if tally:
        report = blind.tally(folder, seed)
        if as_json:
            typer.echo(json.dumps(report.to_dict()))
        else:
            blind.render(report, Console(highlight=False))
        return
    from engine.engine import Engine
    from engine.explain import make_generator
    from engine.explain.template import TemplateGenerator
    from evals.evalsets import load_evalset
    from evals.explaining import cases, drawn_queries

    settings = load_settings(store=store)
    if settings.generator == TemplateGenerator.name:
        raise EvaluationError("The shop's generator is the template itself. Set `generator` to another.")
    asked = drawn_queries(list(load_evalset(data).queries.values()), pairs, seed)
    found = list(cases(Engine.open(settings), asked))
    written = blind.write_sheet(found, (make_generator(settings), TemplateGenerator()), folder, seed)
    typer.echo(f"{written} pairs written to {folder / blind.SHEET}; whose is whose stands in {folder / blind.KEY}. Do not look.")


def _judge(
    data: Annotated[Path, typer.Option(help="Folder with queries and judgements.")] = Path("examples/demo"),
    store: Annotated[Path | None, typer.Option(help="Folder of the snapshots.")] = None,
    by: Annotated[str, typer.Option(help="person, or endpoint: the model of the generator settings.")] = "person",
    run: Annotated[list[Path] | None, typer.Option(help="Also what this TREC run returns; may be given often.")] = None,
    queries: Annotated[Path | None, typer.Option(help="Other texts for the same query ids.")] = None,
    view: Annotated[str, typer.Option(help="Which judgements; empty is the main view.")] = "",
    depth: Annotated[int, typer.Option(help="How many hits of each query to have rated.", min=1, max=100)] = 10,
    hidden: Annotated[int, typer.Option(help="Rated pairs to mix in, which check the judge.", min=20)] = 40,
    journal: Annotated[Path, typer.Option(help="Where ratings are kept; an unfinished one is gone on with.")] = Path(
        "judging.jsonl"
    ),
    out: Annotated[
        Path | None,
        typer.Option(help="Where all judgements go, in TREC form, once the judge is believed; qrels.completed.txt for a model."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Complete the judgements: rate what nobody rated, blind and shuffled, with rated pairs hidden among it."""
    from engine.engine import Engine
    from evals.evalsets import load_evalset, write_qrels
    from evals.judging import Journal, agreement, shown, with_ratings
    from evals.pool import mixed_pairs, unjudged_pairs
    from evals.run import make_run, read_run

    if by not in ("person", "endpoint"):
        raise EvaluationError(f"{by!r} is no judge. Use person or endpoint.")
    out = out or Path("qrels.pooled.txt" if by == "person" else "qrels.completed.txt")
    evalset = load_evalset(data, queries)
    qrels = evalset.view(view).qrels
    if odd := {r for ratings in qrels.values() for r in ratings.values()} - {0, 1, 2, 3}:
        raise EvaluationError(f"These judgements have the rating {min(odd)}; a judge rates from 0 to 3. Convert them first.")
    settings = load_settings(store=store)
    engine = Engine.open(settings)
    # judgements of an id with white space in it cannot be written
    products = {product.id: product for product in engine.products() if len(product.id.split()) == 1}
    rankings = [make_run(engine, evalset.queries, depth=depth).rankings, *(read_run(path).rankings for path in run or ())]
    asked = {qid: text for qid, text in evalset.queries.items() if qid in qrels}
    wanted = [{qid: found for qid, found in ranking.items() if qid in asked} for ranking in rankings]
    open_pairs = [pair for pair in unjudged_pairs(wanted, qrels, depth) if pair.product_id in products]
    known = {qid: {p: r for p, r in ratings.items() if p in products} for qid, ratings in qrels.items() if qid in asked}
    pairs = mixed_pairs(open_pairs, known, hidden)
    given = Journal(journal)
    facts = {pair: shown(asked[pair.qid], products[pair.product_id]) for pair in pairs}
    if by == "person":
        _ask_person(given.left(pairs), facts, given)
    else:
        _ask_endpoint(given.left(pairs), facts, given, settings)
    found = agreement(pairs, given.given)
    rated = sum(pair.known is None and (pair.qid, pair.product_id) in given.given for pair in pairs)
    values = found.to_dict() | {"open": len(open_pairs), "rated": rated, "written": found.believed and rated > 0}
    if values["written"]:
        write_qrels(out, with_ratings(qrels, pairs, given.given))
    if as_json:
        typer.echo(json.dumps(values))
    else:
        _say(found, rated, len(open_pairs), out, journal)


def _ask_person(pairs: Sequence[Pair], facts: Mapping[Pair, dict[str, Any]], given: Journal) -> None:
    from evals.judging import MEANINGS

    console = Console(stderr=True, highlight=False)
    console.print(f"{len(pairs)} pairs to rate. Some were rated before and check the judge.")
    console.print("   ".join(f"[bold]{rating}[/bold] {meaning}" for rating, meaning in MEANINGS.items()))
    console.print("[bold]s[/bold] skip   [bold]q[/bold] stop here; what is rated is kept")
    for number, pair in enumerate(pairs, 1):
        console.rule(f"{number} of {len(pairs)}")
        for name, value in facts[pair].items():
            text = "; ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
            console.print(f"[bold]{name}[/bold]  {escape(text)}")
        answer = _answer(console)
        if answer == "q":
            return
        if answer in _TO_RATE:
            given.add(pair, int(answer))


def _answer(console: Console) -> str:
    while True:
        try:
            answer = console.input("[bold]rating[/bold] ").strip().lower()
        except EOFError:
            return "q"
        if answer in (*_TO_RATE, "s", "q"):
            return answer
        console.print("Type 0, 1, 2, 3, s or q.")


def _ask_endpoint(pairs: Sequence[Pair], facts: Mapping[Pair, dict[str, Any]], given: Journal, settings: Settings) -> None:
    from engine.explain.endpoint import ChatEndpoint
    from evals.judging import ask_model

    endpoint = ChatEndpoint(settings)
    with Progress(console=Console(stderr=True)) as bars:
        task = bars.add_task("Asking the model", total=len(pairs))
        for pair, rating in ask_model(endpoint, pairs, facts.__getitem__):
            if rating is not None:
                given.add(pair, rating)
            bars.advance(task)


def _say(found: Agreement, rated: int, unjudged: int, out: Path, journal: Path) -> None:
    from evals.judging import LEAST_HIDDEN, LEAST_KAPPA

    typer.echo(
        f"{rated} of {unjudged} unrated pairs rated. Agreement on {found.pairs} known pairs: kappa {found.kappa:.2f} "
        f"({found.low:.2f} to {found.high:.2f}), the same rating for {found.exact:.0%}."
    )
    if found.believed and rated:
        typer.echo(f"The judge is believed; all judgements are in {out}.")
    elif found.believed:
        typer.echo("The judge is believed, but rated nothing new; nothing is written.")
    elif found.pairs < LEAST_HIDDEN:
        typer.echo(f"Fewer than {LEAST_HIDDEN} known pairs were rated, too few to believe anyone; {journal} keeps the ratings.")
    else:
        typer.echo(f"The lower end is below {LEAST_KAPPA:g}: the judge is not believed, and {journal} keeps the ratings.")
