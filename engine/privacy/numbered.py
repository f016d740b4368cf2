"""Numbers that stand for a person's money, person or purchase: payment cards, Chinese resident ids, order numbers.

In: text with full-width forms made plain. Out: stretches. A card has a check digit (Luhn, ISO/IEC 7812-1) and the beginning of
an issuer; a resident id a region, a birthday and a check digit (GB 11643-1999, ISO 7064 MOD 11-2); an order number is
named as one. GTINs have a check digit too (GS1 General Specifications, 7.9), which tells them from all of these.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.privacy.spans import Personal

__all__ = ["find_cards", "find_orders", "find_resident_ids", "is_gtin", "luhn", "resident_check"]

_RUN = re.compile(r"(?<![A-Za-z\d])\d+(?:[ .-]\d+)*(?![A-Za-z\d])")
_PIECE = re.compile(r"\d+")
_ISSUER = re.compile(
    r"4|5[1-5]|2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720)|3[47]|35(?:2[89]|[3-8])|6(?:011|4[4-9]|5|2)|3(?:0[0-5]|[689])|81|9792|50|5[6-8]|6[0379]"
)
_CARD_NAMED = re.compile(
    r"card|visa|master|amex|american express|unionpay|debit|credit|paid with|卡|银联|信用|借记|支付|付款", re.IGNORECASE
)
_GLUED = re.compile(r"(?:card|visa|mastercard|amex|unionpay|debit|credit)(\d{13,19})(?!\d)", re.IGNORECASE)
_NEAR, _MOST_GROUPS = 24, 19
_RESIDENT = re.compile(r"(?<!\d)[1-8](?:[ -]?\d){16}[ -]?[\dXx](?![A-Za-z\d])")
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"
_NUMBER = r"(?:[A-Z]{1,6}[-_/]?){0,2}\d[A-Z\d]*(?:[-_/ ]?[A-Z\d]*\d[A-Z\d]*|-[A-Z]{1,3}(?![A-Z]))*"
_NAMED = re.compile(
    r"(?P<named>(?:purchase\s+|sales\s+|my\s+|web\s+)?(?:orders?|ordr|ord|invoices?|inv|receipts?|track|tracking|trk|parcel|shipment|"
    r"consignment|waybill|awb|booking|reservation|transaction|rma|return|case|ticket|reference|ref|po|p/o|confirmation|"
    r"bestellung|bestellnummer|auftrag|rechnung|rechnungsnummer|sendung|sendungsnummer|commande|facture|colis|suivi|pedido|factura|envío|"
    r"bestelling|ordine|fattura)"
    r"|订单|定单|订购单|运单|快递|物流|发票|发票号|交易|流水|单据|退货单|换货单|退换货单|退款单|取件|包裹|工单|售后单|追踪|货运|[\u4e00-\u9fff]?单号|(?<![\u4e00-\u9fff])单)"
    r"(?P<link>(?:[\s:#.,_\"'“”‘’=()\[\]（）【】-]|(?:no|nos|nr|num|number|id|code|ref|reference|confirmation|label|is|was|of|my)(?![a-z])"
    r"|for\s+(?=[\"“])|号码?|编号|单号|码|是|为|的|给你|在这里?|如下)*)"
    rf"(?P<number>{_NUMBER})(?![A-Z\d])",
    re.IGNORECASE,
)
_CARRIER = re.compile(
    r"(?<![a-z])(?:usps|ups|fedex|dhl|dpd|hermes|evri|yodel|royal mail|gls|tnt|ems|an post|auspost|australia post|canada post|"
    r"postnl|colissimo|correos|delhivery|bluedart|sf|yto|zto|yunda)(?![a-z])|顺丰|中通|圆通|韵达|申通|极兔|京东物流|邮政|百世|德邦|菜鸟|丰巢",
    re.IGNORECASE,
)
_LONG = re.compile(r"(?<![A-Za-z\d])(?:1Z[A-Z\d]{16}|[A-Z]{0,4}\d{2,20}(?: ?\d{2,6}){0,6}[A-Z]{0,2})(?![A-Za-z\d])")
_S10 = re.compile(r"(?<![A-Za-z\d])[A-Z]{2} ?(?:\d{9}|\d{4} \d{4} \d|\d{3} \d{3} \d{3}) ?[A-Z]{2}(?![A-Za-z\d])")
"""A parcel between countries (UPU S10)."""
_PARCEL = re.compile(r"(?<![A-Za-z\d])(?:JD[A-Z]{0,2}|SF|YT|ZTO|YD|STO|JT|YZ)\d{12,18}(?![A-Za-z\d])")
"""Parcels by the letters of their carrier."""
_SAID_AFTER = re.compile(
    r"(?<=[A-Z\d\"'”’)）\s,，])(?:(?:is|was|are)\s(?:my|the|our|your)\s(?:order|invoice|tracking|parcel|receipt|booking|shipment|return|rma|"
    r"reference|waybill)|(?:这|那|该|此|的|是|我|个|张|笔|我们){0,6}(?:订单|运单|单号|快递单|包裹|发票))",
    re.IGNORECASE,
)
_BEFORE_IT = re.compile(r"(?<![A-Z\d_/-])[A-Z\d][A-Z\d_/-]{5,40}(?=[\"'”’)）\s,，]{0,3}$)", re.IGNORECASE)
_FURTHER = re.compile(
    rf"\s?(?:,|、|/|&|and|or|和|或|跟|与)\s?(?!(?:19|20)\d\d[-/.]\d)"
    rf"(?P<number>{_NUMBER})(?![A-Z\d])",
    re.IGNORECASE,
)
_MARKED = re.compile(r"#|no|nr|num|id|code|ref|号|编|码|:|=", re.IGNORECASE)
_BY_ITSELF = re.compile(
    r"ord|\bp/?o\b|invoice|trk|receipt|tracking|waybill|awb|shipment|parcel|transaction|bestell|rechnung|auftrag|sendung|commande|facture|pedido|factura|单|快递|物流|发票|交易|流水|包裹|取件",
    re.IGNORECASE,
)
_FEWEST_AFTER, _FEWEST_OF_CARRIER, _REACH, _MIXED = 6, 10, 48, 7
_YEAR = re.compile(r"(?:19|20)\d\ds?", re.IGNORECASE)
_COUNTED = re.compile(
    r"\s*(?:x\b|×|pcs|pieces|units|boxes|packs?|items?|sets?|[个件只条套箱盒瓶包元块人份年月日天时]|%|\$|€|£|¥|years?|days?|hours?)",
    re.IGNORECASE,
)


def luhn(digits: str) -> bool:
    """Return whether the last digit checks the others (ISO/IEC 7812-1)."""
    values = [int(d) for d in reversed(digits)]
    return (sum(values[::2]) + sum(sum(divmod(2 * v, 10)) for v in values[1::2])) % 10 == 0


def resident_check(first: str) -> str:
    """Return the check character of the first 17 digits of a resident id (GB 11643-1999)."""
    return _CHECKS[sum(int(d) * w for d, w in zip(first, _WEIGHTS, strict=True)) % 11]


def is_gtin(digits: str) -> bool:
    """Return whether 8, 12, 13 or 14 digits are checked as those of a GTIN are."""
    if len(digits) not in (8, 12, 13, 14):
        return False
    total = sum(int(d) * (3 if place % 2 else 1) for place, d in enumerate(reversed(digits)))
    return total % 10 == 0


def find_resident_ids(text: str) -> Iterator[Personal]:
    """Yield Chinese resident ids: 18 characters whose birthday and check character hold."""
    for match in _RESIDENT.finditer(text):
        digits = re.sub(r"[ -]", "", match[0]).upper()
        month, day = int(digits[10:12]), int(digits[12:14])
        born = digits[6:8] in ("18", "19", "20") and 1 <= month <= 12 and 1 <= day <= 31
        if len(digits) == 18 and born and resident_check(digits[:17]) == digits[17]:
            yield Personal("resident_id", match.start(), match.end())


def find_cards(text: str) -> Iterator[Personal]:
    """Yield payment cards: 15 to 19 digits that check and begin as an issuer's do; 13 and 14 only where a card is named."""
    for match in _GLUED.finditer(text):
        if luhn(match[1]):
            yield Personal("card", match.start(1), match.end(1))
    for run in _RUN.finditer(text):
        pieces = [(run.start() + m.start(), run.start() + m.end()) for m in _PIECE.finditer(run[0])]
        first = 0
        while first < len(pieces):
            for last in range(min(len(pieces), first + _MOST_GROUPS), first, -1):
                start, end = pieces[first][0], pieces[last - 1][1]
                if 13 <= sum(e - s for s, e in pieces[first:last]) <= 19 and _is_card(text, start, end):
                    yield Personal("card", start, end)
                    first = last - 1
                    break
            first += 1


def _is_card(text: str, start: int, end: int) -> bool:
    digits = re.sub(r"\D", "", text[start:end])
    if not luhn(digits) or len(set(digits)) < 2:
        return False
    groups = [len(piece) for piece in _PIECE.findall(text[start:end])]
    if len(digits) >= 15 and _ISSUER.match(digits) and (max(groups) == 1 or min([3, *groups[:-1]]) == 3):
        return True
    grouped = end - start != len(digits) and len(digits) == 14 and _ISSUER.match(digits)
    return bool(grouped or _CARD_NAMED.search(text[max(0, start - _NEAR) : end + _NEAR // 2]))


def find_orders(text: str) -> Iterator[Personal]:
    """Yield numbers of orders, invoices and parcels, where the words around them say that they are."""
    yield from _named_before(text)
    for said in _SAID_AFTER.finditer(text):
        match = _BEFORE_IT.search(text, max(0, said.start() - _REACH), said.start())
        if match and sum(c.isdigit() for c in match[0]) >= _FEWEST_AFTER:
            yield Personal("order", match.start(), match.end())
    for pattern in (_S10, _PARCEL):
        yield from (Personal("order", match.start(), match.end()) for match in pattern.finditer(text))
    for carrier in _CARRIER.finditer(text):
        for match in _LONG.finditer(text, carrier.end(), carrier.end() + _REACH):
            if sum(c.isdigit() for c in match[0]) >= _FEWEST_OF_CARRIER:
                yield Personal("order", match.start(), match.end())


def _named_before(text: str) -> Iterator[Personal]:
    for match in _NAMED.finditer(text):
        before = text[max(0, match.start() - 1) : match.start()]
        if match["named"].isascii() and before.isascii() and before.isalnum():
            continue
        marked = _MARKED.search(match["link"]) or "号" in match["named"]
        number = match["number"]
        mixed = number.isupper() and len(number) >= _MIXED and match["link"].strip()
        lettered = marked or re.search("[A-Z]", number, re.IGNORECASE)
        least = 2 if mixed else 4 if lettered else 5 if _BY_ITSELF.search(match["named"]) else 99
        otherwise = not marked and (_COUNTED.match(text, match.end()) or _YEAR.fullmatch(number))
        if otherwise or sum(c.isdigit() for c in number) < least:
            continue
        yield Personal("order", match.start("number"), match.end("number"))
        more = _FURTHER.match(text, match.end())
        while more and sum(c.isdigit() for c in more["number"]) >= 4 and not _COUNTED.match(text, more.end()):
            yield Personal("order", more.start("number"), more.end("number"))
            more = _FURTHER.match(text, more.end())
