"""Snapshots on object storage, and the checked copy of the one that serves: what makes a server stateless.

    REMOTE/CURRENT                      name of the snapshot that serves
    REMOTE/snapshots/ID/manifest.json   as in a store
    REMOTE/files/SHA256                 every file once, whichever snapshots have it

Any storage that fsspec knows (https://filesystem-spec.readthedocs.io): ``s3://``, ``gs://``, ``abfs://``, ``file://``. A file is
believed only once its SHA-256 is that of the manifest. Reading only: writing is ``indexer.remote``'s. Knows nothing of what the
files mean.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec

from engine.errors import DaogouError, MissingExtraError, RemoteError, SnapshotError
from engine.index.snapshot import MANIFEST, Manifest, list_snapshots, read_manifest, sha256_of, snapshot_name

__all__ = ["Remote"]

_AT_A_TIME = 8


class Remote:
    """The storage at ``uri``.

    Raises:
        MissingExtraError: its package is not installed.
        RemoteError: fsspec does not know such an address.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri.rstrip("/")
        try:
            found = fsspec.core.url_to_fs(self.uri, use_listings_cache=False)
        except ImportError as error:
            raise MissingExtraError(f"The setting remote ({self.uri}) needs another package. {error}.") from error
        except ValueError as error:
            raise RemoteError(f"The setting remote ({self.uri}) is not an address that fsspec knows. {error}.") from error
        self.files: Any = found[0]
        self.root = str(found[1]).rstrip("/")

    @contextmanager
    def told(self, what: str) -> Iterator[None]:
        """Turn whatever a storage raises into a sentence.

        Raises:
            RemoteError: something was raised; each package of fsspec's has errors of its own.
        """
        try:
            yield
        except DaogouError:
            raise
        except Exception as error:
            said = " ".join(str(error).split())[:200] or type(error).__name__
            raise RemoteError(f"{what} at {self.uri} did not work: {said}.") from error

    def current(self) -> str:
        """Return the id of the snapshot that serves, or ``""`` when none was published yet.

        Raises:
            RemoteError: the storage does not answer.
            SnapshotError: the pointer is damaged.
        """
        with self.told("Reading CURRENT"):
            try:
                pointer = self.files.cat_file(f"{self.root}/CURRENT").decode("utf-8", "replace")
            except FileNotFoundError:
                return ""
            return snapshot_name(pointer, f"{self.uri}/CURRENT")

    def fetch(self, name: str, store: Path, *, whole: bool = False) -> None:
        """Copy a snapshot into ``store``, unless it is there, and let it be the current one there. What other snapshots there
        have is not fetched again, and what a server does not open is not fetched, unless it is asked for ``whole``.

        Raises:
            RemoteError: the storage does not answer, or a file is missing there or damaged.
            SnapshotError: the manifest is damaged.
        """
        store.mkdir(parents=True, exist_ok=True)
        with _alone(store), self.told(f"Fetching snapshot {name}"):
            target = store / "snapshots" / name
            if not (target / MANIFEST).exists():
                self._copy(name, store, store / "fetch.tmp", target, whole)
            elif whole:
                self._complete(read_manifest(target), store, target)
            draft = store / "CURRENT.tmp"
            draft.write_text(f"{name}\n", "utf-8")
            draft.replace(store / "CURRENT")

    def _copy(self, name: str, store: Path, draft: Path, target: Path, whole: bool) -> None:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        (draft / MANIFEST).write_bytes(self.files.cat_file(f"{self.root}/snapshots/{name}/{MANIFEST}"))
        manifest = read_manifest(draft)
        if manifest.id != name:
            raise SnapshotError(f"The manifest of {name} at {self.uri} is that of {manifest.id}. Publish it again.")
        self._complete(manifest, store, draft, None if whole else manifest.served)
        target.parent.mkdir(exist_ok=True)
        draft.rename(target)

    def _complete(self, manifest: Manifest, store: Path, folder: Path, names: list[str] | None = None) -> None:
        """Bring in the files of a snapshot that are not there, each checked."""
        known = _known(store)
        missing = [n for n in (manifest.files if names is None else names) if not (folder / n).exists()]
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            for _ in pool.map(lambda n: self._bring(manifest.files[n]["sha256"], folder / n, known), missing):
                pass

    def _bring(self, sha256: str, path: Path, known: dict[str, Path]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if sha256 in known and sha256_of(known[sha256]) == sha256:
            try:
                os.link(known[sha256], path)
                return
            except OSError:  # another file system, or one without links
                pass
        draft = path.with_name(path.name + ".part")
        self.files.get_file(f"{self.root}/files/{sha256}", str(draft))
        if sha256_of(draft) != sha256:
            raise RemoteError(f"{self.uri}/files/{sha256} does not match its SHA-256. Publish the snapshot again: `daogou push`.")
        draft.replace(path)

    def forget(self, name: str, store: Path) -> None:
        """Remove the copy of a snapshot that turned out damaged, so that it is fetched anew."""
        with _alone(store):
            shutil.rmtree(store / "snapshots" / name, ignore_errors=True)

    def tidy(self, store: Path, *kept: str) -> None:
        """Remove all copies but those that are ``kept``."""
        with _alone(store):
            for name in set(list_snapshots(store)) - set(kept):
                shutil.rmtree(store / "snapshots" / name, ignore_errors=True)


def _known(store: Path) -> dict[str, Path]:
    """Return where files with these SHA-256 already lie in a store."""
    known: dict[str, Path] = {}
    for name in list_snapshots(store):
        folder = store / "snapshots" / name
        try:
            files = read_manifest(folder).files
        except SnapshotError:
            continue
        known |= {str(entry["sha256"]): folder / file for file, entry in files.items() if (folder / file).exists()}
    return known


@contextmanager
def _alone(store: Path) -> Iterator[None]:
    """Let the processes of one machine that share a copy take turns."""
    with (store / "FETCH").open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
