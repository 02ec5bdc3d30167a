"""Names of the classes of published label sets, one text file each, one name a line in index order."""

from __future__ import annotations

from functools import cache
from importlib import resources

from hearless.interfaces import HearlessError


def known_sets() -> tuple[str, ...]:
    """Return the names of the label sets that come with hearless, sorted."""
    files = resources.files(__name__).iterdir()
    return tuple(sorted(file.name.removesuffix(".txt") for file in files if file.name.endswith(".txt")))


@cache
def label_names(name: str) -> tuple[str, ...]:
    """Return the display names of a label set in index order: ``label_names("audioset")[0] == "Speech"``.

    Raises:
        HearlessError: there is no such set; those known are listed.
    """
    if name not in known_sets():
        raise HearlessError(
            f"labels must name a label set that comes with hearless, got {name!r}; known: {', '.join(known_sets())}."
        )
    return tuple(resources.files(__name__).joinpath(f"{name}.txt").read_text(encoding="utf-8").splitlines())
