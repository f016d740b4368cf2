"""What the guide says, in English and Chinese. Words only: numbers and names are put in by code.

Knows nothing of states or products.
"""

from __future__ import annotations

__all__ = ["QUESTIONS", "about", "band", "found", "none_left", "nothing", "opening", "relaxed"]

QUESTIONS = {
    "price": ("How much would you like to spend?", "预算大概是多少？"),
    "brand": ("Do you have a brand in mind?", "有想要的品牌吗？"),
    "color": ("Which colour would you like?", "想要什么颜色？"),
    "size": ("Which size do you need?", "需要多大尺寸？"),
    "material": ("Which material do you prefer?", "喜欢什么材质？"),
    "gender": ("Who is it for?", "给谁用？"),
    "season": ("For which season?", "什么季节用？"),
    "style": ("Which style do you like?", "喜欢什么风格？"),
    "age_group": ("For which age?", "给多大年龄的人用？"),
}
"""Field → what is asked about it, English and Chinese."""


def band(low: str, high: str, language: str) -> str:
    """Return a band of price in words; an empty edge is open."""
    if language == "zh":
        return f"{low}到{high}" if low and high else f"{high}以内" if high else f"{low}以上"
    return f"{low} to {high}" if low and high else f"up to {high}" if high else f"over {low}"


def about(title: str, language: str) -> str:
    """Return that a product which was pointed at is spoken of."""
    return f"关于“{title}”：" if language == "zh" else f"About “{title}”:"


def opening(language: str) -> str:
    """Return what is said before anything is known of a need."""
    return "您好，想找什么？" if language == "zh" else "What are you looking for?"


def found(n: int, exactly: bool, need: str, language: str) -> str:
    """Return how many products were found for a need."""
    if language == "zh":
        return f"按“{need}”找到{'' if exactly else '至少'}{n}款。"
    many = f"{n} products" if n != 1 else "one product"
    return f"Found {'' if exactly else 'at least '}{many} for “{need}”."


def nothing(need: str, language: str) -> str:
    """Return that the shop has no such thing."""
    return f"本店没有找到“{need}”。" if language == "zh" else f"This shop has nothing that fits “{need}”."


def relaxed(dropped: str, language: str) -> str:
    """Return that a wish was left out, because nothing fits it."""
    return (
        f"没有商品同时满足“{dropped}”，下面是不考虑它的结果。"
        if language == "zh"
        else f"Nothing fits with “{dropped}” as well; these are without it."
    )


def none_left(language: str) -> str:
    """Return that all that fits was shown."""
    return "符合的都在这里了。" if language == "zh" else "That is all there is."
