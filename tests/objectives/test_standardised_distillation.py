"""Standardised distillation against scipy, a value by hand, its laws, its edges, and wrong input."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, rel_entr, softmax
from scipy.stats import zscore

from hearless.interfaces import HearlessError, Prediction
from hearless.objectives._terms import standardise
from hearless.objectives.standardised_distillation import StandardisedDistillation, standardised_distillation_loss

RNG = np.random.default_rng(6)
STUDENT = torch.from_numpy(RNG.normal(1, 3, (6, 5)))
TEACHER = torch.from_numpy(RNG.normal(-2, 9, (6, 5)))
CLASSES = [0, 3, 1, 4, 2, 0]
TARGET = torch.eye(5, dtype=torch.float64)[CLASSES]
WEIGHT = torch.tensor([1.0, 2.0, 0.5, 0.0, 3.0, 1.0], dtype=torch.float64)


def prediction(logits: torch.Tensor) -> Prediction:
    return Prediction(logits, logits)


def soft_of(student: torch.Tensor, teacher: torch.Tensor, temperature: float = 2.0) -> float:
    """Return the soft term alone, of weight 1."""
    return standardised_distillation_loss(student, teacher, TARGET, temperature, soft_weight=1.0)["soft"].item()


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_it_is_the_formula_in_scipy(temperature: float) -> None:
    objective = StandardisedDistillation(temperature=temperature, soft_weight=3.0, hard_weight=0.2)
    terms = objective(prediction(STUDENT), prediction(TEACHER), TARGET, WEIGHT)
    p, q = (softmax(zscore(z.numpy(), axis=-1, ddof=0) / temperature, -1) for z in (TEACHER, STUDENT))
    hard = -log_softmax(STUDENT.numpy(), -1)[range(6), CLASSES]
    soft = 3 * temperature**2 * np.average(rel_entr(p, q).sum(-1), weights=WEIGHT)
    assert list(terms) == ["hard", "soft"]
    assert terms["hard"].item() == pytest.approx(0.2 * np.average(hard, weights=WEIGHT), rel=1e-12)
    assert terms["soft"].item() == pytest.approx(soft, rel=1e-11)


def test_a_value_by_hand() -> None:
    """Of two classes any logits standardise to (1, -1) or (-1, 1): opposed at T 2, the divergence is tanh(1/2)."""
    soft = standardised_distillation_loss(
        torch.tensor([[-3.0, 9.0]]), torch.tensor([[0.2, 0.1]]), torch.eye(2)[:1], 2.0, soft_weight=1.0, hard_weight=0.0
    )
    assert list(soft) == ["soft"]
    assert soft["soft"].item() == pytest.approx(4 * math.tanh(0.5), rel=1e-5)


def test_the_defaults_are_the_papers() -> None:
    made = StandardisedDistillation()
    assert (made.temperature, made.soft_weight, made.hard_weight) == (2.0, 9.0, 0.1)


def test_scale_and_offset_of_either_do_not_count() -> None:
    scale, offset = torch.rand(2, 6, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 9 + 0.1
    plain = soft_of(STUDENT, TEACHER)
    assert plain > 0.1
    assert soft_of(scale * STUDENT + offset, TEACHER) == pytest.approx(plain, rel=1e-10)
    assert soft_of(STUDENT, scale * TEACHER - offset) == pytest.approx(plain, rel=1e-10)


def test_an_affine_copy_of_the_teacher_costs_nothing() -> None:
    assert abs(soft_of(0.01 * TEACHER + 4.0, TEACHER)) < 1e-12


def test_standardised_rows_have_mean_0_and_deviation_1() -> None:
    z = standardise(STUDENT, torch.full((5,), 0.2, dtype=torch.float64), -1)
    torch.testing.assert_close(z.mean(-1), torch.zeros(6).double())
    torch.testing.assert_close(z.square().mean(-1), torch.ones(6).double())


def test_no_gradient_reaches_the_teacher() -> None:
    student, teacher = STUDENT.clone().requires_grad_(), TEACHER.clone().requires_grad_()
    torch.stack(list(standardised_distillation_loss(student, teacher, TARGET, 2.0).values())).sum().backward()
    assert teacher.grad is None
    assert student.grad is not None
    assert student.grad.abs().max() > 0


def test_gradients_are_those_of_finite_differences() -> None:
    def loss(student: torch.Tensor) -> torch.Tensor:
        return torch.stack(list(standardised_distillation_loss(student, TEACHER, TARGET, 2.0, WEIGHT).values()))

    assert torch.autograd.gradcheck(loss, STUDENT.clone().requires_grad_())


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6, 1e-30])
def test_equal_logits_are_even_and_have_no_gradient(value: float) -> None:
    student = torch.full((6, 5), value).requires_grad_()
    terms = standardised_distillation_loss(student, TEACHER.float(), TARGET.float(), 2.0, hard_weight=0.0)
    terms["soft"].backward()
    p = softmax(zscore(TEACHER.numpy(), axis=-1) / 2, -1)
    assert terms["soft"].item() == pytest.approx(9 * 4 * rel_entr(p, 0.2).sum(-1).mean(), rel=1e-5)
    assert student.grad is not None
    assert not student.grad.any()


@pytest.mark.parametrize("scale", [1e-25, 1e-3, 1e25])
def test_extreme_logits_stay_finite_in_single_precision(scale: float) -> None:
    student = (scale * STUDENT).float().requires_grad_()
    soft = standardised_distillation_loss(student, TEACHER.float(), TARGET.float(), 2.0, soft_weight=1.0)["soft"]
    soft.backward()
    assert soft.dtype == torch.float32
    assert soft.item() == pytest.approx(soft_of(STUDENT, TEACHER), rel=1e-4)
    assert student.grad is not None
    assert student.grad.isfinite().all()


def test_a_batch_of_one_is_its_clips_own() -> None:
    alone = [standardised_distillation_loss(STUDENT[i : i + 1], TEACHER[i : i + 1], TARGET[i : i + 1], 2.0)["soft"]
             for i in range(6)]  # fmt: skip
    together = standardised_distillation_loss(STUDENT, TEACHER, TARGET, 2.0)["soft"]
    torch.testing.assert_close(together, torch.stack(alone).mean())


def test_a_missing_or_ill_fitting_teacher_is_refused() -> None:
    with pytest.raises(HearlessError, match="StandardisedDistillation needs a teacher and got None"):
        StandardisedDistillation().bind(prediction(STUDENT), None)
    with pytest.raises(HearlessError, match=r"StandardisedDistillation: .*got 5 from the student and 3"):
        StandardisedDistillation().bind(prediction(STUDENT), prediction(TEACHER[:, :3]))
    with pytest.raises(HearlessError, match="StandardisedDistillation: the target must be a float tensor"):
        standardised_distillation_loss(STUDENT, TEACHER, torch.tensor(CLASSES), 2.0)


@pytest.mark.parametrize("argument", ["soft_weight", "hard_weight"])
@pytest.mark.parametrize("value", [-0.1, float("inf"), float("nan")])
def test_weights_are_0_or_more_and_finite(argument: str, value: float) -> None:
    wrong: dict[str, Any] = {argument: value}
    with pytest.raises(HearlessError, match=f"{argument} must be 0 or more and finite, got {value}"):
        StandardisedDistillation(**wrong)


def test_temperature_is_above_0() -> None:
    with pytest.raises(HearlessError, match=r"temperature must be above 0 and finite, got -1\.0"):
        StandardisedDistillation(temperature=-1.0)
