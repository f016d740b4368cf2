"""A query taken apart: words to search for, limits and exclusions to keep, traits to prefer, each with its characters.

In: the text, and what the catalogue knows. Out: :class:`ParsedQuery`. What is kept to is blanked out of the words,
never rewritten, so every span points into the text as typed.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice, product
from typing import Literal

from engine.index.codes import CodeMatch
from engine.index.lexical import Concept
from engine.language import Word, is_stop, language_of, replaced, words
from engine.lexicon import Entry, Head, Phrase, find_head, other_forms
from engine.query.attributes import Trait, find_traits
from engine.query.exclude import find_exclusions
from engine.query.knowledge import Knowledge
from engine.query.price import PriceLimit, find_price_wishes, find_prices
from engine.query.spans import overlaps
from engine.query.spelling import Correction, find_corrections
from engine.query.wishes import compound, full_name, guess_thing, noun_phrase, wishes
from engine.schema import Corrected, Understood

__all__ = ["ParsedQuery", "parse_query"]

_MOSTLY = 0.5
_NARROW = {0x3000: 0x20, **{wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F)}}
"""Full-width forms to ASCII, one character to one, so that spans stay where they are."""
_MOST_WAYS = 8


@dataclass(frozen=True, slots=True)
class ParsedQuery:
    """``text`` as typed; ``searched`` without what is kept to; ``words`` of that, spans into ``text``; ``meant`` is the
    text for the encoder, empty where it would not understand.

    ``exclusions`` hold groups of words each: a product that affirms every word of a group is left out. ``concepts`` are
    other ways to say some of the words. ``cheap`` is 1 for a low price, -1 for a high one, 0 for no wish. ``vague`` says
    that a gift is wanted, which may be anything.
    """

    text: str
    searched: str
    meant: str
    words: tuple[Word, ...]
    language: Literal["en", "zh", ""]
    understood: tuple[Understood, ...]
    corrected: tuple[Corrected, ...]
    exclusions: tuple[tuple[tuple[Word, ...], ...], ...]
    codes: tuple[CodeMatch, ...]
    concepts: tuple[Concept, ...]
    traits: tuple[Trait, ...]
    head: Head
    cheap: int
    vague: bool

    @property
    def filters(self) -> list[str]:
        """The filter expressions understood."""
        return [u.filter for u in self.understood if u.filter and u.mode == "filter"]

    @property
    def only_codes(self) -> bool:
        """Whether every word that carries a need belongs to a code."""
        inside = {i for c in self.codes for i in range(c.first, c.last)}
        return bool(self.codes) and all(i in inside or is_stop(w) for i, w in enumerate(self.words))


def parse_query(text: str, known: Knowledge, understand: bool = True, correct: bool = True) -> ParsedQuery:
    """Take a query apart with what is known of the catalogue."""
    typed, text = text, text.translate(_NARROW)
    kept: list[Understood] = []
    exclusions: list[tuple[tuple[Word, ...], ...]] = []
    cheap = 0
    if understand:
        kept, exclusions, cheap = _limits(text, known)
    remaining = _blanked(text, kept)
    found = tuple(words(remaining))
    language = language_of(text)
    codes = tuple(known.codes.find(remaining, found))
    coded = frozenset(i for c in codes for i in range(c.first, c.last))
    corrections = list(find_corrections(found, known.has, known.vocabulary, known.lexicon, coded)) if correct else []
    typed_words, found = found, _corrected_words(found, corrections)
    phrases = known.lexicon.find(remaining, found)
    searched = " ".join(remaining.split())
    traits = tuple(find_traits(remaining, found, known, phrases)) if understand else ()
    head = Head(None, None, False)
    named: tuple[int, int] | None = None
    wished: list[tuple[int, int]] = []
    if understand:
        measures = _words_of([t for t in traits if t.quantity or t.field == "size"], found)
        brands = _words_of([t for t in traits if t.field == "brand"], found)
        within = noun_phrase(remaining, found)
        head = find_head(found, phrases, coded | brands, measures, within)
        if head.thing is not None and (longer := compound(remaining, found, head.thing, _spans(traits))):
            head = replace(head, thing=longer)
        if head.thing is None and not coded:
            head = replace(head, thing=guess_thing(remaining, found, _spans(traits)))
        traits = _beside(head, found, traits)
        if head.thing is not None:
            named = (full_name(remaining, found, head.thing, _spans(traits)), head.thing[1])
        taken = _spans(traits) + [_characters(found, part) for part in (named, head.target) if part]
        taken += [(found[i].start, found[i].end) for i in coded]
        wished = list(wishes(remaining, found, taken, head.thing))
    shown = [_after(u, kept) for u in _shown(text, found, traits, named, head.target, wished)]
    understood = [_as_typed(u, typed) for u in (*kept, *shown)]
    return ParsedQuery(
        text=typed,
        searched=searched,
        meant=_meant(_replaced(remaining, found, corrections), language, known),
        words=typed_words,
        language=language,
        understood=tuple(sorted(understood, key=lambda u: (u.start, u.end))),
        corrected=tuple(_corrected(typed, found, c) for c in corrections),
        exclusions=tuple(exclusions),
        codes=codes,
        concepts=tuple(_concepts(found, phrases, corrections, known)),
        traits=traits,
        head=head,
        cheap=cheap,
        vague=any(entry.kind == "vague" for phrase in phrases for entry in phrase.means[:1]),
    )


def _after(u: Understood, kept: Sequence[Understood]) -> Understood:
    """Return ``u`` without the limit that stands among its words, and without what comes before that limit."""
    start = max((k.end for k in kept if u.start < k.start and k.end < u.end), default=u.start)
    piece = u.text[start - u.start :].lstrip()
    return u.model_copy(update={"text": piece, "start": u.end - len(piece)})


def _as_typed(u: Understood, typed: str) -> Understood:
    return u if u.text == typed[u.start : u.end] else u.model_copy(update={"text": typed[u.start : u.end]})


def _limits(text: str, known: Knowledge) -> tuple[list[Understood], list[tuple[tuple[Word, ...], ...]], int]:
    """Return what is kept to, the groups of words left out, and the wish for a low or high price."""
    out: list[Understood] = []
    groups: list[tuple[tuple[Word, ...], ...]] = []
    cheap = 0
    for price in find_prices(text):
        piece = text[price.start : price.end]
        filter_by = _price_filter(price, known.currencies)
        out.append(Understood(kind="price", text=piece, start=price.start, end=price.end, field="price", filter=filter_by))
    for start, end, low in find_price_wishes(text):
        if not overlaps(start, end, _spans(out)):
            terms = ["low" if low else "high"]
            piece = text[start:end]
            out.append(
                Understood(kind="price", text=piece, start=start, end=end, field="price", mode="prefer", terms=terms)
            )
            cheap = 1 if low else -1
    for e in find_exclusions(text, known.lexicon):
        if not overlaps(e.start, e.end, _spans(out)):
            named = [text[w.start : w.end] for w in e.groups[0]]
            out.append(Understood(kind="exclude", text=text[e.start : e.end], start=e.start, end=e.end, terms=named))
            groups.append(e.groups)
    return out, groups, cheap


def _spans(parts: Sequence[Understood] | Sequence[Trait]) -> list[tuple[int, int]]:
    return [(part.start, part.end) for part in parts]


def _blanked(text: str, kept: Sequence[Understood]) -> str:
    blanked = list(text)
    for u in kept:
        blanked[u.start : u.end] = " " * (u.end - u.start)
    return "".join(blanked)


def _characters(found: Sequence[Word], part: tuple[int, int]) -> tuple[int, int]:
    """Return the characters of the words from the first to the last (not included) of ``part``."""
    return found[part[0]].start, found[part[1] - 1].end


def _shown(
    text: str,
    found: Sequence[Word],
    traits: Sequence[Trait],
    named: tuple[int, int] | None,
    target: tuple[int, int] | None,
    wished: Sequence[tuple[int, int]],
) -> list[Understood]:
    """Return what is preferred, for the page to show: ``named`` and ``target`` are the words of the thing and its device."""
    out = []
    parts: tuple[tuple[Literal["object", "for"], tuple[int, int] | None], ...] = (("object", named), ("for", target))
    for part_kind, part in parts:
        if part is not None:
            start, end = _characters(found, part)
            out.append(Understood(kind=part_kind, text=text[start:end], start=start, end=end, mode="prefer"))
    for t in traits:
        terms = [str(t.quantity)] if t.quantity else list(t.fields.get(t.field, ()))
        kind: Literal["measure", "attribute"] = "measure" if t.quantity or t.field == "size" else "attribute"
        piece = text[t.start : t.end]
        out.append(
            Understood(kind=kind, text=piece, start=t.start, end=t.end, mode="prefer", field=t.field, terms=terms)
        )
    for start, end in wished:
        out.append(Understood(kind="attribute", text=text[start:end], start=start, end=end, mode="prefer"))
    return out


def _words_of(traits: Sequence[Trait], found: Sequence[Word]) -> frozenset[int]:
    return frozenset(i for i, w in enumerate(found) if overlaps(w.start, w.end, _spans(traits)))


def _beside(head: Head, found: Sequence[Word], traits: tuple[Trait, ...]) -> tuple[Trait, ...]:
    """Return the traits of the thing wanted: what names it, or the device it goes with, is none of them."""
    for first, last in filter(None, (head.thing, head.target)):
        traits = tuple(t for t in traits if not overlaps(t.start, t.end, [_characters(found, (first, last))]))
    return traits


def _corrected(text: str, found: Sequence[Word], c: Correction) -> Corrected:
    start, end = _characters(found, (c.first, c.last))
    return Corrected(text=text[start:end], start=start, end=end, replacement=c.text)


def _replaced(remaining: str, found: Sequence[Word], corrections: Sequence[Correction]) -> str:
    """Return the text with what was probably meant in place of what no product has."""
    changes = [(found[c.first].start, found[c.last - 1].end, c.text) for c in corrections]
    return " ".join(replaced(remaining, changes).split())


def _corrected_words(found: tuple[Word, ...], corrections: Sequence[Correction]) -> tuple[Word, ...]:
    """Return the words with those that were one word each as they were probably meant, at the places they have."""
    out = list(found)
    for c in corrections:
        if c.last - c.first == 1 and c.text.isascii() and " " not in c.text:
            out[c.first] = Word(c.text, found[c.first].start, found[c.first].end, False)
    return tuple(out)


def _meant(searched: str, language: str, known: Knowledge) -> str:
    """Return the text for the encoder: Chinese that the lexicon mostly knows is put into English, in which encoders are at their
    best. Of the rest one that reads Chinese is given the words as they are, and one that does not nothing."""
    searched = unicodedata.normalize("NFKC", searched)
    language = language_of(searched) or language
    read = language in ("", *known.semantic_languages)
    if language != "zh":
        return searched if read else ""
    english, share = known.lexicon.english(searched, keep=read)
    if share >= _MOSTLY:
        return english
    return searched if read else ""


def _concepts(
    found: tuple[Word, ...], phrases: Sequence[Phrase[Entry]], corrections: Sequence[Correction], known: Knowledge
) -> list[Concept]:
    """Return what is called otherwise in the other language, and what was probably meant."""
    fixed = {i for c in corrections for i in range(c.first, c.last)}
    out: list[Concept] = []
    done: list[Phrase[Entry]] = []
    for phrase in [*phrases, None]:
        if done and (phrase is None or phrase.first >= done[-1].last):
            first, last = done[0].first, done[-1].last
            options = [_ways(p, found[p.last - 1].han)[: _MOST_WAYS if len(done) == 1 else 2] for p in done]
            said = [tuple(words(" ".join(option))) for option in islice(product(*options), _MOST_WAYS)]
            if not fixed.isdisjoint(range(first, last)):  # the words as typed say nothing, so those meant are an option too
                said.insert(0, found[first:last])
            out.append(Concept(first, last, tuple(said)))
            done = []
        if phrase is not None:
            done.append(phrase)
    covered = {i for concept in out for i in range(concept.first, concept.last)}
    for c in corrections:
        if covered.isdisjoint(range(c.first, c.last)):
            other = [words(form) for p in known.lexicon.find(c.text, words(c.text)) for form in _ways(p, _han(c.text))]
            out.append(Concept(c.first, c.last, tuple(map(tuple, [words(c.text), *other]))))
    return out


def _ways(phrase: Phrase[Entry], han: bool) -> tuple[str, ...]:
    """Return how else a phrase is said: in the other language first, then in its own."""
    own = [form for form in other_forms(phrase, not han) if phrase.text not in form.lower()]
    return tuple(dict.fromkeys((*other_forms(phrase, han), *own)))


def _han(text: str) -> bool:
    return language_of(text) == "zh"


def _price_filter(price: PriceLimit, currencies: Sequence[str]) -> str:
    """Return a limit as a filter. A word such as ``dollars`` means the shop's own money where it has only one."""
    own = price.ambiguous and len(currencies) == 1
    unit = "" if own else price.currency
    low, high = (f"{v:g}{unit}" if v is not None and v < 1e6 else f"{v:.2f}{unit}" if v is not None else ""
                 for v in (price.low, price.high))  # fmt: skip
    if low and high:
        return f"price:[{low}..{high}]"
    return f"price:<={high}" if high else f"price:>={low}"
