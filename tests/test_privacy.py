"""Personal data in what people type is found, product numbers are let be, and what was masked stays masked."""

from __future__ import annotations

import ipaddress
import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from api.cli import app as command_line
from engine.errors import EvaluationError
from engine.privacy import KINDS, find_personal, mask
from engine.privacy.numbered import is_gtin, luhn, resident_check
from evals.privacy.masking import OTHER_SET, OWN_SET, read_labelled, score_masking, wilson

DIGIT = st.sampled_from("0123456789")


def digits(count: int) -> st.SearchStrategy[str]:
    return st.lists(DIGIT, min_size=count, max_size=count).map("".join)


@pytest.fixture(scope="module", params=[OWN_SET, OTHER_SET], ids=["own", "other"])
def scores(request):
    return score_masking(read_labelled(request.param))


@pytest.mark.parametrize("kind", ["email", "phone", "card", "resident_id", "ip"])
def test_of_the_labelled_set_at_most_one_in_a_hundred_is_missed(scores, kind: str) -> None:
    assert scores.marked[kind] >= 40
    assert scores.recall(kind) >= 0.99


def test_order_numbers_and_addresses_are_found_as_far_as_rules_go(scores) -> None:
    assert scores.recall("order") >= 0.95
    assert scores.recall("address") >= 0.9


def test_products_are_let_be(scores) -> None:
    assert scores.decoys > 200
    own = scores.decoys > 400
    assert scores.touched / scores.decoys <= (0.01 if own else 0.02)
    assert all(scores.precision(kind) >= (0.98 if own else 0.94) for kind in KINDS)


@given(st.text(max_size=80))
def test_masking_again_changes_nothing_and_spans_are_in_order(text: str) -> None:
    spans = find_personal(text)
    assert all(a.end <= b.start for a, b in itertools.pairwise(spans))
    assert all(0 <= s.start < s.end <= len(text) and s.kind in KINDS for s in spans)
    once = mask(text)
    assert mask(once.text).text == once.text
    assert sum(once.kinds.values()) == len(spans)


@given(digits(14), st.sampled_from(["", " ", "-"]), st.sampled_from(["pay by {}", "卡号{}", "{}", "visa {}, please"]))
def test_every_card_with_a_right_check_digit_is_found(middle: str, between: str, sentence: str) -> None:
    body = "4" + middle
    card = next(body + d for d in "0123456789" if luhn(body + d))
    written = between.join(card[n : n + 4] for n in range(0, 16, 4))
    assert mask(sentence.format(written)).text == sentence.format("[card]")
    wrong = card[:-1] + str((int(card[-1]) + 1) % 10)
    assert "[card]" not in mask(f"item {wrong}").text


@given(st.integers(1940, 2010), st.integers(1, 12), st.integers(1, 28), digits(3), st.booleans())
def test_every_resident_id_is_found_and_one_with_a_slip_is_not(year: int, month: int, day: int, serial: str, lower: bool) -> None:
    first = f"110105{year}{month:02d}{day:02d}{serial}"
    number = first + resident_check(first)
    given_number = number.lower() if lower else number
    assert mask(f"身份证{given_number}谢谢").text == "身份证[resident_id]谢谢"
    wrong = first + next(c for c in "0123456789X" if c != resident_check(first))
    assert "[resident_id]" not in mask(wrong).text


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**128 - 1))
def test_every_address_of_a_machine_is_found(four: int, six: int) -> None:
    v4, v6 = ipaddress.IPv4Address(four), ipaddress.IPv6Address(six)
    assert mask(f"my ip is {v4}, help").text == "my ip is [ip], help"
    assert mask(f"地址{v4}打不开").text == "地址[ip]打不开"
    if six >> 32:
        assert mask(f"from {v6} please").text == "from [ip] please"
    assert mask(f"firmware {v4}").text == f"firmware {v4}"


@given(st.sampled_from([7, 11, 12, 13]).flatmap(digits), st.sampled_from(["{}", "ean {}", "条码{}", "buy {} now"]))
def test_no_article_number_is_anybodys(body: str, sentence: str) -> None:
    code = next(body + d for d in "0123456789" if is_gtin(body + d))
    text = sentence.format(code)
    found = [s.kind for s in find_personal(text)]
    # twelve digits with China's code or a German mobile's beginning can be both, and a phone number too many is masked rather
    assert found == [] or code.lstrip("0").startswith("861") or code.startswith(("015", "016", "017"))


@given(st.from_regex(r"[a-z0-9]{1,8}([._+-][a-z0-9]{1,6})?@[a-z0-9]{1,8}(\.[a-z]{2,5}){1,2}", fullmatch=True))
def test_every_mail_address_is_found_beside_any_script(address: str) -> None:
    for sentence in ("write to {}", "邮箱{}谢谢", "({})", "{}"):
        assert mask(sentence.format(address)).text == sentence.format("[email]")


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("１３８１２３４５６７８", "[phone]"), ("ａｎｎａ＠ｅｘａｍｐｌｅ．ｃｏｍ", "[email]"), ("call 138\u00a01234\u00a05678", "call [phone]"),
        ("tent", "tent"), ("", ""), ("2 @ 5.99", "2 @ 5.99"), ("红米 K70 12GB", "红米 K70 12GB"),
    ],
)  # fmt: skip
def test_written_otherwise(text: str, masked: str) -> None:
    assert mask(text).text == masked


def test_labelled_lines_are_read_and_mistakes_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("# no\n\ncall [[phone:123]] or [[email:a@b]]!\nplain\n", "utf-8")
    first, second = read_labelled(tmp_path / "a.txt")
    assert first.text == "call 123 or a@b!"
    assert [(s.kind, first.text[s.start : s.end]) for s in first.marked] == [("phone", "123"), ("email", "a@b")]
    assert second.marked == ()
    (tmp_path / "b.txt").write_text("[[name:Ann]]\n", "utf-8")
    for path, said in ((tmp_path / "b.txt", "names name"), (tmp_path / "none", "cannot be read")):
        with pytest.raises(EvaluationError, match=said):
            read_labelled(path)
    found = score_masking(read_labelled(tmp_path / "a.txt"), lambda text: ())
    assert (found.recall("phone"), found.decoys, found.touched, len(found.missed)) == (0, 1, 0, 2)


def test_the_interval_is_wilsons() -> None:
    found = wilson(9, 10)
    assert found is not None
    assert (round(found["low"], 4), round(found["high"], 4)) == (0.5958, 0.9821)  # as in Newcombe, Statistics in Medicine 1998
    assert wilson(0, 0) is None


def test_the_suite_runs_without_a_shop() -> None:
    done = CliRunner().invoke(command_line, ["suite", "privacy"])
    assert done.exit_code == 0
    assert "resident_id" in done.stdout


PIECES = (
    "A", "a ", "Aa ", "1 ", "1-", "12, ", "Am ", "de ", "Flat 1, ", "No. ", "1, A ", "The Old House, ", "calle ", "12 rue de ", "Straße 1", "order ",
    "W1", "QB ", "ups 1", "订单", "号1", "路1号", "12 Aa Aa ", "B-1, A ", "x@", "1.", "::1:", "1/1 A ", "100 A, ", "Dublin 1 ", "(", "1a ",
    "中1路", "附1号", "楼1", "A1-", "0 12345 ",
)  # fmt: skip


@pytest.mark.parametrize("piece", PIECES)
def test_text_that_repeats_itself_is_read_to_its_end(piece: str) -> None:
    text = (piece * 2000)[:2000]
    for length in (100, 2000):  # an expression that tries every division would never come to an end
        assert all(0 <= span.start < span.end <= length for span in find_personal(text[:length]))


@pytest.mark.parametrize(
    ("written", "masked"),
    [
        ("john@example。com 谢谢", "[email] 谢谢"), ("john%40example.com ok", "[email] ok"), ("jo\u200bhn@exam\u200bple.com x", "[email] x"),
        ("jo\u00adhn@ex\u00adample.com", "[email]"), ("tel 138\u200b0013\u200b8000 ok", "tel [phone] ok"), ("1 3 8 0 0 1 3 8 0 0 0", "[phone]"),
        ('"john doe"@example.com hi', "[email] hi"), ("香港九龍旺角豉油街83號金輝大廈12樓B室", "[address]"), ("00 1 " * 100, "[phone] "),
    ],
)  # fmt: skip
def test_what_is_written_so_that_it_may_be_missed_is_found(written: str, masked: str) -> None:
    assert mask(written).text == masked
