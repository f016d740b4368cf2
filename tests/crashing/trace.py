"""What a process and its children do to the files of a folder, step by step, as ``strace`` sees it.

In: a command and a folder. Out: :class:`Step` values in order, with all that was written. What is written through a shared
memory map is not seen. Knows nothing of what the files mean.
"""

from __future__ import annotations

import posixpath
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Step", "available", "read_steps", "traced"]

_CALLS = (
    "write,pwrite64,writev,pwritev,pwritev2,sendto,sendmsg,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,link,linkat,ftruncate,"
    "truncate,mkdir,mkdirat,rmdir,openat,open,creat,close,lseek,dup,dup2,dup3,fcntl,clone,clone3,fork,vfork,sendfile,copy_file_range,"
    "fallocate,read"
)
_LINE = re.compile(r"(\d+)\s+(.*)\n?")
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>(.*)")
_CALL = re.compile(r"(\w+)\((.*)\)\s+= (-?\d+|0x[0-9a-f]+|\?)(.*)", re.DOTALL)
_FD = re.compile(r"(-?\d+|AT_FDCWD)(?:<(.*?)>)?$")
_THROWN_AWAY = "/scratch/"
"""What lies below is filled in through memory maps, and thrown away whatever it holds."""
_UNFINISHED = " <unfinished ...>"


@dataclass(frozen=True, slots=True)
class Step:
    """One change. ``call`` is ``open`` (``data`` says ``trunc`` where it empties), ``write``, ``truncate``, ``sync``, ``rename``,
    ``link``, ``unlink``, ``mkdir``, ``rmdir`` or ``said``: what was written to standard output or a socket. Paths are below the folder."""

    call: str
    path: str = ""
    other: str = ""
    offset: int = 0
    data: bytes = b""


@dataclass(slots=True)
class _Open:
    """An open file description: duplicates of a descriptor share its position."""

    position: int = 0
    append: bool = False


@dataclass(slots=True)
class _Reader:
    root: str
    tables: dict[int, dict[int, _Open]] = field(default_factory=dict)

    def table(self, pid: int) -> dict[int, _Open]:
        """Return the descriptors of a thread."""
        return self.tables.setdefault(pid, {})


def available() -> str:
    """Return why processes cannot be traced here, empty where they can."""
    if not shutil.which("strace"):
        return "strace is not installed"
    tried = subprocess.run(["strace", "-f", "-qq", "-o", "/dev/null", "true"], capture_output=True, text=True, check=False)
    return "" if tried.returncode == 0 else f"strace may not trace here: {tried.stderr.strip()}"


def traced(command: Sequence[str], log: Path, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a command whose calls are written to ``log``."""
    strace = ["strace", "-f", "-y", "-qq", "--seccomp-bpf", "-xx", "-s", "67108864", "-e", f"trace={_CALLS}", "-e", "signal=none"]
    return subprocess.Popen([*strace, "-o", str(log), "--", *command], env=dict(env), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def read_steps(log: Path, root: Path) -> Iterator[Step]:
    """Yield the steps of a trace that changed something below ``root``, or said something.

    Raises:
        NotImplementedError: something was written that the trace does not tell, such as a copy inside the kernel.
    """
    reader, waiting = _Reader(str(root.resolve())), dict[int, str]()
    with log.open(encoding="latin-1") as stream:
        for line in stream:
            matched = _LINE.match(line)
            if not matched:
                continue
            pid, rest = int(matched[1]), matched[2]
            if rest.endswith(_UNFINISHED):
                waiting[pid] = rest.removesuffix(_UNFINISHED)
                continue
            if resumed := _RESUMED.match(rest):
                rest = waiting.pop(pid, "") + resumed[1]
            called = _CALL.match(rest)
            if called and not called[3].startswith("-") and called[3] != "?":
                yield from _steps(reader, pid, called[1], _split(called[2]), int(called[3], 0), called[4])


def _steps(reader: _Reader, pid: int, call: str, args: list[str], result: int, told: str) -> Iterator[Step]:
    table = reader.table(pid)
    if call in ("clone", "clone3", "fork", "vfork"):
        shared = "CLONE_FILES" in " ".join(args)
        # the child may have been seen before its parent came back
        reader.tables[result] = table if shared else {**table, **reader.tables.get(result, {})}
    elif call in ("open", "openat", "creat"):
        yield from _opened(reader, table, call, args, result, told)
    elif call == "close":
        table.pop(_number(args[0]), None)
    elif call in ("dup", "dup2", "dup3", "fcntl", "lseek", "read"):
        opened = table.get(_number(args[0]))
        if opened is not None and call == "lseek":
            opened.position = result
        elif opened is not None and call == "read":
            opened.position += result
        elif opened is not None and (call != "fcntl" or "F_DUPFD" in args[1]):
            table[result] = opened
    elif call in ("write", "pwrite64", "writev", "pwritev", "pwritev2", "sendto", "sendmsg"):
        yield from _written(reader, table, call, args, result)
    elif call in ("fsync", "fdatasync"):
        if path := _inside(reader, _path(args[0])):
            yield Step("sync", path)
    elif call == "ftruncate":
        if path := _inside(reader, _path(args[0])):
            yield Step("truncate", path, offset=int(args[1]))
    elif call in ("sendfile", "copy_file_range", "fallocate", "truncate"):
        target = _path(args[2] if call == "copy_file_range" else args[0])
        if _inside(reader, target) and not (call == "fallocate" and _THROWN_AWAY in target):
            raise NotImplementedError(f"{call} to {target}: what it wrote is not in the trace")
    else:
        yield from _named(reader, call, args)


def _opened(reader: _Reader, table: dict[int, _Open], call: str, args: list[str], result: int, told: str) -> Iterator[Step]:
    found = re.match(r"<(.*)>", told)
    path = _inside(reader, _text(found[1]) if found else "")
    flags = args[2] if call == "openat" else args[1] if call == "open" else "O_CREAT|O_TRUNC"
    table[result] = _Open(append="O_APPEND" in flags)
    if path and ("O_CREAT" in flags or "O_TRUNC" in flags):
        yield Step("open", path, data=b"trunc" if "O_TRUNC" in flags else b"")


def _written(reader: _Reader, table: dict[int, _Open], call: str, args: list[str], result: int) -> Iterator[Step]:
    number, target = _number(args[0]), _path(args[0])
    data = b"".join(_bytes(piece) for piece in re.findall(r'"((?:\\x[0-9a-f]{2})*)"', args[1]))[:result]
    path = _inside(reader, target)
    if not path:
        if number == 1 or "socket:" in target or "TCP" in target:
            yield Step("said", data=data)
        return
    opened = table.setdefault(number, _Open())
    if call in ("pwrite64", "pwritev", "pwritev2"):
        yield Step("write", path, offset=int(args[3]), data=data)
    else:
        yield Step("write", path, offset=-1 if opened.append else opened.position, data=data)
        opened.position += result


def _named(reader: _Reader, call: str, args: list[str]) -> Iterator[Step]:
    """Yield changes of names."""
    paths = [_inside(reader, path) for path in _arguments(reader, args)]
    if call.startswith(("rename", "link")) and len(paths) >= 2:
        one, other = paths[:2]
        if one and other:
            yield Step("rename" if call.startswith("rename") else "link", one, other)
        elif one or other:
            raise NotImplementedError(f"{call} over the edge of the folder: {args}")
    elif paths and paths[0]:
        folder = call == "rmdir" or "AT_REMOVEDIR" in args[-1]
        yield Step("rmdir" if folder else "mkdir" if call.startswith("mkdir") else "unlink", paths[0])


def _arguments(reader: _Reader, args: list[str]) -> list[str]:
    """Return the paths among the arguments of a call, made absolute by the descriptors before them."""
    out, at = [], ""
    for arg in args:
        if arg.startswith('"'):
            path = _bytes(arg[1:-1]).decode("utf-8", "surrogateescape")
            out.append(path if path.startswith("/") else f"{at or str(Path.cwd())}/{path}")
            at = ""
        elif _FD.match(arg):
            at = _path(arg)
    return out


def _split(args: str) -> list[str]:
    """Return the arguments of a call; strings hold no commas, as every byte of them is escaped."""
    out, depth, start = [], 0, 0
    for found in re.finditer(r"[\[\]{}]|, ", args):
        if found[0] in "[{":
            depth += 1
        elif found[0] in "]}":
            depth -= 1
        elif depth == 0:
            out.append(args[start : found.start()])
            start = found.end()
    return [*out, args[start:]]


def _number(arg: str) -> int:
    found = _FD.match(arg)
    return int(found[1]) if found and found[1] != "AT_FDCWD" else -1


def _path(arg: str) -> str:
    found = _FD.match(arg)
    return _text(found[2] or "") if found else ""


def _text(escaped: str) -> str:
    return _bytes(escaped).decode("utf-8", "surrogateescape") if escaped.startswith("\\x") else escaped


def _bytes(escaped: str) -> bytes:
    return bytes.fromhex(escaped.replace("\\x", ""))


def _inside(reader: _Reader, path: str) -> str:
    """Return a path below the folder, empty for any other and for a file without a name."""
    plain = posixpath.normpath(path) if path else ""
    if plain == reader.root:
        return "."
    if not plain.startswith(reader.root + "/") or plain.endswith("(deleted)"):
        return ""
    return plain.removeprefix(reader.root + "/")
