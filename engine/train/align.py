"""Which words of one language stand for which pieces of another, from pairs of phrases that mean the same.

In: pairs of token ids. Out: for each token of the new language, the probability of each piece of the known one. IBM
Model 1 (Brown et al., *The Mathematics of Statistical Machine Translation*, Computational Linguistics 19, 1993),
fitted by expectation maximisation. Knows nothing of tokenizers or models.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

__all__ = ["align"]

_ROUNDS = 5
_LEAST = 1e-3

Alignment = dict[int, dict[int, float]]


def align(pairs: Sequence[tuple[Sequence[int], Sequence[int]]], rounds: int = _ROUNDS) -> Mapping[int, Mapping[int, float]]:
    """Return, for each token of the second texts, what it stands for in the first ones; each row sums to 1.

    ``pairs`` are (known, new). A token that only ever stands beside the same pieces shares itself out among them.
    """
    used = [(known, new) for known, new in pairs if known and new]
    together: dict[int, set[int]] = defaultdict(set)
    for known, new in used:
        for token in new:
            together[token].update(known)
    table: Alignment = {token: dict.fromkeys(sorted(pieces), 1 / len(pieces)) for token, pieces in sorted(together.items())}
    for _ in range(rounds):
        table = _fitted(used, table)
    return {token: _kept(row) for token, row in table.items()}


def _fitted(pairs: Sequence[tuple[Sequence[int], Sequence[int]]], table: Alignment) -> Alignment:
    counts: dict[int, dict[int, float]] = {token: defaultdict(float) for token in table}
    for known, new in pairs:
        for piece in known:
            total = sum(table[token][piece] for token in new)
            for token in new:
                counts[token][piece] += table[token][piece] / total
    return {token: _scaled(row) for token, row in counts.items()}


def _scaled(row: Mapping[int, float]) -> dict[int, float]:
    total = sum(row.values())
    return {piece: count / total for piece, count in row.items()}


def _kept(row: Mapping[int, float]) -> dict[int, float]:
    likely = {piece: p for piece, p in row.items() if p >= _LEAST}
    return _scaled(likely or row)
