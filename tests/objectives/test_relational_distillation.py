"""RKD against its formula in loops, a value by hand, its invariances, coinciding clips, and wrong input."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cosine
from scipy.special import huber, log_softmax
from scipy.stats import ortho_group

from hearless.interfaces import HearlessError, Prediction
from hearless.objectives.relational_distillation import RelationalDistillation, relational_distillation_loss

RNG = np.random.default_rng(8)
STUDENT = torch.from_numpy(RNG.normal(0, 2, (6, 4)))
TEACHER = torch.from_numpy(RNG.normal(1, 5, (6, 7)))
LOGITS = torch.from_numpy(RNG.normal(0, 3, (6, 5)))
CLASSES = [0, 3, 1, 4, 2, 0]
TARGET = torch.eye(5, dtype=torch.float64)[CLASSES]
WEIGHT = torch.tensor([1.0, 2.0, 3.0, 0.0, 3.0, 1.0], dtype=torch.float64)


def prediction(embedding: torch.Tensor, logits: torch.Tensor = LOGITS) -> Prediction:
    return Prediction(logits[: len(embedding)], embedding)


def by_formula(weight: np.ndarray) -> tuple[float, float]:
    """Return the mean losses of distance and angle, pair by pair and triplet by triplet."""
    ours, theirs = STUDENT.numpy(), TEACHER.numpy()
    pairs = list(itertools.permutations(range(6), 2))
    pair_weights = [weight[i] * weight[j] for i, j in pairs]
    distances = []
    for e in (ours, theirs):
        raw = np.array([np.linalg.norm(e[i] - e[j]) for i, j in pairs])
        distances.append(raw / np.average(raw, weights=pair_weights))
    triplets = list(itertools.permutations(range(6), 3))
    angles = [np.array([1 - cosine(e[i] - e[j], e[k] - e[j]) for i, j, k in triplets]) for e in (ours, theirs)]
    return (
        np.average(huber(1, distances[0] - distances[1]), weights=pair_weights),
        np.average(huber(1, angles[0] - angles[1]), weights=[weight[list(t)].prod() for t in triplets]),
    )


@pytest.mark.parametrize("weight", [torch.ones(6).double(), WEIGHT])
def test_it_is_the_formula_in_loops(weight: torch.Tensor) -> None:
    objective = RelationalDistillation(distance_weight=2.0, angle_weight=3.0, hard_weight=0.5)
    terms = objective(prediction(STUDENT), prediction(TEACHER), TARGET, weight)
    distance, angle = by_formula(weight.numpy())
    hard = np.average(-log_softmax(LOGITS.numpy(), -1)[range(6), CLASSES], weights=weight)
    assert list(terms) == ["hard", "distance", "angle"]
    assert terms["hard"].item() == pytest.approx(0.5 * hard, rel=1e-12)
    assert terms["distance"].item() == pytest.approx(2 * distance, rel=1e-12)
    assert terms["angle"].item() == pytest.approx(3 * angle, rel=1e-12)


def test_a_value_by_hand() -> None:
    """Three clips on a line, at 0, 1, 3 and at 0, 2, 3: distances over their mean (2) err by a half twice."""
    student, teacher = torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([[0.0], [2.0], [3.0]])
    terms = relational_distillation_loss(student, teacher)
    assert terms["distance"].item() == pytest.approx(2 * 0.5 * 0.5**2 / 3, rel=1e-6)
    assert terms["angle"].item() == 0.0
    corner = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    bent = relational_distillation_loss(corner, torch.tensor([[0.0], [1.0], [-1.0]]))[
        "angle"
    ]  # 90° for 180°, 45° for 0°
    assert bent.item() == pytest.approx((0.5 + 2 * 0.5 * (1 - 0.5**0.5) ** 2) / 3, rel=1e-5)


def test_the_defaults_are_the_papers() -> None:
    assert RelationalDistillation().weights == {"distance": 25.0, "angle": 50.0}


def test_scale_and_rigid_motion_of_either_do_not_count() -> None:
    turn = torch.from_numpy(ortho_group.rvs(4, random_state=0))
    plain = relational_distillation_loss(STUDENT, TEACHER)
    moved = relational_distillation_loss(0.01 * STUDENT @ turn + 5.0, 3.0 * TEACHER - 100.0)
    torch.testing.assert_close(moved, plain)
    assert min(term.item() for term in plain.values()) > 0.01


def test_a_moved_copy_of_the_teacher_costs_nothing() -> None:
    turn = torch.from_numpy(ortho_group.rvs(7, random_state=1))
    for term in relational_distillation_loss(2.0 * TEACHER @ turn - 1.0, TEACHER).values():
        assert abs(term.item()) < 1e-25
    torch.testing.assert_close(
        relational_distillation_loss(TEACHER, TEACHER), dict.fromkeys(("distance", "angle"), torch.zeros(()).double())
    )


def test_a_clip_of_weight_0_is_not_heard() -> None:
    heard = WEIGHT > 0
    shouted = STUDENT.clone()
    shouted[~heard] = 1e6
    found = relational_distillation_loss(shouted, TEACHER, WEIGHT)
    torch.testing.assert_close(found, relational_distillation_loss(STUDENT[heard], TEACHER[heard], WEIGHT[heard]))


def test_no_gradient_reaches_the_teacher() -> None:
    student, teacher = STUDENT.clone().requires_grad_(), TEACHER.clone().requires_grad_()
    torch.stack(list(relational_distillation_loss(student, teacher).values())).sum().backward()
    assert teacher.grad is None
    assert student.grad is not None
    assert student.grad.abs().max() > 0


def test_gradients_are_those_of_finite_differences() -> None:
    def loss(student: torch.Tensor) -> torch.Tensor:
        return torch.stack(list(relational_distillation_loss(student, TEACHER, WEIGHT).values()))

    assert torch.autograd.gradcheck(loss, STUDENT.clone().requires_grad_())


def test_single_precision_is_close_to_double() -> None:
    double = relational_distillation_loss(STUDENT, TEACHER)
    for name, term in relational_distillation_loss(STUDENT.float(), TEACHER.float()).items():
        assert term.dtype == torch.float32
        assert term.item() == pytest.approx(double[name].item(), rel=1e-5)


@pytest.mark.parametrize("stray", [0.0, 1e-7])
def test_clips_at_one_point_have_no_direction_and_finite_gradients(stray: float) -> None:
    student = STUDENT.float()
    student[1] = student[0] * (1 + stray)
    student.requires_grad_()
    terms = relational_distillation_loss(student, TEACHER.float())
    torch.stack(list(terms.values())).sum().backward()
    assert student.grad is not None
    assert student.grad.isfinite().all()
    assert student.grad.abs().max() < 1.0


def test_a_student_that_hears_all_alike_has_no_gradient() -> None:
    student = torch.ones(6, 4).requires_grad_()
    terms = relational_distillation_loss(student, TEACHER.float())
    torch.stack(list(terms.values())).sum().backward()
    assert terms["distance"].item() > 0.1
    assert student.grad is not None
    assert not student.grad.any()


@pytest.mark.parametrize(("n", "costly"), [(1, []), (2, []), (3, ["distance", "angle"])])
def test_small_batches_have_no_pairs_or_triplets(n: int, costly: list[str]) -> None:
    student = STUDENT[:n].clone().requires_grad_()
    terms = relational_distillation_loss(student, TEACHER[:n])
    torch.stack(list(terms.values())).sum().backward()
    assert [name for name, term in terms.items() if term.item() > 1e-12] == costly
    assert student.grad is not None
    assert student.grad.isfinite().all()


def test_a_batch_that_weighs_nothing_costs_nothing() -> None:
    terms = relational_distillation_loss(STUDENT, TEACHER, torch.zeros(6))
    assert [term.item() for term in terms.values()] == [0.0, 0.0]


def test_a_teacher_of_other_classes_may_teach() -> None:
    objective = RelationalDistillation(hard_weight=0.0)
    teacher = prediction(TEACHER, torch.zeros(6, 527))
    objective.bind(prediction(STUDENT), teacher)
    assert list(objective(prediction(STUDENT), teacher, TARGET, WEIGHT)) == ["distance", "angle"]


def test_a_missing_or_ill_fitting_teacher_is_refused() -> None:
    with pytest.raises(HearlessError, match="RelationalDistillation needs a teacher and got None"):
        RelationalDistillation().bind(prediction(STUDENT), None)
    with pytest.raises(HearlessError, match=r"of the same batch, got \(6, 4\) from the student and \(5, 7\)"):
        RelationalDistillation().bind(prediction(STUDENT), prediction(TEACHER[:5]))
    with pytest.raises(HearlessError, match=r"must be \[batch, dimension\]"):
        relational_distillation_loss(STUDENT[..., None], TEACHER)


@pytest.mark.parametrize("argument", ["distance_weight", "angle_weight", "hard_weight"])
@pytest.mark.parametrize("value", [-0.1, float("inf"), float("nan")])
def test_weights_are_0_or_more_and_finite(argument: str, value: float) -> None:
    wrong: dict[str, Any] = {argument: value}
    with pytest.raises(HearlessError, match=f"{argument} must be 0 or more and finite, got {value}"):
        RelationalDistillation(**wrong)
