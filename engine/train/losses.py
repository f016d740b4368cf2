"""What a dual encoder is trained to make small, from the vectors of one step.

In: torch tensors of unit length. Out: scalars. Contrastive: cross entropy of the answer among all candidates (van den Oord
et al., *Representation Learning with Contrastive Predictive Coding*, 2018). Graded: CoSENT (Su, 2022), every pair rated higher
should be nearer than every pair rated lower. Both at several lengths of the vector (Kusupati et al., *Matryoshka
Representation Learning*, 2022). Kept: distance to what the model said before. Imports torch only when called. Knows nothing
of texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["contrastive", "cosent", "kept", "listwise", "shortened"]

_TEMPERATURE = 20.0


def shortened(vectors: Any, length: int) -> Any:
    """Return the first ``length`` numbers of each vector, scaled to unit length again."""
    import torch

    return vectors if vectors.shape[1] == length else torch.nn.functional.normalize(vectors[:, :length], dim=-1)


def contrastive(
    queries: Any, candidates: Any, answers: Any, unfair: Any, lengths: Sequence[int], by_words: Any = 0.0
) -> Any:
    """Return the cross entropy of each query's answer among the fair candidates, the mean over ``lengths``.

    ``queries`` ``(q, d)``, ``candidates`` ``(c, d)``, ``answers`` int64 ``(q,)``, ``unfair`` bool ``(q, c)``, never its answer.
    ``by_words`` ``(q, c)`` is added to the cosines: what a search for words finds by itself need not be learned (Gao et al.,
    *Complement Lexical Retrieval Model with Semantic Residual Embeddings*, ECIR 2021).
    """
    import torch

    losses = []
    for length in lengths:
        likeness = _TEMPERATURE * (shortened(queries, length) @ shortened(candidates, length).T + by_words)
        losses.append(torch.nn.functional.cross_entropy(likeness.masked_fill(unfair, -torch.inf), answers))
    return torch.stack(losses).mean()


def cosent(left: Any, right: Any, grades: Any, lengths: Sequence[int]) -> Any:
    """Return how far pairs ``left``, ``right`` ``(n, d)`` are from the order of their ``grades`` ``(n,)``; 0 without two grades."""
    import torch

    above = grades[:, None] < grades[None, :]
    if not bool(above.any()):
        return left.sum() * 0
    losses = []
    for length in lengths:
        near = _TEMPERATURE * (shortened(left, length) * shortened(right, length)).sum(dim=1)
        wrong = (near[:, None] - near[None, :])[above]
        losses.append(torch.logsumexp(torch.cat([wrong.new_zeros(1), wrong]), dim=0))
    return torch.stack(losses).mean()


def listwise(queries: Any, candidates: Any, places: Any, teacher: Any, lengths: Sequence[int]) -> Any:
    """Return how far the order of each query's own candidates is from a teacher's: the divergence of softmax from softmax (Hinton,
    Vinyals and Dean, *Distilling the Knowledge in a Neural Network*, 2015).

    ``places`` int64 ``(q, k)`` are each query's candidates, -1 where it has fewer; ``teacher`` ``(q, k)`` its scores.
    """
    import torch

    absent = places < 0
    wanted = torch.softmax(teacher.masked_fill(absent, -torch.inf), dim=1)
    losses = []
    for length in lengths:
        near = (shortened(queries, length)[:, None] * shortened(candidates, length)[places.clamp(min=0)]).sum(dim=2)
        said = torch.log_softmax((_TEMPERATURE * near).masked_fill(absent, -torch.inf), dim=1).masked_fill(absent, 0.0)
        losses.append((torch.special.xlogy(wanted, wanted) - wanted * said).sum(dim=1).mean())
    return torch.stack(losses).mean()


def kept(vectors: Any, before: Any) -> Any:
    """Return one less the mean cosine to the vectors the same texts had before training."""
    return 1 - (vectors * before).sum(dim=1).mean()
