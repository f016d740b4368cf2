"""Export a model once, check it against the original, and keep it in a cache.

In: what the shopkeeper calls the model. Out: a folder that :func:`~engine.encoder.opening.open_encoder` opens without
torch. The weights are int8 where the result still agrees with the original, float32 otherwise, with the reason on the
card. A folder appears complete or not at all. Knows nothing of snapshots.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np

from engine.encoder.card import BIN, CARD, FORMAT, MODEL, TOKENIZER, XML, Card, Prompts, Source, describe, read_card
from engine.encoder.graph import write_graph, write_tokenizer
from engine.encoder.graph_encoder import GraphEncoder, cleaned, padded
from engine.encoder.hashing import HashingEncoder
from engine.encoder.openvino_int8 import write_openvino
from engine.encoder.parity import measure, sample
from engine.encoder.quantise import quantise
from engine.encoder.source import SourceModel, encode_original, find_source, load_original
from engine.errors import EncoderError
from engine.lasting import sync

__all__ = ["MIN_COSINE", "MIN_OVERLAP", "export_encoder", "find_exported"]

MIN_COSINE = 0.98
"""Mean cosine to the original below which int8 is not used."""
MIN_OVERLAP = 0.7
"""Shared part of the ten best products below which int8 is not used."""

_RECIPE = 3
"""Raised whenever exporting would give other vectors; part of the folder's name."""
_MIN_FLOAT_COSINE = 0.9999
_SUFFIX = {"onnx": "", "openvino": " openvino"}
_UNFINISHED = ".unfinished-"
_DOCUMENT_PROMPTS = ("document", "passage", "corpus")

Progress = Callable[[str], None]
Kind = Literal["onnx", "openvino"]


def export_encoder(
    model: str,
    cache: Path,
    *,
    max_tokens: int,
    sample_texts: Sequence[str] = (),
    device: str = "auto",
    runtime: Kind = "onnx",
    progress: Progress | None = None,
) -> Path:
    """Return the folder in ``cache`` that holds ``model`` exported, exporting it unless it is there and undamaged.

    ``model`` is ``""`` (the one that comes along), a folder, a name on the Hugging Face hub, or ``hashing`` / ``hashing:256``
    (a toy). ``sample_texts`` are product texts to compare on; ``device`` is where the original runs for that. ``runtime`` is what
    will run it.
    ``progress`` is told each step in a few words.

    Raises:
        EncoderError: the model cannot be found, loaded or exported, or the export does not agree with it.
        MissingExtraError: the runtime is not installed.
    """
    tell = progress or (lambda step: None)
    if model == "hashing" or model.startswith("hashing:"):
        card = _hashing_card(model)
        name, fill = card.fingerprint, lambda folder: card
    else:
        tell("finding the model")
        source = find_source(model)
        name = _name(source, max_tokens, runtime)

        def fill(folder: Path) -> Card:
            return _fill(folder, source, max_tokens, sample_texts, device, runtime, tell)

    cache.mkdir(parents=True, exist_ok=True)
    with _only_writer(cache):
        return _publish(cache, name, fill)


def find_exported(model: str, cache: Path, *, max_tokens: int, runtime: Kind = "onnx") -> Path | None:
    """Return the folder in ``cache`` that holds ``model`` exported and sound, or ``None``.

    Raises:
        EncoderError: the model cannot be found.
    """
    folder = cache / _name(find_source(model), max_tokens, runtime)
    try:
        return folder if read_card(folder) else None
    except EncoderError:
        return None


def _name(source: SourceModel, max_tokens: int, runtime: Kind) -> str:
    return hashlib.sha256(f"{FORMAT} {_RECIPE} {max_tokens} {source.fingerprint}{_SUFFIX[runtime]}".encode()).hexdigest()


def _hashing_card(model: str) -> Card:
    _, _, size = model.partition(":")
    if size and not size.isdecimal():
        raise EncoderError(f"The toy model {model!r} has no number of dimensions. Write `hashing` or `hashing:256`.")
    encoder = HashingEncoder(int(size or 256))
    return Card(
        kind="hashing", name=encoder.name, dimension=encoder.dimension, max_tokens=0, source=Source(model=model)
    )


@contextmanager
def _only_writer(cache: Path) -> Iterator[None]:
    """Hold the cache's lock, waiting for another exporter, and clear away what a killed one left."""
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in cache.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(left, ignore_errors=True)
        yield


def _publish(cache: Path, name: str, fill: Callable[[Path], Card]) -> Path:
    """Return ``cache/name``, made by ``fill`` in a temporary folder and renamed, unless it is there and sound."""
    final = cache / name
    if final.exists():
        try:
            read_card(final)
            return final
        except EncoderError:  # damaged: made again below
            shutil.rmtree(final)
    work = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=cache))
    try:
        card = fill(work)
        (work / CARD).write_text(card.to_json(), encoding="utf-8")
        for path in (*work.iterdir(), work):
            sync(path)
        work.chmod(0o755)
        work.rename(final)
        sync(cache)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return final


def _fill(
    folder: Path,
    source: SourceModel,
    max_tokens: int,
    sample_texts: Sequence[str],
    device: str,
    runtime: Kind,
    tell: Progress,
) -> Card:
    """Write graph and tokenizer into ``folder`` and return the card: int8, or float32 where int8 disagrees."""
    tell(f"loading {source.name}")
    original = load_original(source, max_tokens=max_tokens)
    prompts = _prompts(original)
    full = folder / "full.onnx"
    tell("exporting to ONNX")
    write_tokenizer(original, folder / TOKENIZER)
    write_graph(original, full, unpad=runtime == "onnx")
    tell("encoding the sample with the original")
    check = _Check(original, prompts, sample_texts, device)
    tell("quantising to int8")
    if runtime == "openvino":
        write_openvino(full, folder / XML, _tensors(folder / TOKENIZER, full, check.texts, max_tokens))
    else:
        quantise(full, folder / MODEL)
    tell("comparing with the original")
    card = check.judge(_card(folder, source, original, prompts, runtime, "int8"), folder)
    if reason := _disagreement(card):
        if runtime == "openvino":
            write_openvino(full, folder / XML)
        else:
            full.replace(folder / MODEL)
        card = check.judge(_card(folder, source, original, prompts, runtime, "fp32", reason), folder)
        if card.parity is None or card.parity.cosine_min < _MIN_FLOAT_COSINE:
            raise EncoderError(
                f"The model {source.name!r} gives other vectors once exported for {runtime} (smallest cosine "
                f"{card.parity.cosine_min if card.parity else 0:.4f}). Choose another model."
            )
    full.unlink(missing_ok=True)
    return card


def _tensors(tokenizer: Path, graph: Path, texts: Sequence[str], max_tokens: int) -> list[dict[str, Any]]:
    """Return what the graph is given for each text."""
    import onnx
    from tokenizers import Tokenizer

    reads, names = Tokenizer.from_file(str(tokenizer)), [given.name for given in onnx.load(str(graph)).graph.input]
    return [padded([reads.encode(cleaned(text, max_tokens)).ids or [0]], 0, names) for text in texts]


def _prompts(original: Any) -> Prompts:
    known = original.prompts
    return Prompts(
        query=known.get("query") or "",
        product=next((known[name] for name in _DOCUMENT_PROMPTS if known.get(name)), ""),
    )


def _card(
    folder: Path,
    source: SourceModel,
    original: Any,
    prompts: Prompts,
    runtime: Kind,
    precision: Literal["int8", "fp32"],
    fallback: str = "",
) -> Card:
    return Card(
        kind=runtime,
        name=source.name,
        dimension=original.get_embedding_dimension(),
        max_tokens=original.max_seq_length,
        prompts=prompts,
        precision=precision,
        fallback=fallback,
        files={name: describe(folder / name) for name in ((XML, BIN, TOKENIZER) if runtime == "openvino" else (MODEL, TOKENIZER))},
        source=Source(model=source.asked, files=dict(source.files)),
    )


def _disagreement(card: Card) -> str:
    """Return why int8 is not good enough, or nothing."""
    parity = card.parity
    if parity is None or parity.cosine_mean < MIN_COSINE:
        return f"int8 gave a mean cosine of {parity.cosine_mean if parity else 0:.4f}, below {MIN_COSINE}."
    if parity.overlap < MIN_OVERLAP:
        return f"int8 shared {parity.overlap:.2f} of the ten best products with the original, below {MIN_OVERLAP}."
    return ""


class _Check:
    """The original's vectors of the sample, and the comparison of an exported folder with them."""

    def __init__(self, original: Any, prompts: Prompts, sample_texts: Sequence[str], device: str) -> None:
        import torch

        self._products, self._queries = sample(sample_texts)
        self._prompts = prompts
        place = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
        original.to(place)
        self._original_products = encode_original(original, prompts.product, self._products)
        self._original_queries = encode_original(original, prompts.query, self._queries)
        original.to("cpu")
        if not np.isfinite(self._original_products).all():
            raise EncoderError("The model gives vectors that are not numbers. Its weights are damaged.")

    @property
    def texts(self) -> list[str]:
        """Everything that is compared, as it is read."""
        return [*(self._prompts.product + p for p in self._products), *(self._prompts.query + q for q in self._queries)]

    def judge(self, card: Card, folder: Path) -> Card:
        """Return the card with the comparison filled in."""
        encoder = GraphEncoder(folder, card)
        parity = measure(
            encoder.encode_products(self._products),
            encoder.encode_queries(self._queries),
            self._original_products,
            self._original_queries,
        )
        return card.model_copy(update={"parity": parity})
