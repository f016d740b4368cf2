"""A page of a search as JSON values: hits with their scores and matches, what comes nearest, what was applied.

In: a ranking, the match set and the query. Out: plain values, products spliced in as they are stored. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson

from engine.highlight import Highlighter
from engine.index.documents import Documents
from engine.language import Word
from engine.match import MatchSet
from engine.query import ParsedQuery
from engine.rank import Ranking
from engine.schema import Applied
from engine.shopper import PersonalHit, Personalised

__all__ = ["written_applied", "written_hits", "written_nearest"]

_SHOWN_NEAREST = 3


def written_hits(
    documents: Documents,
    query: ParsedQuery,
    ranking: Ranking,
    found: MatchSet,
    first: int,
    count: int,
    personal: Sequence[PersonalHit] = (),
) -> list[dict[str, Any]]:
    """Return the hits from place ``first`` on, at most ``count``; matches are marked in whichever words they were found, and
    ``personal`` is what is said of the first ones where the order is one person's."""
    highlighter = Highlighter([*query.words, *_other_words(query)])
    hits = []
    for place in range(first, min(first + count, len(ranking.rows))):
        row = int(ranking.rows[place])
        scores = {
            "fused": round(float(ranking.fused[place]), 6),
            "lexical": round(float(ranking.lexical[place]), 4),
            "semantic": round(float(ranking.semantic[place]), 4),  # NaN, where it is not known, is written as null
            "code": bool(ranking.code[place]),
            "relevance": round(float(found.relevance[row]), 4),
        }
        highlight = highlighter.highlight(documents.head(row))
        hit = {"document": orjson.Fragment(documents.json(row)), "highlight": highlight, "scores": scores}
        if place < len(personal):
            hit["personal"] = orjson.Fragment(personal[place].model_dump_json())
        hits.append(hit)
    return hits


def _other_words(query: ParsedQuery) -> list[Word]:
    """Return the words of the other language, and those meant by slips."""
    fixed = {(c.start, c.end) for c in query.corrected}
    out = []
    for concept in query.concepts:
        said = query.words[concept.first]
        slip = (said.start, query.words[concept.last - 1].end) in fixed
        out += [w for words in concept.alternatives for w in words if w.han != said.han or slip]
    return out


def written_nearest(documents: Documents, query: ParsedQuery, found: MatchSet) -> list[dict[str, Any]]:
    """Return the products that come nearest in meaning to a need that nothing meets: sharing a word is not enough."""
    if len(found.rows) or not query.words:
        return []
    best = np.lexsort((-found.relevance, -found.near))[:_SHOWN_NEAREST]
    rows = [int(row) for row in best if found.near[row] > 0 and found.relevance[row] > 0]
    nothing = {"fused": 0.0, "lexical": 0.0, "semantic": None, "code": False}
    return [
        {
            "document": orjson.Fragment(documents.json(row)),
            "highlight": {},
            "scores": nothing | {"relevance": round(float(found.relevance[row]), 4)},
        }
        for row in rows
    ]


def written_applied(
    query: ParsedQuery, filter_by: str, sort_by: str, alpha: float, found: MatchSet, personal: Personalised | None = None
) -> orjson.Fragment:
    """Return what the engine did with the request; of persons only where it did anything."""
    applied = Applied(
        q=query.searched,
        language=query.language,
        understood=list(query.understood),
        corrected=list(query.corrected),
        filter_by=filter_by,
        sort_by=sort_by,
        alpha=alpha,
        codes=[c.code for c in query.codes],
        suitable=bool(len(found.rows)) or not query.words,
        best_relevance=round(found.best, 4),
        personal=personal,
    )
    return orjson.Fragment(applied.model_dump_json(exclude={"personal"} if personal is None else None))
