"""How a person or a machine of his is reached: e-mail addresses, phone numbers, IP addresses.

In: text with full-width forms made plain. Out: stretches. What could be a phone number is parsed by Google's rules of numbering
plans (``phonenumbers``); digits without any sign of one (a plus, groups, a prefix of mobiles, a word such as ``call``) are not.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

import phonenumbers

from engine.privacy.numbered import is_gtin
from engine.privacy.spans import Personal

__all__ = ["find_emails", "find_ips", "find_phones"]

_AROUND = 64, 255
"""Characters before and behind an ``@`` that can be its address (RFC 5321, 4.5.3.1)."""
_LOCAL = re.compile(r"(?:[^\W\u3400-\u9fff](?:[^\W\u3400-\u9fff]|[.%+'&=-]){0,63}|\x22[^\x22]{1,40}\x22|[\u3400-\u9fff]{1,12})\s?$")
_DOMAIN = re.compile(
    r"\s?(?:(?:[^\W_][\w-]{0,62}\.){1,9}(?:[A-Za-z]{2,24}|xn--[a-z0-9-]{1,40}|[^\W\d_a-zA-Z]{2,4}|中国|公司|网络|集团|商城|在线)(?![A-Za-z])"
    r"|\[?(?:\d{1,3}\.){3}\d{1,3}\]?"
    r"|(?:gmail|googlemail|qq|vip\.qq|163|126|yeah|foxmail|sina|sohu|aliyun|hotmail|outlook|live|yahoo|icloud|me|gmx|proton|protonmail)\b)"
)
_AT = r"\s?(?:[(\[{<]\s?at\s?[)\]}>]|\bat\b|[(\[{<]\s?@\s?[)\]}>]|艾特)\s?"
_DOT = r"\s?(?:[(\[{<]\s?(?:dot|\.)\s?[)\]}>]|\bdot\b|\.|点)\s?"
_SPELT_AT = re.compile(_AT, re.IGNORECASE)
_SPELT_LOCAL = re.compile(rf"(?![\d.]+$)[a-z0-9][a-z0-9_+-]{{0,40}}(?:{_DOT}[a-z0-9_+-]{{1,40}}){{0,4}}$", re.IGNORECASE)
_SPELT_DOMAIN = re.compile(
    rf"[a-z0-9-]{{1,40}}(?:{_DOT}[a-z0-9-]{{1,40}}){{0,4}}{_DOT}"
    r"(?:com|net|org|edu|info|example|test|shop|dev|[a-z]{2})(?![A-Za-z0-9])",
    re.IGNORECASE,
)

_V4 = re.compile(r"(?:(?<![0-9A-Za-z.])(?<!\d-)|(?<=ip)|(?<=IP)|(?<=Ip))(?:\d{1,3}\.){3}\d{1,3}(?!\.?\d|-\d|[A-Za-z])")
_V6 = re.compile(
    r"(?:(?<![0-9A-Za-z:.])|(?<=[^0-9A-Fa-f:]:))(?:[0-9A-Fa-f]{0,4}:){2,7}"
    r"(?:(?:\d{1,3}\.){3}\d{1,3}|[0-9A-Fa-f]{0,4})(?:%[0-9A-Za-z]+)?(?![0-9A-Za-z:])"
)
_VERSION = re.compile(
    r"(?:(?<![a-z])(?:version|fw|miui|harmonyos|hyperos|ios|macos|windows|section|chapter|firmware|driver|software|kernel|release|build|bios|update|sdk|app|back|ver|v)|版本号?|固件|驱动|系统|软件|升级?[到至]?|退回到?|回退到?|鸿蒙|内核|章节?|第)"
    r"\W{0,3}(?:is\s+|to\s+|from\s+|为|是)?$",
    re.IGNORECASE,
)

_DATE = re.compile(
    r"(?<!\d)(?:19|20)\d{2}([-/.])(?:0?[1-9]|1[0-2])\1(?:0?[1-9]|[12]\d|3[01])(?!\d)"
    r"|(?<!\d)(?:0?[1-9]|[12]\d|3[01])([-/.])(?:0?[1-9]|1[0-2])\2(?:19|20)\d{2}(?!\d)"
)
_RUN = re.compile(
    r"(?<![A-Za-z\d])(?<![A-Za-z\d][.-])(?:\+\s?|\(\+|00(?=[1-9]))?"
    r"\(?\d(?:\d|[ ./()-]{1,3}(?=\d|\(\d))*\d(?![A-Za-z\d]|\.\d|,\d{3}(?!\d))"
)
_FOURS = re.compile(r"\d{4}(?:[ -]\d{4}){3}")
_BARCODE = re.compile(r"\d \d{5} \d{5} \d|\d \d{6} \d{6}")
"""How a GTIN stands below its bars."""
_PIECE = re.compile(r"\d+")
_EXTENSION = re.compile(r"\s*(?:ext\.?|extension|x|转|分机号?)\s*\d{1,5}(?!\d)", re.IGNORECASE)
_NAMED = re.compile(
    r"(?<![a-z])(?:phone|telephone|tel|mobile|cell|call|ring|text|sms|whatsapp|wechat|weixin|signal|fax|reach|contact|dial|landline|"
    r"(?<!model )(?<!part )(?<!serial )(?<!item )(?<!catalogue )(?<!catalog )(?<!article )"
    r"(?<!product )number|mob|ph|my no|my nr)(?![a-z])"
    r"|先生|小姐|女士|太太|收件人|请电|致电|电话|手机|联系|联络|号码|致电|拨打|微信|传真|座机|热线|来电|回电|打给|短信|加我|方式|呼叫|☎|📞",
    re.IGNORECASE,
)
_PART = re.compile(
    r"(?:(?<![a-z])(?:part|model|item|serial|article|art|catalogue|catalog|sku|ref|oem|barcode|ean|upc|gtin)(?: number| no| nr)?"
    r"|(?:零件|型|货|配件|商品|条形?|序列)(?:号码?|码)?)\W*$",
    re.IGNORECASE,
)
"""What is named as the number of a thing."""
_GLUED = re.compile(r"(?:call|tel|phone|mob|cell|text|wechat|whatsapp)(1[3-9]\d{9})(?!\d)", re.IGNORECASE)
_BEFORE, _AFTER = 28, 14
_REGIONS = ("CN", "US", "GB", "DE", "FR", "IN", "HK", "TW", "JP", "AU", "SG", "KR", "IT", "ES", "NL", "CA")
_TRUNK = {"GB": "0", "DE": "0", "FR": "0", "TW": "0", "JP": "0", "CN": "0", "IT": "0", "AU": "0", "NL": "0", "KR": "0", "IN": "0"}
_MOBILE = re.compile(r"1[3-9]\d{9}|07[1-9]\d{8}|0[67]\d{8}|01[5-7]\d{8,9}|0[789]0\d{8}|09\d{8}")
_HAN_DIGITS = {ord(han): digit for han, digit in zip("零〇一幺二两三四五六七八九", "0011223456789", strict=True)}
_HAN_MOBILE = re.compile(r"[一幺][三四五六七八九](?:[ -]?[零〇一幺二两三四五六七八九]){9}")
_SPACED_MOBILE = re.compile(r"(?<!\d)(?<!\d )1 [3-9](?: \d){9}(?! ?\d)")
_FEWEST, _MOST, _MOST_GROUPS = 7, 15, 8
_MOST_PIECES = 40
"""A run of more groups of digits is nobody's number, but could hold any, and is masked whole."""


def find_emails(text: str) -> Iterator[Personal]:
    """Yield e-mail addresses, written with ``@`` or spelt out."""
    for at in re.finditer("@|%40", text):
        yield from _around(text, at.start(), at.end(), _LOCAL, _DOMAIN)
    for match in _SPELT_AT.finditer(text):
        yield from _around(text, match.start(), match.end(), _SPELT_LOCAL, _SPELT_DOMAIN)


def _around(text: str, start: int, end: int, local: re.Pattern[str], domain: re.Pattern[str]) -> Iterator[Personal]:
    """Yield the address whose ``@`` is ``text[start:end]``, if it has one: what stands around is looked at, and no further."""
    before, behind = text[max(0, start - _AROUND[0]) : start], domain.match(text, end, end + _AROUND[1])
    name = local.search(before)
    if name and behind:
        yield Personal("email", start - len(before) + name.start(), behind.end())


def find_ips(text: str) -> Iterator[Personal]:
    """Yield IPv4 and IPv6 addresses; four numbers behind ``version`` or the like are none."""
    for pattern in (_V6, _V4):
        for match in pattern.finditer(text):
            if _is_ip(match[0]) and not _VERSION.search(text[max(0, match.start() - 20) : match.start()]):
                yield Personal("ip", match.start(), match.end())


def _is_ip(written: str) -> bool:
    try:
        address = ipaddress.ip_address(written.partition("%")[0])
    except ValueError:
        return False
    return address.version == 4 or len(re.findall(r"[0-9a-fA-F]+", written)) >= 2 or written == "::1"


def find_phones(text: str) -> Iterator[Personal]:
    """Yield phone numbers of any country with a plus or two zeros, and those of the commonest countries as they are dialled
    there."""
    dated = _DATE.sub(lambda m: "\0" * len(m[0]), text)
    for run in _RUN.finditer(dated):
        yield from _phones_of(text, run)
    for match in _GLUED.finditer(text):
        yield Personal("phone", match.start(1), match.end(1))
    for pattern in (_HAN_MOBILE, _SPACED_MOBILE):
        yield from (Personal("phone", match.start(), match.end()) for match in pattern.finditer(text))


def _phones_of(text: str, run: re.Match[str]) -> Iterator[Personal]:
    """Yield the phone numbers of a run of digits in groups: the longest stretch of groups that is one, then what is left."""
    pieces = [(run.start() + m.start(), run.start() + m.end()) for m in _PIECE.finditer(run[0])]
    if _FOURS.fullmatch(run[0]) or (_BARCODE.fullmatch(run[0]) and is_gtin(re.sub(r"\D", "", run[0]))):
        return
    if len(pieces) > _MOST_PIECES:
        yield Personal("phone", run.start(), run.end())
        return
    first = 0
    while first < len(pieces):
        for last in range(min(len(pieces), first + _MOST_GROUPS), first, -1):
            start, end = pieces[first][0], pieces[last - 1][1]
            digits = sum(e - s for s, e in pieces[first:last])
            if not _FEWEST <= digits <= _MOST or _torn(text, start, end, run):
                continue
            start = _opened(text, start, run.start() if first == 0 else start)
            if _is_phone(text, start, end, last - first):
                extension = _EXTENSION.match(text, end)
                yield Personal("phone", start, extension.end() if extension else end)
                first = last
                break
        else:
            first += 1


def _torn(text: str, start: int, end: int, run: re.Match[str]) -> bool:
    """Return whether a stretch of a run is cut out of what a dot or dash holds together."""
    return (start > run.start() and text[start - 1] in ".-") or (end < run.end() and text[end] in ".-")


def _opened(text: str, start: int, least: int) -> int:
    """Return where a number begins, with its plus and bracket."""
    while start > least and text[start - 1] in "+( ":
        start -= 1
    return start + (len(text[start:]) - len(text[start:].lstrip(" ")))


def _is_phone(text: str, start: int, end: int, groups: int) -> bool:
    written = text[start:end]
    digits = re.sub(r"\D", "", written)
    if re.fullmatch(r"\d{1,3}(?:\.\d{1,3}){3}", written):
        return False  # an IP address, or the number of a version
    mixed = "." in written and re.search(r"[ -]", written) and "+" not in written
    if mixed or _is_isbn(written, digits) or text[end : end + 2] in ("-X", "-x"):
        return False
    if written.lstrip("(").startswith("+"):
        return _possible("+" + re.sub(r"\D", "", written.replace("(0)", "")), None)
    if _PART.search(text[max(0, start - _BEFORE) : start]):
        return False
    if re.fullmatch(r"1[3-9]\d{9}", digits):
        return True
    named = _NAMED.search(text[max(0, start - _BEFORE) : start]) or _NAMED.search(text[end : end + _AFTER])
    if (groups > 1 or named or not is_gtin(digits)) and _from_abroad(digits):
        return True
    if groups == 1:
        if named and not is_gtin(digits):
            return any(_possible(digits, region) for region in _REGIONS)
        return bool(_MOBILE.fullmatch(digits)) and any(_valid(digits, r) for r in ("GB", "FR", "DE", "JP", "TW"))
    if named:
        return any(_possible(digits, region) for region in _REGIONS)
    return len(digits) >= 9 and _grouped_as_one(written, digits)


def _is_isbn(written: str, digits: str) -> bool:
    """Return whether groups are those of an ISBN (ISO 2108): four with a digit that checks, or five behind 978 or 979."""
    groups = len(_PIECE.findall(written))
    if len(digits) == 13:
        return groups >= 4 and digits.startswith(("978", "979"))
    return (groups, len(digits)) == (4, 10) and sum((10 - n) * int(d) for n, d in enumerate(digits)) % 11 == 0


def _from_abroad(digits: str) -> bool:
    """Return whether digits begin with the way out of a country, or with China's code without it."""
    if digits.startswith("00"):
        return _valid("+" + digits[2:], None)
    return bool(re.fullmatch(r"86(?:1[3-9]\d{9}|0?10\d{8})", digits))


def _grouped_as_one(written: str, digits: str) -> bool:
    """Return whether groups without any word are put as a phone number's are."""
    if re.fullmatch(r"\(?[2-9]\d{2}\)?[ .-]{0,2}[2-9]\d{2}[ .-]\d{4}|1[ .-]\(?[2-9]\d{2}\)?[ .-]{1,2}\d{3}[ .-]\d{4}", written):
        return _valid(digits, "US")
    if re.fullmatch(r"[48]00[ -]\d{3}[ -]?\d{4}", written):
        return True
    if digits.startswith("0"):
        if all(piece.startswith("0") for piece in _PIECE.findall(written)):
            return False  # sizes of parts, like 0402 0603
        return any(_valid(digits, region) for region, trunk in _TRUNK.items() if trunk)
    return bool(re.fullmatch(r"[6-9]\d{4}[ -]\d{5}", written)) and _valid(digits, "IN")


def _possible(digits: str, region: str | None) -> bool:
    """Return whether there is a numbering plan in which this is long enough; invented and new numbers may be in none."""
    try:
        return phonenumbers.is_possible_number(phonenumbers.parse(digits, region))
    except phonenumbers.NumberParseException:
        return False


def _valid(digits: str, region: str | None) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(digits, region))
    except phonenumbers.NumberParseException:
        return False
