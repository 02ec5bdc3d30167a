"""What a model needs of a log: no missing bands, and levels where its training clips' were."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from hearless.interfaces import HearlessError
from hearless.levels.checks import SILENT_DB
from hearless.levels.log import Block
from hearless.levels.tables import F32, F64


def interpolate(levels_db: F32) -> tuple[F32, NDArray[np.bool_]]:
    """Fill missing bands from their neighbours in the same row.

    Between two bands that are there the level goes linearly in dB over the band's number (its log frequency); outside
    them the nearest is repeated.  A row with no band at all stays NaN.

    Args:
        levels_db: ``[row, band]``, NaN where missing.

    Returns:
        Filled levels float32 ``[row, band]``, and which of them were missing.

    Raises:
        HearlessError: not ``[row, band]``.
    """
    if levels_db.ndim != 2:
        raise HearlessError(f"levels_db must be [row, band], got shape {levels_db.shape}.")
    missing = np.isnan(levels_db)
    n_bands = levels_db.shape[1]
    band = np.arange(n_bands)
    below = np.maximum.accumulate(np.where(missing, -1, band), axis=1)
    above = np.minimum.accumulate(np.where(missing, n_bands, band)[:, ::-1], axis=1)[:, ::-1]
    left, right = np.where(below < 0, above, below), np.where(above == n_bands, below, above)
    left, right = left.clip(0, n_bands - 1), right.clip(0, n_bands - 1)
    share = np.where(right > left, (band - left) / np.maximum(right - left, 1), 0.0)
    low, high = np.take_along_axis(levels_db, left, axis=1), np.take_along_axis(levels_db, right, axis=1)
    return np.where(missing, low + share * (high - low), levels_db).astype(np.float32), missing


def median_db(blocks: Iterable[Block]) -> F64:
    """Return each band's median level over a log, to 0.1 dB, in constant memory; NaN for a band that is missing."""
    counts: NDArray[np.int64] | None = None
    for block in blocks:
        counts = np.zeros((block.levels_db.shape[1], 4001), np.int64) if counts is None else counts
        row, band = np.nonzero(np.isfinite(block.levels_db))
        tenths = np.rint((block.levels_db[row, band] - SILENT_DB) * 10.0).clip(0, 4000).astype(np.int64)
        counts += np.bincount(band * 4001 + tenths, minlength=counts.size).reshape(counts.shape)
    if counts is None:
        raise HearlessError("median_db needs at least one block, got none.")
    reached = counts.cumsum(axis=1)
    tenth = (2 * reached >= reached[:, -1:]).argmax(axis=1)
    return np.where(reached[:, -1] > 0, SILENT_DB + tenth / 10.0, np.nan)


def estimated_offset_db(
    log_median_db: Sequence[float] | F64, training_median_db: Sequence[float] | F64
) -> tuple[float, str]:
    """Estimate what to add to a log so that its levels lie where the training clips' do.

    Args:
        log_median_db: the log's median level in each band (`median_db`), NaN where missing.
        training_median_db: the training clips', the same bands.

    Returns:
        The median over bands of the difference, and a sentence with the evidence for it.

    Raises:
        HearlessError: different numbers of bands, or none that both have.
    """
    log, training = np.asarray(log_median_db, np.float64), np.asarray(training_median_db, np.float64)
    if log.shape != training.shape or log.ndim != 1:
        raise HearlessError(f"medians must be of the same bands [band], got shapes {log.shape} and {training.shape}.")
    both = np.isfinite(log) & np.isfinite(training)
    if not both.any():
        raise HearlessError("medians must have a band in common, got none; give the dB offset instead.")
    differences = (training - log)[both]
    offset, (low, high) = float(np.median(differences)), np.percentile(differences, [25, 75])
    return offset, (
        f"offset {offset:+.1f} dB: over {int(both.sum())} bands the training clips' median level "
        f"({np.median(training[both]):.1f} dB) less the log's ({np.median(log[both]):.1f} dB); half of the bands lie "
        f"between {low:+.1f} and {high:+.1f} dB, all between {differences.min():+.1f} and {differences.max():+.1f} dB"
    )
