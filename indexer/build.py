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
from engine.index.engines import connect, open_vectors
from engine.index.faiss_index import map_vectors, save_index
from engine.index.lexical import LexicalIndex
from engine.index.lexical_builder import LexicalBuilder
from engine.index.milvus_index import save_collection
from engine.index.prefix import PrefixBuilder
from engine.index.runs import Scratch
from engine.index.snapshot import Part
from engine.index.table import Table
from engine.index.table_builder import TableBuilder
from engine.index.values import ValuesBuilder
from engine.index.vectors import ExactVectors, VectorIndex
from engine.index.vocabulary import VocabularyBuilder
from engine.language import is_stop, words
from engine.lexicon import Lexicon, is_accessory
from engine.match import background_threshold
from engine.settings import Settings
from engine.text import lexical_fields
from indexer.budget import index_bytes
from indexer.collections import collection_name
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


def build_vectors(spool: Spool, encoder: Encoder, folder: Path, settings: Settings) -> dict[str, Any]:
    """Build the index of a snapshot's vectors, or their collection in Milvus, and return what was measured on them.

    Beginnings of titles stand in for queries when the index's recall@10 is measured, single words of titles when it is
    measured how near a product comes to a query by chance (see :func:`engine.match.background_threshold`). A search goes as
    far as it must to find :data:`RECALL` of the true neighbours, where it can.
    """
    part = Part(folder, 0, len(spool.ids))
    chosen = _save(part, settings)
    titles = [product.title for product in spool.spread(_SAMPLE)]
    queries = encoder.encode_queries([" ".join(title.split()[:_SAMPLE_WORDS]) for title in titles])
    queries = queries[:: max(1, len(queries) // _MEASURED)]
    vectors = map_vectors(folder / "vectors")
    recall, probing = _go_far_enough(part, settings, queries) if chosen else (1.0, {})
    return {
        "vectors": {**(chosen or {"index": "exact"}), **probing},
        "similarity": round(background_threshold(encoder.encode_queries(_title_words(titles)), vectors), 4),
        "recall": round(recall, 4),
    }


def _save(part: Part, settings: Settings) -> dict[str, str]:
    """Make what searches go through beside the vectors themselves, and return what was chosen: nothing for a scan."""
    folder = part.folder / "vectors"
    if settings.milvus_uri:
        name = collection_name(settings.store, part.folder)
        save_collection(folder, connect(settings), name, Table([part]))
        return {"index": "milvus", "collection": name}
    chosen = save_index(folder, most_bytes=index_bytes(settings))
    return {"index": chosen} if chosen else {}


def _go_far_enough(part: Part, settings: Settings, queries: NDArray[np.float32]) -> tuple[float, dict[str, int]]:
    """Choose how far searches of an index go, write it down, and return the recall@10 and what was chosen."""
    exact = ExactVectors(map_vectors(part.folder / "vectors")).search_many(queries, _TOP)
    worst = np.array([near.scores[-1] for near in exact])
    index = open_vectors(part, settings)
    recall = tied_recall(index, queries, worst)
    while recall < RECALL and (further := index.probing.further(index.lists)):
        index.probing = further
        recall = tied_recall(index, queries, worst)
    index.save_probing()
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
