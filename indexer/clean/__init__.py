"""Clean what a feed had: text without markup, prices as money, attributes as typed values.

In: :class:`~indexer.feeds.RawRow`. Out: :class:`Cleaned` or :class:`Rejection`. Start at :func:`clean_row`.
Knows nothing of files, formats or snapshots.
"""

from indexer.clean.row import REASONS, REPAIRS, Cleaned, Rejection, clean_row

__all__ = ["REASONS", "REPAIRS", "Cleaned", "Rejection", "clean_row"]
