"""Prices: a cell, a currency column and a default become money in integer minor units.

In: what a feed had. Out: :class:`~engine.schema.Money`, ``None`` where the cell says that there is no price, or a
:class:`BadPrice` with its reason. Knows nothing of rows.

A currency is taken from the cell, then from the currency column, then the default. A sign that several currencies
share is read by what is around it: ``$`` is the column's or the default's dollar, else USD. ``¥`` alone is the
column's CNY or JPY; else JPY where the default is JPY and the product is not described in Chinese; else CNY.
"""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from price_parser import Price

from engine.schema import Money

__all__ = ["BadPrice", "currency_of", "parse_price"]


@dataclass(frozen=True, slots=True)
class BadPrice:
    """Why a price cannot be used: a reason code and the end of a sentence that starts with the price."""

    reason: str
    detail: str


_CODES = frozenset(
    re.findall(
        "[A-Z]{3}",
        "AED AFN ALL AMD ARS AUD AZN BAM BDT BGN BHD BIF BND BOB BRL BWP BYN CAD CDF CHF CLP CNY COP CRC CZK DKK DOP "
        "DZD EGP ETB EUR FJD GBP GEL GHS GTQ HKD HNL HRK HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KRW KWD "
        "KZT LAK LBP LKR LYD MAD MDL MKD MMK MNT MOP MUR MVR MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PHP PKR "
        "PLN PYG QAR RON RSD RUB RWF SAR SEK SGD THB TND TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND XAF XOF YER "
        "ZAR ZMW",
    )
)
# In small letters only those that are no English word ("all", "try", "top").
_SMALL_CODES = frozenset(
    {"usd", "eur", "gbp", "cny", "jpy", "cad", "aud", "hkd", "twd", "sgd", "krw", "inr", "chf", "nzd"}
)
_SIGNS = {
    "US$": "USD",
    "HK$": "HKD",
    "NT$": "TWD",
    "AU$": "AUD",
    "CA$": "CAD",
    "NZ$": "NZD",
    "A$": "AUD",
    "C$": "CAD",
    "S$": "SGD",
    "R$": "BRL",
    "CN¥": "CNY",
    "JP¥": "JPY",
    "RMB": "CNY",
    "人民币": "CNY",
    "人民幣": "CNY",
    "美元": "USD",
    "美金": "USD",
    "欧元": "EUR",
    "港币": "HKD",
    "港元": "HKD",
    "新台币": "TWD",
    "日元": "JPY",
    "日圆": "JPY",
    "英镑": "GBP",
    "韩元": "KRW",
    "円": "JPY",
    "元": "CNY",
    "块": "CNY",
    "€": "EUR",
    "£": "GBP",
    "₩": "KRW",
    "₹": "INR",
    "₽": "RUB",
    "₺": "TRY",
    "₫": "VND",
    "฿": "THB",
    "zł": "PLN",
    "Kč": "CZK",
}
_DOLLARS = frozenset({"USD", "CAD", "AUD", "NZD", "HKD", "SGD", "TWD", "MXN", "BND", "FJD", "TTD", "JMD", "NAD"})
_YENS = frozenset({"CNY", "JPY"})
_NONE = frozenset(
    {"", "-", "--", "—", "n/a", "na", "none", "null", "tbd", "poa", "call", "on request", "price on request"}
    | {"call for price", "无", "暂无", "暂无报价", "面议", "待定", "价格面议"}
)
_FREE = frozenset({"free", "gratis", "免费"})
_PLAIN = re.compile(r"\d+(?:\.\d+)?(?:[eE][-+]?\d{1,4})?")
_TOKEN = re.compile(r"\d+(?:[   ' ’]\d{3}(?!\d))*(?:[.,]\d+)*(?:[eE][-+]?\d{1,4}(?![\w]))?|[.,]\d+")
_HIGHEST = Decimal(10) ** 15


def _shown(value: object) -> str:
    text = unicodedata.normalize("NFC", str(value)[:60])
    return "".join(c for c in text if c.isprintable())[:40]


def currency_of(text: str) -> str:
    """Return the one ISO 4217 code that ``text`` names outright (``EUR``, ``€``, ``元``, ``RMB``), else empty."""
    for word in re.findall(r"(?<![A-Za-z])[A-Za-z]{3}(?![A-Za-z])", text):
        if word in _CODES or word in _SMALL_CODES:
            return str(word).upper()
    for sign, code in _SIGNS.items():
        if sign in text or (sign.isalpha() and sign.isascii() and sign in text.upper()):
            return code
    return ""


def _currency(cell: str, column: str, default: str, chinese: bool) -> str | BadPrice:
    stated = unicodedata.normalize("NFKC", column).strip()
    named = currency_of(stated)
    if found := currency_of(cell):
        return found
    if "$" in cell or stated == "$":
        return next((code for code in (named, default) if code in _DOLLARS), "USD")
    if "¥" in cell or stated == "¥":
        if named in _YENS:
            return named
        return "CNY" if chinese or default != "JPY" else "JPY"
    if stated and not named:
        return BadPrice(
            "bad_price", f"has the currency {_shown(stated)!r}, which is no ISO 4217 code. Write one like USD."
        )
    return named or default


def _amount(token: str, decimals: int) -> Decimal | None:
    """Read one number, its separators told apart: the last of two kinds marks decimals."""
    if _PLAIN.fullmatch(token) and not re.fullmatch(r"[1-9]\d{0,2}\.\d{3}", token):
        return Decimal(token)
    separator = None
    if "." in token and "," in token:
        separator = max(".,", key=token.rfind)
    elif decimals == 3 and re.fullmatch(r"\d+[.,]\d{3}", token):
        separator = "." if "." in token else ","
    amount = Price.fromstring(token, decimal_separator=separator).amount
    return Decimal(amount) if amount is not None else None


def _read(cell: str, decimals: int) -> Decimal | BadPrice | None:
    """Return the amount in a text cell that has been made NFKC and stripped."""
    lowered = cell.lower()
    if lowered in _NONE:
        return None
    if any(word in lowered for word in _FREE) and not re.search(r"\d", cell):
        return Decimal(0)
    tokens = _TOKEN.findall(cell)
    if not tokens:
        return BadPrice("bad_price", "is no number. Write it like 15.00 USD.")
    if len(tokens) > 1:
        return BadPrice("bad_price", "holds more than one number. Give one price.")
    if "%" in cell:
        return BadPrice("bad_price", "is a percentage. Give the price itself.")
    negative = re.search(rf"[-−–]\s*[^\d\s.,-]{{0,4}}\s*{re.escape(tokens[0])}|^\(.*\)$|\d\s*-$", cell)
    if negative:
        return BadPrice("negative_price", "is below zero. Give a price above zero, or none.")
    try:
        amount = _amount(tokens[0], decimals)
    except (InvalidOperation, ValueError):
        amount = None
    if amount is None:
        return BadPrice("bad_price", "is no number. Write it like 15.00 USD.")
    after = cell[cell.index(tokens[0]) + len(tokens[0]) :].lstrip()[:1]
    return amount * {"万": 10_000, "萬": 10_000, "千": 1_000}.get(after, 1)


def _numeric(value: int | float) -> Decimal | BadPrice:
    if isinstance(value, float) and not math.isfinite(value):
        return BadPrice("bad_price", "is not a finite number. Leave the price empty where there is none.")
    if isinstance(value, int) and abs(value) > 10**40:
        return BadPrice("absurd_price", "is far above any price. Check its units.")
    amount = Decimal(str(value))
    return amount if amount >= 0 else BadPrice("negative_price", "is below zero. Give a price above zero, or none.")


def parse_price(
    value: object,
    *,
    column: str = "",
    default_currency: str,
    max_price: float,
    chinese: bool = False,
    minor_units: bool = False,
) -> Money | BadPrice | None:
    """Return the money in a cell; ``None`` where the cell says that there is none. Zero comes back as zero.

    >>> str(parse_price("1.299,00 €", default_currency="USD", max_price=1e7))
    '1299.00 EUR'
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return BadPrice("bad_price", "is no number. Write it like 15.00 USD.")
    cell = unicodedata.normalize("NFKC", value).strip() if isinstance(value, str) else ""
    currency = _currency(cell, column, default_currency, chinese)
    if isinstance(currency, BadPrice):
        return currency
    decimals = Money.decimals(currency)
    amount = _read(cell, decimals) if isinstance(value, str) else _numeric(value)
    if amount is None or isinstance(amount, BadPrice):
        return amount
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer()) or cell.isdecimal()
    if minor_units and whole and amount < Decimal(10) ** 20:
        amount = amount.scaleb(-decimals)
    if amount > min(Decimal(str(max_price)), _HIGHEST):
        return BadPrice("absurd_price", f"is above {max_price:,.0f}, the highest price believed. Check its units.")
    minor = amount.scaleb(decimals).quantize(Decimal(1), rounding=ROUND_HALF_UP)
    return Money(int(minor), currency)
