"""Exclusions: ``without lid``, ``not leather``, ``sugar-free``, ``不要塑料的``, ``非苹果``.

In: the query. Out: spans and the words to leave out. What is excluded ends at a preposition, a comma or after three
words. A compound that names a quality is left alone, whatever it looks like: ``non-slip``, ``no-show socks``,
``hands-free``, ``wrinkle free``, ``不锈钢``, ``无线``. Knows nothing of the catalogue but the lexicon.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from engine.language import Word, is_stop, words
from engine.lexicon import Lexicon

__all__ = ["Exclusion", "find_exclusions"]


def _slips(word: str) -> str:
    """Return a pattern of the word and everything one slip away from it."""
    forms = [word[:i] + word[i + 1 :] for i in range(len(word))]
    forms += [word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(len(word) - 1)]
    forms += [word[:i] + "[a-z]" + word[i + skip :] for i in range(len(word) + 1) for skip in (0, 1)]
    return "(?:" + "|".join(forms) + ")"


_EN = re.compile(
    rf"(?<![\w-])(?:{_slips('without')}(?:\s+(?:a|an|any|the))?|but\s+not|(?:do(?:es)?n['’]?t|do(?:es)?\s+not)\s+(?:want|like|need|have|contain)"
    r"(?:\s+(?:a|an|any|the))?|(?:not|isn['’]?t|aren['’]?t)(?:\s+(?:a|an|any|the|made\s+(?:of|from|with)|from|in|by))?"
    r"|nothing\s+(?:from|by|in|with|made\s+(?:of|from))(?:\s+(?:a|an|any|the))?|(?:anything|everything)\s+but|other\s+than|instead\s+of|free\s+(?:of|from)|minus|avoid(?:ing)?"
    r"|no(?!\.)|except(?:\s+for)?|excluding|exclude)\s+(?P<what>[a-z0-9][\w'’-]*(?:\s+[a-z0-9][\w'’-]*){0,2})",
    re.IGNORECASE,
)
_EN_FREE = re.compile(r"(?<![\w-])(?P<what>[a-z]{3,})[\s-]free(?![\w-])", re.IGNORECASE)
_EN_NON = re.compile(r"(?<![\w-])non[\s-]?(?P<what>dairy|alcoholic|leather|plastic|metal|wool)(?![\w-])", re.IGNORECASE)
_ZH = re.compile(
    r"(?:(?:请|千万)?(?:不要带|不要有|不要|不含|不带|不加|不想要|不喜欢|不是|不能有|(?<!有)没有|别要|别带|别给我|拒绝|除了|排除|去掉|避开)"
    r"|(?<![\u4e00-\u9fff])非(?!洲|常|接触)|(?<=[的,，、 ])非(?!洲|常|接触))(?P<what>[^\s,，。;；、!！?？]{1,8})"
)
_EN_END = re.compile(
    r"\s+(?:for|with|and|or|in|on|under|over|below|above|from|to|that|which|but|at|between|about|around|please|of"
    r"|without|not|no|except|because|since|as|is|are|price|priced|i|it|by|up)\b.*",
    re.IGNORECASE,
)
_EN_NEVER = frozenset(
    "more less only just too very sure need than later greater lower higher over under exceeding matter problem idea "
    "doubt better necessarily exactly have want be to expensive costly much many so".split()
)
_NO_QUALITY = frozenset(
    "show pull tie iron spill drill touch name sew bake rinse wash slip scratch drip fog snag tear crush frills fuss "
    "mess stick flow tangle".split()
)
"""What follows ``no`` in names of qualities: a no-show sock, a no-pull harness."""
_FREE_QUALITY = frozenset(
    "hands hand wrinkle iron maintenance stress hassle worry duty tax toll shipping risk lint dust tangle rust noise "
    "flicker crease streak tear trouble care error cruelty glare spill fatigue buy get and feel scratch oil".split()
)
"""What stands before ``free`` in names of qualities: they say what a thing is, not what is in it."""
_ZH_END = re.compile(r"(?:的话|的|款|材质|牌子|牌|以外|之外|和|或|还有|也|都|但|就|吗|呢|了|啊).*$")
_ZH_NEVER = re.compile(r"(?:太|超过|超|很|那么|贵|多于|少于|低于|高于|错过|只|让|用|是)")
_ZH_TAIL = re.compile(r"(?:以外|之外)?(?:材质|款|牌子?)?的?")


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Characters ``start`` to ``end`` ask to leave out products that affirm all words of any of ``groups``."""

    start: int
    end: int
    groups: tuple[tuple[Word, ...], ...]


def find_exclusions(text: str, lexicon: Lexicon) -> Iterator[Exclusion]:
    """Yield the exclusions of a query, left to right within each pattern. ``text`` is as typed; spans index it."""
    for match in _EN.finditer(text):
        what = _EN_END.sub("", " " + match.group("what"))[1:].rstrip("-'’ ")
        first = what.split(" ")[0].lower()
        sign = match.group().split()[0].lower()
        if not what or first in _EN_NEVER or (sign == "no" and _is_quality(first, what)):
            continue
        if sign == "no":  # "no rims", not "no rims tires": what follows a plain no is one thing
            what = _one_thing(what, lexicon)
        yield from _exclusion(text, match.start(), match.start("what"), what, match.start("what") + len(what), lexicon)
    for pattern in (_EN_FREE, _EN_NON):
        for match in pattern.finditer(text):
            if match.group("what").lower() not in _FREE_QUALITY:
                yield from _exclusion(text, match.start(), match.start("what"), match.group("what"), match.end(), lexicon)
    for match in _ZH.finditer(text):
        what = _ZH_END.sub("", match.group("what"))
        if what and not _ZH_NEVER.match(what):
            tail = _ZH_TAIL.match(text, match.start("what") + len(what))
            end = tail.end() if tail else match.end()
            yield from _exclusion(text, match.start(), match.start("what"), what, end, lexicon)


def _is_quality(first: str, what: str) -> bool:
    """Return whether what follows ``no`` names a quality: ``no-show socks``, ``no 5``."""
    return first in _NO_QUALITY or first.split("-")[0] in _NO_QUALITY or what[0].isdigit()


def _one_thing(what: str, lexicon: Lexicon) -> str:
    parts = what.split(" ")
    for size in range(len(parts), 1, -1):
        if lexicon.get(" ".join(parts[:size])):
            return " ".join(parts[:size])
    return " ".join(parts[:2]) if len(parts) > 1 and not lexicon.get(parts[0]) else parts[0]


def _exclusion(text: str, start: int, at: int, what: str, end: int, lexicon: Lexicon) -> Iterator[Exclusion]:
    shift = [Word(w.text, w.start + at, w.end + at, w.han) for w in words(what)]
    kept = tuple(w for w in shift if not is_stop(w))
    if kept:
        entries = lexicon.get(what.strip())
        others = dict.fromkeys(t for e in entries for t in (*e.zh, *e.en))
        groups = [kept, *(tuple(words(other)) for other in list(others)[:8])]
        yield Exclusion(start, end, tuple(dict.fromkeys(groups)))
