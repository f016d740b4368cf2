"""``/v1/users/{id}``: what is kept of a person, what they allow and like, and how they are forgotten.

The id is a ``client_id``, which only its browser knows, or a ``user_id`` with its ``user_token``. Knows nothing of how anything is
kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar

import anyio.to_thread
from fastapi import APIRouter, Body, Path, Query
from fastapi.openapi.models import Example
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api.identity import Identity
from api.intake import Intake
from api.problems import problem_docs
from api.wire import answer
from engine.errors import UnfinishedErasureError
from engine.events import EventLog
from engine.privacy.erasure import Held, Receipt, erase_person, export_person
from engine.shopper import Preferences

__all__ = ["Consent", "Person", "PersonChange", "user_routes"]

_OFF = "This service keeps nothing of anybody: the setting `events` is off."
_UNFINISHED = (
    "Not everything could be erased: a file of the event log is damaged or busy. The erasure is written down, and is done as "
    "soon as that file can be read; ask again for a receipt."
)
_EXAMPLES = {
    "consent": Example(summary="Allow personal results, and nothing else", value={"consent": {"personalisation": True}}),
    "likes": Example(summary="Say what is liked", value={"preferences": {"brands": ["Fellmark"], "price": "middle"}}),
}
_Id = Annotated[
    str,
    Path(min_length=1, max_length=256, description="A `client_id`, or a `user_id`.", examples=["0b8e6d0c-7a57-4d0e-9d0e"]),
]
_Token = Annotated[str, Query(max_length=256, description="Proves a `user_id` where `identity_secret` is set.")]

Result = TypeVar("Result")


class Consent(BaseModel):
    """What a person allows; what is null stays as it was. ``improvement`` is measuring, training and what is bought together."""

    model_config = ConfigDict(extra="forbid")

    personalisation: bool | None = None
    improvement: bool | None = None


class PersonChange(BaseModel):
    """What to change of what is kept; what is null stays. Preferences take the place of all that were stated before."""

    model_config = ConfigDict(extra="forbid")

    consent: Consent = Consent()
    preferences: Preferences | None = None


class Person(BaseModel):
    """What a person allows and likes."""

    consent: dict[str, bool] = Field(description="By purpose; one that is missing was not asked.")
    preferences: Preferences


_Change = Annotated[PersonChange, Body(openapi_examples=_EXAMPLES)]


def user_routes(
    intake: Intake, identity: Identity, forget: Callable[[str, str], None], *, takes: bool = True
) -> APIRouter:
    """Return the routes of people. ``forget`` is told whose user id and whose client id was erased, for what is only
    in memory. A service that ``takes`` no events still shows and erases what was kept before."""
    router = APIRouter(tags=["people"])

    async def with_log(work: Callable[[EventLog], Result]) -> Result:
        if not takes and not intake.exists():
            raise HTTPException(404, _OFF)
        return await anyio.to_thread.run_sync(lambda: work(intake.open()))

    @router.get(
        "/v1/users/{user_id:path}",
        summary="Everything that is kept of a person",
        description="Consent, stated preferences, every event, and what was made from them; ids as the hashes they are kept as.",
        operation_id="exportUser",
        response_model=Held,
        responses=problem_docs(400, 403, 404, 429, 503),
    )
    async def export(user_id: _Id, user_token: _Token = "") -> Response:
        user, client = identity.of(user_id, user_token)
        if takes and not intake.exists():
            return answer(Held(person=[]))
        return answer(await with_log(lambda log: export_person(log, user, client)))

    @router.put(
        "/v1/users/{user_id:path}",
        summary="What a person allows and likes",
        description="Consent by purpose, and stated preferences. It counts in the next answer.",
        operation_id="changeUser",
        response_model=Person,
        responses=problem_docs(400, 403, 404, 429, 503),
    )
    async def change(user_id: _Id, wanted: _Change, user_token: _Token = "") -> Response:
        user, client = identity.of(user_id, user_token)
        if not takes:
            raise HTTPException(404, _OFF)
        consent = {name: said for name, said in wanted.consent.model_dump().items() if said is not None}
        stated = wanted.preferences.model_dump(exclude_defaults=True) if wanted.preferences is not None else None

        def put(log: EventLog) -> Person:
            people = dict.fromkeys(filter(None, (log.person(user), log.person("", client))))
            kept = [log.people.put(person, consent, stated) for person in people][-1]
            return Person(consent=dict(kept.consent), preferences=Preferences.model_validate(kept.stated))

        return answer(await with_log(put))

    @router.delete(
        "/v1/users/{user_id:path}",
        summary="Forget a person",
        description="Erases history, preferences, consent, kept conversations and remembered queries at once, from the log and "
        "from what comes out of backups later, and keeps them out of the next training. Returns a signed receipt.",
        operation_id="eraseUser",
        response_model=Receipt,
        responses=problem_docs(400, 403, 404, 429, 503),
    )
    async def erase(user_id: _Id, user_token: _Token = "") -> Response:
        user, client = identity.of(user_id, user_token)
        try:
            return answer(await with_log(lambda log: erase_person(log, user, client)))
        except UnfinishedErasureError as error:
            raise HTTPException(503, _UNFINISHED) from error
        finally:
            forget(user, client)

    return router
