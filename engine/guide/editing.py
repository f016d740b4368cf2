"""A need while a turn changes it: pieces added, replaced, taken away, each change noted.

In: a state, and pieces. Out: a :class:`Turn`. A piece takes the place of one about the same field, or of one that it contradicts.
Knows nothing of how words are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from engine.guide.state import MOST_PIECES, Change, GuideState, Piece
from engine.language import is_stop, stem_of, words

__all__ = ["Editing", "Turn", "next_page", "same", "stems", "thing_of"]

_MOST_PAGES = 100

Act = Literal["need", "compare", "versus", "pick", "more", "none"]


@dataclass(frozen=True, slots=True)
class Turn:
    """The state after a turn, what changed, and what is to be done: find (``need``), ``compare`` the products ``ids``, or those
    that are found by their ``names`` (``versus``), say more about one (``pick``), show ``more``, or ``none`` where nothing was
    understood. ``reader`` is who read it."""

    state: GuideState
    changes: tuple[Change, ...] = ()
    act: Act = "need"
    ids: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    reader: Literal["rules", "endpoint"] = "rules"


class Editing:
    """A state while a turn changes it."""

    def __init__(self, state: GuideState) -> None:
        self.state = state
        self.pieces = list(state.pieces)
        self.changes: list[Change] = []
        self._new: list[Piece] = []

    @property
    def thing(self) -> Piece | None:
        """What is wanted, if that is known."""
        return thing_of(self.pieces)

    def begin(self, pieces: Sequence[Piece]) -> None:
        """Begin anew."""
        old = self.query()
        self.pieces = list(pieces)[:MOST_PIECES]
        self.state = self.state.model_copy(update={"asked": []})
        self.changes += [Change(what="replaced" if old else "added", piece=p, before=old) for p in self.pieces if p.kind == "thing"]
        self.changes += [Change(what="added", piece=p) for p in self.pieces if p.kind not in ("thing", "word")]

    def put(self, piece: Piece) -> Editing:
        """Add a piece, in the place of one it contradicts; what the same turn said before is not contradicted."""
        said = _saying(piece.text)
        for old in self.pieces:
            said_before = _saying(old.text)
            same_field = bool(piece.field) and piece.field == old.field and not any(old is p for p in self._new)
            denied = {old.kind, piece.kind} == {"exclude", "quality"} and bool(said_before & said)
            if same_field or denied:
                if old != piece:
                    self.changes.append(Change(what="replaced", piece=piece, before=old.text))
                    self._new.append(piece)
                self.pieces = [p for p in self.pieces if p is not old and (not same_field or p.field != piece.field)]
                self.pieces.insert(self._place(piece), piece)
                return self
            if piece.kind == old.kind and piece.filter == old.filter and said <= said_before:
                return self
        self.pieces.insert(self._place(piece), piece)
        self.changes.append(Change(what="added", piece=piece))
        self._new.append(piece)
        return self

    def _place(self, piece: Piece) -> int:
        """Return where a piece belongs: what the thing is like before it, everything else behind."""
        thing = self.thing if piece.kind in ("quality", "word") else None
        return len(self.pieces) if thing is None else self.pieces.index(thing)

    def drop(self, text: str) -> bool:
        """Take away the pieces whose words a text names; return whether there were any."""
        said = stems(text)
        return self.take([p for p in self.pieces if p.kind != "thing" and stems(p.text) <= said])

    def clear(self, field: str) -> None:
        """Take away every piece about a field."""
        self.take([p for p in self.pieces if p.field == field])

    def take(self, gone: Sequence[Piece]) -> bool:
        """Take these pieces away; return whether there were any."""
        self.pieces = [p for p in self.pieces if p not in gone]
        self.changes += [Change(what="removed", piece=p) for p in gone]
        return bool(gone)

    def query(self) -> str:
        """Return the need in words."""
        return " ".join(p.text for p in self.pieces if p.kind != "word")

    def turn(self, reader: Literal["rules", "endpoint"] = "rules") -> Turn:
        """Return the turn as it came to be."""
        changed = self.pieces != self.state.pieces
        update = {"pieces": self.pieces[:MOST_PIECES], **({"page": 1} if changed else {})}
        act: Act = "need" if self.pieces else "none"
        return Turn(self.state.model_copy(update=update), tuple(self.changes), act, reader=reader)


def next_page(state: GuideState) -> GuideState:
    """Return the state that shows the next products of the same need."""
    return state.model_copy(update={"page": min(state.page + 1, _MOST_PAGES)})


def same(one: str, other: str) -> bool:
    """Return whether two names say the same, or one says more of it."""
    a, b = stems(one), stems(other)
    return a <= b or b <= a


def stems(text: str) -> set[str]:
    """Return the stems of a text's words."""
    return {stem_of(w) for w in words(text)}


def _saying(text: str) -> set[str]:
    return {stem_of(w) for w in words(text) if not is_stop(w)}


def thing_of(pieces: Iterable[Piece]) -> Piece | None:
    """Return what is wanted, ``None`` where that is not known."""
    return next((p for p in pieces if p.kind == "thing"), None)
