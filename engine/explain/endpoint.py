"""Text from any endpoint that speaks OpenAI's chat completions, streamed.

In: settings with an address, a model name and perhaps a key, and messages. Out: pieces of text as they arrive
(:class:`ChatEndpoint`), or drafts of an explanation (:class:`EndpointGenerator`). Reads no more than
``generator_max_chars`` of text, follows no redirect, uses no proxy of the environment, and stops at its time limit
however slowly bytes drip. What is no server-sent event, no JSON or no text is passed over up to a limit. Errors name
what happened and never the key, the prompt or the answer.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

import httpx

from engine.errors import GeneratorError, SettingsError
from engine.explain.evidence import Evidence, Need
from engine.explain.generator import Draft
from engine.explain.prompt import LineReader, aliases, messages
from engine.settings import Settings

__all__ = ["ChatEndpoint", "EndpointGenerator"]

_MAX_EVENT_BYTES = 65_536
_MAX_GARBAGE = 200
_BYTES_PER_CHAR = 512


class ChatEndpoint:
    """A model behind HTTP. Makes a connection for each answer and keeps nothing between them. Thread-safe.

    Raises:
        SettingsError: ``generator_url`` is no http or https address.
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

    def texts(self, prompt: list[dict[str, str]]) -> Iterator[str]:
        """Yield the pieces of the answer's text, at most ``generator_max_chars`` of it.

        Raises:
            GeneratorError: the endpoint cannot be reached, refuses, breaks off, or takes too long.
        """
        left = self._settings.generator_max_chars
        for text in self._pieces(prompt):
            left -= len(text)
            if left < 0:
                raise GeneratorError(
                    f"The endpoint at {self._host} wrote more than {self._settings.generator_max_chars} characters."
                )
            yield text

    def _pieces(self, prompt: list[dict[str, str]]) -> Iterator[str]:
        deadline = time.monotonic() + self._settings.generator_timeout_s
        garbage = 0
        try:
            with (
                httpx.Client(
                    timeout=self._settings.generator_timeout_s, follow_redirects=False, trust_env=False
                ) as client,
                client.stream("POST", self._url, json=self._body(prompt), headers=self._headers()) as response,
            ):
                if response.status_code != 200:
                    status = response.status_code
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

    def _body(self, prompt: list[dict[str, str]]) -> dict[str, object]:
        return {
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


class EndpointGenerator:
    """Drafts from an endpoint."""

    name = "endpoint"

    def __init__(self, settings: Settings) -> None:
        self._endpoint = ChatEndpoint(settings)

    def generate(self, need: Need, evidence: Sequence[Evidence]) -> Iterator[Draft]:
        """Yield drafts as their lines end.

        Raises:
            GeneratorError: the endpoint cannot be reached, refuses, breaks off, or takes too long.
        """
        reader = LineReader(aliases(evidence))
        for text in self._endpoint.texts(messages(need, evidence)):
            yield from reader.feed(text)
        yield from reader.finish()


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
