"""What models answer with, read as it arrives: drafts out of lines, or out of JSON.

In: pieces of text. Out: drafts, each as soon as it is complete. Lines are ``P1: sentence``, or ``{"id": "P1", "text": "…"}``; JSON
is ``{"claims": [{"id": "P1", "text": "…"}]}``, whole or in a fence. Half a sentence never counts, and memory is bounded. Knows
nothing of transports, and judges nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from engine.explain.generator import Draft
from engine.explain.reading import sentences

__all__ = ["DraftReader"]

_MAX_LINE = 2000
_MAX_JSON = 65_536
_LINE = re.compile(r"^[\s\-*•>\d.)]*?\**\[?([^\s:：\[\]*]{1,256})\]?\**\s*[:：]\s*(.+)$")
_BEGINNINGS = tuple(f'{fence}{{"claims":[' for fence in ("", "```", "```json"))
_CLAIMS = re.compile(r'"claims"\s*:\s*\[')
_DECODER = json.JSONDecoder()


class DraftReader:
    """``names`` maps what a sentence may be marked with to product ids. A sentence with no known mark becomes a draft for no
    product."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        self._rest = ""
        self._json = False

    def feed(self, text: str) -> Iterator[Draft]:
        """Yield the drafts that ``text`` completes."""
        self._rest += text
        if not self._json and (found := _CLAIMS.search(self._rest)):
            self._json, self._rest = True, self._rest[found.end() :]
        if self._json:
            yield from self._objects()
            return
        begun = "".join(self._rest.split())
        if any(b.startswith(begun) for b in _BEGINNINGS) and len(self._rest) < _MAX_LINE:
            return  # what may become the list is no line yet
        *lines, self._rest = self._rest.split("\n")
        for line in lines:
            yield from self._line(line)
        # A line without an end is no sentence of ours; keep memory bounded and let it be refused.
        self._rest = self._rest[: _MAX_LINE + 1]

    def finish(self) -> Iterator[Draft]:
        """Yield the drafts of the last line, once the answer is known to be complete."""
        line, self._rest = self._rest, ""
        if not self._json:
            yield from self._line(line)

    def _objects(self) -> Iterator[Draft]:
        """Yield the claims that have ended; after the list nothing is read."""
        while True:
            self._rest = self._rest.lstrip(" \t\r\n,")[:_MAX_JSON]
            if self._rest.startswith("]"):
                self._rest = "]"  # the list has ended, and nothing that follows is read
                return
            try:
                value, end = _DECODER.raw_decode(self._rest)
            except (ValueError, RecursionError):
                return
            self._rest = self._rest[end:]
            if not isinstance(value, dict):
                continue
            yield from self._sentences(str(value.get("id", "")), str(value.get("text", "")))

    def _line(self, line: str) -> Iterator[Draft]:
        line = line.strip()
        if not line or len(line) > _MAX_LINE:
            if line:
                yield Draft("", line[:80])
            return
        name, text = self._parts(line)
        yield from self._sentences(name, text, line)

    def _sentences(self, name: str, text: str, line: str = "") -> Iterator[Draft]:
        product_id = self._names.get(name, "")
        for sentence in sentences(text) if product_id else [line or text[:80]]:
            yield Draft(product_id, sentence)

    def _parts(self, line: str) -> tuple[str, str]:
        if line.startswith("{"):
            try:
                value = json.loads(line.rstrip(","))
            except (ValueError, RecursionError):
                return "", line
            if isinstance(value, dict):
                return str(value.get("id", "")), str(value.get("text", ""))
            return "", line
        for name in self._names:
            if line.startswith(name) and line[len(name) :].lstrip()[:1] in (":", "："):
                return name, line[len(name) :].lstrip()[1:].strip()
        match = _LINE.match(line)
        return (match[1], match[2]) if match else ("", line)
