"""Why a hit moved, in a sentence of the shopper's language. Only what is true of the history is said."""

from __future__ import annotations

from collections.abc import Callable

from engine.personal.taste import Reason

__all__ = ["reason_text"]

_ACTIONS = {
    "en": {"purchase": "you bought", "cart": "you put into your basket", "click": "you looked at"},
    "zh": {"purchase": "您买过", "cart": "您加购过", "click": "您看过"},
}
_LONGEST = 60


def reason_text(reason: Reason, language: str, title_of: Callable[[int], str]) -> str:
    """Return the sentence of a reason; ``title_of`` names the product of a row."""
    zh = language == "zh"
    value = reason.value.rpartition(" > ")[2]
    if reason.signal == "price" and value:
        named = {"low": "较低", "middle": "中等", "high": "较高"}[value]
        return f"您说过偏好{named}的价位" if zh else f"Because you said you look for {value} prices"
    if reason.signal == "price":
        return "价位与您选过的相近" if zh else "Priced like what you chose before"
    if reason.signal == "stated":
        if reason.share < 0:
            return f"您说过不要{value}" if zh else f"Because you said you avoid {value}"
        return f"您说过喜欢{value}" if zh else f"Because you said you like {value}"
    did = _ACTIONS["zh" if zh else "en"][reason.action]
    if reason.signal == "known":
        return f"{did}这件商品" if zh else f"Y{did[1:]} this"
    title = title_of(reason.row)
    title = title if len(title) <= _LONGEST else title[: _LONGEST - 1].rstrip() + "…"
    if reason.signal == "similar":
        return f"因为{did}“{title}”" if zh else f"Because {did} “{title}”"
    kind = {"brand": "品牌", "category": "类别", "color": "颜色", "size": "尺码"}[reason.signal]
    if zh:
        return f"{kind}与{did}的“{title}”相同：{value}"
    return f"Same {'colour' if reason.signal == 'color' else reason.signal} as “{title}”, which {did}: {value}"
