"""Nothing here reaches for the network: models that are not on disk are errors, not downloads. No test is timed."""

import os

from hypothesis import settings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

settings.register_profile("daogou", deadline=None)
settings.load_profile("daogou")
