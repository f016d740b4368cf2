"""Where a person lives, as far as rules go: street addresses in the writing of several countries.

In: text with full-width forms made plain, in simplified characters. Out: stretches. Names of streets alone are products as often
(``Abbey Road``), and are let be.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.privacy.spans import Personal
from engine.privacy.streets import english_addresses, european_addresses, indian_addresses
from engine.privacy.streets_zh import chinese_addresses

__all__ = ["find_addresses"]

_READERS = (english_addresses, european_addresses, indian_addresses, chinese_addresses)


def find_addresses(text: str) -> Iterator[Personal]:
    """Yield street addresses with a number, those that overlap as one."""
    start = end = 0
    for first, last in sorted(span for reader in _READERS for span in reader(text)):
        if first < end:
            end = max(end, last)
            continue
        if end:
            yield _trimmed(text, start, end)
        start, end = first, last
    if end:
        yield _trimmed(text, start, end)


def _trimmed(text: str, start: int, end: int) -> Personal:
    while end > start and text[end - 1] in " ,.;":
        end -= 1
    return Personal("address", start, end)
