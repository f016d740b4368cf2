"""``daogou people``: show, change and erase what is kept of a person, and check the receipt of an erasure.

For the shop's own staff, who answer for whose id they type. Prints JSON, because it is handed on. Knows nothing of how anything is
kept.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError

from engine.errors import RequestError
from engine.settings import load_settings

if TYPE_CHECKING:
    from engine.events import EventLog

__all__ = ["register"]

_Store = Annotated[Path | None, typer.Option(help="Folder of the snapshots.")]
_User = Annotated[str, typer.Option("--user", help="The shop's own id of a user.")]
_Client = Annotated[str, typer.Option("--client", help="The random id of a browser or device.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    about = "What is kept of a person: show it, change it, erase it."
    people = typer.Typer(help=about, no_args_is_help=True, rich_markup_mode=None)
    people.command("export")(_export)
    people.command("consent")(_consent)
    people.command("forget")(_forget)
    people.command("verify")(_verify)
    app.add_typer(people, name="people")


def _named(user: str, client: str) -> None:
    if not (user or client):
        raise RequestError("Nobody is named. Give --user or --client, or both.")


def _log_of(store: Path | None, *, make: bool = False) -> EventLog:
    """Return the log of a store.

    Raises:
        RequestError: there is none, and none is to be made.
    """
    from engine.events import EventLog

    settings = load_settings(store=store)
    if not (make and settings.store.is_dir()) and not EventLog.exists(settings):
        raise RequestError(f"{settings.store} has no event log, so nothing is kept of anybody there. Check --store.")
    return EventLog.open(settings)


def _export(user: _User = "", client: _Client = "", store: _Store = None) -> None:
    """Print everything that is kept of a person."""
    from engine.privacy.erasure import export_person

    _named(user, client)
    with closing(_log_of(store)) as log:
        typer.echo(export_person(log, user, client).model_dump_json(indent=2))


def _consent(
    user: _User = "",
    client: _Client = "",
    personalisation: Annotated[bool | None, typer.Option(help="Their own results.")] = None,
    improvement: Annotated[bool | None, typer.Option(help="Measuring, training, what is bought together.")] = None,
    store: _Store = None,
) -> None:
    """Write down what a person allows."""
    import orjson


    _named(user, client)
    said = {"personalisation": personalisation, "improvement": improvement}
    with closing(_log_of(store, make=True)) as log:
        kept = log.people.put(log.person(user, client), {name: value for name, value in said.items() if value is not None})
    typer.echo(orjson.dumps(kept.consent).decode())


def _forget(user: _User = "", client: _Client = "", store: _Store = None) -> None:
    """Erase a person and print the receipt."""
    from engine.privacy.erasure import erase_person

    _named(user, client)
    with closing(_log_of(store)) as log:
        typer.echo(erase_person(log, user, client).model_dump_json(indent=2))


def _verify(receipt: Annotated[Path, typer.Argument(help="A file with the receipt of an erasure.")], store: _Store = None) -> None:
    """Say whether a receipt is this store's, and unchanged."""
    from engine.privacy.erasure import Receipt, verify_receipt

    try:
        given = Receipt.model_validate_json(receipt.read_bytes())
    except ValidationError as error:
        raise RequestError(f"{receipt} holds no receipt: {error.errors()[0]['msg']}.") from error
    with closing(_log_of(store)) as log:
        if not verify_receipt(log, given):
            raise RequestError(f"The receipt in {receipt} is not of this store, or was changed.")
    typer.echo("The receipt is genuine.")
