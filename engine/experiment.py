"""Two ways to rank, tried on shoppers: who gets which is decided by a hash, and what was shown is told with the answer.

In: an experiment from a TOML file, an engine, and requests that say who asks. Out: answers, each with its variant. In an ``ab``
experiment a person always gets the same variant; in an ``interleave`` one each answer is drafted from both by turns (team draft:
Radlinski, Kurup and Joachims, *How Does Clickthrough Data Reflect Retrieval Quality?*, CIKM 2008). Who says nothing of who they
are is in no experiment. Whether anything came of it is :mod:`evals.experiments`' to say.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from engine.engine import Engine
from engine.errors import SettingsError
from engine.outcome import outcome
from engine.pipeline import BY_RELEVANCE
from engine.schema import Answer, SearchRequest
from engine.settings import Settings

__all__ = ["Experiment", "Experimenting", "assigned", "checked_changes", "drafted", "read_experiment"]

_ORDERS = frozenset({"alpha", "feedback", "near_duplicates", "personal"})
"""Settings that leave the set as it is, which two answers that are drafted together must share."""
_TRIED = _ORDERS | {"min_relevance", "tail_relevance", "fill_relevance", "depth", "calibration"}
"""Settings that a variant may change: those that need no other snapshot, model or process."""
_DEEPEST = 100


class Experiment(BaseModel):
    """What is tried: ``variants`` are changes of settings by name, the first one is what the others are compared with. ``share`` of
    the people take part, dealt equally."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")
    kind: Literal["ab", "interleave"] = "ab"
    share: float = Field(1.0, gt=0, le=1)
    variants: dict[str, dict[str, Any]] = Field(min_length=2, max_length=10)

    @model_validator(mode="after")
    def _check(self) -> Experiment:
        allowed = _ORDERS if self.kind == "interleave" else _TRIED
        for name, changes in self.variants.items():
            if not (name.isascii() and name.replace("-", "").replace("_", "").isalnum() and len(name) <= 40):
                raise ValueError(f"{name!r} is no name of a variant: letters, digits, - and _, at most 40")
            if strange := sorted(set(changes) - allowed):
                known = ", ".join(sorted(allowed))
                raise ValueError(f"variant {name!r} changes {', '.join(strange)}; {self.kind} can change {known}")
        if self.kind == "interleave" and len(self.variants) != 2:
            raise ValueError("an interleaved experiment has two variants")
        return self


def read_experiment(path: Path) -> Experiment:
    """Return the experiment of a TOML file.

    Raises:
        SettingsError: it cannot be read, or says something that cannot be tried.
    """
    try:
        given = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(f"experiment: {path} cannot be read ({error}). Give a TOML file with name and variants.") from error
    try:
        return Experiment.model_validate(given)
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'all'}: {e['msg']}" for e in error.errors(include_input=False))
        raise SettingsError(f"experiment: {path} cannot be used. {said}.") from error


def assigned(experiment: Experiment, unit: str) -> str:
    """Return the variant of a person, empty where they take no part; the same each time, and independent of other experiments."""
    taking = _fraction(f"{experiment.name} takes part", unit)
    if not unit or taking >= experiment.share:
        return ""
    names = list(experiment.variants)
    return names[int(_fraction(f"{experiment.name} variant", unit) * len(names))]


def drafted(first: Sequence[str], second: Sequence[str], seed: str) -> tuple[list[str], str]:
    """Return two rankings drafted into one, as long as both together name products, and whose pick each was, ``a`` or ``b``.

    By turns each side picks its best product that is not there yet; who picks first in a turn is drawn.
    """
    picks: list[str] = []
    teams: list[str] = []
    sides, taken, turn = {"a": list(first), "b": list(second)}, set[str](), 0
    while sides["a"] or sides["b"]:
        order = "ab" if _fraction(f"{seed} {turn}", "draft") < 0.5 else "ba"
        for side in order:
            left = sides[side]
            while left and left[0] in taken:
                left.pop(0)
            if left:
                picks.append(left[0])
                teams.append(side)
                taken.add(left.pop(0))
        turn += 1
    return picks, "".join(teams)


class Experimenting:
    """An engine that answers searches by an experiment, and everything else as the engine does."""

    def __init__(self, engine: Engine, experiment: Experiment) -> None:
        self._engine, self._experiment = engine, experiment
        variants = experiment.variants.items()
        self._variants = {name: engine.tuned(**checked_changes(engine.settings, changes)) for name, changes in variants}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def search_many(self, requests: Sequence[SearchRequest]) -> Iterator[Answer | Exception]:
        """Yield the answer of each request in turn, or its error, as :meth:`Engine.search_many` does."""
        names = [self._variant(request) for request in requests]
        alone = self._experiment.kind == "interleave"
        groups: dict[str, list[int]] = {}
        for place, name in enumerate(names):
            groups.setdefault("" if alone else name, []).append(place)
        answers: dict[int, Answer | Exception] = {}
        for name, places in groups.items():
            engine = self._variants.get(name, self._engine)
            plain = [place for place in places if not (alone and names[place])]
            for place, answer in zip(plain, engine.search_many([requests[p] for p in plain]), strict=True):
                answers[place] = _told(answer, {self._experiment.name: name} if name else {})
        for place, request in enumerate(requests):
            yield answers[place] if place in answers else outcome(self._interleaved, request)

    def _variant(self, request: SearchRequest) -> str:
        if self._experiment.kind == "interleave" and not _draftable(request):
            return ""
        return assigned(self._experiment, request.user_id or request.client_id or request.session_id)

    def _interleaved(self, request: SearchRequest) -> Answer:
        """Return one page of the draft of both variants' first hits."""
        last = request.page * request.per_page
        whole = request.model_copy(update={"page": 1, "per_page": last})
        one, two = (_or_raise(next(engine.search_many([whole]))) for engine in self._variants.values())
        record, other = orjson.loads(one.json), orjson.loads(two.json)
        hits = {hit["document"]["id"]: hit for hit in (*other["hits"], *record["hits"])}
        unit = request.user_id or request.client_id or request.session_id
        picks, teams = drafted(one.ids, two.ids, f"{self._experiment.name} {unit} {request.q}")
        shown = slice(last - request.per_page, last)
        record |= {"hits": [hits[pick] for pick in picks[shown]], "page": request.page, "per_page": request.per_page}
        answer = replace(one, json=orjson.dumps(record), ids=tuple(picks[shown]))
        told = _told(answer, {self._experiment.name: f"interleaved:{teams[shown]}"})
        assert isinstance(told, Answer)
        return told


def _draftable(request: SearchRequest) -> bool:
    deep = request.page * request.per_page
    return 0 < deep <= _DEEPEST and request.sort_by.partition(":")[0] in BY_RELEVANCE


def _or_raise(answer: Answer | Exception) -> Answer:
    if isinstance(answer, Exception):
        raise answer
    return answer


def _told(answer: Answer | Exception, variants: Mapping[str, str]) -> Answer | Exception:
    """Return an answer that names its variants."""
    if isinstance(answer, Exception) or not variants:
        return answer
    return replace(answer, json=answer.json[:-1] + b',"variants":' + orjson.dumps(variants) + b"}", variants=variants)


def checked_changes(settings: Settings, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return changes as the settings take them.

    Raises:
        SettingsError: a value is out of range.
    """
    try:
        whole = Settings.model_validate({**settings.model_dump(), **changes})
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False))
        raise SettingsError(f"experiment: a variant cannot be used. {said}.") from error
    return {name: getattr(whole, name) for name in changes}


def _fraction(salt: str, unit: str) -> float:
    """Return a number from 0 to below 1 that is drawn by the salt and the unit."""
    digest = hashlib.blake2b(f"{salt}\0{unit}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
