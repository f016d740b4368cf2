"""Simulated shoppers with a product in mind: does the guide find it, in how many turns, and what did it ask for nothing?

In: an engine, and how people begin (:func:`leads_of`). Out: a :class:`GuidingReport`, the guide beside one search with the same
first words. A shopper begins with a thing, some of what it should be, and perhaps a limit of price; answers a question by the
product in mind, and tells one more trait, or asks for more, where nothing is asked or its record has no answer.
Found is what is among the products shown. Drawn from a seed. Knows nothing of how the guide decides.
"""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from engine.engine import Engine
from engine.errors import EvaluationError
from engine.explain.facts import shown_money
from engine.guide import Choice, GuideReply, GuideRequest, GuideState
from engine.language import language_of
from engine.lexicon import Lexicon
from engine.schema import Money, Product, SearchRequest, Understood
from engine.train.catalogue import LONGEST_VALUE, named_thing
from evals.stats import Estimate, bootstrap_mean, paired_difference

__all__ = ["Goal", "GuidingReport", "Lead", "goals_of", "leads_of", "read_goals", "render", "score_guiding"]

TURNS = 3
_PAGE = 10
_SHOWN = 3
_TRAITS = ("color", "material", "size", "style", "pattern", "season", "type", "product_type")
_OWN_LEADS = {
    "en": ("i need a ", "i'm looking for ", "show me ", "i want to buy ", ""),
    "zh": ("想买", "帮我找", "有没有", "推荐一款", "我要", ""),
}
_LONGEST_LEAD = 40
_GOALS = 400


@dataclass(frozen=True, slots=True)
class Lead:
    """How somebody begins: the first words, how many traits are named, and whether a limit of price is."""

    words: str
    traits: int
    limited: bool


@dataclass(frozen=True, slots=True)
class Goal:
    """A product in mind, what its shopper says first, and what else could be told of it, one by one."""

    product: Product
    language: str
    first: str
    more: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GuidingReport:
    """For each language: shoppers who found their product by guide and by one search, and what it took."""

    rows: tuple[dict[str, Any], ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        plain = [{k: v.to_dict() if isinstance(v, Estimate) else v for k, v in row.items()} for row in self.rows]
        return {"turns": TURNS, "shown_a_turn": _SHOWN, "languages": plain}


def read_goals(path: Path, seed: int = 0) -> list[str]:
    """Return needs that people wrote, drawn from WebShop's ``human_goals.json`` (Yao et al., *WebShop*, NeurIPS 2022).

    Raises:
        EvaluationError: it is no list of texts.
    """
    try:
        texts = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise EvaluationError(f"{path} cannot be read as WebShop's goals ({type(error).__name__}).") from error
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise EvaluationError(f"{path} is no list of texts, as WebShop's human_goals.json is.")
    return random.Random(seed).sample(texts, min(_GOALS, len(texts)))


def leads_of(texts: Iterable[str], understand: Callable[[str], Sequence[Understood]]) -> Iterator[Lead]:
    """Yield how people began, from needs they wrote about other shops' products; what they wanted is left out."""
    for text in texts:
        read = list(understand(text))
        first = min((u.start for u in read), default=0)
        if read and 0 < first <= _LONGEST_LEAD:
            traits = sum(u.kind in ("attribute", "measure") for u in read)
            yield Lead(text[:first], min(traits, 3), any(u.kind == "price" for u in read))


def goals_of(products: Sequence[Product], leads: Sequence[Lead], most: int, language: str, seed: int = 0) -> list[Goal]:
    """Return up to ``most`` goals of products whose thing and a trait have words in this language.

    English shoppers begin as ``leads`` do, where there are any, Chinese ones in our own words. What a Chinese shopper wants of
    an English product is said as the lexicon says it.
    """
    chance = random.Random(f"{seed} {language}")
    lexicon = Lexicon.own()
    own = [Lead(words, n, limited) for words in _OWN_LEADS[language] for n in (0, 1, 2) for limited in (False, True)]
    begins = list(leads) if leads and language == "en" else own
    goals: list[Goal] = []
    for product in chance.sample(list(products), len(products)):
        named = named_thing(product.title, lexicon)
        thing = _said(product.title[named[0].start : named[-1].end], language, lexicon) if named else ""
        traits = [t for t in _traits(product, language, lexicon) if t not in thing]
        if thing and traits:
            goals.append(_goal(product, thing, chance.sample(traits, len(traits)), chance.choice(begins), language, chance))
        if len(goals) == most:
            break
    return goals


def _said(text: str, language: str, lexicon: Lexicon) -> str:
    """Return a thing or a trait in a language, empty where it has no words for it."""
    if (language_of(text) or "en") == language:
        return text.lower()
    entries = lexicon.get(text) if language == "zh" else ()
    return next((form for entry in entries for form in entry.zh), "")


def _traits(product: Product, language: str, lexicon: Lexicon) -> list[str]:
    """Return what of a product a shopper may name, short and in the shopper's language."""
    said = [str(v) for name in _TRAITS for v in product.attributes.get(name, ()) if isinstance(v, str)]
    if product.attributes.get("waterproof") == (True,):
        said.append("防水" if language == "zh" else "waterproof")
    fit = [s for s in said if 1 < len(s) <= LONGEST_VALUE]
    traits = [t for s in fit if (t := _said(s, language, lexicon))]
    return list(dict.fromkeys([*traits, product.brand.lower()] if product.brand else traits))


def _goal(product: Product, thing: str, traits: list[str], lead: Lead, language: str, chance: random.Random) -> Goal:
    join = "" if language == "zh" else " "
    told, rest = traits[: lead.traits], traits[lead.traits :]
    first = lead.words + join.join([*told, thing])
    price = product.current_price
    if price is not None:
        limit = _limit(price, chance, language)
        if lead.limited:
            first += (" " if language == "zh" else "") + limit
        else:
            rest.append(limit)
    return Goal(product, language, first, tuple(rest))


def _limit(price: Money, chance: random.Random, language: str) -> str:
    major = price.major * chance.choice((1.1, 1.3, 1.6))
    step = 10 ** max(0, math.floor(math.log10(max(major, 1))) - 1)
    shown = shown_money(Money(round(math.ceil(major / step) * step * 10 ** Money.decimals(price.currency)), price.currency))
    return f"{shown}以内" if language == "zh" else f" under {shown}"


def _answer(choices: Sequence[Choice], product: Product) -> Choice | None:
    """Return the choice that fits the product in mind."""
    for choice in choices:
        if choice.field == "price":
            if (price := product.current_price) and _inside(choice.filter, price):
                return choice
            continue
        name = choice.field.removeprefix("attributes.")
        own = (product.brand,) if name == "brand" else product.attributes.get(name, ())
        value = re.sub(r"^[^:]*:=", "", choice.filter).strip("`")
        if any(str(v).lower() in (value.lower(), choice.label.lower()) for v in own):
            return choice
    return None


def _inside(filter_by: str, price: Money) -> bool:
    for sign, number, currency in re.findall(r"price:([<>]=?)([\d.]+(?:e[+]\d+)?)([A-Z]{3})", filter_by):
        edge = float(number)
        met = {"<": price.major < edge, "<=": price.major <= edge, ">": price.major > edge, ">=": price.major >= edge}[sign]
        if price.currency != currency or not met:
            return False
    return True


@dataclass(slots=True)
class _Talk:
    """What one conversation came to: turns until found, 0 for never; questions asked and answered for nothing."""

    found_in: int = 0
    asked: int = 0
    wasted: int = 0


def _talk(engine: Engine, goal: Goal) -> _Talk:
    talk, state, more = _Talk(), GuideState(), list(goal.more)
    request = GuideRequest(text=goal.first[:512], state=state, language="zh" if goal.language == "zh" else "en")
    for turn in range(1, TURNS + 1):
        reply = engine.guide(request)
        if any(hit.document["id"] == goal.product.id for hit in reply.hits):
            talk.found_in = turn
            return talk
        request = _next(reply, goal, more, talk)
    return talk


def _next(reply: GuideReply, goal: Goal, more: list[str], talk: _Talk) -> GuideRequest:
    """Return the shopper's next turn."""
    language = reply.state.language
    if reply.question is not None:
        talk.asked += 1
        choice = _answer(reply.question.choices, goal.product)
        if choice is not None:
            return GuideRequest(choice=choice, state=reply.state, language=language)
        talk.wasted += not more
    if more:
        return GuideRequest(text=more.pop(0).strip(), state=reply.state, language=language)
    return GuideRequest(text="还有吗" if goal.language == "zh" else "show me more", state=reply.state, language=language)


def score_guiding(engine: Engine, goals: Sequence[Goal], seed: int = 0) -> GuidingReport:
    """Have every shopper talk to the guide, and search once with the same first words.

    Raises:
        EvaluationError: there is no goal.
    """
    if not goals:
        raise EvaluationError("No product names a thing that a shopper could ask for. Index a larger feed.")
    rows = []
    for language in sorted({goal.language for goal in goals}):
        own = [goal for goal in goals if goal.language == language]
        talks = [_talk(engine, goal) for goal in own]
        ranks = [_rank(engine, goal) for goal in own]
        guided = np.array([float(t.found_in > 0) for t in talks])
        once = np.array([float(0 < r <= _SHOWN) for r in ranks])
        page = np.array([float(r > 0) for r in ranks])
        asked = sum(t.asked for t in talks)
        rows.append({
            "language": language,
            "shoppers": len(own),
            "guide": bootstrap_mean(guided, seed=seed),
            "search_first_3": bootstrap_mean(once, seed=seed),
            "search_first_10": bootstrap_mean(page, seed=seed),
            "gain": paired_difference(once, guided, seed=seed),
            "gain_over_page": paired_difference(page, guided, seed=seed),
            "turns_where_found": round(float(np.mean([t.found_in for t in talks if t.found_in] or [0])), 2),
            "questions": asked,
            "wasted": sum(t.wasted for t in talks),
        })  # fmt: skip
    return GuidingReport(tuple(rows))


def _rank(engine: Engine, goal: Goal) -> int:
    """Return the place of the product in mind after one search, 0 where it is not on the first page."""
    hits = engine.search(SearchRequest(q=goal.first[:512], per_page=_PAGE)).hits
    return next((i for i, hit in enumerate(hits, 1) if hit.document["id"] == goal.product.id), 0)


def render(report: GuidingReport, console: Console) -> None:
    """Print the report."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("")
    for row in report.rows:
        table.add_column(f"{row['language']}, {row['shoppers']} shoppers", justify="right")

    def shown(e: Estimate, sign: str = "") -> str:
        return f"{e.mean:{sign}.1%} ({e.low:{sign}.1%} to {e.high:{sign}.1%})"

    table.add_row(f"found by the guide, {TURNS} turns of {_SHOWN}", *(shown(r["guide"]) for r in report.rows))
    table.add_row(f"found by one search, first {_SHOWN}", *(shown(r["search_first_3"]) for r in report.rows))
    table.add_row(f"found by one search, first {_PAGE}", *(shown(r["search_first_10"]) for r in report.rows))
    table.add_row(f"gain over the first {_SHOWN}", *(shown(r["gain"], "+") for r in report.rows))
    table.add_row(f"gain over the first {_PAGE}", *(shown(r["gain_over_page"], "+") for r in report.rows))
    table.add_row("turns until found", *(f"{r['turns_where_found']:.2f}" for r in report.rows))
    table.add_row("questions, for nothing", *(f"{r['questions']}, {r['wasted']}" for r in report.rows))
    console.print(table)
