"""tantivy: words alone, ranked by BM25, in process."""

from __future__ import annotations

import numpy as np
import tantivy
from numpy.typing import NDArray

from benchmarks.peers.protocol import Folders, Product, finite

__all__ = ["Tantivy"]


class Tantivy:
    """An index of the texts in English stems; any of the words makes a hit."""

    def __init__(self, folders: Folders) -> None:
        self._folder = folders.scratch / "tantivy"
        self._folder.mkdir()
        self.about = ""

    def build(self, vectors: NDArray[np.float32], prices: NDArray[np.float64], texts: list[str]) -> None:
        """Index all texts."""
        builder = tantivy.SchemaBuilder()
        builder.add_integer_field("row", stored=True)
        builder.add_float_field("price", indexed=True, fast=True)
        builder.add_text_field("text", stored=True, tokenizer_name="en_stem")
        self._schema = builder.build()
        self._index = tantivy.Index(self._schema, path=str(self._folder))
        writer = self._index.writer(num_threads=1)
        for row, (price, text) in enumerate(zip(finite(prices), texts, strict=True)):
            writer.add_document(tantivy.Document(row=row, price=price, text=text))
        writer.commit()
        writer.wait_merging_threads()
        self._index.reload()
        self._searcher = self._index.searcher()

    def answer(self, query: str, k: int, price_limit: float | None) -> list[Product]:
        """Return the best products by words."""
        asked, _ = self._index.parse_query_lenient(query, ["text"])
        if price_limit is not None:
            cheap = tantivy.Query.range_query(
                self._schema, "price", tantivy.FieldType.Float, lower_bound=0.0, upper_bound=price_limit
            )
            asked = tantivy.Query.boolean_query([(tantivy.Occur.Must, asked), (tantivy.Occur.Must, cheap)])
        found = (self._searcher.doc(address) for _, address in self._searcher.search(asked, k).hits)
        return [(document["row"][0], document["text"][0]) for document in found]

    def close(self) -> None:
        """Nothing runs."""
