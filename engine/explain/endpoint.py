"""Text from any endpoint that speaks OpenAI's chat completions, streamed.

In: settings with an address, a model name and perhaps a key; messages, and perhaps a JSON schema that the answer is held to. Out:
pieces of text as they arrive. Reads no more than ``generator_max_chars`` of text, asks no more often than the budget allows,
follows no redirect, uses no proxy of the environment, and stops at its time limit however slowly bytes drip. What is no
server-sent event, no JSON or no text is passed over up to a limit. Errors name what happened and never the key, the prompt or the
answer. Knows nothing of what is asked for.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

import httpx
from limits import parse_many
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from engine.errors import GeneratorError, SettingsError
from engine.settings import Settings

__all__ = ["ChatEndpoint"]

_MAX_EVENT_BYTES = 65_536
_MAX_GARBAGE = 200
_BYTES_PER_CHAR = 512
_NO_SCHEMA = frozenset({400, 415, 422, 501})
"""What endpoints answer that cannot be held to a schema."""

_LOG = logging.getLogger(__name__)

Schema = Mapping[str, object]


class ChatEndpoint:
    """A model behind HTTP. Makes a connection for each answer and keeps nothing between them. Thread-safe.

    Raises:
        SettingsError: ``generator_url`` is no http or https address, or ``generator_budget`` is no rate.
    """

    def __init__(self, settings: Settings) -> None:
        parts = urlsplit(settings.generator_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError(
                "`generator_url` is no http or https address. Set it to the endpoint's base address, "
                "such as http://127.0.0.1:8000/v1."
            )
        self._url = settings.generator_url.rstrip("/") + "/chat/completions"
        self._host = parts.hostname
        self._settings = settings
        self._takes_schema = settings.generator_schema
        self._budget = _Budget(settings.generator_budget) if settings.generator_budget else None

    @property
    def takes_schema(self) -> bool:
        """Whether answers are held to a schema; false from when the endpoint was seen not to know how."""
        return self._takes_schema

    def texts(self, prompt: list[dict[str, str]], schema: Schema | None = None) -> Iterator[str]:
        """Yield the pieces of the answer's text, at most ``generator_max_chars`` of it.

        Raises:
            GeneratorError: the endpoint cannot be reached, refuses, breaks off, or takes too long, or the budget is spent.
        """
        if schema is not None and self._takes_schema:
            try:
                yield from self._limited(prompt, schema)
                return
            except _NoSchemaError:
                for text in self._limited(prompt, None):
                    if self._takes_schema:  # it answers without one: so it was the schema
                        self._takes_schema = False
                        _LOG.warning("The endpoint at %s takes no JSON schema and is asked without one.", self._host)
                    yield text
                return
        yield from self._limited(prompt, None)

    def _limited(self, prompt: list[dict[str, str]], schema: Schema | None) -> Iterator[str]:
        left = self._settings.generator_max_chars
        for text in self._pieces(prompt, schema):
            left -= len(text)
            if left < 0:
                raise GeneratorError(
                    f"The endpoint at {self._host} wrote more than {self._settings.generator_max_chars} characters."
                )
            yield text

    def _pieces(self, prompt: list[dict[str, str]], schema: Schema | None) -> Iterator[str]:
        if self._budget is not None:
            self._budget.spend()
        deadline = time.monotonic() + self._settings.generator_timeout_s
        garbage = 0
        try:
            with (
                httpx.Client(
                    timeout=self._settings.generator_timeout_s, follow_redirects=False, trust_env=False
                ) as client,
                client.stream("POST", self._url, json=self._body(prompt, schema), headers=self._headers()) as response,
            ):
                if (status := response.status_code) != 200:
                    if schema is not None and status in _NO_SCHEMA:
                        raise _NoSchemaError
                    raise GeneratorError(f"The endpoint at {self._host} answered {status} instead of 200.")
                for line in self._lines(response, deadline):
                    if line == "data: [DONE]" or line == "data:[DONE]":
                        return
                    text = _text_of(line)
                    garbage += text is None
                    if garbage > _MAX_GARBAGE:
                        raise GeneratorError(f"The endpoint at {self._host} streams no chat completion.")
                    if text:
                        yield text
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, ValueError, OSError) as error:
            # The cause is cut off: its text may hold a header, and a header may hold the key.
            raise GeneratorError(f"The endpoint at {self._host} failed with {type(error).__name__}.") from None

    def _lines(self, response: httpx.Response, deadline: float) -> Iterator[str]:
        """Yield the lines of the body within the limits of time and size."""
        most = self._settings.generator_max_chars * _BYTES_PER_CHAR
        rest = b""
        for chunk in response.iter_bytes():
            if time.monotonic() > deadline:
                raise GeneratorError(
                    f"The endpoint at {self._host} took more than {self._settings.generator_timeout_s:g} s."
                )
            most -= len(chunk)
            *lines, rest = (rest + chunk).split(b"\n")
            if most < 0 or len(rest) > _MAX_EVENT_BYTES:
                raise GeneratorError(f"The endpoint at {self._host} sent more bytes than an explanation can have.")
            for line in lines:
                yield line.decode("utf-8", "replace").strip()
        yield rest.decode("utf-8", "replace").strip()

    def _body(self, prompt: list[dict[str, str]], schema: Schema | None) -> dict[str, object]:
        form = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}
        return {
            **({"response_format": form} if schema is not None else {}),
            "model": self._settings.generator_model or "default",
            "messages": prompt,
            "stream": True,
            "temperature": 0,
            "max_tokens": max(64, self._settings.generator_max_chars // 4),
        }

    def _headers(self) -> dict[str, str]:
        headers = {"accept": "text/event-stream", "accept-encoding": "identity"}
        if self._settings.generator_key:
            headers["authorization"] = f"Bearer {self._settings.generator_key}"
        return headers


class _NoSchemaError(Exception):
    """The endpoint refused an answer that is held to a schema."""


class _Budget:
    """How often an endpoint may be asked. Each process counts for itself."""

    def __init__(self, budget: str) -> None:
        try:
            self._items = parse_many(budget)
        except ValueError:
            raise SettingsError(
                f"generator_budget: {budget!r} is no rate. Write a number and a time, like `1000/hour` or `20000/day`."
            ) from None
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def spend(self) -> None:
        """Count one question.

        Raises:
            GeneratorError: none is left.
        """
        for item in self._items:
            if not self._limiter.hit(item):
                raise GeneratorError(f"The budget of {item} questions to the endpoint is spent.")


def _text_of(line: str) -> str | None:
    """Return the text an event carries, ``""`` for none, ``None`` for what is no event of a chat completion.

    Raises:
        GeneratorError: the event reports an error.
    """
    if not line or line.startswith((":", "event:", "id:", "retry:")):
        return ""
    payload = line[5:].strip() if line.startswith("data:") else line
    try:
        event = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict):
        return None
    if "error" in event:
        raise GeneratorError("The endpoint reported an error in its stream.")
    try:
        choice = event["choices"][0]
        text = (choice.get("delta") or choice.get("message") or {}).get("content")
    except (KeyError, IndexError, TypeError, AttributeError):
        return "" if event.get("choices") == [] else None
    return text if isinstance(text, str) else ""
