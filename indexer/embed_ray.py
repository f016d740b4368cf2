"""Embedding on a cluster: ``daogou index FEED --engine ray``.

In: a plan, the spooled products and an exported encoder. Out: the plan's vectors, complete, and the same bytes that embedding
here gives: products are embedded in the same groups, by the same files. Texts wait as Parquet in a folder that all nodes can
read, one group a row, and Ray Data (https://docs.ray.io/en/latest/data/data.html) lets each actor take groups as it gets free; the
encoder's files travel through Ray's object store. What waits in memory does not grow with the feed. Needs the extra ``ray``, on
every node. Knows nothing of why a row must be embedded, or of indexes.
"""

from __future__ import annotations

import logging
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet

from engine.errors import EncoderError, MissingExtraError
from engine.lexicon import Lexicon
from engine.settings import Settings
from engine.text import embedding_text
from indexer.embed import group_size, open_encoders
from indexer.plan import Plan
from indexer.spool import Spool

__all__ = ["embed_with_ray"]

_GROUPS_IN_A_FILE = 256
_PATIENCE_S = 10.0
_SCHEMA = pa.schema([("first", pa.int64()), ("texts", pa.list_(pa.string()))])


def embed_with_ray(
    plan: Plan,
    spool: Spool,
    exported: Path,
    settings: Settings,
    folder: Path,
    advance: Callable[[int], None],
    lexicon: Lexicon | None = None,
) -> None:
    """Embed the plan's missing rows in place on the cluster of the settings; texts wait in ``folder``, unless ``ray_folder``
    names a place.

    Raises:
        MissingExtraError: Ray is not installed.
        EncoderError: no cluster answers, or an actor failed.
    """
    if not len(plan.missing):
        return
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("Embedding with --engine ray needs Ray. Run `pip install 'daogou[ray]'`.") from error
    size = group_size(settings.batch_size)
    with _texts(settings.ray_folder or str(folder / "texts")) as (files, where), _cluster(ray, settings):
        _write_texts(plan, spool, size, files, where, lexicon)
        try:
            for part in _embedded(ray, exported, settings, files, where):
                for first, vectors in zip(part["first"], part["vectors"], strict=True):
                    rows = plan.missing[int(first) : int(first) + size]
                    plan.vectors[rows] = np.frombuffer(vectors, np.float16).reshape(len(rows), -1)
                    advance(len(rows))
        except ray.exceptions.RayError as error:
            lines = [line for line in str(error).splitlines() if line.strip()]
            raise EncoderError(f"Embedding with Ray failed: {lines[-1].strip() if lines else error!r}") from error


def _write_texts(plan: Plan, spool: Spool, size: int, files: Any, where: str, lexicon: Lexicon | None) -> None:
    """Write the texts of the missing rows, a group a row, some groups a file."""
    for start in range(0, len(plan.missing), size * _GROUPS_IN_A_FILE):
        firsts = range(start, min(start + size * _GROUPS_IN_A_FILE, len(plan.missing)), size)
        texts = [
            [embedding_text(product, lexicon) for product in spool.products(plan.missing[first : first + size].tolist())]
            for first in firsts
        ]
        table = pa.table({"first": list(firsts), "texts": texts}, _SCHEMA)
        pa.parquet.write_table(table, f"{where}/{start:012d}.parquet", filesystem=files)


def _embedded(ray: Any, exported: Path, settings: Settings, files: Any, where: str) -> Iterator[dict[str, Any]]:
    """Yield groups with their vectors, in the order in which they are done."""
    model = ray.put({str(f.relative_to(exported)): f.read_bytes() for f in sorted(exported.rglob("*")) if f.is_file()})
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    gpus = 1 if settings.device == "cuda" else 0
    # Half a CPU for each actor: with whole ones nothing is left to read with, and everything waits.
    most = int(ray.cluster_resources().get("GPU" if gpus else "CPU", 1))
    embedded = ray.data.read_parquet(where, filesystem=files).map_batches(
        _Embedder,
        fn_constructor_args=(model, settings.model_dump_json(include={"device", "batch_size"})),
        batch_size=1,
        concurrency=(1, max(1, most)),
        num_cpus=0.5,
        num_gpus=gpus,
    )
    yield from embedded.iter_batches(batch_size=1, prefetch_batches=1)


class _Embedder:
    """An actor: one encoder, and groups one after another."""

    def __init__(self, model: Any, settings: str) -> None:
        import ray

        self._folder = tempfile.TemporaryDirectory(prefix="daogou-encoder-")
        for name, content in (ray.get(model) if isinstance(model, ray.ObjectRef) else model).items():
            path = Path(self._folder.name, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        self._encoder, _ = open_encoders(Path(self._folder.name), Settings.model_validate_json(settings))

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Return the groups of a batch with their vectors, float16, as bytes."""
        groups = [self._encoder.encode_products(list(texts)).astype(np.float16) for texts in batch["texts"]]
        return {"first": batch["first"], "vectors": np.array([group.tobytes() for group in groups], object)}


@contextmanager
def _texts(where: str) -> Iterator[tuple[Any, str]]:
    """Give a new empty folder, of the disk or of an object store, and take it away again."""
    files, path = (
        pa.fs.FileSystem.from_uri(where) if "://" in where else (pa.fs.LocalFileSystem(), os.path.abspath(where))
    )
    path = f"{path}/daogou-texts-{os.getpid()}"
    files.create_dir(path)
    try:
        yield files, path
    finally:
        files.delete_dir(path)


def _knock(address: str) -> None:
    """Connect to an address that says host and port, and hang up.

    Raises:
        OSError: nothing answers.
    """
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), _PATIENCE_S).close()


@contextmanager
def _cluster(ray: Any, settings: Settings) -> Iterator[None]:
    """Connect to the cluster of the settings, or start one here, which ends with this."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    here: dict[str, Any] = {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    try:
        _knock(settings.ray_address)  # Ray itself would go on trying for minutes
        ray.init(
            log_to_driver=False,
            logging_level=logging.ERROR,
            **({"address": settings.ray_address} if settings.ray_address else here),
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise EncoderError(
            f"No Ray cluster could be used at {settings.ray_address or 'this machine'}: {error}. See that it runs, and that the "
            "setting ray_address is its address."
        ) from error
    try:
        yield
    finally:
        ray.shutdown()
