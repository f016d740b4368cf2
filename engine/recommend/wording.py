"""Why a product is recommended, in a sentence of the shopper's language. Only what the orders and the history bear out is said."""

from __future__ import annotations

from collections.abc import Callable

from engine.recommend.serving import Rest

__all__ = ["rest_text"]

_LONGEST = 60
_DID = {
    "en": {"purchase": ", which you bought", "cart": ", which you put into your basket", "click": ", which you looked at", "": ""},
    "zh": {"purchase": "您买过的", "cart": "您加购的", "click": "您看过的", "": ""},
}


def rest_text(rest: Rest, did: str, language: str, title_of: Callable[[int], str], category: str = "") -> str:
    """Return the sentence of what a recommendation rests on; ``did`` is what the shopper did with the product it names."""
    zh = language == "zh"
    if rest.signal == "again":
        return "您以前买过" if zh else "You bought this before"
    if rest.signal == "now":
        return "近期购买的人很多" if zh else "Many are buying this now"
    if rest.signal == "new":
        return "新上架的商品" if zh else "New here"
    if rest.signal == "discover":
        return "买过的顾客还不多" if zh else "Not many have bought this yet"
    if rest.signal == "bought":
        if zh:
            return f"{rest.buyers}位顾客买过" if rest.buyers else "有顾客买过"
        return f"{rest.buyers} shoppers bought this" if rest.buyers else "Others bought this"
    if rest.signal == "category":
        return f"来自{category}" if zh else f"From {category}"
    named, after = _named(title_of(rest.row), zh), _DID["zh" if zh else "en"][did]
    if rest.signal == "content":
        return f"与{after}{named}相似" if zh else f"Like {named}{after}"
    if rest.signal == "together":
        if zh:
            return f"{rest.buyers}位顾客既买过它，也买过{after}{named}"
        return f"{rest.buyers} shoppers bought it and {named}{after}"
    if rest.like == rest.row:
        return f"与{after}{named}相似" if zh else f"Like {named}{after}"
    like = _named(title_of(rest.like), zh)
    return f"与{like}相似，买过{after}{named}的顾客常买后者" if zh else f"Like {like}, which goes with {named}{after}"


def _named(title: str, zh: bool) -> str:
    title = title if len(title) <= _LONGEST else title[: _LONGEST - 1].rstrip() + "…"
    return f"“{title}”"
