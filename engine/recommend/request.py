"""What may be asked of recommendations, and what comes back: records at the edge."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from engine.shopper import Shopper, Wire

__all__ = ["Kind", "RecommendRequest", "RecommendResponse", "Recommended", "Why"]

Kind = Literal["for_you", "similar", "bought_together", "basket", "buy_again"]
_Id = Annotated[str, Field(min_length=1, max_length=256)]


class RecommendRequest(Shopper):
    """Products a shopper may want next.

    ``similar`` are like the products of ``ids``, ``bought_together`` is what others bought with them, ``basket`` completes a
    basket of them, ``buy_again`` is what this person bought before, ``for_you`` everything that suits them.
    """

    kind: Kind = "for_you"
    ids: list[_Id] = Field([], max_length=50, description="The product that is looked at, or those in the basket.")
    k: int = Field(10, ge=1, le=100, description="Most products returned.")
    filter_by: str = Field("", max_length=2048, description="For example `price:<100 && brand:=[HP,Dell]`.")
    discover: bool = Field(False, description="Leave out what this person bought before.")
    language: Literal["en", "zh"] = Field("en", description="Language of the reasons.")


class Why(Wire):
    """A reason: what it rests on, in a sentence, with the product it names. ``buyers`` is how many people bought both, where
    that is the reason."""

    signal: Literal["together", "alike", "again", "now", "new", "content", "category", "bought", "discover"]
    text: str
    product_id: str = ""
    buyers: int = 0


class Recommended(Wire):
    """One product, its score and why it is there."""

    document: dict[str, Any]
    score: float
    because: list[Why] = Field([])


class RecommendResponse(Wire):
    """Recommendations, the best first. ``orders`` is how many orders they rest on, ``events`` how many of this person's events."""

    kind: Kind
    snapshot: str
    hits: list[Recommended]
    orders: int
    events: int
