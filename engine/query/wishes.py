"""Wishes no list knows: what else is said of the thing wanted, read from where it stands.

English: the words before the thing (``cheetah clogs``), after ``with``, ``in`` and ``for`` (``with a long handle``,
``for my living room``) and after ``is`` (``that is easy to clean``). Chinese: what stands before the thing, and the
parts between spaces and commas. In: the query, its words and the spans already understood. Out: spans. Also says which
words name the thing where the lexicon does not: the last of the first noun phrase. Knows nothing of the catalogue.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.language import Word, is_stop
from engine.query.spans import overlaps

__all__ = ["Clause", "clauses", "compound", "counts", "full_name", "guess_thing", "noun_phrase", "wishes"]

_LEAD = re.compile(
    r"^.*?\b(?:(?:look|search|serach|seach|hunt|lock|shop)(?:ing)?(?:\s+forward)?(?:\s+(?:for|to))?(?:\s+(?:buy|purchase|find|get))?"
    r"|(?:need|want|wanted|like|wish)(?:\s+to)?(?:\s+(?:buy|get|find|purchase|order|have))?|find(?:\s+me)?|get(?:\s+me)?"
    r"|buy(?:\s+me)?|purchase|interested\s+in(?:\s+buying)?|give\s+me|show\s+me|add|order|using|used|i\s+use)\b",
    re.IGNORECASE,
)
_LEAD_ZH = re.compile(
    r"^(?:请问|请)?(?:我)?(?:想要?|需要|打算|准备)?(?:帮我|给我)?(?:买|找|推荐|挑|选|来|有没有|求)(?:个|一[款台双个件条把支只副套张]|款|点|些|份)?"
)
_SKIPPED = frozenset(
    "a an the some any my your his her our this that these those one two three four five six seven eight nine ten pair "
    "pairs pack packs set box bottle bottles jar stick bag bags package piece pieces of good great nice perfect really "
    "very also color colour colored coloured size sized please me i you it its by and or something someone day am is are "
    "so just kind type style product products item items need want into my im i'm would like using use used".split()
)
_BREAKS = {
    "with": "with", "has": "with", "have": "with", "having": "with", "contains": "with", "containing": "with", "featuring": "with",
    "comes": "", "come": "", "made": "with", "in": "in", "for": "for", "that": "", "which": "", "who": "", "is": "is", "are": "is",
    "be": "is", "was": "is", "should": "", "must": "", "from": "with", "to": "to", "while": "", "because": "", "so": "",
    "can": "", "could": "", "will": "", "would": "", "prefer": "is", "choose": "is", "select": "is", "also": "is", "when": "",
    "make": "", "sure": "", "if": "", "but": "", "as": "", "on": "", "without": "", "at": "", "than": "", "under": "", "them": "",
    "they": "", "it": "", "i": "", "get": "is", "ill": "", "equip": "", "equipped": "",
    "about": "", "appropriate": "", "suitable": "",
    "designed": "", "go": "",
}  # fmt: skip
_EASY = re.compile(
    r"(?<![\w-])(?:easy|ready)[\s-]to[\s-]\w+|(?<![\w-])\w+[\s-](?:proof|resistant|friendly|based)(?![\w-])"
    r"|(?<![\w-])\w+[\s-]and[\s-]play(?![\w-])|(?<![\w-])\w+ to \w+(?= (?:adapter|cable|converter))",
    re.IGNORECASE,
)
_COUNT = re.compile(
    r"(?<![\w.])(?:\d+|one|two|three|four|five|six|seven|eight|nine|ten|twelve)[\s-]?(?:pack|packs|count|ct|pcs|pc|pieces?)(?![\w])"
    r"|(?<![\w])(?:pack|package|set|case|box)\s+of\s+(?:\d+|one|two|three|four|five|six|seven|eight|nine|ten|twelve)(?![\w])"
    r"|\d+(?:\.\d+)?\s*(?:片|只|双|节|枚|支|粒|包|颗|键|张|件|抽|卷|瓶|罐|人份)(?![\u4e00-\u9fff]*机)"
    r"|(?<![\w.])\d+(?:\.\d+)?\s*(?:\"|in(?:ch(?:es)?)?|cm|mm|ft|foot|feet|w)?\s*(?:x|by|\*|×)\s*\d+(?:\.\d+)?\s*"
    r"(?:\"|in(?:ch(?:es)?)?|cm|mm|ft|foot|feet|l)?(?:\s*(?:x|by|\*|×)\s*\d+(?:\.\d+)?\s*(?:cm|mm|in)?)?(?![\w])"
    r"|(?<![\w])(?:size\s+)?(?:\d+x|x{1,4}|extra(?:\s+extra)?)[\s-]+(?:large|small)(?![\w])"
    r"|(?<![\w])(?:small|medium|large|king|queen|twin|full)[\s-]size(?:d)?(?![\w])|(?<![\w])size\s+(?:small|medium|large)(?![\w])"
    r"|(?<![\w])\d{3}/\d{2}\s?r\d{2}(?![\w])",
    re.IGNORECASE,
)
_SPLIT_ZH = re.compile(r"[\s,，、;；。!！]+|(?:的|用的|穿的|吃的)(?=[\u4e00-\u9fff])")
_TRIM_ZH = re.compile(
    r"^(?:最好是?|要|带|适合|可以|能|还要|希望|给|送|用|想|有|是|新|好|性?能)?"
    r"|(?:的|用|款|穿|吃|可用|型|色的)$"
)
_LONGEST_WISH = 4
_SENTENCE = 6
_ADJECTIVES = frozenset(
    "traditional casual portable modern classic natural organic vegan kosher fancy flowy antislip durable comfortable heavy "
    "lightweight soft big small large long short wide adjustable foldable wireless called branded".split()
)


@dataclass(frozen=True, slots=True)
class Clause:
    """Words ``first`` up to ``last`` (not included) that belong together; ``kind`` is how they were led in: ``""`` for
    the noun phrase itself, else ``with``, ``in``, ``for``, ``is`` or ``to``."""

    first: int
    last: int
    kind: str


def clauses(text: str, found: Sequence[Word]) -> list[Clause]:
    """Return the English query cut where prepositions and verbs cut it, the noun phrase of the thing first."""
    lead = _LEAD.match(text)
    at = lead.end() if lead and len(found) > 5 else 0
    start = next((i for i, w in enumerate(found) if w.start >= at), len(found))
    whole = [(m.start(), m.end()) for m in _EASY.finditer(text)]
    out: list[Clause] = []
    first, kind = start, ""
    for i in range(start, len(found) + 1):
        breaks = i < len(found) and found[i].text in _BREAKS and not overlaps(found[i].start, found[i].end, whole)
        ends = i == len(found) or breaks or (i > first and bool(re.search(r"[,.;:()!?]", _gap(text, found, i))))
        if not ends:
            continue
        if i > first:
            out.append(Clause(first, i, kind))
        if i < len(found):
            word = found[i].text
            if breaks:
                kind = _BREAKS[word] or (kind if out else "")
                kind = "is" if out and not kind else kind
                first = i + 1
            else:
                kind, first = "is" if out else "", i
    return out


def _gap(text: str, found: Sequence[Word], index: int) -> str:
    return text[found[index - 1].end : found[index].start]


def noun_phrase(text: str, found: Sequence[Word]) -> tuple[int, int]:
    """Return the words the thing is named by: the first clause in English, the first part in Chinese."""
    if any(w.han for w in found):
        for start, end in _parts_han(text):
            inside = [i for i, w in enumerate(found) if start <= w.start and w.end <= end]
            if any(found[i].han and not is_stop(found[i]) for i in inside) and not _people_only(text[start:end]):
                return inside[0], inside[-1] + 1
        return 0, len(found)
    cut = clauses(text, found)
    return (cut[0].first, cut[0].last) if cut else (0, len(found))


def full_name(text: str, found: Sequence[Word], thing: tuple[int, int], taken: Sequence[tuple[int, int]]) -> int:
    """Return the first word of the thing's full name: the noun before it belongs to it in English (``table lamp``)."""
    first = thing[0]
    if first == 0 or thing[1] - first > 1 or found[first].han:
        return first
    before = found[first - 1]
    plain = _noun_like(before) and len(before.text) > 2 and before.text not in _SKIPPED and before.text not in _BREAKS
    joined = text[before.end : found[first].start] == " "
    return first - 1 if plain and joined and not is_stop(before) and not overlaps(before.start, before.end, taken) else first


def _noun_like(word: Word) -> bool:
    """Return whether a word may be a noun in a compound: ``lined``, ``flavored`` and their like are none."""
    return word.text.isalpha() and not (word.text.endswith("ed") and len(word.text) > 4) and word.text not in _ADJECTIVES


def compound(
    text: str, found: Sequence[Word], thing: tuple[int, int], taken: Sequence[tuple[int, int]]
) -> tuple[int, int] | None:
    """Return the words of a compound that a thing only begins, in a need of a sentence's length: ``chocolate gift basket``.

    A short query may name the thing first and then its make (``camera eos 5d``), so there a thing stays what it is.
    """
    if len(found) < _SENTENCE or any(w.han for w in found):
        return None
    clause = next((c for c in clauses(text, found)[:2] if c.first <= thing[0] < c.last), None)
    if clause is None:
        return None
    after = list(range(thing[1], clause.last))
    if not after or not all(_noun_like(found[i]) and _may_join(found[i], taken) and not is_stop(found[i]) for i in after):
        return None
    last = after[-1] + 1
    return (thing[0] if last - thing[0] == 2 else last - 2), last


def _people_only(part: str) -> bool:
    return part.startswith(("送", "给", "适合"))


def guess_thing(text: str, found: Sequence[Word], taken: Sequence[tuple[int, int]]) -> tuple[int, int] | None:
    """Return the words that name the thing, ``(first, last)``, or ``None``. ``taken`` are characters understood."""
    if any(w.han for w in found):
        return _guess_han(text, found, taken)
    for clause in clauses(text, found)[:2]:
        free = [
            i
            for i in range(clause.first, clause.last)
            if _may_join(found[i], taken) and not is_stop(found[i])
        ]
        if not free or not any(c.isalpha() for c in found[free[-1]].text):
            continue
        last = free[-1]
        first = last - 1 if last - 1 in free and _noun_like(found[last - 1]) else last
        return first, last + 1
    return None


def _guess_han(text: str, found: Sequence[Word], taken: Sequence[tuple[int, int]]) -> tuple[int, int] | None:
    for start, end in _parts_han(text):
        free = [i for i, w in enumerate(found) if start <= w.start and w.end <= end and w.han and not is_stop(w)]
        free = [i for i in free if not overlaps(found[i].start, found[i].end, taken)]
        if free:
            first = free[-1]
            while first - 1 in free and len(found[first].text) == 1:
                first -= 1
            return first, free[-1] + 1
    return None


def _parts_han(text: str) -> Iterator[tuple[int, int]]:
    lead = _LEAD_ZH.match(text)
    at = lead.end() if lead else 0
    for match in _SPLIT_ZH.finditer(text, at):
        if match.start() > at:
            yield at, match.start()
        at = match.end()
    if at < len(text):
        yield at, len(text)


def counts(text: str) -> Iterator[tuple[int, int]]:
    """Yield the characters that count or measure without a unit: ``12 pack``, ``30 x 40``, ``xx-large``, ``20节``."""
    for match in _COUNT.finditer(text):
        yield match.start(), match.end()


def wishes(
    text: str, found: Sequence[Word], taken: Sequence[tuple[int, int]], thing: tuple[int, int] | None
) -> Iterator[tuple[int, int]]:
    """Yield the characters of what else is wished for. ``taken`` are characters understood, the thing's among them."""
    done = list(taken)
    for match in _EASY.finditer(text):
        if not overlaps(match.start(), match.end(), done):
            done.append((match.start(), match.end()))
            yield match.start(), match.end()
    spans = _han_wishes(text, found, done) if any(w.han for w in found) else _latin_wishes(text, found, done, thing)
    for start, end in spans:
        if not overlaps(start, end, done):
            done.append((start, end))
            yield start, end


def _latin_wishes(
    text: str, found: Sequence[Word], taken: Sequence[tuple[int, int]], thing: tuple[int, int] | None
) -> Iterator[tuple[int, int]]:
    for n, clause in enumerate(clauses(text, found)):
        own = thing is not None and clause.first <= thing[0] < clause.last
        if n == 0 or own:
            pieces = _runs(found, clause.first, thing[0] if own and thing else clause.last, taken, most=1)
        elif clause.kind in ("with", "in", "for", "is"):
            pieces = _runs(found, clause.first, clause.last, taken, most=_LONGEST_WISH)
        else:
            continue
        for first, last in pieces:
            yield found[first].start, found[last - 1].end


def _runs(
    found: Sequence[Word], first: int, last: int, taken: Sequence[tuple[int, int]], most: int
) -> Iterator[tuple[int, int]]:
    at = first
    while at < last:
        word = found[at]
        if not _may_join(word, taken) or (is_stop(word) and most == 1):
            at += 1
            continue
        stop = at + 1
        while stop < last and stop - at < most and _may_join(found[stop], taken):
            stop += 1
        yield at, stop
        at = stop


def _may_join(word: Word, taken: Sequence[tuple[int, int]]) -> bool:
    return word.text not in _SKIPPED and not overlaps(word.start, word.end, taken)


def _han_wishes(text: str, found: Sequence[Word], taken: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    for start, end in _parts_han(text):
        at = start
        for a, b in sorted(s for s in taken if s[0] < end and start < s[1]):
            yield from _trimmed(text, at, a)
            at = max(at, b)
        yield from _trimmed(text, at, end)


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    piece = text[start:end]
    if (lead := _TRIM_ZH.match(piece)) is not None and lead.end() < len(piece):
        start, piece = start + lead.end(), piece[lead.end() :]
    piece = re.sub(r"(?:的|用|款|穿|吃|可用|一)+$", "", piece).rstrip()
    start += len(piece) - len(piece.lstrip())
    piece = piece.strip()
    if 2 <= len(piece) <= 8:
        yield start, start + len(piece)
