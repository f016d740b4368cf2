"""Street addresses written in Latin letters, as far as rules go: of English-speaking countries, of continental Europe, of India.

In: text with full-width forms made plain. Out: where they begin and end. An address has a number and a word for a street, or a
number and a postcode with its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["english_addresses", "european_addresses", "indian_addresses"]

_SURE = (
    "street|str|road|rd|avenue|ave|av|lane|ln|boulevard|blvd|terrace|crescent|cres|gardens|grove|parkway|pkwy|highway|hwy|mews|circle|cir|"
    "trail|st"
)
_UNSURE = (
    "drive|dr|way|court|ct|place|pl|square|sq|close|row|hill|park|walk|loop|alley|quay|rise|view|green|path|plaza|parade|pde|esplanade|"
    "mall|heights"
)
_TITLED = "|".join(f"[{word[0].upper()}{word[0]}]{word[1:]}" for word in f"{_SURE}|{_UNSURE}".split("|"))
_UNIT = (
    r"(?:flat|apt|apartment|unit|suite|ste|room|rm|floor|level|lot|shop|tower|building|bldg|block|house|no)\.?\s?#?\s?[\dA-Za-z]{1,5}"
)
_STATE = "NSW|VIC|Vic|QLD|Qld|SA|WA|TAS|Tas|ACT|NT"
_POSTCODE = (
    rf"(?:[A-Z]{{1,2}}\d[A-Z\d]?\s?\d[A-Z]{{2}}|(?:[A-Z]{{2}}\.?,?\s+)?\d{{5}}(?:-\d{{4}})?|[A-Z]\d[A-Z]\s?\d[A-Z]\d|(?:{_STATE}),?\s+\d{{4}}"
    r"|[ACDEFHKNPRTVWXY]\d[\dW]\s?[A-Z\d]{4}|Dublin\s\d{1,2}W?|[-–]?\s?[1-9]\d{2}\s?\d{3})"
)
"""Of the United Kingdom, the United States, Canada, Australia, Ireland and India."""
_WORD = r"[A-Za-z][\w'.’-]*"
_COUNTRY = r"(?:USA|U\.S\.A\.|UK|United Kingdom|England|Canada|Scotland|Wales)"
_TAIL = (
    rf"(?:,?\s+(?i:{_UNIT}|\#\s?\w{{1,5}}|(?:\d+(?:st|nd|rd|th)\s+floor)))*"
    rf"(?:(?:,\s*|\s+)(?:[A-Z][\w'.’-]*[\s,]+){{0,4}}?{_POSTCODE}\b(?:,?\s+{_COUNTRY})?"
    rf"|(?:,\s*(?:Co\.\s)?[A-Z][A-Za-z'’-]+(?:\s[A-Z][A-Za-z'’-]+){{0,2}}){{1,3}})?"
)
_NAMED_HOUSE = (
    r"(?-i:(?:[A-Z][\w'’-]{1,20}\s){1,3}"
    r"(?:House|Cottage|Farm|Lodge|Hall|Barn|Forge|Mill|Court|Villas?|Manor|Apartments|Apts|Towers?|Residency|Heights|Enclave|Mansions?|"
    r"Buildings?))"
)
_HEAD = rf"(?:(?:{_UNIT}|{_NAMED_HOUSE}),?\s+){{0,3}}"
_NUMBER = r"(?<![\w.$€£¥#/-])(?:(?i:no|unit|flat|apt|shop)\.?\s?)?\d{1,5}(?:[A-Za-z]\b|-\d{1,4}|/\d{1,5}[A-Za-z]?)?,?"
_DIRECTION = r"(?:(?:N|S|E|W|NE|NW|SE|SW|North|South|East|West)\.?\s+)?"
_ENGLISH = re.compile(
    rf"(?i:{_HEAD})(?:{_NUMBER})\s+(?i:{_DIRECTION})(?:(?i:(?:\d+(?:st|nd|rd|th)|{_WORD})\s+){{1,4}}?)(?i:{_SURE})\b\.?(?:\s+(?:{_TITLED})\b\.?)?"
    rf"(?i:(?:\s+(?:N|S|E|W|NE|NW|SE|SW)\b)?){_TAIL}"
)
_CAPITAL = re.compile(
    rf"(?i:{_HEAD})(?:{_NUMBER})\s+{_DIRECTION}(?:(?:\d+(?:st|nd|rd|th)|[A-Z][\w'.’-]*)\s+){{1,3}}?(?:(?i:{_UNSURE}))\b\.?"
    rf"(?:\s+(?:{_TITLED})\b\.?)?{_TAIL}"
)
_POSTED = re.compile(
    rf"(?i:{_HEAD})(?:[A-Z][\w'.’-]{{1,20}}\s){{0,3}}{_NUMBER}(?:\s+(?:\d{{1,4}}|[A-Z][\w'.’-]{{0,30}})){{1,5}}"
    rf"(?:,\s*[A-Z][A-Za-z'’-]{{1,30}}(?:\s[A-Z][A-Za-z'’-]{{1,30}}){{0,2}}){{0,3}},?\s+"
    rf"(?:[A-Z]{{1,2}}\d[A-Z\d]?\s?\d[A-Z]{{2}}|[A-Z]{{2}}\.?\s+\d{{5}}(?:-\d{{4}})?|(?:{_STATE}),?\s+\d{{4}})\b(?:,?\s+{_COUNTRY})?"
)
"""A number, words and a postcode of the United Kingdom, or of a state of the United States or Australia: no word for a street is
needed."""
_PO_BOX = re.compile(rf"\bP\.?\s?O\.?\s?Box\s+\d{{1,6}}\b{_TAIL}", re.IGNORECASE)
_NOT_STREETS = re.compile(
    r"\b(?:tb|gb|mb|inch|in|pack|pcs|piece|way|port|bay|speed|usb|hard|flash|for|with|of|and|to|x|under|from|mm|cm|ml|kg|lb|lbs|oz|"
    r"watt|volt)\b",
    re.IGNORECASE,
)
_TITLE_OF = re.compile(
    r"\W{0,3}(?:dvd|blu-?\s?ray|uhd|vinyl|lp|cd|paperback|hardcover|hardback|book|novel|season|series|box|poster|print|lego|film|movie|"
    r"soundtrack|ost|game)\b",
    re.IGNORECASE,
)
"""What is behind the name of a film, a book or a record."""

_CAP = r"[A-ZÀ-Þ][\wÀ-ÿ'’.-]{0,30}"
_SMALL = r"(?:de|del|della|dei|delle|di|da|do|dos|des|du|la|le|les|los|las|van|von|der|den|het|am|an|im|in|zum|zur|auf|dem)\b"
_NAMES = rf"(?:(?:{_SMALL}|{_CAP})\s){{0,4}}?{_CAP}"
_HOUSE = r"\d{1,4}(?:\s?(?:[a-zA-Z]|[Bb]is|[Tt]er)\b)?(?:\s?[-/]\s?(?:\d{1,4}[a-z]?|[IVX]{1,4}\b|hs\b))?"
_HOUSE_FIRST = rf"(?<![\d.,€$£-]){_HOUSE},?\s"
_HOUSE_LAST = rf",?\s(?i:n[.ºo°]{{0,2}}\s?)?{_HOUSE}"
_CITY = rf"{_CAP}(?:[ -](?:{_SMALL}\s)?{_CAP}){{0,2}}"
_PARTS = r"(?:,\s[^,\n]{1,20}){0,2},?\s(?:[A-Z]{1,2}-)?"
_PLACED = rf"{_PARTS}(?:\d{{5}}|\d{{4}}\s?[A-Z]{{2}}\b|\d{{3}}\s\d{{2}}|\d{{2}}-\d{{3}})\s{_CITY}"
"""Parts of a house, a postcode that can be told from other numbers, and a place."""
_PLACED_4 = rf"{_PARTS}\d{{4}}(?:-\d{{3}})?\s{_CITY}"
"""The same with a postcode of four digits, which needs a word for a street."""
_MAY_BE_PLACED = rf"(?:{_PLACED}|{_PLACED_4})?"
_GERMANIC = (
    rf"(?:(?:{_CAP}\s){{0,2}}[A-ZÀ-Þ][\wß-ÿ.-]{{0,30}}(?:straße|strasse|str\.|straat|gracht|gasse|gatan|vägen|gade|vej|laan|plein|kade|weg|"
    rf"platz|allee|damm|ufer|steig|dijk|ring)"
    rf"|(?:{_CAP}\s){{1,3}}(?:Straße|Strasse|Str\.|Allee|Platz|Weg|Ring|Damm|Ufer))"
)
_EUROPEAN = tuple(
    re.compile(pattern)
    for pattern in (
        rf"{_GERMANIC}\s{_HOUSE}{_MAY_BE_PLACED}",
        rf"(?:{_CAP}|ul\.|al\.)(?:\s(?:{_SMALL}|{_CAP})){{0,4}},?\s{_HOUSE}{_PLACED}",
        rf"(?:(?i:calle|avenida|avda\.|carrer|viale|piazza|rua|ul\.)|C/)\s?{_NAMES}{_HOUSE_LAST}{_MAY_BE_PLACED}",
        rf"(?:Via|Corso|Largo|Plaza|Paseo|Travessa)\s{_NAMES}{_HOUSE_LAST}(?:{_PLACED}|{_PLACED_4})",
        rf"{_HOUSE_FIRST}(?i:rue|chemin|allée|impasse|quai)\s(?:(?:{_SMALL}|[dl]['’][\wÀ-ÿ-]{{1,30}}|{_CAP})\s?){{1,6}}(?:{_PLACED})?",
        rf"{_HOUSE_FIRST}(?i:avenue|av\.|boulevard|bd|place|cours|route|square|passage)\s(?:de|du|des|{_CAP})"
        rf"(?:\s[\wÀ-ÿ'’-]{{1,30}}){{0,4}}?{_PLACED}",
    )
)
_INDIAN = re.compile(
    r"(?:(?i:(?:flat|plot|door|shop|house|villa|h\.?)\s?(?:no\.?\s?)?|no\.\s?)[A-Z]?-?\d[\w/-]{0,12}|(?<![\w-])[A-Z]-?\d{1,4}"
    r"|(?<![\w.,-])\d{1,4}(?:[/-]\d{1,4}){0,3}[A-Z]?)"
    r"(?:,\s?[A-Z0-9][\w.'’/&-]{0,30}(?:\s[A-Za-z0-9][\w.'’/&-]{0,30}){0,4}){1,7}\s?[-–,]?\s?[1-9]\d{2}\s?\d{3}(?!\d)"
)
"""A house, parts between commas, and a code of six digits."""


def english_addresses(text: str) -> Iterator[tuple[int, int]]:
    """Yield where addresses begin and end that have their number first, or a post-office box."""
    for pattern in (_PO_BOX, _POSTED):
        yield from (match.span() for match in pattern.finditer(text))
    for pattern in (_ENGLISH, _CAPITAL):
        for match in pattern.finditer(text):
            body = re.sub(r"^\S+\s+", "", match[0])
            if not _NOT_STREETS.search(body.partition(",")[0]) and not _TITLE_OF.match(text, match.end()):
                yield match.span()


def european_addresses(text: str) -> Iterator[tuple[int, int]]:
    """Yield where addresses of continental Europe begin and end: ``Lindenstraße 4``, ``12 rue du Pont``, ``Calle Mayor 3``."""
    for pattern in _EUROPEAN:
        yield from (match.span() for match in pattern.finditer(text))


def indian_addresses(text: str) -> Iterator[tuple[int, int]]:
    """Yield where addresses begin and end that close with a code of six digits."""
    yield from (match.span() for match in _INDIAN.finditer(text))
