"""Answering: open a published snapshot and search, suggest and explain. Knows nothing of HTTP, feeds or metrics."""
