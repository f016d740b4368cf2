"""Turn text in English, Chinese or both into search terms with their places.

In: text. Out: folded text with an offset map (:func:`fold`), words (:func:`words`) and terms (:func:`terms`).
Folding is NFKC per character, lower case, and traditional to simplified Chinese, so that spans always point
into the text as it was given. Knows nothing of fields, weights or indexes.

English words are stemmed (Snowball English, https://snowballstem.org). Chinese runs are segmented with jieba's
dictionary (``rjieba``), and every pair of neighbouring characters is a term too, so that a different cut still
meets. A compound such as ``TN-2110`` is one word with several forms: ``tn2110``, ``tn``, ``2110``.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import rjieba
import Stemmer

__all__ = [
    "PIECE",
    "TERMS_VERSION",
    "Term",
    "Word",
    "fold",
    "folded_line",
    "is_stop",
    "language_of",
    "normalize_code",
    "replaced",
    "stem",
    "stem_of",
    "terms",
    "words",
]

TERMS_VERSION = 1
"""Changes whenever :func:`terms` would cut a text differently; stored in every snapshot."""

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002ebef"
_WORD = re.compile(rf"[{_HAN}]+|\d+(?:[.,]\d+)+(?![\w])|[^\W_{_HAN}]+(?:[-./+_'’&][^\W_{_HAN}]+)*")
_HAN_RUN = re.compile(rf"[{_HAN}]")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
PIECE = re.compile(r"[^\W\d_]+|\d+")
"""A run of letters or of digits: what a model number falls into, however it is hyphenated."""
_JOINERS = re.compile(r"[-./+_'’&]")

_STOP_EN = frozenset(
    "a an the and or of for with in on to at by from is are be it its this that these those i im i'm you we me my our "
    "your need needs want wants looking look find show buy get please something some any can could would like which "
    "what where have has do does who as if so very".split()
)
_STOP_ZH = frozenset(
    "的 了 我 你 他 她 它 我们 想 想要 要 买 买个 购买 一个 一款 一件 一双 一台 一些 个 款 件 双 台 有没有 有 吗 呢 吧 请 请问 "
    "推荐 找 帮 帮我 给 和 与 或 或者 及 是 在 用 能 可以 那种 这种 什么 哪些 哪个 那 这 比较 最好 适合 以及 带 等".split()
)
_STEMMERS = threading.local()


@dataclass(frozen=True, slots=True)
class Word:
    """One word as written: ``text`` is folded, ``start`` and ``end`` point into the original text."""

    text: str
    start: int
    end: int
    han: bool


@dataclass(frozen=True, slots=True)
class Term:
    """One form a word is searched by.

    ``cover`` is how much of the word a product has when it has this term: 1 for the word itself, a share for a
    part of it, 0 for a term that only helps to score. ``word`` is the index of the word it belongs to.
    """

    text: str
    word: int
    cover: float


@lru_cache(maxsize=1)
def simplified() -> dict[int, str]:
    """Return a character map from traditional to simplified Chinese, one character to one."""
    from opencc import OpenCC

    convert = OpenCC("t2s").convert
    block = [chr(c) for c in range(0x4E00, 0xA000)]
    return {ord(c): s for c in block if len(s := convert(c)) == 1 and s != c}


@lru_cache(maxsize=65_536)
def _fold_char(char: str) -> str:
    folded = unicodedata.normalize("NFKC", char).lower().translate(simplified())
    return folded if folded.strip() or char.isspace() else " "


def fold(text: str) -> tuple[str, Sequence[int]]:
    """Return ``text`` folded, and for each folded character the offset it came from (one entry more for the end)."""
    if text.isascii():
        return text.lower(), range(len(text) + 1)
    folded = _NOT_ASCII.sub(lambda run: "".join(map(_fold_char, run.group())), text).lower()
    if len(folded) == len(text):  # no character folds to nothing, so each folded to one
        return folded, range(len(text) + 1)
    grown = {char: length for char in set(text) if (length := len(_fold_char(char))) > 1}
    places: list[int] = []
    done = 0
    for found in re.finditer(f"[{re.escape(''.join(grown))}]", text):
        places.extend(range(done, found.start()))
        places.extend([found.start()] * grown[found.group()])
        done = found.end()
    places.extend(range(done, len(text) + 1))
    return folded, places


def replaced(text: str, changes: Iterable[tuple[int, int, str]]) -> str:
    """Return ``text`` with other words in place of its spans ``(start, end, words)``, in order and not overlapping.

    >>> replaced("red wool scarf", [(0, 3, "green"), (9, 14, "hat")])
    'green wool hat'
    """
    out, done = [], 0
    for start, end, words_instead in changes:
        out += [text[done:start], words_instead]
        done = end
    return "".join([*out, text[done:]])


def folded_line(text: str) -> str:
    """Return ``text`` folded, with one space for any white space: two searches with the same one are the same search."""
    return " ".join(fold(text)[0].split())


def language_of(text: str) -> Literal["en", "zh", ""]:
    """Return ``zh`` when at least a fifth of the letters are Han, ``en`` when there are other letters, else ``""``."""
    letters = [c for c in text if c.isalpha()]
    if not letters:
        return ""
    return "zh" if 5 * sum(1 for c in letters if _HAN_RUN.match(c)) >= len(letters) else "en"


def _end(places: Sequence[int], position: int, start: int) -> int:
    return max(places[position - 1] + 1, start) if position else start


def words(text: str) -> list[Word]:
    """Return the words of ``text`` in order. Chinese runs are segmented; spans index the original text."""
    folded, places = fold(text)
    found: list[Word] = []
    for match in _WORD.finditer(folded):
        run, at = match.group(), match.start()
        pieces: Iterable[str] = rjieba.cut(run) if (han := bool(_HAN_RUN.match(run))) else (run,)
        for piece in pieces:
            start = places[at]
            found.append(Word(piece, start, _end(places, at + len(piece), start), han))
            at += len(piece)
    return found


def is_stop(word: Word) -> bool:
    """Return whether the word carries no need of its own (``the``, ``looking``, ``的``, ``推荐``)."""
    return word.text in (_STOP_ZH if word.han else _STOP_EN)


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """Return the stem of an English word in lower case; other words come back as they are."""
    # A Snowball stemmer keeps a buffer, so each thread has its own.
    if not hasattr(_STEMMERS, "english"):
        _STEMMERS.english = Stemmer.Stemmer("english")
    return str(_STEMMERS.english.stemWord(word))


def stem_of(word: Word) -> str:
    """Return what the forms of a word share: the stem of an English word, a Chinese word as it is."""
    return word.text if word.han else stem(word.text)


@lru_cache(maxsize=65_536)
def _latin_forms(text: str) -> tuple[tuple[str, float], ...]:
    """Return the forms of a word that is not Chinese, each with its share of the word."""
    if text.replace(".", "").replace(",", "").isdigit():
        return ((text.replace(",", ""), 1.0),)
    if text.endswith(("'s", "’s")):
        text = text[:-2]
    joined = _JOINERS.sub("", text)
    forms = {stem(joined): 1.0}
    parts = [p for p in _JOINERS.split(text) if p]
    if len(parts) > 1:
        for part in parts:
            forms.setdefault(stem(part), 1.0 / len(parts))
    pieces = PIECE.findall(joined)
    if len(pieces) > 1 and len(joined) <= 24:
        for piece in pieces:
            forms.setdefault(stem(piece), 1.0 / len(pieces))
    return tuple(forms.items())


@lru_cache(maxsize=65_536)
def _han_forms(text: str) -> tuple[tuple[str, float], ...]:
    """Return a Chinese word and the shorter dictionary words and character pairs inside it."""
    forms = {text: 1.0}
    inner = [w for w in rjieba.cut_for_search(text) if w != text and len(w) > 1]
    inner += [text[i : i + 2] for i in range(len(text) - 1)] if len(text) > 2 else []
    for piece in inner:
        forms.setdefault(piece, 0.6 * len(piece) / len(text))
    return tuple(forms.items())


def terms(found: Sequence[Word]) -> Iterator[Term]:
    """Yield every form of every word, then the character pairs that join neighbouring Chinese words."""
    for index, word in enumerate(found):
        for text, cover in _han_forms(word.text) if word.han else _latin_forms(word.text):
            yield Term(text, index, cover)
    for index in range(1, len(found)):
        left, right = found[index - 1], found[index]
        if left.han and right.han and left.end == right.start:
            yield Term(left.text[-1] + right.text[0], index, 0.0)


def normalize_code(text: str) -> str:
    """Return a model number, SKU or EAN without case, width or separators: ``TN-2110`` and ``tn 2110`` are one."""
    return "".join(c for c in fold(text)[0] if c.isalnum())
