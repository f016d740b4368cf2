"""Read one turn: the shopper's words against what is known already, and the need as it is then.

In: the words taken apart, the state, what was shown, which fields are measured in a unit. Out: a
:class:`~engine.guide.editing.Turn`. Deterministic and without a model. A word about a field that has a piece replaces it, another
thing begins anew, ``any brand`` takes away, ``cheaper`` is a limit below what was shown, ``at least 1.5 l`` one of a measure.
Knows nothing else of the catalogue.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import engine.guide.cues as cues
from engine.explain.facts import label, shown_money
from engine.facets import quote_field
from engine.guide.editing import Editing, Turn, next_page, same, stems, thing_of
from engine.guide.state import Choice, GuideState, Piece
from engine.language import is_stop, words
from engine.query import ParsedQuery
from engine.query.spans import overlaps
from engine.schema import Money, Product, Understood

__all__ = ["Fields", "bare", "chosen", "plain_number", "read_turn", "spoken_in"]

_MOST_NAMES = 3
_MANY_ROLES = frozenset({"cm"})
"""Units of which one field is not meant by itself: a screen, a rug and a depth of water are all long."""

Fields = Callable[[str], Sequence[str]]
"""The fields measured in a unit."""


def chosen(state: GuideState, choice: Choice) -> Turn:
    """Return the turn in which an answer was clicked."""
    kind: Literal["limit", "quality"] = "limit" if choice.field == "price" else "quality"
    return Editing(state).put(Piece(kind=kind, text=choice.label, field=choice.field, filter=choice.filter)).turn()


def read_turn(
    text: str,
    parse: Callable[[str], ParsedQuery],
    state: GuideState,
    shown: Sequence[Product],
    measured: Fields = lambda unit: (),
) -> Turn:
    """Return what a shopper's words do to a conversation; ``shown`` are the products of ``state.shown``."""
    more = cues.MORE.search(text)
    state = spoken_in(text, parse, state)
    text = bare(text)
    parsed = parse(text)
    if cues.RESET.search(text):
        return Turn(GuideState(language=state.language, turns=state.turns), act="none")
    if cues.COMPARE.search(text) and (compared := _compared(text, state, shown)):
        return compared
    if (place := _place(text, shown)) is not None:
        return Turn(state, act="pick", ids=(shown[place].id,))
    editing = Editing(state)
    wishes = any(
        u.kind in ("exclude", "for") or (u.kind == "price" and u.filter) or u.field not in ("", "price") for u in parsed.understood
    )
    if more and not wishes and not parsed.head.known and state.pieces:
        return Turn(next_page(state), act="more")
    if _clear(text, wishes or bool(cues.CHEAPER.search(text) or cues.DEARER.search(text)), editing):
        return editing.turn()
    if _relative_price(text, parsed, shown, editing):
        parsed = parse(cues.DEARER.sub(" ", cues.CHEAPER.sub(" ", text)).strip())
    _needed(parsed, editing, measured)
    return editing.turn()


def spoken_in(text: str, parse: Callable[[str], ParsedQuery], state: GuideState) -> GuideState:
    """Return the state in the language that a turn asks for, or is in."""
    asked = next((language for language, pattern in cues.LANGUAGE.items() if pattern.search(text)), "")
    return state.model_copy(update={"language": asked or parse(bare(text)).language or state.language})


def bare(text: str) -> str:
    """Return a turn without what only leads to it or rounds it off."""
    for pattern in cues.LANGUAGE.values():
        text = pattern.sub(" ", text)
    text = text.strip(" ,，。")
    while text and (shorter := cues.TAIL.sub("", cues.LEAD.sub("", text))) != text:
        text = shorter
    return text


def _clear(text: str, wishes: bool, editing: Editing) -> bool:
    """Take away what no longer matters, or leave a question be; return whether that is what the words ask. Words that have
    ``wishes`` of their own (``anything in blue``, ``any brand except one``) are no such answer."""
    anything, drop = cues.ANY.search(text), cues.DROP.search(text)
    if drop and editing.drop(text):
        return True
    named = [field for field, pattern in cues.FIELDS.items() if pattern.search(text)]
    if (not anything and not drop) or (wishes and not (drop and named)):
        return False
    if named:
        for field in named:
            editing.clear(field)
        return True
    return bool(anything and editing.state.asked and len(words(text)) <= 5)


def _relative_price(text: str, parsed: ParsedQuery, shown: Sequence[Product], editing: Editing) -> bool:
    """Limit the price by what was shown, where the words ask for cheaper or dearer ones and name no limit."""
    cheaper, dearer = cues.CHEAPER.search(text), cues.DEARER.search(text)
    prices = [p for product in shown if (p := product.current_price)]
    if not (cheaper or dearer) or not prices or any(u.kind == "price" and u.filter for u in parsed.understood):
        return False
    thing = next((u.text for u in parsed.understood if u.kind == "object"), "")
    if parsed.head.known and not same(thing, editing.thing.text if editing.thing else ""):
        return False  # cheaper than what, if it is another thing
    counted = Counter(p.currency for p in prices)
    currency = max(counted, key=lambda c: (counted[c], c == ("CNY" if editing.state.language == "zh" else "USD")))
    own = [p for p in prices if p.currency == currency]
    edge = min(own, key=lambda p: p.amount) if cheaper else max(own, key=lambda p: p.amount)
    zh = editing.state.language == "zh"
    said = ("低于" if zh else "below ") if cheaper else ("高于" if zh else "above ")
    editing.put(Piece(kind="limit", text=f"{said}{shown_money(edge)}", field="price", filter=_than("<" if cheaper else ">", edge)))
    return True


def _than(sign: str, price: Money) -> str:
    return f"price:{sign}{price.major:.{Money.decimals(price.currency)}f}{price.currency}"


def _compared(text: str, state: GuideState, shown: Sequence[Product]) -> Turn | None:
    """Return the turn of a comparison: of products shown, by place or by words of their titles; of others by name; else of all
    that are shown. ``None`` where there is nothing to compare."""
    by_place = [shown[i].id for pattern, i in cues.ORDINALS if i < len(shown) and pattern.search(text)]
    if len(by_place) > 1:
        return Turn(state, act="compare", ids=tuple(by_place))
    said = stems(text)
    own = [stems(f"{p.brand} {p.title}") for p in shown]
    by_name = [
        p.id for i, p in enumerate(shown) if said & (own[i] - set().union(*(o for j, o in enumerate(own) if j != i)))
    ]
    if len(by_name) > 1:
        return Turn(state, act="compare", ids=tuple(by_name))
    if names := _names(text):
        return Turn(state, act="versus", names=names)
    several = 2 if re.search(r"\b(?:two|both)\b|两", text, re.IGNORECASE) else len(shown)
    return Turn(state, act="compare", ids=tuple(p.id for p in shown[:several])) if len(shown) > 1 else None


def _names(text: str) -> tuple[str, ...]:
    """Return what a comparison names, two or three things; nothing where it only points (``the first or the second``)."""
    named = cues.COMPARE.sub(cues.VERSUS_MARK, text)
    parts = [part.strip(cues.MARKS) for part in cues.VERSUS.split(named)]
    names = tuple(part for part in parts if _says(part) and not any(pattern.search(part) for pattern, _ in cues.ORDINALS))
    return names if 1 < len(names) <= _MOST_NAMES else ()


def _place(text: str, shown: Sequence[Product]) -> int | None:
    """Return the place of the product that a turn points at and says nothing else of: ``the second one``, ``第二个怎么样``."""
    named = [(pattern, i) for pattern, i in cues.ORDINALS if pattern.search(text)]
    judged = cues.CHEAPER.search(text) or cues.DEARER.search(text) or cues.JUDGED.search(text)
    if len(named) != 1 or named[0][1] >= len(shown) or judged:
        return None
    pattern, place = named[0]
    return None if _says(cues.POINTING.sub(" ", pattern.sub(" ", text))) else place


def _needed(parsed: ParsedQuery, editing: Editing, measured: Fields) -> None:
    """Put what the words ask for into the need."""
    pieces = [p for p in _pieces(parsed, measured) if p.field or p.kind in ("limit", "exclude") or _says(p.text)]
    thing, old = thing_of(pieces), editing.thing
    purpose = cues.PURPOSE.match(parsed.text) is not None  # "for gaming" is no new thing to look for
    if not editing.pieces or (thing and old and parsed.head.known and not purpose and not same(thing.text, old.text)):
        editing.begin(pieces)
        return
    for piece in pieces:
        if piece.kind == "thing" and old is not None:
            if same(piece.text, old.text):
                continue
            piece = piece.model_copy(update={"kind": "quality"})
        editing.put(piece if piece.kind != "word" or old is None else piece.model_copy(update={"kind": "quality"}))


def _says(text: str) -> bool:
    """Return whether some word carries a need of its own."""
    return any(not is_stop(w) and w.text not in cues.FILLER for w in words(text))


_KINDS: dict[str, Literal["thing", "quality", "for", "limit", "exclude", "word"]] = {
    "object": "thing", "for": "for", "price": "limit", "exclude": "exclude", "attribute": "quality", "measure": "quality",
}  # fmt: skip


def _pieces(parsed: ParsedQuery, measured: Fields) -> Iterator[Piece]:
    """Yield the parts of a query in their order, what nothing was read out of as words between them. Two values of one field that
    ``or`` joins are one piece; a measure that something bounds is a limit."""
    parts = [bound for u in parsed.understood if (bound := _bound(parsed, u, measured)) is not None]
    inside = [(start, end) for start, end, _ in parts]
    for u in parsed.understood:
        if overlaps(u.start, u.end, inside):
            continue
        piece = Piece(kind=_KINDS[u.kind], text=u.text[:120], field=("price" if u.kind == "price" else u.field)[:120])
        before = parts[-1] if parts else None
        if before and piece.field and before[2].field == piece.field and cues.JOINED.fullmatch(parsed.text[before[1] : u.start]):
            parts[-1] = (before[0], u.end, piece.model_copy(update={"text": parsed.text[before[0] : u.end][:120]}))
        else:
            parts.append((u.start, u.end, piece))
    at = 0
    for start, end, piece in sorted(parts, key=lambda part: part[0]):
        if start >= at:
            yield from _between(parsed.text[at:start])
            yield piece
            at = end
    yield from _between(parsed.text[at:])


def _bound(parsed: ParsedQuery, u: Understood, measured: Fields) -> tuple[int, int, Piece] | None:
    """Return where a bound measure begins and ends, and the limit it is; ``None`` where nothing bounds it, or it is not sure which
    field is meant."""
    quantity = next((t.quantity for t in parsed.traits if t.start == u.start and t.quantity), None)
    if u.kind != "measure" or quantity is None:
        return None
    before, after = parsed.text[: u.start], parsed.text[u.end :]
    both = (("<=", cues.AT_MOST_BEFORE, cues.AT_MOST_AFTER), (">=", cues.AT_LEAST_BEFORE, cues.AT_LEAST_AFTER))
    ways = [(sign, front.search(before), behind.match(after)) for sign, front, behind in both]
    ways.sort(key=lambda way: way[1].start() if way[1] else len(before))  # `not less than` is longer than `less than`
    for sign, found, follows in ways:
        if not found and not follows:
            continue
        fields = list(measured(quantity.unit))
        said = stems(parsed.text)
        named = [f for f in fields if any(stems(name) <= said for name in _names_of(f))]
        of_something = re.match(r"\s*of\s+\w", after) is not None
        if len(named or fields) != 1 or ((of_something or quantity.unit in _MANY_ROLES) and not named):
            return None
        field = (named or fields)[0]
        start, end = found.start() if found else u.start, u.end + (follows.end() if follows else 0)
        lead = parsed.text[:start].rstrip(" ：:").lower()
        start = next((len(lead) - len(name) for name in _names_of(field) if lead.endswith(name)), start)
        shown = parsed.text[start:end].strip(" ,，")
        filter_by = f"{quote_field(field)}:{sign}{plain_number(quantity.value)}{quantity.unit}"
        return start, end, Piece(kind="limit", text=shown[:120], field=field[:120], filter=filter_by)
    return None


def _names_of(field: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((field.replace("_", " "), label(field, "en").lower(), label(field, "zh"))))


def plain_number(value: float) -> str:
    """Return a number as filters take it, never with an exponent."""
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _between(text: str) -> Iterator[Piece]:
    run = text.strip(cues.MARKS)
    if run:
        yield Piece(kind="word", text=run[:120])
