"""Readers of what strangers and broken disks write: what was found once stays mended, and near it nothing else breaks.

``FUZZ_EXAMPLES=1000`` tries so many new inputs of each reader, and others each time; see docs/fuzzing.md.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from unittest.mock import patch
from xml.sax.saxutils import escape

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from engine.events import Event, invalid
from engine.events.event import KINDS
from engine.explain.answers import DraftReader
from engine.index.filters import And, Condition, Filter, Not, Or, parse_filter
from engine.index.snapshot import FORMAT, MANIFEST, Manifest, read_manifest
from engine.schema import Money
from engine.settings import Settings, load_settings
from fuzzing import corpus
from fuzzing.events import _keep
from fuzzing.generated import _endpoint, _Transport
from fuzzing.mutating import mutated
from fuzzing.searching import _placeless, written_filter
from fuzzing.target import LIMIT_S, MOST_BYTES, Target, tried
from fuzzing.targets import TARGETS
from indexer.feeds import open_feed

MORE = "FUZZ_EXAMPLES" in os.environ
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "25"))
trying = settings(
    max_examples=EXAMPLES, derandomize=not MORE, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from([2**31, 2**63, -1, 10**40, 1e308, "", "\0", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("name", TARGETS)
def test_what_was_tried_once_holds(name: str) -> None:
    inputs = [*TARGETS[name].seeds, *corpus.kept(name)]
    assert len(inputs) <= 180
    for data in inputs:
        tried(TARGETS[name], data)


def near(target: Target) -> st.SearchStrategy[bytes]:
    """Return inputs that are seeds of a target, changed once or more."""

    def made(seed: bytes, times: list[int]) -> bytes:
        for number in times:
            seed = mutated(seed, target.words, number)
        return seed[:MOST_BYTES]

    return st.builds(made, st.sampled_from(target.seeds), st.lists(st.integers(0, 2**32), min_size=1, max_size=3))


@pytest.mark.parametrize("name", TARGETS)
def test_what_nobody_tried_holds_too(name: str) -> None:
    target = TARGETS[name]

    @given(st.binary(max_size=64) | near(target) | near(target) | near(target))
    @settings(trying, max_examples=EXAMPLES if target.limit_s == LIMIT_S else max(3, EXAMPLES // 5))
    def holds(data: bytes) -> None:
        tried(target, data)

    holds()


LONG = ("1", " ", "a", "１", ".", ",", "(", "-", "不", "红", "十", "1 ", "1-", "$1 ", "a-", "½", "三百", "no ", "\n", "%", "3x")


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_long_is_read_in_time(name: str) -> None:
    target = TARGETS[name]
    first = target.seeds[0][:1]
    for unit in dict.fromkeys((*LONG, *target.words[:: 1 + len(target.words) // 12])):
        for beginning in (first + b"$3", target.seeds[0][:3]) if target.limit_s == LIMIT_S else (first,):
            tried(target, (beginning + unit.encode("utf-8", "surrogatepass") * MOST_BYTES)[:MOST_BYTES])


VALUES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).filter(lambda v: v == v.strip() and v)
NAMES = st.text("ab `:=.商品", min_size=1, max_size=8).filter(lambda n: n.strip())
TESTS = st.builds(
    Condition, NAMES, st.sampled_from([":", "=", "!=", "<", "<=", ">", ">="]), st.lists(VALUES, min_size=1, max_size=3).map(tuple), st.just(0)
) | st.builds(Condition, NAMES, st.just(".."), st.tuples(VALUES, VALUES | st.just("")), st.just(0))
TREES: st.SearchStrategy[Filter] = st.recursive(
    TESTS,
    lambda part: st.builds(Not, part)
    | st.builds(And, st.lists(part, min_size=2, max_size=3).map(tuple))
    | st.builds(Or, st.lists(part, min_size=2, max_size=3).map(tuple)),
    max_leaves=6,
)


@given(TREES)
@trying
def test_a_filter_that_is_written_is_read_as_it_was(tree: Filter) -> None:
    found = parse_filter(written_filter(tree))
    assert found is not None
    assert _placeless(found) == tree


CELLS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).map(str.strip).filter(bool)
ROWS = st.lists(st.fixed_dictionaries({"id": CELLS, "title": CELLS, "note": CELLS | st.just("a\nb, \"c\"; d|e\tf")}), min_size=1, max_size=4)


def _csv(delimiter: str, rows: list[dict[str, str]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, ["id", "title", "note"], delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _xml(rows: list[dict[str, str]]) -> str:
    items = "".join("<item>" + "".join(f"<{k}>{escape(v)}</{k}>" for k, v in row.items()) + "</item>" for row in rows)
    return f"<rss><channel>{items}</channel></rss>"


WRITERS = {
    **{f"a table with {name}": lambda rows, d=d: _csv(d, rows) for name, d in (("commas", ","), ("tabs", "\t"), ("semicolons", ";"), ("bars", "|"))},
    "lines": lambda rows: "".join(json.dumps(row) + "\n" for row in rows),
    "an array": json.dumps,
    "xml": _xml,
}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_feed_that_is_written_is_read_as_it_was(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "feed"

    @given(ROWS)
    @trying
    def holds(rows: list[dict[str, str]]) -> None:
        written = WRITERS[kind](rows)
        assume(kind != "xml" or all(c.isprintable() or c in "\n\t" for c in written))
        path.write_text(written, "utf-8", newline="")
        with open_feed(path) as feed:
            found = [{**row.values, **row.attributes} for row in feed.rows()]
        assert found == rows

    holds()


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
COUNTS = st.integers(0, 2**40)


@given(
    st.builds(
        Manifest, id=TEXTS, created=TEXTS, format=st.just(FORMAT), text_version=COUNTS, terms_version=COUNTS, encoder=TEXTS, model=TEXTS,
        products=COUNTS.map(lambda n: n + 2**40), dimension=COUNTS, delta=COUNTS, dead=COUNTS, counts=st.dictionaries(TEXTS, COUNTS | TEXTS, max_size=3), report=st.dictionaries(TEXTS, JSON.filter(lambda v: v == v), max_size=3),
        files=st.dictionaries(st.from_regex(r"[a-z]{1,8}(/[a-z]{1,8}\.[a-z]{3})?", fullmatch=True), st.fixed_dictionaries({"bytes": COUNTS, "sha256": st.from_regex(r"[0-9a-f]{64}", fullmatch=True)}), max_size=3),
    )
)  # fmt: skip
@trying
def test_a_manifest_that_is_written_is_read_as_it_was(tmp_path_factory: pytest.TempPathFactory, manifest: Manifest) -> None:
    try:
        written = manifest.to_json().encode()
    except UnicodeEncodeError:
        assume(False)
    assume("NaN" not in written.decode())
    folder = tmp_path_factory.getbasetemp()
    (folder / MANIFEST).write_bytes(written)
    assert read_manifest(folder) == manifest


IDS = st.text(max_size=20)


@given(
    st.builds(
        Event, st.sampled_from(KINDS), st.integers(0, 5 * 10**12), IDS, IDS, IDS, IDS, IDS, TEXTS, st.lists(TEXTS, max_size=3).map(tuple), st.integers(-1, 10**6), st.integers(-1, 10**8),
        st.none() | st.builds(Money, st.integers(-1, 10**14), st.sampled_from(["EUR", "JPY"])), st.integers(-1, 1), IDS, st.none() | st.dictionaries(TEXTS, TEXTS, max_size=2), st.booleans(),
    )
)  # fmt: skip
@trying
def test_an_event_that_may_be_kept_is_read_back(event: Event) -> None:
    _keep(event)
    assert len(fields(event)) == 16, "a new field: is it kept?"
    assert invalid(event) or event.time_ms > 0


@given(st.lists(st.text(min_size=1, max_size=30).filter(lambda t: t.encode("utf-8", "replace").decode() == t), max_size=6), st.integers(1, 80))
@trying
def test_what_an_endpoint_streams_arrives(texts: list[str], size: int) -> None:
    events = [b"data: " + json.dumps({"choices": [{"delta": {"content": text}}]}).encode() + b"\n\n" for text in texts]
    _Transport.status, _Transport.size, _Transport.body = 200, size, b"".join(events) + b"data: [DONE]\n\n"
    with patch("httpx._client.HTTPTransport", _Transport):
        assert list(_endpoint().texts([])) == texts


@given(st.lists(st.from_regex(r"P[1-3]: [a-z{} .]{1,40}", fullmatch=True), min_size=1, max_size=5), st.integers(1, 60))
@trying
def test_lines_are_the_same_drafts_however_they_are_cut(lines: list[str], size: int) -> None:
    names, text = {f"P{n}": f"A{n}" for n in (1, 2, 3)}, "\n".join(lines)
    whole, cut = DraftReader(names), DraftReader(names)
    expected = [*whole.feed(text), *whole.finish()]
    found = [draft for at in range(0, len(text), size) for draft in cut.feed(text[at : at + size])]
    assert [*found, *cut.finish()] == expected


@given(st.floats(0, 1), st.integers(0, 65535), st.dictionaries(st.sampled_from(["USD", "CNY"]), st.floats(0.1, 10)), st.lists(TEXTS.filter(lambda t: "\0" not in t)))
@trying
def test_settings_that_are_written_to_the_environment_are_read_as_they_were(
    alpha: float, port: int, rates: dict[str, float], languages: list[str]
) -> None:
    wanted = Settings(alpha=alpha, port=port, exchange_rates=rates, semantic_languages=languages)
    plain = json.loads(wanted.model_dump_json())
    environment = {f"DAOGOU_{name.upper()}": value if isinstance(value, str) else json.dumps(value) for name, value in plain.items()}
    with patch.dict(os.environ, {**environment, "DAOGOU_CONFIG": "none.toml"}, clear=True):
        assert load_settings() == wanted


def test_a_reader_that_breaks_is_noticed() -> None:
    def breaks(data: bytes) -> None:
        assert b"!" not in data

    def waits(data: bytes) -> None:
        re.fullmatch(r"(a|aa)+b", "a" * 30)

    target = Target("no bang", breaks, (b"a",), ("!",))
    with pytest.raises(AssertionError):
        settings(trying, max_examples=500)(given(near(target))(lambda data: tried(target, data)))()
    with pytest.raises(AssertionError, match=" s for 1 bytes"):
        tried(Target("in time", waits, (b"a",), limit_s=0.001), b"a")


def test_the_runner_fuzzes_and_prints_what_came_of_it(tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="atheris is an optional tool: pip install atheris")
    root = Path(__file__).parents[1]
    ran = subprocess.run(
        [sys.executable, "-m", "fuzzing", "event_row", "--seconds", "2", "--corpus", str(tmp_path)],
        env={**os.environ, "PYTHONPATH": f"{root}:{root / 'tests'}"}, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    name, _, executions, coverage, kept, broken = ran.stdout.splitlines()[1].split()
    assert (name, broken) == ("event_row", "0")
    assert int(executions.replace(",", "")) > 100
    assert int(coverage) > 20
    assert int(kept) >= 5
