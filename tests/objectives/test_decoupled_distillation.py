"""DKD against its formula in numpy, a value by hand, its tie to Hinton's divergence, its laws, and wrong input."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, rel_entr, softmax

from hearless.interfaces import HearlessError, Prediction
from hearless.objectives.decoupled_distillation import (
    DecoupledDistillation,
    decoupled_distillation_loss,
    decoupled_divergences,
)
from hearless.objectives.self_distillation import self_distillation_loss

RNG = np.random.default_rng(5)
STUDENT = torch.from_numpy(RNG.normal(0, 3, (6, 5)))
TEACHER = torch.from_numpy(RNG.normal(0, 3, (6, 5)))
CLASSES = torch.tensor([0, 3, 1, 4, 2, 0])
TARGET = torch.eye(5, dtype=torch.float64)[CLASSES]
WEIGHT = torch.tensor([1.0, 2.0, 0.5, 0.0, 3.0, 1.0], dtype=torch.float64)


def prediction(logits: torch.Tensor) -> Prediction:
    return Prediction(logits, logits)


def by_formula(temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Return TCKD and NCKD of each clip from probabilities, one clip at a time."""
    tckd, nckd = [], []
    for student, teacher, c in zip(STUDENT.numpy(), TEACHER.numpy(), CLASSES.tolist(), strict=True):
        p, q = softmax(teacher / temperature), softmax(student / temperature)
        tckd.append(rel_entr([p[c], 1 - p[c]], [q[c], 1 - q[c]]).sum())
        nckd.append(rel_entr(np.delete(p, c) / (1 - p[c]), np.delete(q, c) / (1 - q[c])).sum())
    return np.array(tckd), np.array(nckd)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_it_is_the_formula_in_numpy(temperature: float) -> None:
    objective = DecoupledDistillation(alpha=0.7, beta=8.0, temperature=temperature, hard_weight=0.4)
    terms = objective(prediction(STUDENT), prediction(TEACHER), TARGET, WEIGHT)
    tckd, nckd = by_formula(temperature)
    hard = -log_softmax(STUDENT.numpy(), -1)[range(6), CLASSES]
    assert list(terms) == ["hard", "target", "non_target"]
    assert terms["hard"].item() == pytest.approx(0.4 * np.average(hard, weights=WEIGHT), rel=1e-12)
    assert terms["target"].item() == pytest.approx(0.7 * temperature**2 * np.average(tckd, weights=WEIGHT), rel=1e-10)
    assert terms["non_target"].item() == pytest.approx(8 * temperature**2 * np.average(nckd, weights=WEIGHT), rel=1e-10)


def test_a_value_by_hand() -> None:
    """Teacher (1/2, 1/4, 1/4), student (1/4, 1/4, 1/2), target the first; T 1."""
    teacher, student = torch.tensor([[2.0, 1.0, 1.0]]).double().log(), torch.tensor([[1.0, 1.0, 2.0]]).double().log()
    tckd, nckd = decoupled_divergences(student, teacher, torch.tensor([0]), 1.0)
    assert tckd.item() == pytest.approx(0.5 * math.log(4 / 3), rel=1e-12)  # (1/2, 1/2) from (1/4, 3/4)
    assert nckd.item() == pytest.approx(0.5 * math.log(9 / 8), rel=1e-12)  # (1/2, 1/2) from (1/3, 2/3)


def test_hintons_divergence_is_their_sum_with_the_teachers_doubt() -> None:
    tckd, nckd = decoupled_divergences(STUDENT, TEACHER, CLASSES, 4.0)
    doubt = 1 - (TEACHER / 4).softmax(-1)[range(6), CLASSES]
    for i in range(6):
        hinton = self_distillation_loss(STUDENT[i : i + 1], TEACHER[i : i + 1], TARGET[i : i + 1], 0.0, 4.0)["soft"]
        assert 16 * (tckd + doubt * nckd)[i].item() == pytest.approx(hinton.item(), rel=1e-12)


def test_a_copy_of_the_teacher_costs_nothing_whatever_its_offset() -> None:
    terms = decoupled_distillation_loss(TEACHER + 7.0, TEACHER, TARGET, 1.0, 8.0, 4.0)
    assert abs(terms["target"].item()) < 1e-12
    assert abs(terms["non_target"].item()) < 1e-11
    assert decoupled_distillation_loss(STUDENT, TEACHER, TARGET, 1.0, 8.0, 4.0)["non_target"].item() > 0.1


def test_each_term_sees_its_own_part_alone() -> None:
    """Raising the target's logit moves TCKD only; shuffling the others' knowledge moves NCKD only."""
    tckd, nckd = decoupled_divergences(STUDENT, TEACHER, CLASSES, 1.0)
    raised_t, raised_n = decoupled_divergences(STUDENT + 2 * TARGET, TEACHER, CLASSES, 1.0)
    swapped = STUDENT.clone()
    swapped[0, [1, 2]] = STUDENT[0, [2, 1]]
    swapped_t, swapped_n = decoupled_divergences(swapped, TEACHER, CLASSES, 1.0)
    torch.testing.assert_close(raised_n, nckd)
    torch.testing.assert_close(swapped_t, tckd)
    assert (raised_t - tckd).abs().min() > 1e-4
    assert abs(swapped_n[0] - nckd[0]) > 1e-3


def test_of_two_classes_nothing_is_left_beside_the_target() -> None:
    terms = decoupled_distillation_loss(STUDENT[:, :2], TEACHER[:, :2], TARGET.new_tensor([[1, 0]] * 6), 1.0, 8.0, 2.0)
    assert terms["non_target"].item() == 0.0
    assert terms["target"].item() > 0.1


def test_no_gradient_reaches_the_teacher() -> None:
    student, teacher = STUDENT.clone().requires_grad_(), TEACHER.clone().requires_grad_()
    torch.stack(list(decoupled_distillation_loss(student, teacher, TARGET, 1.0, 8.0, 4.0).values())).sum().backward()
    assert teacher.grad is None
    assert student.grad is not None
    assert student.grad.abs().max() > 0


def test_gradients_are_those_of_finite_differences() -> None:
    def loss(student: torch.Tensor) -> torch.Tensor:
        return torch.stack(list(decoupled_distillation_loss(student, TEACHER, TARGET, 1.0, 8.0, 4.0, WEIGHT).values()))

    assert torch.autograd.gradcheck(loss, STUDENT.clone().requires_grad_())


@pytest.mark.parametrize("scale", [0.0, 1e4])
def test_one_class_dominating_or_none_stays_finite_in_single_precision(scale: float) -> None:
    student = (scale * TARGET.float()).requires_grad_()
    teacher = scale * TARGET.flip(-1).float()
    terms = decoupled_distillation_loss(student, teacher, TARGET.float(), 1.0, 8.0, 1.0)
    torch.stack(list(terms.values())).sum().backward()
    assert all(math.isfinite(term.item()) for term in terms.values())
    assert student.grad is not None
    assert student.grad.isfinite().all()
    if scale == 0.0:
        assert terms["target"].item() == terms["non_target"].item() == 0.0


@pytest.mark.parametrize("temperature", [4.0, 100.0])
def test_single_precision_is_close_to_double(temperature: float) -> None:
    double = decoupled_distillation_loss(STUDENT, TEACHER, TARGET, 1.0, 8.0, temperature)
    single = decoupled_distillation_loss(STUDENT.float(), TEACHER.float(), TARGET.float(), 1.0, 8.0, temperature)
    for name, term in double.items():
        assert single[name].dtype == torch.float32
        assert single[name].item() == pytest.approx(term.item(), rel=2e-2 if temperature > 4 else 1e-5)


def test_a_batch_of_one_is_its_clips_own() -> None:
    alone = [decoupled_distillation_loss(STUDENT[i : i + 1], TEACHER[i : i + 1], TARGET[i : i + 1], 1, 8, 4)
             for i in range(6)]  # fmt: skip
    together = decoupled_distillation_loss(STUDENT, TEACHER, TARGET, 1, 8, 4)
    for name, term in together.items():
        torch.testing.assert_close(term, torch.stack([terms[name] for terms in alone]).mean())


def test_a_mixed_clips_target_is_its_largest_share() -> None:
    mixed = 0.7 * TARGET + 0.3 * TARGET.roll(1, -1)
    terms = decoupled_distillation_loss(STUDENT, TEACHER, mixed, 1.0, 8.0, 4.0)
    plain = decoupled_distillation_loss(STUDENT, TEACHER, TARGET, 1.0, 8.0, 4.0)
    assert terms["target"] == plain["target"]
    assert terms["hard"] != plain["hard"]


def test_without_hard_labels_their_term_is_left_out() -> None:
    assert list(decoupled_distillation_loss(STUDENT, TEACHER, TARGET, 1, 8, 4, hard_weight=0)) == [
        "target",
        "non_target",
    ]


def test_one_class_is_refused() -> None:
    with pytest.raises(HearlessError, match="needs 2 classes or more, got 1"):
        decoupled_distillation_loss(STUDENT[:, :1], TEACHER[:, :1], TARGET[:, :1], 1.0, 8.0, 4.0)


def test_a_missing_or_ill_fitting_teacher_is_refused() -> None:
    with pytest.raises(HearlessError, match="DecoupledDistillation needs a teacher and got None"):
        DecoupledDistillation().bind(prediction(STUDENT), None)
    with pytest.raises(HearlessError, match="got 5 from the student and 3 from the teacher"):
        DecoupledDistillation().bind(prediction(STUDENT), prediction(TEACHER[:, :3]))
    with pytest.raises(HearlessError, match="must hear the same batch"):
        decoupled_distillation_loss(STUDENT, TEACHER[:4], TARGET, 1.0, 8.0, 4.0)


@pytest.mark.parametrize("argument", ["alpha", "beta", "hard_weight"])
@pytest.mark.parametrize("value", [-0.1, float("inf"), float("nan")])
def test_weights_are_0_or_more_and_finite(argument: str, value: float) -> None:
    wrong: dict[str, Any] = {argument: value}
    with pytest.raises(HearlessError, match=f"{argument} must be 0 or more and finite, got {value}"):
        DecoupledDistillation(**wrong)


def test_temperature_is_above_0() -> None:
    with pytest.raises(HearlessError, match=r"temperature must be above 0 and finite, got 0\.0"):
        DecoupledDistillation(temperature=0.0)
