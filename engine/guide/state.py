"""What a conversation knows of a need, and what goes over the wire.

A state is small, bounded and readable: pieces of the need in the order they are searched for. The client keeps it and sends it
back, or lets the server keep it. Knows nothing of how it is changed.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from engine.index.filters import join_filters
from engine.schema import Claim, Hit
from engine.shopper import Shopper

__all__ = [
    "MOST_PIECES",
    "Cell",
    "Change",
    "Choice",
    "Comparison",
    "GuideReply",
    "GuideRequest",
    "GuideState",
    "Piece",
    "Question",
    "Row",
]

MOST_PIECES = 24
_LONGEST = 512
_LONGEST_FILTER = 2048
_LARGEST = 8192


class _Wire(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Piece(_Wire):
    """One part of a need.

    ``kind``: ``thing`` wanted, ``quality`` it should have, what it must go with (``for``), ``limit`` of price, what to leave
    out (``exclude``), or another ``word``. ``filter`` is kept to as it stands, the text is searched for where there is none.
    """

    kind: Literal["thing", "quality", "for", "limit", "exclude", "word"]
    text: str = Field(max_length=120)
    field: str = Field("", max_length=120)
    filter: str = Field("", max_length=400)


class GuideState(_Wire):
    """A conversation so far. ``asked`` are the fields asked about, ``shown`` the ids of the last products, ``page`` which page
    of them."""

    language: Literal["en", "zh", ""] = ""
    pieces: list[Piece] = Field([], max_length=MOST_PIECES)
    asked: list[Annotated[str, Field(max_length=120)]] = Field([], max_length=MOST_PIECES)
    shown: list[Annotated[str, Field(max_length=256)]] = Field([], max_length=10)
    page: int = Field(1, ge=1, le=100)
    turns: int = Field(0, ge=0, le=10_000)

    @property
    def query(self) -> str:
        """The need in words, as a search takes it; what is a filter is left out."""
        wanted = [p for p in self.pieces if not p.filter.strip()]
        plain = " ".join(p.text for p in wanted if p.kind != "exclude")
        return ", ".join([*([plain] if plain else []), *(p.text for p in wanted if p.kind == "exclude")])[:_LONGEST]

    @property
    def filter_by(self) -> str:
        """The filters chosen."""
        return join_filters(*(p.filter for p in self.pieces if p.filter.strip()))

    @model_validator(mode="after")
    def _is_small(self) -> Self:
        if len(self.filter_by) > _LONGEST_FILTER or sum(len(p.text) + len(p.field) + len(p.filter) for p in self.pieces) > _LARGEST:
            raise ValueError(f"The filters together may have {_LONGEST_FILTER} characters, the pieces {_LARGEST}.")
        return self


class Choice(_Wire):
    """An answer to click: what it says, and the filter it stands for."""

    label: str = Field(max_length=120)
    field: str = Field(max_length=120)
    filter: str = Field(max_length=400)
    count: int = Field(0, ge=0, description="How many products have it, of a price among the first sixty found.")


class Question(_Wire):
    """The one question a turn may ask."""

    field: str
    text: str
    choices: list[Choice]


class Change(_Wire):
    """What a turn did to the need: a piece ``added``, ``replaced`` (``before`` is what stood there), ``removed``, or ``relaxed``,
    which is left out of this answer alone because nothing keeps to it."""

    what: Literal["added", "replaced", "removed", "relaxed"]
    piece: Piece
    before: str = ""


class Cell(_Wire):
    """What one product has of a row: text as shown, empty where its record says nothing."""

    product_id: str
    value: str


class Row(_Wire):
    """One field of a comparison; ``best`` is the product it speaks for, empty where it speaks for none."""

    field: str
    label: str
    cells: list[Cell]
    best: str = ""


class Comparison(_Wire):
    """What differs between products, every cell from their records; ``verdicts`` say what each is better for."""

    rows: list[Row]
    verdicts: list[Claim]


class GuideRequest(Shopper):
    """A turn: what the shopper wrote, or the choice that was clicked, and the conversation so far."""

    text: str = Field("", max_length=_LONGEST)
    choice: Choice | None = None
    state: GuideState = GuideState()
    language: Literal["en", "zh", ""] = Field("", description="Language of the answer; empty follows the words.")


class GuideReply(_Wire):
    """The guide's turn. ``say`` is what to show first; ``found`` counts what fits the need; ``hits`` are shown with ``claims``
    that say why; at most one ``question``. ``read_by`` is who read the words: our rules, or the model behind the endpoint."""

    say: list[str]
    state: GuideState
    changes: list[Change] = []
    found: int = 0
    hits: list[Hit] = []
    claims: list[Claim] = []
    question: Question | None = None
    comparison: Comparison | None = None
    read_by: Literal["rules", "endpoint"] = "rules"
    snapshot: str
