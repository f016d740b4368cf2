"""What a column means: its canonical field, or the name of the attribute it becomes.

In: raw column names, in any case, English or Chinese. Out: a :class:`Role` for each, and rows assembled from
``(role, value)`` pairs. Several columns may mean one field (``name`` and ``title``): the first of the list below
that has a value wins, and the others are kept as attributes. Nothing is dropped.
Knows nothing of file formats; each format passes its own extra names.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from engine.units import parse_quantity
from indexer.feeds.records import CANONICAL, RawRow

__all__ = ["FIELD_NAMES", "Columns", "Role", "add_attribute", "attribute_name", "build_row", "is_empty", "snake"]

FIELD_NAMES: Mapping[str, str] = {
    "id": "id item_id product_id sku_id sku seller_sku variant_sku code product_code item_code article_number "
    "stock_code stockcode asin uniq_id 商品id 商品编号 产品编号 商品编码 编号 编码 货号",
    "title": "title name product_name product_title item_name item_title product 标题 商品标题 产品标题 名称 商品名称 "
    "产品名称 商品名 产品名 品名",
    "description": "description long_description product_description body_html body desc short_description summary "
    "details 描述 商品描述 产品描述 详情 商品详情 产品详情 简介 介绍",
    "brand": "brand brand_name manufacturer vendor supplier maker 品牌 品牌名 品牌名称 厂商 制造商 生产商",
    "category": "product_type category category_path categories product_category google_product_category department "
    "分类 类目 商品分类 商品类目 产品分类 品类 类别",
    "price": "price regular_price list_price unit_price price_amount msrp 价格 商品价格 原价 定价 市场价 售价 单价",
    "sale_price": "sale_price special_price discount_price discounted_price promotional_price offer_price "
    "促销价 优惠价 特价 折扣价 活动价 现价",
    "currency": "currency currency_code price_currency 币种 货币",
    "availability": "availability stock_status in_stock is_in_stock stock inventory stock_quantity inventory_quantity "
    "库存状态 库存 库存数量",
    "link": "link url product_url product_link permalink canonical_url 链接 商品链接 网址",
    "image_link": "image_link image image_url img_url img main_image picture image_src images img_500x500 img_high "
    "thumbnail 主图 图片 图片链接 商品图片",
    "gtin": "gtin ean gtin13 gtin_13 gtin12 gtin14 gtin8 ean13 ean_code primary_ean upc upc_code isbn isbn13 jan "
    "barcode 条码 条形码 商品条码 国际条码",
    "mpn": "mpn model_number model_no model part_number manufacturer_part_number mfr_part_number "
    "型号 产品型号 规格型号",
    "item_group_id": "item_group_id product_group_id group_id parent_id parent_sku parent spu spu_id 父sku",
}
_ATTRIBUTE_NAMES: Mapping[str, str] = {
    "color": "colour product_colour product_color color_name colour_name 颜色 色彩 颜色分类 颜色名称",
    "size": "尺码 尺寸 大小 码数",
    "material": "材质 材料 面料",
    "pattern": "图案 花纹",
    "condition": "成色 新旧程度",
    "gender": "性别 适用性别",
    "age_group": "年龄段 适用年龄 适用人群",
    "weight": "重量 毛重 净重",
    "length": "长度 长",
    "width": "宽度 宽",
    "height": "高度 高",
    "capacity": "容量",
    "power": "功率",
    "voltage": "电压",
    "battery_capacity": "电池容量",
    "battery_life": "续航 续航时间",
    "memory": "内存 运行内存",
    "storage": "存储 存储容量 机身内存",
    "screen_size": "屏幕尺寸",
    "style": "风格 款式",
    "season": "季节 适用季节",
    "warranty": "保修 质保 保修期",
    "country_of_origin": "产地 原产地",
    "specification": "规格",
    "flavor": "flavour 口味",
    "tags": "标签",
}
_ATTRIBUTES = {word: name for name, words in _ATTRIBUTE_NAMES.items() for word in words.split()}
_RANKS = {
    word: (field_name, rank)
    for field_name, words in FIELD_NAMES.items()
    for rank, word in enumerate(words.split(), start=1)
}
_UNIT_SUFFIX = re.compile(r"[(（\[]\s*([^()（）\[\]]{1,12})\s*[)）\]]\s*$")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z][a-z])")
_MAX_NAME = 64


@dataclass(frozen=True, slots=True)
class Role:
    """What one raw column means. ``field`` is canonical or empty; ``rank`` orders columns of one field, best first;
    ``attribute`` is the name it has when it is not the field; ``unit`` came from its header (``Weight (kg)``)."""

    raw: str
    field: str
    rank: int
    attribute: str
    unit: str = ""

    @property
    def target(self) -> str:
        """The role as it is printed: ``title`` or ``attributes.color``."""
        return self.field or f"attributes.{self.attribute}"


def is_empty(value: object) -> bool:
    """Return whether a value says nothing: ``None``, an empty list or object, blank text."""
    return value is None or (isinstance(value, str) and not value.strip()) or value == [] or value == {}


@lru_cache(maxsize=65_536)
def snake(name: str) -> str:
    """Return a name in lower case with underscores, Chinese kept: ``Body (HTML)`` → ``body_html``."""
    plain = unicodedata.normalize("NFKC", name).strip()
    plain = _CAMEL.sub("_", plain).lower().removeprefix("g:")
    return re.sub(r"[\W_]+", "_", plain).strip("_")


@lru_cache(maxsize=65_536)
def attribute_name(name: str) -> str:
    """Return the attribute a column name becomes: ``颜色`` is ``color``; a field's name gets ``source_``."""
    plain = snake(name)[:_MAX_NAME].strip("_")
    plain = _ATTRIBUTES.get(plain, plain) or "unnamed"
    return f"source_{plain}" if plain in CANONICAL else plain


@dataclass(slots=True)
class Columns:
    """The roles of a feed's columns, found once per name.

    ``own`` maps snake-case names of this format to ``(field, rank)``; a rank of 0 or less beats the general names,
    and an empty field makes an attribute of it. ``mapping`` is what is printed: raw column → role.
    """

    own: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    mapping: dict[str, str] = field(default_factory=dict)
    _roles: dict[str, Role] = field(default_factory=dict)

    def role(self, raw: str) -> Role:
        """Return the role of a raw column name."""
        if (known := self._roles.get(raw)) is None:
            known = self._roles[raw] = self._find(raw)
            self.mapping[raw] = known.target
        return known

    def _find(self, raw: str) -> Role:
        name, unit = snake(raw), ""
        if name not in self.own and (suffix := _UNIT_SUFFIX.search(raw)) and parse_quantity(f"1 {suffix[1]}"):
            name, unit = snake(raw[: suffix.start()]), suffix[1].strip()
        field_name, rank = self.own.get(name) or _RANKS.get(name) or ("", 0)
        # A Google name with its prefix says more than the same name of RSS or Atom around it.
        rank = 2 * rank - raw.lower().startswith("g:")
        return Role(raw, field_name, rank, attribute_name(name), unit)

    def settle(self, raws: Iterable[str]) -> None:
        """Make ``mapping`` show, for columns that share a field, which wins where both have a value."""
        roles = [self.role(raw) for raw in raws]
        best: dict[str, Role] = {}
        for role in roles:
            if role.field and (role.field not in best or role.rank < best[role.field].rank):
                best[role.field] = role
        for role in roles:
            loses = role.field and best[role.field] is not role
            self.mapping[role.raw] = f"attributes.{role.attribute}" if loses else role.target


def add_attribute(attributes: dict[str, object], name: str, value: object) -> None:
    """Set an attribute, or make a list of it where two columns have one name."""
    if name not in attributes:
        attributes[name] = value
        return
    before = attributes[name]
    held = list(before) if isinstance(before, list) else [before]
    attributes[name] = held + (value if isinstance(value, list) else [value])


def build_row(line: int, pairs: Iterable[tuple[Role, object]], *, minor_units: bool = False) -> RawRow:
    """Return the row of these cells: for each field the best-ranked cell with a value, all others as attributes."""
    filled = [(role, value) for role, value in pairs if not is_empty(value)]
    best: dict[str, int] = {}
    for place, (role, _) in enumerate(filled):
        if role.field and (role.field not in best or role.rank < filled[best[role.field]][0].rank):
            best[role.field] = place
    values: dict[str, object] = {}
    attributes: dict[str, object] = {}
    for place, (role, value) in enumerate(filled):
        if role.field and best[role.field] == place:
            values[role.field] = value
        else:
            if role.unit and isinstance(value, str | int | float) and not isinstance(value, bool):
                value = f"{value} {role.unit}"
            add_attribute(attributes, role.attribute, value)
    return RawRow(line, values, attributes, minor_units)
