"""What shopping words mean in the other language, and which of them name accessories, colours, materials and people.

``terms.tsv`` is the lexicon that comes with daogou; a shop adds its own, or a public taxonomy, when it indexes.
"""

from engine.lexicon.head import Head, find_head, is_accessory
from engine.lexicon.lexicon import Entry, Lexicon, other_forms, read_terms
from engine.lexicon.phrases import Phrase, Phrases

__all__ = ["Entry", "Head", "Lexicon", "Phrase", "Phrases", "find_head", "is_accessory", "other_forms", "read_terms"]
