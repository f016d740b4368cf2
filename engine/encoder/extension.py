"""Words of another language for a model that has none: new tokens with embeddings, its weights otherwise as they were.

    FOLDER/
      extension.json      which model it extends, which languages it adds, how it was made; written last
      tokens.txt          a token a line, a tab, the number of its row; spellings of one word share a row
      rows.safetensors    ``rows`` float16 (r, d), input embeddings

The body of the model stays frozen, so a text without any of the new tokens has the vector it always had, to the last bit.
Imports torch only when called. Knows nothing of how rows are found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.encoder.card import File, describe
from engine.errors import EncoderError

__all__ = [
    "EXTENSION",
    "ROWS",
    "TOKENS",
    "Extension",
    "add_tokens",
    "apply_extension",
    "read_extension",
    "set_rows",
    "write_extension",
]

EXTENSION, TOKENS, ROWS = "extension.json", "tokens.txt", "rows.safetensors"
_FORMAT = 1


class Extension(BaseModel):
    """What an extension says of itself. ``base_sha256`` is of the weights it was made for; ``made`` tells how, freely."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = _FORMAT
    name: str
    base: str
    base_sha256: str
    languages: tuple[str, ...] = Field(description="All the model reads, with the extension.")
    files: Mapping[str, File] = {}
    made: Mapping[str, Any] = {}


def read_extension(folder: Path) -> Extension:
    """Return the checked extension of a folder.

    Raises:
        EncoderError: it is missing, damaged or of another format.
    """
    try:
        found = Extension.model_validate_json((folder / EXTENSION).read_bytes())
    except OSError as error:
        raise EncoderError(f"No vocabulary extension at {folder}: {EXTENSION} cannot be read ({error.strerror}).") from error
    except ValidationError as error:
        raise EncoderError(f"{folder / EXTENSION} cannot be used: {error.errors()[0]['msg']}. Make the extension again.") from error
    if found.format != _FORMAT or set(found.files) != {TOKENS, ROWS}:
        raise EncoderError(f"{folder / EXTENSION} is of format {found.format}; this version reads {_FORMAT}. Make it again.")
    for name, expected in found.files.items():
        if not (folder / name).is_file() or describe(folder / name) != expected:
            raise EncoderError(f"{folder / name} is damaged or missing. Make the extension again.")
    return found


def write_extension(
    folder: Path, extension: Extension, tokens: Mapping[str, int], rows: NDArray[np.float16]
) -> Extension:
    """Write an extension; ``tokens`` are their row numbers in ``rows`` float16 ``(r, d)``. The description comes last."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    (folder / EXTENSION).unlink(missing_ok=True)
    (folder / TOKENS).write_text("".join(f"{token}\t{row}\n" for token, row in tokens.items()), "utf-8")
    save_file({"rows": rows}, folder / ROWS)
    done = extension.model_copy(update={"files": {name: describe(folder / name) for name in (TOKENS, ROWS)}})
    (folder / EXTENSION).write_text(done.model_dump_json(indent=2) + "\n", "utf-8")
    return done


def apply_extension(model: Any, folder: Path) -> None:
    """Give a loaded ``SentenceTransformer`` the tokens and rows of a folder.

    Raises:
        EncoderError: the rows do not fit the model.
    """
    from safetensors.numpy import load_file

    lines = [line.split("\t") for line in (folder / TOKENS).read_text("utf-8").splitlines()]
    rows = load_file(folder / ROWS)["rows"].astype(np.float32)
    ids = add_tokens(model, [token for token, _ in lines])
    table = model[0].auto_model.get_input_embeddings().weight
    if rows.ndim != 2 or rows.shape[1] != table.shape[1]:
        raise EncoderError(f"The extension in {folder} has rows of shape {rows.shape}; the model takes {table.shape[1]} numbers.")
    set_rows(model, ids, rows[[int(row) for _, row in lines]])


def add_tokens(model: Any, tokens: Sequence[str]) -> list[int]:
    """Teach the tokenizer ``tokens``, make room for their embeddings, and return their ids. Some may have been there."""
    from tokenizers import AddedToken

    # Not normalised: BERT's own normaliser would put spaces between Chinese characters before a word could be found.
    model.tokenizer.add_tokens([AddedToken(token, normalized=False) for token in tokens])
    transformer = model[0].auto_model
    if len(model.tokenizer) > transformer.get_input_embeddings().weight.shape[0]:
        transformer.resize_token_embeddings(len(model.tokenizer), mean_resizing=False)
    return [int(i) for i in model.tokenizer.convert_tokens_to_ids(list(tokens))]


def set_rows(model: Any, ids: Sequence[int], rows: NDArray[np.float32]) -> None:
    """Put ``rows`` float32 ``(len(ids), d)`` into the model's table of input embeddings."""
    import torch

    with torch.no_grad():
        model[0].auto_model.get_input_embeddings().weight[torch.tensor(ids)] = torch.from_numpy(rows)
