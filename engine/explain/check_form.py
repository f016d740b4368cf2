"""Is this a plain sentence in the right language at all? The first of the ground check's steps.

In: a sentence as generated and the language of the answer. Out: a reason to refuse it, or an empty string. Letters
of other scripts pass only inside a token that the product itself spells so. Knows nothing of what is true.
"""

from __future__ import annotations

import re
import unicodedata

from engine.explain.vocabulary import ORDERS
from engine.numerals import fold

__all__ = ["disguised", "form_problem"]

_MAX_CHARS = 400
_MARKUP = re.compile(
    r"https?:|www\.|//|\b[\w-]+\.(?:com|cn|net|org|io|co|shop|example|info|biz|top|xyz)\b|[<>{}\[\]\\`*_#|^~@]"
    r"|&\w+;|javascript:",
    re.IGNORECASE,
)
_TOKEN = re.compile(r"[^\W\d_]+")
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+")
_UNIT_LETTERS = frozenset("ΩμµΔαβ")
_SIGNS = frozenset("°℃℉™®©")


def _script(char: str) -> str:
    name = unicodedata.name(char, "")
    return "han" if name.startswith("CJK UNIFIED") else "latin" if name.startswith("LATIN") else name.split(" ")[0]


def disguised(text: str) -> bool:
    """Return whether a word mixes Latin letters with others that look like them, as no honest text does: ``beѕt``."""
    for match in _TOKEN.finditer(text):
        scripts = {_script(c) for c in match.group() if c not in _UNIT_LETTERS}
        if "latin" in scripts and scripts & {"CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "LISU"}:
            return True
    return False


def _foreign(text: str, own: str, language: str) -> bool:
    """Return whether a token is of no script that the answer may be written in and is not the product's own."""
    for match in _TOKEN.finditer(text):
        scripts = {_script(c) for c in match.group()}
        if scripts - {"han", "latin"} and match.group() not in ("µ", "Ω", "μ") and match.group() not in own:
            return True
    if language == "zh":
        return not _HAN.search(text)
    return any(run not in own for run in _HAN.findall(text)) or not re.search(r"[A-Za-z]{2}", text)


def form_problem(text: str, own: str, language: str) -> str:
    """Return why a sentence may not be shown whatever it says, or ``""``. ``own`` is all text of the product."""
    composed = unicodedata.normalize("NFC", text)
    if not 2 <= len(text.strip()) <= _MAX_CHARS:
        return "length"
    for char in composed:
        category = unicodedata.category(char)
        if category in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Mn", "Me") or (
            category in ("So", "Sk", "Lm") and char not in _SIGNS
        ):
            return "characters"
    folded = fold(text)
    if _MARKUP.search(folded) or _MARKUP.search(text):
        return "markup"
    if "?" in folded:
        return "question"
    if disguised(text):
        return "characters"
    if ORDERS.search(folded):
        return "order"
    return "language" if _foreign(folded, own, language) else ""
