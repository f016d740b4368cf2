"""Fill in the vectors that no snapshot has yet.

In: a plan, the spooled products and an encoder. Out: the plan's ``vectors`` float16 ``(n, d)``, complete; rows have
unit length before they are rounded. Knows nothing of why a row must be embedded, or of indexes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from engine.encoder import Encoder, open_encoder
from engine.encoder.card import read_card
from engine.encoder.torch_encoder import bulk_encoder
from engine.lexicon import Lexicon
from engine.settings import Settings
from engine.text import embedding_text
from indexer.plan import Plan
from indexer.spool import Spool

__all__ = ["embed_missing", "group_size", "open_encoders"]

_AT_A_TIME = 32


def open_encoders(exported: Path, settings: Settings) -> tuple[Encoder, Encoder]:
    """Return the encoder of products and the encoder of queries for an exported folder.

    They are one, unless a GPU embeds the products. The toy is opened without looking for a GPU, which takes torch.

    Raises:
        EncoderError: the folder is damaged, or the device asked for is not there.
    """
    if read_card(exported).kind == "hashing":
        products = open_encoder(exported)
    else:
        products = bulk_encoder(exported, settings.device, batch_size=settings.batch_size)
    return products, open_encoder(exported, threads=0) if products.fingerprint.endswith(":torch") else products


def group_size(batch_size: int) -> int:
    """Return how many products are embedded together: which are decides the last bits of their vectors."""
    return max(batch_size, _AT_A_TIME)


def embed_missing(
    plan: Plan,
    spool: Spool,
    encoder: Encoder,
    batch_size: int,
    advance: Callable[[int], None],
    lexicon: Lexicon | None = None,
) -> None:
    """Embed the plan's missing rows in place, some at a time.

    Raises:
        EncoderError: a vector is zero or not a number.
    """
    size = group_size(batch_size)
    for start in range(0, len(plan.missing), size):
        rows = plan.missing[start : start + size]
        texts = [embedding_text(product, lexicon) for product in spool.products(rows.tolist())]
        plan.vectors[rows] = encoder.encode_products(texts).astype(np.float16)
        advance(len(rows))
