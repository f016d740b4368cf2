"""What a feed reader hands on: one row under canonical names, its values as the feed had them.

Knows nothing of formats or of what a good value is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

__all__ = ["CANONICAL", "BrokenOff", "RawRow", "too_long"]

CANONICAL = (
    "id",
    "title",
    "description",
    "brand",
    "category",
    "price",
    "sale_price",
    "currency",
    "availability",
    "link",
    "image_link",
    "gtin",
    "mpn",
    "item_group_id",
)
"""Names a column can be mapped to; everything else is an attribute."""


@dataclass(frozen=True, slots=True)
class RawRow:
    """One row of a feed.

    ``line`` is the 1-based physical line where the record starts (the row number for Parquet). ``values`` has
    :data:`CANONICAL` names, ``attributes`` all other columns under lower-case names with underscores. With
    ``minor_units``, an integer price is already in cents. ``problem`` is ``(reason code, sentence)`` where the reader
    itself had to give up on the row: the caller counts it as rejected.
    """

    line: int
    values: Mapping[str, object]
    attributes: Mapping[str, object] = field(default_factory=dict)
    minor_units: bool = False
    problem: tuple[str, str] | None = None


class BrokenOff(Exception):
    """The feed stops making sense here; the message is a sentence. Feed.rows adds the place and raises FeedError."""


def _texts(value: object, depth: int = 0) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping) and depth < 4:
        for inner in value.values():
            yield from _texts(inner, depth + 1)
    elif isinstance(value, list | tuple) and depth < 4:
        for inner in value:
            yield from _texts(inner, depth + 1)


def too_long(name: str, value: object, max_cell_chars: int) -> tuple[str, str] | None:
    """Return the problem of a cell with more than ``max_cell_chars`` characters, else ``None``."""
    longest = max((len(text) for text in _texts(value)), default=0)
    if longest <= max_cell_chars:
        return None
    return (
        "cell_too_long",
        f"The cell {name!r} has {longest:,} characters and at most {max_cell_chars:,} are read. "
        "Shorten it, or raise max_cell_chars.",
    )
