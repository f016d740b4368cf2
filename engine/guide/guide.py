"""The guide: one turn in, one turn out.

In: a shop that can search, explain and tell what it understands, and a :class:`~engine.guide.state.GuideRequest`. Out: a
:class:`~engine.guide.state.GuideReply`. A straight line: read the turn, search for the need as it is then, leave out what
nothing keeps to and say so, ask at most one question, say why. Keeps nothing between turns. Knows nothing of HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from engine.explain import Done, Need
from engine.guide.compare import compare_products
from engine.guide.editing import Turn
from engine.guide.phrases import about, found, none_left, nothing, opening, relaxed
from engine.guide.questions import choose_question
from engine.guide.state import Change, GuideReply, GuideRequest, GuideState, Piece
from engine.guide.turn import chosen, read_turn
from engine.query import ParsedQuery
from engine.schema import (
    Capabilities,
    Claim,
    ExplainRequest,
    Hit,
    Money,
    Product,
    Scores,
    SearchRequest,
    SearchResponse,
)
from engine.shopper import Shopper

__all__ = ["Guide", "Reader", "Shop"]

_SHOWN = 3
_LOOKED_AT = 60
_MOST_QUESTIONS = 4
_ENOUGH = 4
_CLEARLY = 5


class Shop(Protocol):
    """What the guide needs of an engine."""

    snapshot_id: str

    def search(self, request: SearchRequest) -> SearchResponse:
        """Answer one search."""
        ...

    def explain(self, request: ExplainRequest) -> Iterator[Claim | Done]:
        """Say why."""
        ...

    def parsed(self, q: str) -> ParsedQuery:
        """Take words apart."""
        ...

    def need(self, q: str, language: str = "") -> Need:
        """Return what words ask for."""
        ...

    def capabilities(self) -> Capabilities:
        """Return what may be asked for."""
        ...

    def known_products(self, ids: Sequence[str]) -> list[Product]:
        """Return those of these products that the snapshot has."""
        ...


class Reader(Protocol):
    """Reads turns."""

    def read(self, text: str, state: GuideState, shown: Sequence[Product]) -> Turn | None:
        """Return what words do to a conversation, ``None`` where it cannot tell."""
        ...


class Guide:
    """Answers turns about one shop. Safe to share between threads."""

    def __init__(self, shop: Shop, reader: Reader | None = None, who: Shopper | None = None) -> None:
        """``reader`` reads turns before the rules do, which read what it cannot; products come in the order of ``who``."""
        self._shop, self._reader = shop, reader
        self._who = who.shopper if who else {}

    def answer(self, request: GuideRequest) -> GuideReply:
        """Return the guide's turn.

        Raises:
            FilterError: a choice's filter cannot be read.
        """
        shown = self._shop.known_products(request.state.shown)
        turn = chosen(request.state, request.choice) if request.choice else Turn(request.state)
        if request.text.strip():
            turn = self.read(request.text, turn.state, shown)
        state = turn.state.model_copy(update={"turns": min(turn.state.turns + 1, 10_000)})
        language = request.language or state.language or "en"
        state = state.model_copy(update={"language": language})
        reply = self._done(turn, state, shown, language)
        return reply.model_copy(update={"read_by": turn.reader})

    def read(self, text: str, state: GuideState, shown: Sequence[Product]) -> Turn:
        """Return what words do to a conversation, read by the reader or, where it cannot, by the rules."""
        turn = self._reader.read(text, state, shown) if self._reader else None
        return turn or read_turn(text, self._shop.parsed, state, shown, self._measured)

    def _measured(self, unit: str) -> list[str]:
        """Return the field that products state in a unit; several where none does so clearly more often."""
        held = {f.field: s.count for f in self._shop.capabilities().fields for s in f.stats if s.unit == unit}
        most = max(held.values(), default=0)
        return [name for name, count in held.items() if count * _CLEARLY > most]

    def _done(self, turn: Turn, state: GuideState, shown: Sequence[Product], language: str) -> GuideReply:
        if turn.act == "versus":
            if len(products := self._named(turn.names)) > 1:
                state = state.model_copy(update={"shown": [p.id for p in products]})
                return self._compared(products, state, " ".join(turn.names), language)
            turn = Turn(state, turn.changes, "compare" if len(shown) > 1 else "none", tuple(state.shown))
        products = [p for p in shown if p.id in turn.ids]
        if turn.act == "compare":
            return self._compared(products, state, state.query, language)
        if turn.act == "pick":
            return self._picked(products[0], state, language)
        if turn.act == "none" or not state.pieces:
            said = [opening(language)]
            return GuideReply(say=said, state=state, changes=list(turn.changes), snapshot=self._shop.snapshot_id)
        return self._found(turn, state, language)

    def _named(self, names: Sequence[str]) -> list[Product]:
        """Return the best hit of each name, those that have one."""
        hits = [hit for name in names for hit in self._shop.search(SearchRequest(q=name, per_page=1)).hits]
        return self._shop.known_products(list(dict.fromkeys(hit.document["id"] for hit in hits)))

    def _compared(self, products: Sequence[Product], state: GuideState, need: str, language: str) -> GuideReply:
        table = compare_products(self._shop.need(need, language), products, self._shop.snapshot_id)
        return GuideReply(say=[], state=state, hits=_hits(products), comparison=table, snapshot=self._shop.snapshot_id)

    def _picked(self, product: Product, state: GuideState, language: str) -> GuideReply:
        """Say more of one product; the others stay what was shown."""
        return GuideReply(
            say=[about(product.title, language)],
            state=state,
            hits=_hits([product]),
            claims=self._why(state, [product.id], language),
            snapshot=self._shop.snapshot_id,
        )

    def _why(self, state: GuideState, ids: Sequence[str], language: str) -> list[Claim]:
        request = ExplainRequest(q=state.query, ids=list(ids), language="zh" if language == "zh" else "en")
        return [item for item in self._shop.explain(request) if isinstance(item, Claim)]

    def _search(self, state: GuideState, per_page: int, page: int = 1, facets: str = "") -> SearchResponse:
        request = SearchRequest(
            q=state.query,
            filter_by=state.filter_by,
            facet_by=facets,
            per_page=per_page,
            page=page,
            max_facet_values=20,
            **self._who,
        )
        return self._shop.search(request)

    def _found(self, turn: Turn, state: GuideState, language: str) -> GuideReply:
        response = self._search(state, _LOOKED_AT, facets="*")
        changes, say = list(turn.changes), list[str]()
        need = " ".join(p.text for p in state.pieces if p.kind != "word")
        if not response.found:
            state_without, dropped = self._relaxed(state)
            if not dropped:
                say.append(nothing(need, language))
                return GuideReply(
                    say=say, state=state, changes=changes, hits=response.nearest[:_SHOWN], snapshot=self._shop.snapshot_id
                )
            changes += [Change(what="relaxed", piece=piece) for piece in dropped]
            say.append(relaxed(" ".join(piece.text for piece in dropped), language))
            response = self._search(state_without, _LOOKED_AT, facets="*")
        else:
            say.append(found(response.found, response.found_relation == "eq", need, language))
        first = (state.page - 1) * _SHOWN
        hits = response.hits[first : first + _SHOWN]
        if first >= _LOOKED_AT and first < response.found:
            hits = self._search(state, _SHOWN, state.page).hits
        if not hits:
            say = [none_left(language)]
            return GuideReply(say=say, state=state, changes=changes, found=response.found, snapshot=self._shop.snapshot_id)
        ids = [hit.document["id"] for hit in hits]
        question = None
        if response.found > _ENOUGH and len(state.asked) < _MOST_QUESTIONS:
            closed = {*state.asked, *(p.field for p in state.pieces if p.field)}
            question = choose_question(response.facet_counts, self._prices(response), response.found, closed, language)
        asked = [*state.asked, question.field] if question else state.asked
        state = state.model_copy(update={"shown": ids, "asked": asked})
        return GuideReply(
            say=say,
            state=state,
            changes=changes,
            found=response.found,
            hits=hits,
            claims=self._why(state, ids, language),
            question=question,
            snapshot=self._shop.snapshot_id,
        )

    def _prices(self, response: SearchResponse) -> list[Money]:
        products = self._shop.known_products([hit.document["id"] for hit in response.hits])
        return [price for p in products if (price := p.current_price)]

    def _relaxed(self, state: GuideState) -> tuple[GuideState, list[Piece]]:
        """Return the state without the last piece that keeps everything out, or without as many of the last as do together, and
        what was left out; nothing where that does not help."""
        free = [piece for piece in reversed(state.pieces) if piece.kind not in ("thing", "word")]
        for dropped in (*([piece] for piece in free), *(free[:n] for n in range(2, len(free) + 1))):
            without = state.model_copy(update={"pieces": [p for p in state.pieces if p not in dropped]})
            if without.pieces and self._search(without, 1).found:
                return without, dropped
        return state, []


def _hits(products: Sequence[Product]) -> list[Hit]:
    return [Hit(document=p.to_document(), scores=Scores(fused=0.0, lexical=0.0)) for p in products]
