"""Turn drafts into claims: fill in what they refer to, check each, drop what fails, keep to the time limit.

In: a need, the products in their order, a generator. Out: checked claims as they come, then one :class:`Done`. Every
product gets at least one true claim, from the template where the generator has none, whatever the generator does. A draft of
approved wording and references holds by what its references rest on; every other goes through the ground check as it will
be read. The generator's thread may outlive the explanation, waiting on a dead peer; nothing it still says is read. Knows
nothing of how sentences are written or what they are checked for.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.errors import GeneratorError
from engine.explain.evidence import Evidence, Need, gather_evidence
from engine.explain.generator import Draft, Generator
from engine.explain.ground import PLAIN, Verdict, check
from engine.explain.guarded import GuardedGenerator
from engine.explain.opinion import as_opinion
from engine.explain.slots import Slot, fill, fill_slots
from engine.explain.template import TemplateGenerator
from engine.explain.wording import Wording, load_wording
from engine.schema import Claim, Product

__all__ = ["Done", "Explainer"]

_MAX_CLAIMS = 6
_MAX_DRAFTS = 200
_QUEUE = 64
_LONGEST = 400
_OPINION = Verdict(True)
"""What holds and rests on nothing."""

_LATE = "The generator did not finish in time."
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Done:
    """How an explanation went. ``checked`` counts the sentences of the generator, ``dropped`` those refused by ``reasons``,
    ``replaced`` the products the template spoke for instead. ``degraded`` is a sentence when the generator did not
    finish by itself, else empty. ``opinions`` counts those shown."""

    generator: str
    checked: int
    dropped: int
    replaced: int
    reasons: dict[str, int]
    degraded: str
    opinions: int = 0


@dataclass(frozen=True, slots=True)
class _End:
    """The last thing a pump says: an empty reason when the generator finished by itself."""

    reason: str


class _Pump:
    """Runs a generator in a thread and hands its drafts over until a deadline."""

    def __init__(self, generator: Generator, need: Need, evidence: Sequence[Evidence]) -> None:
        self._drafts: queue.Queue[object] = queue.Queue(_QUEUE)
        self._stopped = threading.Event()
        arguments = (generator, need, evidence)
        threading.Thread(target=self._run, args=arguments, name="daogou-generator", daemon=True).start()

    def _put(self, item: object) -> bool:
        while not self._stopped.is_set():
            try:
                self._drafts.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def _run(self, generator: Generator, need: Need, evidence: Sequence[Evidence]) -> None:
        end = ""
        try:
            for draft in generator.generate(need, evidence):
                if not self._put(draft):
                    return
        except GeneratorError as error:
            end = str(error)
        except BaseException as error:
            # Its text may hold anything, a key included; the kind is enough to look into it.
            end = f"The generator failed with {type(error).__name__}."
        self._put(_End(end))

    def drafts(self, deadline: float) -> Iterator[object]:
        """Yield what the generator yields, which may be anything, and at the end an :class:`_End`."""
        item: object = None
        while not isinstance(item, _End):
            try:
                item = self._drafts.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                item = _End(_LATE)
            if time.monotonic() > deadline:
                item = _End(_LATE)
            yield item

    def stop(self) -> None:
        """Make the thread end at its next draft."""
        self._stopped.set()


class Explainer:
    """Explains products with one generator. Safe to share between threads if the generator is.

    ``timeout_s`` bounds a whole explanation's generation, from the call to the last draft that is read.
    ``snapshot`` names what the products were read from, in claims and in log lines. ``wording`` is what may be said without a
    check, the one that comes with daogou where none is given. ``opinions`` lets one a product through that only praises, after a
    fact, and marks it.
    """

    def __init__(
        self,
        generator: Generator,
        *,
        timeout_s: float,
        snapshot: str = "",
        wording: Wording | None = None,
        opinions: bool = False,
    ) -> None:
        self._generator, self._timeout_s, self._snapshot, self._opinions = generator, timeout_s, snapshot, opinions
        self._template = TemplateGenerator()
        self._wording = wording or load_wording()

    def forget(self) -> None:
        """Let go of what is remembered of anybody's words."""
        if isinstance(self._generator, GuardedGenerator):
            self._generator.forget()

    def explain(self, need: Need, products: Sequence[Product]) -> Iterator[Claim | Done]:
        """Yield checked claims about these products, then one :class:`Done`. Raises nothing for generator trouble."""
        deadline = time.monotonic() + self._timeout_s
        evidence = [gather_evidence(need, product) for product in products]
        if isinstance(self._generator, TemplateGenerator):
            said = 0
            for true in self._fill(need, evidence):
                said += 1
                yield true
            yield Done(self._template.name, said, 0, 0, {}, "")
            return
        tally = _Tally(need, evidence, self._wording, self._opinions)
        pump = _Pump(self._generator, need, evidence)
        try:
            for item in pump.drafts(deadline):
                if isinstance(item, _End):
                    tally.degraded = item.reason
                elif (told := tally.judge(item)) is not None:
                    yield self._claim(*told, self._generator.name)
                if tally.checked >= _MAX_DRAFTS:
                    tally.degraded = f"The generator wrote more than {_MAX_DRAFTS} sentences."
                    break
        finally:
            pump.stop()
        if tally.degraded:
            _LOG.warning("An explanation of snapshot %s fell back to the template: %s", self._snapshot, tally.degraded)
        missing = [item for item in evidence if not tally.shown[item.product.id]]
        yield from self._fill(need, evidence, {item.product.id for item in missing})
        yield Done(
            self._generator.name, tally.checked, sum(tally.reasons.values()), len(missing), dict(tally.reasons),
            tally.degraded, len(tally.opinions),
        )  # fmt: skip

    def _fill(self, need: Need, evidence: Sequence[Evidence], only: set[str] | None = None) -> Iterator[Claim]:
        """Yield the template's claims, each through the same check; one sentence that always holds where none does."""
        products = [item.product for item in evidence]
        for item in evidence:
            if only is not None and item.product.id not in only:
                continue
            said = 0
            for draft in self._template.write(need, item, products):
                verdict = check(draft.text, item.product, need, products)
                if verdict.ok:
                    said += 1
                    yield self._claim(draft, verdict, self._template.name)
            if not said:
                draft = Draft(item.product.id, PLAIN[need.language])
                yield self._claim(draft, check(draft.text, item.product, need, products), self._template.name)

    def _claim(self, draft: Draft, verdict: Verdict, generator: str) -> Claim:
        return Claim(
            product_id=draft.product_id,
            text=draft.text,
            kind="opinion" if verdict is _OPINION else "fact",
            citations=list(verdict.citations),
            generator=generator,
            snapshot=self._snapshot,
        )


class _Tally:
    """What has been checked so far, and what became of it."""

    def __init__(self, need: Need, evidence: Sequence[Evidence], wording: Wording, opinions: bool) -> None:
        self._need, self._wording, self._allows_opinions = need, wording, opinions
        self._evidence = {item.product.id: item for item in evidence}
        self._products = [item.product for item in evidence]
        self._slots: dict[str, dict[str, Slot]] = {}
        self._texts: set[tuple[str, str]] = set()
        self.shown: Counter[str] = Counter()
        self.opinions: set[str] = set()
        self.reasons: Counter[str] = Counter()
        self.checked = 0
        self.degraded = ""

    def judge(self, draft: object) -> tuple[Draft, Verdict] | None:
        """Return a draft as it may be shown with what it rests on, or ``None`` and a reason counted."""
        self.checked += 1
        if not isinstance(draft, Draft) or not isinstance(draft.text, str) or not isinstance(draft.product_id, str):
            self.reasons["garbage"] += 1
            return None
        item = self._evidence.get(draft.product_id)
        if item is None:
            text, verdict = "", Verdict(False, (), "unknown_id")
        else:
            text, verdict = self._verdict(draft.text.strip(), item)
            if not verdict.ok and (opinion := self._opinion(text, item)):
                text, verdict = opinion, _OPINION
        if verdict.ok and ((draft.product_id, text) in self._texts or self.shown[draft.product_id] >= _MAX_CLAIMS):
            verdict = Verdict(False, (), "repeated")
        if not verdict.ok:
            self.reasons[verdict.reason] += 1
            return None
        self._texts.add((draft.product_id, text))
        self.shown[draft.product_id] += 1
        if verdict is _OPINION:
            self.opinions.add(draft.product_id)
        return Draft(draft.product_id, text), verdict

    def _opinion(self, text: str, item: Evidence) -> str:
        """Return a refused sentence as an opinion, if it may be shown as one: one a product, after a fact."""
        told, spoken = self.shown[item.product.id] > 0, item.product.id in self.opinions
        return as_opinion(text, item.product, self._need) if self._allows_opinions and told and not spoken else ""

    def _verdict(self, text: str, item: Evidence) -> tuple[str, Verdict]:
        """Return a sentence as it would be read, and whether it holds."""
        if item.product.id not in self._slots:
            self._slots[item.product.id] = fill_slots(self._need, item, self._products)
        slots = self._slots[item.product.id]
        referenced = text if "{" in text else self._wording.referenced(text, self._need.language, slots)
        if referenced is None:
            return text, check(text, item.product, self._need, self._products)
        filled = fill(referenced, slots)
        if filled is None:
            return text, Verdict(False, (), "reference")
        shown, used = filled
        if not self._wording.approved(referenced, self._need.language):
            return shown, check(shown, item.product, self._need, self._products)
        if len(shown) > _LONGEST:
            return shown, Verdict(False, (), "length")
        return shown, Verdict(True, tuple(dict.fromkeys(c for slot in used for c in slot.citations)))
