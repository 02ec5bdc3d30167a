"""TAU Urban Acoustic Scenes 2019 Mobile, development set: ten scenes in ten-second files, three real devices.

Mesaros, Heittola, Virtanen (DCASE 2019, task 1B), Zenodo record 2589332; the second data set of paper 000.  Read in its
official layout: ``meta.csv``, ``evaluation_setup/fold1_{train,evaluate}.csv`` and ``audio/``, under the root or under
the folder that the archives unpack to.  Of its 16,560 segments (14,400 of device a, 1,080 each of b and c) fold 1 uses
10,265 for training (9,185 of a, 540 each of b and c) and 5,265 for testing (4,185, 540, 540); the other 1,030, all of
device a, are in no part, as published.

The challenge ranked by the mean accuracy on b and c; paper 000 does not say which devices its scores are of.  So a
report gives all devices, and `RANKED_DEVICES` apart: each clip carries its ``device``.

A clip's recording is its ``identifier``, the location in a city.  Should the published tables part one, each half
counts as a recording of its own, so that numbers compare; ``leak_free=True`` leaves its training clips out.

Checksums are the Zenodo record's, as public loaders state them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hearless.datasets._tau import LABELS, archive, fold_1, home, part_locations, require_complete
from hearless.interfaces import Clip, Remote

EXAMPLE: dict[str, Any] = {}

NAME = "TAU-urban-acoustic-scenes-2019-mobile-development"
RECORD = "https://zenodo.org/records/2589332"
N_TRAIN, N_TEST = 10_265, 5_265
"""Ten-second clips of fold 1."""

DEVICES = ("a", "b", "c")
RANKED_DEVICES = ("b", "c")
"""The devices whose mean accuracy the challenge ranked by; both are rare in training."""

CHECKSUMS = {
    "doc": "b69c1b456c4376b9760965b5d4bd7167", "meta": "9b2e36283882bf24be9817465d1e86cd",
    "audio.1": "6bf7607097b448745926994970260dbd", "audio.2": "54f9966def3768297a028f757fd217d5",
    "audio.3": "1daa259ede9ab2b83246f49bd2f4e547", "audio.4": "3a4c954dec030598ed5b9f0f2415024d",
    "audio.5": "1f6b9e0b8c5699946466fe31fb795e68", "audio.6": "a857f69cbbeb56fcf123d5f0bc322786",
    "audio.7": "adf9802b1f46f6ce5f9f668cd5be8a1b", "audio.8": "97134c6cdacc856652368997202ef06f",
    "audio.9": "3caaed1a238354e9a885318e222fa77a", "audio.10": "3bd9d1fe203111aa164d22707fbbc9f6",
    "audio.11": "93f3dfbcdfce06d43cc3131ee712ba38",
}  # fmt: skip
"""MD5 of the record's archives."""


class TAU2019Mobile:
    """The official fold 1.  Clips come in splits (train, test); the fold is called ``"split"``.

    Args:
        leak_free: leave out the training clips of locations that are tested.
        complete: refuse a table whose parts are not the official 10,265 and 5,265 clips.
    """

    def __init__(self, *, leak_free: bool = False, complete: bool = False) -> None:
        self.labels: tuple[str, ...] | None = LABELS
        self.multi_label: bool | None = False
        self.licence = "Tampere University's own: free for non-commercial academic use, with acknowledgement"
        self.source = RECORD
        self.remotes: tuple[Remote, ...] = tuple(archive(RECORD, NAME, part, md5) for part, md5 in CHECKSUMS.items())
        self._leak_free, self._complete = leak_free, complete

    def clips(self, root: Path) -> list[Clip]:
        """Return the clips of fold 1's two parts, in the parts' order.

        Raises:
            HearlessError: no table (says how to get the data), or lists all that is wrong with the tables.
        """
        folder = home(Path(root), NAME, "TAU 2019 Mobile", RECORD)
        clips = fold_1(folder, DEVICES, RECORD)
        if self._complete:
            require_complete(folder, clips, N_TRAIN, N_TEST, RECORD)
        return part_locations(clips, leak_free=self._leak_free)
