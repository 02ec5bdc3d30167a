"""VID against scipy's Gaussian, a value by hand, what it learns, its parameters, and wrong input."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from scipy.stats import norm

from hearless.interfaces import HearlessError, Prediction
from hearless.objectives.variational_information import VariationalInformation, variational_information_loss

RNG = np.random.default_rng(11)
MEAN = torch.from_numpy(RNG.normal(0, 2, (6, 7)))
TEACHER = torch.from_numpy(RNG.normal(1, 2, (6, 7)))
VARIANCE = torch.from_numpy(RNG.uniform(0.1, 9, 7))
STUDENT = torch.from_numpy(RNG.normal(0, 2, (6, 4)))
LOGITS = torch.from_numpy(RNG.normal(0, 3, (6, 5)))
CLASSES = [0, 3, 1, 4, 2, 0]
TARGET = torch.eye(5, dtype=torch.float64)[CLASSES]
WEIGHT = torch.tensor([1.0, 2.0, 0.5, 0.0, 3.0, 1.0], dtype=torch.float64)


def prediction(embedding: torch.Tensor, logits: torch.Tensor = LOGITS) -> Prediction:
    return Prediction(logits.to(embedding), embedding)


def bound(student: torch.Tensor = STUDENT, teacher: torch.Tensor = TEACHER, **arguments: Any) -> VariationalInformation:
    torch.manual_seed(0)
    made = VariationalInformation(**arguments)
    made.bind(prediction(student), prediction(teacher))
    return made.double()


def test_it_is_scipys_gaussian_less_its_constant() -> None:
    found = variational_information_loss(MEAN, VARIANCE, TEACHER, WEIGHT)
    density = norm(MEAN.numpy(), np.sqrt(VARIANCE.numpy())).logpdf(TEACHER.numpy())
    expected = np.average(-density.mean(-1), weights=WEIGHT) - 0.5 * math.log(2 * math.pi)
    assert found.item() == pytest.approx(expected, rel=1e-12)


def test_the_modules_terms_are_the_formula_of_its_parameters() -> None:
    objective = bound(information_weight=3.0, hard_weight=0.5)
    terms = objective(prediction(STUDENT), prediction(TEACHER), TARGET, WEIGHT)
    state = {name: tensor.numpy() for name, tensor in objective.state_dict().items()}
    mean = STUDENT.numpy() @ state["regressor.weight"].T + state["regressor.bias"]
    deviation = np.sqrt(np.log1p(np.exp(state["raw_variance"])) + 1e-5)
    loss = np.log(deviation) + (TEACHER.numpy() - mean) ** 2 / (2 * deviation**2)
    hard = -log_softmax(LOGITS.numpy(), -1)[range(6), CLASSES]
    assert list(terms) == ["hard", "information"]
    assert terms["hard"].item() == pytest.approx(0.5 * np.average(hard, weights=WEIGHT), rel=1e-12)
    assert terms["information"].item() == pytest.approx(3 * np.average(loss.mean(-1), weights=WEIGHT), rel=1e-12)


def test_a_value_by_hand() -> None:
    """An error of 2 at a variance of 4 costs ln 2 + 1/2; none at a variance of 1 costs 0: on average half."""
    found = variational_information_loss(
        torch.tensor([[1.0, 5.0]]), torch.tensor([4.0, 1.0]), torch.tensor([[3.0, 5.0]])
    )
    assert found.item() == pytest.approx((math.log(2) + 0.5) / 2, rel=1e-6)


@pytest.mark.parametrize("variance", [1e-3, 1.0, 5.0, 1e4])
def test_variances_start_where_told(variance: float) -> None:
    _, found = bound(initial_variance=variance).tell(STUDENT)
    torch.testing.assert_close(found, torch.full((7,), variance).double(), rtol=1e-5, atol=0)


def test_a_student_that_tells_all_costs_the_variance_alone_whose_best_is_the_mean_square_error() -> None:
    assert variational_information_loss(TEACHER, torch.ones(7), TEACHER).item() == 0.0
    best = (MEAN - TEACHER).square().mean(0)
    least = variational_information_loss(MEAN, best, TEACHER)
    for factor in (0.8, 1.25):
        assert variational_information_loss(MEAN, factor * best, TEACHER) > least
    assert least.item() == pytest.approx(0.5 * best.log().mean().item() + 0.5, rel=1e-12)


def test_training_tells_what_can_be_told_and_doubts_the_rest() -> None:
    """A teacher whose first dimension is the student's sum and whose second is noise."""
    generator = torch.Generator().manual_seed(3)
    student = torch.randn(200, 3, generator=generator).double()
    teacher = torch.stack([student.sum(-1), 2 * torch.randn(200, generator=generator).double()], -1)
    objective = bound(student, teacher, hard_weight=0.0)
    optimiser = torch.optim.Adam(objective.parameters(), lr=0.05)
    target = torch.ones(200, 5).double() / 5
    says = Prediction(target, student), Prediction(target, teacher)
    for _ in range(300):
        optimiser.zero_grad()
        objective(*says, target, torch.ones(200))["information"].backward()
        optimiser.step()
    mean, variance = objective.tell(student)
    assert (mean[:, 0] - teacher[:, 0]).abs().max() < 0.1
    assert variance[0] < 0.01
    assert variance[1].item() == pytest.approx(teacher[:, 1].var().item(), rel=0.1)


def test_no_gradient_reaches_the_teacher() -> None:
    student, teacher = MEAN.clone().requires_grad_(), TEACHER.clone().requires_grad_()
    variational_information_loss(student, VARIANCE, teacher).backward()
    assert teacher.grad is None
    assert student.grad is not None
    assert student.grad.abs().max() > 0


def test_gradients_are_those_of_finite_differences() -> None:
    def loss(mean: torch.Tensor, raw: torch.Tensor) -> torch.Tensor:
        return variational_information_loss(mean, torch.nn.functional.softplus(raw) + 1e-5, TEACHER, WEIGHT)

    raw = torch.tensor([-3.0, -1.0, 0.0, 1.0, 2.0, 5.0, 30.0]).double()
    assert torch.autograd.gradcheck(loss, (MEAN.clone().requires_grad_(), raw.requires_grad_()))


def test_gradients_reach_student_map_and_variances_and_not_the_teacher() -> None:
    student, teacher = STUDENT.clone().requires_grad_(), TEACHER.clone().requires_grad_()
    objective = bound()
    torch.stack(list(objective(prediction(student), prediction(teacher), TARGET, WEIGHT).values())).sum().backward()
    assert teacher.grad is None
    assert student.grad is not None
    assert student.grad[WEIGHT > 0].abs().min() > 0
    assert not student.grad[WEIGHT == 0].any()
    assert [name for name, p in objective.named_parameters() if p.grad is not None and p.grad.any()] == [
        "raw_variance", "regressor.weight", "regressor.bias",
    ]  # fmt: skip


@pytest.mark.parametrize("raw", [-200.0, 200.0])
def test_extreme_variances_stay_finite_in_single_precision(raw: float) -> None:
    objective = bound().float()
    assert objective.raw_variance is not None
    torch.nn.init.constant_(objective.raw_variance, raw)
    terms = objective(prediction(STUDENT.float()), prediction(TEACHER.float()), TARGET.float(), WEIGHT.float())
    terms["information"].backward()
    assert terms["information"].dtype == torch.float32
    assert math.isfinite(terms["information"].item())
    assert all(p.grad is not None and p.grad.isfinite().all() for p in objective.parameters())


def test_the_same_seed_binds_the_same_and_a_checkpoint_restores() -> None:
    first, second, other = bound(), bound(), VariationalInformation(initial_variance=3.0)
    torch.testing.assert_close(first.state_dict(), second.state_dict(), rtol=0, atol=0)
    other.bind(prediction(STUDENT), prediction(TEACHER))
    other.double().load_state_dict(first.state_dict())
    says = prediction(STUDENT), prediction(TEACHER), TARGET, WEIGHT
    assert other(*says) == first(*says)


def test_a_teacher_of_other_classes_may_teach() -> None:
    objective = bound(hard_weight=0.0)
    teacher = prediction(TEACHER, torch.zeros(6, 527))
    assert list(objective(prediction(STUDENT), teacher, TARGET, WEIGHT)) == ["information"]


def test_it_must_be_bound_and_to_this_teacher() -> None:
    with pytest.raises(HearlessError, match="VariationalInformation must be bound before it is called"):
        VariationalInformation()(prediction(STUDENT), prediction(TEACHER), TARGET, WEIGHT)
    with pytest.raises(HearlessError, match=r"got \(6, 7\), \(6, 3\) and \(7,\); bind it to this teacher"):
        bound()(prediction(STUDENT), prediction(TEACHER[:, :3]), TARGET, WEIGHT)
    with pytest.raises(HearlessError, match=r"got \(6, 7\), \(6, 7\) and \(1,\)"):
        variational_information_loss(MEAN, VARIANCE[:1], TEACHER)


def test_a_missing_or_ill_fitting_teacher_is_refused() -> None:
    with pytest.raises(HearlessError, match="VariationalInformation needs a teacher and got None"):
        VariationalInformation().bind(prediction(STUDENT), None)
    with pytest.raises(HearlessError, match=r"of the same batch, got \(6, 4\) from the student and \(5, 7\)"):
        VariationalInformation().bind(prediction(STUDENT), prediction(TEACHER[:5]))


@pytest.mark.parametrize("argument", ["information_weight", "hard_weight"])
@pytest.mark.parametrize("value", [-0.1, float("inf"), float("nan")])
def test_weights_are_0_or_more_and_finite(argument: str, value: float) -> None:
    wrong: dict[str, Any] = {argument: value}
    with pytest.raises(HearlessError, match=f"{argument} must be 0 or more and finite, got {value}"):
        VariationalInformation(**wrong)


@pytest.mark.parametrize("value", [0.0, 1e-5, float("inf"), float("nan")])
def test_the_first_variance_is_above_the_least(value: float) -> None:
    with pytest.raises(HearlessError, match="initial_variance must be above 1e-05 and finite"):
        VariationalInformation(initial_variance=value)
