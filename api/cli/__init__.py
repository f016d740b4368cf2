"""The command line, ``daogou``: a module for each group of commands.

In: arguments. Out: results on stdout, progress and remarks on stderr, an exit code. An error is a sentence, never a
traceback unless ``--debug`` asks for it. Commands import what they need when they run, so that ``--help`` is quick.
Knows nothing of how anything is done: each command calls one or two functions of the other packages and prints.
"""

from __future__ import annotations

import importlib.metadata
import sys
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.console import Console

from api.cli import (
    convert,
    doctor,
    estimate,
    evaluate,
    events,
    experiment,
    index,
    judge,
    people,
    report,
    search,
    store,
    train,
    tune,
    update,
)
from engine.errors import DaogouError

__all__ = ["EXIT_CODES", "app", "main"]

EXIT_CODES = {
    0: "done",
    1: "internal error, or the system refused",
    2: "wrong use, setting or filter",
    3: "unreadable feed",
    4: "snapshot refused",
    5: "store locked",
    6: "no such snapshot or product",
    7: "encoder",
    8: "evaluation input",
    9: "training",
    10: "event log",
    11: "vector engine",
    12: "snapshot storage",
    130: "interrupted",
}
"""What ``daogou`` exits with; the errors' own codes are in ``engine.errors``."""

_INTERRUPTED = 130


@dataclass(slots=True)
class _Options:
    """Options of ``daogou`` itself, before the command."""

    debug: bool = False


app = typer.Typer(
    name="daogou",
    help="An AI shopping guide a shop can run itself: index a feed, search it, explain the hits, measure the relevance.",
    epilog="Exit codes: " + " · ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items()) + ".",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)
_COMMANDS = (
    index, update, estimate, search, events, people, experiment, evaluate, convert, report, judge, tune, train, store, doctor,
)  # fmt: skip
for module in _COMMANDS:
    module.register(app)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(importlib.metadata.version("daogou"))
        raise typer.Exit


@app.callback()
def _daogou(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    context.ensure_object(_Options).debug = debug


def main() -> None:
    """Run the command line and exit."""
    options = _Options()
    try:
        app(obj=options)
    except SystemExit as ended:
        if ended.code == _INTERRUPTED:
            _say("Interrupted. What was published before keeps serving.", "yellow")
        raise
    except Exception as error:
        if options.debug:
            Console(stderr=True).print_exception()
        _say(_sentence(error), "red")
        sys.exit(error.exit_code if isinstance(error, DaogouError) else 1)


def _sentence(error: Exception) -> str:
    """Return what a person can do something with."""
    if isinstance(error, DaogouError):
        return f"{error.title}: {error}"
    if isinstance(error, OSError):
        where = f" ({error.filename})" if error.filename else ""
        return f"The system refused: {error.strerror or error}{where}."
    return (
        f"daogou has a mistake in it: {type(error).__name__}: {error}. "
        "Run `daogou --debug …` again and report what it prints, with the command and `daogou doctor`."
    )


def _say(sentence: str, style: str) -> None:
    Console(stderr=True, highlight=False).print(sentence, style=style, markup=False, soft_wrap=True)
