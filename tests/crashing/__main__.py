"""``python -m crashing [SCENE …]``: crash every scene at every step, and print the counts."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from crashing.scenes import SCENES
from crashing.trace import available
from crashing.trials import crash, summed


def main() -> int:
    """Run and print; 1 where something was not as it must be."""
    parser = argparse.ArgumentParser(prog="python -m crashing", description=__doc__)
    parser.add_argument("scenes", nargs="*", metavar="SCENE", help=f"of {', '.join(SCENES)}; else all")
    parser.add_argument("--most", type=int, default=0, help="crash after so many steps of a scene; else after every one")
    parser.add_argument("--chances", type=int, default=2, help="power cuts at each step that keep some of what was not synced")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if reason := available():
        print(f"Nothing was crashed: {reason}.", file=sys.stderr)
        return 2
    tallies = []
    for name in given.scenes or SCENES:
        with tempfile.TemporaryDirectory(prefix="crashing-") as folder:
            note = lambda line: print(line, file=sys.stderr)  # noqa: E731
            tallies.append(crash(name, Path(folder), most=given.most, chances=given.chances, seed=given.seed, note=note))
        last = tallies[-1]
        print(f"{name}: {last.points} points, {last.kills} kills, {last.cuts} power cuts, {len(last.wrong)} wrong", file=sys.stderr)
    if given.json:
        print(json.dumps({"scenes": [asdict(t) for t in tallies], "all": summed(tallies)}, indent=1))
    else:
        print(", ".join(f"{count} {what}" for what, count in summed(tallies).items()))
    return 1 if any(t.wrong for t in tallies) else 0


if __name__ == "__main__":
    raise SystemExit(main())
