"""One match set: hits, totals, facets and pages agree, whatever is asked; filters exclude inside the search."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.engine import Engine
from engine.errors import EncoderError, FilterError, NotFoundError
from engine.explain import Done
from engine.schema import Answer, Claim, ExplainRequest, SearchRequest
from shop import random_products, toy_engine

PRODUCTS = random_products(300, seed=1)
BY_ID = {p.id: p for p in PRODUCTS}

QUERIES = st.lists(
    st.sampled_from("waterproof jacket tent steel red 防水 外套 水壶 under_$200 500元以内 without_plastic 不要塑料的 zzz".split()),
    max_size=4,
    unique=True,
).map(lambda words: " ".join(w.replace("_", " ") for w in sorted(words, key=lambda w: w.startswith("without"))))
FILTERS = st.sampled_from(["", "price:<100", "brand:=岭行", "color:=red || color:=blue", "in_stock:true", "weight:<1kg"])
FACETS = "brand,availability,color,currency"
SLOW = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return toy_engine(tmp_path_factory.mktemp("shop"), PRODUCTS)


def ids(engine: Engine, **request: object) -> list[str]:
    """Return every hit of every page."""
    out: list[str] = []
    for page in range(1, 1 + 300 // 7 + 2):
        response = engine.search(SearchRequest(page=page, per_page=7, **request))  # type: ignore[arg-type]
        out += [h.document["id"] for h in response.hits]
        if len(response.hits) < 7:
            break
    return out


@SLOW
@given(QUERIES, FILTERS)
def test_pages_are_one_list_as_long_as_the_total(engine: Engine, q: str, filter_by: str) -> None:
    response = engine.search(SearchRequest(q=q, filter_by=filter_by))
    found = ids(engine, q=q, filter_by=filter_by)
    assert len(found) == len(set(found)) == response.found


@SLOW
@given(st.lists(st.tuples(QUERIES, st.one_of(FILTERS, st.just("price:<")), st.sampled_from(["", "price:asc"])), max_size=5))
def test_many_searches_together_are_answered_as_one_by_one(engine: Engine, asked: list[tuple[str, str, str]]) -> None:
    requests = [SearchRequest(q=q, filter_by=f, sort_by=s, facet_by=FACETS) for q, f, s in asked]
    answers = list(engine.search_many(requests))
    assert len(answers) == len(requests)
    for request, answer in zip(requests, answers, strict=True):
        if request.filter_by == "price:<":
            assert isinstance(answer, FilterError)
        else:
            assert isinstance(answer, Answer)
            own = {"query_id", "search_time_ms"}
            assert answer.response().model_dump(exclude=own) == engine.search(request).model_dump(exclude=own)


def test_a_text_that_cannot_be_encoded_fails_alone(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    encode = engine._pipeline.encoder.encode_queries

    def failing(texts: list[str]) -> object:
        if "bad tent" in texts:
            raise EncoderError("no vector")
        return encode(texts)

    monkeypatch.setattr(engine._pipeline.encoder, "encode_queries", failing)
    good, bad, also = engine.search_many([SearchRequest(q=q) for q in ("steel tent", "bad tent", "red jacket")])
    assert isinstance(good, Answer)
    assert isinstance(also, Answer)
    assert isinstance(bad, EncoderError)


@SLOW
@given(QUERIES, FILTERS)
def test_facets_add_up_to_the_total(engine: Engine, q: str, filter_by: str) -> None:
    response = engine.search(SearchRequest(q=q, filter_by=filter_by, facet_by=FACETS, max_facet_values=2))
    for facet in response.facet_counts:
        assert sum(c.count for c in facet.counts) + facet.other + facet.missing == response.found


@SLOW
@given(QUERIES, FILTERS)
def test_choosing_a_facet_value_finds_as_many_as_it_says_or_more(engine: Engine, q: str, filter_by: str) -> None:
    response = engine.search(SearchRequest(q=q, filter_by=filter_by, facet_by="*"))
    for facet in response.facet_counts:
        for count in facet.counts[:2]:
            both = f"({filter_by}) && {count.filter}" if filter_by else count.filter
            narrowed = engine.search(SearchRequest(q=q, filter_by=both))
            assert narrowed.found == count.count or (narrowed.found > count.count and response.found_relation == "gte")


@SLOW
@given(QUERIES, FILTERS)
def test_hits_obey_filters_limits_and_exclusions(engine: Engine, q: str, filter_by: str) -> None:
    for product_id in ids(engine, q=q, filter_by=filter_by):
        p = BY_ID[product_id]
        if filter_by == "price:<100":
            assert p.price is not None
            assert p.price.major < 100
        if "500元以内" in q:
            assert p.price is not None
            assert p.price.currency == "CNY"
            assert p.price.major <= 500
        if "without plastic" in q:
            assert "plastic" not in p.title
        if "不要塑料的" in q:
            assert "塑料" not in p.title


@SLOW
@given(QUERIES)
def test_the_same_question_has_the_same_answer(engine: Engine, q: str) -> None:
    one, other = (engine.search(SearchRequest(q=q)) for _ in range(2))
    assert one.hits == other.hits
    scores = [(-h.scores.fused, h.document["id"]) for h in one.hits]
    assert scores == sorted(scores)


def test_a_model_number_comes_first_in_every_written_form(engine: Engine) -> None:
    for p in PRODUCTS[:40]:
        for written in (p.mpn, p.mpn.lower(), p.mpn.replace("-", ""), p.mpn.replace("-", " "), f"jacket {p.mpn}"):
            top = engine.search(SearchRequest(q=written, per_page=5)).hits
            assert BY_ID[top[0].document["id"]].mpn == p.mpn
            assert top[0].scores.code


def test_sorting_by_price_never_mixes_currencies(engine: Engine) -> None:
    found = [BY_ID[i].price for i in ids(engine, q="", sort_by="price:asc")]
    priced = [p for p in found if p is not None]
    assert found[len(priced) :] == [None] * (len(found) - len(priced))
    runs = [c for i, c in enumerate(p.currency for p in priced) if i == 0 or priced[i - 1].currency != c]
    assert len(runs) == 2
    for currency in runs:
        amounts = [p.amount for p in priced if p.currency == currency]
        assert amounts == sorted(amounts)


def test_highlights_mark_the_words_in_both_scripts(engine: Engine) -> None:
    for q in ("jackets", "外套"):
        hit = next(h for h in engine.search(SearchRequest(q=q)).hits if "title" in h.highlight)
        mark = hit.highlight["title"]
        assert {mark.snippet[s:e].lower() for s, e in mark.spans} <= {"jacket", "外套"}


def test_similar_leaves_out_the_product_itself(engine: Engine) -> None:
    hits = engine.similar("P00003", 5).hits
    assert len(hits) == 5
    assert "P00003" not in {h.document["id"] for h in hits}


def test_suggestions_begin_with_what_was_typed(engine: Engine) -> None:
    for typed in ("jac", "登", "alp"):
        found = engine.suggest(typed).suggestions
        assert found
        for s in found:
            assert s.text[s.spans[0][0] : s.spans[0][1]].lower() == typed


def test_explanations_cover_every_product_and_name_their_fields(engine: Engine) -> None:
    wanted = ["P00001", "P00002"]
    *claims, done = engine.explain(ExplainRequest(q="waterproof jacket under $400", ids=wanted))
    assert isinstance(done, Done)
    assert {c.product_id for c in claims if isinstance(c, Claim)} == set(wanted)
    assert all(c.citations for c in claims if isinstance(c, Claim))


def test_unknown_things_are_named(engine: Engine) -> None:
    with pytest.raises(NotFoundError, match="nope"):
        engine.similar("nope")
    with pytest.raises(NotFoundError, match="nope"):
        engine.explain(ExplainRequest(q="tent", ids=["nope"]))
    with pytest.raises(FilterError, match="no order"):
        engine.search(SearchRequest(q="tent", sort_by="price"))
    with pytest.raises(FilterError, match="Did you mean"):
        engine.search(SearchRequest(q="tent", facet_by="colr"))


def test_a_word_nobody_sells_finds_nothing_suitable(engine: Engine) -> None:
    response = engine.search(SearchRequest(q="zzqqxy", facet_by="*"))
    assert not response.applied.suitable
    assert (response.found, response.hits) == (0, [])
    assert all(f.counts == [] for f in response.facet_counts)
    assert len(response.nearest) <= 3


@SLOW
@given(QUERIES, FILTERS)
def test_relevance_is_a_probability_and_nearest_is_shown_only_in_place_of_hits(engine: Engine, q: str, filter_by: str) -> None:
    response = engine.search(SearchRequest(q=q, filter_by=filter_by))
    for hit in response.hits:
        assert hit.scores.relevance is not None
        assert 0 <= hit.scores.relevance <= 1
    assert not (response.hits and response.nearest)


def test_a_correction_is_named_and_can_be_undone(engine: Engine) -> None:
    response = engine.search(SearchRequest(q="waterprof jackett"))
    assert [(c.text, c.replacement) for c in response.applied.corrected] == [("waterprof", "waterproof"), ("jackett", "jacket")]
    plain = engine.search(SearchRequest(q="waterproof jacket"))
    assert [h.document["id"] for h in response.hits] == [h.document["id"] for h in plain.hits]
    assert engine.search(SearchRequest(q="waterprof jackett", correct=False)).applied.corrected == []


def test_suggestions_forgive_a_slip_and_read_pinyin(engine: Engine) -> None:
    assert engine.suggest("jakcets").suggestions
    assert "户外" in [s.text for s in engine.suggest("huwai").suggestions]
    assert "户外" in [s.text for s in engine.suggest("hw").suggestions]


def test_given_products_are_ordered_as_a_search_orders_them(engine: Engine) -> None:
    ids = [product.id for product in engine.products()]
    for q in ("waterproof jacket", "登山 外套", "red tent under $100", "qzvx"):
        found = [hit.document["id"] for hit in engine.search(SearchRequest(q=q, per_page=100, understand=False)).hits]
        order = engine.order(q, ids)
        assert sorted(order) == sorted(ids)
        if q == "waterproof jacket":
            assert order[:50] == found[:50]  # further down a search knows fewer cosines
    assert engine.order("jacket", []) == []
    some = ids[::3]
    assert set(engine.order("jacket", some)) == set(some)
    with pytest.raises(NotFoundError):
        engine.order("jacket", ["nobody"])
