"""The card of an exported encoder: what is in its folder, where it came from and how well it agrees with it.

    FOLDER/
      encoder.json      this card, written last
      model.onnx        the graph, from token ids to unit vectors (kind ``onnx``)
      model.xml, .bin   the same (kind ``openvino``)
      tokenizer.json    the tokenizer, cutting at ``max_tokens``, padding off (both)

:func:`read_card` checks the size and SHA-256 of every file before any parser sees it. Knows nothing of graphs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.errors import EncoderError

__all__ = [
    "BIN",
    "CARD",
    "FORMAT",
    "MODEL",
    "TOKENIZER",
    "XML",
    "Card",
    "File",
    "Parity",
    "Prompts",
    "Source",
    "describe",
    "read_card",
]

FORMAT = 2
"""Version of the folder. Every format ever written loads, or is refused by name."""

CARD, MODEL, TOKENIZER = "encoder.json", "model.onnx", "tokenizer.json"
XML, BIN = "model.xml", "model.bin"
_FILES = {"onnx": {MODEL, TOKENIZER}, "openvino": {XML, BIN, TOKENIZER}, "hashing": set[str]()}


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class File(_Record):
    """Size and hex SHA-256 of one file."""

    bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Prompts(_Record):
    """What is put before every query and every product text."""

    query: str = ""
    product: str = ""


class Source(_Record):
    """The model the folder was exported from: the name or path it was asked for by, and its files."""

    model: str = ""
    files: Mapping[str, File] = {}


class Parity(_Record):
    """How the exported encoder agrees with the original on sample texts.

    ``cosine_…`` compare the vectors of the same text. ``overlap`` is the share of the ten best products that
    both find, averaged over the queries; ``overlap_mixed`` is the same with queries from the exported encoder and
    products from the original, as :func:`~engine.encoder.torch_encoder.bulk_encoder` pairs them on a GPU.
    """

    products: int
    queries: int
    cosine_mean: float
    cosine_min: float
    overlap: float
    overlap_mixed: float


class Card(_Record):
    """Everything a reader needs to know before opening the folder's files.

    ``fallback`` says why the weights are not int8, where they are not.
    """

    format: int = FORMAT
    kind: Literal["onnx", "openvino", "hashing"]
    name: str
    dimension: int = Field(ge=1)
    max_tokens: int = Field(ge=0)
    prompts: Prompts = Field(default_factory=Prompts)
    precision: Literal["int8", "fp32"] = "fp32"
    fallback: str = ""
    files: Mapping[str, File] = {}
    source: Source = Field(default_factory=Source)
    parity: Parity | None = None

    @property
    def fingerprint(self) -> str:
        """Hex SHA-256 of all that decides a vector: files, prompts, precision, length and format."""
        decisive = self.model_dump(
            mode="json", include={"format", "kind", "dimension", "max_tokens", "prompts", "precision", "files"}
        )
        return hashlib.sha256(json.dumps(decisive, sort_keys=True, ensure_ascii=False).encode()).hexdigest()

    def to_json(self) -> str:
        """Return the card as indented JSON."""
        return self.model_dump_json(indent=2) + "\n"


def describe(path: Path) -> File:
    """Return the size and SHA-256 of a file."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return File(bytes=path.stat().st_size, sha256=digest)


def read_card(folder: Path) -> Card:
    """Return the card of an exported encoder, once every file it names was found unchanged.

    Raises:
        EncoderError: the folder, its card or a file is missing, damaged, or of a format this version does not read.
    """
    path = folder / CARD
    try:
        raw = json.loads(path.read_bytes())
    except OSError as error:
        raise EncoderError(f"No exported encoder at {folder}: {CARD} cannot be read ({error.strerror}).") from error
    except ValueError as error:
        raise EncoderError(f"{path} is not JSON ({error}). Delete the folder and export the model again.") from error
    found = raw.get("format") if isinstance(raw, dict) else None
    if found != FORMAT:
        raise EncoderError(f"{path} has format {found!r}; this version reads {FORMAT}. Export the model again.")
    try:
        card = Card.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise EncoderError(f"{path} cannot be used: {place}: {first['msg']}. Export the model again.") from error
    if set(card.files) != _FILES[card.kind]:
        raise EncoderError(f"{path} lists the files {sorted(card.files)}, not {sorted(_FILES[card.kind])}.")
    for name, expected in card.files.items():
        _check(folder / name, expected)
    return card


def _check(path: Path, expected: File) -> None:
    try:
        found = describe(path)
    except OSError as error:
        raise EncoderError(f"{path} cannot be read ({error.strerror}). Export the model again.") from error
    if found != expected:
        raise EncoderError(
            f"{path} is damaged: it has {found.bytes} bytes and SHA-256 {found.sha256[:12]}…, the card says "
            f"{expected.bytes} and {expected.sha256[:12]}…. Delete the folder and export the model again."
        )
