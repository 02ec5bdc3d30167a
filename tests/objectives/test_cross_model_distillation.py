"""Paper 002's loss against scipy in double precision, distillation turned off to the bit, its laws, and wrong input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit, log_softmax, rel_entr, softmax

from hearless.interfaces import HearlessError, Prediction
from hearless.objectives.binary_cross_entropy import BinaryCrossEntropy
from hearless.objectives.cross_entropy import CrossEntropy
from hearless.objectives.cross_model_distillation import CrossModelDistillation, cross_model_distillation_loss
from hearless.objectives.self_distillation import self_distillation_loss

RNG = np.random.default_rng(2)
STUDENT = torch.from_numpy(RNG.normal(0, 3, (6, 5)))
TEACHER = torch.from_numpy(RNG.normal(0, 9, (6, 5)))
ONE_HOT = torch.eye(5, dtype=torch.float64)[[0, 3, 1, 4, 2, 0]]
TARGET = 0.2 * ONE_HOT + 0.8 * ONE_HOT.flip(0)
WEIGHT = torch.tensor([1.0, 2.0, 0.5, 0.0, 3.0, 1.0], dtype=torch.float64)
HARD: list[dict[str, Any]] = [{}, {"label_smoothing": 0.1}, {"hard": "binary_cross_entropy"}]
LOGITS = arrays(np.float64, (3, 4), elements=st.floats(-20, 20))


def prediction(logits: torch.Tensor) -> Prediction:
    return Prediction(logits, logits)


def soft_of(student: np.ndarray, teacher: np.ndarray, temperature: float) -> float:
    """Return the soft term alone, without labels."""
    terms = cross_model_distillation_loss(
        torch.from_numpy(student), torch.from_numpy(teacher), torch.full(student.shape, 0.25), 0.0, temperature
    )
    assert terms["hard"].item() == 0.0
    return terms["soft"].item()


def hard_by_hand(chosen: dict[str, Any]) -> np.ndarray:
    """Return the loss of the hard labels from its formula, ``[batch]``."""
    student, target, smoothing = STUDENT.numpy(), TARGET.numpy(), chosen.get("label_smoothing", 0.0)
    if "hard" in chosen:
        return -(target * np.log(expit(student)) + (1 - target) * np.log(expit(-student))).mean(-1)
    return -(((1 - smoothing) * target + smoothing / 5) * log_softmax(student, -1)).sum(-1)


@pytest.mark.parametrize("chosen", HARD)
@pytest.mark.parametrize(("alpha", "temperature"), [(0.5, 5.0), (0.1, 1.0), (0.0, 2.0)])
def test_it_is_the_formula_in_scipy(chosen: dict[str, Any], alpha: float, temperature: float) -> None:
    objective = CrossModelDistillation(alpha=alpha, temperature=temperature, **chosen)
    terms = objective(prediction(STUDENT), prediction(TEACHER), TARGET, WEIGHT)
    divergence = rel_entr(softmax(TEACHER.numpy() / temperature, -1), softmax(STUDENT.numpy(), -1)).sum(-1)
    assert list(terms) == ["hard", "soft"]
    assert terms["hard"].item() == pytest.approx(alpha * np.average(hard_by_hand(chosen), weights=WEIGHT), rel=1e-12)
    assert terms["soft"].item() == pytest.approx((1 - alpha) * np.average(divergence, weights=WEIGHT), rel=1e-12)


def test_the_defaults_are_the_papers() -> None:
    made = CrossModelDistillation()
    assert (made.alpha, made.temperature, made.hard, made.label_smoothing) == (0.5, 5.0, "cross_entropy", 0.0)


def test_single_precision_is_close_to_double() -> None:
    arguments = (STUDENT, TEACHER, TARGET)
    double = cross_model_distillation_loss(*arguments, 0.5, 5.0)
    single = cross_model_distillation_loss(*(tensor.float() for tensor in arguments), 0.5, 5.0)
    for name, term in double.items():
        assert single[name].dtype == torch.float32
        assert single[name].item() == pytest.approx(term.item(), rel=1e-5)


@pytest.mark.parametrize(
    ("chosen", "plain"),
    list(zip(HARD, (CrossEntropy(), CrossEntropy(label_smoothing=0.1), BinaryCrossEntropy()), strict=True)),
)
@pytest.mark.parametrize("said", [1.0, float("inf"), float("-inf"), float("nan")])
def test_an_alpha_of_1_is_the_plain_objective_to_the_bit(chosen: dict[str, Any], plain: Any, said: float) -> None:
    student, alone = (STUDENT.float().requires_grad_() for _ in range(2))
    target, weight = TARGET.float(), WEIGHT.float()
    teacher = prediction(torch.full((6, 5), said))
    terms = CrossModelDistillation(alpha=1.0, **chosen)(prediction(student), teacher, target, weight)
    (expected,) = plain(prediction(alone), None, target, weight).values()
    loss = torch.stack(list(terms.values())).sum()  # as the loop adds them
    loss.backward()
    expected.backward()
    assert torch.equal(terms["hard"], expected)
    assert terms["soft"].item() == 0.0
    assert torch.equal(loss, expected)
    assert torch.equal(student.grad, alone.grad)
    assert student.grad.abs().sum() > 0


@settings(max_examples=60, deadline=None)
@given(teacher=LOGITS, temperature=st.floats(0.5, 10.0), offset=st.floats(-50, 50))
def test_a_student_at_the_tempered_teacher_costs_nothing(
    teacher: np.ndarray, temperature: float, offset: float
) -> None:
    assert abs(soft_of(teacher / temperature + offset, teacher, temperature)) < 1e-12


@settings(max_examples=60, deadline=None)
@given(student=LOGITS, teacher=LOGITS, temperature=st.floats(0.5, 10.0))
def test_any_other_student_pays(student: np.ndarray, teacher: np.ndarray, temperature: float) -> None:
    """Pinsker: the divergence is at least half the squared distance of the two distributions."""
    apart = np.abs(softmax(teacher / temperature, -1) - softmax(student, -1)).sum(-1)
    assert soft_of(student, teacher, temperature) >= (apart**2 / 2).mean() - 1e-12


def test_the_temperature_is_the_teachers_alone() -> None:
    """A copy of the teacher's logits pays, heating both would not; at 1 it is the loss of paper 000."""
    student, teacher = STUDENT.numpy(), TEACHER.numpy()
    assert soft_of(teacher, teacher, 5.0) > 0.1
    assert self_distillation_loss(TEACHER, TEACHER, TARGET, 0.0, 5.0)["soft"].item() == pytest.approx(0.0, abs=1e-12)
    assert soft_of(student, 5 * teacher, 5.0) == pytest.approx(soft_of(student, teacher, 1.0), rel=1e-12)
    assert soft_of(5 * student, teacher, 5.0) != pytest.approx(soft_of(student, teacher / 5, 5.0), rel=0.1)
    assert cross_model_distillation_loss(STUDENT, TEACHER, TARGET, 0.3, 1.0) == self_distillation_loss(
        STUDENT, TEACHER, TARGET, 0.3, 1.0
    )


def test_the_soft_gradient_is_the_difference_of_the_softmaxes_without_a_factor() -> None:
    student = STUDENT.clone().requires_grad_()
    cross_model_distillation_loss(student, TEACHER, TARGET, 0.0, 5.0)["soft"].backward()
    expected = (torch.softmax(STUDENT, -1) - torch.softmax(TEACHER / 5, -1)) / 6
    torch.testing.assert_close(student.grad, expected)


@pytest.mark.parametrize("chosen", HARD)
def test_no_gradient_reaches_the_teacher(chosen: dict[str, Any]) -> None:
    teacher, student = TEACHER.clone().requires_grad_(), STUDENT.clone().requires_grad_()
    sum(cross_model_distillation_loss(student, teacher, TARGET, 0.5, 5.0, **chosen).values()).backward()
    assert teacher.grad is None
    assert student.grad.abs().max() > 0


def test_a_missing_or_an_ill_fitting_teacher_is_refused() -> None:
    with pytest.raises(HearlessError, match="CrossModelDistillation needs a teacher and got None; name one"):
        CrossModelDistillation().bind(prediction(STUDENT), None)
    with pytest.raises(HearlessError, match="CrossModelDistillation needs a teacher"):
        CrossModelDistillation(alpha=1.0)(prediction(STUDENT), None, TARGET, WEIGHT)
    with pytest.raises(HearlessError, match="CrossModelDistillation: student and teacher must share their classes"):
        CrossModelDistillation().bind(prediction(STUDENT), prediction(TEACHER[:, :3]))


def test_a_target_of_class_numbers_is_refused() -> None:
    with pytest.raises(HearlessError, match="CrossModelDistillation: the target must be a float tensor"):
        cross_model_distillation_loss(STUDENT, TEACHER, torch.zeros(6, dtype=torch.int64), 0.5, 5.0)


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"alpha": 1.1}, r"CrossModelDistillation: alpha must lie in 0\.\.1, got 1.1"),
        ({"alpha": float("nan")}, r"alpha must lie in 0\.\.1, got nan"),
        ({"temperature": 0.0}, "temperature must be above 0 and finite, got 0.0"),
        ({"temperature": float("inf")}, "temperature must be above 0 and finite, got inf"),
        ({"hard": "mse"}, "hard must be one of cross_entropy, binary_cross_entropy, got 'mse'"),
        ({"label_smoothing": 1.0}, r"label_smoothing must lie in 0\.\.1, 1 excluded, got 1.0"),
        ({"label_smoothing": float("nan")}, r"label_smoothing must lie in 0\.\.1"),
        (
            {"label_smoothing": 0.1, "hard": "binary_cross_entropy"},
            "label_smoothing must be 0 with binary_cross_entropy, got 0.1; use cross_entropy",
        ),
    ],
)
def test_wrong_arguments_are_refused(chosen: dict[str, Any], said: str) -> None:
    with pytest.raises(HearlessError, match=said):
        CrossModelDistillation(**chosen)
