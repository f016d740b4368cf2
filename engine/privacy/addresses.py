"""Where a person lives, as far as rules go: street addresses in English and Chinese.

In: text with full-width forms made plain. Out: stretches. An address has a number: a street with its house, a road with its
``号``. Names of streets alone are products as often (``Abbey Road``), and are let be.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.privacy.spans import Personal

__all__ = ["find_addresses"]

_SURE = (
    "street|str|road|rd|avenue|ave|av|lane|ln|boulevard|blvd|terrace|crescent|cres|gardens|grove|parkway|pkwy|highway|hwy|mews|circle|cir|trail|st"
)
_UNSURE = "drive|dr|way|court|ct|place|pl|square|sq|close|row|hill|park|walk|loop|alley|quay|rise|view|green|path|plaza"
_UNIT = r"(?:flat|apt|apartment|unit|suite|ste|room|rm|floor|building|bldg|block|house|no)\.?\s?#?\s?[\dA-Za-z]{1,5}"
_POSTCODE = r"(?:[A-Z]{1,2}\d[A-Z\d]?\s?\d[A-Z]{2}|(?:[A-Z]{2}\.?,?\s+)?\d{5}(?:-\d{4})?|[A-Z]\d[A-Z]\s?\d[A-Z]\d)"
_WORD = r"[A-Za-z][\w'.’-]*"
_COUNTRY = r"(?:USA|U\.S\.A\.|UK|United Kingdom|England|Canada|Scotland|Wales)"
_TAIL = (
    rf"(?:,?\s+(?i:{_UNIT}|\#\s?\w{{1,5}}|(?:\d+(?:st|nd|rd|th)\s+floor)))*"
    rf"(?:(?:,\s*|\s+)(?:[A-Z][\w'.’-]*[\s,]+){{0,4}}?{_POSTCODE}\b(?:,?\s+{_COUNTRY})?"
    rf"|(?:,\s*[A-Z][A-Za-z'’-]+(?:\s[A-Z][A-Za-z'’-]+){{0,2}}){{1,3}})?"
)
_HEAD = rf"(?:{_UNIT},?\s+)?"
_NUMBER = r"(?<![\w.$€£¥#/-])(?:No\.?\s?)?\d{1,5}(?:[A-Za-z]\b|-\d{1,4}|/\d{1,3})?,?"
_DIRECTION = r"(?:(?:N|S|E|W|NE|NW|SE|SW|North|South|East|West)\.?\s+)?"
_ENGLISH = re.compile(
    rf"(?i:{_HEAD})(?:{_NUMBER})\s+(?i:{_DIRECTION})(?:(?i:(?:\d+(?:st|nd|rd|th)|{_WORD})\s+){{1,4}}?)(?i:{_SURE})\b\.?"
    rf"(?i:(?:\s+(?:N|S|E|W|NE|NW|SE|SW)\b)?){_TAIL}"
)
_CAPITAL = re.compile(
    rf"(?i:{_HEAD})(?:{_NUMBER})\s+{_DIRECTION}(?:(?:\d+(?:st|nd|rd|th)|[A-Z][\w'.’-]*)\s+){{1,3}}?(?:(?i:{_UNSURE}))\b\.?{_TAIL}"
)
_POSTED = re.compile(
    rf"(?i:{_HEAD})(?:[A-Z][\w'.’-]{{1,20}}\s){{0,3}}{_NUMBER}(?:\s+(?:\d{{1,4}}|[A-Z][\w'.’-]{{0,30}})){{1,5}}"
    rf"(?:,\s*[A-Z][A-Za-z'’-]{{1,30}}(?:\s[A-Z][A-Za-z'’-]{{1,30}}){{0,2}}){{0,3}},?\s+"
    rf"(?:[A-Z]{{1,2}}\d[A-Z\d]?\s?\d[A-Z]{{2}}|[A-Z]{{2}}\.?\s+\d{{5}}(?:-\d{{4}})?)\b(?:,?\s+{_COUNTRY})?"
)
"""A number, words and a postcode of the United Kingdom, or of a state of the United States: no word for a street is needed."""
_PO_BOX = re.compile(rf"\bP\.?\s?O\.?\s?Box\s+\d{{1,6}}\b{_TAIL}", re.IGNORECASE)
_NOT_STREETS = re.compile(
    r"\b(?:tb|gb|mb|inch|in|pack|pcs|piece|way|port|bay|speed|usb|hard|flash|for|with|of|and|to|x|under|from|mm|cm|ml|kg|lb|lbs|oz|"
    r"watt|volt)\b",
    re.IGNORECASE,
)

_HAN = r"[\u4e00-\u9fff]"
_PROVINCE = (
    "北京|天津|上海|重庆|河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南|广东|海南|四川|贵州|云南|陕西|甘肃|青海|台湾|内蒙古|广西|"
    "西藏|宁夏|新疆|香港|澳门"
)
_NUM = r"[\dA-Za-z零〇一二两三四五六七八九十百甲乙丙丁东西南北-]{1,8}"
_ADMIN = (
    rf"(?:(?:{_PROVINCE})(?:省|市|壮族自治区|回族自治区|维吾尔自治区|自治区|特别行政区)?\s?)?"
    rf"(?:{_HAN}{{2,7}}?(?:市|自治州|地区|盟)\s?)?(?:{_HAN}{{1,7}}?(?:区|區|县|旗|市)\s?)?"
    rf"(?:{_HAN}{{1,7}}?(?:镇|乡|街道|开发区|新区)\s?)?"
)
_ROAD = (
    rf"{_HAN}{{1,10}}?(?:路|街|大道|道|巷|路[一二三四五六七八九十]段|街[一二三四五六七八九十]段|弄|胡同|村|里|庄|段|条|环|线|园|小区|花园|公寓|"
    r"苑|城|家园|新村|大厦|广场|社区|屯)\s?"
)
_DOOR = rf"(?:第?{_NUM}(?:号院|号楼|号|號|支弄|弄|巷|栋|幢|座|组|单元|楼|樓|层|室|房|舍|门|户|梯|甲|乙|段)\s?)"
_INNER = (
    rf"(?:(?:{_HAN}{{1,12}}?(?:小区|花园|公寓|苑|城|家园|新村|大厦|广场|社区|中心|大楼|园|院|府|邸|湾|海岸|轩|阁|国际|宿舍|校区|大学)\s?)?"
    rf"{_DOOR})"
)
_LOOSE = (
    r"(?:之[一二三四五\d])?(?:(?:[\u4e00-\u9fff]{1,10}?)?(?:\d{1,4}(?:-\d{1,4}){1,3}|[A-Za-z]?\d{3,4}(?:室|房)?)(?![\d元块个件只年月日天次]))?"
)
"""What stands at the end of an address: the number of a room, after the name of a house or not."""
_CHINESE = re.compile(rf"{_ADMIN}{_ROAD}(?:{_ROAD})?{_DOOR}{_INNER}*{_LOOSE}")
_ESTATE = re.compile(
    rf"{_ADMIN}{_HAN}{{2,12}}?(?:小区|花园|公寓|苑|城|家园|新村|大厦|广场|社区|大楼|府|湾|村|镇|大学)\s?{_DOOR}{_INNER}*{_LOOSE}"
)
_SAID = re.compile(
    r"^.*?(?:收货地址|寄送地址|送货地址|邮寄地址|家庭地址|公司地址|地址|寄送到|邮寄到|发货到|配送到|寄到|送到|发到|快递到|寄往|发往|送往|"
    r"送至|寄至|寄回|住在|家住|家在|位于|搬到|改成|改为|改到|换成|更新为|寄|送|住|在|到|至)(?:是|为|改|写|填)?[\s:,，：]*"
)


def find_addresses(text: str) -> Iterator[Personal]:
    """Yield street addresses with a number, those that overlap as one."""
    start = end = 0
    for first, last in sorted(_stretches(text)):
        if first < end:
            end = max(end, last)
            continue
        if end:
            yield _trimmed(text, start, end)
        start, end = first, last
    if end:
        yield _trimmed(text, start, end)


def _stretches(text: str) -> Iterator[tuple[int, int]]:
    for pattern in (_PO_BOX, _POSTED):
        yield from (match.span() for match in pattern.finditer(text))
    for pattern in (_ENGLISH, _CAPITAL):
        for match in pattern.finditer(text):
            body = re.sub(r"^\S+\s+", "", match[0])
            if not _NOT_STREETS.search(body.partition(",")[0]):
                yield match.span()
    for pattern in (_CHINESE, _ESTATE):
        for match in pattern.finditer(text):
            said = _SAID.match(match[0])
            start = match.start() + (said.end() if said else 0)
            if match.end() - start >= 4:
                yield start, match.end()


def _trimmed(text: str, start: int, end: int) -> Personal:
    while end > start and text[end - 1] in " ,.;":
        end -= 1
    return Personal("address", start, end)
