"""The files of a snapshot, from products in id order and their vectors.

In: spooled products and vectors. Out: a folder with everything but the manifest, and what was counted. Knows nothing
of feeds, gates or pointers.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.encoder import Encoder
from engine.index.codes import codes_of, save_codes
from engine.index.documents import DocumentsBuilder
from engine.index.faiss_index import FaissVectors, measure_recall, save_vectors
from engine.index.lexical import LexicalBuilder
from engine.index.prefix import PrefixBuilder
from engine.index.table import TableBuilder
from engine.match import background_threshold
from engine.text import lexical_fields
from indexer.durable import link_or_copy
from indexer.spool import Spool

__all__ = ["build_files", "measure"]

_SAMPLE = 256
_SAMPLE_WORDS = 4


def build_files(spool: Spool, folder: Path, advance: Callable[[int], None]) -> dict[str, Any]:
    """Write documents, columns, words, codes, suggestions and content hashes, and return their counts."""
    documents, table, words, prefix = DocumentsBuilder(folder / "documents"), TableBuilder(), LexicalBuilder(), PrefixBuilder()
    codes = []
    ids = spool.ids
    for product in spool.products(ids):
        documents.add(product)
        table.add(product)
        words.add(lexical_fields(product))
        prefix.add(product)
        codes.append(codes_of(product))
        advance(1)
    hashes = np.frombuffer(b"".join(spool.hashes[i] for i in ids), np.uint8).reshape(len(ids), 32)
    np.save(folder / "hashes.npy", hashes, allow_pickle=False)
    return {
        **documents.save(),
        **table.save(folder / "table"),
        **words.save(folder / "lexical"),
        **prefix.save(folder / "prefix"),
        **save_codes(codes, folder / "codes"),
    }


def measure(
    spool: Spool, vectors: NDArray[np.float16], encoder: Encoder, encoder_folder: Path, folder: Path
) -> dict[str, Any]:
    """Write the vectors and their index, link the encoder in, and return what was measured on the way.

    Beginnings of titles stand in for queries: with them, the index's recall@10 against exact search is measured, and
    how near a product comes to a query by chance.
    """
    report: dict[str, Any] = dict(save_vectors(vectors, folder / "vectors"))
    for file in sorted(f for f in encoder_folder.rglob("*") if f.is_file()):
        link_or_copy(file, folder / "encoder" / file.relative_to(encoder_folder))
    ids = spool.ids
    sample = [ids[i] for i in np.unique(np.linspace(0, len(ids) - 1, min(_SAMPLE, len(ids))).astype(int))]
    beginnings = [" ".join(p.title.split()[:_SAMPLE_WORDS]) for p in spool.products(sample)]
    queries = encoder.encode_queries(beginnings)
    report["similarity"] = round(background_threshold(queries, vectors), 4)
    report["recall@10"] = round(measure_recall(FaissVectors(folder / "vectors"), queries[:64]), 4)
    return report
