"""Multi-label distillation against torch and scipy, its limits and laws, and wrong input."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import expit
from scipy.stats import entropy

from hearless.interfaces import HearlessError, Prediction
from hearless.objectives.binary_distillation import BinaryDistillation, binary_distillation_loss

RNG = np.random.default_rng(3)
STUDENT = torch.from_numpy(RNG.normal(0, 3, (6, 5)))
TEACHER = torch.from_numpy(RNG.normal(0, 3, (6, 5)))
TARGET = torch.from_numpy(RNG.integers(0, 2, (6, 5)).astype(float))
WEIGHT = torch.tensor([1.0, 2.0, 0.5, 0.0, 3.0, 1.0], dtype=torch.float64)


def test_the_hard_term_is_torchs_and_the_soft_one_a_bernoulli_divergence():
    pair = Prediction(STUDENT, STUDENT), Prediction(TEACHER, TEACHER)
    terms = BinaryDistillation(alpha=0.3, temperature=2.0)(*pair, TARGET, WEIGHT)
    teacher, student = (np.stack([expit(x / 2), expit(-x / 2)]) for x in (TEACHER.numpy(), STUDENT.numpy()))
    divergence = entropy(teacher, student, axis=0).mean(-1)
    hard = torch.nn.BCEWithLogitsLoss(reduction="none")(STUDENT, TARGET).mean(-1).numpy()
    weight = WEIGHT.numpy()
    assert terms["hard"].item() == pytest.approx(0.3 * np.average(hard, weights=weight), rel=1e-12)
    assert terms["soft"].item() == pytest.approx(0.7 * 4 * np.average(divergence, weights=weight), rel=1e-9)


def test_the_soft_gradient_is_that_of_sigmoid_targets():
    student, plain = STUDENT.clone().requires_grad_(), STUDENT.clone().requires_grad_()
    binary_distillation_loss(student, TEACHER, TARGET, 0.0, 2.0)["soft"].backward()
    (4 * torch.nn.BCEWithLogitsLoss()(plain / 2, torch.sigmoid(TEACHER / 2))).backward()
    torch.testing.assert_close(student.grad, plain.grad)


def test_a_copy_of_the_teacher_costs_nothing():
    assert binary_distillation_loss(STUDENT, STUDENT, TARGET, 0.5, 4.0)["soft"].item() == 0.0
    assert binary_distillation_loss(STUDENT, -STUDENT, TARGET, 0.5, 4.0)["soft"].item() > 0.1


def test_two_classes_agree_with_self_distillations_softmax():
    halves = torch.stack([STUDENT, torch.zeros_like(STUDENT)], -1).flatten(0, 1)
    teacher = torch.stack([TEACHER, torch.zeros_like(TEACHER)], -1).flatten(0, 1)
    divergence = torch.nn.KLDivLoss(reduction="batchmean")(
        torch.log_softmax(halves / 3, -1), torch.softmax(teacher / 3, -1)
    )
    torch.testing.assert_close(binary_distillation_loss(STUDENT, TEACHER, TARGET, 0.0, 3.0)["soft"], 9 * divergence)


def test_hot_distillation_matches_logits():
    soft = binary_distillation_loss(STUDENT, TEACHER, TARGET, 0.0, 1e3)["soft"]
    assert soft.item() == pytest.approx((STUDENT - TEACHER).square().mean().item() / 8, rel=1e-3)


def test_alpha_1_turns_distillation_off_exactly():
    student, alone = STUDENT.clone().requires_grad_(), STUDENT.clone().requires_grad_()
    sum(binary_distillation_loss(student, TEACHER, TARGET, 1.0, 4.0).values()).backward()
    torch.nn.functional.binary_cross_entropy_with_logits(alone, TARGET, reduction="none").mean(-1).mean().backward()
    assert torch.equal(student.grad, alone.grad)


def test_no_gradient_reaches_the_teacher():
    teacher, student = TEACHER.clone().requires_grad_(), STUDENT.clone().requires_grad_()
    sum(binary_distillation_loss(student, teacher, TARGET, 0.5, 4.0).values()).backward()
    assert teacher.grad is None
    assert student.grad.abs().max() > 0


def test_a_missing_or_an_ill_fitting_teacher_is_refused():
    with pytest.raises(HearlessError, match="BinaryDistillation needs a teacher and got None"):
        BinaryDistillation().bind(Prediction(STUDENT, STUDENT), None)
    with pytest.raises(HearlessError, match="got 5 from the student and 2 from the teacher"):
        BinaryDistillation().bind(Prediction(STUDENT, STUDENT), Prediction(TEACHER[:, :2], TEACHER))


def test_alpha_and_temperature_are_checked():
    with pytest.raises(HearlessError, match=r"BinaryDistillation: alpha must lie in 0..1, got 2"):
        BinaryDistillation(alpha=2.0)
    with pytest.raises(HearlessError, match=r"BinaryDistillation: temperature must be above 0 and finite, got 0"):
        BinaryDistillation(temperature=0.0)
