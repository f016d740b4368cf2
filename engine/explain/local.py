"""Drafts from a transformers model in a local folder, causal or sequence to sequence.

In: the folder of a model (safetensors) with its tokenizer. Out: drafts as lines are written. Loads local files only
and runs no code from the folder. Knows nothing of what is true: small models write much that is refused.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from engine.errors import GeneratorError, MissingExtraError
from engine.explain.answers import DraftReader
from engine.explain.evidence import Evidence, Need
from engine.explain.generator import Draft
from engine.explain.prompt import aliases, messages
from engine.explain.wording import Wording, load_wording

__all__ = ["LocalGenerator"]

_CHARS_PER_TOKEN = 3


class LocalGenerator:
    """A generator in this process. One explanation is written at a time; others wait for their turn."""

    name = "local"

    def __init__(
        self, path: str | Path, timeout_s: float, max_chars: int, opinions: bool = False, wording: Wording | None = None
    ) -> None:
        """Load the model.

        Raises:
            MissingExtraError: transformers is not installed.
            GeneratorError: the folder holds no model that can be loaded.
        """
        try:
            import transformers
        except ImportError as error:
            raise MissingExtraError(
                "A local generator needs transformers. Install it with `pip install transformers`."
            ) from error
        if not (Path(path) / "config.json").is_file():
            raise GeneratorError(f"{path} is no model folder: it has no config.json. Set `generator_model` to one.")
        self._transformers: Any = transformers
        self._timeout_s, self._max_chars, self._opinions = timeout_s, max_chars, opinions
        self._wording = wording or load_wording()
        self._turn = threading.Lock()
        options = {"local_files_only": True, "trust_remote_code": False}
        try:
            config = transformers.AutoConfig.from_pretrained(path, **options)
            kind = transformers.AutoModelForCausalLM
            if config.is_encoder_decoder:
                kind = transformers.AutoModelForSeq2SeqLM
            self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(path, **options)
            self._model: Any = kind.from_pretrained(path, use_safetensors=True, **options).eval()
        except Exception as error:
            raise GeneratorError(f"The model in {path} cannot be loaded: {error}") from error

    def generate(self, need: Need, evidence: Sequence[Evidence]) -> Iterator[Draft]:
        """Yield drafts as their lines end.

        Raises:
            GeneratorError: the model failed, or other explanations kept it busy for too long.
        """
        if not self._turn.acquire(timeout=self._timeout_s):
            raise GeneratorError(f"The local model was busy for {self._timeout_s:g} s.")
        try:
            reader = DraftReader(aliases(evidence))
            for text in self._texts(messages(need, evidence, self._wording, opinions=self._opinions)):
                yield from reader.feed(text)
            yield from reader.finish()
        finally:
            self._turn.release()

    def _inputs(self, prompt: list[dict[str, str]]) -> Any:
        if self._tokenizer.chat_template:
            text = self._tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
        else:
            text = "\n\n".join(m["content"] for m in prompt) + "\n\nAnswer:\n"
        room = getattr(self._model.config, "max_position_embeddings", None) or 2048
        reserve = min(room // 2, self._max_tokens())
        limit = room if self._model.config.is_encoder_decoder else room - reserve
        return self._tokenizer(text, return_tensors="pt", truncation=True, max_length=max(1, limit))

    def _max_tokens(self) -> int:
        return max(16, min(self._max_chars // _CHARS_PER_TOKEN, 1024))

    def _texts(self, prompt: list[dict[str, str]]) -> Iterator[str]:
        """Yield the pieces of the answer; the model stops when the reader does."""
        inputs = self._inputs(prompt)
        room = getattr(self._model.config, "max_position_embeddings", None) or 2048
        used = 0 if self._model.config.is_encoder_decoder else int(inputs["input_ids"].shape[1])
        streamer = self._transformers.TextIteratorStreamer(
            self._tokenizer, skip_prompt=not self._model.config.is_encoder_decoder, skip_special_tokens=True,
            timeout=self._timeout_s,
        )  # fmt: skip
        stop, failure = threading.Event(), list[BaseException]()

        def write() -> None:
            try:
                self._model.generate(
                    input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], streamer=streamer,
                    max_new_tokens=max(1, min(self._max_tokens(), room - used)), do_sample=False,
                    max_time=self._timeout_s, pad_token_id=self._tokenizer.pad_token_id,
                    stopping_criteria=self._transformers.StoppingCriteriaList([lambda *_a, **_k: stop.is_set()]),
                )  # fmt: skip
            except BaseException as error:
                failure.append(error)
                streamer.end()

        writer = threading.Thread(target=write, name="daogou-local-generator", daemon=True)
        writer.start()
        try:
            yield from streamer
        finally:
            stop.set()
            writer.join()
        if failure:
            raise GeneratorError(f"The local model failed with {type(failure[0]).__name__}.") from failure[0]
