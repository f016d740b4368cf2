"""Who asks, what they like, and what that did to an answer: records at the edge, as those of :mod:`engine.schema` are.

Knows nothing of how a taste is read or an order made.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Because", "PersonalHit", "Personalised", "Preferences", "Shopper", "Wire"]

_Named = Annotated[str, Field(min_length=1, max_length=200)]


class Wire(BaseModel):
    """A record at the edge: frozen, and nothing it does not know gets in."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Preferences(Wire):
    """What a shopper said they like or avoid, by names that the catalogue has. They move products, and leave none out."""

    brands: list[_Named] = Field([], max_length=50)
    categories: list[_Named] = Field([], max_length=50)
    colors: list[_Named] = Field([], max_length=50)
    sizes: list[_Named] = Field([], max_length=50)
    avoid_brands: list[_Named] = Field([], max_length=50)
    avoid_categories: list[_Named] = Field([], max_length=50)
    price: Literal["", "low", "middle", "high"] = Field("", description="Where in a category's range of prices they look first.")

    def liked(self) -> dict[str, list[str]]:
        """Return what is liked, by field."""
        return {"brand": self.brands, "category": self.categories, "color": self.colors, "size": self.sizes}

    def avoided(self) -> dict[str, list[str]]:
        """Return what is avoided, by field."""
        return {"brand": self.avoid_brands, "category": self.avoid_categories}


class Shopper(Wire):
    """Who asks, as far as they want that to be known."""

    client_id: str = Field("", max_length=256, description="A random text of this browser or device, of at least 16 characters.")
    user_id: str = Field("", max_length=256, description="The shop's own id of who is logged in.")
    user_token: str = Field("", max_length=256, description="Proves `user_id` where `identity_secret` is set.")
    session_id: str = Field("", max_length=256, description="A visit; stands for a device where there is no `client_id`.")
    personalize: bool = Field(True, description="Order by what is remembered of this person; false is as for a stranger.")

    @property
    def shopper(self) -> dict[str, Any]:
        """Who asks, as the fields of another request."""
        return {name: getattr(self, name) for name in Shopper.model_fields}


class Personalised(Wire):
    """That an answer was put in one person's order: from how many of their events, by which signals. ``personalize=false`` undoes
    it."""

    events: int
    signals: list[str] = []


class Because(Wire):
    """Why a hit suits a person: what they did or said, in a sentence, with the product or the value it is about."""

    signal: Literal["similar", "brand", "category", "color", "size", "price", "stated", "known"]
    text: str
    product_id: str = ""
    value: str = ""


class PersonalHit(Wire):
    """How far up (down, below 0) a hit stands because of who asks, how well it fits them (-1 to 1), and why."""

    moved: int
    fit: float
    because: list[Because] = []
