"""Cross entropy against torch and numpy, its laws, and wrong input."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from hearless.interfaces import HearlessError, Prediction
from hearless.objectives.cross_entropy import CrossEntropy, cross_entropy_loss

RNG = np.random.default_rng(0)
LOGITS = torch.from_numpy(RNG.normal(0, 3, (6, 4)))
CLASSES = torch.tensor([0, 3, 1, 1, 2, 0])
TARGET = torch.nn.functional.one_hot(CLASSES, 4).double()
MIXED = 0.3 * TARGET + 0.7 * TARGET.flip(0)
WEIGHT = torch.tensor([1.0, 2.0, 0.5, 0.0, 3.0, 1.0])


def loss(target=TARGET, weight=None, **arguments):
    weight = torch.ones(6) if weight is None else weight
    (term,) = CrossEntropy(**arguments)(Prediction(LOGITS, LOGITS), None, target, weight).values()
    return term


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_it_is_torchs_on_class_numbers(label_smoothing):
    theirs = torch.nn.CrossEntropyLoss(label_smoothing=label_smoothing)(LOGITS, CLASSES)
    torch.testing.assert_close(loss(label_smoothing=label_smoothing), theirs)


def test_mixed_targets_and_weights_against_numpy():
    losses = -(MIXED.numpy() * log_softmax(LOGITS.numpy(), axis=-1)).sum(-1)
    expected = (losses * WEIGHT.numpy()).sum() / WEIGHT.numpy().sum()
    assert loss(MIXED, WEIGHT).item() == pytest.approx(expected, rel=1e-12)


def test_a_weight_counts_a_clip_that_often():
    times = torch.tensor([1, 2, 0, 3, 1, 1])
    repeated = cross_entropy_loss(LOGITS.repeat_interleave(times, 0), TARGET.repeat_interleave(times, 0))
    torch.testing.assert_close(loss(weight=times.float()), repeated)


def test_the_scale_of_the_weights_is_free_and_zero_weights_cost_nothing():
    torch.testing.assert_close(loss(weight=WEIGHT * 100), loss(weight=WEIGHT))
    assert loss(weight=torch.zeros(6)).item() == 0.0


def test_half_precision_weights_of_single_precision_clips():
    half = cross_entropy_loss(LOGITS.float(), TARGET.float(), weight=WEIGHT.half())
    torch.testing.assert_close(half, loss(weight=WEIGHT).float())


def test_class_numbers_are_refused():
    with pytest.raises(
        HearlessError, match=r"target must be a float tensor .* \(6, 4\), got torch.int64 \(6,\); .*one-hot"
    ):
        loss(CLASSES)


def test_one_weight_per_class_is_refused():
    with pytest.raises(HearlessError, match=r"one number per clip, \(6,\), got \(4,\)"):
        loss(weight=torch.ones(4))


@pytest.mark.parametrize("value", [-0.1, 1.0, float("nan")])
def test_label_smoothing_lies_in_0_to_1(value):
    with pytest.raises(HearlessError, match=f"label_smoothing must lie in 0..1, 1 excluded, got {value}"):
        CrossEntropy(label_smoothing=value)
