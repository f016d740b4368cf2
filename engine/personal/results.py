"""One person's order of one answer, with what moved each hit and why.

In: who asks, and a ranking. Out: the ranking in their order, and what is written about it beside each hit. Where nothing is known
of them, or they want none of it, both are as for a stranger. Thread-safe. Knows nothing of how anything was found.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from engine.index.documents import Documents
from engine.index.table import Table
from engine.index.vectors import VectorIndex
from engine.personal.memory import Memory, Remembered
from engine.personal.order import moved
from engine.personal.taste import Reason, Taste, Tastes
from engine.personal.wording import reason_text
from engine.rank import APART, Ranking
from engine.settings import Settings
from engine.shopper import Because, PersonalHit, Personalised, Shopper

__all__ = ["PersonalResults", "Personally"]

_SHOWN = 2
_LEAST_SHARE = 0.05
"""A reason that brings less is not worth a sentence."""


@dataclass(frozen=True, slots=True)
class Personally:
    """What is said of a personal answer: for the whole, ``None`` for a stranger's, and for each of its first hits."""

    whole: Personalised | None = None
    hits: Sequence[PersonalHit] = field(default_factory=list)


class PersonalResults:
    """Orders hits by what a store remembers of whoever asks. ``clock`` gives milliseconds since 1970."""

    def __init__(
        self,
        settings: Settings,
        table: Table,
        vectors: VectorIndex,
        documents: Documents,
        clock: Callable[[], int] = lambda: int(1000 * time.time()),
    ) -> None:
        self.memory = Memory(settings)
        self.recall: Callable[[Shopper], Remembered | None] = self.memory.recall
        self._tastes = Tastes(table, vectors, documents.row_of)
        self._documents = documents
        self._clock = clock

    def remembering(
        self, recall: Callable[[Shopper], Remembered | None], clock: Callable[[], int] | None = None
    ) -> PersonalResults:
        """Return the same with another memory, and another clock where one is given."""
        other = copy.copy(self)
        other.recall, other._clock = recall, clock or self._clock
        return other

    def taste(self, who: Shopper) -> Taste | None:
        """Return what is known of who asks, ``None`` where that is nothing."""
        remembered = self.recall(who)
        if remembered is None:
            return None
        taste = self._tastes.read(remembered.history, remembered.stated, self._clock())
        return None if taste.empty else taste

    def order(self, taste: Taste, ranking: Ranking, weight: float, language: str) -> tuple[Ranking, Personally]:
        """Return a ranking in the order of a taste, and what is said about it."""
        fits, reasons = self._tastes.fit(taste, ranking.rows[:APART])
        ordered, gained = moved(ranking, fits, weight)
        places = (gained + range(len(gained))).tolist()
        hits = [
            PersonalHit(moved=int(up), fit=round(float(fits[place]), 4), because=self._because(reasons[place], int(up), language))
            for up, place in zip(gained, places, strict=True)
        ]
        signals = sorted({reason.signal for of_row in reasons for reason in of_row if abs(reason.share) >= _LEAST_SHARE})
        return ordered, Personally(Personalised(events=taste.events, signals=signals), hits)

    def _because(self, reasons: Sequence[Reason], up: int, language: str) -> list[Because]:
        """Return what speaks for a hit, or against it where it went down for that, and that it was chosen before."""
        told = [r for r in reasons if up < 0 and r.share <= -_LEAST_SHARE and r.signal == "stated"]
        told += [r for r in reasons if r.share >= _LEAST_SHARE or r.signal == "known"]
        return [self._told(reason, language) for reason in told[:_SHOWN]]

    def _told(self, reason: Reason, language: str) -> Because:
        documents = self._documents
        text = reason_text(reason, language, lambda row: str(documents.head(row)["title"]))
        return Because(
            signal=reason.signal,
            text=text,
            product_id=documents.ids[reason.row] if reason.row >= 0 else "",
            value=reason.value,
        )
