"""Hints against their formula, the identity and a linear teacher told exactly, their parameters, and wrong input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from torch import Tensor

from hearless.interfaces import HearlessError, Prediction
from hearless.objectives.hints import Hints, hint_loss

RNG = np.random.default_rng(13)
STUDENT = {"a": torch.from_numpy(RNG.normal(0, 2, (6, 3, 7, 5))), "b": torch.from_numpy(RNG.normal(1, 2, (6, 4, 3, 4)))}
TEACHER = {"a": torch.from_numpy(RNG.normal(0, 3, (6, 5, 9, 3))), "b": torch.from_numpy(RNG.normal(2, 1, (6, 4, 3, 4)))}
LOGITS = torch.from_numpy(RNG.normal(0, 3, (6, 5)))
CLASSES = [0, 3, 1, 4, 2, 0]
TARGET = torch.eye(5, dtype=torch.float64)[CLASSES]
WEIGHT = torch.tensor([1.0, 2.0, 0.5, 0.0, 3.0, 1.0], dtype=torch.float64)


def prediction(maps: dict[str, Tensor], logits: Tensor = LOGITS) -> Prediction:
    return Prediction(logits, logits, None, maps)


def bound(student: dict[str, Tensor] = STUDENT, teacher: dict[str, Tensor] = TEACHER, **arguments: Any) -> Hints:
    torch.manual_seed(0)
    made = Hints(**arguments)
    made.bind(prediction(student), prediction(teacher))
    return made.double()


def set_to(objective: Hints, matrix: Tensor) -> None:
    """Make the first regressor this matrix ``[teacher's channels, student's]``, without a bias."""
    objective.load_state_dict(
        {"regressors.0.weight": matrix[..., None, None], "regressors.0.bias": torch.zeros(len(matrix))}
    )


def test_it_is_the_formula_of_its_parameters(averaged: Callable[..., Any]) -> None:
    objective = bound(hint_weight=3.0, hard_weight=0.5)
    terms = objective(prediction(STUDENT), prediction(TEACHER), TARGET, WEIGHT)
    state = {name: tensor.numpy() for name, tensor in objective.state_dict().items()}
    each = np.zeros(6)
    for level, (name, size) in enumerate({"a": (7, 3), "b": (3, 4)}.items()):
        told = np.einsum("oi,bift->boft", state[f"regressors.{level}.weight"][..., 0, 0], STUDENT[name].numpy())
        told += state[f"regressors.{level}.bias"][:, None, None]
        each += ((averaged(told, *size) - averaged(TEACHER[name].numpy(), *size)) ** 2).mean((1, 2, 3))
    hard = -log_softmax(LOGITS.numpy(), -1)[range(6), CLASSES]
    assert list(terms) == ["hard", "hint"]
    assert terms["hard"].item() == pytest.approx(0.5 * np.average(hard, weights=WEIGHT), rel=1e-12)
    assert terms["hint"].item() == pytest.approx(3 * np.average(each, weights=WEIGHT), rel=1e-12)


def test_a_value_by_hand() -> None:
    """Off by 2 in one place of four, by 1 in another."""
    student = torch.tensor([[[[1.0, 0.0], [3.0, 4.0]]]])
    teacher = torch.tensor([[[[1.0, 2.0], [3.0, 5.0]]]])
    assert hint_loss(student, teacher).item() == pytest.approx((4 + 1) / 4)
    assert hint_loss(student, teacher.mean((2, 3), keepdim=True)).item() == pytest.approx(0.75**2)


def test_identical_maps_cost_nothing_through_the_identity() -> None:
    maps = {"b": TEACHER["b"]}
    objective = bound(maps, maps)
    assert objective(prediction(maps), prediction(maps), TARGET, WEIGHT)["hint"].item() > 0.01
    set_to(objective, torch.eye(4))
    assert objective(prediction(maps), prediction(maps), TARGET, WEIGHT)["hint"].item() == 0.0


def test_a_teacher_that_is_linear_in_the_students_channels_is_told_exactly_at_any_size() -> None:
    """Averaging places and mixing channels commute."""
    matrix = torch.from_numpy(RNG.normal(0, 1, (5, 3)))
    student = {"a": STUDENT["a"]}
    whole = torch.einsum("oi,bift->boft", matrix, STUDENT["a"])
    for teacher in ({"a": whole}, {"a": torch.nn.functional.adaptive_avg_pool2d(whole, (3, 2))}):
        objective = bound(student, teacher)
        set_to(objective, matrix)
        assert objective(prediction(student), prediction(teacher), TARGET, WEIGHT)["hint"].item() < 1e-28


def test_training_the_regressor_finds_least_squares() -> None:
    student, teacher = {"b": STUDENT["b"]}, {"b": TEACHER["b"]}
    objective = bound(student, teacher, hint_weight=1.0, hard_weight=0.0)
    optimiser = torch.optim.LBFGS(objective.parameters(), max_iter=200, tolerance_grad=1e-12)

    def loss() -> Tensor:
        optimiser.zero_grad()
        found: Tensor = objective(prediction(student), prediction(teacher), TARGET, torch.ones(6))["hint"]
        found.backward()
        return found

    optimiser.step(loss)
    rows = STUDENT["b"].movedim(1, -1).reshape(-1, 4).numpy()
    design = np.column_stack([rows, np.ones(len(rows))])
    wanted = TEACHER["b"].movedim(1, -1).reshape(-1, 4).numpy()
    residual = wanted - design @ np.linalg.lstsq(design, wanted, rcond=None)[0]
    assert loss().item() == pytest.approx((residual**2).mean(), rel=1e-9)


def test_a_clip_of_weight_0_is_not_heard() -> None:
    heard = WEIGHT > 0
    shouted = TEACHER["b"].clone()
    shouted[~heard] = 1e6
    found = hint_loss(shouted, STUDENT["b"], WEIGHT)
    torch.testing.assert_close(found, hint_loss(TEACHER["b"][heard], STUDENT["b"][heard], WEIGHT[heard]))


def test_a_batch_of_one_is_its_clip() -> None:
    each = [hint_loss(STUDENT["b"][[i]], TEACHER["b"][[i]]) for i in range(6)]
    torch.testing.assert_close(torch.stack(each).mean(), hint_loss(STUDENT["b"], TEACHER["b"]))


def test_gradients_are_those_of_finite_differences() -> None:
    student, teacher = {"a": STUDENT["a"][:2]}, {"a": TEACHER["a"][:2]}
    objective = bound(student, teacher, hard_weight=0.0)

    def loss(maps: Tensor, *_: Tensor) -> Tensor:
        said = prediction({"a": maps}, LOGITS[:2])
        found: Tensor = objective(said, prediction(teacher, LOGITS[:2]), TARGET[:2], WEIGHT[:2])["hint"]
        return found

    assert torch.autograd.gradcheck(loss, (student["a"].clone().requires_grad_(), *objective.parameters()))


def test_gradients_reach_student_and_regressors_and_not_the_teacher() -> None:
    student, teacher = ({"a": maps["a"].clone().requires_grad_()} for maps in (STUDENT, TEACHER))
    objective = bound(student, teacher)
    torch.stack(list(objective(prediction(student), prediction(teacher), TARGET, WEIGHT).values())).sum().backward()
    assert teacher["a"].grad is None
    assert student["a"].grad is not None
    assert student["a"].grad[WEIGHT > 0].abs().sum((1, 2, 3)).min() > 0
    assert not student["a"].grad[WEIGHT == 0].any()
    assert [name for name, p in objective.named_parameters() if p.grad is not None and p.grad.any()] == [
        "regressors.0.weight", "regressors.0.bias",
    ]  # fmt: skip


def test_the_same_seed_binds_the_same_and_a_checkpoint_restores() -> None:
    first, second, other = bound(), bound(), Hints()
    torch.testing.assert_close(first.state_dict(), second.state_dict(), rtol=0, atol=0)
    other.bind(prediction(STUDENT), prediction(TEACHER))
    other.double().load_state_dict(first.state_dict())
    says = prediction(STUDENT), prediction(TEACHER), TARGET, WEIGHT
    assert other(*says) == first(*says)


def test_a_teacher_of_other_classes_may_teach() -> None:
    teacher = prediction(TEACHER, torch.zeros(6, 527))
    assert list(bound(hard_weight=0.0)(prediction(STUDENT), teacher, TARGET, WEIGHT)) == ["hint"]


def test_it_must_be_bound_and_to_these_networks() -> None:
    says = prediction(STUDENT), prediction(TEACHER)
    with pytest.raises(HearlessError, match=r"Hints must be bound before it is called, .* got none for \[3, 4\]"):
        Hints()(*says, TARGET, WEIGHT)
    with pytest.raises(HearlessError, match=r"got \[5, 4\] for \[3, 4\]"):
        bound(TEACHER, STUDENT)(*says, TARGET, WEIGHT)
    with pytest.raises(HearlessError, match=r"clips and channels, got \(6, 4, 3, 4\) and \(6, 5, 9, 3\)"):
        bound(STUDENT, STUDENT, maps="b")(prediction(STUDENT), prediction({"b": TEACHER["a"]}), TARGET, WEIGHT)


def test_what_is_missing_is_refused_when_bound() -> None:
    with pytest.raises(HearlessError, match="Hints needs a teacher and got None"):
        Hints().bind(prediction(STUDENT), None)
    with pytest.raises(HearlessError, match="Hints: the student has no map 'c'; it has a, b"):
        Hints(maps="c=a").bind(prediction(STUDENT), prediction(TEACHER))
    with pytest.raises(HearlessError, match="Hints: maps must name inner maps"):
        Hints(maps="=a")


@pytest.mark.parametrize("argument", ["hint_weight", "hard_weight"])
@pytest.mark.parametrize("value", [-0.1, float("inf"), float("nan")])
def test_weights_are_0_or_more_and_finite(argument: str, value: float) -> None:
    wrong: dict[str, Any] = {argument: value}
    with pytest.raises(HearlessError, match=f"{argument} must be 0 or more and finite, got {value}"):
        Hints(**wrong)
