"""Turn drafts into claims: check each, drop what fails, fill in from the template, keep to the time limit.

In: a need, the products in their order, a generator. Out: checked claims as they come, then one :class:`Done`. Every
product gets at least one true claim, whatever the generator does. Its thread may outlive the explanation, waiting on
a dead peer; nothing it still says is read. Knows nothing of how sentences are written or what they are checked for.
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
from engine.explain.template import TemplateGenerator
from engine.schema import Claim, Product

__all__ = ["Done", "Explainer"]

_MAX_CLAIMS = 4
_MAX_DRAFTS = 200
_QUEUE = 64
_LATE = "The generator did not finish in time."
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Done:
    """How an explanation went. ``checked`` counts the sentences of the generator, ``dropped`` those refused by ``reasons``,
    ``replaced`` the products the template spoke for instead. ``degraded`` is a sentence when the generator did not
    finish by itself, else empty."""

    generator: str
    checked: int
    dropped: int
    replaced: int
    reasons: dict[str, int]
    degraded: str


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
    ``snapshot`` names what the products were read from, in log lines.
    """

    def __init__(self, generator: Generator, *, timeout_s: float, snapshot: str = "") -> None:
        self._generator, self._timeout_s, self._snapshot = generator, timeout_s, snapshot
        self._template = TemplateGenerator()

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
        tally = _Tally({p.id: p for p in products})
        pump = _Pump(self._generator, need, evidence)
        try:
            for item in pump.drafts(deadline):
                if isinstance(item, _End):
                    tally.degraded = item.reason
                elif (claim := tally.judge(item, need, products, self._generator.name)) is not None:
                    yield claim
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
            tally.degraded,
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
                    yield _claim(draft, verdict, self._template.name)
            if not said:
                draft = Draft(item.product.id, PLAIN[need.language])
                yield _claim(draft, check(draft.text, item.product, need, products), self._template.name)


class _Tally:
    """What has been checked so far, and what became of it."""

    def __init__(self, products: dict[str, Product]) -> None:
        self._products = products
        self._texts: set[tuple[str, str]] = set()
        self.shown: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.checked = 0
        self.degraded = ""

    def judge(self, draft: object, need: Need, products: Sequence[Product], generator: str) -> Claim | None:
        """Return the claim a draft makes, or ``None`` and a reason counted."""
        self.checked += 1
        reason, verdict = "", Verdict(False)
        if not isinstance(draft, Draft) or not isinstance(draft.text, str) or not isinstance(draft.product_id, str):
            self.reasons["garbage"] += 1
            return None
        product, key = self._products.get(draft.product_id), (draft.product_id, draft.text.strip())
        if product is None:
            reason = "unknown_id"
        elif key in self._texts or self.shown[draft.product_id] >= _MAX_CLAIMS:
            reason = "repeated"
        else:
            verdict = check(key[1], product, need, products)
            reason = verdict.reason
        if not verdict.ok:
            self.reasons[reason] += 1
            return None
        self._texts.add(key)
        self.shown[draft.product_id] += 1
        return _claim(Draft(*key), verdict, generator)


def _claim(draft: Draft, verdict: Verdict, generator: str) -> Claim:
    return Claim(product_id=draft.product_id, text=draft.text, citations=list(verdict.citations), generator=generator)
