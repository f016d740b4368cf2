"""The shopping guide: a conversation that asks, narrows, compares and explains.

The parts, in the order a turn runs through them: ``state`` (what is known of the need, as the client keeps it) · ``turn``
(words → the state changed, by rules; ``cues`` holds what words do) · ``proposals`` (the same by a large model, each step checked;
``prompt`` is what it is asked) · ``editing`` (how pieces take each other's place) · ``questions`` (the one question that splits
what is left best) · ``compare`` (what differs) · ``phrases`` (what the guide says, in both languages) · ``guide`` (the conductor).
"""

from engine.guide.compare import Comparison, compare_products
from engine.guide.editing import Turn
from engine.guide.guide import Guide
from engine.guide.proposals import ProposedTurns
from engine.guide.state import Choice, GuideReply, GuideRequest, GuideState, Piece, Question

__all__ = [
    "Choice",
    "Comparison",
    "Guide",
    "GuideReply",
    "GuideRequest",
    "GuideState",
    "Piece",
    "ProposedTurns",
    "Question",
    "Turn",
    "compare_products",
]
