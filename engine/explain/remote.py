"""Drafts from a model behind an endpoint.

In: a :class:`~engine.explain.endpoint.ChatEndpoint`. Out: drafts as its answer arrives; one question for all products. Knows
nothing of HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.explain.answers import DraftReader
from engine.explain.endpoint import ChatEndpoint
from engine.explain.evidence import Evidence, Need
from engine.explain.generator import Draft
from engine.explain.prompt import aliases, claim_schema, messages
from engine.explain.wording import Wording, load_wording

__all__ = ["EndpointGenerator"]


class EndpointGenerator:
    """Drafts from an endpoint; ``opinions`` are asked for where the shop allows them, sentences of ``wording`` are its examples."""

    name = "endpoint"

    def __init__(self, endpoint: ChatEndpoint, opinions: bool = False, wording: Wording | None = None) -> None:
        self._endpoint, self._opinions, self._wording = endpoint, opinions, wording or load_wording()

    def generate(self, need: Need, evidence: Sequence[Evidence]) -> Iterator[Draft]:
        """Yield drafts as they end.

        Raises:
            GeneratorError: the endpoint cannot be reached, refuses, breaks off, or takes too long, or its budget is spent.
        """
        reader = DraftReader(aliases(evidence))
        as_json = self._endpoint.takes_schema
        prompt = messages(need, evidence, self._wording, as_json=as_json, opinions=self._opinions)
        for text in self._endpoint.texts(prompt, claim_schema(evidence) if as_json else None):
            yield from reader.feed(text)
        yield from reader.finish()
