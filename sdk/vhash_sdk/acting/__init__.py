"""What a plan says, done so that it can be undone: a last look at each file, and a journal first."""

from __future__ import annotations

from .apply import Doing, How, Threshold, apply
from .plan_file import Plan, read_plan
from .undo import Undone, undo

__all__ = ["Doing", "How", "Plan", "Threshold", "Undone", "apply", "read_plan", "undo"]
