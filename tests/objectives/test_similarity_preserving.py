"""SP against its formula in numpy, a value by hand, its invariances, silent clips, and wrong input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from scipy.stats import ortho_group
from sklearn.preprocessing import normalize

from hearless.interfaces import HearlessError, Prediction
from hearless.objectives.similarity_preserving import SimilarityPreserving, similarity_preserving_loss

RNG = np.random.default_rng(9)
STUDENT = torch.from_numpy(RNG.normal(0, 2, (6, 4)))
TEACHER = torch.from_numpy(RNG.normal(1, 5, (6, 7)))
LOGITS = torch.from_numpy(RNG.normal(0, 3, (6, 5)))
CLASSES = [0, 3, 1, 4, 2, 0]
TARGET = torch.eye(5, dtype=torch.float64)[CLASSES]
WEIGHT = torch.tensor([1.0, 2.0, 0.5, 0.0, 3.0, 1.0], dtype=torch.float64)


def prediction(embedding: torch.Tensor, logits: torch.Tensor = LOGITS) -> Prediction:
    return Prediction(logits, embedding)


def by_formula(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the paper's loss of one layer, all clips alike."""
    apart = normalize(theirs @ theirs.T) - normalize(ours @ ours.T)
    return float(np.linalg.norm(apart, "fro")) ** 2 / len(ours) ** 2


def test_it_is_the_formula_in_numpy() -> None:
    objective = SimilarityPreserving(gamma=10.0, hard_weight=0.5)
    terms = objective(prediction(STUDENT), prediction(TEACHER), TARGET, torch.ones(6))
    hard = -log_softmax(LOGITS.numpy(), -1)[range(6), CLASSES].mean()
    assert list(terms) == ["hard", "similarity"]
    assert terms["hard"].item() == pytest.approx(0.5 * hard, rel=1e-12)
    assert terms["similarity"].item() == pytest.approx(10 * by_formula(STUDENT.numpy(), TEACHER.numpy()), rel=1e-12)


def test_weighted_it_is_the_docstrings_formula_in_loops() -> None:
    p = WEIGHT.numpy() / WEIGHT.numpy().sum()
    rows = []
    for q in (STUDENT.numpy(), TEACHER.numpy()):
        gram = [[q[i] @ q[j] for j in range(6)] for i in range(6)]
        rows.append([np.array(gram[i]) / np.sqrt(sum(p[j] * gram[i][j] ** 2 for j in range(6))) for i in range(6)])
    total = sum(p[i] * p[j] * (rows[0][i][j] - rows[1][i][j]) ** 2 for i in range(6) for j in range(6))
    found = similarity_preserving_loss(STUDENT, TEACHER, WEIGHT)
    assert found.item() == pytest.approx(total * (p**2).sum(), rel=1e-12)


def test_a_value_by_hand() -> None:
    """Two clips at right angles for the student (identity), alike for the teacher (all 1/√2)."""
    found = similarity_preserving_loss(torch.eye(2).double(), torch.ones(2, 1).double())
    assert found.item() == pytest.approx((2 * (1 - 0.5**0.5) ** 2 + 2 * 0.5) / 4, rel=1e-12)


def test_the_default_is_the_papers() -> None:
    assert SimilarityPreserving().gamma == 3000.0


def test_turns_reflections_and_scale_of_either_do_not_count() -> None:
    turns = [torch.from_numpy(ortho_group.rvs(n, random_state=n)) for n in (4, 7)]
    plain = similarity_preserving_loss(STUDENT, TEACHER)
    assert plain.item() > 1e-3
    torch.testing.assert_close(similarity_preserving_loss(-0.01 * STUDENT @ turns[0], 30 * TEACHER @ turns[1]), plain)
    assert similarity_preserving_loss(STUDENT + 5.0, TEACHER).item() != pytest.approx(plain.item(), rel=1e-2)


def test_a_turned_copy_of_the_teacher_costs_nothing() -> None:
    turn = torch.from_numpy(ortho_group.rvs(7, random_state=1))
    assert similarity_preserving_loss(2 * TEACHER @ turn, TEACHER).item() < 1e-25
    assert similarity_preserving_loss(TEACHER, TEACHER).item() == 0.0


def test_a_clip_of_weight_0_is_not_heard() -> None:
    heard = WEIGHT > 0
    shouted = STUDENT.clone()
    shouted[~heard] = 1e200
    found = similarity_preserving_loss(shouted, TEACHER, WEIGHT)
    torch.testing.assert_close(found, similarity_preserving_loss(STUDENT[heard], TEACHER[heard], WEIGHT[heard]))


def test_no_gradient_reaches_the_teacher() -> None:
    student, teacher = STUDENT.clone().requires_grad_(), TEACHER.clone().requires_grad_()
    similarity_preserving_loss(student, teacher).backward()
    assert teacher.grad is None
    assert student.grad is not None
    assert student.grad.abs().max() > 0


def test_gradients_are_those_of_finite_differences() -> None:
    def loss(student: torch.Tensor) -> torch.Tensor:
        return similarity_preserving_loss(student, TEACHER, WEIGHT)

    assert torch.autograd.gradcheck(loss, STUDENT.clone().requires_grad_())


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e20])
def test_single_precision_is_close_to_double_at_any_scale(scale: float) -> None:
    student = (scale * STUDENT).float().requires_grad_()
    found = similarity_preserving_loss(student, TEACHER.float())
    found.backward()
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(by_formula(STUDENT.numpy(), TEACHER.numpy()), rel=1e-5)
    assert student.grad is not None
    assert student.grad.isfinite().all()


@pytest.mark.parametrize("silent", [[0], [0, 1, 2, 3, 4, 5]])
def test_silent_clips_have_rows_of_zeros_and_finite_gradients(silent: list[int]) -> None:
    student = STUDENT.clone()
    student[silent] = 0.0
    student.requires_grad_()
    found = similarity_preserving_loss(student, TEACHER)
    found.backward()
    assert found.item() == pytest.approx(by_formula(student.detach().numpy(), TEACHER.numpy()), rel=1e-12)
    assert student.grad is not None
    assert student.grad.isfinite().all()


def test_a_batch_of_one_costs_nothing() -> None:
    student = STUDENT[:1].clone().requires_grad_()
    found = similarity_preserving_loss(student, TEACHER[:1])
    found.backward()
    assert found.item() < 1e-25
    assert student.grad is not None
    assert student.grad.abs().max() < 1e-12


def test_a_batch_that_weighs_nothing_costs_nothing() -> None:
    assert similarity_preserving_loss(STUDENT, TEACHER, torch.zeros(6)).item() == 0.0


def test_a_teacher_of_other_classes_may_teach() -> None:
    objective = SimilarityPreserving(hard_weight=0.0)
    teacher = prediction(TEACHER, torch.zeros(6, 527))
    objective.bind(prediction(STUDENT), teacher)
    assert list(objective(prediction(STUDENT), teacher, TARGET, WEIGHT)) == ["similarity"]


def test_a_missing_or_ill_fitting_teacher_is_refused() -> None:
    with pytest.raises(HearlessError, match="SimilarityPreserving needs a teacher and got None"):
        SimilarityPreserving().bind(prediction(STUDENT), None)
    with pytest.raises(HearlessError, match=r"SimilarityPreserving: .*got \(6, 4\) from the student and \(5, 7\)"):
        SimilarityPreserving().bind(prediction(STUDENT), prediction(TEACHER[:5]))
    with pytest.raises(HearlessError, match=r"must be \[batch, dimension\]"):
        similarity_preserving_loss(STUDENT, TEACHER[:, 0])


@pytest.mark.parametrize("argument", ["gamma", "hard_weight"])
@pytest.mark.parametrize("value", [-0.1, float("inf"), float("nan")])
def test_weights_are_0_or_more_and_finite(argument: str, value: float) -> None:
    wrong: dict[str, Any] = {argument: value}
    with pytest.raises(HearlessError, match=f"{argument} must be 0 or more and finite, got {value}"):
        SimilarityPreserving(**wrong)
