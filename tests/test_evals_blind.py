"""A blind comparison: whose text is whose is in the key alone, and what readers prefer is counted as it was meant."""

import csv
import json

import pytest
from scipy.stats import binomtest

from engine.errors import EvaluationError
from engine.explain import Draft
from engine.explain.template import TemplateGenerator
from evals import blind
from evals.explaining import Case
from explain_products import CHINESE, ENGLISH, NEED_EN, NEED_ZH

CASES = [Case(NEED_EN, tuple(ENGLISH[i : i + 2])) for i in range(4)] + [Case(NEED_ZH, tuple(CHINESE[:2]))]


class Prices:
    name = "prices"

    def generate(self, need, evidence):
        for item in evidence:
            yield Draft(item.product.id, "售价{price}。" if need.language == "zh" else "It costs {price}.")


@pytest.fixture
def folder(tmp_path):
    assert blind.write_sheet(CASES, (Prices(), TemplateGenerator()), tmp_path / "sheet", seed=3) == len(CASES)
    return tmp_path / "sheet"


def rows_of(folder) -> list[dict[str, str]]:
    with (folder / blind.SHEET).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def fill_in(folder, vote) -> None:
    rows = rows_of(folder)
    key = json.loads((folder / blind.KEY).read_text("utf-8"))["pairs"]
    for row in rows:
        for aspect in blind.ASPECTS:
            row[aspect] = vote(aspect, key[row["pair"]])
    with (folder / blind.SHEET).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0], delimiter="\t")
        writer.writeheader()
        writer.writerows(rows)


def test_the_sheet_names_nobody_and_the_order_is_drawn(folder):
    text = (folder / blind.SHEET).read_text("utf-8")
    assert "prices" not in text
    assert "template" not in text
    key = json.loads((folder / blind.KEY).read_text("utf-8"))["pairs"]
    assert {tuple(names) for names in key.values()} == {("prices", "template"), ("template", "prices")}
    for row in rows_of(folder):
        of_prices = row["AB"[key[row["pair"]].index("prices")]]
        assert "It costs $" in of_prices or "售价" in of_prices
        assert not any(row[aspect] for aspect in blind.ASPECTS)


def test_votes_are_counted_for_who_wrote_the_text(folder):
    liked = {"fluent": "prices", "useful": "template"}
    fill_in(folder, lambda aspect, names: "AB"[names.index(liked[aspect])] if aspect in liked else "=")
    report = blind.tally(folder)
    assert report.writers == ("prices", "template")
    by = {(r["language"], r["aspect"]): r for r in report.rows}
    assert (by["en", "fluent"]["first"], by["en", "fluent"]["second"], by["en", "fluent"]["share"]) == (4, 0, 1.0)
    assert by["en", "useful"]["share"] == 0.0
    assert by["zh", "varied"]["share"] == 0.5
    assert by["en", "fluent"]["p"] == pytest.approx(binomtest(4, 4).pvalue)
    assert report.unrated == 0


@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (1, 0), (7, 2), (20, 20), (3, 40), (300, 260)])
def test_the_sign_test_is_the_one_of_scipy(wins, losses):
    wanted = binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
    assert blind._sign_test(wins, losses) == pytest.approx(wanted)


def test_what_is_not_rated_is_said_and_nothing_rated_is_refused(folder):
    with pytest.raises(EvaluationError, match="Nothing in"):
        blind.tally(folder)
    fill_in(folder, lambda aspect, names: "A" if aspect == "fluent" else "")
    assert blind.tally(folder).unrated == 2 * len(CASES)


def test_a_sheet_is_not_written_over_and_a_foreign_one_not_counted(folder, tmp_path):
    with pytest.raises(EvaluationError, match="is there already"):
        blind.write_sheet(CASES, (Prices(), TemplateGenerator()), folder)
    with pytest.raises(EvaluationError, match="no sheet"):
        blind.tally(tmp_path)
    (folder / blind.KEY).write_text('{"writers": ["a", "b"], "pairs": {}}')
    with pytest.raises(EvaluationError, match="does not know"):
        blind.tally(folder)
