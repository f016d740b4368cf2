"""A bilingual lexicon: phrases of shopping English and Chinese, found in a text longest first.

In: tables of terms, then texts. Out: their phrases (:meth:`Lexicon.find`), or a text put into English word by word
(:meth:`Lexicon.english`). Knows nothing of products, queries or indexes.

A table has a header and tab-separated columns ``kind``, ``en`` and ``zh``, alternatives between bars; the Shopify
product taxonomy's export with ``zh_cn`` and ``zh_tw`` is read as well. Files may be gzipped.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from engine.errors import LexiconError
from engine.language import Word, is_stop, words
from engine.lexicon.phrases import Phrase, Phrases

__all__ = ["Entry", "Lexicon", "other_forms", "read_terms"]

_OWN = Path(__file__).with_name("terms.tsv")
_MOST_FORMS = 4
_KINDS = {"categories": "thing", "attributes": "attribute", "values": "value"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One meaning: ``kind`` is ``thing``, ``accessory``, ``color``, ``material``, ``quality``, ``person`` and the like."""

    kind: str
    en: tuple[str, ...]
    zh: tuple[str, ...]


def read_terms(path: Path) -> list[Entry]:
    """Return the entries of a table.

    Raises:
        LexiconError: the file cannot be read, or has not the columns.
    """
    try:
        with _open(path) as stream:
            rows = csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
            columns = set(rows.fieldnames or ())
            chinese = [c for c in ("zh", "zh_cn", "zh_tw") if c in columns]
            if "en" not in columns or not chinese:
                raise LexiconError(
                    f"{path} has no columns en and zh (or zh_cn). Give a tab-separated table with a header: kind, en, zh."
                )
            return [e for row in rows if (e := _entry(row, chinese)) is not None]
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise LexiconError(f"{path} cannot be read as a table of terms: {error}.") from error


def _open(path: Path) -> TextIO:
    return gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8", newline="")


def _entry(row: dict[str, str | None], chinese: Sequence[str]) -> Entry | None:
    kind = row.get("kind") or ""
    zh = tuple(dict.fromkeys(t for c in chinese for t in _forms(row.get(c) or "")))
    en = _forms(row.get("en") or "")
    return Entry(_KINDS.get(kind, kind or "value"), en, zh) if en and zh else None


def _forms(cell: str) -> tuple[str, ...]:
    return tuple(t.strip() for t in cell.split("|") if t.strip())


def _spaced(phrase: str) -> str:
    return phrase.replace("-", " ")


def other_forms(phrase: Phrase[Entry], han: bool) -> tuple[str, ...]:
    """Return what a phrase is called in the other language: English when ``han``, else Chinese."""
    return tuple(dict.fromkeys(t for e in phrase.means for t in (e.en if han else e.zh)))[:_MOST_FORMS]


class Lexicon:
    """Phrases of both languages. Thread-safe: nothing on it changes."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries = list(entries)
        self._phrases: Phrases[Entry] = Phrases()
        for entry in self._entries:
            for phrase in dict.fromkeys((*entry.en, *map(_spaced, entry.en), *entry.zh)):
                self._phrases.add(phrase, entry)

    @classmethod
    def own(cls, *more: Path) -> Lexicon:
        """Return the lexicon that comes with daogou, and the tables ``more``; the first meaning is the preferred one.

        Raises:
            LexiconError: a table cannot be read.
        """
        return cls(e for path in (_OWN, *more) for e in read_terms(path))

    @classmethod
    def open(cls, folder: Path) -> Lexicon:
        """Return the lexicon of a snapshot."""
        return cls(read_terms(folder / "terms.tsv"))

    def save(self, folder: Path) -> dict[str, int]:
        """Write the lexicon into ``folder`` and return the count of its meanings."""
        folder.mkdir(parents=True, exist_ok=True)
        lines = ["\t".join((e.kind, "|".join(e.en), "|".join(e.zh))) for e in self._entries]
        (folder / "terms.tsv").write_text("\n".join(["kind\ten\tzh", *lines]) + "\n", "utf-8")
        return {"lexicon": len(lines)}

    @property
    def entries(self) -> Sequence[Entry]:
        """Every meaning, the preferred first."""
        return self._entries

    def get(self, phrase: str) -> Sequence[Entry]:
        """Return the meanings of one phrase."""
        return self._phrases.get(phrase)

    def has_word(self, word: str) -> bool:
        """Return whether a word that is not Chinese is in any phrase, and so well spelt."""
        return self._phrases.has_word(word)

    def find(self, text: str, found: Sequence[Word]) -> list[Phrase[Entry]]:
        """Return the phrases of a text, left to right, longest first, without overlaps; ``found`` are its words."""
        return self._phrases.find(text, found)

    def english(self, text: str, keep: bool = False) -> tuple[str, float]:
        """Return ``text`` in English, word by word, and the share of its Chinese characters that could be put so.

        Words that carry no need are dropped, as are those the lexicon does not know unless a model reads them (``keep``); other
        scripts stay as they are.
        """
        found = words(text)
        phrases = [p for p in self.find(text, found) if found[p.last - 1].han]
        said = [(p.start, other_forms(p, han=True)[0]) for p in phrases]
        known = total = 0
        for word in found:
            inside = [p for p in phrases if p.start < word.end and word.start < p.end]
            if not word.han:
                said += [] if inside else [(word.start, text[word.start : word.end])]
            elif inside or not is_stop(word):
                total += len(word.text)
                known += sum(min(p.end, word.end) - max(p.start, word.start) for p in inside)
                if keep and not inside:
                    said.append((word.start, text[word.start : word.end]))
        return " ".join(form for _, form in sorted(said)), known / total if total else 1.0
