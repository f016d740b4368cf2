"""Feeds: every format comes through alike, compressed or not, in every encoding; broken ones end in one sentence."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import FeedError
from indexer.feeds import RawRow, open_feed
from indexer.feeds.delimited import read_records
from indexer.feeds.source import Source

ICECAT = Path(__file__).parents[2] / "shared" / "data" / "icecat" / "products.jsonl.gz"

PRODUCTS: list[dict[str, str]] = [
    {
        "id": f"P{n}",
        "title": title,
        "description": f"Line one\nline two, of “{title}”",
        "link": f"https://shop.example/p/{n}",
        "image_link": f"https://shop.example/p/{n}.jpg",
        "availability": "in_stock",
        "price": f"{n}9.00 EUR",
        "brand": "Müller",
        "color": "blue",
    }
    for n, title in enumerate(["Rain jacket", "防水外套", "Gießkanne 5 l"], start=1)
]


def table(rows: list[dict[str, Any]], delimiter: str = ",", end: str = "\n") -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter, lineterminator=end)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def rss(rows: list[dict[str, str]]) -> str:
    from xml.sax.saxutils import escape

    items = "".join(
        "<item>" + "".join(f"<g:{k}>{escape(v)}</g:{k}>" for k, v in row.items()) + "</item>\n" for row in rows
    )
    return (
        '<?xml version="1.0"?>\n<rss xmlns:g="http://base.google.com/ns/1.0" version="2.0"><channel>\n'
        f"<title>Shop</title>\n{items}</channel></rss>\n"
    )


def atom(rows: list[dict[str, str]]) -> str:
    body = rss(rows).replace("<item>", "<entry><id>urn:x</id>").replace("</item>", "</entry>")
    return (
        body.replace('<rss xmlns:g="http://base.google.com/ns/1.0" version="2.0"><channel>',
                     '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:g="http://base.google.com/ns/1.0">')
        .replace("</channel></rss>", "</feed>")
    )  # fmt: skip


def parquet(rows: list[dict[str, str]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


FEW = [{k: p[k] for k in ("id", "title", "price", "color")} for p in PRODUCTS]
FORMATS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "google tsv": ("google-tsv", lambda: table(PRODUCTS, "\t").encode()),
    "google csv": ("google-csv", lambda: table(PRODUCTS).encode()),
    "google csv ;": ("google-csv", lambda: table(PRODUCTS, ";").encode()),
    "rss": ("google-xml", lambda: rss(PRODUCTS).encode()),
    "atom": ("google-xml", lambda: atom(PRODUCTS).encode()),
    "jsonl": ("jsonl", lambda: "".join(json.dumps(p) + "\n" for p in PRODUCTS).encode()),
    "json array": ("jsonl", lambda: json.dumps(PRODUCTS, indent=1, ensure_ascii=False).encode()),
    "csv": ("csv", lambda: table(FEW).encode()),
    "csv |": ("csv", lambda: table(FEW, "|").encode()),
    "parquet": ("parquet", lambda: parquet(PRODUCTS)),
}  # fmt: skip


def write(folder: Path, data: bytes | str, *, zipped: bool = False) -> Path:
    path = folder / "feed.bin"
    raw = data.encode() if isinstance(data, str) else data
    path.write_bytes(gzip.compress(raw, mtime=0) if zipped else raw)
    return path


def read(path: Path, **options: Any) -> list[RawRow]:
    with open_feed(path, **options) as feed:
        return list(feed.rows())


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_comes_through_alike(tmp_path: Path, name: str, zipped: bool) -> None:
    expected, make = FORMATS[name]
    with open_feed(write(tmp_path, make(), zipped=zipped)) as feed:
        rows = list(feed.rows())
        assert feed.format == expected
        assert feed.compression == ("gzip" if zipped else "")
        assert feed.bytes_read == feed.bytes_total == feed.path.stat().st_size
        assert feed.mapping[next(k for k in feed.mapping if k.removeprefix("g:") == "color")] == "attributes.color"
    assert [row.problem for row in rows] == [None] * 3
    for row, product in zip(rows, PRODUCTS, strict=True):
        assert row.attributes["color"] == "blue"
        for field, value in row.values.items():
            assert str(value).replace("\r\n", "\n") == product[field], field
        assert {"id", "title", "price"} <= row.values.keys()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzip"])
def test_encodings_are_told_by_content(tmp_path: Path, encoding: str, zipped: bool) -> None:
    rows = [{"编号": str(n), "商品名称": f"防水登山外套第{n}款", "价格": "199", "颜色": "深蓝"} for n in range(20)]
    path = write(tmp_path, table(rows).encode(encoding), zipped=zipped)
    with open_feed(path) as feed:
        found = list(feed.rows())
        assert feed.encoding == encoding
        assert feed.mapping == {"编号": "id", "商品名称": "title", "价格": "price", "颜色": "attributes.color"}
    assert [row.values["title"] for row in found] == [row["商品名称"] for row in rows]


def test_western_single_bytes_are_not_taken_for_chinese(tmp_path: Path) -> None:
    rows = [{"id": "1", "title": "Möbel für Küche, Größe L", "price": "9 €"}]
    with open_feed(write(tmp_path, table(rows).encode("cp1252"))) as feed:
        assert feed.encoding == "cp1252"
        assert next(feed.rows()).values["title"] == rows[0]["title"]


def test_a_row_in_another_encoding_is_rejected_alone(tmp_path: Path) -> None:
    # The strange byte lies beyond the part of the feed that decides the encoding.
    body = "id,title\n" + "".join(f"{n},{'é' * 40}\n" for n in range(14_000))
    path = write(tmp_path, body.encode() + b"x,caf\xe9\n" + b"y,tea\n")
    rows = read(path)
    assert [row.problem[0] for row in rows if row.problem] == ["malformed_row"]
    assert rows[-2].problem is not None
    assert "0xE9" in rows[-2].problem[1]
    assert rows[-1].values["title"] == "tea"


def test_lines_are_physical_lines(tmp_path: Path) -> None:
    text = 'id,title,description\n1,a,"x\ny\r\nz"\n\n2,b,short\n3,"c\n",end\n4,d,\n'
    rows = read(write(tmp_path, text))
    assert [(row.line, row.values["id"]) for row in rows] == [(2, "1"), (6, "2"), (7, "3"), (9, "4")]


cells = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from('",\n\t;'), max_size=12)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(cells, min_size=2, max_size=2), min_size=1, max_size=8), st.sampled_from([",", "\t"]))
def test_records_are_those_the_csv_module_wrote(tmp_path: Path, rows: list[list[str]], delimiter: str) -> None:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([["id", "title"], *rows])
    found = list(read_records(Source.open(write(tmp_path, out.getvalue())), delimiter))
    assert [list(record.cells) for record in found[1:]] == rows
    line = 2
    for record, row in zip(found[1:], rows, strict=True):
        assert record.line == line
        line += 1 + sum(cell.count("\n") for cell in row)


@pytest.mark.parametrize("name", ["google tsv", "rss", "jsonl", "json array", "parquet", "csv"])
def test_a_three_megabyte_cell_rejects_its_row_only(tmp_path: Path, name: str) -> None:
    huge = [dict(p) for p in PRODUCTS]
    huge[1]["color"] = "x" * 3_000_000
    columns = ("id", "title", "price", "color")
    data: bytes | str = {
        "google tsv": lambda: table(huge, "\t"),
        "csv": lambda: table([{k: p[k] for k in columns} for p in huge]),
        "rss": lambda: rss(huge),
        "jsonl": lambda: "".join(json.dumps(p) + "\n" for p in huge),
        "json array": lambda: json.dumps(huge),
        "parquet": lambda: parquet(huge),
    }[name]()
    rows = read(write(tmp_path, data, zipped=True))
    assert [row.problem and row.problem[0] for row in rows] == [None, "cell_too_long", None]
    assert rows[1].values["id"] == "P2"
    assert rows[1].problem is not None
    assert "3,000,000" in rows[1].problem[1]


@pytest.mark.parametrize("quoted", [False, True])
def test_a_record_over_the_limit_is_skipped_with_bounded_memory(tmp_path: Path, quoted: bool) -> None:
    path = tmp_path / "feed"
    with path.open("wb") as file:
        file.write(b"id,title\n1,a\n2," + (b'"' if quoted else b""))
        for _ in range(60):
            file.write(b"x" * 999_999 + (b"\n" if quoted else b"x"))
        file.write((b'"' if quoted else b"") + b"\n3,c\n")
    tracemalloc.start()
    try:
        found = list(read_records(Source.open(path), ",", limit=4_000_000))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [(r.line, r.problem and r.problem[0]) for r in found] == [
        (1, None), (2, None), (3, "cell_too_long"), (64 if quoted else 4, None)
    ]  # fmt: skip
    assert found[-1].cells == ["3", "c"]
    assert peak < 40_000_000


def test_memory_does_not_grow_with_the_feed(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        lines = "".join(json.dumps({"id": n, "title": "t" * 500}) + "\n" for n in range(count))
        path = write(tmp_path, lines, zipped=True)
        tracemalloc.start()
        try:
            with open_feed(path) as feed:
                assert sum(1 for _ in feed.rows()) == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(16_000) < 1.5 * peak(4_000)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("name", ["google tsv", "rss", "jsonl", "json array", "parquet"])
def test_a_truncated_gzip_says_how_far_it_got(tmp_path: Path, name: str, share: float) -> None:
    path = write(tmp_path, FORMATS[name][1](), zipped=True)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(FeedError) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert str(caught.value).endswith("Nothing was published.")


def test_a_truncated_gzip_names_the_rows_read(tmp_path: Path) -> None:
    path = write(
        tmp_path, "".join(json.dumps({"id": n, "title": f"t{n * n}"}) + "\n" for n in range(5000)), zipped=True
    )
    path.write_bytes(path.read_bytes()[:-400])
    rows: list[RawRow] = []
    with open_feed(path) as feed, pytest.raises(FeedError) as caught:
        rows.extend(feed.rows())
    assert "Nothing was published." in str(caught.value)
    assert f"after {len(rows):,} rows" in str(caught.value)
    assert 0 < len(rows) < 5000


def test_a_flipped_bit_in_a_gzip_is_noticed(tmp_path: Path) -> None:
    path = write(tmp_path, table(PRODUCTS * 50), zipped=True)
    data = bytearray(path.read_bytes())
    data[-6] ^= 0x10  # The stored checksum's.
    path.write_bytes(bytes(data))
    with pytest.raises(FeedError, match="breaks off after 150 rows"):
        read(path)


@pytest.mark.parametrize(
    ("text", "rows", "words"),
    [
        ('id,title\n1,a\n2,"never closed\n3,b\n', 1, "inside the quotes opened on line 3"),
        ("id,title,price\n1,a,5\n2,b", 1, "in the middle of line 3"),
        ('{"id": 1, "title": "a"}\n{"id": 2, "ti', 1, "in the middle of line 2"),
        ('[{"id": 1, "title": "a"}, {"id": 2', 1, "makes no sense"),
        ('[{"id": 1, "title": "a"},', 1, "not closed"),
        ("<rss><channel><item><id>1</id><title>a</title></item><item>", 1, "The XML makes no sense"),
        ("<rss><channel><item><title>R&D</title></item></channel></rss>", 0, "&amp;"),
        ("<rss><channel></channel></rss>", 0, "no <item>"),
    ],
)
def test_a_feed_that_breaks_off_says_where(tmp_path: Path, text: str, rows: int, words: str) -> None:
    with pytest.raises(FeedError) as caught:
        read(write(tmp_path, text))
    message = str(caught.value)
    assert f"breaks off after {rows} rows" in message
    assert words in message
    assert message.endswith("Nothing was published.")


@pytest.mark.parametrize(
    "head",
    [
        '<!DOCTYPE rss [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>',
        '<!DOCTYPE rss SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
    ],
)
def test_document_types_are_refused(tmp_path: Path, head: str) -> None:
    text = f'<?xml version="1.0"?>{head}<rss><channel><item><id>1</id><title>&x;</title></item></channel></rss>'
    with pytest.raises(FeedError, match="document type"):
        read(write(tmp_path, text))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"\n\n  \n", "holds nothing"),
        (b"PK\x03\x04rest", "ZIP archive"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (bytes(range(256)) * 20, "binary"),
        (b"just one line of prose\nand another\n", "not a product feed"),
        (b"title,price\nshoe,5\n", "no column for the id"),
        (b"id,price\n1,5\n", "no column for the title"),
        (b"PAR1\x00\x00broken", "cannot be read as Parquet"),
        (gzip.compress(b"", mtime=0), "holds nothing"),
    ],
)
def test_what_is_no_feed_is_refused_at_the_door(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(FeedError, match=words):
        open_feed(write(tmp_path, data))


def test_missing_files_folders_and_unknown_formats(tmp_path: Path) -> None:
    with pytest.raises(FeedError, match="There is no feed at"):
        open_feed(tmp_path / "nothing")
    with pytest.raises(FeedError, match="is a folder"):
        open_feed(tmp_path)
    with pytest.raises(FeedError, match=r"'yaml'.*google-tsv"):
        open_feed(write(tmp_path, table(PRODUCTS)), format="yaml")


def test_a_named_format_is_used(tmp_path: Path) -> None:
    with open_feed(write(tmp_path, table(PRODUCTS, "\t")), format="csv") as feed:
        assert feed.format == "csv"
        assert len(list(feed.rows())) == 3


def test_wrong_column_counts_and_bad_json_are_problems_of_their_row(tmp_path: Path) -> None:
    rows = read(write(tmp_path, "id,title,price\n1,a,5\n2,b\n3,c,7,8\n4,d,9,\n"))
    assert [row.problem and row.problem[0] for row in rows] == [None, "malformed_row", "malformed_row", None]
    assert [row.line for row in rows] == [2, 3, 4, 5]
    deep = "[" * 100_000 + "]" * 100_000
    rows = read(write(tmp_path, '{"id": 1, "title": "a"}\n{"id": 2,\n[1]\n' + deep + '\n\n{"id": 3, "title": "c"}\n'))
    assert [(row.line, row.problem and row.problem[0]) for row in rows] == [
        (1, None), (2, "malformed_row"), (3, "malformed_row"), (4, "malformed_row"), (6, None)
    ]  # fmt: skip


def test_google_names_details_and_categories(tmp_path: Path) -> None:
    text = (
        "ID\tTitle\timage link\tg:Google Product Category\tproduct_type\tproduct detail\tadditional_image_link\t"
        "additional_image_link\tShop Rank\n"
        "1\ta\thttps://x/1\t187\tHome > Shoes\tFit:Heel height:3 cm,Fit:Wide:yes\thttps://x/2\thttps://x/3\t7\n"
        "2\tb\thttps://x/1\t187\t\t\t\t\t\n"
    )
    with open_feed(write(tmp_path, text)) as feed:
        first, second = feed.rows()
        assert feed.format == "google-tsv"
        assert feed.mapping["product_type"] == "category"
    assert first.values["category"] == "Home > Shoes"
    assert first.attributes == {
        "google_product_category": "187",
        "heel_height": "3 cm",
        "wide": "yes",
        "additional_image_link": ["https://x/2", "https://x/3"],
        "shop_rank": "7",
    }
    assert second.values["category"] == "187"


def test_xml_keeps_nested_values_lines_and_google_names(tmp_path: Path) -> None:
    text = rss(PRODUCTS[:1]).replace(
        "</item>",
        "<title>outer</title><g:shipping><g:country>DE</g:country><g:price>5 EUR</g:price></g:shipping>"
        "<g:product_detail><g:section_name>A</g:section_name><g:attribute_name>Heel height</g:attribute_name>"
        "<g:attribute_value>3 cm</g:attribute_value></g:product_detail></item>",
    )
    (row,) = read(write(tmp_path, text))
    assert row.values["title"] == "Rain jacket"
    assert row.line == 4
    assert row.attributes["source_title"] == "outer"
    assert row.attributes["shipping"] == "DE:5 EUR"
    assert row.attributes["heel_height"] == "3 cm"


def test_xml_in_a_declared_encoding(tmp_path: Path) -> None:
    text = rss(PRODUCTS[1:2]).replace('version="1.0"?', 'version="1.0" encoding="GB18030"?').replace("Müller", "安踏")
    (row,) = read(write(tmp_path, text.replace("“", "").replace("”", "").encode("gb18030")))
    assert row.values["title"] == "防水外套"


SHOPIFY_OLD = """Handle,Title,Body (HTML),Vendor,Product Category,Type,Tags,Option1 Name,Option1 Value,Option2 Name,Option2 Value,Variant SKU,Variant Grams,Variant Inventory Tracker,Variant Inventory Qty,Variant Inventory Policy,Variant Price,Variant Compare At Price,Variant Barcode,Image Src,Variant Image,Status
tee,Tee,"<p>Soft
cotton</p>",Acme,Apparel > Shirts,Tops,"summer, basic",Color,Red,Size,S,T-RS,200,shopify,5,deny,19.00,25.00,4006381333931,https://x/1.jpg,,active
tee,,,,,,,,Blue,,M,,0,shopify,0,continue,19.00,,,https://x/2.jpg,https://x/b.jpg,
tee,,,,,,,,,,,,,,,,,,,https://x/3.jpg,,
mug,Mug,,Acme,,Kitchen,,Title,Default Title,,,,300,,,deny,9.50,8.00,,https://x/m.jpg,,active
"""
SHOPIFY_NEW = (
    SHOPIFY_OLD.replace("Handle,", "URL handle,")
    .replace("Body (HTML)", "Description")
    .replace("Option1 Name,Option1 Value", "Option1 name,Option1 value")
    .replace("Option2 Name,Option2 Value", "Option2 name,Option2 value")
    .replace("Variant SKU", "SKU")
    .replace("Variant Grams", "Weight value (grams)")
    .replace("Variant Inventory Tracker,Variant Inventory Qty,Variant Inventory Policy",
             "Inventory tracker,Inventory quantity,Continue selling when out of stock")
    .replace("Variant Price,Variant Compare At Price,Variant Barcode", "Price,Compare-at price,Barcode")
    .replace("Image Src,Variant Image", "Product image URL,Variant image URL")
)  # fmt: skip


@pytest.mark.parametrize("text", [SHOPIFY_OLD, SHOPIFY_NEW], ids=["old headers", "new headers"])
def test_shopify_rows_become_variants(tmp_path: Path, text: str) -> None:
    with open_feed(write(tmp_path, text)) as feed:
        red, blue, mug = feed.rows()
        assert feed.format == "shopify-csv"
        assert feed.mapping["Vendor"] == "brand"
    assert (red.line, blue.line, mug.line) == (2, 4, 6)
    assert red.values == {
        "id": "T-RS", "title": "Tee", "description": "<p>Soft\ncotton</p>", "brand": "Acme",
        "category": "Apparel > Shirts", "price": "25.00", "sale_price": "19.00", "availability": "5",
        "gtin": "4006381333931", "image_link": "https://x/1.jpg", "item_group_id": "tee",
    }  # fmt: skip
    assert red.attributes == {
        "type": "Tops", "status": "active", "inventory_tracker": "shopify",
        "continue_selling_when_out_of_stock": "deny", "color": "Red", "size": "S", "tags": ["summer", "basic"],
        "weight": "200 g",
    }  # fmt: skip
    assert blue.values["id"] == "tee-blue-m"
    assert (blue.values["title"], blue.values["brand"]) == ("Tee", "Acme")
    assert (blue.values["price"], "sale_price" in blue.values) == ("19.00", False)
    assert (blue.attributes["color"], blue.attributes["size"]) == ("Blue", "M")
    assert blue.values["image_link"] == "https://x/b.jpg"
    assert blue.values["availability"] == "backorder"
    assert blue.values["item_group_id"] == red.values["item_group_id"]
    assert mug.values["id"] == "mug"
    assert mug.values["availability"] == "in stock"
    assert (mug.values["price"], mug.attributes["compare_at_price"]) == ("9.50", "8.00")
    assert "title" not in mug.attributes


def test_woocommerce(tmp_path: Path) -> None:
    text = (
        "ID,Type,SKU,Name,Published,Short description,Description,In stock?,Stock,Weight (kg),Sale price,Regular price,"
        "Categories,Images,Parent,Attribute 1 name,Attribute 1 value(s)\n"
        '10,variable,HOOD,Hoodie,1,Soft,,1,,0.5,,,"Clothing, Clothing > Hoodies","https://x/1.jpg, https://x/2.jpg",,'
        'Color,"Blue, Green"\n'
        "11,variation,,Hoodie - Blue,1,,Long,0,3,,35,45,,,HOOD,Color,Blue\n"
        "12,variation,H-G,Hoodie - Green,1,,,backorder,,,,45,,,id:10,Color,Green\n"
    )
    with open_feed(write(tmp_path, text)) as feed:
        parent, blue, green = feed.rows()
        assert feed.format == "woocommerce-csv"
    assert parent.values["id"] == parent.values["item_group_id"] == blue.values["item_group_id"] == "HOOD"
    assert parent.values["category"] == "Clothing > Hoodies"
    assert parent.values["image_link"] == "https://x/1.jpg"
    assert parent.attributes["color"] == ["Blue", "Green"]
    assert parent.attributes["weight"] == "0.5 kg"
    assert parent.values["description"] == "Soft"
    assert blue.values | {"availability": "0", "price": "45", "sale_price": "35", "id": "11"} == blue.values
    assert green.values["availability"] == "backorder"
    assert green.values["item_group_id"] == "10"
    assert green.attributes["source_id"] == "12"


def test_plain_names_in_two_languages_and_nothing_dropped(tmp_path: Path) -> None:
    rows = [{"SKU": "a1", "名称": "杯子", "manufacturer": "Acme", "型号": "X-1", "条码": "4006381333931", "库存": "3",
             "材质": "陶瓷", "重量(克)": "350", "Weird Column!": "kept", "price": "9"}]  # fmt: skip
    (row,) = read(write(tmp_path, table(rows)))
    assert row.values == {"id": "a1", "title": "杯子", "brand": "Acme", "mpn": "X-1", "gtin": "4006381333931",
                          "availability": "3", "price": "9"}  # fmt: skip
    assert row.attributes == {"material": "陶瓷", "weight": "350 克", "weird_column": "kept"}


def test_nested_json_becomes_columns(tmp_path: Path) -> None:
    document = {
        "id": 7,
        "name": "Lamp",
        "brand": {"name": "Acme"},
        "price": {"value": 9.5, "currency": "EUR"},
        "attributes": {"Colour": "red", "battery": {"life": "3 h"}},
        "specs": [{"name": "Power", "value": "5 W"}],
        "salePrice": "8 EUR",
        "nothing": None,
    }
    (row,) = read(write(tmp_path, json.dumps(document) + "\n"))
    assert row.values == {"id": 7, "title": "Lamp", "brand": "Acme", "price": "9.5 EUR", "sale_price": "8 EUR"}
    assert row.attributes == {"color": "red", "battery_life": "3 h", "power": "5 W"}


def test_icecat_like_lines(tmp_path: Path) -> None:
    document = {
        "id": "1", "name": "X-9", "title": "Acme X-9 printer", "ean": ["4006381333931"], "supplier": "Acme",
        "short_description": "Prints", "price": 4995, "img_high": "https://x/h.jpg", "attr_t_product_colour": "Black",
        "attr_b_colour": True, "attr_n_weight": 33.0, "attr_t_contrast_ratio__typical_": "200:1",
    }  # fmt: skip
    with open_feed(write(tmp_path, json.dumps(document) + "\n")) as feed:
        (row,) = feed.rows()
        assert feed.format == "icecat-jsonl"
        assert feed.mapping["attr_t_product_colour"] == "attributes.color"
    assert row.minor_units
    assert row.values["mpn"] == "X-9"
    assert row.values["price"] == 4995
    assert row.attributes == {"color": "Black", "has_colour": True, "weight": 33.0, "contrast_ratio_typical": "200:1"}


@pytest.mark.icecat
@pytest.mark.skipif(not ICECAT.exists(), reason=f"The Icecat development data is not at {ICECAT}.")
def test_the_icecat_file_comes_through_whole() -> None:
    from indexer.clean import Cleaned, clean_row

    with open_feed(ICECAT) as feed:
        assert (feed.format, feed.compression) == ("icecat-jsonl", "gzip")
        ids: set[str] = set()
        for row in feed.rows():
            cleaned = clean_row(row, default_currency="USD", max_price=1e7, max_cell_chars=262_144)
            assert isinstance(cleaned, Cleaned), cleaned
            assert cleaned.product.mpn
            assert cleaned.product.brand
            assert cleaned.product.price is None or cleaned.product.price.amount == row.values["price"]
            ids.add(cleaned.product.id)
    assert len(ids) == 19_406
