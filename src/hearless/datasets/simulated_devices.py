"""Device shift on any data set: its clips get recording devices the way TAU's did, unseen ones in the test part.

After TAU Urban Acoustic Scenes 2020/2022 Mobile (Heittola et al.) as paper 004 uses it: most training clips are of
device a, 5 % each of s1, s2 and s3; every test clip is heard through all seven devices, of which s4 to s6 are never
trained.  ``captures/simulated_device.py`` gives the devices their sound.  What differs from TAU: no b and c (there is
no second real microphone), and the same test clips through every device, so that devices compare clip by clip.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hearless import audio
from hearless.interfaces import Clip, HearlessError, Remote
from hearless.spec import Spec, named, require_shelf
from hearless.splits import parts

EXAMPLE: dict[str, Any] = {
    "dataset": named("datasets", "Synthetic", n_per_class=4, n_folds=2, duration_s=0.5),
    "fold": "1",
}

SOURCE_DEVICE = "a"
SEEN = ("s1", "s2", "s3")
UNSEEN = ("s4", "s5", "s6")
DEVICES = (SOURCE_DEVICE, *SEEN, *UNSEEN)


class SimulatedDevices:
    """Another data set with recording devices, its fold ``fold`` the test part.

    Clips come in splits (train, validation where the data set has one, test); the fold is called ``"split"``.

    Args:
        dataset: the data set to take clips from.
        fold: which of its folds is tested; ``"split"`` for a data set that comes in splits.
        training_folds: its folds to train on, parted by commas; empty: all the others.
        share: share of the training (and validation) clips of each of s1, s2 and s3.
        piece_s: cut each clip into pieces of so many seconds, leaving out rests; None keeps clips whole.
        seed: of the assignment, which depends on it and on the clips' ids alone.

    Raises:
        HearlessError: no data set, a share outside 0..1/3, or pieces of no length.
    """

    def __init__(
        self,
        *,
        dataset: Spec,
        fold: str = "1",
        training_folds: str = "",
        share: float = 0.05,
        piece_s: float | None = None,
        seed: int = 0,
    ) -> None:
        if not isinstance(dataset, Spec):
            raise HearlessError(f"SimulatedDevices: dataset must be a data set's spec, got {dataset!r}.")
        require_shelf("dataset", dataset, "datasets")
        if not 0.0 <= share * len(SEEN) <= 1.0:
            raise HearlessError(f"SimulatedDevices: share must lie in 0..1/3 for three devices, got {share}.")
        if piece_s is not None and not 0.0 < piece_s < float("inf"):
            raise HearlessError(f"SimulatedDevices: piece_s must be above 0 s and finite, got {piece_s}.")
        self._inner = dataset.build()
        self.labels: tuple[str, ...] | None = self._inner.labels
        self.multi_label: bool | None = self._inner.multi_label
        self.licence: str = self._inner.licence
        self.source: str = self._inner.source
        self.remotes: tuple[Remote, ...] = self._inner.remotes
        self._fold, self._share, self._piece_s, self._seed = fold, share, piece_s, seed
        self._training = {name.strip() for name in training_folds.split(",") if name.strip()}

    def clips(self, root: Path) -> list[Clip]:
        """Return training clips of one device each, and each test clip once per device.

        Raises:
            HearlessError: what the data set says of its own clips, an unknown fold, or clips shorter than a piece all.
        """
        sides = parts(self._inner.clips(Path(root)), self._fold)
        unknown = self._training - {clip.fold for clip in sides.train}
        if unknown:
            raise HearlessError(
                f"training_folds must be folds other than {self._fold}, got {', '.join(sorted(unknown))}."
            )
        train = [clip for clip in sides.train if not self._training or clip.fold in self._training]
        made = [*self._spread(train, "train"), *self._spread(sides.validation, "validation")]
        tested = self._pieces(sides.test)
        if not made or not tested:
            raise HearlessError(f"piece_s must leave pieces to train and to test, got {self._piece_s}; shorten it.")
        return made + [heard(clip, device, "test") for device in DEVICES for clip in tested]

    def _spread(self, clips: Sequence[Clip], split: str) -> list[Clip]:
        """Give each piece one device: the first shares of a seeded order are s1's, s2's and s3's."""
        pieces = self._pieces(clips)
        ranked = sorted(pieces, key=lambda clip: hashlib.sha256(f"{self._seed} {clip.id}".encode()).hexdigest())
        each = round(self._share * len(pieces))
        device = {clip.id: SEEN[rank // each] for rank, clip in enumerate(ranked[: each * len(SEEN)])}
        return [heard(clip, device.get(clip.id, SOURCE_DEVICE), split) for clip in pieces]

    def _pieces(self, clips: Sequence[Clip]) -> list[Clip]:
        return [piece for clip in clips for piece in cut(clip, self._piece_s)]


def heard(clip: Clip, device: str, split: str) -> Clip:
    """Return a clip of a device, of a split in place of its fold; ids differ by device."""
    return replace(clip, id=f"{clip.id}@{device}", device=device, split=split, fold=None, recording=clip.group)


def cut(clip: Clip, piece_s: float | None) -> Iterator[Clip]:
    """Cut a clip into whole pieces; None yields the clip itself."""
    if piece_s is None:
        yield clip
        return
    rest_s = audio.info(clip.path).duration_s - clip.start_s
    length_s = rest_s if clip.duration_s is None else min(clip.duration_s, rest_s)
    for number in range(int(length_s / piece_s + 1e-6)):
        start_s = clip.start_s + number * piece_s
        yield replace(clip, id=f"{clip.id}#{number}", start_s=start_s, duration_s=piece_s, recording=clip.group)
