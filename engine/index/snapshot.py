"""The one format on disk: an immutable folder whose manifest was written last.

    STORE/
      CURRENT                    name of the snapshot that serves, replaced atomically
      LOCK                       held by the one writer
      encoders/FINGERPRINT/      exported models, shared by snapshots through hard links
      snapshots/ID/manifest.json format, text version, encoder, counts, size and SHA-256 of every file
      snapshots/ID/…             documents, columns, vectors, lexical, codes, prefix, encoder
      snapshots/ID/delta/…       the same again for products that came or changed since, and
      snapshots/ID/tombstones.npy  int64, rows of those that are gone or lie in the delta now

Rows of the delta follow those of the base.

A folder without a manifest does not exist. :func:`open_snapshot` checks the size and SHA-256 of every file before
any parser sees it. Reading only: writing is ``indexer.publish``'s. Knows nothing of what the files mean.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from engine.errors import SnapshotError

if TYPE_CHECKING:  # a manifest is read without numpy
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["FORMAT", "Manifest", "Part", "Snapshot", "current_id", "list_snapshots", "open_snapshot", "sha256_of", "snapshot_name"]

FORMAT = 4
"""Version of the folder layout. Every format ever written loads, or is refused by name."""

MANIFEST = "manifest.json"
_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,99}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a snapshot says of itself.

    ``products`` can be found; ``delta`` rows lie in the delta, and ``dead`` rows of the base are gone or have moved there.
    ``encoder`` is the fingerprint the vectors were made with; ``files`` maps a path inside the folder to
    ``{"bytes": …, "sha256": …}``; ``counts`` and ``report`` are what indexing measured.
    """

    id: str
    created: str
    format: int
    text_version: int
    terms_version: int
    encoder: str
    model: str
    products: int
    dimension: int
    delta: int = 0
    dead: int = 0
    counts: Mapping[str, Any] = field(default_factory=dict)
    report: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def served(self) -> list[str]:
        """The files a server opens: all, but for vectors that lie in Milvus."""
        elsewhere = "vectors/collection.json" in self.files
        return [name for name in self.files if not (elsewhere and name == "vectors/vectors.faiss")]

    def to_json(self) -> str:
        """Return the manifest as indented JSON with sorted keys, and a SHA-256 of all it says."""
        values = asdict(self)
        return json.dumps({**values, "sha256": _sha256_of_values(values)}, indent=2, sort_keys=True, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Part:
    """A folder with ``size`` products, whose rows begin at ``first``."""

    folder: Path
    first: int
    size: int

    @property
    def rows(self) -> slice:
        """The rows of the snapshot that lie here."""
        return slice(self.first, self.first + self.size)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A verified snapshot on disk."""

    path: Path
    manifest: Manifest

    @property
    def parts(self) -> tuple[Part, ...]:
        """The base, and the delta where there is one."""
        base = Part(self.path, 0, self.rows - self.manifest.delta)
        return (base, Part(self.path / "delta", base.size, self.manifest.delta)) if self.manifest.delta else (base,)

    @property
    def rows(self) -> int:
        """Rows of all parts, dead ones with them."""
        return self.manifest.products + self.manifest.dead

    @property
    def dead(self) -> NDArray[np.int64]:
        """The dead rows int64, sorted."""
        from engine.index.arrays import NO_ROWS, map_array

        return map_array(self.file("tombstones.npy")) if self.manifest.dead else NO_ROWS

    def file(self, name: str) -> Path:
        """Return the path of a file the manifest lists.

        Raises:
            SnapshotError: the manifest does not list it.
        """
        if name not in self.manifest.files:
            raise SnapshotError(f"Snapshot {self.manifest.id} has no file {name!r}. Index the feed again.")
        return self.path / name


def _sha256_of_values(values: Mapping[str, Any]) -> str:
    """Return the hex SHA-256 of JSON values, however they are written down."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def sha256_of(path: Path) -> str:
    """Return the hex SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def current_id(store: Path) -> str:
    """Return the id of the snapshot that serves, or ``""`` when none was published yet."""
    try:
        name = (store / "CURRENT").read_bytes().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise SnapshotError(f"{store / 'CURRENT'} cannot be read: {error.strerror}.") from error
    return snapshot_name(name, str(store / "CURRENT"))


def snapshot_name(pointer: str, where: str) -> str:
    """Return what a pointer at ``where`` names.

    Raises:
        SnapshotError: that cannot be the name of a snapshot.
    """
    name = pointer.strip()
    if not _ID.fullmatch(name):
        raise SnapshotError(f"{where} names no snapshot ({name[:40]!r}). Run `daogou rollback` to choose one.")
    return name


def list_snapshots(store: Path) -> list[str]:
    """Return the ids of all finished snapshots, oldest first."""
    folders = (store / "snapshots").glob(f"*/{MANIFEST}")
    return sorted(f.parent.name for f in folders if _ID.fullmatch(f.parent.name))


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a snapshot folder.

    Raises:
        SnapshotError: there is none, or it is of another format.
    """
    try:
        values = json.loads((folder / MANIFEST).read_text("utf-8"))
    except FileNotFoundError as error:
        raise SnapshotError(f"There is no snapshot at {folder}: it has no {MANIFEST}.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise SnapshotError(f"The manifest in {folder} cannot be read ({error}). Run `daogou rollback`.") from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        found = values.get("format") if isinstance(values, dict) else None
        raise SnapshotError(
            f"Snapshot {folder.name} has format {found!r}; this version of daogou reads format {FORMAT}. "
            "Index the feed again, or install the version that wrote it."
        )
    if values.pop("sha256", "") != _sha256_of_values(values):
        raise SnapshotError(f"The manifest in {folder} does not match its own SHA-256. Run `daogou rollback`, or index again.")
    try:
        manifest = Manifest(**values)
    except TypeError as error:
        raise SnapshotError(f"The manifest in {folder} has unexpected fields ({error}). Index the feed again.") from error
    if wrong := _strange(manifest):
        raise SnapshotError(f"The manifest in {folder} was not written by daogou: {wrong}. Index the feed again.")
    return manifest


def _strange(manifest: Manifest) -> str:
    """Return what of a manifest daogou writes otherwise, or ``""``: whoever writes one can give it the right SHA-256 too."""
    for name, kind in get_type_hints(Manifest).items():
        value: object = getattr(manifest, name)
        if type(value) is not (kind if kind in (str, int) else dict) or (isinstance(value, int) and value < 0):
            return f"`{name}` is {str(value)[:40]!r}"
    for file, entry in manifest.files.items():
        if not _ours(file):
            return f"it names the file {file[:40]!a}, which is in no folder of its own"
        if not isinstance(entry, dict) or type(entry.get("bytes")) is not int or not _SHA256.fullmatch(str(entry.get("sha256"))):
            return f"of {file[:40]!a} it has no size and SHA-256"
    return "" if manifest.delta <= manifest.products + manifest.dead else "its delta has more rows than the whole"


def _ours(file: str) -> bool:
    """Return whether a path leads into the folder of its snapshot, and can be one."""
    outside = any(part in ("", ".", "..") for part in file.split("/"))
    return not outside and "\0" not in file and file == file.encode("utf-8", "replace").decode("utf-8")


def open_snapshot(store: Path, snapshot_id: str = "", verified: Snapshot | None = None) -> Snapshot:
    """Return the snapshot ``snapshot_id``, or the current one, with every file verified; files it shares with one that was
    ``verified`` before, being the same on disk, are not read again.

    Raises:
        SnapshotError: there is none, a file is missing or differs from the manifest, or the format is another.
    """
    name = snapshot_id or current_id(store)
    if not name:
        raise SnapshotError(f"No snapshot was published in {store} yet. Run `daogou index FEED --store {store}`.")
    folder = store / "snapshots" / name
    manifest = read_manifest(folder)
    if manifest.id != name:
        raise SnapshotError(f"The manifest in {folder} is that of snapshot {manifest.id}. Run `daogou rollback`, or index again.")
    with ThreadPoolExecutor(4) as pool:
        absent = [name for name in manifest.files.keys() - set(manifest.served) if not (folder / name).exists()]
        checked = {name: entry for name, entry in manifest.files.items() if name not in absent}
        files = [(name, entry) for name, entry in checked.items() if not _shared(folder, name, entry, verified)]
        wrong = [w for w in pool.map(lambda f: _mismatch(folder / f[0], f[1]), files) if w]
    if wrong:
        raise SnapshotError(f"Snapshot {name} is damaged: {'; '.join(wrong)}. Run `daogou rollback`, or index again.")
    return Snapshot(folder, manifest)


def _shared(folder: Path, name: str, entry: Mapping[str, Any], verified: Snapshot | None) -> bool:
    """Return whether a file is the very one that was verified before."""
    if verified is None or verified.manifest.files.get(name) != entry:
        return False
    try:
        one, other = (folder / name).stat(), (verified.path / name).stat()
    except OSError:
        return False
    return (one.st_dev, one.st_ino, one.st_size) == (other.st_dev, other.st_ino, entry["bytes"])


def _mismatch(path: Path, expected: Mapping[str, Any]) -> str:
    """Return what is wrong with a file, or ``""``."""
    try:
        size = path.stat().st_size
        if size != expected["bytes"]:
            return f"{path.name} has {size} bytes instead of {expected['bytes']}"
        return "" if sha256_of(path) == expected["sha256"] else f"{path.name} does not match its SHA-256"
    except OSError as error:
        return f"{path.name} cannot be read ({error.strerror})"
