"""Binary cross entropy against torch and scikit-learn, its laws, and wrong input."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn.metrics import log_loss

from hearless.interfaces import HearlessError, Prediction
from hearless.objectives.binary_cross_entropy import BinaryCrossEntropy, binary_cross_entropy_loss

RNG = np.random.default_rng(1)
LOGITS = torch.from_numpy(RNG.normal(0, 3, (6, 4)))
TARGET = torch.from_numpy(RNG.integers(0, 2, (6, 4)).astype(float))
WEIGHT = torch.tensor([1.0, 2.0, 0.5, 0.0, 3.0, 1.0])


def loss(target=TARGET, weight=None):
    weight = torch.ones(6) if weight is None else weight
    (term,) = BinaryCrossEntropy()(Prediction(LOGITS, LOGITS), None, target, weight).values()
    return term


def test_it_is_the_binary_cross_entropy_of_the_sigmoids():
    torch.testing.assert_close(loss(), torch.nn.BCELoss()(torch.sigmoid(LOGITS), TARGET))


def test_weights_against_scikit_learn():
    per_clip = [log_loss(t, expit(x), labels=[0, 1]) for t, x in zip(TARGET.numpy(), LOGITS.numpy(), strict=True)]
    assert loss(weight=WEIGHT).item() == pytest.approx(np.average(per_clip, weights=WEIGHT.numpy()), rel=1e-12)


def test_the_gradient_is_sigmoid_less_target():
    logits = LOGITS.clone().requires_grad_()
    binary_cross_entropy_loss(logits, TARGET).backward()
    torch.testing.assert_close(logits.grad, (torch.sigmoid(LOGITS) - TARGET) / LOGITS.numel())


def test_huge_logits_stay_finite():
    wrong = binary_cross_entropy_loss(torch.full((1, 2), 1e4), torch.zeros(1, 2))
    assert wrong.item() == pytest.approx(1e4)


def test_a_target_of_another_shape_is_refused():
    with pytest.raises(HearlessError, match=r"BinaryCrossEntropy: the target .* \(6, 4\), got torch.float64 \(6, 3\)"):
        loss(TARGET[:, :3])
