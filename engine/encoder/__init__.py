"""Text to unit vectors: an exported model for serving, a toy for tests, a wrapper that caches.

Importing this package imports neither torch nor transformers; :mod:`engine.encoder.export` and
:mod:`engine.encoder.torch_encoder` need them, and only when called.
"""

from engine.encoder.caching import CachingEncoder
from engine.encoder.graph_encoder import GraphEncoder
from engine.encoder.hashing import HashingEncoder
from engine.encoder.opening import open_encoder
from engine.encoder.protocol import Encoder

__all__ = ["CachingEncoder", "Encoder", "GraphEncoder", "HashingEncoder", "open_encoder"]
