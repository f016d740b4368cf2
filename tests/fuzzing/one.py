"""One target under atheris, with libFuzzer's arguments. The only module that needs atheris, and to be imported before any that is
fuzzed, as it has them instrumented.

An input that breaks a property is written down once for each place it breaks at, with its traceback, and the run goes on: one mistake
hides no other.
"""

from __future__ import annotations

import ctypes
import traceback
from collections.abc import Sequence
from pathlib import Path

import atheris

_PACKAGES = ["engine", "indexer", "api"]

with atheris.instrument_imports(include=_PACKAGES):
    from fuzzing.mutating import mutated
    from fuzzing.target import tried
    from fuzzing.targets import TARGETS

ROOT = Path(__file__).parents[2]


class Finder:
    """Runs a target, and writes down what breaks it."""

    def __init__(self, name: str, found: Path) -> None:
        self._target, self._found = TARGETS[name], found
        found.mkdir(parents=True, exist_ok=True)

    def warm(self) -> None:
        """Import, while imports are instrumented, what a target imports only when it runs."""
        with atheris.instrument_imports(include=_PACKAGES):
            for seed in self._target.seeds:
                self(seed)

    def __call__(self, data: bytes) -> None:
        """Try one input."""
        try:
            tried(self._target, data)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a panic of a library in Rust is no Exception
            self._note(data, error)

    def mutate(self, data: bytes, max_size: int, seed: int) -> bytes:
        """Return another input: libFuzzer's, or one that is JSON where this one is."""
        if seed % 3 == 0:
            return atheris.Mutate(data, max_size)
        return mutated(data, self._target.words, seed)[:max_size]

    def _note(self, data: bytes, error: BaseException) -> None:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(str(ROOT))]
        kind = f"{type(error).__name__}-{Path(frames[-1].filename).stem}-{frames[-1].lineno}"
        path = self._found / kind
        if not path.exists() or len(data) < path.stat().st_size:
            path.write_bytes(data)
            said = "".join(traceback.format_exception(error)).encode("utf-8", "replace")
            path.with_suffix(".txt").write_bytes(said[-20_000:])


def fuzz(name: str, found: Path, arguments: Sequence[str]) -> None:
    """Run a target by libFuzzer's arguments, of which the first is the command that does this; ends the process."""
    finder = Finder(name, found)
    finder.warm()
    libc = ctypes.CDLL(None)  # of a process that was forked, the threads that libraries wait for at its exit are not there
    libc.__cxa_atexit(ctypes.cast(libc._exit, ctypes.c_void_p), None, None)
    atheris.Setup(list(arguments), finder, custom_mutator=finder.mutate)
    atheris.Fuzz()

