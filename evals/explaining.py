"""How good explanations are, and whether anything false gets through: rates before and after the check, by generator.

In: an engine and needs. Out: an :class:`ExplainingReport`: for each generator and language the share of its sentences that is
kept, how far citations and claims bear each other out, how much of what was asked is said, how varied the wording is, how long
it takes; and for sentences made false on purpose how many got through, by kind. Truth is known by construction: what the
template and the writer say is true, what :mod:`evals.corruption` changes is false. Knows nothing of files.
"""

from __future__ import annotations

import random
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from engine.engine import Engine
from engine.errors import EvaluationError
from engine.explain import Done, Draft, Evidence, Explainer, Generator, Need, gather_evidence
from engine.explain.evidence import price_limits
from engine.explain.facts import label
from engine.explain.things import own_lexicon
from engine.language import is_stop, language_of, stem_of, words
from engine.schema import Claim, Product, SearchRequest
from evals.corruption import KINDS, Lie, lies

__all__ = ["Case", "ExplainingReport", "GeneratorResult", "Scripted", "cases", "drawn_queries", "render", "score_explaining"]

_SHOWN = 3
_LIES_A_PRODUCT = 4
_VALUE = re.compile(r"\d+(?:[.,]\d+)?")
_OF_PRICE = r"cheap|便宜|limit|within|预算|以内|上限|符合"
_LETTERS = re.compile(r"[a-z]{2,}")
_LONG_S = 60.0
_SHARES = {
    "true_kept": "kept by the check",
    "citation_precision": "citations that the sentence bears out",
    "citation_recall": "numbers that a citation has",
    "need_covered": "of what was asked and is there, said",
}


@dataclass(frozen=True, slots=True)
class Case:
    """A need and the products that were found for it."""

    need: Need
    products: tuple[Product, ...]


@dataclass(slots=True)
class GeneratorResult:
    """One generator in one language. Rates are shares; ``None`` where nothing was counted."""

    generator: str
    language: str
    explanations: int = 0
    sentences: int = 0
    kept: int = 0
    replaced: int = 0
    citations: int = 0
    borne_out: int = 0
    values: int = 0
    cited: int = 0
    asked: int = 0
    answered: int = 0
    wordings: int = 0
    first_ms: list[float] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)

    def rates(self) -> dict[str, float | None]:
        """Return what a reader wants to know."""

        def share(part: int, whole: int) -> float | None:
            return round(part / whole, 4) if whole else None

        return {
            "true_kept": share(self.kept, self.sentences),
            "citation_precision": share(self.borne_out, self.citations),
            "citation_recall": share(self.cited, self.values),
            "need_covered": share(self.answered, self.asked),
            "wordings_per_sentence": share(self.wordings, self.kept),
            "first_claim_ms_p50": round(float(np.percentile(self.first_ms, 50)), 1) if self.first_ms else None,
            "first_claim_ms_p95": round(float(np.percentile(self.first_ms, 95)), 1) if self.first_ms else None,
        }


@dataclass(frozen=True, slots=True)
class ExplainingReport:
    """Generators that tell the truth, and lies by kind: how many were told and how many were shown."""

    generators: tuple[GeneratorResult, ...]
    told: Mapping[str, int]
    shown: Mapping[str, int]
    explanations: int
    corrupted: int
    examples: tuple[Lie, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        rows = []
        for result in self.generators:
            counted = {k: v for k, v in asdict(result).items() if k not in ("first_ms", "reasons")}
            rows.append({**counted, **result.rates(), "reasons": dict(result.reasons)})
        return {
            "explanations": self.explanations,
            "corrupted": self.corrupted,
            "generators": rows,
            "lies_told": dict(self.told),
            "lies_shown": dict(self.shown),
            "examples_shown": [asdict(lie) for lie in self.examples],
        }


def cases(engine: Engine, queries: Sequence[str]) -> Iterator[Case]:
    """Yield a case for each query that finds something."""
    products = {p.id: p for p in engine.products()}
    for query in queries:
        hits = engine.search(SearchRequest(q=query, per_page=_SHOWN)).hits
        found = tuple(products[hit.document["id"]] for hit in hits)
        if found:
            yield Case(engine.need(query), found)


def drawn_queries(queries: Sequence[str], most: int, seed: int) -> list[str]:
    """Return up to ``most`` queries of each language, drawn by chance."""
    chance = random.Random(seed)
    by_language = {zh: [q for q in queries if (language_of(q) == "zh") == zh] for zh in (False, True)}
    return [q for own in by_language.values() for q in chance.sample(own, min(most, len(own)))]


class Scripted:
    """A generator that says what it is given, as ``name``."""

    def __init__(self, drafts: Sequence[Draft], name: str = "corrupted") -> None:
        self._drafts, self.name = drafts, name

    def generate(self, need: Need, evidence: Sequence[Evidence]) -> Iterator[Draft]:
        """Yield the drafts."""
        yield from self._drafts


def score_explaining(
    found: Sequence[Case], generators: Sequence[Generator], explanations: int, corrupted: int, seed: int = 0
) -> ExplainingReport:
    """Explain products until there are ``explanations`` of honest generators and ``corrupted`` of dishonest ones.

    Raises:
        EvaluationError: there is no case.
    """
    if not found:
        raise EvaluationError("No query finds anything, so there is nothing to explain. Index a feed, or give other queries.")
    results: dict[tuple[str, str], GeneratorResult] = {}
    skeletons: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    said: dict[str, list[str]] = defaultdict(list)
    done = turn = 0
    while done < explanations:
        generator, case = generators[turn % len(generators)], found[turn // len(generators) % len(found)]
        key = (generator.name, case.need.language)
        result = results.setdefault(key, GeneratorResult(*key))
        for claim in _explain(generator, case, result):
            skeletons[key].add(_skeleton(claim))
            said[f"{case.need.language} {claim.product_id}"].append(claim.text)
        done += len(case.products)
        turn += 1
    for key, result in results.items():
        result.wordings = len(skeletons[key])
    told, shown, examples = _lie(found, said, corrupted, random.Random(seed))
    return ExplainingReport(tuple(results[key] for key in sorted(results)), told, shown, done, corrupted, tuple(examples))


def _explain(generator: Generator, case: Case, result: GeneratorResult) -> Iterator[Claim]:
    """Explain one case, count what became of it, and yield the generator's own claims."""
    explainer = Explainer(generator, timeout_s=_LONG_S)
    started = time.perf_counter()
    result.explanations += len(case.products)
    cited: defaultdict[str, set[str]] = defaultdict(set)
    first = True
    for item in explainer.explain(case.need, case.products):
        if first:
            result.first_ms.append((time.perf_counter() - started) * 1000)
            first = False
        if isinstance(item, Done):
            result.sentences += item.checked
            result.kept += item.checked - item.dropped
            result.replaced += item.replaced
            result.reasons.update(item.reasons)
            continue
        cited[item.product_id] |= {c.field for c in item.citations}
        if item.generator == generator.name:
            _count_citations(item, case.need, result)
            yield item
    for product in case.products:
        fields = [f for f in gather_evidence(case.need, product).fields if f.part_of_need]
        parts = {part for f in fields for part in f.part_of_need.split()}
        covered = {part for f in fields if f.field in cited[product.id] for part in f.part_of_need.split()}
        result.asked += len(parts)
        result.answered += len(covered)


def _count_citations(claim: Claim, need: Need, result: GeneratorResult) -> None:
    """Count the citations that share a value with their claim, and the numbers of the claim that a citation has."""
    said = _parts(claim.text)
    for citation in claim.citations:
        result.citations += 1
        shares = _parts(f"{citation.value} {label(citation.field, need.language)} {_otherwise(citation.value)}") & said
        result.borne_out += bool(shares) or _computed(citation.field, claim.text.lower())
    have = " ".join(c.value for c in claim.citations)
    own = {f"{limit.value:g}" for limit in price_limits(need)}  # the shopper's own limit rests on what the shopper said
    numbers = [n for n in _VALUE.findall(re.sub(r"these \d+|这\d+款", "", claim.text)) if n not in own]
    result.values += len(numbers)
    result.cited += sum(n in have for n in numbers)


def _otherwise(value: str) -> str:
    """Return how the lexicon says what a value names, in either language: a claim may say ``aluminum`` of ``铝合金``."""
    value = value.lower()
    phrases = own_lexicon().find(value, words(value))
    return " ".join(form for phrase in phrases for entry in phrase.means for form in (*entry.en, *entry.zh))


def _parts(text: str) -> set[str]:
    """Return the stems, the numbers and the pairs of Chinese characters of a text."""
    pairs = {text[i : i + 2] for i in range(len(text) - 1) if "一" <= text[i] <= "鿿" and "一" <= text[i + 1] <= "鿿"}
    whole = {stem_of(w) for w in words(text) if not is_stop(w)}
    return whole | set(_VALUE.findall(text)) | pairs | set(_LETTERS.findall(text.lower()))


def _computed(name: str, text: str) -> bool:
    """Return whether a claim says something that is worked out from a field: a rank, a limit, stock, whom it is for."""
    shapes = {
        "weight": r"light|轻", "price": _OF_PRICE, "sale_price": _OF_PRICE,
        "availability": r"stock|有货", "gender": r"men|women|kids|男|女|儿童", "description": r"mention|提到",
    }  # fmt: skip
    absent = re.search(r"does not mention|没有提到", text) is not None  # what is absent is seen in the whole record
    return absent or (name in shapes and re.search(shapes[name], text) is not None)


def _skeleton(claim: Claim) -> str:
    """Return a claim without its values, which tells one wording from another."""
    text = claim.text
    for citation in sorted(claim.citations, key=lambda c: -len(c.value)):
        text = re.sub(re.escape(citation.value), "#", text, flags=re.IGNORECASE)
    return _VALUE.sub("#", text)


def _lie(
    found: Sequence[Case], said: Mapping[str, Sequence[str]], corrupted: int, chance: random.Random
) -> tuple[Counter[str], Counter[str], list[Lie]]:
    """Have lies told about ``corrupted`` products and return what was told, what was shown, and examples of that."""
    told, shown, examples = Counter(dict.fromkeys(KINDS, 0)), Counter(dict.fromkeys(KINDS, 0)), list[Lie]()
    products = list({p.id: p for case in found for p in case.products}.values())
    done = idle = 0
    while done < corrupted and idle < 20 * len(found):
        case = chance.choice(found)
        language = case.need.language
        made: list[Lie] = []
        for product in case.products:
            true, other = said.get(f"{language} {product.id}", ()), chance.choice(products)
            if not true or other.id == product.id:
                continue
            own = [f"{limit.value:g}" for limit in price_limits(case.need)]  # what is said of a limit may be true of many
            about_other = [t for t in said.get(f"{language} {other.id}", ()) if not any(n in t for n in own)] or [""]
            all_lies = list(lies(chance.choice(true), language, product, other, chance.choice(about_other), chance))
            made += chance.sample(all_lies, min(_LIES_A_PRODUCT, len(all_lies)))
            done += bool(all_lies)
        idle = idle + 1 if not made else 0
        drafts = [Draft(lie.product_id, lie.text) for lie in made]
        told.update(lie.kind for lie in made)
        kept = {
            (c.product_id, c.text)
            for c in Explainer(Scripted(drafts), timeout_s=_LONG_S).explain(case.need, case.products)
            if isinstance(c, Claim) and c.generator == "corrupted"
        }
        through = [lie for lie in made if (lie.product_id, lie.text) in kept]
        shown.update(lie.kind for lie in through)
        examples += through
    return told, shown, examples[:20]


def render(report: ExplainingReport, console: Console) -> None:
    """Print the report."""
    console.print(f"{report.explanations:,} products explained by generators that tell the truth:")
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("")
    for result in report.generators:
        table.add_column(f"{result.generator} {result.language}", justify="right")
    rates = [result.rates() for result in report.generators]
    table.add_row("sentences", *(f"{result.sentences:,}" for result in report.generators))
    for name, said in _SHARES.items():
        table.add_row(said, *("–" if (value := r[name]) is None else f"{value:.1%}" for r in rates))
    table.add_row("different wordings", *(f"{result.wordings:,}" for result in report.generators))
    for name, shown in (("first_claim_ms_p50", "first sentence, ms p50"), ("first_claim_ms_p95", "p95")):
        table.add_row(shown, *("–" if (value := r[name]) is None else f"{value:.0f}" for r in rates))
    console.print(table)
    console.print(f"{report.corrupted:,} products explained by generators that lie:")
    lying = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("what was made false", "told", "reached the shopper"):
        lying.add_column(name, justify="left" if name.startswith("what") else "right")
    for kind, n in report.told.items():
        lying.add_row(kind, f"{n:,}", f"{report.shown[kind]:,}")
    console.print(lying)
    for lie in report.examples:
        console.print(f"  {lie.kind}: {lie.product_id}: {lie.text}", markup=False)
