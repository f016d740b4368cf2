"""Read one turn: the shopper's words against what is known already, and the need as it is then.

In: the words taken apart, the state, the prices of what was shown. Out: a :class:`Turn`. Deterministic and without a model.
A word about a field that has a piece replaces it, another thing begins anew, ``any brand`` takes away, ``cheaper`` is a limit
below what was shown. Knows nothing of the catalogue.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from engine.explain.facts import shown_money
from engine.guide.state import MOST_PIECES, Change, Choice, GuideState, Piece
from engine.language import is_stop, stem_of, words
from engine.query import ParsedQuery
from engine.schema import Money, Product

__all__ = ["Turn", "chosen", "read_turn"]

_RESET = re.compile(r"\b(?:start (?:over|again)|reset|forget (?:it|everything|all))\b|重新开始|从头来|重来|清空", re.IGNORECASE)
_COMPARE = re.compile(
    r"\b(?:compare|comparison|differences?|differ|versus|vs|which (?:one |of them |of these )?is (?:the )?better|better one)\b"
    r"|比较|对比|区别|差别|有什么不同|哪个(?:更)?好|哪款(?:更)?好|哪个更",
    re.IGNORECASE,
)
_CHEAPER = re.compile(
    r"\b(?:cheaper|less expensive|lower price|too (?:expensive|dear|much)|costs? less)\b|便宜(?:一)?点|更便宜|再便宜|太贵|便宜些",
    re.IGNORECASE,
)
_DEARER = re.compile(r"\b(?:more expensive|higher[- ]end|pricier|better quality)\b|贵(?:一)?点|更贵|高档|高端", re.IGNORECASE)
_MORE = re.compile(
    r"\b(?:(?:show|see|any) (?:me )?(?:more|others?)|more options|what else|next|something else)\b"
    r"|^\W*more\W*$|换一[批个款]|还有(?:吗|别的|其他)|更多|下一页|别的",
    re.IGNORECASE,
)
_ANY = re.compile(
    r"\b(?:any(?:thing)?|no preference|(?:doesn['’]?t|does not|don['’]?t) (?:matter|care|mind)|whatever|either|all fine|skip)\b"
    r"|随便|都行|都可以|无所谓|不限|没要求|不挑|跳过",
    re.IGNORECASE,
)
_DROP = re.compile(
    r"\b(?:without (?:a|the|any)? ?(?:limit|budget)|(?:no|drop|forget|remove|ignore) (?:the |my )?)\b|去掉|取消|不用管|不考虑",
    re.IGNORECASE,
)
_PURPOSE = re.compile(r"\s*(?:for\b|to\b|适合|用来|用于|给|送)", re.IGNORECASE)
_MOST_PAGES = 100
_LEAD = re.compile(
    r"^(?:(?:actually|ok(?:ay)?|well|hmm+|no|yes|then|so|instead|please|sorry|rather|and|but|now|what about|how about"
    r"|let'?s see|maybe)\b"
    r"|不如|换成|换个|换|那就|那|还是|算了|其实|不对|再|好的|好|嗯)[\s,，。!！]*",
    re.IGNORECASE,
)
_TAIL = re.compile(r"[\s,，]*(?:\b(?:please|thanks|thank you|instead|then|if possible)|吧|呢|谢谢|好了)[\s.!。！]*$", re.IGNORECASE)
_LANGUAGE = {
    "en": re.compile(r"\b(?:in|speak) english\b|(?:用|说|讲)英[文语]", re.IGNORECASE),
    "zh": re.compile(r"\b(?:in|speak) chinese\b|(?:用|说|讲)(?:中文|汉语|普通话)", re.IGNORECASE),
}
_FIELDS = {
    "price": re.compile(r"\b(?:price|budget|cost|limit)\b|价格|预算|价位|价钱", re.IGNORECASE),
    "brand": re.compile(r"\b(?:brand|maker)\b|品牌|牌子", re.IGNORECASE),
    "color": re.compile(r"\bcolou?r\b|颜色|什么色", re.IGNORECASE),
    "size": re.compile(r"\bsize\b|尺码|尺寸|大小", re.IGNORECASE),
    "material": re.compile(r"\b(?:material|fabric)\b|材质|面料|材料", re.IGNORECASE),
    "gender": re.compile(r"\b(?:gender)\b|性别|男女", re.IGNORECASE),
    "category": re.compile(r"\b(?:kind|type|category)\b|种类|类型|哪类", re.IGNORECASE),
}
_ORDINALS = (
    (re.compile(r"\b(?:first|1st)\b|第一", re.IGNORECASE), 0),
    (re.compile(r"\b(?:second|2nd)\b|第二", re.IGNORECASE), 1),
    (re.compile(r"\b(?:third|3rd)\b|第三", re.IGNORECASE), 2),
)
_FILLER = frozenset(
    "please thanks thank ok okay yes no actually instead maybe rather prefer preferably about how what make only just "
    "any anything either whatever brand maker expensive cheaper budget price cost "
    "first second third bye know don't dont sure think looking look show me find buy give get i a an at least too that's i'm im "
    "one ones something it them that those these i'd hello hi hey want need should better more less than good nice which".split()
) | frozenset(
    (
        "都 随便 无所谓 便宜 谢谢 好的 好 那 还是 换成 换 吧 呢 吗 嗯 可以 一下 一点 有 没有 要 想要 需要 喜欢 最好 这个 那个 "
        "您好 你好 请问 哪个 两个 的话 是 "
        "想买 买个 想买个 买 找 找个 帮我 帮 我 想 个 一个 一款 款 推荐 看看 给我 来 第一个 第二个 不知道 再见"
    ).split()
)

Act = Literal["need", "compare", "more", "none"]


@dataclass(frozen=True, slots=True)
class Turn:
    """The state after a turn, what changed, and what is to be done: find (``need``), ``compare`` ``ids``, show ``more``, or
    ``none`` where nothing was understood."""

    state: GuideState
    changes: tuple[Change, ...] = ()
    act: Act = "need"
    ids: tuple[str, ...] = ()


def chosen(state: GuideState, choice: Choice) -> Turn:
    """Return the turn in which an answer was clicked."""
    kind: Literal["limit", "quality"] = "limit" if choice.field == "price" else "quality"
    return _Editing(state).put(Piece(kind=kind, text=choice.label, field=choice.field, filter=choice.filter)).turn()


def read_turn(text: str, parse: Callable[[str], ParsedQuery], state: GuideState, shown: Sequence[Product]) -> Turn:
    """Return what a shopper's words do to a conversation; ``shown`` are the products of ``state.shown``."""
    asked = next((language for language, pattern in _LANGUAGE.items() if pattern.search(text)), "")
    more = _MORE.search(text)
    text = _bare(text)
    parsed = parse(text)
    state = state.model_copy(update={"language": asked or parsed.language or state.language})
    if _RESET.search(text):
        return Turn(GuideState(language=state.language, turns=state.turns), act="none")
    if shown and _COMPARE.search(text) and (ids := _meant(text, shown)):
        return Turn(state, act="compare", ids=ids)
    editing = _Editing(state)
    wishes = any(
        u.kind in ("exclude", "for") or (u.kind == "price" and u.filter) or u.field not in ("", "price") for u in parsed.understood
    )
    if more and not wishes and not parsed.head.known and state.pieces:
        return Turn(state.model_copy(update={"page": min(state.page + 1, _MOST_PAGES)}), act="more")
    if _clear(text, wishes or bool(_CHEAPER.search(text) or _DEARER.search(text)), editing):
        return editing.turn()
    if _relative_price(text, parsed, shown, editing):
        parsed = parse(_DEARER.sub(" ", _CHEAPER.sub(" ", text)).strip())
    _needed(parsed, editing)
    return editing.turn()


def _bare(text: str) -> str:
    """Return a turn without what only leads to it or rounds it off."""
    for pattern in _LANGUAGE.values():
        text = pattern.sub(" ", text)
    text = text.strip(" ,，。")
    while text and (shorter := _TAIL.sub("", _LEAD.sub("", text))) != text:
        text = shorter
    return text


def _clear(text: str, wishes: bool, editing: _Editing) -> bool:
    """Take away what no longer matters, or leave a question be; return whether that is what the words ask. Words that have
    ``wishes`` of their own (``anything in blue``, ``any brand except one``) are no such answer."""
    anything, drop = _ANY.search(text), _DROP.search(text)
    if drop and editing.drop(text):
        return True
    named = [field for field, pattern in _FIELDS.items() if pattern.search(text)]
    if (not anything and not drop) or (wishes and not (drop and named)):
        return False
    if named:
        for field in named:
            editing.clear(field)
        return True
    return bool(anything and editing.state.asked and len(words(text)) <= 5)


def _relative_price(text: str, parsed: ParsedQuery, shown: Sequence[Product], editing: _Editing) -> bool:
    """Limit the price by what was shown, where the words ask for cheaper or dearer ones and name no limit."""
    cheaper, dearer = _CHEAPER.search(text), _DEARER.search(text)
    prices = [p for product in shown if (p := product.current_price)]
    if not (cheaper or dearer) or not prices or any(u.kind == "price" and u.filter for u in parsed.understood):
        return False
    thing = next((u.text for u in parsed.understood if u.kind == "object"), "")
    if parsed.head.known and not _same(thing, editing.thing.text if editing.thing else ""):
        return False  # cheaper than what, if it is another thing
    counted = Counter(p.currency for p in prices)
    currency = max(counted, key=lambda c: (counted[c], c == ("CNY" if editing.state.language == "zh" else "USD")))
    same = [p for p in prices if p.currency == currency]
    edge = min(same, key=lambda p: p.amount) if cheaper else max(same, key=lambda p: p.amount)
    zh = editing.state.language == "zh"
    said = ("低于" if zh else "below ") if cheaper else ("高于" if zh else "above ")
    editing.put(Piece(kind="limit", text=f"{said}{shown_money(edge)}", field="price", filter=_than("<" if cheaper else ">", edge)))
    return True


def _than(sign: str, price: Money) -> str:
    return f"price:{sign}{price.major:.{Money.decimals(price.currency)}f}{price.currency}"


def _meant(text: str, shown: Sequence[Product]) -> tuple[str, ...]:
    """Return which of the products shown a comparison names: by place, by words of their titles, or all."""
    by_place = [shown[i].id for pattern, i in _ORDINALS if i < len(shown) and pattern.search(text)]
    if len(by_place) > 1:
        return tuple(by_place)
    said = _stems(text)
    own = [_stems(f"{p.brand} {p.title}") for p in shown]
    by_name = [
        p.id for i, p in enumerate(shown) if said & (own[i] - set().union(*(o for j, o in enumerate(own) if j != i)))
    ]
    if len(by_name) > 1:
        return tuple(by_name)
    several = 2 if re.search(r"\b(?:two|both)\b|两", text, re.IGNORECASE) else len(shown)
    return tuple(p.id for p in shown[:several]) if len(shown) > 1 else ()


def _needed(parsed: ParsedQuery, editing: _Editing) -> None:
    """Put what the words ask for into the need."""
    pieces = [p for p in _pieces(parsed) if p.field or p.kind in ("limit", "exclude") or _says(p.text)]
    thing, old = _thing_of(pieces), editing.thing
    purpose = _PURPOSE.match(parsed.text) is not None  # "for gaming" is no new thing to look for
    if not editing.pieces or (thing and old and parsed.head.known and not purpose and not _same(thing.text, old.text)):
        editing.begin(pieces)
        return
    for piece in pieces:
        if piece.kind == "thing" and old is not None:
            if _same(piece.text, old.text):
                continue
            piece = piece.model_copy(update={"kind": "quality"})
        editing.put(piece if piece.kind != "word" or old is None else piece.model_copy(update={"kind": "quality"}))


def _says(text: str) -> bool:
    """Return whether some word carries a need of its own."""
    return any(not is_stop(w) and w.text not in _FILLER for w in words(text))


def _same(one: str, other: str) -> bool:
    a, b = _stems(one), _stems(other)
    return a <= b or b <= a


def _stems(text: str) -> set[str]:
    return {stem_of(w) for w in words(text)}


def _saying(text: str) -> set[str]:
    return {stem_of(w) for w in words(text) if not is_stop(w)}


def _thing_of(pieces: Iterable[Piece]) -> Piece | None:
    return next((p for p in pieces if p.kind == "thing"), None)


_KINDS: dict[str, Literal["thing", "quality", "for", "limit", "exclude", "word"]] = {
    "object": "thing", "for": "for", "price": "limit", "exclude": "exclude", "attribute": "quality", "measure": "quality",
}  # fmt: skip


def _pieces(parsed: ParsedQuery) -> Iterator[Piece]:
    """Yield the parts of a query in their order, what nothing was read out of as words between them."""
    at = 0
    for u in parsed.understood:
        if u.start < at:
            continue
        yield from _between(parsed.text[at : u.start])
        field = "price" if u.kind == "price" else u.field
        yield Piece(kind=_KINDS[u.kind], text=u.text[:120], field=field[:120])
        at = u.end
    yield from _between(parsed.text[at:])


def _between(text: str) -> Iterator[Piece]:
    run = text.strip(" ,.;:!?，。；：！？、")
    if run:
        yield Piece(kind="word", text=run[:120])


class _Editing:
    """A state while a turn changes it."""

    def __init__(self, state: GuideState) -> None:
        self.state = state
        self.pieces = list(state.pieces)
        self.changes: list[Change] = []

    @property
    def thing(self) -> Piece | None:
        """What is wanted, if that is known."""
        return _thing_of(self.pieces)

    def begin(self, pieces: Sequence[Piece]) -> None:
        """Begin anew."""
        old = self.query()
        self.pieces = list(pieces)[:MOST_PIECES]
        self.state = self.state.model_copy(update={"asked": []})
        self.changes += [Change(what="replaced" if old else "added", piece=p, before=old) for p in self.pieces if p.kind == "thing"]
        self.changes += [Change(what="added", piece=p) for p in self.pieces if p.kind not in ("thing", "word")]

    def put(self, piece: Piece) -> _Editing:
        """Add a piece, in the place of one it contradicts."""
        said = _saying(piece.text)
        for old in self.pieces:
            said_before = _saying(old.text)
            same_field = bool(piece.field) and piece.field == old.field
            denied = {old.kind, piece.kind} == {"exclude", "quality"} and bool(said_before & said)
            if same_field or denied:
                if old != piece:
                    self.changes.append(Change(what="replaced", piece=piece, before=old.text))
                self.pieces = [p for p in self.pieces if p is not old and (not piece.field or p.field != piece.field)]
                self.pieces.insert(self._place(piece), piece)
                return self
            if piece.kind == old.kind and said <= said_before:
                return self
        self.pieces.insert(self._place(piece), piece)
        self.changes.append(Change(what="added", piece=piece))
        return self

    def _place(self, piece: Piece) -> int:
        """Return where a piece belongs: what the thing is like before it, everything else behind."""
        thing = self.thing if piece.kind in ("quality", "word") else None
        return len(self.pieces) if thing is None else self.pieces.index(thing)

    def drop(self, text: str) -> bool:
        """Take away the pieces whose words a text names; return whether there were any."""
        said = _stems(text)
        return self._take([p for p in self.pieces if p.kind != "thing" and _stems(p.text) <= said])

    def clear(self, field: str) -> None:
        """Take away every piece about a field."""
        self._take([p for p in self.pieces if p.field == field])

    def _take(self, gone: Sequence[Piece]) -> bool:
        self.pieces = [p for p in self.pieces if p not in gone]
        self.changes += [Change(what="removed", piece=p) for p in gone]
        return bool(gone)

    def query(self) -> str:
        """Return the need in words."""
        return " ".join(p.text for p in self.pieces if p.kind != "word")

    def turn(self) -> Turn:
        """Return the turn as it came to be."""
        changed = self.pieces != self.state.pieces
        update = {"pieces": self.pieces[:MOST_PIECES], **({"page": 1} if changed else {})}
        return Turn(self.state.model_copy(update=update), tuple(self.changes), "need" if self.pieces else "none")
