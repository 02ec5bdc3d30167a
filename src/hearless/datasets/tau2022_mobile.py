"""TAU Urban Acoustic Scenes 2022 Mobile, development set: ten scenes, twelve cities, nine devices, one second a clip.

Heittola, Mesaros, Virtanen (DCASE 2020 and 2022), Zenodo record 6337421; the data of paper 004.  Read in its official
layout: ``meta.csv``, ``evaluation_setup/fold1_{train,evaluate}.csv`` and ``audio/``, under the root or under the folder
that the archives unpack to.  Of its 230,400 clips fold 1 uses 139,620 for training and 29,680 for testing; the other
61,100 are in no part, as published.  Devices a, b, c are real, s1 to s6 simulated; s4 to s6 are tested only.

A clip's recording is its ``identifier``, the location in a city.  The split is described as one by location.  Should
the published tables part one all the same, each half counts as a recording of its own, so that numbers compare;
``leak_free=True`` leaves its training clips out.

Checksums are the Zenodo record's, as public loaders state them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hearless.datasets._tau import LABELS, archive, fold_1, home, part_locations, require_complete
from hearless.interfaces import Clip, Remote

EXAMPLE: dict[str, Any] = {}

NAME = "TAU-urban-acoustic-scenes-2022-mobile-development"
RECORD = "https://zenodo.org/record/6337421"
N_TRAIN, N_TEST = 139_620, 29_680
"""One-second clips of fold 1."""

SEEN_DEVICES = ("a", "b", "c", "s1", "s2", "s3")
UNSEEN_DEVICES = ("s4", "s5", "s6")
META_MD5 = "419b6ff6570f1030730352dc80cd8d15"
AUDIO_MD5 = (
    "8be14bdbd844481dce059ab31fbd2239", "e821abda49b069248bb75eab39df7575", "9c7897f78bb42ca0008936daddf3f8f3",
    "53ec3e37c0fc0be75f53c5abbc5300b8", "528422c33c5d10263203d2c61cb1f3be", "4759a9465c903e13e57d5e82e791fc28",
    "6d545fc83a55a17856a9ccc1ac9aff6b", "3a2916a9b5d3f43cc7a22a62b180b0d9", "071f664c86639ad730f7be4e3c39d886",
    "e0839d019e9b77ecbcbb0eff85965530", "fc60f1c83726be3963ae14fbcb95eeb4", "02246547f86c0a814dc63ec65d7033bb",
    "88ae9ef884665140d1572d8061725e00", "c3f400d74ae90e5190dc518cde43de47", "85594c6fe4f91c10aa2a410f748103b8",
    "6e2df8438c69f6789414aeba8cbad9d8",
)  # fmt: skip


class TAU2022Mobile:
    """The official fold 1.  Clips come in splits (train, test); the fold is called ``"split"``.

    Args:
        leak_free: leave out the training clips of locations that are tested.
        complete: refuse a table whose parts are not the official 139,620 and 29,680 clips.
    """

    def __init__(self, *, leak_free: bool = False, complete: bool = False) -> None:
        self.labels: tuple[str, ...] | None = LABELS
        self.multi_label: bool | None = False
        self.licence = "Tampere University's own: free for non-commercial academic use, with acknowledgement"
        self.source = RECORD
        parts = [("meta", META_MD5), *((f"audio.{number}", md5) for number, md5 in enumerate(AUDIO_MD5, start=1))]
        self.remotes: tuple[Remote, ...] = tuple(archive(RECORD, NAME, part, md5) for part, md5 in parts)
        self._leak_free, self._complete = leak_free, complete

    def clips(self, root: Path) -> list[Clip]:
        """Return the clips of fold 1's two parts, in the parts' order.

        Raises:
            HearlessError: no table (says how to get the data), or lists all that is wrong with the tables.
        """
        folder = home(Path(root), NAME, "TAU 2022 Mobile", RECORD)
        clips = fold_1(folder, SEEN_DEVICES + UNSEEN_DEVICES, RECORD)
        if self._complete:
            require_complete(folder, clips, N_TRAIN, N_TEST, RECORD)
        return part_locations(clips, leak_free=self._leak_free)
