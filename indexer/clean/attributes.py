"""Attribute cells turned into typed values: flags, numbers, quantities in canonical units, or text.

In: the attributes of a row. Out: name → non-empty tuple of values, and repair codes. Addresses come last, so that
whoever reads only the first attributes reads what describes the product. Knows nothing of the product's own fields.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping

from engine.schema import AttributeValue
from engine.units import parse_quantity
from indexer.clean.text import clean_text, gives_orders
from indexer.feeds.naming import attribute_name

__all__ = ["clean_attributes"]

_FLAGS = {"true": True, "yes": True, "是": True, "false": False, "no": False, "否": False}
# Shoppers name these by their label, and "38" and "M" are values of one column.
_LABELS = frozenset(
    {"color", "size", "material", "pattern", "gender", "age_group", "style", "tags", "flavor", "season"}
)
_SPLIT = frozenset({"color", "size", "material", "pattern", "flavor", "season"})
_SEPARATOR = re.compile(r"\s*[,;、，；|]\s*|\s*(?<!\d)/(?!\d)\s*|\s+/\s+")
_CODE_NAME = re.compile(
    r"(?:^|_)(?:sku|codes?|models?|ids?|series|family|version|codename|date|name|socket|handle|isbn|asin|reference|oem|"
    r"certification|compatibility|types?|format|features|standards|connectors?|connectivity|technology|technologies|"
    r"gtin|ean|upc|resolution|dimensions|型号|编码|编号|货号|版本|系列|类型|尺寸)(?:_|$)|_(?:number|no)$"
)
# At most six digits: whoever prints a float shortly still prints these as they were.
_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,5})(?:\.\d{1,6})?")
_MAX_TEXT = 2_000
_MAX_VALUES = 200


def _words(name: str, text: str) -> Iterable[str]:
    return _SEPARATOR.split(text) if name in _SPLIT else (text,)


def _typed(name: str, text: str) -> AttributeValue:
    if (flag := _FLAGS.get(text.lower())) is not None:
        return flag
    if name in _LABELS or _CODE_NAME.search(name):
        return text
    if _NUMBER.fullmatch(text) and sum(map(str.isdigit, text)) <= 6:
        return float(text)
    return parse_quantity(text) or text


def _flatten(value: object, depth: int = 0) -> Iterator[object]:
    if isinstance(value, list | tuple | set | frozenset) and depth < 4:
        for inner in value:
            yield from _flatten(inner, depth + 1)
    else:
        yield value


def _number(value: int | float) -> AttributeValue | None:
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _one(name: str, value: object, repairs: set[str]) -> Iterator[AttributeValue]:
    """Yield the values of one cell."""
    if isinstance(value, bool):
        yield value
    elif isinstance(value, int | float):
        if (number := _number(value)) is None:
            repairs.add("attribute_not_finite")
        else:
            yield number
    elif value is not None:
        cleaned = clean_text(str(value))
        repairs.update(cleaned.repairs)
        if gives_orders(cleaned.text):
            repairs.add("instruction_text")
            return
        for word in _words(name, cleaned.text):
            if len(word) > _MAX_TEXT:
                repairs.add("attribute_cut")
            if word := word[:_MAX_TEXT].strip():
                yield _typed(name, word)


def _is_address(values: tuple[AttributeValue, ...]) -> bool:
    return isinstance(values[0], str) and values[0].startswith(("http://", "https://"))


def clean_attributes(raw: Mapping[str, object]) -> tuple[dict[str, tuple[AttributeValue, ...]], set[str]]:
    """Return the attributes typed, and the repair codes.

    A text that gives orders to an assistant is left out: unlike a description, nobody misses it.
    """
    repairs: set[str] = set()
    gathered: dict[str, list[AttributeValue]] = {}
    for raw_name, cell in raw.items():
        name = attribute_name(clean_text(str(raw_name)).text)
        values = [value for inner in _flatten(cell) for value in _one(name, inner, repairs)]
        if values:
            gathered.setdefault(name, []).extend(values)
    out: dict[str, tuple[AttributeValue, ...]] = {}
    for name, values in gathered.items():
        # True == 1.0 in Python, so a value is told apart by its type as well.
        unique = tuple({(type(value), value): value for value in values}.values())
        if len(unique) > _MAX_VALUES:
            repairs.add("attribute_cut")
        out[name] = unique[:_MAX_VALUES]
    addresses = {name: values for name, values in out.items() if _is_address(values)}
    plain = {name: values for name, values in out.items() if name not in addresses}
    return plain | addresses, repairs
