"""Numbers with units, in English and Chinese, turned into one canonical unit for each kind of measure.

In: text such as ``500 ml``, ``13.3英寸`` or ``3斤``, or a number and a unit word. Out: a
:class:`~engine.schema.Quantity`, or ``None`` where the text is not exactly one number and one known unit.
The indexer reads feed cells with it and the query side reads needs, so both sides meet in the same unit.
Knows nothing of feeds, attributes or queries.

Canonical units: ``cm``, ``kg``, ``l``, ``W``, ``Wh``, ``mAh``, ``GB``, ``Mbps``, ``h``, ``ms``, ``month``, ``°C``,
``V``, ``dB``, ``lm``, ``dpi``, ``rpm``, ``MP``, and for frequencies ``Hz`` below one megahertz, ``GHz`` from there.
Sizes of memory follow the shelf label and not one rule: 1 TB is 1000 GB (disks), 1 GB is 1024 MB (memory).
A one-letter unit counts only as it is properly written, since ``5G`` is a network and ``5 g`` a weight.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from engine.schema import Quantity

__all__ = ["convert", "find_quantities", "leading_quantity", "parse_quantity"]

_TABLE: dict[str, dict[float, str]] = {
    "cm": {
        0.1: "mm millimeter millimeters millimetre millimetres 毫米",
        1: "cm centimeter centimeters centimetre centimetres 厘米 公分",
        100: "m meter meters metre metres 米",
        100_000: "km kilometer kilometers kilometre kilometres 公里 千米",
        2.54: 'in inch inches " ″ ” 英寸 吋 寸',
        30.48: "ft foot feet 英尺",
        91.44: "yd yard yards",
    },
    "kg": {
        1e-6: "mg milligram milligrams 毫克",
        1e-3: "g gram grams gramme grammes gr 克",
        1: "kg kgs kilo kilos kilogram kilograms 千克 公斤",
        1000: "tonne tonnes 吨",
        0.028349523125: "oz ounce ounces 盎司",
        0.45359237: "lb lbs pound pounds 磅",
        0.5: "斤 市斤",
        0.05: "两",
    },
    "l": {
        1e-3: "ml milliliter milliliters millilitre millilitres cc 毫升",
        1e-2: "cl centiliter centilitre",
        1: "l L ltr liter liters litre litres 升 公升",
        0.0295735295625: "floz fl.oz fl.oz. fluidounce fluidounces",
        3.785411784: "gal gallon gallons 加仑",
        0.473176473: "pt pint pints",
        0.946352946: "qt quart quarts",
    },
    "W": {1e-3: "mw milliwatt 毫瓦", 1: "W w watt watts 瓦 瓦特", 1000: "kw kilowatt kilowatts 千瓦"},
    "Wh": {1: "wh watthour watthours 瓦时 瓦小时", 1000: "kwh 千瓦时"},
    "mAh": {1: "mah 毫安时 毫安", 1000: "ah 安时"},
    "GB": {
        1 / 1024**2: "kb kib",
        1 / 1024: "mb mib megabyte megabytes",
        1: "gb gib gigabyte gigabytes",
        1000: "tb tib terabyte terabytes",
    },
    "Mbps": {
        1e-3: "kbps kbit/s",
        1: "mbps mbit/s",
        1000: "gbps gbit/s",
    },
    "Hz": {1: "hz hertz 赫兹 赫", 1000: "khz 千赫", 1e6: "mhz 兆赫", 1e9: "ghz 吉赫"},
    "h": {
        1 / 3600: "s sec secs second seconds 秒 秒钟",
        1 / 60: "min mins minute minutes 分钟",
        1: "h H hr hrs hour hours 小时",
        24: "day days 天",
    },
    "ms": {1e-3: "µs μs microsecond microseconds 微秒", 1: "ms millisecond milliseconds 毫秒"},
    "month": {1: "month months 个月", 12: "year years yr yrs 年"},
    "°C": {1: "°c celsius 摄氏度"},
    "°F": {1: "°f fahrenheit 华氏度"},
    "V": {1e-3: "mv", 1: "V v volt volts 伏 伏特", 1000: "kv 千伏"},
    "dB": {1: "db dba db(a) decibel decibels 分贝"},
    "lm": {1: "lm lumen lumens 流明"},
    "dpi": {1: "dpi"},
    "rpm": {1: "rpm r/min 转/分"},
    "MP": {1: "mp megapixel megapixels 百万像素", 0.01: "万像素"},
}
_NUMBER = r"[-+−]?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:[.,]\d+)?)"
_UNIT = (
    r"fl\.? ?oz\.?|fluid ounces?|watt[- ]hours?|[\"″”]|°? ?[a-zµμ]+(?:/[a-z]+|\(a\))?"
    r"|[\u4e00-\u9fff]+(?:/[\u4e00-\u9fff]+)?"
)
_WHOLE = re.compile(rf"\s*({_NUMBER})\s*-?\s*({_UNIT})\.?\s*", re.IGNORECASE)
_MAX_CHARS = 40


@lru_cache(maxsize=1)
def _factors() -> dict[str, tuple[str, float]]:
    """Return unit word → (canonical unit, factor). One-letter words keep their case, longer ones are folded."""
    return {
        word: (unit, factor)
        for unit, rows in _TABLE.items()
        for factor, words in rows.items()
        for word in words.split()
    }


@lru_cache(maxsize=1)
def _inside() -> re.Pattern[str]:
    """Return the pattern of a quantity inside a longer text: a known unit that no letter or digit continues."""
    words = sorted(_factors(), key=len, reverse=True)
    latin = "|".join(
        re.escape(w) if len(w) == 1 else f"(?i:{re.escape(w)})" for w in words if w[0].isascii() and w != '"'
    )
    other = "|".join(re.escape(w) for w in words if not w[0].isascii() or w == '"')
    number = _NUMBER.replace("[-+−]?", "")
    return re.compile(rf"(?<![A-Za-z\d.,])({number}) {{0,3}}-?((?:{latin}|(?i:fl\.? ?oz))(?![a-zA-Z0-9])|℃|℉|{other})")


def _key(unit: str) -> str:
    plain = re.sub(r"[\s-]+", "", unicodedata.normalize("NFKC", unit).replace("μ", "µ")) if unit != "″" else unit
    return plain if len(plain) == 1 else plain.lower()


def _tidy(value: float) -> float:
    return float(f"{value:.12g}")


def convert(value: float, unit: str) -> Quantity | None:
    """Return ``value`` of the unit word ``unit`` in its canonical unit, or ``None`` for a word that is no unit.

    >>> str(convert(3, "斤"))
    '1.5 kg'
    """
    known = _factors().get(_key(unit)) or _factors().get(unit)
    if known is None or value != value or abs(value) == float("inf"):
        return None
    canonical, factor = known
    if canonical == "°F":
        return Quantity(_tidy((value - 32) / 1.8), "°C")
    if canonical == "Hz" and factor >= 1e6:
        return Quantity(_tidy(value * factor / 1e9), "GHz")
    return Quantity(_tidy(value * factor), canonical)


def _number(text: str) -> float:
    """Read a number whose comma may group thousands (``1,500``) or mark decimals (``1,5``)."""
    grouped = re.fullmatch(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?", text)
    return float(text.replace(",", "" if grouped else "."))


def parse_quantity(text: str) -> Quantity | None:
    """Return the quantity that the whole of ``text`` is, or ``None``: ranges, bare numbers and codes are not.

    >>> str(parse_quantity("1,5 kg")), str(parse_quantity("20000毫安时")), parse_quantity("5G")
    ('1.5 kg', '20000 mAh', None)
    """
    if len(text) > _MAX_CHARS:
        return None
    text = unicodedata.normalize("NFKC", text.replace("″", '"').replace("”", '"')).replace("−", "-")
    if (match := _WHOLE.fullmatch(text)) is None:
        return None
    found = convert(_number(match[1]), match[2])
    # Only a temperature may be below zero; elsewhere the sign is a separator ("USB-5 m").
    return None if found and found.value < 0 and found.unit != "°C" else found


def find_quantities(text: str) -> Iterator[tuple[int, int, Quantity]]:
    """Yield ``(start, end, quantity)`` for every number with a unit inside ``text``, as code-point offsets.

    >>> [(text[a:b], str(q)) for text in ["bottle 500ml under 2 lb"] for a, b, q in find_quantities(text)]
    [('500ml', '0.5 l'), ('2 lb', '0.907185 kg')]
    """
    for match in _inside().finditer(text):
        if found := convert(_number(match[1]), match[2]):
            yield match.start(), match.end(), found


def leading_quantity(text: str) -> tuple[int, Quantity] | None:
    """Return the end of the quantity that ``text`` begins with, and the quantity; ``None`` where it begins with none.

    >>> leading_quantity("500ml under 2 lb")
    (5, Quantity(value=0.5, unit='l'))
    """
    match = _inside().match(text)
    found = convert(_number(match[1]), match[2]) if match else None
    return (match.end(), found) if match and found else None
