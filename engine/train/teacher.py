"""What a stronger model thinks of a query and its candidates: a cross-encoder reads both together and says how well they fit.

In: groups, product texts and the name or folder of a sentence-transformers cross-encoder. Out: the groups with its scores. It is
slow and only asked while training. Imports torch only when called. Knows nothing of losses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from engine.errors import TrainingError
from engine.train.groups import Group
from engine.train.world import World

__all__ = ["taught"]

_BATCH = 64


def taught(
    groups: Sequence[Group], texts: Mapping[str, str], teacher: str, max_tokens: int, device: str, world: World = World()
) -> list[Group]:
    """Return the groups with the teacher's score of each answer and negative, larger for what fits better.

    Raises:
        TrainingError: there is no such teacher, or it gives more than one score for a pair.
    """
    import torch
    from sentence_transformers import CrossEncoder

    try:
        model = CrossEncoder(teacher, device=device, local_files_only=Path(teacher).is_dir())
    except Exception as error:  # the hub client and the loaders raise dozens of unrelated types
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        message = f"The teacher {teacher!r} cannot be loaded ({reason}). Give a cross-encoder by name or path."
        raise TrainingError(message) from error
    if model.config.num_labels != 1:
        raise TrainingError(f"The teacher {teacher!r} gives {model.config.num_labels} scores for a pair; one is needed.")
    model.max_length = min(model.max_length or max_tokens, 4 * max_tokens)
    pairs = list(dict.fromkeys((group.query, product) for group in groups for product, _ in group.rated))
    scores = model.predict(
        [(query, texts[product]) for query, product in pairs],
        activation_fn=torch.nn.Identity(),
        batch_size=_BATCH,
        show_progress_bar=False,
        convert_to_numpy=True,
    )
    if not np.isfinite(scores).all():
        raise TrainingError(f"The teacher {teacher!r} gives scores that are not numbers. Choose another.")
    said = dict(zip(pairs, map(float, world.same(scores, device)), strict=True))
    return [replace(group, teacher=tuple(said[group.query, product] for product, _ in group.rated)) for group in groups]
