"""Understanding a query: what is asked for, what limits it, and from which characters that was read."""

from engine.query.parse import ParsedQuery, parse_query

__all__ = ["ParsedQuery", "parse_query"]
