"""``daogou eval``, ``run``, ``compare`` and ``suite``: how good the results are.

Says on stderr which snapshot was searched: whether it holds the products that were judged is the caller's to know.
Computes nothing itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from engine.errors import EvaluationError
from engine.settings import load_settings

if TYPE_CHECKING:
    from engine.engine import Engine
    from engine.explain import Generator
    from evals.robustness import RobustnessReport

__all__ = ["register"]

_Store = Annotated[Path | None, typer.Option(help="Folder of the snapshots.")]
_Data = Annotated[Path, typer.Option(help="Folder with queries and judgements.")]
_SUITES = ("codes", "robustness", "understanding", "accessories", "spelling", "attacks", "turns", "privacy")
_Json = Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("eval")(_eval)
    app.command("run")(_run)
    app.command("compare")(_compare)
    app.command("suite")(_suite)


def _eval(
    what: Annotated[str, typer.Argument(help="relevance, explanations, guide, personal or recommendations.")] = "relevance",
    data: _Data = Path("examples/demo"),
    store: _Store = None,
    run: Annotated[Path | None, typer.Option(help="Score this TREC run instead of the current snapshot.")] = None,
    queries: Annotated[Path | None, typer.Option(help="Other texts for the same query ids.")] = None,
    alpha: Annotated[float | None, typer.Option(help="Weight of meaning against words.", min=0, max=1)] = None,
    view: Annotated[list[str] | None, typer.Option(help="Which judgements; all views when left out.")] = None,
    per_query: Annotated[Path | None, typer.Option(help="Write a row per query to this TSV file.")] = None,
    slices: Annotated[bool, typer.Option(help="Also by kind of query, in the main view or the one chosen.")] = False,
    ranking: Annotated[
        bool, typer.Option(help="Only put the judged products of each query in order, in the main view or the one chosen.")
    ] = False,
    explanations: Annotated[int, typer.Option(help="Products explained by honest generators.", min=1)] = 600,
    corrupted: Annotated[int, typer.Option(help="Products that corrupted generators lie about.", min=0)] = 400,
    goals: Annotated[Path | None, typer.Option(help="WebShop's human_goals.json: how shoppers begin, for the guide.")] = None,
    shoppers: Annotated[int, typer.Option(help="Simulated shoppers; of the guide, a quarter Chinese.", min=4)] = 400,
    orders: Annotated[Path | None, typer.Option(help="Orders to recommend from, as CSV or Parquet; else those of the log.")] = None,
    seed: Annotated[int, typer.Option(help="Another seed, other lies and shoppers.")] = 0,
    as_json: _Json = False,
) -> None:
    """Measure relevance: nDCG@10, MRR, P, R@100 and Judged@10, with 95 % intervals. Or explanations: what is kept, cited and
    said, and whether anything made false on purpose gets through. Or the guide: how many simulated shoppers find their product.
    Or personal results: what they gain for simulated shoppers with a taste, and harm others. Or recommendations: how well they
    foretell next orders, beside popularity, personal frequency, item-kNN and EASE."""
    if what == "explanations":
        _explanations(data, queries, store, explanations, corrupted, seed, as_json)
        return
    if what == "guide":
        _guide(store, goals, shoppers, seed, as_json)
        return
    if what == "personal":
        _personal(data, queries, store, shoppers, seed, as_json)
        return
    if what == "recommendations":
        _recommendations(store, orders, as_json)
        return
    if what != "relevance":
        known = "relevance, explanations, guide, personal, recommendations"
        raise EvaluationError(f"There is nothing called {what!r} to measure. Known: {known}.")
    from evals.evalsets import load_evalset
    from evals.evaluate import evaluate, render, write_per_query
    from evals.run import make_pool_run, make_run, read_run
    from evals.slices import render_slices, score_slices, with_misspelt

    evalset = load_evalset(data, queries)
    engine = None
    if ranking:
        if run or alpha is not None:
            raise EvaluationError("`--ranking` orders the judged products anew. Leave out --run and --alpha.")
        engine = _open(store)
        view = [evalset.view(view[0] if view else "").name]
        scored = make_pool_run(engine, evalset.queries, evalset.view(view[0]).qrels, engine.product_ids)
    elif run:
        scored = read_run(run)
    else:
        engine = _open(store)
        scored = make_run(engine, evalset.queries, alpha=alpha)
    report = evaluate(scored, evalset, views=view or (), task="ranking" if ranking else "retrieval")
    if per_query:
        write_per_query(report, per_query)
    kinds = []
    if slices:
        named = with_misspelt(engine, evalset) if engine else evalset.kinds
        kinds = score_slices(report.view(), evalset.queries, report.view().view.qrels, named)
    if as_json:
        values = report.to_dict() | ({"slices": [kind.to_dict() for kind in kinds]} if slices else {})
        typer.echo(json.dumps(values, ensure_ascii=False))
    else:
        render(report, Console(highlight=False))
        if slices:
            render_slices(kinds, Console(highlight=False))


def _explanations(
    data: Path, queries: Path | None, store: Path | None, explanations: int, corrupted: int, seed: int, as_json: bool
) -> None:
    """Score the shop's generator and the template over the queries of an evaluation set."""
    from engine.explain import make_generator
    from engine.explain.template import TemplateGenerator
    from evals.evalsets import load_evalset
    from evals.explaining import cases, render, score_explaining

    engine = _open(store)
    generators: list[Generator] = [TemplateGenerator()]
    if engine.settings.generator != TemplateGenerator.name:
        generators.append(make_generator(engine.settings))
    asked = list(load_evalset(data, queries).queries.values())
    report = score_explaining(list(cases(engine, asked)), generators, explanations, corrupted, seed)
    _print(report.to_dict(), as_json, lambda: render(report, Console(highlight=False)))


def _guide(store: Path | None, goals: Path | None, shoppers: int, seed: int, as_json: bool) -> None:
    """Have simulated shoppers talk to the guide; the words of explanations are not looked at, so the template writes them."""
    from engine.engine import Engine
    from evals.guiding import goals_of, leads_of, read_goals, render, score_guiding

    engine = Engine.open(load_settings(store=store, generator="template"))
    leads = list(leads_of(read_goals(goals, seed), engine.understand)) if goals else []
    products = list(engine.products())
    chinese = goals_of(products, (), shoppers // 4, "zh", seed)
    english = goals_of(products, leads, shoppers - shoppers // 4, "en", seed)
    report = score_guiding(engine, [*english, *chinese], seed)
    _print(report.to_dict(), as_json, lambda: render(report, Console(highlight=False)))


def _personal(data: Path, queries: Path | None, store: Path | None, shoppers: int, seed: int, as_json: bool) -> None:
    """Have simulated shoppers search as strangers and as themselves."""
    from evals.evalsets import load_evalset
    from evals.personal import evaluate_personal, render

    engine, evalset = _open(store), load_evalset(data, queries)
    scores = evaluate_personal(engine, evalset.view(), evalset.queries, shoppers=shoppers, seed=seed)
    _print(scores.to_dict(), as_json, lambda: render(scores, Console(highlight=False)))


def _recommendations(store: Path | None, orders: Path | None, as_json: bool) -> None:
    """Foretell orders of the last months from those before."""
    from engine.events import EventLog
    from evals.recommending.measuring import recommend_scores, render
    from indexer.sold import orders_of_log, orders_of_sales
    from indexer.transactions import read_sales

    engine, told = _open(store), Console(stderr=True, highlight=False)
    ids = sorted(engine.product_ids)
    if orders is None:
        with closing(EventLog.open(engine.settings)) as log:
            bought = orders_of_log(log, ids).orders
    else:
        bought = orders_of_sales(read_sales(orders).lines, ids)
    scores = recommend_scores(bought, engine.product_vectors(), note=lambda line: told.print(line, style="dim"))
    _print(scores.to_dict(), as_json, lambda: render(scores, Console(highlight=False)))


def _run(
    queries: Annotated[Path, typer.Argument(help="A file of qid<TAB>query lines.")],
    out: Annotated[Path, typer.Option(help="Where the TREC run goes.")],
    store: _Store = None,
    depth: Annotated[int, typer.Option(help="Most hits for each query.", min=1, max=1000)] = 100,
    alpha: Annotated[float | None, typer.Option(help="Weight of meaning against words.", min=0, max=1)] = None,
) -> None:
    """Write a TREC run that any tool can score."""
    from evals.evalsets import load_queries
    from evals.run import make_run, write_run

    made = make_run(_open(store), load_queries(queries), depth=depth, alpha=alpha)
    write_run(made, out)
    typer.echo(f"{sum(len(r) for r in made.rankings.values())} hits for {len(made.rankings)} queries written to {out}.")


def _compare(
    a: Annotated[Path, typer.Argument(help="A TREC run.")],
    b: Annotated[Path, typer.Argument(help="Another; differences are B minus A.")],
    data: _Data = Path("examples/demo"),
    view: Annotated[str, typer.Option(help="Which judgements; empty is the main view.")] = "",
    as_json: _Json = False,
) -> None:
    """Compare two runs query by query, with a paired test."""
    from evals.compare import compare, render
    from evals.evalsets import load_evalset
    from evals.run import read_run

    comparison = compare(read_run(a), read_run(b), load_evalset(data), view)
    if as_json:
        typer.echo(json.dumps(comparison.to_dict(), ensure_ascii=False))
    else:
        render(comparison, Console(highlight=False))


def _suite(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(_SUITES)}.")] = "codes",
    store: _Store = None,
    n: Annotated[int, typer.Option(help="Most products or words to sample.", min=1)] = 400,
    data: Annotated[
        Path | None, typer.Option(help="Robustness: a set, or a folder of `variants`; turns, privacy: labelled lines. Else ours.")
    ] = None,
    queries: Annotated[Path | None, typer.Option(help="Other texts for the same query ids, for robustness.")] = None,
    view: Annotated[str, typer.Option(help="Which judgements, for robustness; empty is the main view.")] = "",
    goals: Annotated[Path | None, typer.Option(help="WebShop's human_goals.json, for understanding.")] = None,
    as_json: _Json = False,
) -> None:
    """Measure a behaviour: model numbers, needs written otherwise, what is read out of queries, devices, spelling, attacks in
    product text, turns of the guide, masking of personal data."""
    if name not in _SUITES:
        raise EvaluationError(f"There is no suite {name!r}. Known: {', '.join(_SUITES)}.")
    if name == "privacy":
        _privacy(data, as_json)
        return
    engine = _open(store)
    console = Console(highlight=False)
    if name == "codes":
        from evals.suites import code_suite, render, score_suite

        report = score_suite(engine, code_suite(engine.products(), n))
        _print(report.to_dict(), as_json, lambda: render(report, console))
    elif name == "robustness":
        from evals import robustness

        costs = _robustness(engine, data, queries, view, n)
        _print(costs.to_dict(), as_json, lambda: robustness.render(costs, console))
    elif name == "accessories":
        from evals import accessories

        found = accessories.score_accessories(engine)
        _print(found.to_dict(), as_json, lambda: accessories.render(found, console))
    elif name == "spelling":
        from evals import spelling

        spelt = spelling.score_spelling(engine, engine.products(), n)
        _print(spelt.to_dict(), as_json, lambda: spelling.render(spelt, console))
    elif name == "turns":
        from evals import turning

        turns = turning.score_turns(engine, turning.read_cases(data or turning.DEMO_TURNS))
        _print(turns.to_dict(), as_json, lambda: turning.render(turns, console))
    elif name == "attacks":
        _attacks(engine, data or Path("examples/demo"), as_json, console)
    else:
        _understanding(engine, goals, as_json, console)


def _privacy(data: Path | None, as_json: bool) -> None:
    """Score the masking of personal data on labelled lines, of a file or those that come along."""
    from evals.privacy.masking import OWN_SET, read_labelled, render, score_masking

    scores = score_masking(read_labelled(data or OWN_SET))
    _print(scores.to_dict(), as_json, lambda: render(scores, Console(highlight=False)))


def _attacks(engine: Engine, data: Path, as_json: bool, console: Console) -> None:
    """Put attacks into products of the catalogue, index it again elsewhere, search and explain."""
    import tempfile

    from engine.explain import make_generator
    from engine.explain.template import TemplateGenerator
    from evals.evalsets import load_evalset
    from evals.safety import render, score_safety
    from indexer.reindex import reindex

    generators: list[Generator] = [TemplateGenerator()]
    if engine.settings.generator != TemplateGenerator.name:
        generators.append(make_generator(engine.settings))
    queries = list(load_evalset(data).queries.values())
    told = Console(stderr=True, highlight=False)
    with tempfile.TemporaryDirectory() as work:
        report = score_safety(engine, queries, generators, reindex, Path(work), note=lambda line: told.print(line, style="dim"))
    _print(report.to_dict(), as_json, lambda: render(report, console))


def _robustness(engine: Engine, data: Path | None, queries: Path | None, view: str, n: int) -> RobustnessReport:
    """Score the forms of a made set, of an evaluation set, or of the catalogue itself."""
    from evals.catalogue import catalogue_set, read_set
    from evals.evalsets import load_evalset
    from evals.robustness import score_robustness

    if data and not (data / "queries.typo-start.tsv").is_file():
        evalset = load_evalset(data, queries)
        return score_robustness(engine, evalset.queries, evalset.view(view).qrels)
    made = read_set(data) if data else catalogue_set(engine.products(), n)
    return score_robustness(engine, made.queries, made.qrels, forms=made.forms)


def _understanding(engine: Engine, goals: Path | None, as_json: bool, console: Console) -> None:
    from evals import understanding

    sets = understanding.load_sets(goals)
    reports = {name: understanding.score_understanding(engine.understand, labelled) for name, labelled in sets.items()}
    if as_json:
        typer.echo(json.dumps({name: report.to_dict() for name, report in reports.items()}))
        return
    for name, scored in reports.items():
        understanding.render(scored, console, name)


def _print(values: dict[str, Any], as_json: bool, show: Callable[[], None]) -> None:
    if as_json:
        typer.echo(json.dumps(values, ensure_ascii=False))
    else:
        show()


def _open(store: Path | None) -> Engine:
    from engine.engine import Engine

    engine = Engine.open(load_settings(store=store))
    said = f"Searching snapshot {engine.snapshot_id}: {engine.product_count} products, {engine.model_name}."
    Console(stderr=True, highlight=False).print(said, markup=False, soft_wrap=True)
    return engine
