"""Phrases are found whatever the script and the cut; Chinese is put into English word by word."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import LexiconError
from engine.language import words
from engine.lexicon import Lexicon, Phrases, is_accessory, other_forms, read_terms

OWN = Lexicon.own()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("rechargeable batteries", ["rechargeable batteries"]),
        ("无线蓝牙耳机", ["无线", "蓝牙", "耳机"]),
        ("無線耳機", ["无线", "耳机"]),
        ("cd播放机", ["cd播放机"]),
        ("non slip mat", ["non slip"]),
        ("non-slip mat", ["non-slip"]),
        ("黑板", []),
        ("xyzzy", []),
    ],
)
def test_the_longest_phrase_is_found_in_both_scripts(text: str, found: list[str]) -> None:
    assert [p.text for p in OWN.find(text, words(text))] == found


@given(st.text(alphabet=st.sampled_from("无线蓝牙耳机 red bag手机壳7号电池的ＡＢ"), max_size=20))
def test_phrases_do_not_overlap_and_their_spans_say_them(text: str) -> None:
    found = words(text)
    end = 0
    for phrase in OWN.find(text, found):
        assert end <= phrase.start < phrase.end <= len(text)
        assert 0 <= phrase.first < phrase.last <= len(found)
        end = phrase.end


@pytest.mark.parametrize(
    ("text", "english", "share"),
    [
        ("降噪蓝牙耳机", "noise cancelling bluetooth headphones", 1.0),
        ("星屿 S7 手机壳", "S7 phone case", 0.6),
        ("dotted notebook", "dotted notebook", 1.0),
        ("想买一个充电宝", "power bank", 1.0),
    ],
)
def test_chinese_is_put_into_english(text: str, english: str, share: float) -> None:
    said, known = OWN.english(text)
    assert said == english
    assert known == pytest.approx(share, abs=0.05)


def test_other_forms_go_both_ways() -> None:
    (phrase,) = OWN.find("充电宝", words("充电宝"))
    assert "power bank" in other_forms(phrase, han=True)
    (phrase,) = OWN.find("power bank", words("power bank"))
    assert "充电宝" in other_forms(phrase, han=False)


def test_a_saved_lexicon_opens_as_it_was(tmp_path: Path) -> None:
    OWN.save(tmp_path)
    assert list(Lexicon.open(tmp_path).entries) == list(OWN.entries)


def test_taxonomies_with_both_chinese_scripts_are_read(tmp_path: Path) -> None:
    path = tmp_path / "terms.tsv.gz"
    with gzip.open(path, "wt", encoding="utf-8") as out:
        out.write("kind\tid\tcontext\ten\tzh_cn\tzh_tw\ncategories\t1\tA\tUkuleles\t尤克里里\t烏克麗麗\nvalues\t2\tB\tSolid\t\t\n")
    (entry,) = read_terms(path)
    assert (entry.kind, entry.en, entry.zh) == ("thing", ("Ukuleles",), ("尤克里里", "烏克麗麗"))
    assert Lexicon([entry]).english("烏克麗麗")[0] == "Ukuleles"


def test_a_table_without_the_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_text("a\tb\n1\t2\n")
    with pytest.raises(LexiconError, match="columns en and zh"):
        read_terms(tmp_path / "x.tsv")
    with pytest.raises(LexiconError, match="cannot be read"):
        read_terms(tmp_path / "missing.tsv")
    packed = gzip.compress("kind\ten\tzh\ncolor\tred\t红\n".encode(), mtime=0)
    for name, content in (("cut.gz", packed[:-12]), ("damaged.gz", packed[:14] + b"\xff\xff" + packed[16:])):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(LexiconError, match="cannot be read"):
            read_terms(tmp_path / name)


def test_what_was_added_under_one_phrase_comes_back_in_order() -> None:
    phrases: Phrases[int] = Phrases()
    for n, phrase in enumerate(["red bag", "red bags", "包"]):
        phrases.add(phrase, n)
    assert list(phrases.get("Red Bags")) == [0, 1]
    assert list(phrases.get("包")) == [2]
    assert list(phrases.get("nothing")) == []


@pytest.mark.parametrize(
    ("category", "title", "accessory"),
    [
        (("Phones", "Phone Cases"), "Clear Shockproof", True),
        ((), "Targus TCG300 notebook case 39.6 cm", True),
        ((), "HP LaserJet 1200n Printer", False),
        ((), "Acme laptop 15 inch with charger", False),
        (("Printers & Toner",), "Inkwell TR-450X Laser Printer", False),
        (("Printers & Toner",), "Inkwell Black Toner for TR-450X", True),
        ((), "Viewmate computer holder - desk 323", True),
        ((), "星屿S7手机壳 透明", True),
        ((), "Thing", False),
        ((), "WindFall Tablet Stand tablet security enclosure 25.9 cm", True),
        ((), "Acme 600 notebook spare part Battery", True),
        (("打印机与耗材",), "墨舟 硒鼓粉盒 黑色 适用KX2200打印机", True),
        ((), "适用于佳能打印机的墨盒", True),
        ((), "墨舟 黑白激光打印机 兼容多系统", False),
        ((), "Acme laptop with charger and laptop bag", False),
    ],
)
def test_accessories_are_told_from_devices(category: tuple[str, ...], title: str, accessory: bool) -> None:
    assert is_accessory(category, title, OWN) == accessory
