"""Pipeline + clips → predictions → measures → a study's table.

Measures carry 95 % intervals that resample source recordings.
"""

from __future__ import annotations

from hearless.evaluate.evaluated import Evaluated, correctness, on_same_clips, paired_test, shared
from hearless.evaluate.hearing import Explain, differences, noise_named, predictions
from hearless.evaluate.measuring import (
    AGREEMENT,
    CHOSEN_BY,
    SEEN,
    TRAINING_TIME,
    TRUST_UNITS,
    UNITS,
    UNSEEN,
    agreement,
    measures,
)
from hearless.evaluate.rows import costed, of_clips, per_device, report_row, spread, timed
from hearless.evaluate.tabulating import collapsed, names_one_class, tabulate
from hearless.evaluate.trusting import calibration_of, fitted, keep_calibration, trust

__all__ = [
    "AGREEMENT",
    "CHOSEN_BY",
    "SEEN",
    "TRAINING_TIME",
    "TRUST_UNITS",
    "UNITS",
    "UNSEEN",
    "Evaluated",
    "Explain",
    "agreement",
    "calibration_of",
    "collapsed",
    "correctness",
    "costed",
    "differences",
    "fitted",
    "keep_calibration",
    "measures",
    "names_one_class",
    "noise_named",
    "of_clips",
    "on_same_clips",
    "paired_test",
    "per_device",
    "predictions",
    "report_row",
    "shared",
    "spread",
    "tabulate",
    "timed",
    "trust",
]
