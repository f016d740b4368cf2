"""A folder as its processes see it, and what of it would outlive a power cut.

In: a folder, and the steps that changed it. Out: the folder after a kill, which loses nothing that was written; or after a power
cut, which keeps of each file no more than was synced, and of each folder no more names than were synced, but may keep any of the
rest: a half of a write, a name without its content, a content without its name. Harder than file systems with a journal are.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crashing.trace import Step

__all__ = ["Disk"]


@dataclass(slots=True)
class _File:
    """``pending`` are the writes (offset, content) and cuts (length, nothing) since ``lasting`` was synced."""

    now: bytearray = field(default_factory=bytearray)
    lasting: bytes = b""
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)

    def do(self, offset: int, data: bytes | None) -> None:
        """Write at an offset (-1 is the end), or cut to a length."""
        at = len(self.now) if offset < 0 else offset
        _change(self.now, at, data)
        self.pending.append((at, data))


@dataclass(slots=True)
class _Folder:
    now: dict[str, _Node] = field(default_factory=dict)
    lasting: dict[str, _Node] = field(default_factory=dict)


_Node = _File | _Folder


class Disk:
    """The folder ``start``, all of it synced."""

    def __init__(self, start: Path) -> None:
        self.root = _read(start)

    def apply(self, step: Step) -> None:
        """Make one change."""
        if step.call == "said":
            return
        folder, name = self._parent(step.path)
        if step.call == "open":
            made = folder.now.setdefault(name, _File())
            if step.data and isinstance(made, _File):
                made.do(0, None)
        elif step.call == "write":
            self._file(step.path).do(step.offset, step.data)
        elif step.call == "truncate":
            self._file(step.path).do(step.offset, None)
        elif step.call == "sync":
            _sync(self._find(step.path))
        elif step.call in ("rename", "link"):
            other, new = self._parent(step.other)
            other.now[new] = folder.now[name]
            if step.call == "rename" and (other, new) != (folder, name):
                del folder.now[name]
        elif step.call == "mkdir":
            folder.now[name] = _Folder()
        else:
            folder.now.pop(name)

    def killed(self, target: Path) -> None:
        """Write the folder as it is."""
        _write_out(self.root, target, _now)

    def cut(self, target: Path, rng: random.Random | None = None) -> None:
        """Write the folder as a power cut leaves it: with nothing that was not synced, or, by chance, with some of it."""
        _write_out(self.root, target, _lasting if rng is None else _Chance(rng))

    def differences(self, folder: Path) -> list[str]:
        """Return what is otherwise in a real folder."""
        mine, real = dict(_contents(self.root, "")), dict(_contents(_read(folder), ""))
        return sorted(path for path in mine.keys() | real.keys() if mine.get(path) != real.get(path))

    def _parent(self, path: str) -> tuple[_Folder, str]:
        above, _, name = path.rpartition("/")
        folder = self._find(above or ".")
        assert isinstance(folder, _Folder), path
        return folder, name

    def _find(self, path: str) -> _Node:
        node: _Node = self.root
        for part in path.split("/") if path != "." else ():
            assert isinstance(node, _Folder), path
            node = node.now[part]
        return node

    def _file(self, path: str) -> _File:
        found = self._find(path)
        assert isinstance(found, _File), path
        return found


def _read(path: Path) -> _Folder:
    folder = _Folder()
    for entry in sorted(os.scandir(path), key=lambda e: e.name):
        if entry.is_dir(follow_symlinks=False):
            folder.now[entry.name] = _read(Path(entry.path))
        else:
            content = Path(entry.path).read_bytes()
            folder.now[entry.name] = _File(bytearray(content), content)
    folder.lasting = dict(folder.now)
    return folder


def _change(content: bytearray, at: int, data: bytes | None) -> None:
    content.extend(bytes(max(0, at - len(content))))
    if data is None:
        del content[at:]
    else:
        content[at : at + len(data)] = data


def _sync(node: _Node) -> None:
    if isinstance(node, _File):
        node.lasting = bytes(node.now)
        node.pending.clear()
    else:
        node.lasting = dict(node.now)


def _now(node: _Node) -> bytes | dict[str, _Node]:
    return bytes(node.now) if isinstance(node, _File) else node.now


def _lasting(node: _Node) -> bytes | dict[str, _Node]:
    return node.lasting


class _Chance:
    """Chooses for each file and each name whether what was not synced is there."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def __call__(self, node: _Node) -> bytes | dict[str, _Node]:
        return self._torn(node) if isinstance(node, _File) else self._names(node)

    def _torn(self, file: _File) -> bytes:
        """Return what was synced with some of what was done since: each done, not done, done in part, or its length alone."""
        every = self._rng.choice((0.0, 0.5, 1.0))
        content = bytearray(file.lasting)
        for at, data in file.pending:
            if self._rng.random() < every:
                _change(content, at, data)
            elif data and self._rng.random() < 0.3:
                _change(content, at, data[: self._rng.randrange(len(data))])
            elif data and self._rng.random() < 0.3 and at >= len(content):
                _change(content, at, bytes(len(data)))
        return bytes(content)

    def _names(self, folder: _Folder) -> dict[str, _Node]:
        out = {}
        for name in sorted(folder.now.keys() | folder.lasting.keys()):
            found = (folder.now if self._rng.random() < 0.5 else folder.lasting).get(name)
            if found is not None:
                out[name] = found
        return out


def _write_out(node: _Folder, target: Path, chosen: Callable[[_Node], Any]) -> None:
    target.mkdir(parents=True, exist_ok=True)
    names = chosen(node)
    for name, child in sorted(names.items()):
        if isinstance(child, _Folder):
            _write_out(child, target / name, chosen)
        else:
            (target / name).write_bytes(chosen(child))


def _contents(node: _Folder, above: str) -> Iterator[tuple[str, bytes | None]]:
    for name, child in node.now.items():
        if isinstance(child, _Folder):
            yield f"{above}{name}/", None
            yield from _contents(child, f"{above}{name}/")
        else:
            yield f"{above}{name}", bytes(child.now)
