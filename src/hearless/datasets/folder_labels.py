"""A user's own recordings, sorted into folders: one folder a class.

No paper: this is the door for data without a table.  The folds are drawn, recordings kept together.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hearless.datasets._table import refuse
from hearless.interfaces import Clip, HearlessError, Remote
from hearless.splits import draw_folds

EXAMPLE: dict[str, Any] = {"n_folds": 2}

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")


class FolderLabels:
    """A data set given by folders; the folder's name is the label, sounds in folders below it count too.

    Args:
        n_folds: folds to draw.
        seed: the seed of that draw.
        group_pattern: a regular expression, searched in each file's name without its extension; its first
            group names the source recording (``"^(.+?)_nohash"``).  Empty: each name in a class is a
            recording of its own.

    Raises:
        HearlessError: fewer than two folds, or a pattern that is no regular expression with a group.
    """

    def __init__(self, *, n_folds: int = 5, seed: int = 0, group_pattern: str = "") -> None:
        if n_folds < 2:
            raise HearlessError(f"n_folds must be at least 2, got {n_folds}; one fold is tested, the others train.")
        self.labels: tuple[str, ...] | None = None
        self.multi_label: bool | None = False
        self.licence = "the user's own"
        self.source = "the user's own folders of recordings"
        self.remotes: tuple[Remote, ...] = ()
        self._n_folds, self._seed, self._pattern = n_folds, seed, _compiled(group_pattern)

    def clips(self, root: Path) -> list[Clip]:
        """Return every sound below the class folders, in order of path.

        Raises:
            HearlessError: lists all that is wrong with the folders.
        """
        root = Path(root)
        folders = sorted(p for p in root.glob("*") if p.is_dir() and not p.name.startswith("."))
        if not folders:
            raise HearlessError(
                f"{root} must hold one folder of sounds a class (root/dog/1.wav), but it has no folders; "
                "give the folder above them as root."
            )
        clips = [self._clip(root, path) for folder in folders for path in _sounds(folder)]
        problems = [
            f"{p.name} lies beside the class folders; move it into one" for p in sorted(root.glob("*")) if _is_sound(p)
        ]
        full = {clip.labels[0] for clip in clips}
        problems += [f"{f.name}/ holds no sounds ({', '.join(SUFFIXES)})" for f in folders if f.name not in full]
        problems += [f"{clip.id}: its name does not match group_pattern" for clip in clips if not clip.recording]
        problems += [] if len(folders) > 1 else [f"one class only ({folders[0].name}); at least two are needed"]
        refuse(root, problems, "mend the folders, or the group_pattern")
        return draw_folds(clips, self._n_folds, self._seed)

    def _clip(self, root: Path, path: Path) -> Clip:
        """Return the clip of one file, its recording empty where the pattern does not match."""
        inside = path.relative_to(root)
        recording = str(inside.with_suffix("").as_posix())
        if self._pattern is not None:
            match = self._pattern.search(path.stem)
            recording = (match[1] or "") if match else ""
        return Clip(id=inside.as_posix(), path=path, labels=(inside.parts[0],), recording=recording)


def _compiled(pattern: str) -> re.Pattern[str] | None:
    """Return the compiled pattern, or None for an empty one."""
    if not pattern:
        return None
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise HearlessError(f"group_pattern must be a regular expression, got {pattern!r} ({error}).") from error
    if compiled.groups < 1:
        raise HearlessError(f"group_pattern must have a group in brackets, got {pattern!r}; try '^(.+?)_'.")
    return compiled


def _is_sound(path: Path) -> bool:
    """Say whether a path is a file with a sound's extension, hidden files apart."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def _sounds(folder: Path) -> list[Path]:
    """Return the sounds in a folder and below, in order of path."""
    return sorted(path for path in folder.rglob("*") if _is_sound(path))
