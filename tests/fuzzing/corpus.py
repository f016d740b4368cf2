"""The corpus in the repository: one file for each target, one input on a line, as text where it is one.

A line is a JSON string, of which the input is the UTF-8, or ``{"base64": …}``.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from pathlib import Path

__all__ = ["FOLDER", "kept", "pack"]

FOLDER = Path(__file__).with_name("corpus")


def kept(name: str) -> list[bytes]:
    """Return the inputs that are kept of a target."""
    path = FOLDER / f"{name}.jsonl"
    return [_input(json.loads(line)) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def pack(name: str, inputs: Iterable[bytes]) -> None:
    """Keep these inputs of a target, in the place of what was kept."""
    FOLDER.mkdir(exist_ok=True)
    lines = [json.dumps(_value(data)) for data in sorted(set(inputs), key=lambda data: (len(data), data))]
    (FOLDER / f"{name}.jsonl").write_text("".join(f"{line}\n" for line in lines), "utf-8")


def _input(value: str | dict[str, str]) -> bytes:
    return value.encode() if isinstance(value, str) else base64.b64decode(value["base64"], validate=True)


def _value(data: bytes) -> str | dict[str, str]:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}
