"""Results for one person: what they like, read from what they did, applied inside the match set only."""

from engine.personal.memory import Memory, Remembered
from engine.personal.order import moved
from engine.personal.results import Personally, PersonalResults
from engine.personal.taste import Reason, Taste, Tastes
from engine.personal.wording import reason_text

__all__ = ["Memory", "PersonalResults", "Personally", "Reason", "Remembered", "Taste", "Tastes", "moved", "reason_text"]
