"""``daogou search`` and ``daogou serve``: the engine on the terminal, and over HTTP.

Prints what was understood, the hits with their matches in bold, and each claim with the fields it cites. Knows nothing
of how anything is found.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.text import Text

from engine.errors import RequestError
from engine.schema import Claim, ExplainRequest, Highlight, Hit, Money, SearchRequest, SearchResponse, Understood
from engine.settings import load_settings

__all__ = ["register"]

_EXPLAINED = 10
"""Products explained at a time; ``ExplainRequest`` takes no more."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("search")(_search)
    app.command("serve")(_serve)


def _search(
    query: Annotated[str, typer.Argument(help="What a shopper would type, in English or Chinese.")],
    store: Annotated[Path | None, typer.Option(help="Folder of the snapshots.")] = None,
    filter_by: Annotated[str, typer.Option("--filter", help="For example 'price:<100 && brand:=[HP,Dell]'.")] = "",
    sort_by: Annotated[str, typer.Option("--sort", help="For example price:asc.")] = "",
    facet_by: Annotated[str, typer.Option("--facets", help="Fields to count, or '*'.")] = "",
    per_page: Annotated[int, typer.Option(help="Hits to show.", min=1, max=100)] = 5,
    correct: Annotated[bool, typer.Option(help="Search also for what unknown words were probably meant to be.")] = True,
    explain: Annotated[bool, typer.Option(help="Say why each product answers the query.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the response as JSON.")] = False,
) -> None:
    """Search the current snapshot."""
    from engine.engine import Engine

    try:
        request = SearchRequest(
            q=query, filter_by=filter_by, sort_by=sort_by, facet_by=facet_by, per_page=per_page, correct=correct
        )
    except ValidationError as error:
        raise RequestError("; ".join(f"{e['loc'][0]}: {e['msg']}" for e in error.errors()) + ".") from error
    engine = Engine.open(load_settings(store=store))
    response = engine.search(request)
    claims: dict[str, list[Claim]] = {}
    if explain and response.hits:
        ids = [str(h.document["id"]) for h in response.hits[:_EXPLAINED]]
        for item in engine.explain(ExplainRequest(q=query, ids=ids)):
            if isinstance(item, Claim):
                claims.setdefault(item.product_id, []).append(item)
    if as_json:
        said = [claim.model_dump(mode="json") for of_product in claims.values() for claim in of_product]
        typer.echo(json.dumps(response.model_dump(mode="json") | ({"claims": said} if explain else {}), ensure_ascii=False))
        return
    _show(response, claims, Console(highlight=False))


def _meaning(u: Understood) -> str:
    """Return in words what was read out of a piece of the query."""
    if u.kind == "exclude":
        return "leave out " + ", ".join(u.terms)
    if u.kind in ("object", "for"):
        return "the thing wanted" if u.kind == "object" else "what it must go with"
    if u.kind == "price" and not u.filter:
        return f"{u.terms[0]} prices first"
    return u.filter or (f"{u.field}: {' or '.join(u.terms[:4])}" if u.terms else "a wish")


def _show(response: SearchResponse, claims: dict[str, list[Claim]], console: Console) -> None:
    for u in response.applied.understood:
        console.print(Text.assemble("understood  ", (u.text, "bold"), f"  →  {_meaning(u)}"))
    for c in response.applied.corrected:
        console.print(Text.assemble("corrected   ", (c.text, "bold"), f"  →  {c.replacement} (--no-correct searches as typed)"))
    more = "at least " if response.found_relation == "gte" else ""
    console.print(f"{more}{response.found} found in {response.search_time_ms:.1f} ms, snapshot {response.snapshot}\n")
    if not response.applied.suitable:
        nearest = " What comes nearest, though it is not what was asked for:" if response.nearest else ""
        console.print(f"Nothing suitable.{nearest}")
        for hit in response.nearest:
            console.print(Text.assemble("   ~  ", str(hit.document["title"]), f"  {_price(hit)}"), soft_wrap=True)
    for place, hit in enumerate(response.hits, 1):
        about = "  ".join(filter(None, (_price(hit), str(hit.document.get("brand", "")))))
        console.print(Text.assemble(f"{place:3d}. ", _marked(hit), f"  {about}"), soft_wrap=True)
        for claim in claims.get(str(hit.document["id"]), []):
            cited = ", ".join(dict.fromkeys(f"{c.field}: {c.value[:40]}" for c in claim.citations))
            console.print(Text.assemble("     ", claim.text, (f"\n     [{cited}]" if cited else "", "dim")), soft_wrap=True)
    for facet in response.facet_counts:
        shown = ", ".join(f"{c.value} {c.count}" for c in facet.counts[:8])
        shown += "".join(f" {s.min:g}–{s.max:g} {s.unit}" for s in facet.stats)
        console.print(f"\n{facet.field}: {shown}", markup=False)


def _marked(hit: Hit) -> Text:
    mark = hit.highlight.get("title", Highlight(snippet=hit.document["title"], spans=[]))
    text = Text(mark.snippet)
    for start, end in mark.spans:
        text.stylize("bold", start, end)
    return text


def _price(hit: Hit) -> str:
    price = hit.document.get("sale_price") or hit.document.get("price")
    return str(Money(price["amount"], price["currency"])) if price else ""


def _serve(
    store: Annotated[Path | None, typer.Option(help="Folder of the snapshots.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 picks a free one.")] = None,
    workers: Annotated[int | None, typer.Option(help="Server processes; as many as cores is best.")] = None,
    log_requests: Annotated[bool, typer.Option(help="Log each request, never its query.")] = False,
) -> None:
    """Serve the API and the search page; new snapshots are picked up while running."""
    from api.server import serve

    serve(load_settings(store=store, host=host, port=port, workers=workers), log_requests=log_requests)
