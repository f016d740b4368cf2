"""Search logs are read as they are, and only what many different people asked is ever suggested."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.engine import Engine
from engine.errors import FeedError
from indexer.logs import LoggedQuery, SearchLog, read_log
from indexer.popular import popular_queries
from indexer.reindex import reindex
from shop import random_products, toy_settings, write_feed

UBI = Path(__file__).parents[2] / "shared" / "data" / "ubi" / "log_events.tsv.gz"


def asked(*queries: tuple[str, str]) -> SearchLog:
    return SearchLog([LoggedQuery(str(n), user, text, ()) for n, (user, text) in enumerate(queries)])


def test_lines_of_every_kind_are_read_or_counted(tmp_path: Path) -> None:
    query = {"user_query": "red  tent", "query_id": "q1", "client_id": "ann", "query_response_object_ids": ["b", "a"]}
    event = {"action_name": "item_click", "query_id": "q1", "client_id": "ann", "ip": "10.0.0.1",
             "event_attributes": {"object": {"object_id": "a"}, "position": {"ordinal": 2}}}  # fmt: skip
    lines = [
        "ubi_queries\t" + json.dumps(query), json.dumps(event), "", "not json", "[1]", "{}",
        json.dumps(query), json.dumps(query | {"query_id": "q2", "user_query": " "}), json.dumps(event | {"action_name": "scroll"}),
        json.dumps(event | {"query_id": None}), json.dumps(query | {"query_id": "q3", "user_query": "x" * 500}),
    ]  # fmt: skip
    with gzip.open(tmp_path / "log.gz", "wt", encoding="utf-8") as stream:
        stream.write("\n".join(lines))
    log = read_log(tmp_path / "log.gz")
    assert [(q.text, q.shown) for q in log.queries] == [("red tent", ("b", "a"))]
    assert [(a.kind, a.product, a.position) for a in log.actions] == [("click", "a", 2)]
    assert log.queries[0].user == log.actions[0].user != "ann"
    assert sum(log.skipped.values()) == 8
    assert read_log(tmp_path / "log.gz").queries[0].user != log.queries[0].user
    assert "10.0.0.1" not in repr(log)


def test_a_file_that_is_no_log_is_refused(tmp_path: Path) -> None:
    (tmp_path / "feed.tsv").write_text("id\ttitle\n1\ttent\n")
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"x" * 5000)[:40])
    whole = gzip.compress(b"x" * 5000, mtime=0)
    (tmp_path / "damaged.gz").write_bytes(whole[:14] + b"\xff\xff" + whole[16:])
    for name in ("feed.tsv", "cut.gz", "damaged.gz", "nowhere"):
        with pytest.raises(FeedError):
            read_log(tmp_path / name)


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(["tent", "Tent", "lamp", "a@b.c", ""]))), st.integers(1, 5))
def test_only_what_enough_different_people_asked_is_kept(queries: list[tuple[str, str]], least: int) -> None:
    found = popular_queries(asked(*queries), least).texts
    for text, users in found.items():
        assert users >= least
        assert len({u for u, t in queries if t.lower() == text.lower()}) == users
    for word in ("tent", "lamp"):
        if len({u for u, t in queries if t.lower() == word}) >= least:
            assert word in {text.lower() for text in found}


@pytest.mark.parametrize(
    "text",
    ["jane@example.com", "call 0171 234 5678", "4111 1111 1111 1111", "110101199003078515", "https://x.example", "10.0.0.17", "x" * 70],
)  # fmt: skip
def test_what_may_be_personal_is_never_kept_however_many_ask_it(text: str) -> None:
    found = popular_queries(asked(*((f"user{n}", text) for n in range(500))), 20)
    assert not found.texts
    assert sum(found.left_out.values()) == 1


def test_nobody_counts_for_nobody_and_one_user_counts_once() -> None:
    log = asked(*[("", "tent")] * 100, *[("ann", "tent")] * 100, *[(f"u{n}", "lamp") for n in range(20)])
    assert popular_queries(log, 20).texts == {"lamp": 20}


def test_common_searches_are_suggested_where_the_catalogue_knows_their_words(tmp_path: Path) -> None:
    records = [
        {"user_query": text, "query_id": f"{text}{n}", "client_id": f"c{n}"}
        for text, users in (("waterproof tent", 30), ("jacket rare", 30), ("kettle steel light", 19), ("登山外套", 25))
        for n in range(users)
    ]
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, records)))
    settings = toy_settings(tmp_path / "store", query_log=str(tmp_path / "log.jsonl"))
    report = reindex(write_feed(random_products(60), tmp_path / "feed.jsonl"), settings)
    assert report.searches == {"common": 3, "asked by too few": 1}
    engine = Engine.open(settings)
    assert ("waterproof tent", "query") in [(s.text, s.kind) for s in engine.suggest("waterp").suggestions]
    assert "登山外套" in [s.text for s in engine.suggest("dswt").suggestions]
    for typed in ("jacket r", "kettle steel l", "rare"):
        assert "query" not in [s.kind for s in engine.suggest(typed).suggestions]


@pytest.mark.skipif(not UBI.exists(), reason="the UBI log is not beside this checkout")
def test_a_real_dirty_log_is_read_whole() -> None:
    log = read_log(UBI)
    assert len(log.queries) > 4000
    assert {a.kind for a in log.actions} == {"click", "cart", "purchase"}
    assert sum(log.skipped.values()) + len(log.queries) + len(log.actions) == 30_958
    found = popular_queries(log, 20)
    assert "laptop" in found.texts
    assert min(found.texts.values()) >= 20
    assert not any("@" in text for text in found.texts)
