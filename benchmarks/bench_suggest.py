"""How long a suggestion takes in process: ``python -m benchmarks.bench_suggest STORE``.

Typed beginnings are those of the index's own keys, one to eight characters long, and the same with two letters swapped,
which nothing begins with. Prints medians and 95th percentiles in milliseconds. Reads a published snapshot.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from engine.index.prefix import PrefixIndex
from engine.index.snapshot import open_snapshot

__all__ = ["main", "typed_beginnings"]

_LENGTHS = (1, 2, 3, 5, 8)
_MOST_KEYS = 1500


def typed_beginnings(keys: Sequence[str]) -> Iterator[str]:
    """Yield beginnings of evenly spread keys."""
    for key in keys[:: max(1, len(keys) // _MOST_KEYS)]:
        yield from (key[:length] for length in _LENGTHS)


def main() -> None:
    """Measure and print."""
    if len(sys.argv) != 2:
        sys.exit("Name the folder of the snapshots: python -m benchmarks.bench_suggest STORE")
    snapshot = open_snapshot(Path(sys.argv[1]))
    index = PrefixIndex(snapshot.parts)
    keys = (snapshot.path / "prefix" / "keys.txt").read_text("utf-8").split("\n")
    plain = list(typed_beginnings(keys))
    swapped = [t[:2] + t[3] + t[2] + t[4:] for t in plain if len(t) == 8 and t.isascii()]
    for name, typed in (("as typed", plain), ("with a slip", swapped)):
        if not typed:
            continue
        took = []
        for text in typed:
            started = time.perf_counter()
            index.suggest(text, 8)
            took.append(1000 * (time.perf_counter() - started))
        middle, high = np.percentile(took, [50, 95])
        print(f"{name}: {len(typed)} suggestions from {len(keys)} keys, p50 {middle:.3f} ms, p95 {high:.3f} ms")


if __name__ == "__main__":
    main()
