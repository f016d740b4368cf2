"""The files of a snapshot, from cleaned products and their vectors.

In: a spool of products, their vectors and the encoder. Out: a folder without a manifest, and what was counted and measured.
Same products, vectors and encoder give the same bytes, however much memory there is. Knows nothing of feeds, gates or pointers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.encoder import Encoder
from engine.index.codes import CodesBuilder
from engine.index.documents import DocumentsBuilder
from engine.index.faiss_index import FaissVectors, map_vectors, save_index, save_probing
from engine.index.lexical import LexicalIndex
from engine.index.lexical_builder import LexicalBuilder
from engine.index.prefix import PrefixBuilder
from engine.index.runs import Scratch
from engine.index.snapshot import Part
from engine.index.table_builder import TableBuilder
from engine.index.values import ValuesBuilder
from engine.index.vectors import ExactVectors, VectorIndex
from engine.index.vocabulary import VocabularyBuilder
from engine.language import is_stop, words
from engine.lexicon import Lexicon, is_accessory
from engine.match import background_threshold
from engine.text import lexical_fields
from indexer.durable import link_or_copy
from indexer.spool import Spool

__all__ = ["RECALL", "build_files", "build_vectors", "link_encoder", "tied_recall"]

RECALL = 0.985
"""Share of the true ten nearest that a search should find; searches go further until they do."""
_TOP = 10

_SAMPLE = 256
_SAMPLE_WORDS = 4
_MEASURED = 64
_TIE = 1e-5


def build_files(
    spool: Spool,
    folder: Path,
    advance: Callable[[int], None],
    lexicon: Lexicon,
    asked: Mapping[str, int],
    scratch: Scratch,
    base: Path | None = None,
) -> dict[str, Any]:
    """Write documents, columns, words, codes, suggestions and content hashes, and return their counts.

    A delta goes by what is rare in its ``base``, the folder of another snapshot.

    ``asked`` are searches with their users; those whose words say nothing here are not suggested. What does not fit in the
    buffers of ``scratch`` waits there.
    """
    documents, table = DocumentsBuilder(folder / "documents"), TableBuilder(scratch)
    lexical = LexicalBuilder(scratch, base and base / "lexical")
    prefix, codes = PrefixBuilder(scratch), CodesBuilder(scratch)
    values, vocabulary = ValuesBuilder(lexicon), VocabularyBuilder(lexicon)
    for product in spool.products(range(len(spool.ids))):
        documents.add(product)
        table.add(product, is_accessory(product.category, product.title, lexicon))
        lexical.add(lexical_fields(product))
        prefix.add(product)
        values.add(product)
        vocabulary.add(product)
        codes.add(product)
        advance(1)
    for product in spool.products(range(len(spool.ids))):
        values.hear(product)
    counts = {**documents.save(), **table.save(folder / "table"), **lexical.save(folder / "lexical")}
    known = LexicalIndex([Part(folder, 0, len(spool.ids))])
    for text, users in asked.items():
        if _says_something(text, known, lexicon):
            prefix.add_query(text, users)
    np.save(folder / "hashes.npy", spool.hashes, allow_pickle=False)
    return {
        **counts,
        **prefix.save(folder / "prefix"),
        **codes.save(folder / "codes"),
        **values.save(folder / "values"),
        **vocabulary.save(folder / "vocabulary"),
        **lexicon.save(folder / "lexicon"),
    }


def _says_something(text: str, lexical: LexicalIndex, lexicon: Lexicon) -> bool:
    """Return whether every word of a search is in the catalogue or names something in the lexicon."""
    found = words(text)
    named = {i for phrase in lexicon.find(text, found) for i in range(phrase.first, phrase.last)}
    carrying = [(i, w) for i, w in enumerate(found) if not is_stop(w)]
    return bool(carrying) and all(i in named or lexical.spread(w) > 0 for i, w in carrying)


def build_vectors(spool: Spool, encoder: Encoder, folder: Path, most_bytes: int) -> dict[str, Any]:
    """Build the index of a snapshot's vectors, at most ``most_bytes`` large, and return what was measured on them.

    Beginnings of titles stand in for queries when the index's recall@10 is measured, single words of titles when it is
    measured how near a product comes to a query by chance (see :func:`engine.match.background_threshold`). A search goes as
    far as it must to find :data:`RECALL` of the true neighbours, where it can.
    """
    chosen = save_index(folder / "vectors", most_bytes=most_bytes)
    titles = [product.title for product in spool.spread(_SAMPLE)]
    queries = encoder.encode_queries([" ".join(title.split()[:_SAMPLE_WORDS]) for title in titles])
    queries = queries[:: max(1, len(queries) // _MEASURED)]
    vectors = map_vectors(folder / "vectors")
    recall, probing = _go_far_enough(folder / "vectors", queries) if chosen else (1.0, {})
    return {
        "vectors": {"index": chosen or "exact", **probing},
        "similarity": round(background_threshold(encoder.encode_queries(_title_words(titles)), vectors), 4),
        "recall": round(recall, 4),
    }


def _go_far_enough(folder: Path, queries: NDArray[np.float32]) -> tuple[float, dict[str, int]]:
    """Choose how far searches of an index go, write it down, and return the recall@10 and what was chosen."""
    exact = ExactVectors(map_vectors(folder)).search_many(queries, _TOP)
    worst = np.array([near.scores[-1] for near in exact])
    index = FaissVectors(folder)
    recall = tied_recall(index, queries, worst)
    while recall < RECALL and (further := index.probing.further(index.lists)):
        index = FaissVectors(folder, probing=further)
        recall = tied_recall(index, queries, worst)
    save_probing(folder, index.probing)
    return recall, asdict(index.probing)


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


def tied_recall(index: VectorIndex, queries: NDArray[np.float32], worst: NDArray[np.float32], k: int = _TOP) -> float:
    """Return the share of the ``k`` nearest that ``index`` finds for ``queries`` float32 ``(m, d)``, by exact score; ``worst``
    float32 ``(m,)`` is that of the true ``k``-th.

    Many products of a shop have one text and so one vector: whichever of them is found counts as found.
    """
    k = min(k, index.size)
    if k == 0 or len(queries) == 0:
        return 1.0
    shares = []
    for query, least in zip(queries, worst, strict=True):
        found = np.unique(index.search(query, k).rows)
        shares.append(min(k, int(np.count_nonzero(index.scores(query, found) >= least - _TIE))) / k)
    return float(np.mean(shares))
