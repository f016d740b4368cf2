"""Teach an encoder the words of Chinese, without changing what it makes of English.

In: an English model, a lexicon, English titles. Out: a vocabulary extension (:mod:`engine.encoder.extension`).
Each word and character of the Chinese phrases becomes a token. Its embedding starts as the mean of the English pieces it
stands for, weighted by a word alignment (:mod:`engine.train.align`), and is then moved so that a Chinese phrase has the
vector its English has: knowledge distillation as in Reimers and Gurevych, *Making Monolingual Sentence Embeddings
Multilingual using Knowledge Distillation*, EMNLP 2020, with the body frozen. Imports torch only when called.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.encoder.extension import Extension, add_tokens, set_rows, write_extension
from engine.encoder.source import encode_original, find_source, load_original
from engine.errors import TrainingError
from engine.language import words
from engine.lexicon import Lexicon
from engine.train.align import align
from engine.train.parallel import Pair, composed, switched, terms_of

__all__ = ["Taught", "Teaching", "extend_model", "new_tokens", "spellings", "teach"]

_SEEN = 2
_SHORT = 3
_MOST_PIECES = 12
_MOST_TOKENS = 48
_PART = 64
_TEMPERATURE = 20.0
_CONTRAST = 0.1
_SAME = 0.95


@dataclass(frozen=True, slots=True)
class Teaching:
    """How long and how fast: passes over the pairs, pairs in a step, first learning rate (it falls to 0), seed."""

    epochs: float = 2.0
    batch_size: int = 256
    learning_rate: float = 1e-3
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Taught:
    """``tokens`` with ``rows`` float32 ``(len(tokens), d)``, and loss and cosine to the English, averaged over each tenth."""

    tokens: tuple[str, ...]
    rows: NDArray[np.float32]
    curve: tuple[tuple[float, float], ...]


def extend_model(
    model_name: str,
    lexicon: Lexicon,
    titles: Sequence[str],
    out: Path,
    phrases: int = 25_000,
    teaching: Teaching = Teaching(),
    advance: Callable[[int, int, float, float], None] = lambda step, steps, loss, cosine: None,
) -> dict[str, Any]:
    """Write the extension of a model by the Chinese of a lexicon into ``out`` and return its figures.

    ``phrases`` are put together from terms, and as many taken from ``titles`` where there are any.

    Raises:
        EncoderError: there is no such model.
        TrainingError: the model is an extension already, or the lexicon has no Chinese.
    """
    source = find_source(model_name)
    if source.extension is not None:
        raise TrainingError(f"{model_name or 'The default model'} is extended already. Extend the model it was made from.")
    common = terms_of(Lexicon.own().entries)
    terms = terms_of(lexicon.entries)
    if not terms:
        raise TrainingError("The tables hold no Chinese terms. Give a table with columns en and zh.")
    made = composed(lexicon.entries, phrases, teaching.seed) + switched(titles, lexicon, phrases, teaching.seed)
    whole = {pair.zh for pair in common}
    taught = teach(load_original(source, max_tokens=_MOST_TOKENS), [*terms, *common], made, teaching, advance, whole)
    tokens = spellings(taught.tokens)
    figures = {
        "teaching": asdict(teaching),
        "terms": len(terms),
        "phrases": len(made),
        "tokens": len(tokens),
        "rows": len(taught.rows),
        "curve": [list(point) for point in taught.curve],
    }
    weights = [file.sha256 for name, file in source.files.items() if name.endswith(".safetensors")]
    name = f"{source.name}-zh"
    extension = Extension(name=name, base=source.asked, base_sha256=weights[0], languages=("en", "zh"), made=figures)
    write_extension(out, extension, tokens, taught.rows.astype(np.float16))
    return figures


def new_tokens(texts: Iterable[str], whole: Collection[str] = ()) -> list[str]:
    """Return, sorted, every character of Chinese texts, the words that come up twice, and texts that are short or in ``whole``.

    A dictionary may cut a text where a shopper would not, and the longest token from the left where neither would: ``充电宝`` is a
    thing, and no ``宝``; ``双肩背包`` has no ``肩背`` in it.
    """
    counts: Counter[str] = Counter()
    characters: set[str] = set()
    for text in texts:
        found = words(text)
        for word in found:
            if word.han:
                counts[word.text] += 1
                characters.update(word.text)
        if found and all(word.han for word in found) and (len(text) <= _SHORT or text in whole):
            counts[text] += _SEEN
    return sorted({word for word, n in counts.items() if n >= _SEEN} | characters)


def spellings(tokens: Sequence[str]) -> dict[str, int]:
    """Return every token and its form in traditional characters, with the place of the token: one row serves both."""
    from opencc import OpenCC

    traditional = OpenCC("s2t").convert
    own = {token: row for row, token in enumerate(tokens)}
    return own | {other: row for token, row in own.items() if (other := traditional(token)) not in own}


def teach(
    model: Any,
    terms: Sequence[Pair],
    phrases: Sequence[Pair],
    teaching: Teaching = Teaching(),
    advance: Callable[[int, int, float, float], None] = lambda step, steps, loss, cosine: None,
    whole: Collection[str] = (),
) -> Taught:
    """Return tokens and rows for the words of ``terms``; ``phrases`` show how they stand together, and texts among ``whole`` are
    one word each.

    ``model`` is a ``SentenceTransformer`` on the CPU or a GPU; it is changed. ``advance`` is told step, steps, loss and
    mean cosine. The same seed on the same machine and number of threads gives the same rows.
    """
    import torch

    torch.manual_seed(teaching.seed)
    pairs = [*terms, *phrases]
    english = list(dict.fromkeys(pair.en for pair in pairs))
    place = {text: i for i, text in enumerate(english)}
    meant = torch.from_numpy(encode_original(model, "", english, 64)).to(model.device)
    tokens = new_tokens((pair.zh for pair in terms), whole)
    old = model[0].auto_model.get_input_embeddings().weight.detach().cpu().numpy().copy()
    ids = add_tokens(model, tokens)
    set_rows(model, ids, _first_rows(model, terms, ids, old))
    rows = _Rows(model, ids)
    optimiser = torch.optim.Adam([rows.rows], lr=teaching.learning_rate)
    chance = random.Random(teaching.seed)
    steps = max(1, round(teaching.epochs * len(pairs) / teaching.batch_size))
    waiting: list[Pair] = []
    seen: list[tuple[float, float]] = []
    for step in range(steps):
        if len(waiting) < teaching.batch_size:
            waiting += chance.sample(pairs, len(pairs))
        batch, waiting = waiting[: teaching.batch_size], waiting[teaching.batch_size :]
        batch.sort(key=lambda pair: len(pair.zh))
        targets = meant[torch.tensor([place[pair.en] for pair in batch])]
        loss, cosine = _loss(rows.encode([pair.zh for pair in batch]), targets)
        for group in optimiser.param_groups:
            group["lr"] = teaching.learning_rate * (1 - step / steps)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        seen.append((loss.item(), cosine))
        advance(step + 1, steps, *seen[-1])
    return Taught(tuple(tokens), rows.rows.detach().cpu().numpy(), _curve(seen))


def _first_rows(model: Any, terms: Sequence[Pair], ids: Sequence[int], old: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean of the English pieces each token stands for, or of all words where it stands for none."""
    cut = model.tokenizer
    english = cut([p.en for p in terms], add_special_tokens=False)["input_ids"]
    chinese = cut([p.zh for p in terms], add_special_tokens=False)["input_ids"]
    table = align([(e[:_MOST_PIECES], z) for e, z in zip(english, chinese, strict=True)])
    none = old.mean(axis=0)
    return np.stack([_mean(table.get(i), old, none) for i in ids]).astype(np.float32)


def _mean(row: Mapping[int, float] | None, old: NDArray[np.float32], none: NDArray[np.float32]) -> NDArray[np.float32]:
    pieces = [i for i in row or () if i < len(old)]
    if row is None or not pieces:
        return none
    weights = np.array([row[i] for i in pieces], np.float32)
    mean: NDArray[np.float32] = (weights / weights.sum()) @ old[pieces]
    return mean


def _loss(found: Any, targets: Any) -> tuple[Any, float]:
    """Return distance to the English, with a part that tells it from the others of the batch, and the mean cosine."""
    import torch

    cosines = (found * targets).sum(dim=1)
    likeness = _TEMPERATURE * found @ targets.T
    same = (targets @ targets.T > _SAME) & ~torch.eye(len(targets), dtype=torch.bool, device=targets.device)
    contrast = torch.nn.functional.cross_entropy(
        likeness.masked_fill(same, -torch.inf), torch.arange(len(targets), device=targets.device)
    )
    return (1 - cosines).mean() + _CONTRAST * contrast, cosines.mean().item()


def _curve(seen: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    parts = [part for part in np.array_split(np.array(seen), 10) if len(part)]
    return tuple((round(float(loss), 4), round(float(cosine), 4)) for loss, cosine in (part.mean(axis=0) for part in parts))


class _Rows:
    """The new embeddings as the one thing that learns, and the model's vectors with them in place."""

    def __init__(self, model: Any, ids: Sequence[int]) -> None:
        import torch

        for parameter in model.parameters():
            parameter.requires_grad_(False)
        self._model = model.eval()
        self._transformer = model[0].auto_model
        self._table = self._transformer.get_input_embeddings().weight
        learned = torch.tensor(ids, device=self._table.device)
        self.rows = torch.nn.Parameter(self._table[learned].clone())
        self._row = torch.full((len(self._table),), -1, device=self._table.device)
        self._row[learned] = torch.arange(len(ids), device=self._table.device)

    def encode(self, texts: Sequence[str]) -> Any:
        """Return unit vectors ``(n, d)`` that the rows learn through; neighbours should be of like length."""
        import torch

        return torch.cat([self._part(texts[i : i + _PART]) for i in range(0, len(texts), _PART)])

    def _part(self, texts: Sequence[str]) -> Any:
        import torch

        given = self._model.tokenizer(
            list(texts), padding=True, truncation=True, max_length=_MOST_TOKENS, return_tensors="pt"
        ).to(self._table.device)
        row = self._row[given["input_ids"]]
        learned = self.rows[row.clamp(min=0)]
        embedded = torch.where((row >= 0)[..., None], learned, self._table[given["input_ids"]])
        said = self._transformer(inputs_embeds=embedded, attention_mask=given["attention_mask"]).last_hidden_state
        features = {"token_embeddings": said, "attention_mask": given["attention_mask"]}
        for module in list(self._model)[1:]:
            features = module(features)
        return torch.nn.functional.normalize(features["sentence_embedding"], dim=-1)
