"""Which characters of a product answer the words of a query, the same for both scripts and every kind of search.

In: a document and the query's words. Out: :class:`~engine.schema.Highlight` for each field with a match: the whole
title, the part of the description around the first match. Spans are code points. Knows nothing of scores.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from engine.language import Word, fold, is_stop, terms
from engine.schema import Highlight

__all__ = ["Highlighter"]

_SNIPPET = 180
_READ = 4000
_RUN = re.compile(r"[^\W_]+(?:[-./+_'’&][^\W_]+)*")


class Highlighter:
    """Finds the words of one query in many documents."""

    def __init__(self, found: Sequence[Word]) -> None:
        content = [w for w in found if not is_stop(w)] or list(found)
        self._stems = {t.text for t in terms([w for w in content if not w.han]) if t.cover >= 0.5}
        han = sorted({t.text for w in content if w.han for t in terms([w]) if len(t.text) > 1 or t.cover == 1.0})
        starts = {re.escape(s[: max(2, len(s) - 1)] if len(s) > 3 else s) for s in self._stems}
        patterns = [rf"(?<![^\W_])(?:{'|'.join(sorted(starts, key=len, reverse=True))})[^\W_]*"] if starts else []
        patterns += [re.escape(h) for h in sorted(han, key=len, reverse=True)]
        self._pattern = re.compile("|".join(patterns)) if patterns else None

    def highlight(self, document: dict[str, Any]) -> dict[str, Highlight]:
        """Return what matches in the title, brand and description of a document."""
        out = {}
        for name in ("title", "brand", "description"):
            text = document.get(name, "")[:_READ]
            if text and (spans := self._spans(text)):
                out[name] = _around(text, spans) if name == "description" else Highlight(snippet=text, spans=spans)
        return out

    def _spans(self, text: str) -> list[tuple[int, int]]:
        if self._pattern is None:
            return []
        folded, places = fold(text)
        spans: list[tuple[int, int]] = []
        for match in self._pattern.finditer(folded):
            if match.group()[0] < "\u2fff" and not self._same_word(match.group()):
                continue
            start, end = places[match.start()], places[match.end() - 1] + 1
            if spans and start <= spans[-1][1]:
                spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
            else:
                spans.append((start, end))
        return spans

    def _same_word(self, candidate: str) -> bool:
        return any(t.text in self._stems for t in terms([Word(candidate, 0, len(candidate), False)]))


def _around(text: str, spans: list[tuple[int, int]]) -> Highlight:
    """Return the part of a long text around its first match, cut at spaces where there are some."""
    if len(text) <= _SNIPPET:
        return Highlight(snippet=text, spans=spans)
    start = max(0, spans[0][0] - _SNIPPET // 4)
    if start and (space := text.find(" ", start, spans[0][0])) >= 0:
        start = space + 1
    end = min(len(text), start + _SNIPPET)
    if end < len(text) and (space := text.rfind(" ", spans[0][1], end)) > start:
        end = space
    head, tail = "…" * (start > 0), "…" * (end < len(text))
    kept = [(max(s, start), min(e, end)) for s, e in spans if s < end and e > start]
    shift = len(head) - start
    return Highlight(snippet=head + text[start:end] + tail, spans=[(s + shift, e + shift) for s, e in kept])
