"""The same needs written otherwise: typos, word order, number, case, width, script and units.

In: queries, then a searcher and judgements. Out: the changed queries of each form (:func:`variants`), and
:class:`RobustnessReport`: what each form costs against the same queries as they are. A form only counts queries it
changes. Everything is drawn from a seed and each query's own text, so a set is the same everywhere. Knows nothing of
files.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from engine.errors import EvaluationError
from engine.units import find_quantities
from evals.evalsets import Qrels
from evals.measures import DECIDING, score_queries
from evals.run import Searcher, make_run
from evals.stats import Estimate, paired_difference

__all__ = ["FORMS", "FormResult", "RobustnessReport", "render", "score_robustness", "variants"]

_WORD = re.compile(r"[a-z]{4,}", re.IGNORECASE)
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_OTHER_UNIT = {"cm": (2.54, "inch", "cm"), "kg": (0.45359237, "lb", "kg"), "GB": (1000.0, "TB", "GB"), "l": (0.001, "ml", "l")}


def _longest(text: str) -> re.Match[str] | None:
    return max(_WORD.finditer(text), key=lambda m: len(m.group()), default=None)


def _typo(place: str) -> Callable[[str, random.Random], str]:
    """Return a change of one letter of the longest word, at its beginning, in its middle or at its end."""

    def change(text: str, rng: random.Random) -> str:
        found = _longest(text)
        if found is None:
            return text
        word, n = found.group(), len(found.group())
        at = {"start": 0, "middle": rng.randint(1, max(1, n - 3)), "end": n - 2}[place]
        kind = rng.choice(["swap", "drop", "insert", "replace"])
        other = rng.choice([c for c in _LETTERS if c not in word[at : at + 2].lower()])
        changed = {
            "swap": word[:at] + word[at + 1] + word[at] + word[at + 2 :],
            "drop": word[:at] + word[at + 1 :],
            "insert": word[:at] + other + word[at:],
            "replace": word[:at] + other + word[at + 1 :],
        }[kind]
        return text[: found.start()] + changed + text[found.end() :]

    return change


def _order(text: str, rng: random.Random) -> str:
    parts = text.split()
    return text if len(parts) < 2 or len(parts) > 3 else " ".join(reversed(parts))


def _number(text: str, rng: random.Random) -> str:
    """Turn the last word into its plural, or its singular."""
    found = re.search(r"([a-z]{3,})$", text)
    if found is None:
        return text
    word = found.group()
    if word.endswith("ies"):
        turned = word[:-3] + "y"
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        turned = word[:-1]
    elif word.endswith("y") and word[-2] not in "aeiou":
        turned = word[:-1] + "ies"
    else:
        turned = word + ("es" if word.endswith(("ch", "sh", "x", "s")) else "s")
    return text[: found.start()] + turned


def _case(text: str, rng: random.Random) -> str:
    return text.upper()


def _width(text: str, rng: random.Random) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


@lru_cache(maxsize=1)
def _traditional() -> Callable[[str], str]:
    from opencc import OpenCC

    convert = OpenCC("s2t").convert
    return lambda text: str(convert(text))


def _script(text: str, rng: random.Random) -> str:
    return _traditional()(text)


def _unit(text: str, rng: random.Random) -> str:
    """Write the first measure in another unit."""
    for start, end, quantity in find_quantities(text):
        if quantity.unit in _OTHER_UNIT:
            factor, other, own = _OTHER_UNIT[quantity.unit]
            written = f"{float(f'{quantity.value:.4g}'):.10g} {own}"
            if own.lower() in text[start:end].lower().replace(" ", ""):
                written = f"{float(f'{quantity.value / factor:.4g}'):.10g} {other}"
            return text[:start] + written + text[end:]
    return text


def _spaces(text: str, rng: random.Random) -> str:
    return "  " + re.sub(r"\s+", "   ", text) + " "


FORMS: Mapping[str, Callable[[str, random.Random], str]] = {
    "typo-start": _typo("start"),
    "typo-middle": _typo("middle"),
    "typo-end": _typo("end"),
    "order": _order,
    "number": _number,
    "case": _case,
    "width": _width,
    "script": _script,
    "unit": _unit,
    "spaces": _spaces,
}
"""Form → how it changes a query; a query that comes back as it was is not asked."""


def variants(queries: Mapping[str, str], form: str, seed: int = 0) -> dict[str, str]:
    """Return the queries that a form changes, changed.

    Raises:
        EvaluationError: there is no such form.
    """
    if form not in FORMS:
        raise EvaluationError(f"There is no form {form!r}. Known: {', '.join(FORMS)}.")
    out = {}
    for qid, text in queries.items():
        rng = random.Random(hashlib.sha256(f"{seed} {form} {text}".encode()).digest())
        if (changed := FORMS[form](text, rng)) != text:
            out[qid] = changed
    return out


@dataclass(frozen=True, slots=True)
class FormResult:
    """``plain`` and ``changed`` are the mean nDCG@10 of the same ``n`` queries; ``difference`` is changed - plain."""

    form: str
    plain: float
    changed: float
    difference: Estimate

    @property
    def loss(self) -> float:
        """Share of the plain score that is lost."""
        return 1 - self.changed / self.plain if self.plain else 0.0


@dataclass(frozen=True, slots=True)
class RobustnessReport:
    """One result a form; forms that change no judged query are left out. ``condensed`` says that unrated products were
    taken out of the rankings."""

    forms: tuple[FormResult, ...]
    condensed: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        return {
            "measure": f"{DECIDING}, rated products only" if self.condensed else DECIDING,
            "forms": {
                f.form: {
                    "n": f.difference.n,
                    "plain": round(f.plain, 4),
                    "changed": round(f.changed, 4),
                    "loss": round(f.loss, 4),
                    "difference": f.difference.to_dict(),
                }
                for f in self.forms
            },
        }


def score_robustness(
    searcher: Searcher,
    queries: Mapping[str, str],
    qrels: Qrels,
    seed: int = 0,
    forms: Mapping[str, Mapping[str, str]] | None = None,
) -> RobustnessReport:
    """Ask every query as it is and in every form, and return what each form costs.

    ``forms`` are changed queries that were made before, with judgements that know every answer; left out, they are made
    here. Then rankings are condensed to rated products first: a changed query brings others to the top, whom nobody rated.

    Raises:
        EvaluationError: no query has a relevant product.
    """
    judged = {qid: text for qid, text in queries.items() if any(r > 0 for r in qrels.get(qid, {}).values())}
    if not judged:
        raise EvaluationError("No query has a relevant product to look for. Judge some first.")
    condensed = forms is None
    if forms is None:
        forms = {form: variants(judged, form, seed) for form in FORMS}
    plain = _scores(searcher, judged, qrels, condensed)
    results = []
    for form, texts in forms.items():
        changed = {qid: text for qid, text in texts.items() if qid in judged}
        if not changed:
            continue
        scores = _scores(searcher, changed, qrels, condensed)
        before, after = np.array([plain[q] for q in changed]), np.array([scores[q] for q in changed])
        results.append(FormResult(form, float(before.mean()), float(after.mean()), paired_difference(before, after)))
    return RobustnessReport(tuple(results), condensed)


def _scores(searcher: Searcher, queries: Mapping[str, str], qrels: Qrels, condensed: bool) -> dict[str, float]:
    rankings = make_run(searcher, queries).rankings
    scored = score_queries(rankings, {qid: qrels[qid] for qid in queries}, condensed=condensed)
    return dict(zip(scored.qids, scored.column(DECIDING).tolist(), strict=True))


def render(report: RobustnessReport, console: Console) -> None:
    """Print one row for each form."""
    table = Table(title=f"{DECIDING} of the same needs written otherwise", title_justify="left", box=SIMPLE_HEAD,
                  padding=(0, 1, 0, 0))  # fmt: skip
    table.add_column("form")
    for heading in ("n", "as it is", "changed", "lost", "difference, 95 %"):
        table.add_column(heading, justify="right", no_wrap=True)
    for f in report.forms:
        d = f.difference
        table.add_row(
            escape(f.form), str(d.n), f"{f.plain:.3f}", f"{f.changed:.3f}", f"{f.loss:.1%}", f"{d.low:+.3f} to {d.high:+.3f}"
        )
    console.print(table)
