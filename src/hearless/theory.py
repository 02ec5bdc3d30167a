"""What two networks share, which bands a decision uses, and what soft labels say beyond hard ones: plain arrays.

Linear centred kernel alignment (CKA): Kornblith et al., "Similarity of neural network representations revisited" (ICML
2019); over minibatches with the unbiased estimator of Song et al. (2012), as Nguyen et al., "Do wide and deep networks
learn the same things?" (ICLR 2021) average it.  Dark knowledge: Hinton, Vinyals, Dean (2015).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearless.interfaces import HearlessError

Array = NDArray[Any]

FEWEST_CLIPS = 4
"""The unbiased estimator needs so many clips in a batch."""


def gram(x: Array) -> Array:
    """Return the inner products ``[clip, clip]`` of representations ``[clip, …]``, in double precision."""
    flat = x.reshape(len(x), -1).astype(np.float64)
    products: Array = flat @ flat.T
    return products


def linear_cka(x: Array, y: Array) -> float:
    """Return the linear CKA of two representations ``[clip, …]`` of the same clips: 0 … 1, NaN where one is constant.

    It is the same after any rotation, any scaling and any shift of one of them.

    Raises:
        HearlessError: not the same clips, or fewer than two.
    """
    _check_paired(x, y, 2)
    k, ell = (_centred(gram(one - one.mean(0))) for one in (x, y))
    norms = np.sqrt((k * k).sum() * (ell * ell).sum())
    return float((k * ell).sum() / norms) if norms > 0 else float("nan")


def _centred(k: Array) -> Array:
    centred: Array = k - k.mean(0) - k.mean(1)[:, None] + k.mean()
    return centred


def unbiased_hsic(k: Array, ell: Array) -> float:
    """Return the unbiased estimate of HSIC from two grams ``[clip, clip]`` (Song et al., 2012, eq. 5).

    Raises:
        HearlessError: grams of different clips, or fewer than four.
    """
    _check_paired(k, ell, FEWEST_CLIPS)
    n = len(k)
    k, ell = (one * (1 - np.eye(n)) for one in (k, ell))
    both = (k * ell).sum() + k.sum() * ell.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (k.sum(0) @ ell.sum(0))
    return float(both / (n * (n - 3)))


@dataclass
class BatchedCKA:
    """CKA between the layers of two networks, gathered batch by batch.

    Memory is that of one batch's maps; the estimate is of the whole set, but for its noise.
    """

    cross: dict[tuple[str, str], float] = field(default_factory=dict)
    own: dict[tuple[int, str], float] = field(default_factory=dict)
    n_clips: int = 0

    def add(self, first: Mapping[str, Array], second: Mapping[str, Array]) -> None:
        """Take a batch: what leaves each layer of either network, ``[clip, …]``.

        A last batch of fewer than four clips is left out.
        """
        grams = [{name: gram(x - x.mean(0)) for name, x in maps.items()} for maps in (first, second)]
        n = len(next(iter(grams[0].values())))
        if n < FEWEST_CLIPS:
            return
        self.n_clips += n
        for side, found in enumerate(grams):
            for name, k in found.items():
                self.own[side, name] = self.own.get((side, name), 0.0) + unbiased_hsic(k, k)
        for a, k in grams[0].items():
            for b, ell in grams[1].items():
                self.cross[a, b] = self.cross.get((a, b), 0.0) + unbiased_hsic(k, ell)

    def value(self, first: str, second: str) -> float:
        """Return the CKA of two layers; NaN where one of them is constant."""
        squared = self.own[0, first] * self.own[1, second]
        return float(self.cross[first, second] / np.sqrt(squared)) if squared > 0 else float("nan")

    def matrix(self) -> tuple[tuple[str, ...], tuple[str, ...], Array]:
        """Return the layers of both networks and ``[first, second]``."""
        a, b = (tuple(name for side, name in self.own if side == which) for which in (0, 1))
        return a, b, np.array([[self.value(one, other) for other in b] for one in a])


def band_groups(n_bands: int, n_groups: int) -> list[tuple[int, int]]:
    """Return contiguous groups of bands ``(first, last + 1)``, as equal as can be, from low to high.

    Raises:
        HearlessError: no group, or more than there are bands.
    """
    if not 1 <= n_groups <= n_bands:
        raise HearlessError(f"groups must number 1 to {n_bands}, one band each at most, got {n_groups}.")
    edges = np.linspace(0, n_bands, n_groups + 1).round().astype(int).tolist()
    return list(pairwise(edges))


def softened(logits: Array, temperature: float = 1.0) -> Array:
    """Return the class probabilities ``[clip, class]`` of logits over a temperature."""
    if temperature <= 0:
        raise HearlessError(f"temperature must be above 0, got {temperature}.")
    scaled = np.asarray(logits, np.float64) / temperature
    raised = np.exp(scaled - scaled.max(-1, keepdims=True))
    shares: Array = raised / raised.sum(-1, keepdims=True)
    return shares


def entropy_bits(shares: Array) -> Array:
    """Return the entropy ``[clip]`` in bits of probabilities ``[clip, class]``: 0 for a hard label."""
    found: Array = -(shares * np.log2(np.clip(shares, 1e-300, None))).sum(-1)
    return np.maximum(found, 0.0)


def runner_up(shares: Array, true: Array) -> Array:
    """Return for each clip the class ``[clip]`` that has most of the mass beside the true one."""
    others = np.array(shares, np.float64)
    others[np.arange(len(others)), true] = -np.inf
    found: Array = others.argmax(-1)
    return found


def dark_knowledge(true: Array, shares: Array) -> Array:
    """Return where the mass beside the true class goes, ``[true class, class]``: rows sum to 1, their diagonal is 0.

    Rows of classes without a clip, or without such mass, are NaN.
    """
    return _profile(np.asarray(true), np.array(shares, np.float64))


def confusions(true: Array, said: Array, n_classes: int) -> Array:
    """Return which classes errors go to, ``[true class, class]``: as `dark_knowledge`, of decisions ``[clip]``."""
    return _profile(np.asarray(true), np.eye(n_classes)[said])


def _profile(true: Array, mass: Array) -> Array:
    n_classes = mass.shape[1]
    mass[np.arange(len(mass)), true] = 0.0
    summed = np.stack([mass[true == c].sum(0) for c in range(n_classes)])
    total = summed.sum(1, keepdims=True)
    profile: Array = np.divide(summed, total, out=np.full_like(summed, np.nan), where=total > 0)
    return profile


def profile_correlation(one: Array, other: Array) -> float:
    """Return Pearson's correlation of two profiles ``[true class, class]`` off their diagonals, over rows both have.

    NaN where no row is left or nothing varies.
    """
    off = ~np.eye(len(one), dtype=bool) & np.isfinite(one) & np.isfinite(other)
    a, b = one[off], other[off]
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def mutual_information_bits(a: Array, b: Array) -> float:
    """Return the mutual information in bits of two labelings ``[clip]`` from their counts; 0 where there is no clip."""
    if len(a) != len(b):
        raise HearlessError(f"both labelings must be of the same clips, got {len(a)} and {len(b)}.")
    if not len(a):
        return 0.0
    rows, columns = (np.unique(one, return_inverse=True)[1] for one in (a, b))
    joint = np.zeros((rows.max() + 1, columns.max() + 1))
    np.add.at(joint, (rows, columns), 1 / len(a))
    apart = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    return float((joint[joint > 0] * np.log2(joint[joint > 0] / apart[joint > 0])).sum())


def excess_information_bits(a: Array, b: Array, rng: np.random.Generator, n_shuffles: int = 200) -> float:
    """Return the mutual information less its mean over shuffles of one labeling: what few clips fake is taken off."""
    faked = [mutual_information_bits(a, rng.permutation(b)) for _ in range(n_shuffles)]
    return mutual_information_bits(a, b) - float(np.mean(faked))


def _check_paired(x: Array, y: Array, fewest: int) -> None:
    if len(x) != len(y) or len(x) < fewest:
        raise HearlessError(
            f"both representations must be of the same {fewest} clips or more, got {len(x)} and {len(y)}."
        )
