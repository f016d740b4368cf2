"""Which of a search log is shoppers, and which is machines and people who try whether the shop works.

In: a :class:`~indexer.logs.SearchLog`. Out: the same without them, and how many searches were left out by reason. A machine
searches faster than anyone reads, or more often in an hour than anyone shops; a test is a search for ``test`` and the like.
Knows nothing of products.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from itertools import pairwise
from statistics import median

from indexer.logs import LoggedQuery, SearchLog

__all__ = ["shoppers"]

_HOUR = 3600.0
_MOST_AN_HOUR = 120
_FEWEST = 10
_READING_S = 1.0
_TESTS = re.compile(r"(?:test(?:ing|e|er)?\d*|asdf\w*|qwer\w*|foo(?:bar)?|lorem.*|xxx+|123+|\*+|测试\d*|试试)", re.IGNORECASE)


def shoppers(log: SearchLog) -> tuple[SearchLog, Counter[str]]:
    """Return the log without machines and tests, and how many searches went for which reason."""
    times: defaultdict[str, list[float]] = defaultdict(list)
    for query in log.queries:
        if query.user and query.time_s:
            times[query.user].append(query.time_s)
    machines = {user for user, when in times.items() if _machine(sorted(when))}
    left_out: Counter[str] = Counter()
    kept: list[LoggedQuery] = []
    for query in log.queries:
        if query.user in machines:
            left_out["search of a machine"] += 1
        elif _TESTS.fullmatch(query.text.strip()):
            left_out["search that tries the shop"] += 1
        else:
            kept.append(query)
    known = {query.query_id for query in kept}
    actions = [action for action in log.actions if action.query_id in known]
    return SearchLog(kept, actions, log.skipped), left_out


def _machine(when: list[float]) -> bool:
    if len(when) < _FEWEST:
        return False
    if median(later - sooner for sooner, later in pairwise(when)) < _READING_S:
        return True
    first = 0
    for last, time in enumerate(when):
        while time - when[first] > _HOUR:
            first += 1
        if last - first >= _MOST_AN_HOUR:
            return True
    return False
