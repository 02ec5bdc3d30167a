"""Speech Commands, version 2: 35 words of one second from 2,618 speakers at 16 kHz (Warden, arXiv:1804.03209, 2018).

Read in its official layout: a folder a word, ``validation_list.txt`` and ``testing_list.txt`` beside them; what neither
names is for training.  That makes `COUNTS` clips of the whole archive.  A clip's recording is its speaker, the part of
its name before ``_nohash_``; the official lists part no speaker.  ``_background_noise_`` is left out: it holds no word.

The archive's checksum is the one that TensorFlow Datasets and torchaudio hold it against.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hearless.datasets._table import refuse
from hearless.interfaces import Clip, HearlessError, Remote

EXAMPLE: dict[str, Any] = {}

LABELS = (
    "backward", "bed", "bird", "cat", "dog", "down", "eight", "five", "follow", "forward", "four", "go", "happy",
    "house", "learn", "left", "marvin", "nine", "no", "off", "on", "one", "right", "seven", "sheila", "six", "stop",
    "three", "tree", "two", "up", "visual", "wow", "yes", "zero",
)  # fmt: skip
COUNTS = {"train": 84_843, "validation": 9_981, "test": 11_005}
LISTS = {"validation": "validation_list.txt", "test": "testing_list.txt"}
NOISE = "_background_noise_"
NAME = re.compile(r"(?P<speaker>[0-9a-f]+)_nohash_\d+\.wav")


class SpeechCommandsV2:
    """The Speech Commands corpus, version 0.02, with its official split."""

    def __init__(self) -> None:
        self.labels: tuple[str, ...] | None = LABELS
        self.multi_label: bool | None = False
        self.licence = "CC BY 4.0"
        self.source = "https://arxiv.org/abs/1804.03209"
        self.remotes: tuple[Remote, ...] = (
            Remote(
                url="https://storage.googleapis.com/download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
                filename="speech_commands_v0.02.tar.gz",
                checksum="sha256:af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
                unpack=True,
            ),
        )

    def clips(self, root: Path) -> list[Clip]:
        """Return the clips, word by word, each with its official split.

        Raises:
            HearlessError: no such corpus (says how to get it), or lists all that is wrong with it.
        """
        folder = self._folder(Path(root))
        words = sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name != NOISE)
        found = {f"{word}/{path.name}": path for word in words for path in sorted((folder / word).glob("*.wav"))}
        splits, problems = _splits(folder)
        problems += [f"{name}: listed, but there is no such file" for name in splits if name not in found]
        problems += [fault for name in found for fault in _faults(name)]
        refuse(folder, problems, f"unpack {self.remotes[0].url} again")
        return [_clip(name, path, splits.get(name, "train")) for name, path in found.items()]

    def _folder(self, root: Path) -> Path:
        """Return the folder that holds the words."""
        tried = (root, *sorted(root.glob("speech_commands_v0.02*")))
        folder = next((path for path in tried if all((path / name).is_file() for name in LISTS.values())), None)
        if folder is None:
            raise HearlessError(
                f"{root} must hold Speech Commands' {' and '.join(LISTS.values())} beside a folder a word, but it does "
                f"not; download {self.remotes[0].url} and unpack it there."
            )
        return folder


def _splits(folder: Path) -> tuple[dict[str, str], list[str]]:
    """Return the split of every clip that a list names, and what is wrong with the lists."""
    splits: dict[str, str] = {}
    problems = []
    for split, filename in LISTS.items():
        for name in (folder / filename).read_text(encoding="utf-8").split():
            if name in splits:
                problems.append(f"{name}: listed twice; each clip is in one split")
            splits[name] = split
    return splits, problems


def _clip(name: str, path: Path, split: str) -> Clip:
    """Return the clip of a ``word/speaker_nohash_take.wav``."""
    word, _, filename = name.partition("/")
    return Clip(id=name, path=path, labels=(word,), split=split, recording=filename.partition("_nohash_")[0])


def _faults(name: str) -> list[str]:
    """Say what is wrong with a clip's name."""
    word, _, filename = name.partition("/")
    faults = [] if word in LABELS else [f"{name}: {word!r} is no word of Speech Commands 2"]
    return faults + ([] if NAME.fullmatch(filename) else [f"{name}: must be named speaker_nohash_take.wav"])
