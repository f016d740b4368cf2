"""Logs of other systems come in as they are: each record kept or counted with its reason, joined to searches, and once."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import FeedError
from engine.events import Event, EventLog, invalid
from engine.events.ubi import read_money, read_time_ms, read_ubi
from engine.schema import Money
from indexer.events.formats import FORMATS, format_of
from indexer.events.importing import TRANSACTIONS, import_events, read_events
from indexer.events.joining import BY_ID, BY_TIME, NO_SEARCH, UNKNOWN, Joiner
from indexer.logs import logged
from indexer.transactions import Sale, iterate_sales

DATA = Path(__file__).parents[2] / "shared" / "data"
UBI, RETAIL = DATA / "ubi" / "log_events.tsv.gz", DATA / "online_retail" / "online_retail_2009_2010.parquet"
T = 1_700_000_000_000


def lines(path: Path, *records: object) -> Path:
    path.write_text("\n".join(json.dumps(r) if not isinstance(r, str) else r for r in records), "utf-8")
    return path


@pytest.fixture
def log(tmp_path: Path):
    log = EventLog(tmp_path / "events", consent="assumed")
    yield log
    log.close()


def param(key: str, value: object) -> dict[str, object]:
    kind = "int_value" if isinstance(value, int) else "string_value"
    return {"key": key, "value": {"string_value": None, "int_value": None, kind: value}}


GA4 = [
    {"event_name": "view_search_results", "event_timestamp": T * 1000, "user_pseudo_id": "c1",
     "event_params": [param("search_term", "rain jacket"), param("ga_session_id", 77)]},
    {"event_name": "view_item_list", "event_timestamp": (T + 1) * 1000, "user_pseudo_id": "c1",
     "event_params": [param("ga_session_id", 77)], "items": [{"item_id": "A"}, {"item_id": "B"}]},
    {"event_name": "select_item", "event_timestamp": (T + 2000) * 1000, "user_pseudo_id": "c1", "user_id": "u1",
     "event_params": [param("ga_session_id", 77)], "items": [{"item_id": "B", "item_list_index": 2}]},
    {"event_name": "purchase", "event_timestamp": (T + 3000) * 1000, "user_pseudo_id": "c1",
     "event_params": [param("currency", "EUR"), param("transaction_id", "T-1")],
     "items": [{"item_id": "B", "price": 20.5, "quantity": 2}, {"item_id": "C", "price": 1}]},
    {"event_name": "scroll", "event_timestamp": (T + 4000) * 1000, "user_pseudo_id": "c1"},
]  # fmt: skip
GA4_SENT = [{"client_id": "c1", "timestamp_micros": T * 1000, "events": [{"name": "add_to_cart", "params": {"items": [{"item_id": "A"}]}}]}]
SEGMENT = [
    {"event": "Products Searched", "anonymousId": "c1", "messageId": "m1", "timestamp": "2023-11-14T22:13:20Z", "properties": {"query": "tent"}},
    {"event": "Product List Viewed", "anonymousId": "c1", "messageId": "m2", "timestamp": "2023-11-14T22:13:21Z",
     "properties": {"products": [{"product_id": "A"}, {"sku": "B"}]}},
    {"event": "Product Clicked", "anonymousId": "c1", "messageId": "m3", "timestamp": "2023-11-14T22:13:25Z",
     "properties": {"product_id": "A", "position": 1}},
    {"event": "Order Completed", "userId": "u1", "anonymousId": "c1", "messageId": "m4", "timestamp": "2023-11-14T22:14:00Z",
     "properties": {"order_id": "O1", "currency": "USD", "products": [{"product_id": "A", "price": 9.99}, {"product_id": "B", "quantity": 3}]}},
    {"event": "Page Viewed", "anonymousId": "c1", "properties": {}},
]  # fmt: skip
RETAIL_EVENTS = [
    {"eventType": "search", "visitorId": "v", "eventTime": "2023-11-14T22:13:20Z", "searchQuery": "tent", "attributionToken": "tok",
     "productDetails": [{"product": {"id": "A"}}, {"product": {"id": "B"}}]},
    {"eventType": "detail-page-view", "visitorId": "v", "eventTime": "2023-11-14T22:13:30Z", "attributionToken": "tok",
     "productDetails": [{"product": {"id": "B"}}]},
    {"eventType": "purchase-complete", "visitorId": "v", "eventTime": "2023-11-14T22:15:30Z", "userInfo": {"userId": "u"},
     "productDetails": [{"product": {"id": "B", "priceInfo": {"price": 30, "currencyCode": "USD"}}, "quantity": 1}],
     "purchaseTransaction": {"id": "P", "currencyCode": "USD"}},
    {"eventType": "home-page-view", "visitorId": "v"},
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "records", "kinds", "left_out", "joined"),
    [
        ("ga4", GA4, {"search": 1, "impression": 1, "click": 1, "purchase": 2}, 1, {BY_TIME: 4}),
        ("ga4", GA4_SENT, {"cart": 1}, 0, {NO_SEARCH: 1}),
        ("segment", SEGMENT, {"search": 1, "impression": 1, "click": 1, "purchase": 2}, 1, {BY_TIME: 4}),
        ("google-retail", RETAIL_EVENTS, {"search": 1, "click": 1, "purchase": 1}, 1, {BY_ID: 1, BY_TIME: 1}),
    ],
)
def test_each_format_is_known_by_its_records_and_comes_in_once(tmp_path, log, name, records, kinds, left_out, joined) -> None:
    path = lines(tmp_path / "log.jsonl", *records)
    report = import_events(path, log)
    assert (report.format, dict(report.kinds), sum(report.left_out.values()), dict(report.joined)) == (name, kinds, left_out, joined)
    assert report.added == sum(kinds.values())
    again = import_events(path, log)
    assert (again.added, again.duplicates) == (0, report.added)
    bought = list(log.read(kinds=["purchase"]))
    assert all(e.order for e in bought)
    clicks = list(log.read(kinds=["click"]))
    searches = {e.query_id for e in log.read(kinds=["search"])}
    assert all(e.query_id in searches for e in clicks)
    json.dumps(report.to_dict())


def test_prices_places_and_quantities_come_along(tmp_path: Path, log: EventLog) -> None:
    import_events(lines(tmp_path / "log.jsonl", *GA4), log)
    (clicked,) = log.read(kinds=["click"])
    assert (clicked.position, clicked.guessed, clicked.user) == (2, True, log.person("u1"))
    bought = {e.products[0]: (e.value, e.quantity) for e in log.read(kinds=["purchase"])}
    assert bought == {"B": (Money(2050, "EUR"), 2), "C": (Money(100, "EUR"), 0)}


def test_a_purchase_of_another_day_belongs_to_no_search() -> None:
    joiner = Joiner(searched={"old"}.__contains__)
    day = 86_400_000
    events = [
        Event("click", T + day, client_id="c", products=("A",)),
        Event("search", T, client_id="c", query="tent"),
        Event("click", T + 60_000, client_id="c", products=("A",)),
        Event("click", T + 60_000, client_id="other", products=("A",)),
        Event("click", T - 60_000, client_id="c", products=("A",)),
        Event("cart", T, query_id="old", products=("A",)),
        Event("cart", T, query_id="never heard of", products=("A",)),
    ]
    out = list(joiner.join(events))
    assert [e.time_ms for e in out] == sorted(e.time_ms for e in events)
    assert dict(joiner.counts) == {BY_TIME: 1, NO_SEARCH: 3, BY_ID: 1, UNKNOWN: 1}


def test_a_session_tells_more_than_a_device() -> None:
    joiner = Joiner()
    events = [
        Event("search", T, client_id="c", session_id="s1", query_id="q1", query="tent"),
        Event("search", T + 1000, client_id="c", session_id="s2", query_id="q2", query="shoes"),
        Event("click", T + 2000, client_id="c", session_id="s1", products=("A",)),
    ]
    assert list(joiner.join(events))[-1].query_id == "q1"


def test_orders_come_in_line_by_line_with_what_was_left_out(tmp_path: Path, log: EventLog) -> None:
    with (tmp_path / "orders.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["Invoice", "StockCode", "Description", "Quantity", "InvoiceDate", "Price", "Customer ID"])
        rows.writerows([
            ["1", "A1", "MUG", 2, "2023-12-01 08:00:00", 1.25, "17.0"], ["1", "A1", "MUG", 2, "2023-12-01 08:00:00", 1.25, "17.0"],
            ["1", "POST", "POSTAGE", 1, "2023-12-01 08:00:00", 9, "17.0"], ["C2", "A1", "MUG", -2, "2023-12-02 08:00:00", 1.25, "17.0"],
            ["3", "B1", "LAMP", 1, "2023-12-03 08:00:00", "", ""], ["4", "B1", "LAMP", -1, "2023-12-03 08:00:00", "", ""],
        ])  # fmt: skip
    for turn in range(2):
        report = import_events(tmp_path / "orders.csv", log, currency="GBP")
        assert report.format == TRANSACTIONS
        assert (report.added, report.duplicates) == ((3, 0), (0, 3))[turn]
        assert sum(report.left_out.values()) == 3
    first, second, third = log.read()
    assert first.user == second.user == log.person("17")
    assert third.person == ""
    assert (first.value, first.quantity, third.value) == (Money(125, "GBP"), 2, None)
    assert report.not_joined == 1.0


@pytest.mark.parametrize(
    ("header", "row", "price", "time"),
    [
        ("order_id,sku,qty,date,customer,price", "1,A1,1,2023-12-01T08:00:00Z,ann,1.25", (1.25, ""), 1_701_417_600),
        ("\ufefforder_id,sku,qty,date,customer,price", '1,A1,1,12/1/2023 8:00,ann,"£1,250.50"', (1250.5, "GBP"), 1_701_417_600),
        ("Order ID,Product ID,Units,Created At,User ID,Unit Price", '1,A1,1,25.12.2023,ann,"1.250,50 €"', (1250.5, "EUR"), 1_703_462_400),
        ("invoice,sku,quantity,time,customer,price", "1,A1,,25/12/2023 08:00:30,ann,", (-1.0, ""), 1_703_491_230),
        ("invoice,sku,quantity,time,customer,price", "C1-2,A1,2.0,1701417600,ann,$3", (3.0, ""), 1_701_417_600),
    ],
)
def test_orders_as_tills_write_them(tmp_path: Path, header: str, row: str, price: tuple[float, str], time: int) -> None:
    written = f"{header}\n{row}\n".encode()
    for name, content in (("orders.csv", written), ("orders.csv.gz", gzip.compress(written))):
        (tmp_path / name).write_bytes(content)
        (sale,) = iterate_sales(tmp_path / name)
        assert isinstance(sale, Sale), sale
        assert (sale.product, sale.user, sale.time_s, (sale.price, sale.currency)) == ("A1", "ann", time, price)


def test_packed_orders_that_end_early_or_are_damaged_are_a_sentence(tmp_path: Path) -> None:
    whole = gzip.compress(b"sku,quantity\n" + b"A1,1\n" * 50, mtime=0)
    for name, content in (("cut.csv.gz", whole[:-12]), ("damaged.csv.gz", whole[:14] + b"\xff\xff" + whole[16:])):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(FeedError, match="cannot be read as orders"):
            list(iterate_sales(tmp_path / name))


def test_placeholders_of_ga4_are_nobody_and_no_search(tmp_path: Path, log: EventLog) -> None:
    empty = {"user_pseudo_id": "(not set)", "user_id": "(not set)"}
    records = [
        {"event_name": "view_search_results", "event_timestamp": T * 1000, **empty, "event_params": [param("search_term", "(not set)")]},
        {"event_name": "select_item", "event_timestamp": T * 1000, **empty, "items": [{"item_id": "(not set)"}]},
        {"event_name": "select_item", "event_timestamp": T * 1000, **empty, "items": [{"item_id": "A"}]},
    ]
    report = import_events(lines(tmp_path / "log.jsonl", *records), log)
    assert (report.added, sum(report.left_out.values())) == (1, 2)
    (kept,) = log.read()
    assert (kept.products, kept.person) == (("A",), "")


def test_sessions_of_two_devices_are_two_even_under_one_number() -> None:
    joiner = Joiner()
    events = [
        Event("search", T, client_id="a", session_id="1", query_id="of a", query="tent"),
        Event("search", T + 1, client_id="b", session_id="1", query_id="of b", query="shoes"),
        Event("click", T + 2, client_id="a", session_id="1", products=("A",)),
        Event("click", T + 3, client_id="b", session_id="1", products=("A",)),
        Event("click", T + 4, client_id="c", session_id="1", products=("A",)),
    ]
    assert [e.query_id for e in joiner.join(events) if e.kind == "click"] == ["of a", "of b", ""]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [("log.jsonl", '{"a": 1}\n', "no events of a form"), ("log.jsonl", "", "no events"), ("orders.csv", "a,b\n1,2\n", "names a product")],
)
def test_what_is_no_log_is_a_sentence(tmp_path: Path, log: EventLog, name: str, content: str, said: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(FeedError, match=said):
        import_events(tmp_path / name, log)
    with pytest.raises(FeedError, match="no format of events"):
        import_events(tmp_path / name, log, format="xml")
    with pytest.raises(FeedError, match="cannot be read"):
        import_events(tmp_path / "missing.jsonl", log)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["user_query", "query_id", "action_name", "timestamp", "event_attributes", "object", "object_id", "position", "ordinal", "event",
         "properties", "products", "product_id", "event_name", "event_params", "key", "value", "items", "item_id", "events", "eventType",
         "visitorId", "productDetails", "product", "id", "price", "quantity", "rating", "client_id", "params", "ecommerce", "userInfo"]
    ) | st.text(max_size=5), inner, max_size=6),
    max_leaves=25,
)  # fmt: skip


@given(st.dictionaries(st.text(max_size=12), JSON, max_size=6) | JSON.filter(lambda v: isinstance(v, dict)), st.sampled_from(sorted(FORMATS)))
def test_no_record_is_more_than_an_event_or_a_reason(record: dict[str, object], name: str) -> None:
    format_of(record)
    for event in FORMATS[name](record):
        assert isinstance(event, str | Event)
        if isinstance(event, Event):
            invalid(event)


@given(st.one_of(st.text(), st.integers(), st.floats(), st.none(), st.lists(st.integers())))
def test_times_and_prices_are_read_or_are_none(given_value: object) -> None:
    assert read_time_ms(given_value) >= 0
    money = read_money(given_value, given_value)
    assert money is None or money.amount >= 0


@pytest.mark.parametrize("written", [T, T // 1000, T * 1000, "2023-11-14T22:13:20Z", "2023-11-14T23:13:20+01:00", str(T), "2023-11-14 22:13:20"])
def test_one_time_in_every_writing(written: object) -> None:
    assert read_time_ms(written) == T


def test_feedback_says_yes_or_no() -> None:
    for name, rating in (("thumbs_up", 1), ("thumbs_down", -1)):
        event = read_ubi({"action_name": name, "query_id": "q", "timestamp": T})
        assert isinstance(event, Event)
        assert event.rating == rating
    event = read_ubi({"action_name": "feedback", "timestamp": T, "event_attributes": {"rating": -3}})
    assert isinstance(event, Event)
    assert event.rating == -1


def test_the_event_log_teaches_what_a_file_of_the_same_log_does(tmp_path: Path, log: EventLog) -> None:
    query = {"user_query": "red tent", "query_id": "q1", "client_id": "ann", "query_response_object_ids": ["b", "a"], "timestamp": T}
    event = {"action_name": "click", "query_id": "q1", "client_id": "ann", "timestamp": T + 1,
             "event_attributes": {"object": {"object_id": "a"}, "position": {"ordinal": 2}}}  # fmt: skip
    import_events(lines(tmp_path / "log.jsonl", query, event), log)
    found = logged(log)
    assert [(q.text, q.shown, bool(q.user)) for q in found.queries] == [("red tent", ("b", "a"), True)]
    assert [(a.kind, a.product, a.position, a.query_id) for a in found.actions] == [("click", "a", 2, found.queries[0].query_id)]


@pytest.mark.skipif(not UBI.exists(), reason="the UBI development data is not here")
def test_the_ubi_log_comes_in_as_it_is_and_nobodys_address_with_it(tmp_path: Path, log: EventLog) -> None:
    report = import_events(UBI, log)
    assert report.records == 30_958 == report.added + report.duplicates + sum(report.left_out.values())
    assert report.kinds["search"] > 4000
    assert report.not_joined < 0.01
    held = b"".join(p.read_bytes() for p in log.folder.iterdir())
    assert b"162.67.113.30" not in held
    assert b"Mozilla" not in held
    assert b"a15f1ef3-6bc6-4959" not in held
    assert b"0883585774104" in held  # an EAN is no phone number


@pytest.mark.skipif(not RETAIL.exists(), reason="the Online Retail development data is not here")
def test_the_retail_year_is_read_with_every_line_accounted_for() -> None:
    import pyarrow.parquet as pq

    name, found = read_events(RETAIL, currency="GBP")
    events = list(found)
    assert name == TRANSACTIONS
    assert len(events) == pq.ParquetFile(RETAIL).metadata.num_rows
    kept = [e for e in events if isinstance(e, Event)]
    assert 0.95 < len(kept) / len(events) < 0.99
    assert not any(invalid(e) for e in kept[::97])
    assert len({e.event_id for e in kept}) == len(kept)
