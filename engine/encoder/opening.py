"""Open an exported encoder: check it, and check that it is the one the vectors were made with.

Imports neither torch nor transformers. Knows nothing of exporting.
"""

from __future__ import annotations

from pathlib import Path

from engine.encoder.card import read_card
from engine.encoder.graph_encoder import GraphEncoder
from engine.encoder.hashing import HashingEncoder
from engine.encoder.protocol import Encoder
from engine.errors import EncoderError

__all__ = ["open_encoder"]


def open_encoder(folder: Path, *, threads: int = 1, expect: str = "") -> Encoder:
    """Return the encoder exported to ``folder``, after its files were checked against its card.

    ``expect`` is the fingerprint the vectors were made with; empty accepts any. The ``:torch`` at its end, which
    marks products embedded by the original model, is accepted: the card says how well the two agree.

    Raises:
        EncoderError: the folder is missing or damaged, or holds another encoder than expected.
    """
    card = read_card(folder)
    encoder = HashingEncoder(card.dimension) if card.kind == "hashing" else GraphEncoder(folder, card, threads=threads)
    wanted = expect.removesuffix(":torch")
    if wanted and wanted != encoder.fingerprint:
        raise EncoderError(
            f"The vectors were made with the encoder {wanted[:12]}…, but {folder} holds {card.name!r}, "
            f"{encoder.fingerprint[:12]}…. Index again with this model, or serve the folder the vectors came from."
        )
    return encoder
