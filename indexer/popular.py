"""Which searches of a log may be suggested to everyone.

In: a :class:`~indexer.logs.SearchLog`. Out: texts with the number of distinct users who asked them, and how many were left
out and why. A text is kept only where enough *different* users asked it: one user asking a hundred times counts once, and a
record that names no user counts for nobody. A text that could hold an address, a number of a person or a link is never
kept, however many asked it. Knows nothing of products.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass

from engine.language import folded_line
from engine.privacy import KINDS, find_personal
from indexer.logs import SearchLog

__all__ = ["Popular", "personal", "popular_queries"]

_PERSONAL = re.compile(
    rf"@|https?:|www\.|(?:\d[\s().+/-]*){{7,}}|\d{{1,3}}(?:\.\d{{1,3}}){{3}}|\[(?:{'|'.join(KINDS)})\]", re.IGNORECASE
)
_SHORTEST, _LONGEST = 2, 60


@dataclass(frozen=True, slots=True)
class Popular:
    """``texts`` are the searches that may be shown, with their distinct users, most first; ``left_out`` counts others."""

    texts: dict[str, int]
    left_out: dict[str, int]


def personal(text: str) -> bool:
    """Return whether a text could hold an address, a number of a person or a link, or did before it was masked."""
    return bool(_PERSONAL.search(text) or find_personal(text))


def popular_queries(log: SearchLog, least: int) -> Popular:
    """Return the searches of at least ``least`` distinct users, each in its most common spelling."""
    users: defaultdict[str, set[str]] = defaultdict(set)
    spelt: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for query in log.queries:
        key = folded_line(query.text)
        spelt[key][query.text] += 1
        if query.user:
            users[key].add(query.user)
    texts: dict[str, int] = {}
    left_out: Counter[str] = Counter()
    for key in sorted(spelt, key=lambda k: (-len(users[k]), k)):
        if len(users[key]) < least:
            left_out["asked by too few"] += 1
        elif personal(key):
            left_out["may be personal"] += 1
        elif not _SHORTEST <= len(key) <= _LONGEST:
            left_out["too short or too long"] += 1
        else:
            best = min(spelt[key].items(), key=lambda item: (-item[1], item[0]))[0]
            texts[best] = len(users[key])
    return Popular(texts, dict(left_out))
