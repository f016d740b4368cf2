"""Which characters of a product answer the words of a query, the same for both scripts and every kind of search.

In: a document and the query's words. Out: :class:`~engine.schema.Highlight` for each field with a match: the whole
title, the part of the description around the first match. Spans are code points. Knows nothing of scores.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from engine.language import PIECE, Word, fold, is_stop, terms

__all__ = ["Highlighter"]

_SNIPPET = 180
_READ = 2000
_RUN = re.compile(r"[^\W_]+(?:[-./+_'’&][^\W_]+)*")
_HAN = re.compile(r"[\u3400-\u9fff]")


@lru_cache(maxsize=65_536)
def _forms(run: str) -> frozenset[str]:
    """Return the forms of a word that is not Chinese."""
    return frozenset(t.text for t in terms([Word(run, 0, len(run), False)]))


class Highlighter:
    """Finds the words of one query in many documents."""

    def __init__(self, found: Sequence[Word]) -> None:
        content = [w for w in found if not is_stop(w)] or list(found)
        self._latin = frozenset(t.text for t in terms([w for w in content if not w.han]) if t.cover >= 0.5)
        han = {t.text for w in content if w.han for t in terms([w]) if len(t.text) > 1 or t.cover == 1.0}
        # Stemming keeps the first letters but for a few words (dying, die), so only words that contain the start of a
        # form or of a word as written need be compared.
        self._starts = tuple({_start(form) for form in (*self._latin, *(w.text for w in content if not w.han))})
        self._han = sorted(han, key=lambda t: (-len(t), t))

    def highlight(self, document: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """Return what matches in the title, brand and description of a document, as values of ``Highlight``."""
        out = {}
        for name in ("title", "brand", "description"):
            text = document.get(name, "")[:_READ]
            whole = name != "description" or len(text) <= _SNIPPET
            if text and (spans := self._spans(text, len(text) if whole else _SNIPPET)):
                out[name] = {"snippet": text, "spans": spans} if whole else _around(text, spans)
        return out

    def _spans(self, text: str, within: int) -> list[tuple[int, int]]:
        """Return what matches, no further than ``within`` characters after the first match."""
        folded, places = fold(text)
        found = self._latin_spans(folded)
        if self._han and _HAN.search(folded):
            han = [(at, at + len(t)) for t in self._han for at in _occurrences(folded, t)]
            found = iter(sorted([*found, *han]))
        spans: list[tuple[int, int]] = []
        for first, last in found:
            start, end = places[first], places[last - 1] + 1
            if spans and start > spans[0][0] + within:
                break
            if spans and start <= spans[-1][1]:
                spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
            else:
                spans.append((start, end))
        return spans

    def _latin_spans(self, folded: str) -> Iterator[tuple[int, int]]:
        """Yield the words that share a form with the query, looking only where the start of one is."""
        places = [at for start in self._starts for at in (folded.find(start), folded.rfind(start)) if at >= 0]
        if not places:
            return
        end = folded.find(" ", max(places))
        for run in _RUN.finditer(folded, folded.rfind(" ", 0, min(places)) + 1, end if end >= 0 else len(folded)):
            word = run.group()
            if self._may_match(word) and not self._latin.isdisjoint(_forms(word)):
                yield run.span()

    def _may_match(self, word: str) -> bool:
        """Return whether a word can share a form with the query: far cheaper than its forms."""
        return word.startswith(self._starts) or (not word.isalpha() and any(start in word for start in self._starts))


def _start(form: str) -> str:
    """Return letters that every way to write a form has, however it is hyphenated and whatever its ending."""
    piece = PIECE.match(form)
    head = piece.group() if piece else form
    return head[: max(2, min(4, len(head) - 1))]


def _occurrences(text: str, part: str) -> Iterator[int]:
    at = text.find(part)
    while at >= 0:
        yield at
        at = text.find(part, at + 1)


def _around(text: str, spans: list[tuple[int, int]]) -> dict[str, Any]:
    """Return the part of a long text around its first match, cut at spaces where there are some."""
    start = max(0, spans[0][0] - _SNIPPET // 4)
    if start and (space := text.find(" ", start, spans[0][0])) >= 0:
        start = space + 1
    end = min(len(text), start + _SNIPPET)
    if end < len(text) and (space := text.rfind(" ", spans[0][1], end)) > start:
        end = space
    head, tail = "…" * (start > 0), "…" * (end < len(text))
    kept = [(max(s, start), min(e, end)) for s, e in spans if s < end and e > start]
    shift = len(head) - start
    return {"snippet": head + text[start:end] + tail, "spans": [(s + shift, e + shift) for s, e in kept]}
