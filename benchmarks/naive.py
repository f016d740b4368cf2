"""The baseline: the search service a shop could write in an afternoon.

A synchronous FastAPI endpoint, sentence-transformers in torch float32 and a flat FAISS index. In: a snapshot folder,
for its product vectors and documents, so that both services hold the same catalogue. Out: ``GET /search?q=`` with
the ten nearest products as JSON. Knows nothing of words, filters, facets or highlights, and is not tuned: libraries
keep their own defaults.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from engine.encoder.source import find_source
from engine.index.documents import Documents
from engine.index.faiss_index import map_vectors
from engine.index.snapshot import Part

__all__ = ["SNAPSHOT_VARIABLE", "create_app", "from_environment"]

SNAPSHOT_VARIABLE = "DAOGOU_NAIVE_SNAPSHOT"
"""Environment variable with the snapshot folder, for :func:`from_environment`."""

_TOP = 10


def create_app(snapshot: Path) -> FastAPI:
    """Return the baseline over the products of a snapshot folder whose vectors are all-MiniLM-L6-v2's."""
    import faiss
    import numpy as np
    from sentence_transformers import SentenceTransformer

    vectors = map_vectors(snapshot / "vectors").astype(np.float32)
    documents = Documents([Part(snapshot, 0, len(vectors))])
    index: Any = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    del vectors
    model = SentenceTransformer(str(find_source("").folder), device="cpu", local_files_only=True)
    app = FastAPI()

    @app.get("/search")
    def search(q: str) -> dict[str, Any]:
        vector = model.encode([q], normalize_embeddings=True, show_progress_bar=False)
        scores, rows = index.search(vector, min(_TOP, index.ntotal))
        hits = [
            {"score": float(score), "document": documents.document(int(row))}
            for score, row in zip(scores[0], rows[0], strict=True)
        ]
        return {"hits": hits}

    return app


def from_environment() -> FastAPI:
    """Return the baseline for the snapshot named in the environment; uvicorn's factory."""
    return create_app(Path(os.environ[SNAPSHOT_VARIABLE]))
