"""The lab: finds or makes runs.

``Lab.run(recipe, fold, seed)`` resolves the teachers first, on the student's own fold and seed unless the teacher
states its own, and returns a run that is done: found, resumed or made.  Only this package does so.
"""

from __future__ import annotations

from hearless.lab.bench import Bench, Part
from hearless.lab.checks import check_classes, check_rates, check_teacher_leak
from hearless.lab.lab import Lab
from hearless.lab.named import captures, initials

__all__ = ["Bench", "Lab", "Part", "captures", "check_classes", "check_rates", "check_teacher_leak", "initials"]
