"""Counts in sentences: 1 clip, 2 clips."""

from __future__ import annotations


def plural(n: int, one: str, many: str = "") -> str:
    """Return a number and what it counts, one or several of them.

    Args:
        n: how many.
        one: what one of them is called, or a part of a sentence (``"clip is"``).
        many: what several are called; empty: ``one`` with an s (es after s).
    """
    several = many or f"{one}{'es' if one.endswith('s') else 's'}"
    return f"{n} {one if n == 1 else several}"
