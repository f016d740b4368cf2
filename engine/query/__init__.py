"""What a shopper's query says, taken apart with what the catalogue knows."""

from engine.query.knowledge import Knowledge
from engine.query.parse import ParsedQuery, parse_query

__all__ = ["Knowledge", "ParsedQuery", "parse_query"]
