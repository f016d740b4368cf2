"""The records everything else speaks in: products inside, requests and responses at the edge.

``Product`` and its parts are frozen dataclasses: they are made by ``indexer.clean``, stored in a snapshot
as JSON documents (:meth:`Product.to_document`) and read back unchanged (:meth:`Product.from_document`).
Requests and responses are pydantic models, the only ones: the HTTP routes and the Python API share them.

Knows nothing of files, models or HTTP. Character offsets are code points, half-open, 0-based.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field

from engine.shopper import PersonalHit, Personalised, Shopper, Wire

__all__ = [
    "Answer",
    "Applied",
    "AttributeValue",
    "Citation",
    "Claim",
    "Corrected",
    "ExplainRequest",
    "Facet",
    "FacetCount",
    "FacetStats",
    "Highlight",
    "Hit",
    "Money",
    "Product",
    "Quantity",
    "Scores",
    "SearchRequest",
    "SearchResponse",
    "SimilarResponse",
    "SuggestResponse",
    "Suggestion",
    "Understood",
]

_ZERO_DECIMALS = frozenset({"JPY", "KRW", "VND", "CLP", "ISK", "XAF", "XOF", "PYG", "UGX", "RWF"})
_THREE_DECIMALS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in integer minor units (cents, 分) of an ISO 4217 currency."""

    amount: int
    currency: str

    @staticmethod
    def decimals(currency: str) -> int:
        """Return how many decimal digits the currency's major unit has (ISO 4217): 2 for USD, 0 for JPY."""
        return 0 if currency in _ZERO_DECIMALS else 3 if currency in _THREE_DECIMALS else 2

    @property
    def major(self) -> float:
        """The amount in major units, for comparing and showing; never for adding up."""
        return self.amount / float(10 ** self.decimals(self.currency))

    def __str__(self) -> str:
        return f"{self.major:.{self.decimals(self.currency)}f} {self.currency}"


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number in a canonical unit (``kg``, ``cm``, ``l``, ``GB``, ``W`` …); ``unit`` is never empty."""

    value: float
    unit: str

    def __str__(self) -> str:
        return f"{self.value:g} {self.unit}"


AttributeValue = str | float | bool | Quantity
"""One value of an attribute. Numbers without a unit are ``float``."""


@dataclass(frozen=True, slots=True)
class Product:
    """One purchasable thing, cleaned.

    ``category`` is a path from the root down. ``attributes`` holds everything that is not a field of its own,
    under lower-case names with underscores (``color``, ``size``, ``material``, ``battery_life`` …); every value
    is a non-empty tuple. Text has no markup, is NFC, and has no control or invisible characters.
    """

    id: str
    title: str
    description: str = ""
    brand: str = ""
    category: tuple[str, ...] = ()
    price: Money | None = None
    sale_price: Money | None = None
    availability: Literal["", "in_stock", "out_of_stock", "preorder", "backorder"] = ""
    link: str = ""
    image_link: str = ""
    gtin: tuple[str, ...] = ()
    mpn: str = ""
    item_group_id: str = ""
    attributes: Mapping[str, tuple[AttributeValue, ...]] = field(default_factory=dict)

    @property
    def current_price(self) -> Money | None:
        """What a shopper pays today: the sale price where there is one."""
        return self.sale_price or self.price

    def to_document(self) -> dict[str, Any]:
        """Return the product as plain JSON values, empty fields left out. Money is ``{amount, currency}`` in
        minor units, a quantity is ``{value, unit}``."""
        out: dict[str, Any] = {"id": self.id, "title": self.title}
        for name in ("description", "brand", "availability", "link", "image_link", "mpn", "item_group_id"):
            if value := getattr(self, name):
                out[name] = value
        for name in ("category", "gtin"):
            if value := getattr(self, name):
                out[name] = list(value)
        for name in ("price", "sale_price"):
            if (money := getattr(self, name)) is not None:
                out[name] = {"amount": money.amount, "currency": money.currency}
        if self.attributes:
            out["attributes"] = {
                name: [{"value": v.value, "unit": v.unit} if isinstance(v, Quantity) else v for v in values]
                for name, values in self.attributes.items()
            }
        return out

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Product:
        """Return the product that :meth:`to_document` wrote."""
        values = dict(document)
        for name in ("category", "gtin"):
            values[name] = tuple(values.get(name, ()))
        for name in ("price", "sale_price"):
            if money := values.get(name):
                values[name] = Money(money["amount"], money["currency"])
        values["attributes"] = {
            name: tuple(Quantity(v["value"], v["unit"]) if isinstance(v, dict) else v for v in items)
            for name, items in values.get("attributes", {}).items()
        }
        return cls(**values)


class SearchRequest(Shopper):
    """What to search for. Names follow Typesense."""

    q: str = Field("", max_length=512, description="What the shopper typed. Empty lists the catalogue.")
    filter_by: str = Field("", max_length=2048, description="For example `price:<100 && brand:=[HP,Dell]`.")
    facet_by: str = Field(
        "", max_length=512, description="Field names, comma-separated; `*` picks those useful for this result."
    )
    max_facet_values: int = Field(10, ge=1, le=100)
    sort_by: str = Field("", max_length=128, description="For example `price:asc`; empty is by relevance.")
    page: int = Field(1, ge=1, le=10_000)
    per_page: int = Field(10, ge=0, le=100)
    alpha: Annotated[
        float | None, Field(ge=0, le=1, description="Weight of meaning against words: 0 lexical, 1 semantic.")
    ] = None
    understand: bool = Field(True, description="Read limits, exclusions and traits out of the query text.")
    correct: bool = Field(True, description="Search also for what words that no product has were probably meant to be.")


class Understood(Wire):
    """One thing read out of the query text, with the characters it was read from.

    ``kind`` is ``price`` (a limit, or a wish such as ``cheap``), ``exclude`` (``terms`` are left out), ``object`` (the
    thing wanted), ``for`` (what it must go with), ``attribute`` (``field`` and the ``terms`` that say it) or ``measure``
    (``terms`` is the quantity in the unit ``field``). ``mode`` says whether it is kept to (``filter``) or only moves
    products up and down (``prefer``). Cutting ``q[start:end]`` out of the query undoes it.
    """

    kind: Literal["price", "exclude", "object", "for", "attribute", "measure"]
    text: str
    start: int
    end: int
    mode: Literal["filter", "prefer"] = "filter"
    field: str = ""
    filter: str = ""
    terms: list[str] = Field([])


class Corrected(Wire):
    """A word no product has, and what was searched for beside it. ``correct=false`` undoes it."""

    text: str
    start: int
    end: int
    replacement: str


class Applied(Wire):
    """What the engine did with the request, so that nothing is hidden."""

    q: str = Field(description="The words searched for, once what was understood was taken out.")
    language: Literal["en", "zh", ""]
    understood: list[Understood] = Field([])
    corrected: list[Corrected] = Field([])
    filter_by: str = ""
    sort_by: str = ""
    alpha: float
    codes: list[str] = Field([], description="Model numbers, SKUs or EANs recognised in the query.")
    suitable: bool = Field(True, description="False when no product reaches the relevance that counts as found.")
    best_relevance: float = Field(0.0, description="Relevance of the likeliest product of the shop, filters aside.")
    personal: Personalised | None = Field(None, description="There only where the order is one person's.")


class Highlight(Wire):
    """A piece of a field with the spans that matched, as code-point offsets into ``snippet``."""

    snippet: str
    spans: list[tuple[int, int]]


class Scores(Wire):
    """Where a hit's place came from. ``lexical`` is BM25F, ``semantic`` a cosine, ``fused`` orders the list;
    ``relevance`` is the calibrated probability that the product is what was asked for."""

    fused: float
    lexical: float
    semantic: float | None = None
    code: bool = False
    relevance: float | None = None


class Hit(Wire):
    """One product found."""

    document: dict[str, Any]
    highlight: dict[str, Highlight] = Field({})
    scores: Scores
    personal: PersonalHit | None = Field(None, description="There only where the order is one person's.")


class FacetCount(Wire):
    """How many products of the match set have this value; ``filter`` narrows to them."""

    value: str
    count: int
    filter: str


class FacetStats(Wire):
    """Smallest and largest value of a numeric field, per unit or currency (prices in major units)."""

    unit: str
    min: float
    max: float
    count: int


class Facet(Wire):
    """The values of one field over the whole match set.

    For a single-valued field ``sum(counts) + other + missing == found``.
    """

    field: str
    counts: list[FacetCount] = Field([])
    stats: list[FacetStats] = Field([])
    other: int = 0
    missing: int = 0


class SearchResponse(Wire):
    """One page of one match set, with everything needed to explain and repeat it."""

    query_id: str
    snapshot: str
    model: str
    found: int
    found_relation: Literal["eq", "gte"]
    page: int
    per_page: int
    hits: list[Hit]
    nearest: list[Hit] = Field([], description="Where nothing is suitable: what comes nearest, found or not.")
    facet_counts: list[Facet]
    applied: Applied
    search_time_ms: float
    variants: dict[str, str] = Field({}, description="The variant of each experiment that answered.")


class Capabilities(Wire):
    """What a shop can be asked for, for whoever puts a filter together: a field's commonest values each with its ``filter``, its
    ranges by unit or currency, and how many products say nothing of it (``missing``)."""

    snapshot: str
    products: int
    currencies: list[str]
    languages: list[str]
    fields: list[Facet]


@dataclass(frozen=True, slots=True)
class Answer:
    """A search answered and ready to send: ``json`` is the text of a :class:`SearchResponse`, ``found`` its total, ``query_id`` its
    name, ``ids`` the products on its page and ``variants`` the variant of each experiment that answered."""

    json: bytes
    found: int
    query_id: str = ""
    ids: tuple[str, ...] = ()
    variants: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> SearchResponse:
        """Return the answer as a record."""
        return SearchResponse.model_validate_json(self.json)


class Suggestion(Wire):
    """One completion. ``kind`` says what it is; ``spans`` mark the typed part in ``text``."""

    text: str
    kind: Literal["category", "query", "brand", "product", "phrase"]
    spans: list[tuple[int, int]] = Field([])


class SuggestResponse(Wire):
    """Completions for what has been typed so far."""

    q: str
    snapshot: str
    suggestions: list[Suggestion]


class SimilarResponse(Wire):
    """Products like one product, nearest first."""

    id: str
    snapshot: str
    hits: list[Hit]


class ExplainRequest(Wire):
    """Explain why these products, in this order, answer this query. The order and the set are taken as given."""

    q: str = Field(max_length=512)
    ids: list[Annotated[str, Field(max_length=256)]] = Field(min_length=1, max_length=10)
    language: Literal["en", "zh", ""] = Field("", description="Language of the answer; empty follows the query.")


class Citation(Wire):
    """The field a claim rests on and the value it held in this snapshot, as shown to the shopper."""

    field: str
    value: str


class Claim(Wire):
    """One sentence about one product, checked against the cited fields before anyone sees it. An ``opinion``, which only praises
    and cites nothing, is there only where the shop allows it."""

    product_id: str
    text: str
    kind: Literal["fact", "opinion"] = "fact"
    citations: list[Citation]
    generator: str
    snapshot: str = Field("", description="What the cited fields were read from.")
