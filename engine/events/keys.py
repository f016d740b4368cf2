"""Ids of people as keyed hashes: nobody without the key can tell whose they are, and the same id is the same hash.

The key is drawn once and kept beside the log, readable by its owner alone, or given by ``DAOGOU_PRIVACY_KEY``. Whoever destroys
it makes every hash of the log nobody's for good. HMAC (RFC 2104) by keyed BLAKE2b (RFC 7693), 128 bits.
"""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path

from engine.errors import SettingsError
from engine.lasting import make_folder, write_whole

__all__ = ["Keyring"]

_BYTES = 16
_LEAST_KEY = 32


class Keyring:
    """Hashes ids of one store. Ids of different realms (``user``, ``client``, …) never meet."""

    def __init__(self, key: bytes) -> None:
        self._key = hashlib.blake2b(key, digest_size=64).digest()

    @classmethod
    def open(cls, folder: Path, given: str = "") -> Keyring:
        """Return the keys of a folder, drawn and made to last where there are none; ``given`` takes their place.

        Raises:
            SettingsError: the key of the folder is damaged, or is not the one that its ids were hashed with.
        """
        keys = cls(given.encode()) if given else cls._own(folder / "key")
        _check(folder / "key.check", keys.hashed("check", "key").hex())
        return keys

    @classmethod
    def _own(cls, path: Path) -> Keyring:
        """Return the keys of a file, which is made where there is none."""
        if not path.exists():
            make_folder(path.parent)
            write_whole(path, secrets.token_bytes(_LEAST_KEY))  # unless another process was faster
        key = path.read_bytes()
        if len(key) < _LEAST_KEY:
            raise SettingsError(f"{path} is damaged: {len(key)} bytes, at least {_LEAST_KEY} expected. Restore it from a backup.")
        return cls(key)

    def hashed(self, realm: str, value: str) -> bytes:
        """Return the 16 bytes that stand for an id of a realm; none for an empty id."""
        if not value:
            return b""
        given = value.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(given, digest_size=_BYTES, key=self._key, person=realm.encode()).digest()


def _check(path: Path, fingerprint: str) -> None:
    """Refuse another key than that of before: it would know nobody, neither who said no nor who is to be erased."""
    if not path.exists():
        write_whole(path, fingerprint.encode())
    elif path.read_bytes() not in (fingerprint.encode(), b""):
        raise SettingsError(f"The ids in {path.parent} were hashed with another key. Give that one, or move the folder away.")
