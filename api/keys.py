"""Who may ask: API keys and what each opens.

A key is sent as ``Authorization: Bearer KEY`` or ``X-API-Key: KEY``, never in an address, which ends up in logs. What no key bears
stays open to everybody, but for ``admin``, which is closed until a key bears it: so one key with ``admin`` alone leaves the search
box as it was, and the first key with ``search`` closes it. Only digests are kept, all are compared, and in constant time.
Knows nothing of what is asked.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import get_args

from starlette.responses import Response
from starlette.types import Scope

from api.problems import problem_response
from engine.settings import ApiKey, KeyScope

__all__ = ["Caller", "Keys", "key_needed", "scope_of"]

_ADMIN = ("/v1/admin/", "/metrics")
_EVENTS = ("/v1/events", "/v1/users/")


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose key it is, what it opens, and the rate it may ask at, empty for that of everybody."""

    name: str
    scopes: frozenset[KeyScope]
    rate_limit: str


def scope_of(path: str, closed: frozenset[KeyScope]) -> KeyScope | None:
    """Return what a path needs a key for, ``None`` where it needs none. ``closed`` are the scopes that keys bear."""
    if path.startswith(_ADMIN[0]) or (path == _ADMIN[1] and "admin" in closed):
        return "admin"
    if not path.startswith("/v1/"):
        return None
    needed: KeyScope = "events" if path.startswith(_EVENTS) else "search"
    return needed if needed in closed else None


class Keys:
    """The keys of the settings; where ``all_closed``, also what no key bears needs one."""

    def __init__(self, keys: Mapping[str, ApiKey], all_closed: bool = False) -> None:
        self._callers = [
            (_digest(key.key.encode()), Caller(name, frozenset(key.scopes), key.rate_limit)) for name, key in keys.items()
        ]
        every = get_args(KeyScope) if all_closed else ()
        self.closed = frozenset((*every, *(scope for _, caller in self._callers for scope in caller.scopes)))

    def caller(self, headers: Iterable[tuple[bytes, bytes]]) -> Caller | None:
        """Return whose key a request bears, ``None`` where it bears none that is known."""
        given = _given(headers)
        if not given:
            return None
        digest, found = _digest(given), None
        for known, caller in self._callers:  # all of them, so that nobody can tell how near a guess came
            if hmac.compare_digest(known, digest):
                found = caller
        return found

    def refusal(self, scope: Scope, caller: Caller | None) -> Response | None:
        """Return why a request may not be answered, ``None`` where it may."""
        needed = scope_of(scope["path"], self.closed)
        if needed is None or (caller and needed in caller.scopes) or scope["method"] == "OPTIONS":
            return None
        if needed not in self.closed:
            return problem_response(404, "Not found", "There is nothing here: no key with the scope `admin` is set.")
        if caller:
            return problem_response(403, "Forbidden", f"This key does not open `{needed}`. Use one whose scopes have it.")
        return key_needed()


def key_needed() -> Response:
    """Return what is said to whoever needs a key and sends none that is known."""
    detail = "This needs a key that the shop has given out. Send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`."
    return problem_response(401, "Key needed", detail, {"www-authenticate": 'Bearer realm="daogou"'})


def _given(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    for name, value in headers:
        if name == b"authorization" and value[:7].lower() == b"bearer ":
            return value[7:].strip()
        if name == b"x-api-key":
            return value.strip()
    return b""


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
