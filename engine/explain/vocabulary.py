"""The words the ground check and the template share: what carries no claim, what negates, what ranks, what it means.

Data only, and a light English stemmer. Every list errs on the strict side: a word that is in none of them is a claim
and must be found in the product's own fields. Knows nothing of products or sentences.
"""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = [
    "COLOURS",
    "EN_NEUTRAL",
    "LABELS",
    "MATERIALS",
    "NEGATIONS",
    "NEGATIVE_CLAUSE",
    "ORDERS",
    "RANKING",
    "ROLES",
    "UNUSABLE",
    "ZH_NEUTRAL",
    "ZH_NOT_NEGATION",
    "stem",
]

_EN = """
a an the this that these those it its it's is are was be being been has have having had do does can will would
of in on at to by for from with as into onto inside within under below over above between through about around
during so and or but nor while plus also too both either each per which who whose when where you your you're
yours i me my we our they them their there here what how whether if then than because since product item piece
model option pick choice one thing ones made make makes making comes come coming offers offer offering
features feature featuring includes include including included provides provide giving gives give gets get
uses use using used keeps keep lets let work works serves serve meets meet match matches matching fits fit
suits suit suitable suited answers answer answering asked ask asking wanted want looking search searched
request need needs price priced prices cost costs costing budget limit cap range stays stay staying sits sit
listed list lists stated states says say described describes description details detail title such just only
exactly simply thanks rated built build designed design meant named called known name brand color colour
colours colors size sized material materials type kind weight weighs weigh weighing measures measure measuring
measured total equipped mentioned mention done carries carry currently now still approximately roughly nearly
almost no not contain contains containing moment unfortunately please version takes take holds hold lasts last runs run
moves move turns turn data sheet maker talk talks speak speaks
"""
_ZH = """
的 了 在 是 有 和 与 及 或 也 都 就 还 又 且 并 而 但 其 它 这 该 此 那 您 你 我 我们 为 于 以 由 对 从 到 让
被 把 将 给 按 按照 这款 这件 这双 这个 这条 这台 该款 本款 此款 这里 这样 产品 商品 单品 款式 一款 一种 采用
使用 选用 使用的是 用 做 制成 制作 做成 具有 具备 拥有 带有 带 配有 配备 配 附 附带 含 含有 包含 包括 内含
提供 支持 能 可 可以 能够 会 适合 适用 适用于 适合于 用于 可用于 属于 符合 满足 对应 正好 刚好 正 恰好 要求
需求 需要 想要 要 想 找 寻找 所 搜索 查询 预算 价格 售价 标价 现价 价 卖 只卖 只要 仅 仅需 只需 只 才 现在
目前 当前 在您 范围 之内 以内 内 不超过 不到 低于 上限 限额 限制 左右 约 大约 品牌 牌子 名称 型号 颜色 配色
尺寸 尺码 规格 材质 面料 材料 款 件 双 个 种 台 条 支 本 些 时 里 中 上 下 后 前 等 即 则 均 各 每 共 总 共有
一共 写到 谈到 说到 写了 方面 以及 并且 而且 同时 另外 此外 因此 所以 因为 而言 来说 达 达到 高达 可达 至 为您 标明 注明 写明 写着
说明 描述 介绍 提到 信息 资料 显示 标注 看 标题 名称里 等级 级别 来自 出自 本身 设计 整件 整体 自身 功能
"""
_ZH_NOT_NEGATION = """
不锈钢 不粘 不沾 无线 无绳 免烫 免洗 免打孔 免安装 非常 不错 不仅仅 不仅 不但 不同 不断 无论 不论 特别 分别
区别 级别 别致 别墅 没问题 无缝 无框 无痕 未来 不妨 差不多 免打扰 不超过 不到 不低于 不少于 不高于 不止 不少
是否 否则 太阳 太空 无纺 非洲 不对称 无人机 不倒翁 无刷 无袖 免手洗 不规则 非遗
"""

EN_NEUTRAL = frozenset(_EN.split())
"""English words that claim nothing by themselves."""

ZH_NEUTRAL = tuple(
    sorted(
        set(_ZH.split()),
        key=lambda w: (-len(w), w),
    )
)
"""Chinese words and particles that claim nothing by themselves, longest first."""

ZH_NOT_NEGATION = tuple(_ZH_NOT_NEGATION.split())
"""Chinese words that hold a negating character and negate nothing that follows."""

NEGATIONS = re.compile(
    r"\b(?:no|not|never|without|neither|none|nothing|cannot|lacks?|lacking|hardly|barely|excludes?|excluding|except|"
    r"avoids?|avoiding|prevents?|preventing|faux|imitation|artificial|vegan|simulated|instead of|rather than|too|"
    r"free (?:of|from))\b|\b\w+n't\b|[不没无非未免别勿否莫禁忌仿]|人造|避免|防止|杜绝|(?<=[\s,;])(?:0"
    r"|零)(?=[\u4e00-\u9fff])",
    re.IGNORECASE,
)
"""What turns the rest of its clause around; ``faux`` and ``仿`` too, since faux leather is no leather."""

NEGATIVE_CLAUSE = re.compile(
    r"\b(?:sold separately|not included|not supplied|excluded|optional|extra cost)\b|另购|另售|另配|自备|除外|单独购买"
    r"|[\u4e00-\u9fff]不(?:下|了|起|出|进|动|完|住|开|着)",
    re.IGNORECASE,
)
"""What turns its whole clause around, wherever it stands."""

UNUSABLE = re.compile(
    r"\b(?:than|unlike|compared|versus|vs|if|unless|should|would|could|might|may|instead|better|worse|best|most|choose|"
    r"see our|our other|replaces?|also available|available in)\b|比(?![例赛基熊萨])|相比|如果|如需|若|建议"
    r"|而不是|请|应该|应选|或许|可能|另有",
    re.IGNORECASE,
)
"""A clause of a field that compares, supposes or advises is no description of this product."""

RANKING = re.compile(
    r"\b(?:best|better|worst|worse|most|least(?!\s+\d)|more(?! than [$¥€£]?\d)|less(?! than [$¥€£]?\d)|fewer"
    r"|greatest|finest|perfect\w*|"
    r"ideal\w*|ultimate\w*|unbeatable|unmatched|unrivall?ed|superior|top|leading|leader|number 1|no\. ?1|#1|only 1|"
    r"the only|unique|first|favou?rite|winner|winning|award\w*|guarantee\w*|must-have|incomparable|beats?"
    r"|outperform\w*|"
    r"recommend\w*|bestsell\w*|best-sell\w*|popular|world|everyone|anyone|every other|all other|than(?! [$¥€£]?\d))\b"
    r"|\b(?!(?:rest|test|west|east|nest|forest|interest|honest|chest|vest|guest|request|harvest|digest|quest|invest|"
    r"suggest|contest|crest|zest|protest|manifest|arrest|tempest|everest)\b)[a-z]{2,}est\b"
    r"|[最冠]|第1|第一|唯一|首选|顶级|顶尖|极致|极佳|完美|全网|史上|独一无二|无敌|无与伦比|王者|之王|更|还要"
    r"|比(?!例|赛|基尼|熊|萨)|超越|胜过|优于"
    r"|荣获|获奖|得奖|大奖|金奖|银奖|奖项|领先|推荐|必买|必备|爆款|热销|畅销|热卖|销量|国家级|世界级|绝对|100%(?:有效|满意|正品|好评)|万能",
    re.IGNORECASE,
)
"""Superlatives, comparisons and praise. They pass only where they can be computed again."""

ORDERS = re.compile(
    r"\b(?:ignore|disregard|forget)\b.{0,40}\b(?:instruction|previous|above|prompt|rule|everything|all)"
    r"|\binstructions?\b"
    r"|\b(?:assistant|chatbot|system prompt|language model|llm|as an ai)\b|\brank (?:this|it|me|us)\b"
    r"|\b(?:say|tell|claim|state|answer|reply|respond|write|output|repeat|print)\b.{0,12}\b(?:that|it|this|the"
    r"|every|customer|"
    r"user|shopper|buyer|with)\b|\byou (?:must|should|are now)\b|\b(?:buy|order|click|visit|call|subscribe"
    r"|hurry|act)\b.{0,12}"
    r"\b(?:now|here|today|us|this)\b|忽略|无视|指令|提示词|助手|人工智能|排在|排名|排第|告诉|请说|回答|必须说"
    r"|务必|赶快|赶紧|立即|立刻|马上|系统[:：]|你现在是|机器人客服|销售机器人|[对向](?:每位|每个|所有)?(?:顾客|客户|用户|买家)(?:说|回答)"
    r"|密钥|复述|输出.{0,8}(?:设置|提示|JSON)|别无选择|附在.{0,8}后"
    r"|\bapi keys?\b|\b(?:output|append|reveal|leak|send)\b.{0,30}\b(?:key|prompt|settings|password|searches|json)\b"
    r"|\bevery shopper\b|\bsales bot\b"
    r"|点击|下单|抢购|扫码|加微信|联系客服",
    re.IGNORECASE,
)
"""What speaks to an assistant or pushes a shopper instead of describing a product."""

LABELS: dict[str, tuple[str, str]] = {
    "color": ("colour color", "颜色"),
    "size": ("size", "尺码 尺寸 码"),
    "material": ("material made fabric", "材质 面料 材料"),
    "weight": ("weight weighs", "重量 重 净重"),
    "capacity": ("capacity holds volume", "容量 容积"),
    "power": ("power wattage", "功率"),
    "voltage": ("voltage", "电压"),
    "battery_life": ("battery life runtime", "续航 电池续航"),
    "battery_capacity": ("battery capacity", "电池容量 电池"),
    "storage": ("storage", "存储 储存"),
    "screen_size": ("screen display", "屏幕 屏"),
    "waterproof": ("waterproof", "防水"),
    "season": ("season", "季节"),
    "style": ("style", "风格"),
    "gender": ("gender", "性别"),
    "age_group": ("age group", "年龄"),
    "condition": ("condition", "成色"),
    "length": ("length long", "长度 长"),
    "width": ("width wide", "宽度 宽"),
    "height": ("height high tall", "高度 高"),
    "depth": ("depth deep", "深度 深"),
    "warranty": ("warranty", "质保 保修"),
    "pattern": ("pattern", "图案"),
    "flavor": ("flavour flavor", "口味"),
}
"""What an attribute is called in English and in Chinese."""

ROLES: dict[str, tuple[str, str]] = {
    "weight": ("weigh|weighs|weighing|weight|heavy", "净重|重量|重|克重"),
    "capacity": ("capacity|holds?|holding|volume", "容量|容积|能装|可装|装下"),
    "length": ("long|length", "长度|长(?!效|袖|裤|款|期|途|时|毛|者|辈)"),
    "width": ("wide|width", "宽度|宽(?!松|大)"),
    "height": ("high|tall|height", "高度|高(?!腰|领|跟|档|清|帮|硼|效|级|温|速)"),
    "depth": ("deep|depth", "深度|深(?!色|蓝|灰|绿|棕|层|度)"),
    "thickness": ("thick|thickness", "厚度|厚(?!实|底)"),
    "diameter": ("diameter|across", "直径"),
    "duration": ("lasts?|lasting|battery life|runtime|playtime|runs? for", "续航|播放时间|使用时间|待机"),
    "screen": ("screen|display|monitor", "屏幕|屏(?!蔽|风)|显示器"),
    "power": ("power(?! bank)|wattage", "功率"),
    "battery": ("battery(?! life)|batteries", "电池|电量"),
    "memory": ("memory|ram", "内存|运存"),
    "storage": ("storage|ssd|disk", "存储|固态|硬盘"),
    "waterproof": ("waterproof|hydrostatic|waterproofing", "防水|静水压"),
    "noise": ("noise|loud|sound", "噪音|噪声|分贝值"),
    "age": ("years? old|aged?", "岁|年龄"),
    "warranty": ("warranty|guarantee", "质保|保修"),
    "load": ("load|supports? up|bears?", "承重|载重"),
    "temperature": ("temperature|comfort", "温度|温标"),
}
"""What a number is a number of: the words, as regular expressions, that say so."""

COLOURS = re.compile(
    r"\b(?:black|white|red|blue|green|yellow|grey|gray|brown|pink|purple|violet|orange|beige|navy|teal|gold"
    r"|silver|khaki|"
    r"cream|ivory|maroon|turquoise|cyan|magenta|olive|charcoal|burgundy)\b"
    r"|[黑白红蓝绿黄灰棕粉紫橙米银金青](?=色)|[深浅藏墨酒天雾奶][黑白红蓝绿黄灰棕粉紫橙青]",
    re.IGNORECASE,
)
"""Colour words: where a product states its colour, only that field and the title may support them."""

MATERIALS = re.compile(
    r"\b(?:leather|cotton|wool|cashmere|silk|linen|nylon|polyester|steel|stainless|aluminium|aluminum|plastic"
    r"|silicone|glass|"
    r"ceramic|wood|wooden|oak|bamboo|rubber|down|fleece|titanium|copper|iron|suede|canvas|denim|mesh|latex|paper)\b"
    r"|[真牛羊]皮|皮革|纯棉|棉|羊毛|羊绒|真丝|亚麻|尼龙|涤纶|聚酯|不锈钢|铝合金|塑料|硅胶|玻璃|陶瓷|实木|竹"
    r"|橡胶|羽绒|钛|铜|铸铁|帆布|网布|钢",
    re.IGNORECASE,
)
"""Material words: after ``made of`` or ``材质`` only the material field and the title may support them."""


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """Return a word without its commonest English endings; the same for every form is all that matters.

    >>> stem("jackets"), stem("weighing"), stem("batteries")
    ('jacket', 'weigh', 'batteri')
    """
    word = word.lower().removesuffix("'s").replace("'", "")
    for ending in ("ing", "ed"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and re.search("[aeiouy]", word[: -len(ending)]):
            word = word[: -len(ending)]
            if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz":
                word = word[:-1]
            break
    if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3:
        word = word[:-2] if word.endswith(("xes", "ches", "shes", "sses")) else word[:-1]
    if word.endswith("y") and len(word) > 3:
        word = word[:-1] + "i"
    if word.endswith("ie") and len(word) > 4:
        word = word[:-1]
    return word.removesuffix("e") if len(word) > 3 else word
