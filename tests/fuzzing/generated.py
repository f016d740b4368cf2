"""What a model behind an endpoint answers: a stream of events, drafts in it, and steps of a conversation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from unittest.mock import patch

import httpx

from engine.breaker import Breaker
from engine.errors import GeneratorError
from engine.explain import Done, Evidence, Explainer, Need, gather_evidence
from engine.explain.answers import DraftReader
from engine.explain.endpoint import ChatEndpoint
from engine.explain.generator import Draft
from engine.explain.prompt import aliases
from engine.guide import GuideState, Piece, ProposedTurns
from engine.guide.prompt import Step, steps_of
from engine.index.filters import parse_filter
from engine.schema import Claim, Product
from engine.settings import Settings
from fuzzing.catalogue import shop
from fuzzing.target import sentence, text_of

__all__ = ["read_drafts", "read_steps", "read_stream"]

_NEED = "waterproof hiking jacket under $80 防水"
_SAID = "a black waterproof jacket under 80 dollars, not leather, for hiking"


class _Stream(httpx.SyncByteStream):
    def __init__(self, body: bytes, size: int) -> None:
        self._body, self._size = body, size

    def __iter__(self) -> Iterator[bytes]:
        for at in range(0, len(self._body), self._size):
            yield self._body[at : at + self._size]


class _Transport(httpx.BaseTransport):
    """Answers as it is told, in place of a network."""

    body, status, size = b"", 200, 64

    def __init__(self, **_: object) -> None:
        pass

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(self.status, stream=_Stream(self.body, self.size), headers={"content-type": "text/event-stream"})


@cache
def _endpoint() -> ChatEndpoint:
    return ChatEndpoint(Settings(generator_url="http://endpoint.example/v1", generator_key="a-key-of-the-shop-12345", generator_max_chars=2000))


def read_stream(data: bytes) -> None:
    """A response of an endpoint; the first byte says its status, the second the size of the pieces it comes in."""
    head = data[:2].ljust(2, b"\1")
    _Transport.status = (200, 200, 200, 400, 500, 301)[head[0] % 6]
    _Transport.size, _Transport.body = 1 + head[1], data[2:]
    with patch("httpx._client.HTTPTransport", _Transport):
        try:
            texts = list(_endpoint().texts([{"role": "user", "content": "x"}]))
        except GeneratorError as error:
            sentence(error)
            assert "a-key-of-the-shop" not in str(error)
            return
    assert all(isinstance(text, str) and text for text in texts)
    assert sum(map(len, texts)) <= 2000
    assert _Transport.status == 200


@cache
def _asked() -> tuple[Need, tuple[Product, ...], tuple[Evidence, ...]]:
    need = shop().need(_NEED, "en")
    products = tuple(product for product, _ in zip(shop().products(), range(2), strict=False))
    return need, products, tuple(gather_evidence(need, product) for product in products)


class _Says:
    """A generator that says what it is told."""

    name = "said"

    def __init__(self, drafts: list[Draft]) -> None:
        self._drafts = drafts

    def generate(self, need: Need, evidence: object) -> Iterator[Draft]:
        yield from self._drafts


def read_drafts(data: bytes) -> None:
    """An answer in words or JSON; the first byte says in pieces of which size it comes."""
    size, text = 1 + (data[0] if data else 0), text_of(data[1:])
    need, products, evidence = _asked()
    names = aliases(evidence)
    drafts = _drafts(names, [text[at : at + size] for at in range(0, len(text), size)])
    known = {*names.values(), ""}
    for draft in drafts:
        assert draft.product_id in known
        assert draft.text or not draft.product_id
    said = list(Explainer(_Says(drafts), timeout_s=30).explain(need, products))  # type: ignore[arg-type]
    done = said.pop()
    assert isinstance(done, Done)
    assert not done.degraded or "sentences" in done.degraded, done.degraded
    for claim in said:
        assert isinstance(claim, Claim)
        assert claim.product_id in {p.id for p in products}
        claim.model_dump_json()
    assert {p.id for p in products} == {claim.product_id for claim in said if isinstance(claim, Claim)}


def _drafts(names: Mapping[str, str], pieces: list[str]) -> list[Draft]:
    reader = DraftReader(names)
    found = [draft for piece in pieces for draft in reader.feed(piece)]
    return [*found, *reader.finish()]


class _Answers:
    """A chat whose answer is known."""

    def __init__(self, answer: str) -> None:
        self._answer = answer

    def texts(self, prompt: object, schema: object = None) -> Iterator[str]:
        yield self._answer


def read_steps(data: bytes) -> None:
    """Steps that a model proposes for a turn: a state that the shop can search by, or nothing."""
    answer = text_of(data)
    for step in steps_of(answer):
        assert isinstance(step, Step)
    state = GuideState(language="en", pieces=[Piece(kind="thing", text="jacket"), Piece(kind="quality", text="red", field="color")])
    shown = list(_asked()[1])
    turn = ProposedTurns(_Answers(answer), shop(), Breaker()).read(_SAID, state, shown)
    if turn is None:
        return
    assert GuideState.model_validate_json(turn.state.model_dump_json()) == turn.state
    parse_filter(turn.state.filter_by)
    assert set(turn.ids) <= {p.id for p in shown}
