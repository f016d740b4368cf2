"""A generator that fails is let rest, one that wrote is not asked again, and neither changes what is said."""

from dataclasses import replace

import pytest

from engine.breaker import Breaker
from engine.errors import GeneratorError
from engine.explain import Draft, Explainer, gather_evidence, make_generator
from engine.explain.guarded import GuardedGenerator
from engine.schema import Money
from engine.settings import Settings
from explain_products import JACKET, NEED_EN, NEED_ZH, PARKA


class Counting:
    name = "counting"

    def __init__(self) -> None:
        self.asked, self.down = 0, False
        self.about: list[list[str]] = []
        self.passes_over = ""

    def generate(self, need, evidence):
        self.asked += 1
        self.about.append([item.product.id for item in evidence])
        if self.down:
            raise GeneratorError("It is down.")
        for item in evidence:
            if item.product.id == self.passes_over:
                continue
            yield Draft(item.product.id, "It costs {price}.")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def inner() -> Counting:
    return Counting()


@pytest.fixture
def guarded(inner, clock) -> GuardedGenerator:
    return GuardedGenerator(inner, breaker=Breaker(failures=2, rest_s=30, clock=clock), kept=2)


def drafts(generator, need=NEED_EN, products=(JACKET,)) -> list[Draft]:
    return list(generator.generate(need, [gather_evidence(need, p) for p in products]))


def test_the_same_is_asked_once(guarded, inner):
    assert drafts(guarded) == drafts(guarded)
    assert inner.asked == 1
    assert guarded.name == "counting"


@pytest.mark.parametrize(
    ("need", "products"),
    [
        (NEED_ZH, (JACKET,)),
        (replace(NEED_EN, text="jacket"), (JACKET,)),
        (NEED_EN, (replace(JACKET, sale_price=Money(1, "USD")),)),
        (NEED_EN, (replace(JACKET, attributes={}),)),
        (NEED_EN, (PARKA,)),
    ],
)
def test_another_need_or_another_fact_is_asked_anew(guarded, inner, need, products):
    drafts(guarded)
    drafts(guarded, need, products)
    assert inner.asked == 2


def test_of_several_products_only_the_new_ones_are_asked_about(guarded, inner):
    drafts(guarded)
    given = drafts(guarded, products=(JACKET, PARKA))
    assert [d.product_id for d in given] == [JACKET.id, PARKA.id]
    assert inner.asked == 2
    assert inner.about == [[JACKET.id], [PARKA.id]]
    drafts(guarded, products=(PARKA, JACKET))
    assert inner.asked == 2


def test_a_product_that_was_passed_over_is_asked_about_again(guarded, inner):
    inner.passes_over = PARKA.id
    drafts(guarded, products=(JACKET, PARKA))
    drafts(guarded, products=(JACKET, PARKA))
    assert inner.about[1] == [PARKA.id]


def test_only_so_many_are_kept(guarded, inner):
    for text in ("a", "b", "c", "a"):
        drafts(guarded, replace(NEED_EN, text=text))
    assert inner.asked == 4


def test_what_was_not_read_to_its_end_is_not_kept(guarded, inner):
    half = guarded.generate(NEED_EN, [gather_evidence(NEED_EN, p) for p in (JACKET, PARKA)])
    next(half)
    half.close()
    assert len(drafts(guarded, products=(JACKET, PARKA))) == 2
    assert inner.asked == 2


def test_it_rests_after_failures_and_is_tried_by_one(guarded, inner, clock):
    inner.down = True
    for text in ("a", "b"):
        with pytest.raises(GeneratorError, match="It is down"):
            drafts(guarded, replace(NEED_EN, text=text))
    with pytest.raises(GeneratorError, match="2 times in a row"):
        drafts(guarded, replace(NEED_EN, text="c"))
    assert inner.asked == 2
    clock.now += 31
    with pytest.raises(GeneratorError, match="It is down"):
        drafts(guarded, replace(NEED_EN, text="d"))
    with pytest.raises(GeneratorError, match="in a row"):
        drafts(guarded, replace(NEED_EN, text="e"))
    assert inner.asked == 3
    clock.now += 31
    inner.down = False
    assert drafts(guarded)
    assert drafts(guarded, replace(NEED_EN, text="f"))


def test_a_shopper_is_answered_by_the_template_while_it_rests(guarded, inner):
    inner.down = True
    for text in ("a", "b", "c"):
        *claims, done = Explainer(guarded, timeout_s=5).explain(replace(NEED_EN, text=text), [JACKET])
        assert claims
        assert claims[0].generator == "template"
    assert inner.asked == 2
    assert "in a row" in done.degraded


def test_an_endpoint_is_guarded():
    made = make_generator(Settings(generator="endpoint", generator_url="http://127.0.0.1:9/v1"))
    assert isinstance(made, GuardedGenerator)
    assert made.name == "endpoint"
