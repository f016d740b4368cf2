"""What keeps people out of what is written: masking, keyed ids, noise, erasure."""

from engine.privacy.masking import KINDS, Masked, Personal, find_personal, mask

__all__ = ["KINDS", "Masked", "Personal", "find_personal", "mask"]
