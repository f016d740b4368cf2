"""Read a product feed, whatever it is: Google Merchant, Shopify, WooCommerce, Icecat-like JSON lines, CSV, Parquet.

In: a file, gzipped or not. Out: :class:`RawRow` under canonical names, values as the feed had them.
Start at :func:`open_feed`. Knows nothing of what a good value is: that is ``indexer.clean``.
"""

from indexer.feeds.feed import Feed, open_feed
from indexer.feeds.records import RawRow

__all__ = ["Feed", "RawRow", "open_feed"]
