"""DIST against scipy's Pearson, a value by hand, its laws, constant rows and columns, and wrong input."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from scipy.stats import pearsonr

from hearless.interfaces import HearlessError, Prediction
from hearless.objectives.dist import DIST, correlation_distance, dist_loss

RNG = np.random.default_rng(7)
STUDENT = torch.from_numpy(RNG.normal(0, 3, (6, 5)))
TEACHER = torch.from_numpy(RNG.normal(0, 3, (6, 5)))
CLASSES = [0, 3, 1, 4, 2, 0]
TARGET = torch.eye(5, dtype=torch.float64)[CLASSES]
WEIGHT = torch.tensor([1.0, 2.0, 3.0, 0.0, 3.0, 1.0], dtype=torch.float64)
EVEN = torch.full((6, 1), 1 / 6, dtype=torch.float64)


def prediction(logits: torch.Tensor) -> Prediction:
    return Prediction(logits, logits)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_it_is_scipys_pearson(temperature: float) -> None:
    objective = DIST(alpha=0.5, beta=2.0, gamma=3.0, temperature=temperature)
    terms = objective(prediction(STUDENT), prediction(TEACHER), TARGET, torch.ones(6))
    q, p = (softmax(z.numpy() / temperature, -1) for z in (STUDENT, TEACHER))
    inter = np.mean([1 - pearsonr(q[i], p[i])[0] for i in range(6)])
    intra = np.mean([1 - pearsonr(q[:, j], p[:, j])[0] for j in range(5)])
    assert list(terms) == ["hard", "inter", "intra"]
    assert terms["hard"].item() == pytest.approx(-0.5 * log_softmax(STUDENT, -1)[range(6), CLASSES].mean(), rel=1e-12)
    assert terms["inter"].item() == pytest.approx(2 * inter, rel=1e-12)
    assert terms["intra"].item() == pytest.approx(3 * intra, rel=1e-12)


def test_a_clip_of_weight_n_is_n_clips() -> None:
    terms = dist_loss(STUDENT, TEACHER, TARGET, 1.0, 2.0, 2.0, 1.0, WEIGHT)
    copies = torch.repeat_interleave(torch.arange(6), WEIGHT.long())
    several = dist_loss(STUDENT[copies], TEACHER[copies], TARGET[copies], 1.0, 2.0, 2.0, 1.0)
    torch.testing.assert_close(terms, several)


def test_a_value_by_hand() -> None:
    """(1, 2, 3) and (1, 3, 2) correlate by a half, whatever their scale."""
    taught, told = torch.tensor([1.0, 2.0, 3.0]).double(), torch.tensor([1.0, 3.0, 2.0]).double()
    found = correlation_distance(5 * told - 1, taught / 9, torch.full((3,), 1 / 3).double(), 0)
    assert found.item() == pytest.approx(0.5, rel=1e-6)


def test_correlation_is_blind_to_positive_scale_and_offset() -> None:
    plain = correlation_distance(STUDENT, TEACHER, EVEN, 0)
    torch.testing.assert_close(correlation_distance(0.3 * STUDENT + 8, 40 * TEACHER - 2, EVEN, 0), plain)
    torch.testing.assert_close(correlation_distance(-STUDENT, TEACHER, EVEN, 0), 2 - plain)


def test_a_copy_of_the_teacher_costs_nothing_whatever_its_offset() -> None:
    terms = dist_loss(TEACHER + 7.0, TEACHER, TARGET, 1.0, 2.0, 2.0, 4.0)
    assert abs(terms["inter"].item()) < 1e-12
    assert abs(terms["intra"].item()) < 1e-12
    assert dist_loss(STUDENT, TEACHER, TARGET, 1.0, 2.0, 2.0, 4.0)["inter"].item() > 0.1


def test_hot_it_correlates_logits_without_shrinking() -> None:
    student = STUDENT.clone().requires_grad_()
    inter = dist_loss(student, TEACHER, TARGET, 1.0, 1.0, 0.0, 1e5)["inter"]
    inter.backward()
    assert inter.item() == pytest.approx(np.mean([1 - pearsonr(STUDENT[i], TEACHER[i])[0] for i in range(6)]), rel=1e-3)
    assert student.grad is not None
    assert student.grad.abs().max() > 1e-3


def test_no_gradient_reaches_the_teacher() -> None:
    student, teacher = STUDENT.clone().requires_grad_(), TEACHER.clone().requires_grad_()
    torch.stack(list(dist_loss(student, teacher, TARGET, 1.0, 2.0, 2.0, 1.0).values())).sum().backward()
    assert teacher.grad is None
    assert student.grad is not None
    assert student.grad.abs().max() > 0


def test_gradients_are_those_of_finite_differences() -> None:
    def loss(student: torch.Tensor) -> torch.Tensor:
        return torch.stack(list(dist_loss(student, TEACHER, TARGET, 1.0, 2.0, 2.0, 1.0, WEIGHT).values()))

    assert torch.autograd.gradcheck(loss, STUDENT.clone().requires_grad_())


@pytest.mark.parametrize("value", [0.0, 0.3])
def test_a_student_without_a_view_costs_1_and_has_no_gradient(value: float) -> None:
    student = torch.full((6, 5), value).requires_grad_()
    terms = dist_loss(student, TEACHER.float(), TARGET.float(), 0.0, 1.0, 1.0, 1.0)
    (terms["inter"] + terms["intra"]).backward()
    assert list(terms) == ["inter", "intra"]
    assert terms["inter"].item() == pytest.approx(1.0, rel=1e-6)
    assert terms["intra"].item() == pytest.approx(1.0, rel=1e-6)
    assert student.grad is not None
    assert not student.grad.any()


def test_a_teacher_without_a_view_costs_nothing() -> None:
    for said in (torch.zeros(6, 5), torch.full((6, 5), 0.3)):
        terms = dist_loss(STUDENT.float(), said, TARGET.float(), 1.0, 2.0, 2.0, 1.0)
        assert terms["inter"].item() == terms["intra"].item() == 0.0


def test_identical_clips_hold_no_relation_between_clips() -> None:
    student, teacher = STUDENT[:1].expand(6, 5).float(), TEACHER[:1].expand(6, 5).float()
    terms = dist_loss(student, teacher, TARGET.float(), 1.0, 2.0, 2.0, 1.0)
    assert terms["intra"].item() == 0.0
    assert terms["inter"].item() == pytest.approx(
        2 * (1 - pearsonr(softmax(STUDENT[0]), softmax(TEACHER[0]))[0]), rel=1e-5
    )


def test_a_batch_of_one_has_the_relation_between_classes_alone() -> None:
    student = STUDENT[:1].clone().requires_grad_()
    terms = dist_loss(student, TEACHER[:1], TARGET[:1], 1.0, 2.0, 2.0, 1.0)
    torch.stack(list(terms.values())).sum().backward()
    assert terms["intra"].item() == 0.0
    assert terms["inter"].item() > 0.1
    assert student.grad is not None
    assert student.grad.isfinite().all()


@pytest.mark.parametrize("gap", [30.0, 80.0, 92.0, 95.0, 120.0, 1e4])
@pytest.mark.parametrize("surest", [TARGET, TARGET[:1].expand(6, 5)])
def test_one_class_dominating_stays_finite_in_single_precision(gap: float, surest: torch.Tensor) -> None:
    student = (gap * surest + STUDENT).float().requires_grad_()
    terms = dist_loss(student, (gap * surest.flip(-1) + TEACHER).float(), TARGET.float(), 1.0, 2.0, 2.0, 1.0)
    torch.stack(list(terms.values())).sum().backward()
    assert all(math.isfinite(term.item()) for term in terms.values())
    assert student.grad is not None
    assert student.grad.isfinite().all()
    assert student.grad.abs().max() < 10.0


def test_a_batch_that_weighs_nothing_costs_nothing() -> None:
    terms = dist_loss(STUDENT, TEACHER, TARGET, 1.0, 2.0, 2.0, 1.0, torch.zeros(6))
    assert [term.item() for term in terms.values()] == [0.0, 0.0, 0.0]


def test_a_missing_or_ill_fitting_teacher_is_refused() -> None:
    with pytest.raises(HearlessError, match="DIST needs a teacher and got None"):
        DIST().bind(prediction(STUDENT), None)
    with pytest.raises(HearlessError, match=r"DIST: .*got 5 from the student and 3 from the teacher"):
        DIST().bind(prediction(STUDENT), prediction(TEACHER[:, :3]))
    with pytest.raises(HearlessError, match="DIST: the weight must have one number per clip"):
        dist_loss(STUDENT, TEACHER, TARGET, 1.0, 2.0, 2.0, 1.0, torch.ones(5))


@pytest.mark.parametrize("argument", ["alpha", "beta", "gamma"])
@pytest.mark.parametrize("value", [-0.1, float("inf"), float("nan")])
def test_weights_are_0_or_more_and_finite(argument: str, value: float) -> None:
    wrong: dict[str, Any] = {argument: value}
    with pytest.raises(HearlessError, match=f"DIST: {argument} must be 0 or more and finite, got {value}"):
        DIST(**wrong)


def test_temperature_is_above_0() -> None:
    with pytest.raises(HearlessError, match=r"DIST: temperature must be above 0 and finite, got 0\.0"):
        DIST(temperature=0.0)
