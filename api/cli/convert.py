"""``daogou convert``, ``export`` and ``variants``: evaluation sets and feeds from other people's files, and back.

Prints what was made. Knows nothing of any format.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["register"]

_Store = Annotated[Path | None, typer.Option(help="Folder of the snapshots.")]
_Data = Annotated[Path, typer.Option(help="Folder with queries and judgements.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("convert")(_convert)
    app.command("export")(_export)
    app.command("variants")(_variants)


def _variants(
    out: Annotated[Path, typer.Argument(help="Folder for queries.tsv, qrels.txt and a queries.FORM.tsv for each form.")],
    store: _Store = None,
    n: Annotated[int, typer.Option(help="Most needs to make.", min=1)] = 200,
    seed: Annotated[int, typer.Option(help="Another seed, another set.")] = 0,
) -> None:
    """Make a robustness set from the catalogue: needs, their answers, and the needs with slips and in other forms."""
    from engine.engine import Engine
    from engine.settings import load_settings
    from evals.catalogue import catalogue_set, write_set

    made = catalogue_set(Engine.open(load_settings(store=store)).products(), n, seed)
    write_set(made, out)
    typer.echo(f"{len(made.queries)} queries in {len(made.forms)} other forms written to {out}.")


def _convert(
    kind: Annotated[str, typer.Argument(help="wands, esci, multi-cpr, home-depot; pairs; quepid, opensearch; ubi; orders.")],
    source: Annotated[Path, typer.Argument(help="Folder as it is downloaded, file as it is exported, or UBI log.")],
    out: Annotated[Path, typer.Argument(help="Folder for queries.tsv, qrels.txt and, of a collection, feed.jsonl.")],
    locale: Annotated[str, typer.Option(help="Part of ESCI: us, es or jp.")] = "us",
    as_json: _Json = False,
) -> None:
    """Turn a public test collection, another tool's judgements or clicks of a search log into an evaluation set; or orders into a
    feed of the products that were sold."""
    from evals.adapters import convert
    from evals.clicks import click_judgements
    from evals.exchange import FORMATS, read_judgements
    from indexer.logs import read_log

    if kind == "orders":
        _feed_of_orders(source, out)
        return
    if kind == "ubi":
        found = click_judgements(read_log(source))
        found.write(out)
    elif kind in FORMATS:
        found = read_judgements(kind, source)
        found.write(out)
    else:
        found = convert(kind, source, out, locale)
    values = found.to_dict()

    def show() -> None:
        typer.echo(f"{values['products']} products, {values['queries']} queries, {values['pairs']} judged pairs in {out}.")
        if found.scale != 1:
            typer.echo(f"Ratings were fractions and are now in parts of {found.scale}.")
        for reason, count in values["skipped"].items():
            typer.echo(f"  {count:6d}  {reason}")

    if as_json:
        typer.echo(json.dumps(values, ensure_ascii=False))
    else:
        show()


def _feed_of_orders(source: Path, out: Path) -> None:
    """Write the products of a file of orders as a feed."""
    from indexer.transactions import products_sold, read_sales

    out.mkdir(parents=True, exist_ok=True)
    rows = list(products_sold(read_sales(source)))
    (out / "feed.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    typer.echo(f"{len(rows)} products in {out / 'feed.jsonl'}.")


def _export(
    kind: Annotated[str, typer.Argument(help="quepid or opensearch.")],
    out: Annotated[Path, typer.Argument(help="Folder for the files that the other tool imports.")],
    data: _Data = Path("examples/demo"),
    view: Annotated[str, typer.Option(help="Which judgements; empty is the main view.")] = "",
) -> None:
    """Write queries and judgements for Quepid or OpenSearch's Search Relevance Workbench."""
    from evals.evalsets import load_evalset
    from evals.exchange import write_judgements

    evalset = load_evalset(data)
    for path in write_judgements(kind, evalset.queries, evalset.view(view).qrels, out, evalset.name):
        typer.echo(f"{path} written.")
