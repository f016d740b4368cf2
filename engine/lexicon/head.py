"""What a thing is for: ``toner for brother tn-2110``, ``iphone 11 手机壳``, ``适用于佳能的墨盒``.

In: the words and the lexicon's phrases in them. Out: :class:`Head`: which words name the thing wanted, and which the
device it must go with. Without a name of an accessory the device itself is wanted, and accessories are not. Knows
nothing of the catalogue.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

from engine.language import Word, is_stop, words
from engine.lexicon.lexicon import Entry, Lexicon
from engine.lexicon.phrases import Phrase

__all__ = ["Head", "find_head", "is_accessory"]

_LINKS = frozenset({"for", "fits", "fit", "compatible"})
_ENDS = frozenset({"with", "without", "that", "which", "from", "of", "in", "on", "under", "to", "who", "where", "by"})
_NAME_ENDS = re.compile(r"\s[-–—|/+]\s|,|\(|；|，|（|\bw/|\bincl(?:uding|\.)?\s|(?<=.)(?:适用|適用|适配|兼容)", re.IGNORECASE)
"""Where the name of a product ends in its title and its details begin."""
_THINGS = ("thing", "accessory")
_PEOPLE = frozenset({"person", "season", "quality"})


@dataclass(frozen=True, slots=True)
class Head:
    """``thing`` and ``target`` are word ranges (first, last), the latter ``None`` where nothing must be gone with.

    ``accessory`` says that the thing wanted is one; ``known`` that it is named by the lexicon and not guessed.
    """

    thing: tuple[int, int] | None
    target: tuple[int, int] | None
    accessory: bool
    known: bool = False


def find_head(
    found: Sequence[Word],
    phrases: Sequence[Phrase[Entry]],
    devices: Collection[int] = frozenset(),
    measures: Collection[int] = frozenset(),
    within: tuple[int, int] | None = None,
) -> Head:
    """Return what is wanted and what it must go with.

    ``devices`` are words that are known to name one: a brand, a model; ``measures`` words that name a size or a count;
    ``within`` are the words that the thing is named by, where a grammar says so.
    """
    begin, end = within or (0, len(found))
    things = [p for p in phrases if any(e.kind in _THINGS for e in p.means[:2]) and not _contains_other(p, found)]
    link = next((i for i, w in enumerate(found) if i > begin and w.text in _LINKS), len(found))
    stop = next((i for i, w in enumerate(found) if i > begin and w.text in _ENDS), len(found))
    if within is not None:
        things = [p for p in things if begin <= p.first and p.last <= end]
        head = things[-1] if things else None
    else:
        before = [p for p in things if p.last <= min(link, stop)] or [p for p in things if p.last <= link] or things
        head = _last_of_first_run(before, found) if before else None
    if head is None:
        return Head(None, None, False)
    accessory = any(e.kind == "accessory" for e in head.means)
    target = None
    if accessory and link < len(found):
        last = next((i for i in range(link + 1, len(found)) if found[i].text in _ENDS), len(found))
        inside = [i for i in range(link + 1, last) if not is_stop(found[i])]
        if inside and not _only_people(phrases, inside):
            target = (inside[0], inside[-1] + 1)
    elif accessory:
        named = frozenset(i for i, w in enumerate(found) if _names_device(w, phrases, i, devices)) - frozenset(measures)
        target = _device(found, named, begin, head.first) or _device(found, named, head.last, len(found))
    return Head((head.first, head.last), target, accessory, known=True)


def _contains_other(phrase: Phrase[Entry], found: Sequence[Word]) -> bool:
    """Return whether the thing only holds what is wanted: ``bottle of``, ``set of``."""
    return phrase.last < len(found) and found[phrase.last].text == "of"


def _device(found: Sequence[Word], named: frozenset[int], first: int, last: int) -> tuple[int, int] | None:
    """Return the words from ``first`` to ``last`` that name a device, and the letters that belong to its number."""
    inside = sorted(i for i in named if first <= i < last and not is_stop(found[i]))
    if not inside:
        return None
    start, stop = inside[0], inside[0] + 1
    while stop < last and (stop in named or found[stop].text.isdigit()):
        stop += 1
    if any(c.isdigit() for c in found[start].text):
        while start > first and not found[start - 1].han and found[start - 1].text.isalpha() and not is_stop(found[start - 1]):
            start -= 1
    return start, stop


def _last_of_first_run(things: Sequence[Phrase[Entry]], found: Sequence[Word]) -> Phrase[Entry]:
    """Return the last of the things that stand side by side: in ``laptop bag`` and ``手机 壳`` the second is wanted."""
    head = things[0]
    for thing in things[1:]:
        between = [w for w in found[head.last : thing.first] if not is_stop(w)]
        if between and not all(any(c.isdigit() for c in w.text) for w in between) and not found[thing.first].han:
            break
        head = thing
    return head


def _only_people(phrases: Sequence[Phrase[Entry]], inside: Sequence[int]) -> bool:
    covered = {i for p in phrases if p.means[0].kind in _PEOPLE for i in range(p.first, p.last)}
    return set(inside) <= covered


def _names_device(word: Word, phrases: Sequence[Phrase[Entry]], index: int, devices: Collection[int]) -> bool:
    if index in devices or (any(c.isdigit() for c in word.text) and not word.han):
        return True
    return any(p.first <= index < p.last and p.means[0].kind in ("thing", "brand") for p in phrases)


def _part_of_another(found: Sequence[Word], phrases: Sequence[Phrase[Entry]]) -> bool:
    """Return whether an accessory is named right after a thing: ``tablet stand tablet security enclosure``."""
    end = next((i for i, w in enumerate(found) if w.text == "with"), len(found))
    return any(
        one.last == other.first and other.last <= end and one.means[0].kind == "thing" and other.means[0].kind == "accessory"
        for one, other in pairwise(phrases)
    )


def is_accessory(category: Sequence[str], title: str, lexicon: Lexicon) -> bool:
    """Return whether a product is an accessory, by its category where that names a thing, else by its title."""
    for text in (*category[-1:], _NAME_ENDS.split(title.strip(), maxsplit=1)[0]):
        found = words(text)
        phrases = lexicon.find(text, found)
        head = find_head(found, phrases)
        own = text in category[-1:]
        if not own and _part_of_another(found, phrases):
            return True
        mixed = own and len({e.kind for p in phrases for e in p.means if e.kind in _THINGS}) > 1
        if head.thing is not None and not mixed:
            return head.accessory
    return False
