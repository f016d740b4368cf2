"""Export a model in a process of its own: loading it takes a gigabyte, which ends with that process.

In and out: as :func:`engine.encoder.export.export_encoder`. What is to be done goes to the process as JSON, what it says comes
back a line at a time. Knows nothing of models.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from engine import errors
from engine.encoder.export import Kind, export_encoder, find_exported
from engine.errors import DaogouError, EncoderError

__all__ = ["export_apart"]


def export_apart(
    model: str,
    cache: Path,
    *,
    max_tokens: int,
    sample_texts: Sequence[str] = (),
    device: str = "auto",
    runtime: Kind = "onnx",
    progress: Callable[[str], None] | None = None,
) -> Path:
    """Return the folder of an exported model, exported by another process unless it is there or a toy.

    Raises:
        EncoderError: the model cannot be found, loaded or exported, or the export does not agree with it.
        MissingExtraError: the runtime is not installed.
    """
    if model.split(":")[0] == "hashing":
        return export_encoder(model, cache, max_tokens=max_tokens)
    if found := find_exported(model, cache, max_tokens=max_tokens, runtime=runtime):
        return found
    wanted = {"model": model, "max_tokens": max_tokens, "sample_texts": list(sample_texts), "device": device, "runtime": runtime}
    process = subprocess.Popen(
        [sys.executable, "-m", "engine.encoder.apart", str(cache)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(wanted))
        process.stdin.close()
        for line in process.stdout:
            kind, said = json.loads(line)
            if kind == "note" and progress:
                progress(said)
            elif kind == "folder":
                return Path(said)
            elif kind != "note":
                raise getattr(errors, kind, EncoderError)(said)
    except BrokenPipeError:
        pass
    finally:
        process.kill()
        process.wait()
    raise EncoderError(f"The process that exports the model ended early (status {process.returncode}). Is there enough memory?")


def _main() -> None:
    """Export what standard input asks for, and say on standard output how it goes."""
    lines = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is not mistaken for an answer

    def say(kind: str, said: str) -> None:
        lines.write(json.dumps([kind, said]) + "\n")

    wanted = json.load(sys.stdin)
    try:
        say("folder", str(export_encoder(cache=Path(sys.argv[1]), progress=lambda note: say("note", note), **wanted)))
    except DaogouError as error:
        say(type(error).__name__, str(error))


if __name__ == "__main__":
    _main()
