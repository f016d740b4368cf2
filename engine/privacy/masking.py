"""Personal data in what people type, found and replaced before anything is written.

In: text in English or Chinese. Out: the same with each e-mail address, phone number, payment card, Chinese resident id, IP
address, order number and street address replaced by its kind in brackets, ``[phone]``. Rules and check digits, no model: the
same text gives the same answer everywhere. Names of people are not found by rules, so what may hold one is not written at all
(:mod:`engine.events`). Rather a product number too many than a person's too few, but GTINs, model numbers, prices, sizes,
dates and versions are let be. How well it does is measured by ``daogou suite privacy``.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from dataclasses import dataclass, field

from engine.language import simplified
from engine.privacy.addresses import find_addresses
from engine.privacy.contacts import find_emails, find_ips, find_phones
from engine.privacy.numbered import find_cards, find_orders, find_resident_ids
from engine.privacy.spans import Personal

__all__ = ["KINDS", "Masked", "Personal", "find_personal", "mask"]

KINDS = ("email", "resident_id", "card", "ip", "order", "phone", "address")
"""Every kind, the surest first: where two overlap, the earlier one names the stretch."""

_FINDERS = (find_emails, find_resident_ids, find_cards, find_ips, find_orders, find_phones, find_addresses)
_POSSIBLE = re.compile(
    r"[@＠]|\d|[:：][0-9a-f]{0,4}[:：]|\bat\b|艾特|[零〇一二两三四五六七八九幺]{3}|[省市区县][^\s]*[路街道]", re.IGNORECASE
)
"""Nothing personal of these kinds is without one of these."""
_WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_WIDE |= dict.fromkeys((0x3000, 0xA0, 0x2002, 0x2009, 0x202F, 0xFF1A), 0x20)
_WIDE |= dict.fromkeys((0x2010, 0x2011, 0x2012, 0x2013, 0x2014, 0x2212), 0x2D)
"""Full-width forms, blanks and dashes, one code point for one, so that offsets stay. A wide colon ends a word, and is a blank."""


_STOP = re.compile(r"(?<=[A-Za-z\d])。(?=[A-Za-z])")
_UNSEEN = re.compile(r"[\u200b-\u200f\u2060-\u2064\u00ad\ufeff\u180e\u202a-\u202e]")
"""Characters without a form, which part what belongs together."""


_KEY, _MOST = os.urandom(16), 16_384
_seen: dict[bytes, tuple[Personal, ...]] = {}


@dataclass(frozen=True, slots=True)
class Masked:
    """A text with what was personal replaced, and how much of each kind that was."""

    text: str
    kinds: Counter[str] = field(default_factory=Counter)


def find_personal(text: str) -> tuple[Personal, ...]:
    """Return what is personal in a text, left to right, without overlaps. No text is remembered, only where in it something was."""
    if not _POSSIBLE.search(text):
        return ()
    key = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16, key=_KEY).digest()
    found = _seen.get(key)
    if found is None:
        found = _find(text)
        if len(_seen) >= _MOST:
            _seen.clear()
        _seen[key] = found
    return found


def _find(text: str) -> tuple[Personal, ...]:
    plain = text.translate(_WIDE)
    if not text.isascii():
        plain = _STOP.sub(".", plain.translate(simplified()))
        if _UNSEEN.search(plain):
            return _between(plain)
    return _spans(plain)


def _between(text: str) -> tuple[Personal, ...]:
    """Return what is personal in a text once what nobody sees is taken out of it, where it was."""
    places = [at for at, char in enumerate(text) if not _UNSEEN.match(char)]
    return tuple(
        Personal(span.kind, places[span.start], places[span.end - 1] + 1) for span in _spans("".join(text[at] for at in places))
    )


def _spans(plain: str) -> tuple[Personal, ...]:
    found: list[Personal] = []
    for finder in _FINDERS:
        for span in finder(plain):
            if all(span.end <= other.start or span.start >= other.end for other in found):
                found.append(span)
                plain = plain[: span.start] + "\0" * (span.end - span.start) + plain[span.end :]
    return tuple(sorted(found, key=lambda span: span.start))


def mask(text: str) -> Masked:
    """Return a text with each personal stretch replaced by its kind in brackets; masking it again changes nothing."""
    spans = find_personal(text)
    if not spans:
        return Masked(text)
    parts, at = [], 0
    for span in spans:
        parts += [text[at : span.start], f"[{span.kind}]"]
        at = span.end
    return Masked("".join([*parts, text[at:]]), Counter(span.kind for span in spans))
