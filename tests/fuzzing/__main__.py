"""``python -m fuzzing [TARGET …] --seconds N --corpus DIR``: run targets under atheris, a process each, and print what came of it.

``DIR`` has a folder of inputs for each target, to which the run adds, beside ``found`` with what broke a property. With ``--keep``
the inputs are minimised (libFuzzer's merge) and kept in the repository.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

if importlib.util.find_spec("atheris"):
    import fuzzing.one  # first: it has all modules instrumented

from fuzzing.corpus import kept, pack
from fuzzing.target import MOST_BYTES
from fuzzing.targets import TARGETS

_MOST_KEPT = 150
_FIXED = (f"-max_len={MOST_BYTES}", "-print_final_stats=1", "-rss_limit_mb=6000", "-timeout=120", "-reload=0")


@dataclass(frozen=True, slots=True)
class Run:
    """What a run did."""

    target: str
    seconds: int = 0
    executions: int = 0
    coverage: int = 0
    corpus: int = 0
    found: int = 0
    ended: int = 0


def main() -> int:
    """Run and print; 1 where a property was broken."""
    parser = argparse.ArgumentParser(prog="python -m fuzzing", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; else all")
    parser.add_argument("--seconds", type=int, default=60, help="for each target; 0 only keeps what is there")
    parser.add_argument("--corpus", type=Path, default=Path(".fuzzing"), metavar="DIR")
    parser.add_argument("--keep", action="store_true", help="minimise the inputs and keep them in the repository")
    given = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        print("Nothing was fuzzed: atheris is not installed. Run `pip install atheris`.", file=sys.stderr)
        return 2
    if unknown := sorted(set(given.targets) - set(TARGETS)):
        parser.error(f"no target is called {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="fuzzing-", dir=shared if shared.is_dir() else None) as desk:
        os.environ |= {"FUZZING_DESK": desk, "TMPDIR": desk}
        return _all(given.targets or list(TARGETS), given.corpus.resolve(), given.seconds, given.keep)


def _all(names: Sequence[str], folder: Path, seconds: int, keep: bool) -> int:
    from fuzzing.catalogue import shop

    shop()
    runs = []
    print(f"{'target':14} {'seconds':>8} {'executions':>11} {'coverage':>9} {'corpus':>7} {'broken':>7}", flush=True)
    for name in names:
        if seconds:
            runs.append(_run(name, folder, seconds))
            print(_line(runs[-1]), flush=True)
        if keep:
            _keep(name, folder)
    print(_line(Run("all", *(sum(getattr(run, field) for run in runs) for field in ("seconds", "executions", "coverage", "corpus", "found")))))
    for run in runs:
        for path in sorted((folder / "found" / run.target).glob("*.txt")):
            print(f"{run.target}: {path.with_suffix('')}: {path.read_text('utf-8').strip().splitlines()[-1][:160]}")
        if run.ended:
            print(f"{run.target}: ended with {run.ended}; see {folder / 'found' / run.target}.log")
    return 1 if any(run.found or run.ended for run in runs) else 0


def _line(run: Run) -> str:
    return f"{run.target:14} {run.seconds:8,} {run.executions:11,} {run.coverage:9,} {run.corpus:7,} {run.found:7,}"


def _run(name: str, folder: Path, seconds: int) -> Run:
    inputs, found = folder / name, folder / "found"
    inputs.mkdir(parents=True, exist_ok=True)
    found.mkdir(exist_ok=True)
    for n, data in enumerate([*TARGETS[name].seeds, *kept(name)]):
        (inputs / f"begun-{n:03}").write_bytes(data)
    words = found / f"{name}.dict"
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in TARGETS[name].words), "ascii")
    given = [*([f"-dict={words}"] if TARGETS[name].words else []), f"-max_total_time={seconds}", f"-artifact_prefix={found}/{name}-", str(inputs)]
    ended, log = _forked(name, found, given)
    executions = re.findall(r"stat::number_of_executed_units:\s*(\d+)", log) or re.findall(r"^#(\d+)", log, re.M)
    coverage = re.findall(r"cov: (\d+)", log)
    count = len(list((found / name).glob("*.txt")))
    took = re.findall(r"Done \d+ runs in (\d+) second", log)
    last = lambda found: int(found[-1]) if found else 0  # noqa: E731
    return Run(name, last(took), last(executions), last(coverage), len(list(inputs.iterdir())), count, ended)


def _escaped(word: str) -> str:
    return "".join(chr(b) if 32 <= b < 127 and chr(b) not in '"\\' else f"\\x{b:02X}" for b in word.encode("utf-8", "surrogatepass")[:64])


def _forked(name: str, found: Path, arguments: Sequence[str]) -> tuple[int, str]:
    """Return how a process ended that runs a target, and what it said: it has all modules as they were instrumented once."""
    log = found / f"{name}.log"
    if not (process := os.fork()):
        try:
            with log.open("wb") as stream:
                os.dup2(stream.fileno(), 1)
                os.dup2(stream.fileno(), 2)
            fuzzing.one.fuzz(name, found / name, ["fuzzing", *_FIXED, *arguments])
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(70)
    ended = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return ended, log.read_bytes().decode("utf-8", "replace")


def _keep(name: str, folder: Path) -> None:
    """Keep the inputs that a merge of libFuzzer's takes, the smallest first: each reaches what none before it does."""
    paths = sorted((folder / name).iterdir(), key=lambda path: (path.stat().st_size, path.name))
    control = folder / "found" / f"{name}.merge"
    control.write_text("\n".join([str(len(paths)), "0", *map(str, paths), ""]), "utf-8")
    ended, log = _forked(name, folder / "found", ["-merge_inner=1", f"-merge_control_file={control}", "-use_counters=0"])
    inputs, reached = [], set[str]()
    for line in control.read_text("utf-8").splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "FT":
            place, *features = rest.split()
            if not reached.issuperset(features):
                reached.update(features)
                inputs.append(paths[int(place)].read_bytes())
    if ended or not inputs:
        print(f"{name}: nothing was kept, as merging ended with {ended}: {log[-400:]}")
        return
    pack(name, inputs[:_MOST_KEPT])
    print(f"{name}: kept {len(inputs[:_MOST_KEPT])} of {len(paths)} inputs, which reach {len(reached):,} edges", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
