"""Bring a text into the one spelling that numbers are read in: NFKC, plain dashes and quotes, words as digits.

In: any text. Out: :func:`fold`, the text with ``two hundred``, ``两百`` and ``三成`` written as ``200``, ``200`` and
``30%``. Field text and generated text go through it alike, so a number word can be left unconverted without harm:
it is then a word that a field must have too. Knows nothing of units, products or languages beyond their numerals.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

__all__ = ["EN_NUMBER", "chinese_number", "english_number", "fold"]

_PLAIN = str.maketrans(
    {"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "−": "-", "‐": "-", "‑": "-", "—": ";", "～": "~", "×": "x"}
)
_ZH_DIGIT = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_ZH_SCALE = {"十": 10, "百": 100, "千": 1000, "万": 10_000, "亿": 100_000_000}
_ZH_AFTER = (
    "个只支件条双对款片本块台瓶包盒袋层年月天周岁码号元斤公千克升毫厘米英寸小时分钟秒瓦伏档种人格重折倍次杯页张口孔级位副套组"
    "根颗粒枚篇度尺里局节室美日欧港到至"
)
_ZH_NUMBER = re.compile(
    r"(?<![第0-9统万全每单])[零〇一二两三四五六七八九十百千万亿]+(?:点[零〇一二三四五六七八九]+)?(?![合能向足])"
)
_ZH_ARTICLE = re.compile(r"(?:(?<=是)|(?<=为)|(?<=属于))一(?=[件双只台条把张个支顶块本套部])|一(?=[款种])")
_TENTHS = re.compile(r"(?<![\d.])([一二两三四五六七八九1-9])成(?!人|[年分品员])")
_PERCENT = re.compile(r"百分之([零〇一二两三四五六七八九十百]+|\d+(?:\.\d+)?)")
_TEN_THOUSANDS = re.compile(r"(?<!\d)(\d+(?:\.\d+)?)万(?!像素|向|能)")
_LONGEST = 80
"""Characters of a number; a longer one is none that anybody means, and stays as it is."""

_TIMES = re.compile(r"(?<=\d)[x*X](?=\d)")

_EN_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
_EN_LARGE = "twenty thirty forty fifty sixty seventy eighty ninety"
_EN_UNITS = {w: i for i, w in enumerate(_EN_SMALL.split())}
_EN_TENS = {w: 10 * i for i, w in enumerate(_EN_LARGE.split(), 2)}
_EN_SCALE = {"hundred": 100, "thousand": 1000, "million": 1_000_000}
_EN_WORD = "|".join([*_EN_UNITS, *_EN_TENS, *_EN_SCALE])
_EN_ONE = re.compile(r"\b(?:this|that|the|which|another|every) one\b", re.IGNORECASE)
EN_NUMBER = rf"(?:{_EN_WORD})(?:[ -](?:and )?(?:{_EN_WORD}))*"
"""Pattern of a whole number in English words, for use without regard to case."""
_EN_ANY = re.compile(rf"\b{EN_NUMBER}\b", re.IGNORECASE)


def _chinese(run: str) -> float | None:
    """Return the value of a Chinese numeral, or ``None`` where the characters are none."""
    whole, _, decimals = run.partition("点")
    if not any(c in _ZH_SCALE for c in whole):
        value: float = int("".join(str(_ZH_DIGIT[c]) for c in whole) or "0")
    else:
        total = section = digit = 0
        last_scale = 0
        for char in whole:
            if char in _ZH_DIGIT:
                digit, last_scale = _ZH_DIGIT[char], last_scale if _ZH_DIGIT[char] else 0
            elif (scale := _ZH_SCALE[char]) >= 10_000:
                total, section, digit = (total + section + digit) * scale, 0, 0
                last_scale = scale
            else:
                section += (digit or 1) * scale
                digit, last_scale = 0, scale
        # 两百五 is 250: a digit right after a scale counts the next smaller one.
        value = total + section + digit * (last_scale // 10 if digit and last_scale > 10 else 1)
    if decimals:
        return float(f"{value:g}.{''.join(str(_ZH_DIGIT[c]) for c in decimals)}")
    return value


def _short(match: re.Match[str], written: Callable[[re.Match[str]], str]) -> str:
    """Return what stands in the place of a number, which is itself where it is too long to be one."""
    return written(match) if len(match.group()) <= _LONGEST else match.group()


def _percent(match: re.Match[str]) -> str:
    return f"{match[1] if match[1][0].isdigit() else _chinese(match[1])}%"


def _replace_chinese(match: re.Match[str]) -> str:
    run, after = match.group(), match.string[match.end() : match.end() + 1]
    counted = after != "" and after in _ZH_AFTER + "%"
    compound = len(run) > 1 and any(c in _ZH_SCALE for c in run) and any(c in _ZH_DIGIT or c == "十" for c in run)
    if not (counted or compound):
        return run
    value = _chinese(run)
    return run if value is None else f"{value:g}" if value < 1e6 else str(int(value))


def chinese_number(text: str) -> float | None:
    """Return a number in digits, Chinese numerals or both (``两百``, ``1.5万``), ``None`` where it is none."""
    import cn2an  # slow to import, and most queries have no such number

    try:
        return float(cn2an.cn2an(text, "smart"))
    except ValueError:
        return None


def english_number(text: str) -> int:
    """Return the number that English words say; words that say none are passed over.

    >>> english_number("two hundred and five")
    205
    """
    total = group = 0
    for word in re.findall(r"[a-z]+", text.lower()):
        if word in _EN_UNITS or word in _EN_TENS:
            group += _EN_UNITS.get(word, 0) + _EN_TENS.get(word, 0)
        elif word == "hundred":
            group = (group or 1) * 100
        elif word in _EN_SCALE:
            total, group = total + (group or 1) * _EN_SCALE[word], 0
    return total + group


def fold(text: str) -> str:
    """Return ``text`` with compatibility characters, dashes and number words written plainly; case is kept.

    >>> fold("两百块"), fold("twenty-five litres"), fold("三成羊绒"), fold("８０％")
    ('200块', '25 litres', '30%羊绒', '80%')
    """
    text = unicodedata.normalize("NFKC", text.translate(_PLAIN)).translate(_PLAIN)
    text = _EN_ONE.sub("this", text)
    text = _EN_ANY.sub(lambda m: _short(m, lambda m: str(english_number(m.group()))), text)
    text = _PERCENT.sub(lambda m: _short(m, _percent), text)
    text = _TENTHS.sub(lambda m: f"{10 * (_ZH_DIGIT.get(m[1]) or int(m[1]))}%", text)
    text = _ZH_ARTICLE.sub("", text)
    text = _ZH_NUMBER.sub(lambda m: _short(m, _replace_chinese), text)
    text = _TEN_THOUSANDS.sub(lambda m: _short(m, lambda m: f"{round(float(m[1]) * 10_000)}"), text)
    return _TIMES.sub(" x ", text)
