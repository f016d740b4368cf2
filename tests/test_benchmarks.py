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
from benchmarks.bench_service import make_queries
from benchmarks.bench_start import started
from benchmarks.load import Load, LoadError, parse_output, run_load
from benchmarks.recombine import feed_row, recombined
from benchmarks.report import Cell, summarize, write_report
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


def test_scale_is_measured_and_drawn(tmp_path: Path) -> None:
    feed = write_feed(random_products(60), tmp_path / "feed.jsonl")
    environment = {**os.environ, "DAOGOU_MODEL": "hashing", "DAOGOU_DEFAULT_CURRENCY": "USD"}
    for size in ("300", "500"):
        command = [sys.executable, "-m", "benchmarks.bench_scale", str(feed), "--sizes", size, "--results", str(tmp_path / "results")]
        subprocess.run(command, check=True, env=environment, cwd=ROOT, capture_output=True, timeout=300)
    page = (tmp_path / "results" / "scale.md").read_text()
    assert "| 300 |" in page
    assert "| 500 |" in page
    assert "| 3 of 3, " in page
    assert (tmp_path / "results" / "scale.svg").read_text().count("<svg") == 1
    for row in json.loads((tmp_path / "results" / "scale.json").read_text())["rows"]:
        assert row["index"]["said"]["products"] == row["size"]
        assert all(recall == 1.0 for recall in row["search"]["recall"].values())


def _ran(module: str, *arguments: str) -> str:
    environment = {**os.environ, "DAOGOU_MODEL": "hashing", "DAOGOU_DEFAULT_CURRENCY": "USD"}
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    return subprocess.run(command, check=True, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300).stdout


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
