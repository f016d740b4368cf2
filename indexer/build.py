"""The files of a snapshot, from products in id order and their vectors.

In: spooled products and vectors. Out: a folder with everything but the manifest, and what was counted and measured.
Same products, vectors and encoder give the same bytes. Knows nothing of feeds, gates or pointers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.encoder import Encoder
from engine.index.codes import codes_of, save_codes
from engine.index.documents import DocumentsBuilder
from engine.index.faiss_index import FaissVectors, save_vectors
from engine.index.lexical import LexicalBuilder
from engine.index.prefix import PrefixBuilder
from engine.index.table import TableBuilder
from engine.index.values import ValuesBuilder
from engine.index.vectors import ExactVectors
from engine.index.vocabulary import VocabularyBuilder
from engine.language import is_stop, words
from engine.lexicon import Lexicon, is_accessory
from engine.match import background_threshold
from engine.text import lexical_fields
from indexer.durable import link_or_copy
from indexer.spool import Spool

__all__ = ["build_files", "build_vectors", "link_encoder", "tied_recall"]

_SAMPLE = 256
_SAMPLE_WORDS = 4
_MEASURED = 64
_TIE = 1e-5


def build_files(
    spool: Spool, folder: Path, advance: Callable[[int], None], lexicon: Lexicon, asked: Mapping[str, int]
) -> dict[str, Any]:
    """Write documents, columns, words, codes, suggestions and content hashes, and return their counts.

    ``asked`` are searches with their users; those whose words say nothing here are not suggested.
    """
    documents, table, lexical, prefix = DocumentsBuilder(folder / "documents"), TableBuilder(), LexicalBuilder(), PrefixBuilder()
    values, vocabulary = ValuesBuilder(lexicon), VocabularyBuilder(lexicon)
    codes = []
    for product in spool.products(spool.ids):
        documents.add(product)
        table.add(product, is_accessory(product.category, product.title, lexicon))
        lexical.add(lexical_fields(product))
        prefix.add(product)
        values.add(product)
        vocabulary.add(product)
        codes.append(codes_of(product))
        advance(1)
    for product in spool.products(spool.ids):
        values.hear(product)
    for text, users in asked.items():
        if _says_something(text, lexical, lexicon):
            prefix.add_query(text, users)
    hashes = np.frombuffer(b"".join(spool.hashes[i] for i in spool.ids), np.uint8).reshape(len(spool.ids), 32)
    np.save(folder / "hashes.npy", hashes, allow_pickle=False)
    return {
        **documents.save(),
        **table.save(folder / "table"),
        **lexical.save(folder / "lexical"),
        **prefix.save(folder / "prefix"),
        **save_codes(codes, folder / "codes"),
        **values.save(folder / "values"),
        **vocabulary.save(folder / "vocabulary"),
        **lexicon.save(folder / "lexicon"),
    }


def _says_something(text: str, lexical: LexicalBuilder, lexicon: Lexicon) -> bool:
    """Return whether every word of a search is in the catalogue or names something in the lexicon."""
    found = words(text)
    named = {i for phrase in lexicon.find(text, found) for i in range(phrase.first, phrase.last)}
    carrying = [(i, w) for i, w in enumerate(found) if not is_stop(w)]
    return bool(carrying) and all(i in named or lexical.has(w) for i, w in carrying)


def build_vectors(spool: Spool, vectors: NDArray[np.float16], encoder: Encoder, folder: Path) -> dict[str, Any]:
    """Write the vectors and their index, and return what was measured on them.

    Beginnings of titles stand in for queries when the index's recall@10 is measured, single words of titles when it is
    measured how near a product comes to a query by chance (see :func:`engine.match.background_threshold`).
    """
    built = save_vectors(vectors, folder / "vectors")
    titles = [product.title for product in spool.spread(_SAMPLE)]
    queries = encoder.encode_queries([" ".join(title.split()[:_SAMPLE_WORDS]) for title in titles])
    return {
        "vectors": built,
        "similarity": round(background_threshold(encoder.encode_queries(_title_words(titles)), vectors), 4),
        "recall": round(tied_recall(FaissVectors(folder / "vectors"), queries[:: max(1, len(queries) // _MEASURED)]), 4),
    }


def _title_words(titles: list[str]) -> list[str]:
    """Return one word of each title, from the first to the last place in turn."""
    chosen = []
    for turn, title in enumerate(titles):
        carrying = [w for w in words(title) if not is_stop(w)]
        if carrying:
            chosen.append(carrying[turn % len(carrying)].text)
    return chosen


def link_encoder(exported: Path, folder: Path) -> None:
    """Put the exported encoder into the snapshot ``folder``, sharing its files where the file system can."""
    for file in sorted(f for f in exported.rglob("*") if f.is_file()):
        link_or_copy(file, folder / "encoder" / file.relative_to(exported))


def tied_recall(index: FaissVectors, queries: NDArray[np.float32], k: int = 10) -> float:
    """Return the share of the ``k`` nearest that ``index`` finds for ``queries`` float32 ``(m, d)``, by exact score.

    Many products of a shop have one text and so one vector: whichever of them is found counts as found.
    """
    k = min(k, index.size)
    if k == 0 or len(queries) == 0:
        return 1.0
    every = np.arange(index.size)
    oracle = ExactVectors(index.vectors(every))
    shares = []
    for query in queries:
        exact = oracle.scores(query, every)
        worst = np.partition(exact, index.size - k)[index.size - k]
        found = np.unique(index.search(query, k).rows)
        shares.append(np.count_nonzero(exact[found] >= worst - _TIE) / k)
    return float(np.mean(shares))
