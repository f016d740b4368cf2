"""The whole words a model's tokenizer knows: real words, whatever one catalogue holds.

In: the folder of an exported encoder. Out: lower-case words of four letters and more. A word among them is no slip, even
where no product has it. Knows nothing of models without a tokenizer; those know no words.
"""

from __future__ import annotations

from pathlib import Path

import orjson

__all__ = ["whole_words"]

_SHORTEST = 4


def whole_words(folder: Path) -> frozenset[str]:
    """Return the whole words in the vocabulary of ``folder/tokenizer.json``, none where there is no such file."""
    try:
        model = orjson.loads((folder / "tokenizer.json").read_bytes())["model"]
    except (FileNotFoundError, orjson.JSONDecodeError, KeyError):
        return frozenset()
    vocabulary = model.get("vocab", {})
    pieces = vocabulary if isinstance(vocabulary, dict) else [piece for piece, _ in vocabulary]
    marked = any(str(piece).startswith("▁") for piece in pieces)  # sentencepiece marks beginnings, wordpiece the rest
    plain = (str(p)[1:] if marked else str(p) for p in pieces if not marked or str(p).startswith("▁"))
    return frozenset(word.lower() for word in plain if word.isalpha() and len(word) >= _SHORTEST)
