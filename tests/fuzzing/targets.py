"""The table of what is fuzzed: each reader's name, the property it must hold, inputs to begin with, and words to put into them."""

from __future__ import annotations

import json
from collections.abc import Mapping

from fuzzing.configured import read_environment, read_experiment_file, read_settings_file
from fuzzing.events import read_event_log, read_records
from fuzzing.feeds import TABLES, read_feed, read_feed_as, read_orders, read_parquet, read_table, read_terms_file
from fuzzing.generated import read_drafts, read_steps, read_stream
from fuzzing.searching import read_amounts, read_filter, read_query
from fuzzing.stored import GOOD_MANIFEST, read_erasures, read_event_file, read_manifest_file, read_pointer, read_row
from fuzzing.target import Target
from fuzzing.wire import REQUESTS, read_body, read_query_string, read_turn, request

__all__ = ["TARGETS"]


def _json(*values: object) -> tuple[bytes, ...]:
    return tuple(json.dumps(value, ensure_ascii=False).encode() for value in values)


def _behind(first: bytes, *texts: str | bytes) -> tuple[bytes, ...]:
    return tuple(first + (text.encode() if isinstance(text, str) else text) for text in texts)


_QUERIES = (
    "waterproof hiking jacket under $80", "防水登山外套 500元以内 不要羽绒", "red or blue tent for 4 people, not too heavy",
    "不含咖啡因的茶 两百到三百块", "sugar-free without lactose between 5 and 10 euros", "TN-2110 toner 4006381333931", "cheap wiless hedphones",
    "non-slip yoga mat 6 mm over 1.5k", "给妈妈的生日礼物 红色", "20000mAh 充电宝 10.000 毫安时 <1kg", "a laptop bag for a 15.6\" laptop",
    "iphone 15 手机壳 非苹果", "最便宜的 三千以下 空气净化器", "size 42 shoes 10-20% off", "ｗａｔｅｒｐｒｏｏｆ　外套",
)  # fmt: skip
_FILTERS = (
    "price:<100 && brand:=[HP,Dell] && !(color:red || weight:>2kg)", "price:[50..100]", "price:<=100USD", "brand:!=岭行", "size:[40..42]",
    "category:=`Outdoor > Tents`", "`color`:=``", "weight:>=500 g || weight:<0.1", "price:[..9]", "in_stock:true", "a:b && (((c:d)))",
)  # fmt: skip
_AMOUNTS = (
    "3 kg", "1,5 kg", "20000毫安时", "5G", "under $80", "两百到三百块", "1.299,00 €", "US$ 1,234.50", "¥99.9", "10-20%", '15.6"', "-5°C", "1e5", "1 000,5 m",
    "three hundred", "3x4x5 cm", "一万二", "12.34.56", "٣ kg", "½ kg",
)  # fmt: skip
_PRODUCT = {
    "id": "A1", "title": "Tent", "price": {"value": 9.5, "currency": "EUR"}, "attributes": {"color": ["red", "blue"], "weight": "3 kg"},
    "specs": [{"name": "Size", "value": "M"}], "gtin": "4006381333931", "availability": "in stock",
}  # fmt: skip
_ICECAT = {"id": 1, "title": "A", "supplier": "B", "price": 1999, "currency": "EUR", "attr_t_color": "red", "attr_n_weight": 2, "attr_b_colour": True}
_RSS = (
    '<?xml version="1.0" encoding="utf-8"?><rss xmlns:g="http://base.google.com/ns/1.0"><channel><item><g:id>1</g:id><title>Tent &amp; co</title>'
    "<g:price>9.50 EUR</g:price><g:shipping><g:country>US</g:country></g:shipping><g:product_detail><g:attribute_name>Color</g:attribute_name>"
    "<g:attribute_value>red</g:attribute_value></g:product_detail></item></channel></rss>"
)
_TABLES = (
    "id,title,price,color\n1,Tent,9.5,red\n2,\"A \"\"b\"\"\nc\",1.299 EUR,\n",
    "id,title,link,image_link,price,product_detail\n1,Tent,http://a.b/c,http://a.b/c.jpg,9 USD,Size:Color:red\n",
    "id\ttitle\tlink\tavailability\tprice\n1\t帐篷\thttp://a.b\tin stock\t9 CNY\n",
    "Handle,Title,Option1 Name,Option1 Value,Variant Price,Variant Inventory Qty,Image Src\nt,Tent,Color,Red,9,1,\nt,,,Blue,8,-1,http://a.b/c\n",
    "ID,Type,SKU,Name,Regular price,Categories,Images,Attribute 1 name,Attribute 1 value(s),In stock?,Parent\n1,variable,S,Tent,9,\"A > B, C\",\"x, y\",Size,\"M, L\",1,id:3\n",
)  # fmt: skip
_ORDERS = "Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID\n536365,85123A,LANTERN,6,2010-12-01 08:26:00,2.55,17850.0\nC536366,M,Manual,-1,1/2/2011 8:26,£1,\n"
_UBI = (
    {"user_query": "red tent", "query_id": "q1", "client_id": "device-0", "timestamp": "2026-01-02T03:04:05Z", "query_response_object_ids": ["A1", 2]},
    {
        "action_name": "purchase", "query_id": "q1", "event_id": "e", "user_id": "ann", "client_id": "device-0", "session_id": "s", "timestamp": 1_780_000_000,
        "event_attributes": {
            "object": {"object_id": "A1", "object_detail": {"price": "9.5", "currency": "EUR"}, "transaction_id": "o1"}, "position": {"ordinal": 2},
            "quantity": 1, "price": 9.5, "currency": "EUR",
        },
    },
    {"action_name": "thumbs_up", "query_id": "q1", "timestamp": "2026-01-02"},
    {"action_name": "feedback", "event_attributes": {"rating": -1}, "timestamp": 1_780_000_000_000},
)  # fmt: skip
_OTHERS = (
    {
        "event_name": "purchase", "event_timestamp": "1780000000000000", "user_pseudo_id": "1.2", "items": [{"item_id": "A1", "quantity": 2, "price": 9.5}],
        "event_params": [{"key": "currency", "value": {"string_value": "EUR", "int_value": None}}], "ecommerce": {"transaction_id": "o"},
    },
    {"client_id": "1.2", "timestamp_micros": 1_780_000_000_000_000, "events": [{"name": "view_item_list", "params": {"items": [{"item_id": "A"}]}}]},
    {
        "event": "Order Completed", "messageId": "m", "userId": "u", "anonymousId": "a", "originalTimestamp": "2026-01-02T03:04:05.678Z",
        "properties": {"order_id": "o", "currency": "USD", "products": [{"product_id": "A", "quantity": 1, "price": 3}, {"sku": "B"}]},
    },
    {
        "eventType": "purchase-complete", "visitorId": "v", "eventTime": "2026-01-02T03:04:05Z", "attributionToken": "t", "userInfo": {"userId": "u"},
        "productDetails": [{"product": {"id": "A", "priceInfo": {"price": 3, "currencyCode": "USD"}}, "quantity": 1}],
        "purchaseTransaction": {"id": "o", "currencyCode": "USD"},
    },
    {"eventType": "search", "visitorId": "v", "searchQuery": "tent", "eventTime": "2026-01-02T03:04:05Z"},
)  # fmt: skip
_STATE = {
    "language": "en", "page": 2, "turns": 3, "asked": ["color"], "shown": ["OUT-Z01-1", "OUT-Z01-2"],
    "pieces": [
        {"kind": "thing", "text": "jacket"}, {"kind": "quality", "text": "red", "field": "color", "filter": "color:=red"},
        {"kind": "limit", "text": "under 80", "field": "price", "filter": "price:<80USD"}, {"kind": "exclude", "text": "not leather"},
    ],
}  # fmt: skip
_TURNS = (
    {"text": "waterproof, and in black", "state": _STATE}, {"text": "cheaper"}, {"text": "compare the first two", "state": _STATE},
    {"text": "第二个怎么样", "state": _STATE}, {"text": "more", "state": _STATE},
    {"choice": {"label": "red", "field": "color", "filter": "color:=red"}, "state": _STATE}, {"text": "岭行 vs Fellmark jacket"}, {"text": "no preference", "state": _STATE},
)  # fmt: skip
_WHO = {"client_id": "a-client-of-sixteen", "personalize": True}
_BODIES = (
    {"q": "red tent", "filter_by": "price:<100", "facet_by": "*", "sort_by": "price:asc", "page": 1, "per_page": 3, "alpha": 0.5, **_WHO},
    {"q": "red tent", "ids": ["OUT-Z01-1", "OUT-Z01-2"], "language": "zh"},
    {**_TURNS[0], "keep": True},
    {"kind": "basket", "ids": ["OUT-Z01-1"], "k": 3, "filter_by": "price:<100", "discover": True, "language": "zh", **_WHO},
    {"consent": {"personalisation": True, "improvement": None}, "preferences": {"brands": ["Fellmark"], "price": "low"}},
    _STATE,
)  # fmt: skip
_ASKED = (_BODIES[0], _BODIES[1], _BODIES[2], _BODIES[1], _BODIES[3], _UBI[1], _BODIES[4])
_ADDRESSES = (
    b"?q=red+tent&filter_by=price:%3C100&facet_by=brand,price&sort_by=price:desc&per_page=2", b"?q=red&limit=3", b"OUT-Z01-1?k=3", b"OUT-Z01-1",
    b"a-client-of-sixteen?user_token=x", b"v1/capabilities", b"guide/abc",
)  # fmt: skip
_EXPERIMENT = '''name = "alpha"\nkind = "ab"\nshare = 0.5\n[variants.a]\n[variants.b]\nalpha = 0.3\ncalibration = [1.0, 2.0]\n'''
_SETTINGS = '''store = "x"\nalpha = 0.5\nidentity_secret = "0123456789abcdef"\nsemantic_languages = ["en"]\nrate_limit = "100/second"\n
[exchange_rates]\nUSD = 7.0\n[api_keys.web]\nkey = "a-key-of-24-characters-or-so"\nscopes = ["search"]\nrate_limit = "5/second"\ntenant = "a"\n[tenants]\na = "s"\n'''  # fmt: skip
_ENVIRONMENT = (
    'ALPHA=0.5\nAPI_KEYS={"web": {"key": "a-key-of-24-characters-or-so", "scopes": ["search"]}}\nEXCHANGE_RATES={"USD": 7}\nCORS_ORIGINS=["https://a.b"]',
    "PRIVACY_KEY=0123456789012345678901234567890123\nEVENTS=no\nPORT=80\nSTORE=/x\nCALIBRATION=[1,2]\nRATE_LIMIT=5/hour",
)


def _chunk(text: str) -> str:
    return "data: " + json.dumps({"choices": [{"delta": {"content": text}}]}, ensure_ascii=False) + "\n\n"


_STEPS = {
    "steps": [
        {"do": "want", "kind": "quality", "text": "waterproof", "said": "waterproof"}, {"do": "limit", "field": "price", "most": 80, "unit": "USD", "said": "under 80 dollars"},
        {"do": "choose", "field": "color", "values": ["black"], "said": "black"}, {"do": "exclude", "text": "leather", "said": "not leather"},
        {"do": "forget", "items": [1], "said": "red"}, {"do": "pick", "items": [2], "said": "a"}, {"do": "begin", "said": "a black"},
    ]
}  # fmt: skip
_SIGNS = ("{", "}", "[", "]", ":", ",", '"', "\\u0000", "\\ud800", "null", "true", "-1", "1e999", "1" * 30, "NaN", "Infinity", "[" * 1000, '{"a":' * 500)
_MONEY = ("$", "€", "¥", "USD", "CNY", "元", "块", "以内", "以下", "under", "between", "and", "over", "about", "左右", "到", "至少", "三千", "1,5", "k", "万", "%")

TARGETS: Mapping[str, Target] = {
    "query": Target(
        "A query is taken apart, its parts are characters of it, its filters can be read, and it is the same the next time.",
        read_query, _behind(b"\0", *_QUERIES), (*_MONEY, "not ", "without ", "不要", "-free", "非", "for ", " or ", "size ", "kg", "cm", "\u3000", "（", "最便宜"),
    ),
    "filter": Target(
        "A filter is a tree that is written and read back and whose denial allows the rest, or a FilterError with a place in it.",
        read_filter, _behind(b"", *_FILTERS), ("&&", "||", "!", "(", ")", "[", "]", "..", ":=", ":!=", ":<=", "`", "``", "price", "brand", "color", "weight", "category", "kg", "USD"),
    ),
    "amounts": Target(
        "A text is a quantity, a price or neither; the amounts found in it are characters of it.",
        read_amounts, _behind(b"", *_AMOUNTS), (*_MONEY, "kg", "mAh", "毫安时", "°C", '"', "½", "١", "²", "×", "GB", "-", "−", ".", ",", "e5", "hundred", "dozen"),
    ),
    "feed": Target(
        "A file is a feed whose rows become products or say why not, each the same when it is read again, or a FeedError.",
        read_feed, (*_behind(b"\0", *_TABLES, _RSS, *_json(_PRODUCT, [_PRODUCT], _ICECAT)), *(bytes([n]) + _TABLES[0].encode() for n in (1, 2, 3))),
        ("\ufeff", "\x00", "PAR1", "<?xml", "<!DOCTYPE", "sep=;\n", "\r", "\t", ";", "|", "id", "title", "价格", "标题", "商品id", *_SIGNS),
    ),
    "feed_table": Target(
        "The same of delimited files that are said to be of a format.",
        read_table, tuple(bytes([n]) + text.encode() for n, text in enumerate(_TABLES)),
        (",", "\t", ";", '"', '""', "\r\n", "\n", "id", "title", "price", "Handle", "Option1 Name", "Option1 Value", "Attribute 1 name", "SKU", "EUR", "1e99", "\\,", ">"),
    ),
    "feed_json": Target(
        "The same of JSON lines, of a JSON array, and of Icecat's names.",
        read_feed_as("jsonl", "icecat-jsonl"), (*_behind(b"\0", *_json(_PRODUCT, [_PRODUCT, 3, {}])), *_behind(b"\1", *_json(_ICECAT))),
        ("id", "title", "price", "attributes", "attr_t_", "attr_n_", "attr_b_", "name", "value", "currency", "\n", *_SIGNS),
    ),
    "feed_xml": Target(
        "The same of XML.",
        read_feed_as("google-xml"), _behind(b"\0", _RSS, "<feed><entry><id>1</id><title>T</title><link href='http://a.b'/></entry></feed>"),
        ("<item>", "</item>", "<g:id>", "<![CDATA[", "]]>", "<!--", "-->", "<!DOCTYPE a [", "<!ENTITY a 'b'>", "&amp;", "&#0;", "&#xD800;", "&a;", "encoding='utf-16'", "xmlns:g="),
    ),
    "feed_parquet": Target(
        "The same of a Parquet file with bytes replaced or its end cut off.",
        read_parquet, (b"", b"\x00\x00\x41", b"\xff\xf0\x00", b"\x80\x00\x01\x40"),
    ),
    "orders": Target(
        "A file of orders is sales and reasons, or a FeedError.",
        read_orders, tuple(bytes([n]) + _ORDERS.encode() for n in range(4)),
        ("sku", "quantity", "order_id", "timestamp", "currency", "nan", "inf", "1e400", "£", "C536366", '"', ",", "\n", "2010-12-01", "99999-99-99"),
    ),
    "terms": Target(
        "A table of terms is entries, or a LexiconError.",
        read_terms_file, tuple(bytes([n]) + b"kind\ten\tzh\ncolor\tred|crimson\t\xe7\xba\xa2\n" for n in range(4)), ("kind", "en", "zh_cn", "zh", "\t", "|", "\n", '"'),
    ),
    "records": Target(
        "A record is events, or a reason in words; an event that may be kept is read back from its row as it was.",
        read_records, _json(*_UBI, *_OTHERS, [*_UBI]),
        ("user_query", "action_name", "query_id", "timestamp", "object_id", "event_attributes", "position", "ordinal", "quantity", "price", "event_name", *_SIGNS),
    ),
    "event_log": Target(
        "A file of another system's log is events and reasons, all of them counted, or a FeedError.",
        read_event_log,
        (
            b"\0" + b"\n".join(_json(*_UBI)), b"\0" + b"\n".join(_json(*_OTHERS)), b"\0ubi_queries\t" + _json(_UBI[0])[0], b"\4" + _ORDERS.encode(),
            b"\3" + b"\n".join(_json(*_UBI)), b"\2" + b"\n".join(_json(*_OTHERS)), b"\x3c" + _ORDERS.encode(),
        ),
        ("ubi_events\t", "\n", "action_name", "event_name", "eventType", "properties", "events", *_SIGNS),
    ),
    "event_row": Target(
        "A row of the event log is an event whose fields are of their types, or damaged; with a checksum, damage is told.",
        read_row, _json([[2, 1]], [[8, ["P1"]], [15, '{"a":"b"}']], [[3, {"hex": "00ff"}], [11, None]], [[1, "x"]], [[16, 2.5], [12, 7]]),
        ("[0,", "[8,", "[15,", "[11,", "hex", "null", '"[1]"', "{}", "1e99", "-1"),
    ),
    "event_file": Target(
        "A file of the event log with bytes replaced gives events that were written, or says that some have no checksum, or an error.",
        read_event_file, (b"", b"\0\x10\x00\x01", b"\2\x00\x00\x00", b"\3\x00\x00\xff", b"\5\x00\x10\x00", b"\0\x80\x00"), limit_s=5.0,
    ),
    "erasures": Target(
        "The list of erasures is read as far as it goes, and what is added to it is in it.",
        read_erasures, (b'{"person":"00ff","at_ms":1790000000000}\n', b'{"person":"00ff","at_ms":1}\n{"person":"a', b"\n\n{}\n[]\n"),
        ("person", "at_ms", "\n", "-1", "1e30", "9223372036854775808", '"zz"', "null", "true"),
    ),
    "manifest": Target(
        "A manifest is of its types and names files of its own folder, or a SnapshotError; fetching it writes nowhere else.",
        read_manifest_file, (*_behind(b"\0", GOOD_MANIFEST.to_json()), *_behind(b"\1", GOOD_MANIFEST.to_json(), "[]", "{")),
        ("id", "files", "bytes", "sha256", "../", "/", "format", "delta", "dead", "products", "vectors/collection.json", "manifest.json", "counts", *_SIGNS),
    ),
    "pointer": Target(
        "CURRENT names a snapshot or is a SnapshotError, in a store and on object storage.",
        read_pointer, (b"20260101T000000-abcd\n", b"", b"\xff", b"../x", b".."), ("../", "/", "\n", "\0", "."),
    ),
    "turn": Target(
        "A turn with any state is a reply whose state can be sent back, or a RequestError.",
        read_turn, _json(*_TURNS), ("pieces", "kind", "thing", "quality", "limit", "exclude", "filter", "state", "choice", "shown", "compare", "first", "cheaper", "比较", *_SIGNS),
        limit_s=2.0,
    ),
    "body": Target(
        "A body is a record that is written and read back, or a ValidationError.",
        read_body, tuple(bytes([n]) + text for n, text in enumerate(_json(*_BODIES))), ("ids", "filter_by", "alpha", "pieces", "preferences", "consent", *_SIGNS),
    ),
    "query_string": Target(
        "A query string is a search, or a validation error.",
        read_query_string, (b"q=red+tent&page=2&alpha=0.5&understand=false", b"q=%E5%B8%90&filter_by=price:%3C100"), ("q=", "&", "%", "%00", "%ED%A0%80", "page=", "alpha=", "nan", "inf", "1e3"),
    ),
    "request": Target(
        "A request of the service is an answer or a problem that is the caller's, never a failure.",
        request, (*(bytes([n]) + text for n, text in enumerate(_json(*_ASKED))), *(bytes([n + 7]) + a for n, a in enumerate(_ADDRESSES))),
        ("q", "ids", "filter_by", "sort_by", "facet_by", "price:asc", "*", "OUT-Z01-1", "?", "&", "%2F", "%00", "v1/admin/reload", "healthz", "metrics", "static/", "guide/", *_SIGNS),
        limit_s=2.0,
    ),
    "settings_file": Target(
        "A settings file is settings, or a SettingsError that holds no secret.",
        read_settings_file, _behind(b"", _SETTINGS, 'generator = "endpoint"\nport = 70000\nprivacy_key = "short-1"\n'),
        ("alpha", "api_keys", "tenants", "exchange_rates", "[", "]", "=", "nan", "inf", '"""', "1979-05-27", "privacy_key", "identity_secret", "scopes", "[" * 500),
    ),
    "environment": Target(
        "The same of environment variables.",
        read_environment, _behind(b"", *_ENVIRONMENT), ("API_KEYS=", "ALPHA=", "TENANTS=", "EXCHANGE_RATES=", "CALIBRATION=", "PRIVACY_KEY=", "MILVUS_TOKEN=", "\n", "nan", *_SIGNS),
    ),
    "experiment": Target(
        "A file of an experiment is one that can be tried, or a SettingsError.",
        read_experiment_file, _behind(b"", _EXPERIMENT, _EXPERIMENT.replace('"ab"', '"interleave"')), ("name", "variants", "kind", "interleave", "alpha", "depth", "[", "=", "nan", "inf", "[" * 500),
    ),
    "stream": Target(
        "A response of an endpoint is pieces of text, no more than allowed, or a GeneratorError that names no key.",
        read_stream, _behind(b"\0\x10", _chunk("P1: Waterproof.") + _chunk("防水") + "data: [DONE]\n", ": ping\n\nevent: x\ndata: {}\n", 'data: {"error": {}}\n', '{"choices": []}'),
        ("data: ", "[DONE]", "\n", "choices", "delta", "message", "content", "error", "event:", *_SIGNS),
    ),
    "drafts": Target(
        "An answer is drafts, and an explanation of every product comes of them, however they are cut.",
        read_drafts, _behind(b"\7", "P1: Waterproof: 15000 mm.\nP2: 防水。\n", '{"claims": [{"id": "P1", "text": "It weighs {weight}. Good."}]}', '```json\n{"claims":[{"id":"P3","text":"x"}]}```'),
        ("P1:", "P2：", "{weight}", "{price}", "{thing}", "{quote}", "claims", "id", "text", "```json", "\n", "not ", "不", "Opinion: ", "under $80", *_SIGNS),
        limit_s=2.0,
    ),
    "steps": Target(
        "Steps of a model are a state that the shop can search by, or nothing.",
        read_steps, _json(_STEPS, {"steps": []}), ("do", "want", "limit", "choose", "exclude", "forget", "begin", "compare", "pick", "more", "said", "items", "values", "least", "most", *_SIGNS),
    ),
}  # fmt: skip
assert len(REQUESTS) == len(_ASKED) + len(_ADDRESSES)
assert len(TABLES) == len(_TABLES)
