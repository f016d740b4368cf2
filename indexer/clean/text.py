"""Clean text: no markup, no mojibake, no invisible characters, one width, one space, NFC.

In: text as a feed had it. Out: :class:`Clean` text and the codes of what was repaired. Cleaning clean text changes
nothing. Chinese punctuation is kept; only full-width letters and digits become narrow. Also recognises text that gives
orders to an assistant (:func:`gives_orders`). Knows nothing of fields or products.
"""

from __future__ import annotations

import html
import re
import unicodedata
from typing import NamedTuple

import ftfy
from selectolax.lexbor import LexborHTMLParser

__all__ = ["Clean", "clean_code", "clean_text", "gives_orders"]


class Clean(NamedTuple):
    """A cleaned text and what was repaired: ``html``, ``mojibake``, ``invisible``, ``width``, ``undecodable``."""

    text: str
    repairs: frozenset[str] = frozenset()


_INLINE = (
    "a abbr b bdi bdo big cite code del em font i ins kbd label mark q s samp small span strike strong sub sup u var"
)
_BLOCK = (
    "address article aside blockquote body br button caption center col colgroup dd details div dl dt fieldset "
    "figcaption figure footer form h1 h2 h3 h4 h5 h6 head header hr html iframe img input li link main meta nav "
    "noscript object ol option p pre script section select source style summary svg table tbody td template textarea "
    "tfoot th thead title tr ul video"
)
_NAMES = "|".join(sorted(f"{_INLINE} {_BLOCK}".split(), key=len, reverse=True))
_TAG = re.compile(rf"<(?:/?(?:{_NAMES})(?:\s[^<>]*)?/?>|!--|!\[CDATA\[)", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_DROPPED = ["script", "style", "noscript", "template", "iframe", "object", "svg", "head > title"]
_BLOCKS = frozenset(_BLOCK.split())
_PLAIN = "|".join("address article aside blockquote center details div dl fieldset figure footer form header main nav "
                  "ol p section summary ul".split())  # fmt: skip
_PLAIN_TAG = re.compile(rf"</?(?:{_PLAIN})(?:\s[^<>]*)?/?>", re.IGNORECASE)
_MANY_TAGS = 2_000
"""The parser walks up all open blocks at each new one: 60,000 nested ones took it seven seconds. Where there are more
than anyone writes, they become spaces first, which is all that blocks come to in the end."""
_MAX_PASSES = 8

_SPACES = frozenset("\t\n\v\f\r\x1c\x1d\x1e\x1f\x85\u2028\u2029\u3164\u115f\u1160\uffa0\u2800")
_UNSEEN = frozenset({0x034F, 0x17B4, 0x17B5, *range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0000, 0xE1000)})


def _is_no_character(point: int) -> bool:
    return point & 0xFFFE == 0xFFFE or 0xFDD0 <= point <= 0xFDEF


class _Characters(dict[int, str | None]):
    """What becomes of each character; worked out when first met."""

    def __missing__(self, point: int) -> str | None:
        char = chr(point)
        out: str | None = char
        if char.isspace() or char in _SPACES:
            out = " "
        elif point in _UNSEEN or unicodedata.category(char) in {"Cc", "Cf", "Cs"} or _is_no_character(point):
            out = None
        elif 0xFF01 <= point <= 0xFF5E and (narrow := chr(point - 0xFEE0)).isalnum():
            out = narrow
        self[point] = out
        return out


_CHARACTERS = _Characters()


def _without_markup(text: str) -> str:
    """Return the text a reader of this HTML would see, blocks parted by spaces."""
    text = re.sub(r"<!\[CDATA\[|\]\]>", " ", text)
    if text.count("<") > _MANY_TAGS:
        text = _PLAIN_TAG.sub(" ", text)
    tree = LexborHTMLParser(text)
    tree.strip_tags(_DROPPED)
    root = tree.root
    if root is None:
        return ""
    pieces: list[str] = []
    for node in root.traverse(include_text=True):
        if node.tag == "-text":
            pieces.append(node.text_content or "")
        elif node.tag in _BLOCKS:
            pieces.append(" ")
    return "".join(pieces)


def _once(text: str, repairs: set[str]) -> str:
    before = text
    if "<" in text and _TAG.search(text):
        text = _without_markup(text)
        repairs.add("html")
    if "&" in text and (plain := _ENTITY.sub(lambda m: html.unescape(m[0]), text)) != text:
        text = plain
        repairs.add("html")
    if not text.isascii():
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if _lone(text) else text
        if (fixed := ftfy.fix_encoding(text)) != text:
            text = fixed
            repairs.add("mojibake")
    if not text.isascii() or not text.isprintable():
        seen = text.translate(_CHARACTERS)
        if len(seen) != len(text):
            repairs.add("invisible")
        if any("\uff10" <= c <= "\uff5a" and _CHARACTERS[ord(c)] != c for c in text):
            repairs.add("width")
        text = unicodedata.normalize("NFC", seen)
    if text != before or "  " in text or text[:1] == " " or text[-1:] == " ":
        text = " ".join(text.split())
    return text


def _lone(text: str) -> bool:
    return any("\ud800" <= char <= "\udfff" for char in text)


def clean_text(text: str) -> Clean:
    """Return ``text`` cleaned. Escaping is undone as often as it was applied, since feeds escape twice.

    >>> clean_text("<p>ＡＢＣ&amp;nbsp;123</p><script>x()</script>，好").text
    'ABC 123 ，好'
    """
    if text.isascii() and text.isprintable() and "<" not in text and "&" not in text:
        return Clean(" ".join(text.split()))
    repairs: set[str] = set()
    for _ in range(_MAX_PASSES):
        before = text
        text = _once(text, repairs)
        if text == before:
            break
    else:
        # Escaped more often than any honest feed: leave nothing that could still be undone.
        text = _once(re.sub("[<>&]", " ", text), repairs)
    if "\ufffd" in text:
        repairs.add("undecodable")
    return Clean(text, frozenset(repairs))


def clean_code(text: str) -> str:
    """Return an id, model number or address without invisible characters, all full-width characters narrow."""
    return " ".join(unicodedata.normalize("NFKC", text.translate(_CHARACTERS)).translate(_CHARACTERS).split())


_ORDERS = re.compile(
    r"\b(?:ignore|disregard|forget|override)\b[^.!?]{0,40}\b(?:instruction|prompt|rule|guideline|direction|previous|above)"
    r"|\bsystem prompt\b|<\|im_(?:start|end)\|>|\[/?INST\]"
    r"|\byou are (?:now )?(?:a |an )[^.]{0,30}\b(?:assistant|ai|chatbot|model)\b"
    r"|\b(?:assistant|ai|chatbot|llm|language model)s?\b[^.!?]{0,20}\b(?:must|should|shall|always|never)\b[^.!?]{0,40}"
    r"\b(?:recommend|rank|say|tell|mention|show|choose|reveal|answer)"
    r"|\b(?:always|must|only) (?:recommend|rank|choose|promote|suggest) (?:this|our|only)\b"
    r"|\bdo not (?:recommend|mention|show|suggest)\b[^.!?]{0,20}\b(?:other|competing|competitor)"
    r"|\btell (?:the |every |all )?(?:user|customer|shopper|buyer)s? (?:that|to)\b|^\s*(?:system|assistant)\s*:"
    r"|(?:忽略|无视|忘记|不要理会)[^。！？]{0,12}(?:指令|指示|提示|要求|规则|设定|之前|以上)"
    r"|系统提示词?|你(?:现在)?(?:是|扮演)[^。]{0,16}(?:助手|助理|机器人|人工智能|AI|模型|导购)"
    r"|(?:助手|AI|人工智能|模型|导购)[^。！？]{0,8}(?:必须|务必|一定要|应当|只能)[^。！？]{0,16}(?:推荐|回答|告诉|说)"
    r"|(?:必须|务必|只能|一定要|请优先|始终)推荐(?:本|该|此|这款|我们)|不要(?:推荐|提及|提到|展示)(?:其他|其它|别的|任何|竞品)"
    r"|(?:请)?告诉(?:用户|顾客|客户|买家)[^。]{0,10}(?:最好|唯一|必须|购买|只)",
    re.IGNORECASE,
)


def gives_orders(text: str) -> bool:
    """Return whether a text speaks to an assistant instead of a shopper: it is data, never obeyed, and worth a flag."""
    return _ORDERS.search(text) is not None
