"""A personal order moves hits inside the match set only, says why, is undone by a switch, and knows what was just done."""

from __future__ import annotations

import json
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from api.app import create_app
from engine.engine import Engine
from engine.events import Event, EventLog, StoredEvent
from engine.personal import Reason, Remembered, moved, reason_text
from engine.rank import Ranking
from engine.schema import Money, Product, SearchRequest
from engine.shopper import Preferences, Shopper
from shop import random_products, toy_engine, toy_settings

NOW = int(1000 * time.time())
ME = "device-0123456789abcdef"
QUERIES = ["waterproof jacket", "防水外套", "red kettle under 200", "steel -plastic", "", "登山", "light tent blue"]


@pytest.fixture(scope="module")
def engine(tmp_path_factory) -> Engine:
    return toy_engine(tmp_path_factory.mktemp("shop"), random_products(300, seed=3), consent="assumed")


def remembering(engine: Engine, *ids: str, stated: Preferences | None = None, kind: str = "purchase") -> Engine:
    history = [StoredEvent(kind, NOW - n, user="u", products=(i,)) for n, i in enumerate(ids)]  # type: ignore[arg-type]
    return engine.remembering(lambda who: Remembered(history, stated) if who.personalize and who.client_id else None)


def neutral(answer: str) -> str:
    """The text of an answer but for its name and its time."""
    record = json.loads(answer)
    del record["query_id"], record["search_time_ms"]
    return json.dumps(record)


@given(st.sampled_from(QUERIES), st.lists(st.integers(0, 299), min_size=1, max_size=8), st.sampled_from(["", "price:<300", "brand:=[Alpkit]"]))
@settings(max_examples=60)
def test_the_set_total_facets_and_filters_stay_and_only_the_order_changes(engine: Engine, q: str, rows: list[int], filter_by: str) -> None:
    mine = remembering(engine, *(f"P{row:05d}" for row in rows))
    asked = SearchRequest(q=q, filter_by=filter_by, facet_by="*", per_page=100)
    stranger, own = engine.search(asked), mine.search(asked.model_copy(update={"client_id": ME}))
    assert (own.found, own.found_relation, own.facet_counts) == (stranger.found, stranger.found_relation, stranger.facet_counts)
    ids, before = [h.document["id"] for h in own.hits], [h.document["id"] for h in stranger.hits]
    assert sorted(ids) == sorted(before)
    for place, hit in enumerate(own.hits):
        assert hit.personal is not None
        assert before[place + hit.personal.moved] == hit.document["id"]
        same = stranger.hits[place + hit.personal.moved]
        assert (same.document, same.highlight, same.scores) == (hit.document, hit.highlight, hit.scores)  # no price is personal


@given(st.sampled_from(QUERIES), st.integers(1, 3), st.integers(1, 60))
@settings(max_examples=30)
def test_pages_of_a_personal_answer_do_not_overlap(engine: Engine, q: str, page: int, per_page: int) -> None:
    mine = remembering(engine, "P00001", "P00017")
    whole = [h.document["id"] for p in range(1, 4) for h in mine.search(SearchRequest(q=q, client_id=ME, per_page=100, page=p)).hits]
    part = mine.search(SearchRequest(q=q, client_id=ME, per_page=per_page, page=page))
    assert [h.document["id"] for h in part.hits] == whole[(page - 1) * per_page : page * per_page]


@pytest.mark.parametrize("q", QUERIES)
def test_without_personalisation_the_answer_is_a_strangers_to_the_byte(engine: Engine, q: str) -> None:
    mine = remembering(engine, *(f"P{n:05d}" for n in range(0, 300, 7)))
    (off,) = mine.search_many([SearchRequest(q=q, client_id=ME, user_id="ann", personalize=False, facet_by="*")])
    (stranger,) = engine.search_many([SearchRequest(q=q, facet_by="*")])
    (sorted_by_price,) = mine.search_many([SearchRequest(q=q, client_id=ME, sort_by="price:asc")])
    (cheapest,) = engine.search_many([SearchRequest(q=q, sort_by="price:asc")])
    assert neutral(off.json) == neutral(stranger.json)
    assert neutral(sorted_by_price.json) == neutral(cheapest.json)
    (unweighted,) = mine.tuned(personal=0.0).search_many([SearchRequest(q=q, client_id=ME, facet_by="*")])
    assert neutral(unweighted.json) == neutral(stranger.json)


def test_one_click_counts_in_the_next_answer_and_an_erasure_too(engine: Engine) -> None:
    asked = SearchRequest(q="waterproof jacket", client_id=ME, per_page=50)
    assert engine.search(asked).applied.personal is None
    target = engine.search(asked).hits[20].document
    with closing(EventLog.open(engine.settings)) as log:
        log.add([Event("click", NOW, client_id=ME, products=(target["id"],))], lambda product: True)
        answer = engine.search(asked)
        assert answer.applied.personal is not None
        assert answer.applied.personal.events == 1
        by_id = {h.document["id"]: h.personal for h in answer.hits}
        said = by_id[target["id"]]
        assert said is not None
        assert said.because[0].text == "You looked at this"
        assert engine.search(asked.model_copy(update={"client_id": "another-device-012345"})).applied.personal is None
        log.people.put(log.person("", ME), consent={"personalisation": False})
        assert engine.search(asked).applied.personal is None
        log.people.put(log.person("", ME), consent={"personalisation": True})
        assert engine.search(asked).applied.personal is not None
        log.erase(log.person("", ME))
        assert engine.search(asked).applied.personal is None


def shop_of(folder: Path) -> Engine:
    """A shop of mugs that differ in one thing each."""
    mugs = [
        Product(
            f"{brand[0]}{color[0]}{price}",
            f"Enamel mug {price}",
            brand=brand,
            category=("Kitchen", "Mugs"),
            price=Money(price, "USD"),
            attributes={"color": (color,)},
        )
        for brand in ("Alba", "Bora", "Cima")
        for color in ("red", "green", "white")
        for price in (500, 900, 1300, 1700, 2100)
    ]
    return toy_engine(folder, mugs)


def first(engine: Engine, **given: object) -> list[Product]:
    hits = engine.search(SearchRequest(q="enamel mug", alpha=0, client_id=ME, per_page=5, **given)).hits  # type: ignore[arg-type]
    return [Product.from_document(hit.document) for hit in hits]


def test_brands_colours_and_price_levels_are_learned_and_stated_ones_are_followed(tmp_path: Path) -> None:
    engine = shop_of(tmp_path)
    bought = remembering(engine, "Bg2100", "Br2100", "Bw2100", "Bg1700")
    hits = bought.search(SearchRequest(q="enamel mug", alpha=0, client_id=ME, per_page=45)).hits
    best = [Product.from_document(h.document) for h in hits[:5]]
    assert {p.brand for p in best} == {"Bora"}
    assert sum(p.current_price.amount for p in best if p.current_price) / 5 > 1300
    assert best != first(engine)
    stated = Preferences(brands=["cima"], colors=["White"], avoid_brands=["ALBA"], categories=["mugs"], price="low")
    by_word = remembering(engine, stated=stated).search(SearchRequest(q="enamel mug", alpha=0, client_id=ME, per_page=45)).hits
    leading = Product.from_document(by_word[0].document)
    said = [why.text for hit in by_word if hit.personal for why in hit.personal.because]
    assert not any("chose before" in text or "bought" in text for text in said)  # nothing was done yet, so nothing done is a reason
    assert (leading.brand, leading.attributes["color"]) == ("Cima", ("white",))
    assert {Product.from_document(h.document).brand for h in by_word[-10:]} == {"Alba"}
    last = by_word[-1].personal
    assert last is not None
    assert "you said you avoid Alba" in last.because[0].text


def test_what_is_bought_by_everyone_says_little_and_little_says_little(tmp_path: Path) -> None:
    engine = shop_of(tmp_path)
    one = remembering(engine, "Bg2100", kind="click").search(SearchRequest(q="enamel mug", alpha=0, client_id=ME, per_page=45))
    many = remembering(engine, "Bg2100", "Br2100", "Bw2100", "Bg500").search(SearchRequest(q="enamel mug", alpha=0, client_id=ME, per_page=45))

    def fits(answer: object) -> float:
        return max(h.personal.fit for h in answer.hits if h.document["brand"] == "Bora")  # type: ignore[attr-defined]

    assert 0 < fits(one) < fits(many)


@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=12), st.floats(0, 0.5), st.data())
def test_the_order_is_by_score_and_fit_with_codes_first(fits: list[float], weight: float, data: st.DataObject) -> None:
    n = len(fits) + data.draw(st.integers(0, 4))
    fused = np.sort(np.array(data.draw(st.lists(st.floats(0, 1, width=32), min_size=n, max_size=n)), np.float32))[::-1]
    code = np.zeros(n, bool)
    code[: data.draw(st.integers(0, 2))] = True
    ranking = Ranking(np.arange(n), fused, fused, fused, code)
    ordered, gained = moved(ranking, np.array(fits, np.float32), weight)
    m = len(fits)
    assert sorted(ordered.rows.tolist()) == list(range(n))
    assert ordered.rows[m:].tolist() == list(range(m, n))
    assert (ordered.rows[:m] == np.arange(m) + gained).all()
    assert ordered.code[: int(code[:m].sum())].all()
    after = ordered.fused[:m].astype(float) + weight * np.array(fits)[ordered.rows[:m]]
    rest = after[int(code[:m].sum()) :]
    assert (np.diff(rest) <= 1e-6).all()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_reason_has_a_sentence_in_both_languages(language: str) -> None:
    for signal in ("similar", "brand", "category", "color", "size", "price", "stated", "known"):
        for action in ("purchase", "cart", "click"):
            for share in (0.2, -0.2):
                value = "" if signal == "price" else "A > B"
                text = reason_text(Reason(signal, share, value, 3, action), language, lambda row: "T" * 90)  # type: ignore[arg-type]
                assert text and len(text) < 160  # noqa: PT018
                assert any("\u4e00" <= c <= "\u9fff" for c in text) is (language == "zh")


def test_it_is_all_there_over_http(tmp_path: Path) -> None:
    engine = toy_engine(tmp_path, random_products(60, seed=1), consent="assumed")
    engine.close()
    with TestClient(create_app(toy_settings(tmp_path / "store", consent="assumed"))) as client:
        asked = {"q": "waterproof jacket", "client_id": ME}
        stranger = client.get("/v1/search", params={**asked, "personalize": False})
        assert "personal" not in stranger.json()["applied"]
        assert all("personal" not in hit for hit in stranger.json()["hits"])
        found = client.get("/v1/search", params=asked).json()
        click = {
            "action_name": "click", "client_id": ME, "query_id": found["query_id"],
            "event_attributes": {"object": {"object_id": found["hits"][3]["document"]["id"]}, "position": {"ordinal": 4}},
        }  # fmt: skip
        assert client.post("/v1/events", json=click).json()["accepted"] == 1
        own = client.get("/v1/search", params=asked).json()
        assert own["applied"]["personal"]["events"] >= 1
        assert sum(bool(hit["personal"]["because"]) for hit in own["hits"]) > 0
        again = client.get("/v1/search", params={**asked, "personalize": False})
        assert neutral(again.text) == neutral(stranger.text)
        turn = client.post("/v1/guide", json={"text": "jacket", "client_id": ME}).json()
        assert any(hit.get("personal") for hit in turn["hits"])
    with closing(EventLog.open(toy_settings(tmp_path / "store", consent="assumed"))) as log:
        searches = list(log.read(kinds=["search"]))
        (clicked,) = log.read(kinds=["click"])
    assert len(searches) == 4
    assert clicked.query_id in {e.query_id for e in searches}
    assert searches[0].products


def test_a_user_without_proof_is_refused(tmp_path: Path) -> None:
    engine = toy_engine(tmp_path, random_products(20, seed=1))
    engine.close()
    with TestClient(create_app(toy_settings(tmp_path / "store", identity_secret="a secret of the shop"))) as client:
        assert client.get("/v1/search", params={"q": "tent", "user_id": "ann"}).status_code == 403
        assert client.post("/v1/guide", json={"text": "tent", "user_id": "ann"}).status_code == 403
        assert client.get("/v1/search", params={"q": "tent", "client_id": ME}).status_code == 200


def test_a_memory_that_cannot_be_read_is_a_strangers_answer(tmp_path: Path) -> None:
    engine = toy_engine(tmp_path, random_products(20, seed=1))
    (tmp_path / "store" / "events").mkdir()
    (tmp_path / "store" / "events" / "people.sqlite").write_bytes(b"no database" * 200)
    assert engine.search(SearchRequest(q="tent", client_id=ME)).applied.personal is None
    assert Shopper().shopper["personalize"] is True


def test_simulated_shoppers_gain_by_their_own_history(tmp_path: Path) -> None:
    from evals.evalsets import View
    from evals.personal import evaluate_personal

    rng = np.random.default_rng(0)
    products = [
        Product(
            f"{kind}{n:03d}",
            f"{kind} {rng.choice(['plain', 'fine', 'light'])}",
            brand=str(rng.choice(["Alba", "Bora", "Cima", "Dora"])),
            category=("Shop", kind, "All"),
            price=Money(int(rng.integers(500, 5000)), "USD"),
            attributes={"color": (str(rng.choice(["red", "green", "white"])),)},
        )
        for kind in ("jacket", "tent", "kettle", "mug")
        for n in range(40)
    ]
    engine = toy_engine(tmp_path, products, min_relevance=0.0, tail_relevance=0.0)
    judged = View("all", {"q": {f"mug{n:03d}": n % 4 for n in range(40)}})
    scores = evaluate_personal(engine, judged, {"q": "mug"}, shoppers=150, bought=8, seed=1)
    rows = {row.name: row for row in scores.rows}
    assert rows["own history"].gain.low > 0
    assert rows["no taste"].gain.high > -0.02
    assert rows["own history"].gain.mean > rows["somebody else's history"].gain.mean
    assert "judged queries, nDCG@10" in rows
    assert evaluate_personal(engine, shoppers=20, seed=2).to_dict() == evaluate_personal(engine, shoppers=20, seed=2).to_dict()
