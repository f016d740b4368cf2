"""The benchmark measures what it says: the baseline answers rightly, wrk is read rightly, failures stay visible."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import bench_embed, bench_service
from benchmarks.bench_peers import dealt, limits_of, measured
from benchmarks.bench_service import make_queries
from benchmarks.bench_start import started
from benchmarks.load import Load, LoadError, parse_output, run_load
from benchmarks.peers import PEERS, Known, known
from benchmarks.peers.worker import TOP, WARMING, agreement
from benchmarks.recombine import feed_row, recombined
from benchmarks.report import Cell, summarize, write_report
from benchmarks.report_peers import Measured
from benchmarks.report_peers import write_report as write_peers
from engine.encoder.source import encode_original, find_source, load_original
from engine.index.documents import DocumentsBuilder
from engine.index.faiss_index import create_vectors
from engine.schema import Product
from indexer.reindex import reindex
from shop import random_products, toy_settings, write_feed

ROOT = Path(__file__).parents[1]
TITLES = ["Steel electric kettle", "Waterproof hiking jacket", "Wireless mouse", "Coffee beans", "Two-person tent"] + [
    f"Printer toner cartridge {i}" for i in range(8)
]
OUTPUT = """Running 1s test @ http://127.0.0.1:8080
  1 threads and 4 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.53ms    0.64ms  20.10ms   93.01%
  2510 requests in 1.00s, 1.51MB read
RESULT {"requests": 2510, "duration_us": 1004000, "p50_us": 1530, "p90_us": 2010, "p99_us": 9000, "bad_status": 0, \
"broken": 0}
"""


def load_of(requests: int, *, duration_s: float = 10.0, p50_ms: float = 5.0, bad_status: int = 0) -> Load:
    return Load(requests, duration_s, p50_ms, 2 * p50_ms, 3 * p50_ms, bad_status, 0)


def test_naive_returns_the_nearest_products(tmp_path: Path) -> None:
    from starlette.testclient import TestClient

    from benchmarks.naive import create_app

    model = load_original(find_source(""), max_tokens=128)
    exact = np.asarray(encode_original(model, "", TITLES), np.float32)
    create_vectors(tmp_path / "vectors", *exact.shape)[:] = exact.astype(np.float16)
    builder = DocumentsBuilder(tmp_path / "documents")
    for row, title in enumerate(TITLES):
        builder.add(Product(id=f"P{row:02d}", title=title))
    builder.save()

    client = TestClient(create_app(tmp_path))
    for query, best in (("boil water for tea", 0), ("rain coat for the mountains", 1), ("computer pointing device", 2)):
        answer = client.get("/search", params={"q": query})
        assert answer.status_code == 200
        hits = answer.json()["hits"]
        cosines = exact @ np.asarray(encode_original(model, "", [query]), np.float32)[0]
        assert len(hits) == 10
        assert hits[0]["document"] == {"id": f"P{best:02d}", "title": TITLES[best]}
        assert [hit["score"] for hit in hits] == pytest.approx(sorted(cosines, reverse=True)[:10], abs=2e-3)
        for hit in hits:
            assert hit["score"] == pytest.approx(cosines[int(hit["document"]["id"][1:])], abs=2e-3)


def test_wrk_output_is_read() -> None:
    load = parse_output(OUTPUT)
    assert load == Load(2510, 1.004, 1.53, 2.01, 9.0, 0, 0)
    assert load.requests_per_s == pytest.approx(2500)
    assert load.failure == ""


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("Running 1s test\nunable to connect", "unable to connect"),
        ('RESULT {"requests": 1}', "duration_us"),
        ("RESULT {", "cannot be read"),
        (OUTPUT.replace("1530", "NaN"), "not finite"),
    ],
)
def test_other_output_is_refused(text: str, part: str) -> None:
    with pytest.raises(LoadError, match=part):
        parse_output(text)


@pytest.mark.parametrize("name", ["bad_status", "broken"])
def test_one_error_fails_a_load(name: str) -> None:
    assert parse_output(OUTPUT.replace(f'"{name}": 0', f'"{name}": 1')).failure.startswith(("1 answers", "0 answers"))
    assert load_of(0).failure


def test_missing_wrk_is_a_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert bench_service.main([]) == LoadError.exit_code
    assert "apt-get install wrk" in capsys.readouterr().err


@pytest.fixture
def echo() -> Iterator[tuple[str, list[str]]]:
    """A server that records the queries it is asked, and answers 500 to ``bad``."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            values = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
            assert values["per_page"] == ["10"]
            asked.append(values["q"][0])
            self.send_response(500 if values["q"] == ["bad"] else 200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/search?q={{q}}&per_page=10", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_wrk_asks_each_query_in_order_and_goes_round(echo: tuple[str, list[str]]) -> None:
    url, asked = echo
    queries = ["a&b=c d", "防水 外套", '100% "x"', "é/..#?", "plus+plus"]
    load = run_load(url, queries, connections=1, duration_s=1, offset=3)
    assert load.failure == ""
    asked = list(asked)  # the server may still be reading the request that wrk broke off
    assert len(asked) > len(queries)
    start = queries.index(asked[0])
    assert asked == [queries[(start + i) % len(queries)] for i in range(len(asked))]
    assert load.requests <= len(asked) <= load.requests + 1
    assert start in (3, 4)  # wrk calls for one request before the first it sends


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_error_statuses_are_counted(echo: tuple[str, list[str]]) -> None:
    url, asked = echo
    load = run_load(url, ["good", "bad"], connections=1, duration_s=1)
    assert abs(load.bad_status - asked.count("bad")) <= 1
    assert load.bad_status > 0
    assert "error status" in load.failure


@given(st.lists(st.text(max_size=40), max_size=20), st.integers(1, 30))
def test_queries_are_distinct_spans_of_titles(titles: list[str], most: int) -> None:
    try:
        queries = make_queries(["Red tea pot", *titles], ["red tea", "q"], most=most)
    except LoadError:
        pytest.fail("a title has two words")
    assert queries == make_queries(["Red tea pot", *titles], ["red tea", "q"], most=most)
    assert len(set(queries)) == len(queries) <= most
    assert queries[:2] == ["red tea", "q"][:most]
    for query in queries[2:]:
        assert 2 <= len(query.split()) <= 4


def test_titles_of_one_word_are_refused() -> None:
    with pytest.raises(LoadError, match="two words"):
        make_queries(["kettle", "", "tea -"])


def test_ratios_are_to_the_faster_baseline_and_medians_over_rounds() -> None:
    cells = [
        Cell("naive A", "dense", 16, load_of(500, p50_ms=30), 600, baseline=True),
        Cell("naive B", "dense", 16, load_of(1000, p50_ms=20), 600, baseline=True),
        *(Cell("daogou", "hybrid", 16, load_of(n, p50_ms=p), 200) for n, p in ((7000, 2), (9000, 4), (80_000, 90))),
        Cell("daogou", "hybrid", 64, load_of(9000), 200),
    ]
    a, b, ours, alone = summarize(cells)
    assert (a.throughput, b.throughput) == (0.5, 1.0)
    assert (ours.requests_per_s, ours.p50_ms, ours.rounds, ours.requests) == (900.0, 4.0, 3, 96_000)
    assert (ours.throughput, ours.latency) == (9.0, 0.2)
    assert alone.throughput is None  # no baseline at 64 connections


def test_a_failed_row_has_no_figures_and_is_no_baseline(tmp_path: Path) -> None:
    cells = [
        Cell("naive A", "dense", 1, load_of(5000, bad_status=1), 600, baseline=True),
        Cell("naive B", "dense", 1, load_of(100), 600, baseline=True),
        Cell("daogou", "hybrid", 1, load_of(400), 200, repeats=7),
        Cell("daogou", "dense", 1, load_of(900), 200),
        Cell("daogou", "dense", 1, load_of(900, bad_status=3), 200),
    ]
    rows = summarize(cells)
    data, page = write_report(rows, {"date": "today", "cores": 2}, tmp_path / "results")
    found = json.loads(data.read_text("utf-8"))
    assert found["about"] == {"date": "today", "cores": 2}
    assert [row["throughput"] for row in found["rows"]] == [None, 1.0, 4.0, None]
    lines = [line for line in page.read_text("utf-8").splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(rows)
    assert len({line.count("|") for line in lines}) == 1
    assert "| daogou | hybrid | 1 | 40.0 | 5.00 | 10.00 | 15.00 | 200 | 4.0 × | 1.00 × |" in lines
    assert [("failed" in line, "90.0" in line) for line in lines[2:]] == [
        (True, False),
        (False, False),
        (False, False),
        (True, False),
    ]
    assert "7 of them repeated" in page.read_text("utf-8")


def test_suggestions_are_measured_on_their_own_beginnings(tmp_path: Path) -> None:
    from benchmarks.bench_suggest import typed_beginnings

    assert list(typed_beginnings(["laptop bag"])) == ["l", "la", "lap", "lapto", "laptop b"]


def test_a_recombined_catalogue_is_made_of_the_real_one(tmp_path: Path) -> None:
    source = random_products(60)
    made = list(recombined(source, 400, seed=3))
    assert [p.id for p in made] == [p.id for p in recombined(source, 400, seed=3)]
    assert {p.id for p in made} == {f"M{n:09d}" for n in range(400)}
    assert {p.brand for p in made} <= {p.brand for p in source}
    assert {v for p in made for v in p.attributes.get("color", ())} <= {v for p in source for v in p.attributes.get("color", ())}
    assert len({(p.title, p.mpn, str(p.price)) for p in made}) > 350
    feed = tmp_path / "made.jsonl"
    feed.write_bytes(b"".join(feed_row(p) for p in made))
    report = reindex(feed, toy_settings(tmp_path / "store"))
    assert (report.products, report.rejected) == (400, {})


def _ran(module: str, *arguments: str) -> str:
    environment = {**os.environ, "DAOGOU_MODEL": "hashing", "DAOGOU_DEFAULT_CURRENCY": "USD"}
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    return subprocess.run(command, check=True, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=400).stdout


def test_scale_is_measured_and_drawn(tmp_path: Path) -> None:
    feed = write_feed(random_products(60), tmp_path / "feed.jsonl")
    for size in ("300", "500"):
        _ran("bench_scale", str(feed), "--sizes", size, "--results", str(tmp_path / "results"))
    page = (tmp_path / "results" / "scale.md").read_text()
    assert "| 300 |" in page
    assert "| 500 |" in page
    assert "| 3 of 3, " in page
    assert (tmp_path / "results" / "scale.svg").read_text().count("<svg") == 1
    for row in json.loads((tmp_path / "results" / "scale.json").read_text())["rows"]:
        assert row["index"]["said"]["products"] == row["size"]
        assert all(recall == 1.0 for recall in row["search"]["recall"].values())


def test_a_request_is_taken_apart(tmp_path: Path) -> None:
    reindex(write_feed(random_products(60), tmp_path / "feed.jsonl"), toy_settings(tmp_path / "store"))
    told = json.loads(_ran("bench_profile", "--store", str(tmp_path / "store"), "--queries", "40"))
    for name in ("hybrid", "dense"):
        stages = told[name]["stages_mean_ms"]
        assert {"understand", "encode", "nearest"} <= set(stages)
        assert sum(stages.values()) <= told[name]["engine"]["mean_ms"] * 2
        assert told[name]["server"]["p50_ms"] > told[name]["engine"]["p50_ms"] > 0
    shares = [entry["share"] for entry in told["functions"]]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) <= 1


def test_embedding_is_told_as_times_the_original() -> None:
    vectors = np.eye(4, 8, dtype=np.float32)
    turned = vectors.copy()
    turned[3] = np.eye(1, 8, 7, dtype=np.float32)
    speeds = {"original": [10.0, 30.0, 20.0], "exported": [50.0, 10.0, 60.0]}
    told = bench_embed._told(speeds, {"original": vectors, "exported": turned})
    assert told["original"] == {"products_a_second": 20.0, "times_the_original": 1.0, "cosine_mean": 1.0, "cosine_least": 1.0}
    assert told["exported"] == {"products_a_second": 50.0, "times_the_original": 2.5, "cosine_mean": 0.75, "cosine_least": 0.0}


def test_a_start_is_waited_for_until_it_answers() -> None:
    server = (
        "import http.server, sys, time\n"
        "class Slow(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        time.sleep(0.4 * (self.path == '/search'))\n"
        "        self.send_response(200); self.end_headers()\n"
        "time.sleep(0.5)\n"
        "http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), Slow).serve_forever()"
    )
    found = started([sys.executable, "-c", server, "{port}"], {}, "/ready", "/search")
    assert found["ready_s"] > 0.5
    assert found["first_search_s"] > found["ready_s"] + 0.4
    assert found["memory_mb"] > 1


@pytest.mark.slow
def test_a_soak_publishes_kills_and_counts(tmp_path: Path) -> None:
    _ran("bench_soak", "--seconds", "15", "--publishes", "2", "--kills", "1", "--results", str(tmp_path))
    told = json.loads((tmp_path / "soak.json").read_text())
    assert (told["publishes"], told["kills"]) == (2, 1)
    assert min(told["requests"][kind] for kind in ("search", "suggest", "guide", "explain")) > 0
    assert told["availability"] == 1.0, told["failed"]
    assert "| availability | 100.0000% |" in (tmp_path / "soak.md").read_text()


@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.floats(0, 1))
def test_agreement_is_one_for_the_nearest_and_for_nothing_else(seed: int, n: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, 8)).astype(np.float32)
    vectors[n // 2 :] = vectors[: n - n // 2]  # products with one text
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    queries, allowed = vectors[rng.permutation(n)[:5]], rng.random(n) < share
    rows = np.flatnonzero(allowed)
    order = [sorted(rows, key=lambda row, q=query: (-float(vectors[row] @ q), -row)) for query in queries]
    assert agreement([ids[:TOP] for ids in order], queries, vectors, allowed) == (1.0, 0)
    assert agreement([[int(row) for row in np.flatnonzero(~allowed)] for _ in queries], queries, vectors, allowed)[0] == (not len(rows))
    few = min(TOP, len(rows))
    if few > 1:
        once = [ids[:1] * few for ids in order]
        assert agreement(once, queries, vectors, allowed) == (pytest.approx(1 / few), len(queries))
        far = [ids[-few:] for ids in order]
        assert (agreement(far, queries, vectors, allowed)[0] == 1.0) == all(
            vectors[ids[-1]] @ q >= vectors[ids[few - 1]] @ q - 1e-5 for ids, q in zip(order, queries, strict=True)
        )


@given(st.lists(st.sampled_from([1.0, 2.5, 10.0, 99.0, np.inf]), min_size=1, max_size=300))
def test_limits_are_real_prices_and_say_which_share_passes(prices: list[float]) -> None:
    given_ = np.array(prices)
    limits = limits_of(given_)
    assert limits[0].price is None
    assert len({limit.name for limit in limits}) == len(limits) == len({limit.price for limit in limits})
    for limit in limits[1:]:
        assert limit.price in prices
        assert limit.share == np.mean(given_ <= limit.price)
    assert sum(limit.busy for limit in limits) <= 2


def test_real_queries_are_dealt_out_among_the_filters() -> None:
    real, made = [f"real {i}" for i in range(10)], [f"made {i}" for i in range(200)] + ["real 3"]
    queries = dealt(real, made, turns=4, each=20)
    assert sorted(queries) == sorted(set(real + made))
    for turn in range(4):
        begin = turn * (WARMING + 20)
        assert not set(queries[begin : begin + WARMING]) & set(real)
        assert len(set(queries[begin + WARMING : begin + WARMING + 20]) & set(real)) in (2, 3)


def test_a_peer_that_fails_or_is_not_there_says_why(tmp_path: Path) -> None:
    assert "There is no peer 'nobody'" in measured(Known("nobody", "none", "None", ()), tmp_path, tmp_path)["missing"]
    with pytest.raises(ValueError, match="There are: daogou;"):
        known(["nobody"])
    assert len({peer.name for peer in PEERS}) == len(PEERS)


def test_a_peer_that_finds_too_little_is_marked_and_ours_is_what_others_are_compared_with(tmp_path: Path) -> None:
    def round_of(p50: float, recall: float | None, clients: int = 1, kind: str = "vectors") -> dict[str, object]:
        cell = {"kind": kind, "limit": "all", "clients": clients, "p50_ms": p50, "p95_ms": 3 * p50, "per_s": 1000 / p50}
        return {"about": "", "build_s": 1.0, "cells": [{**cell, "recall": recall, "searches": 9, "short": 1}]}

    ours, other, server = Measured("ours", ours=True), Measured("other"), Measured("server", server=True)
    for p50 in (1.0, 2.0, 90.0):
        ours.add(round_of(p50, 1.0))
        other.add(round_of(3 * p50, 0.9))
        server.add(round_of(4 * p50, None, clients=16))
    page = write_peers([ours, other, server, Measured("gone", missing="it is not installed")], ["all"], {"cores": 2}, tmp_path)
    lines = page.read_text("utf-8").splitlines()
    assert "| ours | 2.00 / 6.00 (1.000) |" in lines
    assert "| other | 6.00 / 18 (**0.900**) |" in lines
    assert "| other | 3.00 × |" in lines
    assert "| server | vectors | 125/s; 8.00 / 24 |" in lines
    assert "- gone: it is not installed." in lines
    found = json.loads((tmp_path / "peers.json").read_text("utf-8"))
    assert found["not measured"] == {"gone": "it is not installed"}
    assert found["peers"][1]["rows"] == [
        {"kind": "vectors", "limit": "all", "clients": 1, "p50_ms": 6.0, "p95_ms": 18.0, "per_s": 166.7, "recall": 0.9, "searches": 27, "short": 3, "rounds": 3}
    ]


@pytest.mark.slow
def test_peers_are_measured_over_the_same_products(tmp_path: Path) -> None:
    pytest.importorskip("milvus_lite", reason="milvus-lite is not installed")
    feed = write_feed(random_products(300), tmp_path / "feed.jsonl")
    wanted = ["daogou", "milvus-lite, flat", "daogou server, bare", "tantivy"]
    options = ("--rounds", "1", "--searches", "12", "--seconds", "0.5", "--clients", "3")
    _ran("bench_peers", "--feed", str(feed), "--out", str(tmp_path), *options, "--peers", *wanted)
    found = json.loads((tmp_path / "peers.json").read_text("utf-8"))
    peers = {peer["name"]: peer for peer in found["peers"]}
    assert set(peers) | set(found["not measured"]) == set(wanted)
    assert set(peers) >= set(wanted) - {"tantivy"}  # which the extra `dev` does not bring along
    for name in ("daogou", "milvus-lite, flat"):
        assert {row["kind"] for row in peers[name]["rows"]} == {"vectors", "whole"}
        assert all(row["recall"] == 1.0 and row["short"] == 0 for row in peers[name]["rows"]), name
        assert all(row["p50_ms"] > 0 for row in peers[name]["rows"])
    assert {row["clients"] for row in peers["daogou server, bare"]["rows"]} == {1, 3}
    page = (tmp_path / "peers.md").read_text("utf-8")
    assert all(f"| {name} |" in page for name in peers)
