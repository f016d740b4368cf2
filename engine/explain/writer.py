"""Explanations from a small sequence-to-sequence model of our own, which writes references and never a value.

In: the folder of a voice (wording and the model trained on it). Out: drafts. At each step the model chooses among the pieces
that keep a sentence approved (:class:`~engine.explain.wording.Line`), so nothing it writes has to be refused; which of them
it chooses is drawn from what it learned, by a seed made of product and need: two products differ, the same one does not from
one call to the next. Runs on onnxruntime, without torch. Knows nothing of how it was trained.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import GeneratorError
from engine.explain.evidence import Evidence, Need
from engine.explain.generator import Draft
from engine.explain.slots import ASKED, SLOT, SLOTS, Slot, fill_slots
from engine.explain.template import beside
from engine.explain.wording import OWN_VOICE, Line, load_wording
from engine.language import is_stop, stem_of, words
from engine.schema import Product

__all__ = ["BEGIN", "CARD", "DECODER", "ENCODER", "UNKNOWN", "WriterGenerator", "told"]

ENCODER, DECODER, CARD = "encoder.onnx", "decoder.onnx", "writer.json"
UNKNOWN, BEGIN = "<unk>", "<s>"
_MOST_SENTENCES = 2
_MOST_PIECES = 120
_MOST_WORDS = 12
_SHARPNESS = 1.5
_ENOUGH = 3
_DECIDING = frozenset(
    {"battery_life", "battery_capacity", "capacity", "power", "screen_size", "storage", "waterproof", "rating", "size", "material",
     "weight", "season", "gender", "voltage", "other", "other2"}
)  # fmt: skip
"""What tells products apart that do the same."""
_SAID_IF_ASKED = frozenset(
    {"color", "brand", "style", "pattern", "flavor", "length", "width", "height", "depth", "warranty", "use"}
)
_PRICE = {"en": "It costs {price}.", "zh": "价格是{price}。"}
"""What is always said, by the model or after it."""


def told(need: Need, product: Product, slots: Mapping[str, Slot]) -> list[str]:
    """Return what the model is told: language, words of the need, of the product's kind, and which slots there are."""
    asked = [stem_of(w) for w in words(need.text) if not is_stop(w)]
    kind = [stem_of(w) for part in product.category[-2:] for w in words(part) if not is_stop(w)]
    there = [f"{{{name}{ASKED if slots[name].asked else ''}}}" for name in SLOTS if name in slots]
    return [f"<{need.language}>", *asked[:_MOST_WORDS], "|", *kind[:_MOST_WORDS], "|", *there]


def _named(said: str) -> set[str]:
    """Return the slots that sentences refer to."""
    return {name.removesuffix(ASKED) for name in SLOT.findall(said)}


class WriterGenerator:
    """The generator that writes with references. Safe to share between threads."""

    name = "writer"

    def __init__(self, folder: Path = OWN_VOICE) -> None:
        """Open a voice.

        Raises:
            GeneratorError: its wording or its model is missing or cannot be read, or the two do not belong together.
        """
        import onnxruntime

        self._wording = load_wording(folder)
        try:
            card = json.loads((folder / CARD).read_text("utf-8"))
            self._reads = {word: i for i, word in enumerate(card["reads"])}
            self._writes: list[str] = card["writes"]
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            cpu = ["CPUExecutionProvider"]
            self._encoder = onnxruntime.InferenceSession(str(folder / ENCODER), options, providers=cpu)
            self._decoder = onnxruntime.InferenceSession(str(folder / DECODER), options, providers=cpu)
        except Exception as error:  # the runtime raises bare Exceptions of its own
            raise GeneratorError(
                f"The voice in {folder} cannot be opened ({type(error).__name__}). Make one with `daogou train explainer`."
            ) from error
        self._place = {piece: i for i, piece in enumerate(self._writes)}
        if missing := [piece for piece in self._wording.vocabulary() if piece not in self._place]:
            raise GeneratorError(
                f"The model in {folder} does not know {missing[0]!r} and {len(missing) - 1} more pieces of its wording: "
                "the seeds have changed since. Train it again with `daogou train explainer`."
            )

    def generate(self, need: Need, evidence: Sequence[Evidence]) -> Iterator[Draft]:
        """Yield the sentences of one product after another: the model's, with references, then what the seller himself says
        of the need, and what his record does not say of it."""
        products = [item.product for item in evidence]
        for item in evidence:
            said = ""
            slots = fill_slots(need, item, products)
            for sentence in self._sentences(need, item.product, slots):
                said += sentence
                yield Draft(item.product.id, sentence)
            if "{quote}" not in said:
                yield from beside(need, item, products, said)

    def _sentences(self, need: Need, product: Product, slots: Mapping[str, Slot]) -> Iterator[str]:
        """Yield what the model writes; a sentence more of what was asked or decides, where too little of it was said; the price."""
        said = ""
        for sentence in self.write(need, product, slots):
            said += sentence
            yield sentence
        names = _named(said)
        thing = slots["thing"].shown if "thing" in names else ""
        left = {n: s for n, s in slots.items() if n in _DECIDING or (s.asked and n in _SAID_IF_ASKED)}
        left = {n: s for n, s in left.items() if n not in names and s.shown not in thing}
        if left and (len(names & _DECIDING) < _ENOUGH or any(slot.asked for slot in left.values())):
            for sentence in self.write(need, product, left, 1):
                said += sentence
                yield sentence
        if "price" in slots and not {"price", "limit"} & _named(said):
            yield _PRICE[need.language]

    def write(
        self, need: Need, product: Product, slots: Mapping[str, Slot], most_sentences: int = _MOST_SENTENCES
    ) -> Iterator[str]:
        """Yield up to so many sentences as they end."""
        line = Line(self._wording, need.language, slots, most_sentences)
        memory = self._read(told(need, product, slots))
        chance = np.random.default_rng(zlib.crc32(f"{product.id}\0{need.text}".encode()))
        written = [self._place.get(BEGIN, 0)]
        said = 0
        while not line.ended and len(written) < _MOST_PIECES:
            allowed = sorted(line.allowed())
            if not allowed:
                return
            piece = allowed[0]
            if len(allowed) > 1:
                places = np.array([self._place[p] for p in allowed])
                noise = chance.gumbel(size=len(places))
                piece = allowed[int(np.argmax(_SHARPNESS * self._next(memory, written)[places] + noise))]
            line.write(piece)
            written.append(self._place[piece])
            if len(line.sentences) > said:
                said += 1
                yield line.sentences[-1]

    def _read(self, tokens: Sequence[str]) -> NDArray[np.float32]:
        unknown = self._reads[UNKNOWN]
        ids = np.array([[self._reads.get(t, unknown) for t in tokens]], np.int64)
        return self._run(self._encoder, {"read": ids})

    def _next(self, memory: NDArray[np.float32], written: Sequence[int]) -> NDArray[np.float32]:
        """Return the logits ``(pieces,)`` of what comes next."""
        out: NDArray[np.float32] = self._run(self._decoder, {"memory": memory, "written": np.array([written], np.int64)})[0]
        return out

    @staticmethod
    def _run(session: Any, inputs: dict[str, Any]) -> NDArray[np.float32]:
        out: NDArray[np.float32] = session.run(None, inputs)[0]
        return out
