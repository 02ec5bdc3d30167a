"""What was meant: the known name that is closest to a mistyped one."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

ALIKE = 0.8
"""How alike two names are at least, of 1."""


def closest(name: str, known: Iterable[str]) -> str:
    """Return the known name that is close to a mistyped one, or nothing."""
    return next(iter(get_close_matches(name, list(known), n=1, cutoff=ALIKE)), "")
