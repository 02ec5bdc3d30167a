"""Tf-KD against its formula in numpy, a value by hand, its tie to label smoothing, its laws, and wrong input."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, rel_entr, softmax

from hearless.interfaces import HearlessError, Prediction
from hearless.objectives.cross_entropy import cross_entropy_loss
from hearless.objectives.teacher_free import TeacherFree, teacher_free_loss, virtual_teacher

RNG = np.random.default_rng(10)
STUDENT = torch.from_numpy(RNG.normal(0, 3, (6, 5)))
CLASSES = [0, 3, 1, 4, 2, 0]
TARGET = torch.eye(5, dtype=torch.float64)[CLASSES]
WEIGHT = torch.tensor([1.0, 2.0, 0.5, 0.0, 3.0, 1.0], dtype=torch.float64)


def prediction(logits: torch.Tensor) -> Prediction:
    return Prediction(logits, logits)


@pytest.mark.parametrize(("alpha", "temperature", "confidence"), [(0.9, 20.0, 0.99), (0.0, 1.0, 0.9), (0.3, 6.0, 0.1)])
def test_it_is_the_formula_in_numpy(alpha: float, temperature: float, confidence: float) -> None:
    objective = TeacherFree(alpha=alpha, temperature=temperature, confidence=confidence)
    terms = objective(prediction(STUDENT), None, TARGET, WEIGHT)
    hard, soft = [], []
    for logits, c in zip(STUDENT.numpy(), CLASSES, strict=True):
        p = np.full(5, (1 - confidence) / 4)
        p[c] = confidence
        p = p ** (1 / temperature) / (p ** (1 / temperature)).sum()
        hard.append(-log_softmax(logits)[c])
        soft.append(temperature**2 * rel_entr(p, softmax(logits / temperature)).sum())
    assert list(terms) == ["hard", "soft"]
    assert terms["hard"].item() == pytest.approx(alpha * np.average(hard, weights=WEIGHT), rel=1e-12)
    assert terms["soft"].item() == pytest.approx((1 - alpha) * np.average(soft, weights=WEIGHT), rel=1e-10)


def test_a_value_by_hand() -> None:
    """A virtual (8/10, 1/10, 1/10) at T 3 is (2, 1, 1) / 4; an even student is off by ln 3 less 1.5 ln 2."""
    soft = teacher_free_loss(torch.zeros(1, 3).double(), torch.eye(3).double()[:1], 0.0, 3.0, 0.8)["soft"]
    assert soft.item() == pytest.approx(9 * (math.log(3) - 1.5 * math.log(2)), rel=1e-12)


def test_the_defaults_are_the_papers() -> None:
    made = TeacherFree()
    assert (made.alpha, made.temperature, made.confidence) == (0.9, 20.0, 0.99)
    assert made.needs_teacher is False


def test_the_virtual_teacher_is_a_law_also_for_mixed_clips() -> None:
    mixed = 0.7 * TARGET + 0.3 * TARGET.roll(1, -1)
    found = virtual_teacher(mixed, 0.9)
    torch.testing.assert_close(found.sum(-1), torch.ones(6).double())
    torch.testing.assert_close(
        found, 0.7 * virtual_teacher(TARGET, 0.9) + 0.3 * virtual_teacher(TARGET.roll(1, -1), 0.9)
    )


def test_at_temperature_1_its_gradient_is_label_smoothings() -> None:
    """An ε spread over all C classes leaves the target 1 - ε + ε / C: here alpha + (1 - alpha) * a."""
    student, smoothed = STUDENT.clone().requires_grad_(), STUDENT.clone().requires_grad_()
    torch.stack(list(teacher_free_loss(student, TARGET, 0.6, 1.0, 0.8, WEIGHT).values())).sum().backward()
    cross_entropy_loss(smoothed, TARGET, (1 - 0.6) * (1 - 0.8) * 5 / 4, WEIGHT).backward()
    torch.testing.assert_close(student.grad, smoothed.grad)


def test_a_copy_of_the_virtual_teacher_costs_nothing_at_any_temperature() -> None:
    student = virtual_teacher(TARGET, 0.99).log() + 7.0
    for temperature in (1.0, 20.0, 40.0):
        assert abs(teacher_free_loss(student, TARGET, 0.9, temperature, 0.99)["soft"].item()) < 1e-12


def test_alpha_1_is_cross_entropy_exactly() -> None:
    terms = teacher_free_loss(STUDENT, TARGET, 1.0, 20.0, 0.99, WEIGHT)
    assert terms["soft"].item() == 0.0
    assert terms["hard"] == cross_entropy_loss(STUDENT, TARGET, 0.0, WEIGHT)


def test_the_teacher_is_not_heard() -> None:
    said = [TeacherFree()(prediction(STUDENT), teacher, TARGET, WEIGHT) for teacher in (None, prediction(STUDENT * 9))]
    assert said[0] == said[1]


def test_a_clip_of_weight_0_is_not_heard() -> None:
    heard = WEIGHT > 0
    torch.testing.assert_close(
        teacher_free_loss(STUDENT, TARGET, 0.9, 20.0, 0.99, WEIGHT),
        teacher_free_loss(STUDENT[heard], TARGET[heard], 0.9, 20.0, 0.99, WEIGHT[heard]),
    )


def test_gradients_are_those_of_finite_differences() -> None:
    def loss(student: torch.Tensor) -> torch.Tensor:
        return torch.stack(list(teacher_free_loss(student, TARGET, 0.9, 20.0, 0.99, WEIGHT).values()))

    assert torch.autograd.gradcheck(loss, STUDENT.clone().requires_grad_())


@pytest.mark.parametrize("scale", [0.0, 1.0, 1e4])
def test_single_precision_is_close_to_double_whatever_dominates(scale: float) -> None:
    student = (scale * STUDENT).float().requires_grad_()
    double = teacher_free_loss(student.detach().double(), TARGET, 0.9, 20.0, 0.99)
    single = teacher_free_loss(student, TARGET.float(), 0.9, 20.0, 0.99)
    torch.stack(list(single.values())).sum().backward()
    for name, term in double.items():
        assert single[name].item() == pytest.approx(term.item(), rel=1e-4)
    assert student.grad is not None
    assert student.grad.isfinite().all()


@pytest.mark.parametrize("confidence", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_confidence_lies_between_0_and_1(confidence: float) -> None:
    with pytest.raises(HearlessError, match=f"confidence must lie between 0 and 1, got {confidence}"):
        TeacherFree(confidence=confidence)


def test_alpha_temperature_classes_and_target_are_checked() -> None:
    with pytest.raises(HearlessError, match=r"TeacherFree: alpha must lie in 0..1, got 1\.1"):
        TeacherFree(alpha=1.1)
    with pytest.raises(HearlessError, match=r"TeacherFree: temperature must be above 0 and finite, got 0\.0"):
        TeacherFree(temperature=0.0)
    with pytest.raises(HearlessError, match="TeacherFree: needs 2 classes or more, got 1"):
        teacher_free_loss(STUDENT[:, :1], TARGET[:, :1], 0.9, 20.0, 0.99)
    with pytest.raises(HearlessError, match="TeacherFree: the target must be a float tensor"):
        teacher_free_loss(STUDENT, torch.tensor(CLASSES), 0.9, 20.0, 0.99)
