"""CRD in the batch against its formula in loops, InfoNCE's bounds, what it learns, its weights, and wrong input."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cosine
from scipy.special import log_softmax
from scipy.stats import ortho_group
from torch import Tensor

from hearless.interfaces import HearlessError, Prediction
from hearless.objectives.contrastive_representation import ContrastiveRepresentation, contrastive_loss

RNG = np.random.default_rng(14)
STUDENT = torch.from_numpy(RNG.normal(0, 2, (6, 4)))
TEACHER = torch.from_numpy(RNG.normal(1, 2, (6, 7)))
FIRST, SECOND = torch.from_numpy(RNG.normal(0, 2, (6, 5))), torch.from_numpy(RNG.normal(0, 9, (6, 5)))
LOGITS = torch.from_numpy(RNG.normal(0, 3, (6, 5)))
CLASSES = [0, 3, 1, 4, 2, 0]
TARGET = torch.eye(5, dtype=torch.float64)[CLASSES]
WEIGHT = torch.tensor([1.0, 2.0, 0.5, 0.0, 3.0, 1.0], dtype=torch.float64)


def prediction(embedding: Tensor, logits: Tensor = LOGITS) -> Prediction:
    return Prediction(logits.to(embedding), embedding)


def bound(student: Tensor = STUDENT, teacher: Tensor = TEACHER, **arguments: Any) -> ContrastiveRepresentation:
    torch.manual_seed(0)
    made = ContrastiveRepresentation(**{"dimension": 5, **arguments})
    made.bind(prediction(student), prediction(teacher))
    return made.double()


def by_formula(first: Any, second: Any, temperature: float, weight: Any) -> float:
    """Return the loss clip by clip: the right pair against itself and the others, each counted by its weight."""
    share = weight / weight.sum()
    counts = share / (share**2).sum()
    heat = np.array([[np.exp((1 - cosine(a, b)) / temperature) for b in second] for a in first])
    losses = []
    for i in range(len(heat)):
        others = [j for j in range(len(heat)) if j != i]
        for row in (heat[i], heat[:, i]):
            losses.append(-np.log(row[i] / (row[i] + sum(counts[j] * row[j] for j in others))))
    return float(np.average(np.reshape(losses, (-1, 2)).mean(1), weights=weight))


@pytest.mark.parametrize("weight", [torch.ones(6).double(), WEIGHT])
def test_it_is_the_formula_in_loops(weight: Tensor) -> None:
    found = contrastive_loss(FIRST, SECOND, 0.3, weight)
    assert found.item() == pytest.approx(by_formula(FIRST.numpy(), SECOND.numpy(), 0.3, weight.numpy()), rel=1e-12)


def test_where_all_weigh_the_same_it_is_the_mean_of_two_cross_entropies() -> None:
    unit = [one.numpy() / np.linalg.norm(one, axis=1, keepdims=True) for one in (FIRST, SECOND)]
    scores = unit[0] @ unit[1].T / 0.07
    expected = -(np.diag(log_softmax(scores, 1)).mean() + np.diag(log_softmax(scores, 0)).mean()) / 2
    for weight in (None, torch.full((6,), 3.0)):
        assert contrastive_loss(FIRST, SECOND, 0.07, weight).item() == pytest.approx(expected, rel=1e-12)


def test_the_modules_terms_are_the_formula_of_its_parameters() -> None:
    objective = bound(temperature=0.5, contrast_weight=3.0, hard_weight=0.5)
    terms = objective(prediction(STUDENT), prediction(TEACHER), TARGET, WEIGHT)
    state = {name: tensor.numpy() for name, tensor in objective.state_dict().items()}
    ours, theirs = (
        one.numpy() @ state[f"projections.{i}.weight"].T + state[f"projections.{i}.bias"]
        for i, one in enumerate((STUDENT, TEACHER))
    )
    hard = -log_softmax(LOGITS.numpy(), -1)[range(6), CLASSES]
    assert list(terms) == ["hard", "contrast"]
    assert terms["hard"].item() == pytest.approx(0.5 * np.average(hard, weights=WEIGHT), rel=1e-12)
    assert terms["contrast"].item() == pytest.approx(3 * by_formula(ours, theirs, 0.5, WEIGHT.numpy()), rel=1e-12)


@pytest.mark.parametrize("n", [2, 6, 50])
def test_embeddings_that_tell_nothing_cost_the_logarithm_of_the_batch(n: int) -> None:
    alike = torch.ones(n, 3).double()
    other = torch.from_numpy(np.random.default_rng(n).normal(0, 1, (n, 3)))
    assert contrastive_loss(alike, alike, 0.07).item() == pytest.approx(math.log(n), rel=1e-12)
    assert contrastive_loss(alike, other, 0.07).item() >= math.log(n)


@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_the_bound_on_information_is_at_most_the_logarithm_of_the_batch(temperature: float) -> None:
    """Orthogonal vectors are the best that cosines of 0 or more can do; at a low temperature they reach the bound."""
    apart = torch.eye(8).double()
    loss = contrastive_loss(apart, apart, temperature).item()
    assert loss == pytest.approx(math.log1p(7 * math.exp(-1 / temperature)), rel=1e-9)
    assert contrastive_loss(apart, apart, 0.01).item() == pytest.approx(0.0, abs=1e-30)
    for seed in range(20):
        pair = (torch.from_numpy(np.random.default_rng([seed, i]).normal(0, 1, (8, 6))) for i in range(2))
        assert contrastive_loss(*pair, temperature).item() > 0


def test_what_tells_groups_only_tells_their_number() -> None:
    """12 clips in 3 groups of 4: log 12 less the least loss is log 3, the information of the group."""
    group = torch.eye(3).double().repeat(4, 1)
    assert math.log(12) - contrastive_loss(group, group, 0.01).item() == pytest.approx(math.log(3), rel=1e-12)


def test_length_and_a_common_turn_do_not_count_nor_who_is_first() -> None:
    turn = torch.from_numpy(ortho_group.rvs(5, random_state=0))
    plain = contrastive_loss(FIRST, SECOND, 0.2, WEIGHT)
    lengths = torch.tensor([0.01, 2.0, 3.0, 9.0, 1.0, 0.5]).double()[:, None]
    torch.testing.assert_close(contrastive_loss(lengths * FIRST @ turn, 7 * SECOND @ turn, 0.2, WEIGHT), plain)
    torch.testing.assert_close(contrastive_loss(SECOND, FIRST, 0.2, WEIGHT), plain)


def test_a_clip_of_weight_0_is_no_contrast() -> None:
    heard = WEIGHT > 0
    shouted = FIRST.clone()
    shouted[~heard] = SECOND[0]
    found = contrastive_loss(shouted, SECOND, 0.2, WEIGHT)
    torch.testing.assert_close(found, contrastive_loss(FIRST[heard], SECOND[heard], 0.2, WEIGHT[heard]))


def test_training_tells_the_clips_of_a_student_that_is_linear_in_its_teacher() -> None:
    generator = torch.Generator().manual_seed(3)
    teacher = torch.randn(24, 7, generator=generator).double()
    student = teacher @ torch.randn(7, 4, generator=generator).double()
    objective = bound(student, teacher, hard_weight=0.0)
    optimiser = torch.optim.Adam(objective.parameters(), lr=0.02)
    target = torch.ones(24, 5).double() / 5
    says = Prediction(target, student), Prediction(target, teacher)
    losses = []
    for _ in range(200):
        optimiser.zero_grad()
        loss = objective(*says, target, torch.ones(24))["contrast"]
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[0] > 1.0
    assert losses[-1] < 0.1


@pytest.mark.parametrize("weight", [None, torch.tensor([3.0])])
def test_a_batch_of_one_costs_nothing(weight: Tensor | None) -> None:
    first = FIRST[:1].clone().requires_grad_()
    found = contrastive_loss(first, SECOND[:1], 0.07, weight)
    found.backward()
    assert found.item() == 0.0
    assert first.grad is not None
    assert not first.grad.any()


def test_a_batch_that_weighs_nothing_costs_nothing() -> None:
    assert contrastive_loss(FIRST, SECOND, 0.07, torch.zeros(6)).item() == 0.0


def test_gradients_are_those_of_finite_differences() -> None:
    def loss(first: Tensor, second: Tensor) -> Tensor:
        return contrastive_loss(first, second, 0.3, WEIGHT)

    assert torch.autograd.gradcheck(loss, (FIRST.clone().requires_grad_(), SECOND.clone().requires_grad_()))


def test_gradients_reach_student_and_both_maps_and_not_the_teacher() -> None:
    student, teacher = STUDENT.clone().requires_grad_(), TEACHER.clone().requires_grad_()
    objective = bound()
    torch.stack(list(objective(prediction(student), prediction(teacher), TARGET, WEIGHT).values())).sum().backward()
    assert teacher.grad is None
    assert student.grad is not None
    assert student.grad[WEIGHT > 0].abs().sum(1).min() > 0
    assert not student.grad[WEIGHT == 0].any()
    assert [name for name, p in objective.named_parameters() if p.grad is not None and p.grad.any()] == [
        "projections.0.weight", "projections.0.bias", "projections.1.weight", "projections.1.bias",
    ]  # fmt: skip


def test_silence_and_cold_stay_finite_in_single_precision() -> None:
    first = FIRST.float()
    first[0] = 0.0
    first.requires_grad_()
    found = contrastive_loss(first, SECOND.float(), 1e-3, WEIGHT.float())
    found.backward()
    assert found.dtype == torch.float32
    assert math.isfinite(found.item())
    assert first.grad is not None
    assert first.grad.isfinite().all()


def test_the_same_seed_binds_the_same_and_a_checkpoint_restores() -> None:
    first, second, other = bound(), bound(), ContrastiveRepresentation(dimension=5)
    torch.testing.assert_close(first.state_dict(), second.state_dict(), rtol=0, atol=0)
    other.bind(prediction(STUDENT), prediction(TEACHER))
    other.double().load_state_dict(first.state_dict())
    says = prediction(STUDENT), prediction(TEACHER), TARGET, WEIGHT
    assert other(*says) == first(*says)


def test_a_teacher_of_other_classes_may_teach() -> None:
    teacher = prediction(TEACHER, torch.zeros(6, 527))
    assert list(bound(hard_weight=0.0)(prediction(STUDENT), teacher, TARGET, WEIGHT)) == ["contrast"]


def test_it_must_be_bound_and_to_these_networks() -> None:
    says = prediction(STUDENT), prediction(TEACHER)
    with pytest.raises(HearlessError, match=r"ContrastiveRepresentation must be bound .* got none for \[4, 7\]"):
        ContrastiveRepresentation()(*says, TARGET, WEIGHT)
    with pytest.raises(HearlessError, match=r"got \[4, 7\] for \[4, 3\]"):
        bound()(prediction(STUDENT), prediction(TEACHER[:, :3]), TARGET, WEIGHT)


def test_a_missing_or_ill_fitting_teacher_is_refused() -> None:
    with pytest.raises(HearlessError, match="ContrastiveRepresentation needs a teacher and got None"):
        ContrastiveRepresentation().bind(prediction(STUDENT), None)
    with pytest.raises(HearlessError, match=r"of the same batch, got \(6, 4\) from the student and \(5, 7\)"):
        ContrastiveRepresentation().bind(prediction(STUDENT), prediction(TEACHER[:5]))
    with pytest.raises(HearlessError, match="projections must have one dimension, got 4 and 7"):
        contrastive_loss(STUDENT, TEACHER, 0.07)


@pytest.mark.parametrize("argument", ["contrast_weight", "hard_weight"])
@pytest.mark.parametrize("value", [-0.1, float("inf"), float("nan")])
def test_weights_are_0_or_more_and_finite(argument: str, value: float) -> None:
    wrong: dict[str, Any] = {argument: value}
    with pytest.raises(HearlessError, match=f"{argument} must be 0 or more and finite, got {value}"):
        ContrastiveRepresentation(**wrong)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"temperature": 0.0}, "temperature must be above 0 and finite, got 0.0"),
        ({"temperature": float("nan")}, "temperature must be above 0"),
        ({"dimension": 0}, "dimension must be 1 or more, got 0"),
    ],
)
def test_temperature_and_dimension_are_above_0(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(HearlessError, match=said):
        ContrastiveRepresentation(**wrong)
