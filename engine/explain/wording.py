"""Wording that people wrote and that holds whatever the values are: a seed corpus, and what of it may be said.

In: a folder with ``en.tsv`` and ``zh.tsv``: department, need and explanation, with references to slots. Out: a
:class:`Wording`: the seeds, whether every stretch between two references of a sentence stands so, between the same two, in
the corpus, and which piece may follow which (:class:`Line`). So a model may join such stretches anew and nothing it joins
has to be judged; other words go through the ground check like anybody's. Who adds a seed writes nothing that another value
of the slot, or another kind of product, would make untrue. Knows nothing of products or models.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from engine.errors import GeneratorError
from engine.explain.reading import sentences
from engine.explain.slots import ASKED, SLOT, SLOTS, Slot, referred

__all__ = ["OWN_VOICE", "STOP", "Line", "Seed", "Wording", "load_wording", "pieces", "stretches", "verb_of"]

OWN_VOICE = Path(__file__).with_name("voice")
"""The folder of the corpus, and of the model trained on it, that come with daogou."""

STOP = "</s>"
"""The piece that ends a sentence, and, where one would begin, the explanation."""

_BEGIN, _END = "^", "$"
_VERBS, _BEFORE = ("!", "?"), "<"
_OF_IT = re.compile(r"\bit(?:'s)?\b", re.IGNORECASE)
_VERB = re.compile(
    r"\b(?:is|are|was|'s|costs?|weighs|holds|has|have|comes|takes|runs|sells|goes|gets?|gives|gave|says|names|lists|makes|adds|stores"
    r"|stays|keeps|carries|measures|offers|belongs|find|show|pay|take|wanted|asked|named|said|fits|lasts|speaks|talks|mentions|puts"
    r"|covers|used)\b|'s\b"
)
_PIECE = re.compile(r"\{[a-z_0-9]+\*?\}| ?[A-Za-z']+| ?[^\sA-Za-z{]|\s")
_LETTER = re.compile(r"\w")
_PARTS = re.compile(r"[A-Za-z']+|[\u4e00-\u9fff]")
_MOST_WORDS, _MOST_CHARACTERS = 1, 2
_LANGUAGES = ("en", "zh")


@dataclass(frozen=True, slots=True)
class Seed:
    """One explanation of the corpus: its department, a need it answers, and its sentences with references."""

    department: str
    need: str
    sentences: tuple[str, ...]


def pieces(text: str) -> tuple[str, ...]:
    """Return what a model writes one at a time: references, English words with the space before them, single other characters.

    >>> pieces("It weighs {weight}.")
    ('It', ' weighs', ' ', '{weight}', '.')
    """
    return tuple(_PIECE.findall(text))


def stretches(sentence: str) -> Iterator[tuple[str, str, str]]:
    """Yield the words between two references, each with what is on its left and right: the names, and on the left a mark where the
    sentence has had its verb by then, ``!`` of ``it`` and ``?`` of something else. So what follows ``At {price}`` does not follow
    ``It costs {price}``, and what ``it`` does nothing else does. An end of several words, or with a verb, also names what stood
    before its reference.

    >>> list(stretches("It weighs {weight}."))
    [('^', 'It weighs ', 'weight'), ('weight!', '.', '$')]
    """
    parts = SLOT.split(sentence)
    names = [_BEGIN, *parts[1::2], _END]
    verb = before = ""
    for (left, right), words in zip(pairwise(names), parts[::2], strict=True):
        said = _PARTS.findall(words)
        long = len(said) > (_MOST_WORDS if words.isascii() else _MOST_CHARACTERS) or verb_of(words) != ""
        ends = right == _END and long
        yield left + verb + (f"{_BEFORE}{_plain(before)}" if ends else ""), words, right
        verb, before = verb or verb_of(words), words


def verb_of(text: str) -> str:
    """Return the mark of what a part of an English sentence does: empty where it has no verb, ``!`` where ``it`` does something,
    ``?`` where something else does."""
    if _VERB.search(text) is None:
        return ""
    return _VERBS[0] if _OF_IT.search(text) else _VERBS[1]


class Wording:
    """The corpus of a folder. Immutable, safe to share."""

    def __init__(self, folder: Path) -> None:
        """Read it.

        Raises:
            GeneratorError: it is missing, or a line is no seed.
        """
        self.seeds = {language: _seeds(folder / f"{language}.tsv") for language in _LANGUAGES}
        self._follow = {language: _follow(seeds) for language, seeds in self.seeds.items()}
        self._approved = {
            language: frozenset((left, _plain(words), right) for left, rows in follow.items() for words, right in rows)
            for language, follow in self._follow.items()
        }
        self._pieces = {
            language: {left: [(pieces(words), right) for words, right in rows] for left, rows in follow.items()}
            for language, follow in self._follow.items()
        }

    def approved(self, sentence: str, language: str) -> bool:
        """Return whether a sentence with references is made of approved wording alone."""
        allowed = self._approved[language]
        return bool(SLOT.search(sentence)) and all(
            any((way, _plain(words), right) in allowed for way in _lefts(left)) for left, words, right in stretches(sentence)
        )

    def referenced(self, text: str, language: str, slots: Mapping[str, Slot]) -> str | None:
        """Return a sentence whose values are written out as approved wording with references, where it is that and nothing else.

        The sentence is read as it would be shown: of ``It weighs 420 g.`` the value must be what code writes for ``{weight}``.
        """
        return self._read(text, 0, _BEGIN, language, slots, frozenset(), "", "")

    def _read(
        self, text: str, at: int, left: str, language: str, slots: Mapping[str, Slot], used: frozenset[str], verb: str, before: str
    ) -> str | None:
        follow = self._follow[language]
        for words, right in (*follow.get(left + verb, ()), *follow.get(f"{left}{verb}{_BEFORE}{_plain(before)}", ())):
            end = at + len(words)
            said = text[at:end]
            if said != words and not (at == 0 and said[1:] == words[1:] and said[:1].lower() == words[:1].lower()):
                continue
            if right == _END:
                if end == len(text):
                    return words
                continue
            slot = referred(right, slots)
            if slot is None or slot.name in used:
                continue
            shown = text[end : end + len(slot.shown)]
            if shown != slot.shown and not (end == 0 and shown == slot.shown[:1].upper() + slot.shown[1:]):
                continue
            had = verb or verb_of(words)
            rest = self._read(text, end + len(slot.shown), right, language, slots, used | {slot.name}, had, words)
            if rest is not None:
                return f"{words}{{{right}}}{rest}"
        return None

    def vocabulary(self) -> list[str]:
        """Return every piece of the corpus, references included, in order."""
        found = {p for rows in self._pieces.values() for ends in rows.values() for words, _ in ends for p in words}
        return [STOP, *(f"{{{name}{mark}}}" for name in SLOTS for mark in ("", ASKED)), *sorted(found)]

    def after(self, language: str, left: str) -> Sequence[tuple[tuple[str, ...], str]]:
        """Return what may follow a reference, as :func:`stretches` writes it: pieces, and the name that comes after them."""
        return self._pieces[language].get(left, [])


class Line:
    """An explanation as it is written, and which pieces may come next so that it stays approved and ends.

    No reference comes twice, and none that ``slots`` lacks.
    """

    def __init__(self, wording: Wording, language: str, slots: Mapping[str, Slot], most_sentences: int) -> None:
        self._wording, self._language, self._slots, self._most = wording, language, slots, most_sentences
        self._used: set[str] = set()
        self._left, self._verb, self._before = _BEGIN, "", ""
        self._since: tuple[str, ...] = ()
        self._begun = ""
        self.sentences: list[str] = []
        self.ended = False

    def _ends(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yield the stretches that what was written since the last reference can become."""
        here = self._left + self._verb
        for left in {*_lefts(here), *_lefts(f"{here}{_BEFORE}{_plain(self._before)}")}:
            for words, right in self._wording.after(self._language, left):
                if words[: len(self._since)] == self._since and self._free(right):
                    yield words, right

    def _free(self, right: str) -> bool:
        if right == _END:
            return True
        slot = referred(right, self._slots)
        return slot is not None and slot.name not in self._used

    def allowed(self) -> set[str]:
        """Return the pieces that may come next."""
        out = set()
        at = len(self._since)
        for words, right in self._ends():
            out.add(words[at] if at < len(words) else STOP if right == _END else f"{{{right}}}")
        if self._left == _BEGIN and not self._since:
            if self.sentences:
                out.add(STOP)
            if len(self.sentences) >= self._most:
                out = {STOP}
        return out

    def write(self, piece: str) -> None:
        """Add a piece, which must be an allowed one."""
        if piece == STOP and self._left == _BEGIN and not self._since:
            self.ended = True
        elif piece == STOP:
            self.sentences.append(self._begun)
            self._begun, self._left, self._since, self._verb, self._before = "", _BEGIN, (), "", ""
        elif match := SLOT.fullmatch(piece):
            self._used.add(match[1].removesuffix(ASKED))
            self._before = "".join(self._since)
            self._verb = self._verb or verb_of(self._before)
            self._left, self._since = match[1], ()
            self._begun += piece
        else:
            self._since = (*self._since, piece)
            self._begun += piece


@lru_cache(maxsize=4)
def load_wording(folder: Path = OWN_VOICE) -> Wording:
    """Return the wording of a folder, read once."""
    return Wording(folder)


def _seeds(path: Path) -> tuple[Seed, ...]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise GeneratorError(f"{path} cannot be read ({type(error).__name__}). A voice has an en.tsv and a zh.tsv.") from error
    seeds = []
    for number, line in enumerate(lines, 1):
        cells = line.split("\t")
        names = [name.removesuffix(ASKED) for name in SLOT.findall(cells[-1])]
        if len(cells) != 3 or not names or set(names) - set(SLOTS) or re.search(r"[{}]", SLOT.sub("", cells[-1])):
            raise GeneratorError(
                f"Line {number} of {path} is no seed. It needs a department, a need and an explanation, separated by tabs, "
                f"with references such as {{price}}. Known are: {', '.join(SLOTS)}."
            )
        seeds.append(Seed(cells[0], cells[1], tuple(sentences(cells[2]))))
    return tuple(seeds)


def _follow(seeds: Sequence[Seed]) -> dict[str, tuple[tuple[str, str], ...]]:
    found: dict[str, dict[tuple[str, str], None]] = {}
    for seed in seeds:
        for sentence in seed.sentences:
            for left, words, right in stretches(sentence):
                bare = left.rstrip("".join(_VERBS))
                ends = right == _END and not _LETTER.search(words)  # a full stop may come whether or not there was a verb
                for way in (bare, *(bare + verb for verb in _VERBS)) if ends else (left,):
                    found.setdefault(way, {})[(words, right)] = None
    return {left: tuple(rows) for left, rows in found.items()}


def _lefts(left: str) -> set[str]:
    """Return what a stretch may stand to the right of: what was asked for may be followed by what follows it unasked."""
    return {left, left.replace(ASKED, "")}


def _plain(words: str) -> str:
    return re.sub(r"\s+", " ", words).lower()
