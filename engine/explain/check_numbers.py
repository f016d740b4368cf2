"""Is every number of a sentence in the record, as a number of the same thing? One step of the ground check.

In: the clauses of a sentence, the product's facts, the need. Out: the citations that support the numbers and the
places of the words that go with them, or :class:`Refused`. A number is matched with its unit, its bound (``up to``),
its polarity, the word that says what it measures and, without a unit, its neighbour (``2 pillowcases``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from engine.explain.evidence import Limit
from engine.explain.facts import Fact, shown_money
from engine.explain.quantities import Number
from engine.explain.reading import Clause, Role
from engine.explain.vocabulary import EN_NEUTRAL, stem
from engine.schema import Citation, Money, Product

__all__ = ["Refused", "Supported", "check_money", "check_number", "is_money"]

_PRICE_WORD = re.compile(r"\b(?:pric\w*|costs?|budget|limit)\b|价|预算|上限", re.IGNORECASE)
_LIMIT_AFTER = re.compile(
    r"\s*-?\s*(?:price |spending )?(?:limit|budget|cap|maximum|ceiling)\b|\s*的?(?:预算|上限|限额|价位)"
)
_LIMIT_BEFORE = re.compile(
    r"(?:\b(?:limit|budget|cap|maximum|ceiling)(?: of| is)?|预算(?:是|为|的)?|上限(?:是|为)?)\s*$", re.IGNORECASE
)
_WAS = re.compile(
    r"(?:\b(?:was|originally|regular(?:ly)?|down from|reduced from|list price|before)"
    r"|原价|吊牌价?|由|(?:之前|以前|先前|原来|原先)(?:的?价格?)?)[是为卖要]?\W*$",
    re.IGNORECASE,
)
_OF = re.compile(r"[\s:：]*(?:(?:is|at|of|about|是|为|有|约)[\s:：]*)?")
_BREAK = re.compile(r"\b(?:and|plus|or|with|in|on|for|of|at|to|by|from|is|are)\b|[,&+/和及与或]", re.IGNORECASE)
_HARD_BREAK = re.compile(r"\b(?:and|plus|or|with)\b|[,&+/和及与或]", re.IGNORECASE)
_FILLER = re.compile(r"(?:可用|可以|达到|可达|使用|可|能|为|达|有|是|约)+$")
_PARTICLES = "的左上以之内起、和与及且并"
_CLASSIFIERS = "个只支件条双款片本块张种副套组根颗粒枚把台条"
_NEUTRAL = frozenset(stem(w) for w in EN_NEUTRAL)
_IMPLIED = {"kg": "weight", "l": "capacity", "mAh": "battery"}
_BEFORE_ROLE = frozenset({"long", "wide", "high", "tall", "deep", "thick", "across", "old", "years old", "year old"})


class Refused(Exception):
    """A sentence is not supported; ``reason`` is one word for counting."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(slots=True)
class Supported:
    """What a check has found so far: citations in order, and spans of each clause that need no further support."""

    citations: dict[tuple[str, str], Citation] = field(default_factory=dict)
    spans: dict[int, list[tuple[int, int]]] = field(default_factory=dict)

    def cite(self, name: str, shown: str) -> None:
        """Note a citation once."""
        self.citations.setdefault((name, shown), Citation(field=name, value=shown))


def is_money(number: Number, clause: Clause) -> bool:
    """Return whether a number is an amount of money, by its currency or by what its clause speaks of."""
    if number.unit == "money":
        return True
    near = clause.text[max(0, number.start - 18) : number.end + 12]
    return number.unit == "" and number.kind == "one" and bool(_PRICE_WORD.search(near))


def _currency(number: Number, product: Product) -> str:
    own = price.currency if (price := product.current_price) else ""
    if number.currency == "":
        return own
    return own if number.currency == "¥" and own in ("CNY", "JPY") else number.currency


def _equals(value: float, money: Money | None, currency: str) -> bool:
    if money is None or money.currency != currency:
        return False
    return abs(value * float(10 ** Money.decimals(currency)) - money.amount) < 1e-6


def _rounded(stated: float, true: float) -> bool:
    """Return whether ``stated`` is ``true`` rounded to one or two digits, and near it."""
    digits = len(f"{stated:g}".replace(".", "").strip("0"))
    near = true > 0 and abs(stated - true) <= 0.03 * true
    return bool(near and digits <= 2 and float(f"{true:.{digits}g}") == stated)


def check_money(number: Number, clause: Clause, product: Product, limits: Iterable[Limit], out: Supported) -> None:
    """Accept an amount that is the price, the former price called so, or a limit of the shopper's that is kept."""
    currency, price = _currency(number, product), product.current_price
    if price is None or currency != price.currency:
        raise Refused("currency" if price else "price")
    before, after = clause.text[: number.start], clause.text[number.end :]
    if any(role.end <= number.start and _OF.fullmatch(clause.text, role.end, number.start) for role in clause.roles):
        raise Refused("price")  # nothing weighs five dollars
    name = "sale_price" if product.sale_price else "price"
    if number.kind == "range":
        ends = {(limit.op[0], limit.value) for limit in limits if limit.met_by(price)}
        if not {(">", number.values[0]), ("<", number.values[1])} <= ends:
            raise Refused("price")
        return out.cite(name, shown_money(price))
    value = number.values[0]
    if number.kind != "one":
        raise Refused("price")
    if _WAS.search(before):
        if product.sale_price is None or not _equals(value, product.price, currency):
            raise Refused("price")
        assert product.price is not None
        return out.cite("price", shown_money(product.price))
    limiting = number.bound in ("min", "max") or _LIMIT_AFTER.match(after) or _LIMIT_BEFORE.search(before)
    if limiting and number.start >= clause.negative_from:
        raise Refused("limit")
    if limiting:
        _check_limit(number, price, limits)
    elif clause.negative_from <= number.start or not (
        _equals(value, price, currency) or (number.bound == "approx" and _rounded(value, price.major))
    ):
        raise Refused("price")
    out.cite(name, shown_money(price))


def _check_limit(number: Number, price: Money, limits: Iterable[Limit]) -> None:
    side = ">" if number.bound == "min" else "<"
    for limit in limits:
        if limit.op[0] == side and abs(limit.value - number.values[0]) < 1e-9 and limit.met_by(price):
            return
    raise Refused("limit")


def _same_value(stated: Number, true: Number) -> bool:
    if stated.kind != true.kind or stated.unit != true.unit or len(stated.values) != len(true.values):
        return False
    return all(_close(s, t, stated, true) for s, t in zip(stated.values, true.values, strict=True))


def _close(value: float, source: float, stated: Number, true: Number) -> bool:
    if abs(value - source) <= 1e-6 * max(abs(source), 1e-9):
        return True
    if stated.bound == "approx" and stated.kind == "one" and stated.factor == true.factor:
        return _rounded(value / stated.factor, source / true.factor)
    digits = stated.written.replace(",", "")
    if stated.kind != "one" or stated.unit in ("", "%") or abs(stated.factor / true.factor - 1) < 1e-9:
        return False
    # Converted to another unit, a number may be rounded to the digits it is written with, if they are three or more.
    places = len(digits.partition(".")[2])
    exact = source / stated.factor
    return len(digits.replace(".", "").lstrip("0")) >= 3 and f"{exact:.{places}f}" == digits


def _side(text: str, last: bool) -> list[str]:
    """Return the content next to a number: two Chinese characters, or up to two English stems."""
    text = text.strip(" -")
    if last:
        text = _FILLER.sub("", text)
    if not text:
        return []
    han = re.search(r"[\u4e00-\u9fff]{1,2}$" if last else r"^[\u4e00-\u9fff]{1,2}", text)
    if han:
        return [han.group()]
    stems = [s for w in re.findall(r"[A-Za-z]+", text) if (s := stem(w)) not in _NEUTRAL]
    return stems[-2:][::-1] if last else stems[:2]


def _neighbours(clause: Clause, number: Number) -> tuple[list[str], list[str]]:
    after = _HARD_BREAK.split(clause.text[number.end :])[0]
    following = min((n.start for n in clause.numbers if n.start >= number.end), default=len(clause.text))
    before = _HARD_BREAK.split(clause.text[: number.start])[-1]
    previous = max((n.end for n in clause.numbers if n.end <= number.start), default=0)
    after = after[: max(0, following - number.end)]
    before = before[max(0, previous - (number.start - len(before))) :]
    return _side(_BREAK.split(before)[-1], True) or _side(before, True), _side(after, False)


def _agree(a: list[str], b: list[str]) -> bool:
    if not a or not b:
        return False
    if "一" <= a[0][0] <= "鿿" and "一" <= b[0][0] <= "鿿":
        x, y = a[0], b[0]
        return x[0] == y[0] and (x == y or (x[0] not in _CLASSIFIERS and (len(x) == 1 or len(y) == 1)))
    return a[0] in b or b[0] in a


def _neighbours_agree(stated: tuple[list[str], list[str]], true: tuple[list[str], list[str]], names: set[str]) -> bool:
    (s_before, s_after), (t_before, t_after) = stated, true
    if s_after:
        turned = not t_after and s_after[0].isascii() and _agree(s_after, t_before)
        return _agree(s_after, t_after) or turned or s_after[0] in names
    return bool(s_before) and (_agree(s_before, t_before) or _agree(s_before, t_after) or s_before[0] in names)


def _roles_of(clause: Clause, number: Number) -> list[Role]:
    """Return the role words whose nearest number this is; ``20 cm wide`` looks back, ``weighs 420 g`` ahead."""

    def distance(role: Role, other: Number) -> float:
        gap = other.start - role.end if other.start >= role.end else role.start - other.end
        word = clause.text[role.start : role.end].lower()
        behind = (other.end <= role.start) == (word in _BEFORE_ROLE)
        return gap + (0 if behind else 3.5)

    return [
        r for r in clause.roles if min(clause.numbers, key=lambda n: (distance(r, n), n.start)) is number
    ]  # fmt: skip


def _true_roles(fact: Fact, clause: Clause, number: Number) -> set[str]:
    """Return what a field's number measures: said beside it or beside its neighbour (``6.5-inch 120 Hz screen``)."""
    chain = [n for n in clause.numbers if n.unit != number.unit and not _gap(clause.text, n, number).strip(" -")]
    own = clause.roles if len(clause.numbers) == 1 else [r for n in (number, *chain) for r in _roles_of(clause, n)]
    found = {r.name for r in own} | {r.name for c in fact.names for r in c.roles}
    return found or {_IMPLIED.get(number.unit, "")}


def _gap(text: str, a: Number, b: Number) -> str:
    return text[min(a.end, b.end) : max(a.start, b.start)]


def _supports(clause: Clause, number: Number, fact: Fact, other: Clause, true: Number, facts: list[Fact]) -> bool:
    if not _same_value(number, true):
        return False
    if number.start >= clause.negative_from and clause.text[clause.negative_from : number.end].lower() not in other.text.lower():
        return False  # who denies a number denies it in the record's own words
    if (number.start >= clause.negative_from) != (true.start >= other.negative_from):
        return False
    bound = "" if number.bound == "approx" or number.kind == "range" else number.bound
    if bound != ("" if true.bound == "approx" or true.kind == "range" else true.bound):
        return False
    if not {r.name for r in _roles_of(clause, number)} <= _true_roles(fact, other, true):
        return False
    stated, names = _neighbours(clause, number), {t.key for c in fact.names for t in (*c.words, *c.runs)}
    agree = _neighbours_agree(stated, _neighbours(other, true), names)
    if agree or number.unit in ("", "%"):
        return agree
    return _same_thing(clause, number, fact, stated, facts)


def _same_thing(
    clause: Clause, number: Number, fact: Fact, stated: tuple[list[str], list[str]], facts: list[Fact]
) -> bool:
    """Return whether a number with a unit, though its neighbours differ from the record's, measures the same thing.

    It does when a role word says so. Else the noun right after it must be what the product is called, and where the
    record has another such number (``单次8小时，连充电盒30小时``) only a bare one of a typed field will do.
    """
    roles = _roles_of(clause, number)
    noun = re.match(r"[ -]*([A-Za-z]+|[\u4e00-\u9fff]{1,2})", clause.text[number.end :])
    beside = any(r.start <= number.end + noun.start(1) < r.end for r in roles) if noun else True
    if noun and not beside and stem(noun[1]) not in _NEUTRAL and noun[1][0] not in _PARTICLES:
        named = " ".join(c.text for f in facts if f.field in ("title", "category") for c in f.clauses).lower()
        if not fact.whole or stem(noun[1]) not in named:
            return False
    rivals = {
        n.values for f in facts for c in f.clauses for n in c.numbers if (n.unit, n.kind) == (number.unit, number.kind)
    }
    return len(rivals) == 1 or bool(roles) or (fact.whole and stated == ([], []))


def check_number(index: int, number: Number, clause: Clause, facts: list[Fact], out: Supported) -> None:
    """Accept a number that a field states of the same thing; note the field and the words that went with it."""
    for fact in facts:
        for other in fact.clauses:
            if other.doubtful or not any(_supports(clause, number, fact, other, n, facts) for n in other.numbers):
                continue
            out.cite(fact.field, fact.shown)
            spans = out.spans.setdefault(index, [])
            denied = number.start >= clause.negative_from
            roles = _roles_of(clause, number)
            spans.extend((r.start, r.end) for r in roles if (r.start >= clause.negative_from) == denied)
            if number.unit in ("", "%"):
                spans.append((number.end, number.end + 1))
            return
    raise Refused("number")
