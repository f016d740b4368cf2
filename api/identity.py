"""Who may speak for a user of the shop.

A ``client_id`` is a random text that only its browser knows, so whoever sends it is it. A ``user_id`` can be guessed; it counts
only with a ``user_token``, its HMAC-SHA256 under ``identity_secret``, which the shop's own server makes; or, where no secret is
set, on a local address, where nobody but that server calls. Knows nothing of what is done for them.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from dataclasses import replace
from typing import TypeVar

from starlette.exceptions import HTTPException

from engine.events import Event
from engine.settings import Settings
from engine.shopper import Shopper

__all__ = ["Identity", "user_token"]


def user_token(secret: str, user_id: str) -> str:
    """Return what proves a user id: HMAC-SHA256 (RFC 2104) in hex."""
    return hmac.new(secret.encode(), user_id.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


_LEAST_CLIENT = 16
"""Shorter ids of devices could be guessed, and so give nobody the right to what is kept under them."""


Asker = TypeVar("Asker", bound=Shopper)


class Identity:
    """Checks user ids by a shop's settings."""

    def __init__(self, settings: Settings) -> None:
        self._secret = settings.identity_secret
        self._trusting = not self._secret and _is_local(settings.host)

    def check(self, user_id: str, token: str) -> None:
        """Let a user id pass, or not.

        Raises:
            HTTPException: 403, it was not proved.
        """
        if reason := self.refusal(user_id, token):
            raise HTTPException(403, reason)

    def of(self, given: str, token: str) -> tuple[str, str]:
        """Return which user id and which client id somebody may see and erase who gives this id: both that it may be.

        Raises:
            HTTPException: 403, it may be neither.
        """
        user_id = "" if self.refusal(given, token) else given
        client_id = given if self._trusting or len(given) >= _LEAST_CLIENT else ""
        if not (user_id or client_id):
            raise HTTPException(403, self.refusal(given, token))
        return user_id, client_id

    def admit(self, who: Asker) -> Asker:
        """Return a request as it may be answered: ids of devices and visits that anybody could guess are left out of it.

        Raises:
            HTTPException: 403, its user id was not proved.
        """
        self.check(who.user_id, who.user_token)
        if self._trusting:
            return who
        guessed = {name: "" for name in ("client_id", "session_id") if 0 < len(getattr(who, name)) < _LEAST_CLIENT}
        return who.model_copy(update=guessed) if guessed else who

    def known(self, event: Event) -> Event:
        """Return an event as it may be kept: under no id that anybody could guess, as nobody could see or erase it then."""
        if self._trusting:
            return event
        client, session = (given if len(given) >= _LEAST_CLIENT else "" for given in (event.client_id, event.session_id))
        return replace(event, client_id=client, session_id=session)

    def refusal(self, user_id: str, token: str) -> str:
        """Return why a user id does not count, empty where it does or none is given."""
        if not user_id or self._trusting:
            return ""
        if not self._secret:
            return "A `user_id` counts only once `identity_secret` is set, since this service is not on a local address."
        given = token.encode("utf-8", "surrogatepass")
        if hmac.compare_digest(user_token(self._secret, user_id).encode(), given):
            return ""
        return "The `user_token` does not prove this `user_id`. Send its HMAC-SHA256 under `identity_secret`, in hex."


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"
