"""An input made from another one: JSON with some of its parts changed, or bytes with pieces put in, left out or doubled.

Most of what is read is JSON, of which a fuzzer that knows bytes alone makes something else each time.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

__all__ = ["mutated"]

_ODD = (
    None, True, False, 0, 1, -1, 2, 1.5, -0.0, 2**31, 2**53 + 1, 2**63, -(2**63) - 1, 10**40, 1e308, float("inf"), float("nan"), "", " ", "\0",
    "\ud800", "a" * 300, "é帐", "1", "-1", "2026-01-02", [], {}, [[]], [None], {"": ""},
)  # fmt: skip


def mutated(data: bytes, words: Sequence[str], seed: int) -> bytes:
    """Return another input, the same for the same seed; ``words`` are put into it."""
    rng = random.Random(seed)
    first = 0 if data[:1] in (b"{", b"[", b"") else 1
    lines = data[first:].split(b"\n") if rng.random() < 0.5 else [data[first:]]
    at = rng.randrange(len(lines))
    try:
        value = json.loads(lines[at])
    except (ValueError, RecursionError):
        return _pieces(data, words, rng)
    if rng.random() < 0.1:
        return _pieces(data, words, rng)
    try:
        for _ in range(rng.choice((1, 1, 2, 3))):
            value = _changed(value, value, words, rng)
        lines[at] = json.dumps(value, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
    except RecursionError:
        return _pieces(data, words, rng)
    return data[:first] + b"\n".join(lines)


def _changed(value: Any, whole: Any, words: Sequence[str], rng: random.Random) -> Any:
    """Return a value with one part of it another one."""
    if isinstance(value, dict | list) and value and rng.random() < 0.8:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key, how = rng.choice(keys), rng.random()
        out = value.copy()
        if how < 0.1:
            del out[key]
        elif how < 0.2 and isinstance(out, dict):
            out[rng.choice(words) if words else "x"] = out[key]
        elif how < 0.2:
            out.insert(key, out[key])
        else:
            out[key] = _changed(out[key], whole, words, rng)
        return out
    how = rng.random()
    if how < 0.35:
        return rng.choice(_ODD)
    if how < 0.5:
        return _any_part(whole, rng)
    if how < 0.6:
        return rng.choice(([value], {"name": value, "value": value}, str(value)))
    if isinstance(value, str) and (words or value):
        return _pieces(value.encode("utf-8", "surrogatepass"), words, rng).decode("utf-8", "replace")
    if isinstance(value, int | float):
        return rng.choice((-value, value + 1, value * 10, str(value), float(value) if abs(value) < 1e300 else 0.0))
    return rng.choice(words) if words else None


def _any_part(whole: Any, rng: random.Random) -> Any:
    while isinstance(whole, dict | list) and whole and rng.random() < 0.7:
        whole = rng.choice(list(whole.values()) if isinstance(whole, dict) else whole)
    return whole


def _pieces(data: bytes, words: Sequence[str], rng: random.Random) -> bytes:
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randint(0, len(data))
        to = min(len(data), at + rng.choice((0, 0, 1, 2, 8, 30)))
        word = rng.choice(words).encode("utf-8", "surrogatepass") if words else b""
        piece = rng.choice((word, word, b"", bytes([rng.randrange(256)]), rng.randbytes(3), data[at:to] * rng.choice((2, 40))))
        data = data[:at] + piece + data[to:]
    return data
