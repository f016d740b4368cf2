"""The command line: ``daogou index | search | serve | run | eval | compare | suite | rollback | snapshots | doctor``.

Results go to stdout, progress and remarks to stderr. An error is one sentence and an exit code, never a traceback.
Commands import what they need when they run, so that ``--help`` is quick.
"""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from api.cli import evaluate, index, search, store
from engine.errors import DaogouError

__all__ = ["app", "main"]

_EPILOG = (
    "Exit codes: 0 done · 1 internal error · 2 wrong use or setting · 3 unreadable feed · 4 snapshot refused · "
    "5 store locked · 6 no such snapshot or product · 7 encoder · 8 evaluation input · 130 interrupted."
)

app = typer.Typer(
    name="daogou",
    help="An AI shopping guide a shop can run itself: index a feed, search it, explain the hits, measure the relevance.",
    epilog=_EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)
for module in (index, search, evaluate, store):
    module.register(app)


def main() -> None:
    """Run the command line and exit."""
    console = Console(stderr=True, highlight=False)
    try:
        app()
    except DaogouError as error:
        console.print(f"{error.title}: {error}", style="red", markup=False, soft_wrap=True)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, BrokenPipeError) as error:
        if isinstance(error, KeyboardInterrupt):
            console.print("Interrupted; nothing was published.", style="yellow")
        sys.exit(130)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        console.print(f"The system refused: {error.strerror or error}{where}.", style="red", markup=False)
        sys.exit(1)
