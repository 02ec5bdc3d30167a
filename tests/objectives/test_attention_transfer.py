"""Attention transfer against its formula in loops, a value by hand, its invariances and bounds, and wrong input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from torch import Tensor

from hearless.interfaces import HearlessError, Prediction
from hearless.objectives.attention_transfer import AttentionTransfer, attention_transfer_loss

RNG = np.random.default_rng(12)
STUDENT = {"a": torch.from_numpy(RNG.normal(0, 2, (6, 3, 7, 5))), "b": torch.from_numpy(RNG.normal(1, 2, (6, 4, 3, 4)))}
TEACHER = {"a": torch.from_numpy(RNG.normal(0, 9, (6, 5, 9, 3))), "b": torch.from_numpy(RNG.normal(2, 1, (6, 2, 3, 8)))}
LOGITS = torch.from_numpy(RNG.normal(0, 3, (6, 5)))
CLASSES = [0, 3, 1, 4, 2, 0]
TARGET = torch.eye(5, dtype=torch.float64)[CLASSES]
WEIGHT = torch.tensor([1.0, 2.0, 0.5, 0.0, 3.0, 1.0], dtype=torch.float64)


def prediction(maps: dict[str, Tensor], logits: Tensor = LOGITS) -> Prediction:
    return Prediction(logits, logits, None, maps)


def by_formula(ours: Any, theirs: Any, size: tuple[int, int], averaged: Callable[..., Any]) -> Any:
    """Return half the mean squared difference of each clip's attention vectors."""
    vectors = []
    for maps in (ours.numpy(), theirs.numpy()):
        energy = averaged((maps**2).sum(1, keepdims=True), *size).reshape(len(maps), -1)
        vectors.append(energy / np.linalg.norm(energy, axis=1, keepdims=True))
    return ((vectors[0] - vectors[1]) ** 2).mean(1) / 2


def test_it_is_the_formula(averaged: Callable[..., Any]) -> None:
    objective = AttentionTransfer(beta=30.0, hard_weight=0.5)
    terms = objective(prediction(STUDENT), prediction(TEACHER), TARGET, WEIGHT)
    sizes = {"a": (7, 3), "b": (3, 4)}
    each = sum(by_formula(STUDENT[name], TEACHER[name], sizes[name], averaged) for name in sizes)
    hard = -log_softmax(LOGITS.numpy(), -1)[range(6), CLASSES]
    assert list(terms) == ["hard", "attention"]
    assert terms["hard"].item() == pytest.approx(0.5 * np.average(hard, weights=WEIGHT), rel=1e-12)
    assert terms["attention"].item() == pytest.approx(30 * np.average(each, weights=WEIGHT), rel=1e-12)


def test_a_named_pair_counts_alone(averaged: Callable[..., Any]) -> None:
    objective = AttentionTransfer(maps="a=b", beta=1.0, hard_weight=0.0)
    terms = objective(prediction(STUDENT), prediction(TEACHER), TARGET, torch.ones(6))
    assert list(terms) == ["attention"]
    expected = by_formula(STUDENT["a"], TEACHER["b"], (3, 5), averaged).mean()
    assert terms["attention"].item() == pytest.approx(expected, rel=1e-12)


def test_a_value_by_hand() -> None:
    """Looking at one of four places and at another costs half of 2 / 4; 3² + 4² beside 5² is one in two."""
    student, teacher = torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2, 2)
    student[0, :, 0, 0], teacher[0, :, 1, 0] = 1.0, 2.0
    assert attention_transfer_loss(student, teacher).item() == pytest.approx(0.25)
    both = torch.tensor([[[[3.0, 5.0]], [[4.0, 0.0]]]])
    assert attention_transfer_loss(both, torch.ones(1, 1, 1, 2)).item() == pytest.approx(0.0, abs=1e-14)


def test_the_default_is_the_papers() -> None:
    assert AttentionTransfer().beta == 1000.0


def test_the_teachers_own_maps_cost_nothing() -> None:
    for maps in (*STUDENT.values(), *TEACHER.values()):
        assert attention_transfer_loss(maps, maps).item() == 0.0


@pytest.mark.parametrize("factor", [1e-3, -1.0, 1e4])
def test_order_number_sign_and_scale_of_channels_do_not_count(factor: float) -> None:
    """The scale is each clip's own."""
    ours, theirs = STUDENT["a"], TEACHER["a"]
    plain = attention_transfer_loss(ours, theirs, WEIGHT)
    assert plain.item() > 1e-3
    scale = torch.tensor([factor, 2.0, 1.0, 1.0, 0.1, 7.0]).double()[:, None, None, None]
    for changed in (ours[:, [2, 0, 1]], torch.cat([ours, -ours], 1), scale * ours):
        torch.testing.assert_close(attention_transfer_loss(changed, theirs, WEIGHT), plain)
        torch.testing.assert_close(
            attention_transfer_loss(theirs, changed, WEIGHT), attention_transfer_loss(theirs, ours, WEIGHT)
        )


def test_no_clip_costs_more_than_one_over_its_places() -> None:
    """Two vectors of length 1 without negative numbers are at most √2 apart."""
    for student in (STUDENT["b"], TEACHER["b"][..., :4], torch.zeros_like(STUDENT["b"])):
        for clip in range(6):
            found = attention_transfer_loss(student[[clip]], TEACHER["b"][[clip]]).item()
            assert 0 <= found <= 1 / 12


def test_a_clip_of_weight_0_is_not_heard() -> None:
    heard = WEIGHT > 0
    shouted = STUDENT["a"].clone()
    shouted[~heard] = 1e6
    found = attention_transfer_loss(shouted, TEACHER["a"], WEIGHT)
    torch.testing.assert_close(found, attention_transfer_loss(STUDENT["a"][heard], TEACHER["a"][heard], WEIGHT[heard]))


def test_a_batch_of_one_is_its_clip() -> None:
    each = [attention_transfer_loss(STUDENT["a"][[i]], TEACHER["a"][[i]]) for i in range(6)]
    torch.testing.assert_close(torch.stack(each).mean(), attention_transfer_loss(STUDENT["a"], TEACHER["a"]))


def test_no_gradient_reaches_the_teacher() -> None:
    student, teacher = STUDENT["a"].clone().requires_grad_(), TEACHER["a"].clone().requires_grad_()
    attention_transfer_loss(student, teacher).backward()
    assert teacher.grad is None
    assert student.grad is not None
    assert student.grad.abs().max() > 0


def test_gradients_are_those_of_finite_differences() -> None:
    def loss(student: Tensor) -> Tensor:
        return attention_transfer_loss(student, TEACHER["a"][:2], WEIGHT[:2])

    assert torch.autograd.gradcheck(loss, STUDENT["a"][:2].clone().requires_grad_())


def test_a_silent_map_costs_what_the_teacher_sees_and_has_no_gradient() -> None:
    student = torch.zeros(2, 3, 4, 4).requires_grad_()
    found = attention_transfer_loss(student, torch.ones(2, 1, 4, 4))
    found.backward()
    assert found.item() == pytest.approx(0.5 / 16)
    assert student.grad is not None
    assert not student.grad.any()
    assert attention_transfer_loss(student, student).item() == 0.0


def test_single_precision_is_close_to_double() -> None:
    double = attention_transfer_loss(STUDENT["a"], TEACHER["a"])
    single = attention_transfer_loss(STUDENT["a"].float(), TEACHER["a"].float())
    assert single.dtype == torch.float32
    assert single.item() == pytest.approx(double.item(), rel=1e-5)


def test_a_teacher_of_other_classes_may_teach() -> None:
    objective = AttentionTransfer(hard_weight=0.0)
    teacher = prediction(TEACHER, torch.zeros(6, 527))
    objective.bind(prediction(STUDENT), teacher)
    assert list(objective(prediction(STUDENT), teacher, TARGET, WEIGHT)) == ["attention"]


def test_what_is_missing_is_refused_when_bound() -> None:
    with pytest.raises(HearlessError, match="AttentionTransfer needs a teacher and got None"):
        AttentionTransfer().bind(prediction(STUDENT), None)
    with pytest.raises(HearlessError, match="AttentionTransfer: the teacher has no map 'c'; it has a, b"):
        AttentionTransfer(maps="a=c").bind(prediction(STUDENT), prediction(TEACHER))
    with pytest.raises(HearlessError, match="must give inner maps, got 0 and 2"):
        AttentionTransfer().bind(prediction({}), prediction(TEACHER))
    with pytest.raises(HearlessError, match="AttentionTransfer: maps must name inner maps"):
        AttentionTransfer(maps="a,")
    with pytest.raises(HearlessError, match="of the same batch"):
        attention_transfer_loss(STUDENT["a"][:5], TEACHER["a"])


@pytest.mark.parametrize("argument", ["beta", "hard_weight"])
@pytest.mark.parametrize("value", [-0.1, float("inf"), float("nan")])
def test_weights_are_0_or_more_and_finite(argument: str, value: float) -> None:
    wrong: dict[str, Any] = {argument: value}
    with pytest.raises(HearlessError, match=f"{argument} must be 0 or more and finite, got {value}"):
        AttentionTransfer(**wrong)
