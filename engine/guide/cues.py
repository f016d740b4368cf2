"""What words do in a conversation, in both languages: begin anew, compare, ask for more, let go, point at what was shown.

Patterns and word lists only. Knows nothing of states.
"""

from __future__ import annotations

import re

__all__ = [
    "ABOVE",
    "ANY",
    "AT_LEAST_AFTER",
    "AT_LEAST_BEFORE",
    "AT_MOST_AFTER",
    "AT_MOST_BEFORE",
    "BELOW",
    "CHEAPER",
    "COMPARE",
    "DEARER",
    "DROP",
    "FIELDS",
    "FILLER",
    "JOINED",
    "JUDGED",
    "LANGUAGE",
    "LEAD",
    "MARKS",
    "MONEY",
    "MORE",
    "ORDINALS",
    "POINTING",
    "PURPOSE",
    "RELATIVE",
    "RESET",
    "ROUGHLY",
    "TAIL",
    "VERSUS",
    "VERSUS_MARK",
]

RESET = re.compile(r"\b(?:start (?:over|again)|reset|forget (?:it|everything|all))\b|重新开始|从头来|重来|清空", re.IGNORECASE)
COMPARE = re.compile(
    r"\b(?:compare|comparison|differences?|differ|versus|vs|which (?:one |of them |of these )?is (?:the )?better|better one"
    r"|(?:decide|choose|torn) between)\b"
    r"|比较|对比|区别|差别|有什么不同|哪个(?:更)?好|哪款(?:更)?好|哪个更|纠结|选哪[个款]|怎么选",
    re.IGNORECASE,
)
CHEAPER = re.compile(
    r"\b(?:cheaper|less expensive|lower price|too (?:expensive|dear|much)|costs? less)\b|便宜(?:一)?点|更便宜|再便宜|太贵|便宜些",
    re.IGNORECASE,
)
DEARER = re.compile(r"\b(?:more expensive|higher[- ]end|pricier|better quality)\b|贵(?:一)?点|更贵|高档|高端", re.IGNORECASE)
MORE = re.compile(
    r"\b(?:(?:show|see|any) (?:me )?(?:more|others?)|more options|what else|next|something else)\b"
    r"|^\W*more\W*$|换一[批个款]|还有(?:吗|别的|其他)|更多|下一页|别的",
    re.IGNORECASE,
)
ANY = re.compile(
    r"\b(?:any(?:thing)?|no preference|(?:doesn['’]?t|does not|don['’]?t) (?:matter|care|mind)|whatever|either|all fine|skip)\b"
    r"|随便|都行|都可以|无所谓|不限|没要求|不挑|跳过",
    re.IGNORECASE,
)
DROP = re.compile(
    r"\b(?:without (?:a|the|any)? ?(?:limit|budget)|(?:no|drop|forget|remove|ignore|scrap|lift) (?:the |my )?)\b"
    r"|去掉|取消|不用管|不考虑",
    re.IGNORECASE,
)
PURPOSE = re.compile(r"\s*(?:for\b|to\b|适合|用来|用于|给|送)", re.IGNORECASE)
LEAD = re.compile(
    r"^(?:(?:actually|ok(?:ay)?|well|hmm+|no|yes|then|so|instead|please|sorry|rather|and|but|now|what about|how about"
    r"|let'?s see|maybe)\b"
    r"|不如|换成|换个|换|那就|那|还是|算了|其实|不对|再|好的|好|嗯)[\s,，。!！]*",
    re.IGNORECASE,
)
TAIL = re.compile(r"[\s,，]*(?:\b(?:please|thanks|thank you|instead|then|if possible)|吧|呢|谢谢|好了)[\s.!。！]*$", re.IGNORECASE)
LANGUAGE = {
    "en": re.compile(r"\b(?:in|speak) english\b|(?:用|说|讲)英[文语]", re.IGNORECASE),
    "zh": re.compile(r"\b(?:in|speak) chinese\b|(?:用|说|讲)(?:中文|汉语|普通话)", re.IGNORECASE),
}
FIELDS = {
    "price": re.compile(r"\b(?:price|budget|cost|limit)\b|价格|预算|价位|价钱", re.IGNORECASE),
    "brand": re.compile(r"\b(?:brand|maker)\b|品牌|牌子", re.IGNORECASE),
    "color": re.compile(r"\bcolou?r\b|颜色|什么色", re.IGNORECASE),
    "size": re.compile(r"\bsize\b|尺码|尺寸|大小", re.IGNORECASE),
    "material": re.compile(r"\b(?:material|fabric)\b|材质|面料|材料", re.IGNORECASE),
    "gender": re.compile(r"\b(?:gender)\b|性别|男女", re.IGNORECASE),
    "category": re.compile(r"\b(?:kind|type|category)\b|种类|类型|哪类", re.IGNORECASE),
}
ORDINALS = (
    (re.compile(r"\b(?:first|1st|(?:number|no\.?|option) (?:one|1))\b|第一", re.IGNORECASE), 0),
    (re.compile(r"\b(?:second|2nd|(?:number|no\.?|option) (?:two|2))\b|第二", re.IGNORECASE), 1),
    (re.compile(r"\b(?:third|3rd|last one|(?:number|no\.?|option) (?:three|3))\b|第三|最后一", re.IGNORECASE), 2),
)
FILLER = frozenset(
    "please thanks thank ok okay yes no actually instead maybe rather prefer preferably about how what make only just "
    "any anything either whatever brand maker expensive cheaper budget price cost "
    "first second third bye know don't dont sure think looking look show me find buy give get i a an at least too that's i'm im "
    "one ones something it them that those these i'd i'll hello hi hey want need should better more less than good nice "
    "lovely perfect great fine which".split()
) | frozenset(
    (
        "都 随便 无所谓 便宜 谢谢 好的 好 那 还是 换成 换 吧 呢 吗 嗯 可以 一下 一点 有 没有 要 想要 需要 喜欢 最好 这个 那个 "
        "您好 你好 请问 哪个 两个 的话 是 "
        "想买 买个 想买个 买 找 找个 帮我 帮 我 想 个 一个 一款 款 推荐 看看 给我 来 第一个 第二个 不知道 再见"
    ).split()
)

JOINED = re.compile(r"\s*(?:,|/|or|and|or also|或者?|和|还是|、|与)\s*", re.IGNORECASE)
"""What joins two values of one wish."""

VERSUS_MARK = " | "
VERSUS = re.compile(r"\bor\b|\band\b|[,，|、?？]|还是|或者|和|与|跟", re.IGNORECASE)
"""What stands between the names of a comparison."""

POINTING = re.compile(
    r"\b(?:what about|how about|tell|more|about|details?|explain|why|take|pick|choose|like|prefer|it|is|any|good|go|with|option"
    r"|product|item|that|result|on|the|of|them)\b|怎么样|如何|详细|介绍|说说|讲讲|为什么|选|就|这款|那款|款|吧|的|好吗|行吗|我|看",
    re.IGNORECASE,
)
"""What is said about a product that is pointed at."""

JUDGED = re.compile(
    r"\b(?:than|better|worse|too|not|don['’]?t|doesn['’]?t|isn['’]?t|no|neither|waterproof|expensive|cheap)\b|不|别|没|太|比|更",
    re.IGNORECASE,
)
"""What says something of a product that is pointed at, instead of only pointing."""

AT_LEAST_BEFORE = re.compile(
    r"(?:\b(?:at least|no less than|not less than|minimum(?: of)?|min\.?|over|more than|larger than|bigger than"
    r"|heavier than|longer than|above|starting at)|至少要?|不低于|不少于|大于|超过|高于|最少|不小于)\s*$",
    re.IGNORECASE,
)
AT_LEAST_AFTER = re.compile(
    r"\s*(?:or (?:more|larger|bigger|longer|above|up)\b|and (?:up|above|more)\b|\+|plus\b|及?以上|起)", re.IGNORECASE
)
AT_MOST_BEFORE = re.compile(
    r"(?:\b(?:at most|no more than|not more than|under|below|less than|up to|within|max(?:imum)?(?: of)?|lighter than|smaller than"
    r"|shorter than|not over)|最多|不超过|不要超过|不能超过|别超过|小于|低于|少于|不到|不大于|不高于)\s*$",
    re.IGNORECASE,
)
AT_MOST_AFTER = re.compile(r"\s*(?:or (?:less|smaller|lighter|shorter|below|under)\b|及?以内|及?以下|之内)", re.IGNORECASE)
"""What bounds a measure, before and after it."""

ROUGHLY = re.compile(r"\b(?:about|around|roughly|approximately|or so|ish)\b|左右|大约|大概|上下|差不多", re.IGNORECASE)
RELATIVE = re.compile(r"\b(?:more|less|extra|another|higher|lower|up)\b|再|多|少|加|减", re.IGNORECASE)
BELOW = re.compile(
    r"\b(?:under|below|at most|up to|max(?:imum)?|no more than|not more than|less than|within)\b|以内|以下|不超过|最多|低于",
    re.IGNORECASE,
)
ABOVE = re.compile(
    r"(?<!not )(?<!no )\b(?:over|above|at least|more than|min(?:imum)?|no less than|not less than)\b|以上|至少|不低于|不少于",
    re.IGNORECASE,
)
MONEY = re.compile(
    r"[$€£¥￥]|\b(?:usd|dollars?|bucks?|eur|euros?|gbp|pounds?|cny|rmb|yuan|price|budget|spend|cost|under|below|up to|at most|more"
    r"|less|max)\b|元|块|钱|预算|价|以内|以下|再|多|少",
    re.IGNORECASE,
)
"""What says how a number is meant: roughly, beside one said before, as the most, as the least, as money."""

MARKS = " ,.;:!?，。；：！？、"
"""What stands around words and says nothing."""
