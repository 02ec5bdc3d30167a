"""Paper 004's loss against scipy, its three readings of λ, and wrong input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import expit, log_softmax, softmax

from hearless.interfaces import HearlessError, Prediction, Scheduled
from hearless.objectives.fused_distillation import FusedDistillation, fused_distillation_loss
from hearless.objectives.self_distillation import SelfDistillation

RNG = np.random.default_rng(4)
STUDENT = torch.from_numpy(RNG.normal(0, 3, (6, 5)))
TEACHER = torch.from_numpy(RNG.normal(0, 3, (6, 5)))
TARGET = torch.eye(5, dtype=torch.float64)[[0, 3, 1, 4, 2, 0]]
WEIGHT = torch.tensor([1.0, 2.0, 0.5, 0.0, 3.0, 1.0], dtype=torch.float64)


def said(objective: FusedDistillation | SelfDistillation, student: torch.Tensor = STUDENT) -> dict[str, torch.Tensor]:
    return objective(Prediction(student, student), Prediction(TEACHER, TEACHER), TARGET, WEIGHT)


def test_both_terms_are_cross_entropies() -> None:
    terms = said(FusedDistillation(weight=0.3, temperature=2.0))
    hard = -(TARGET.numpy() * log_softmax(STUDENT.numpy(), -1)).sum(-1)
    soft = -(softmax(TEACHER.numpy() / 2, -1) * log_softmax(STUDENT.numpy() / 2, -1)).sum(-1)
    assert terms["hard"].item() == pytest.approx(0.3 * np.average(hard, weights=WEIGHT), rel=1e-9)
    assert terms["soft"].item() == pytest.approx(0.7 * 4 * np.average(soft, weights=WEIGHT), rel=1e-9)


def test_several_labels_take_sigmoids() -> None:
    terms = said(FusedDistillation(weight=0.3, temperature=2.0, multi_label=True))
    p, q = expit(STUDENT.numpy() / 2), expit(TEACHER.numpy() / 2)
    soft = -(q * np.log(p) + (1 - q) * np.log(1 - p)).mean(-1)
    z = STUDENT.numpy()
    hard = -(TARGET.numpy() * np.log(expit(z)) + (1 - TARGET.numpy()) * np.log(expit(-z))).mean(-1)
    assert terms["soft"].item() == pytest.approx(0.7 * 4 * np.average(soft, weights=WEIGHT), rel=1e-9)
    assert terms["hard"].item() == pytest.approx(0.3 * np.average(hard, weights=WEIGHT), rel=1e-9)


def test_gradients_are_those_of_the_divergence() -> None:
    one, other = (STUDENT.clone().requires_grad_() for _ in range(2))
    sum(said(FusedDistillation(weight=0.2, temperature=3.0), one).values()).backward()
    sum(said(SelfDistillation(alpha=0.2, temperature=3.0), other).values()).backward()
    torch.testing.assert_close(one.grad, other.grad)


def test_a_scheduled_weight_goes_from_its_start_to_its_end() -> None:
    objective = FusedDistillation(weight=0.1, last_weight=0.9, rule="scheduled")
    assert isinstance(objective, Scheduled)
    found = []
    for done in (0.0, 0.25, 0.5, 0.75, 1.0):
        objective.at(done)
        found.append(float(objective.weight_of_labels()))
    np.testing.assert_allclose(found, [0.1, 0.5 - 0.4 * np.sqrt(0.5), 0.5, 0.5 + 0.4 * np.sqrt(0.5), 0.9])
    assert found == sorted(found)
    fixed = FusedDistillation(weight=0.1, last_weight=0.9)
    fixed.at(1.0)
    assert fixed.weight_of_labels() == 0.1


def test_a_learned_weight_starts_where_told_and_moves_to_the_cheaper_term() -> None:
    objective = FusedDistillation(weight=0.3, temperature=1.0, rule="learned")
    assert objective.weight_of_labels().item() == pytest.approx(0.3, rel=1e-6)
    assert [name for name, _ in objective.named_parameters()] == ["logit"]
    terms = said(objective)
    hard, soft = terms["hard"].item() / 0.3, terms["soft"].item() / 0.7
    sum(terms.values()).backward()
    assert objective.logit.grad.item() == pytest.approx((hard - soft) * 0.3 * 0.7, rel=1e-5)
    assert list(FusedDistillation().parameters()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weight": 1.5}, "alpha must lie in 0..1"),
        ({"last_weight": -0.1}, "alpha must lie in 0..1"),
        ({"temperature": 0.0}, "temperature must be above 0"),
        ({"rule": "guessed"}, "rule must be one of fixed, scheduled, learned, got 'guessed'"),
        ({"rule": "learned", "weight": 0.0}, "weight must lie between 0 and 1 where it learns"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(HearlessError, match=message):
        FusedDistillation(**arguments)


def test_wrong_teachers_and_targets_are_refused() -> None:
    student = Prediction(STUDENT, STUDENT)
    with pytest.raises(HearlessError, match="needs a teacher"):
        FusedDistillation().bind(student, None)
    with pytest.raises(HearlessError, match="must share their classes"):
        FusedDistillation().bind(student, Prediction(TEACHER[:, :3], TEACHER))
    with pytest.raises(HearlessError, match="target must be a float tensor"):
        fused_distillation_loss(STUDENT, TEACHER, TARGET[:, :2], 0.5, 2.0)
