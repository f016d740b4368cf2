"""Explanations measured: lies are lies, a check that lets them through is seen, and honest generators are told apart."""

import json
import random

import pytest
from rich.console import Console

from engine.errors import EvaluationError
from engine.explain import Draft, Need
from engine.explain.template import TemplateGenerator
from engine.explain.writer import WriterGenerator
from evals.corruption import KINDS, lies, record_text
from evals.explaining import Case, cases, render, score_explaining
from explain_products import BUDS, CHINESE, ENGLISH, JACKET, NEED_EN, NEED_ZH, PARKA, TRUE_EN, TRUE_ZH

CASES = [Case(NEED_EN, tuple(ENGLISH)), Case(NEED_ZH, tuple(CHINESE))]


@pytest.mark.parametrize(("language", "true", "other"), [("en", TRUE_EN, PARKA), ("zh", TRUE_ZH, BUDS)])
def test_a_lie_says_something_the_record_does_not(language, true, other):
    kinds = set()
    chance = random.Random(0)
    for product, text in true:
        if product.id == other.id:
            continue
        for lie in lies(text, language, product, other, "It weighs 900 g." if language == "en" else "重4.5克。", chance):
            kinds.add(lie.kind)
            assert lie.text != text
            assert lie.product_id == product.id
            if lie.kind == "brands":
                assert other.brand in lie.text
                assert other.brand.lower() not in record_text(product)
    assert len(kinds) >= 6


def test_a_number_is_only_changed_into_one_the_record_does_not_have():
    chance = random.Random(1)
    for _ in range(200):
        for lie in lies("It weighs 420 g and costs $69.99.", "en", JACKET, PARKA, "", chance):
            if lie.kind in ("numbers", "units", "prices"):
                changed = set(lie.text.replace(",", "").split()) - set("It weighs 420 g and costs $69.99.".split())
                assert not any(word.strip(".").lower() in record_text(JACKET).split() for word in changed if word[0].isdigit())


def test_no_lie_reaches_the_shopper_and_every_true_sentence_does():
    report = score_explaining(CASES, [TemplateGenerator(), WriterGenerator()], 120, 300)
    assert sum(report.told.values()) > 500
    assert set(report.told) == set(KINDS)
    assert sum(report.shown.values()) == 0, report.examples
    assert {(r.generator, r.language) for r in report.generators} == {
        ("template", "en"), ("template", "zh"), ("writer", "en"), ("writer", "zh")
    }  # fmt: skip
    for result in report.generators:
        rates = result.rates()
        assert rates["true_kept"] == 1.0
        assert rates["citation_precision"] == 1.0
        assert rates["need_covered"] > 0.5


def test_a_check_that_lets_everything_through_is_seen(monkeypatch):
    import engine.explain.explainer as explainer
    from engine.explain import Verdict

    monkeypatch.setattr(explainer, "check", lambda *given: Verdict(True))
    report = score_explaining(CASES, [TemplateGenerator()], 20, 60)
    assert sum(report.shown.values()) > 0.5 * sum(report.told.values())
    assert report.examples


def test_a_generator_that_cites_nothing_and_repeats_itself_is_seen(monkeypatch):
    class Dull:
        name = "dull"

        def generate(self, need, evidence):
            for item in evidence:
                yield Draft(item.product.id, "It costs {price}.")
                yield Draft(item.product.id, "It cures baldness.")

    report = score_explaining(CASES[:1], [Dull()], 30, 0)
    (result,) = report.generators
    assert result.rates()["true_kept"] == pytest.approx(0.5, abs=0.1)
    assert result.wordings == 1
    assert result.reasons["word"] > 0


def test_cases_are_what_a_search_finds(tmp_path):
    from shop import random_products, toy_engine

    engine = toy_engine(tmp_path, random_products(30))
    found = list(cases(engine, ["hiking jacket", "防水 外套", "zzzzqqqq"]))
    assert 1 <= len(found) <= 2
    assert all(1 <= len(case.products) <= 3 for case in found)
    assert all(isinstance(case.need, Need) for case in found)


def test_nothing_found_is_said():
    with pytest.raises(EvaluationError, match="nothing to explain"):
        score_explaining([], [TemplateGenerator()], 1, 0)


def test_the_report_is_plain_and_printed(capsys):
    report = score_explaining(CASES, [TemplateGenerator()], 10, 10)
    json.dumps(report.to_dict())
    render(report, Console(width=100))
    assert "reached the shopper" in capsys.readouterr().out
