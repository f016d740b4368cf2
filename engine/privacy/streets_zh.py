"""Street addresses of China, Hong Kong and Taiwan, as far as rules go.

In: text with full-width forms made plain, in simplified characters. Out: where they begin and end. An address has a road with its
``号``, or an estate with its building and room.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["chinese_addresses"]

_HAN = r"[\u4e00-\u9fff]"
_PROVINCE = (
    "北京|天津|上海|重庆|河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南|广东|海南|四川|贵州|云南|陕西|甘肃|青海|台湾|内蒙古|广西|"
    "西藏|宁夏|新疆|香港|澳门"
)
_NUM = r"[\dA-Za-z零〇一二两三四五六七八九十百甲乙丙丁东西南北-]{1,8}"
_ADMIN = (
    rf"(?:(?:{_PROVINCE})(?:省|市|壮族自治区|回族自治区|维吾尔自治区|自治区|特别行政区)?\s?)?"
    rf"(?:{_HAN}{{2,7}}?(?:市|自治州|地区|盟)\s?)?(?:{_HAN}{{1,7}}?(?:区|县|旗|市)\s?)?"
    rf"(?:{_HAN}{{1,7}}?(?:镇|乡|街道|开发区|新区)\s?)?"
)
_ROAD = (
    rf"{_HAN}{{1,10}}?(?:路|街|大道|道|巷|路[一二三四五六七八九十]段|街[一二三四五六七八九十]段|弄|胡同|村|里|庄|段|条|环|线|园|小区|花园|公寓|"
    r"苑|城|家园|新村|大厦|广场|社区|屯)\s?"
)
_DOOR = rf"(?:第?{_NUM}(?:号院|号楼|号|支弄|弄|巷|栋|幢|座|组|单元|楼|层|增|附|室|房|舍|门|户|梯|甲|乙|段)\s?)"
_INNER = (
    rf"(?:(?:{_HAN}{{1,12}}?(?:小区|花园|公寓|苑|城|家园|新村|大厦|广场|社区|中心|大楼|园|院|府|邸|湾|海岸|轩|阁|国际|宿舍|校区|大学)\s?)?"
    rf"{_DOOR}|[A-Z]?\d{{1,2}}区)"
)
_LOOSE = (
    r"(?:之[一二三四五\d]|[附增]\d{1,3}号|[东西南北中](?:户|侧)?(?![\u4e00-\u9fff]))?(?:(?:[\u4e00-\u9fff]{1,10}?)?(?:\d{1,4}(?:-\d{1,4}){1,3}|[A-Za-z]?\d{3,4}(?:室|房)?)(?![\d元块个件只年月日天次]))?"
)
"""What stands at the end of an address: the number of a room, after the name of a house or not."""
_CHINESE = re.compile(rf"{_ADMIN}{_ROAD}(?:{_ROAD})?{_DOOR}{_INNER}*{_LOOSE}")
_ESTATE = re.compile(
    rf"{_ADMIN}{_HAN}{{2,12}}?(?:小区|[一二三四五六七八九十]区|花园|公寓|苑|城|家园|新村|大厦|广场|社区|大楼|府|湾|村|镇|大学)\s?{_DOOR}{_INNER}*{_LOOSE}"
)
_SAID = re.compile(
    r"^.*?(?:收货地址|寄送地址|送货地址|邮寄地址|家庭地址|公司地址|地址|寄送到|邮寄到|发货到|配送到|寄到|送到|发到|快递到|寄往|发往|送往|"
    r"送至|寄至|寄回|住在|家住|家在|位于|搬到|改成|改为|改到|换成|更新为|寄|送|住|在|到|至)(?:是|为|改|写|填)?[\s:,，：]*"
)


def chinese_addresses(text: str) -> Iterator[tuple[int, int]]:
    """Yield where addresses begin and end, without the words that name them as such."""
    for pattern in (_CHINESE, _ESTATE):
        for match in pattern.finditer(text):
            said = _SAID.match(match[0])
            start = match.start() + (said.end() if said else 0)
            if match.end() - start >= 4:
                yield start, match.end()
