"""Is a sentence an opinion and nothing else? Shown, and marked as one, where the shop allows opinions.

In: a sentence that the record does not support, its product and the need. Out: the sentence with its mark, if it only says that
the product is good, in general or for a use that the shopper named. So it holds no number, no name, no denial, no comparison, no
quality that a record could state and no word on health: whatever could be true or false is for the ground check. Knows nothing of
where a sentence comes from.
"""

from __future__ import annotations

import re

from engine.explain.check_form import form_problem
from engine.explain.evidence import Need
from engine.explain.ground import own_text
from engine.explain.things import thing_of
from engine.explain.vocabulary import NEGATIONS, ZH_NOT_NEGATION, stem
from engine.language import words
from engine.numerals import fold
from engine.schema import Product

__all__ = ["as_opinion"]

_MARK = {"en": "Opinion: ", "zh": "看法："}
_OWN_MARK = re.compile(r"^(?:in (?:my|our) opinion|opinion|(?:我们)?认为|看法|个人认为)\s*[,，:：]?\s*", re.IGNORECASE)

_PRAISE = frozenset(
    stem(w)
    for w in """
great good nice lovely fine handy practical comfortable cosy cozy pleasant stylish elegant versatile convenient
sensible perfect ideal excellent well fun thoughtful charming pretty beautiful useful easy welcome
""".split()
)
_FRAME = frozenset(
    stem(w)
    for w in """
a an the this that it its it's is are be been would should could can will of in on at to by for with as during so and
but while also too both your you when where how one product item piece option pick choice make makes making suit suits
suited suitable day days every everyday look looks find very really quite gift present think seems
companion we i
""".split()
)
_PRAISE_ZH = tuple(
    """
非常适合 很适合 十分适合 挺适合 比较适合 不错 很好 挺好 好看 漂亮 实用 方便 舒适 舒服
贴心 百搭 时尚 精致 优雅 好用 值得考虑 合适 很合适 理想 顺手 省心
""".split()
)
_FRAME_ZH = tuple(
    """
的选择 选择 作为 礼物 送人 起来 应该 会 很 挺 非常 十分 觉得 感觉 我们 场合 时候 来 日常
去 而且 又 的 是 在 和 与 也 都 就 它 这 这款 这件 您 你 用 适合 做 当 时 里
中 一款 一件 看 拿来 产品 商品 款 件 个 一个
""".split()
)
_USES = frozenset(
    stem(w)
    for w in """
camp camping backpacking hike hiking trekking climbing run running jogging travel travelling traveling trip office work commute
commuting school college party wedding birthday christmas holiday gaming picnic beach yoga cycling gym training
walking fishing gardening cooking baking reading studying outdoors outdoor home dorm kitchen garden weekend dinner
breakfast lunch coffee tea photography music parties trips
""".split()
)
_USES_ZH = tuple(
    """
登山 徒步 露营 写作业 跑步 旅行 旅游 出差 办公 上班 通勤 上学 聚会 婚礼 生日 圣诞 节日 游戏
野餐 沙滩 瑜伽 骑行 健身 散步 钓鱼 园艺 做饭 烘焙 阅读 学习 户外 居家 宿舍 厨房 周末
约会 早餐 喝茶 咖啡 摄影
""".split()
)
_HEALTH = re.compile(
    r"allerg|asthma|diabet|pregnan|medic|health|cure|heal|skin|pain|infant|newborn|toddler|bab(?:y|ies)|child|kid|safe|sick|disab"
    r"|过敏|哮喘|糖尿|孕|医|药|健康|治|疗|皮肤|疼|痛|婴|宝宝|儿童|孩|安全|病|残",
    re.IGNORECASE,
)
_FOR_USE = re.compile(r"\bfor (?:your |the |a |an )?(\w+)")
_TOKEN = re.compile(r"[A-Za-zÀ-ɏ'’]+")
_NOT_WORDS = re.compile(r"[\s，。、；：！!.,;:'’\-—–]+")


def as_opinion(text: str, product: Product, need: Need) -> str:
    """Return a sentence that only praises, in general or for a use that the need names, with the mark of an opinion, so that no
    client can show it without; empty where it is anything else."""
    text = _OWN_MARK.sub("", text)
    return f"{_MARK[need.language]}{text[:1].lower()}{text[1:]}" if _only_praises(text, product, need) else ""


def _only_praises(text: str, product: Product, need: Need) -> bool:
    folded = fold(text)
    if form_problem(text, own_text(product), need.language) or any(c.isdigit() for c in folded) or _HEALTH.search(folded):
        return False
    zh = need.language == "zh"
    for harmless in ZH_NOT_NEGATION if zh else ():
        if any(harmless in praise for praise in _PRAISE_ZH):
            folded = folded.replace(harmless, " ")
    without = re.sub("|".join(_PRAISE_ZH), " ", folded) if zh else folded
    if NEGATIONS.search(without):
        return False
    return _chinese(fold(text), product, need) if zh else _english(folded, product, need)


def _english(text: str, product: Product, need: Need) -> bool:
    text = text.lower()
    named = [w.text for w in words(thing_of(product, need))]
    if named:  # by its whole name or its last word: a laptop bag is no laptop
        text = re.sub(rf"\b(?:{re.escape(' '.join(named))}|{re.escape(named[-1])})\b", " ", text)
    uses = _USES & {stem(w) for w in _TOKEN.findall(need.text)} if not NEGATIONS.search(need.text) else frozenset()
    text = _FOR_USE.sub(lambda m: " " if stem(m[1]) in uses else m[0], text)
    said = [stem(w) for w in _TOKEN.findall(text)]
    rest = _TOKEN.sub("", text)
    return not _NOT_WORDS.sub("", rest) and all(s in _PRAISE or s in _FRAME for s in said) and any(s in _PRAISE for s in said)


def _chinese(text: str, product: Product, need: Need) -> bool:
    """Cover the sentence with praise, uses that the need names and particles, the longest first."""
    thing = thing_of(product, need)
    rest, praised = text, False
    for use in _USES_ZH if not NEGATIONS.search(need.text) else ():
        if use in need.text:
            rest = re.sub(rf"(?<=适合)[去来]?{use}", " ", rest)
    parts = sorted({*_PRAISE_ZH, *_FRAME_ZH, *((thing[-2:],) if thing else ())}, key=len, reverse=True)
    for part in parts:
        if part and part in rest:
            praised = praised or part in _PRAISE_ZH
            rest = rest.replace(part, " ")
    return praised and not _NOT_WORDS.sub("", rest)
