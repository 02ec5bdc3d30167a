"""Paper 000's loss against torch and numpy, Hinton's limit, its laws, and wrong input."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from scipy.stats import entropy

from hearless.interfaces import HearlessError, Prediction
from hearless.objectives.self_distillation import SelfDistillation, self_distillation_loss

RNG = np.random.default_rng(2)
STUDENT = torch.from_numpy(RNG.normal(0, 3, (6, 5)))
TEACHER = torch.from_numpy(RNG.normal(0, 3, (6, 5)))
CLASSES = torch.tensor([0, 3, 1, 4, 2, 0])
TARGET = torch.nn.functional.one_hot(CLASSES, 5).double()
WEIGHT = torch.tensor([1.0, 2.0, 0.5, 0.0, 3.0, 1.0], dtype=torch.float64)


def prediction(logits):
    return Prediction(logits, logits)


@pytest.mark.parametrize(("alpha", "temperature"), [(0.5, 4.0), (0.1, 1.0), (0.9, 8.0), (0.0, 2.0), (1.0, 2.0)])
def test_the_terms_are_torchs_batchmean_losses(alpha, temperature):
    terms = SelfDistillation(alpha=alpha, temperature=temperature)(
        prediction(STUDENT), prediction(TEACHER), TARGET, torch.ones(6)
    )
    divergence = torch.nn.KLDivLoss(reduction="batchmean")(
        torch.log_softmax(STUDENT / temperature, -1), torch.softmax(TEACHER / temperature, -1)
    )
    torch.testing.assert_close(terms["hard"], alpha * torch.nn.CrossEntropyLoss()(STUDENT, CLASSES))
    torch.testing.assert_close(terms["soft"], (1 - alpha) * temperature**2 * divergence)
    assert list(terms) == ["hard", "soft"]


def test_weighted_and_mixed_against_scipy():
    mixed = 0.2 * TARGET + 0.8 * TARGET.flip(0)
    terms = self_distillation_loss(STUDENT, TEACHER, mixed, 0.3, 2.0, WEIGHT)
    divergence = entropy(softmax(TEACHER.numpy() / 2, -1), softmax(STUDENT.numpy() / 2, -1), axis=-1)
    hard = -(mixed.numpy() * log_softmax(STUDENT.numpy(), -1)).sum(-1)
    weight = WEIGHT.numpy()
    assert terms["soft"].item() == pytest.approx(0.7 * 4 * np.average(divergence, weights=weight), rel=1e-12)
    assert terms["hard"].item() == pytest.approx(0.3 * np.average(hard, weights=weight), rel=1e-12)


def test_alpha_1_turns_distillation_off_exactly():
    student, alone = STUDENT.clone().requires_grad_(), STUDENT.clone().requires_grad_()
    sum(self_distillation_loss(student, TEACHER, TARGET, 1.0, 4.0).values()).backward()
    torch.nn.CrossEntropyLoss()(alone, CLASSES).backward()
    assert self_distillation_loss(STUDENT, TEACHER, TARGET, 1.0, 4.0)["soft"].item() == 0.0
    assert torch.equal(student.grad, alone.grad)


def test_a_copy_of_the_teacher_costs_nothing_whatever_its_offset():
    soft = self_distillation_loss(STUDENT, STUDENT + 7.0, TARGET, 0.5, 4.0)["soft"]
    assert abs(soft.item()) < 1e-12
    assert self_distillation_loss(STUDENT, TEACHER, TARGET, 0.5, 4.0)["soft"].item() > 0.1


def test_hot_distillation_matches_centred_logits():
    soft = self_distillation_loss(STUDENT, TEACHER, TARGET, 0.0, 1e4)["soft"]
    centred = [logits - logits.mean(-1, keepdim=True) for logits in (STUDENT, TEACHER)]
    limit = (centred[0] - centred[1]).square().sum(-1).mean() / (2 * STUDENT.shape[-1])
    assert soft.item() == pytest.approx(limit.item(), rel=1e-3)


def test_no_gradient_reaches_the_teacher():
    teacher = TEACHER.clone().requires_grad_()
    student = STUDENT.clone().requires_grad_()
    sum(self_distillation_loss(student, teacher, TARGET, 0.5, 4.0).values()).backward()
    assert teacher.grad is None
    assert student.grad.abs().max() > 0


def test_the_soft_gradient_is_t_times_the_difference_of_the_tempered():
    student = STUDENT.clone().requires_grad_()
    self_distillation_loss(student, TEACHER, TARGET, 0.0, 4.0)["soft"].backward()
    expected = 4.0 * (torch.softmax(STUDENT / 4, -1) - torch.softmax(TEACHER / 4, -1)) / 6
    torch.testing.assert_close(student.grad, expected)


def test_a_clip_of_weight_0_is_not_heard():
    terms = self_distillation_loss(STUDENT, TEACHER, TARGET, 0.5, 4.0, WEIGHT)
    heard = WEIGHT > 0
    without = self_distillation_loss(STUDENT[heard], TEACHER[heard], TARGET[heard], 0.5, 4.0, WEIGHT[heard])
    torch.testing.assert_close(terms, without)


def test_a_missing_teacher_is_refused():
    objective = SelfDistillation()
    with pytest.raises(HearlessError, match="SelfDistillation needs a teacher and got None; name one"):
        objective.bind(prediction(STUDENT), None)
    with pytest.raises(HearlessError, match="needs a teacher"):
        objective(prediction(STUDENT), None, TARGET, WEIGHT)


def test_a_teacher_of_other_classes_is_refused():
    with pytest.raises(HearlessError, match="got 5 from the student and 3 from the teacher; give the teacher a head"):
        SelfDistillation().bind(prediction(STUDENT), prediction(TEACHER[:, :3]))


def test_a_teacher_of_other_clips_is_refused():
    with pytest.raises(HearlessError, match=r"the same batch, got logits \(6, 5\) .* and \(4, 5\)"):
        self_distillation_loss(STUDENT, TEACHER[:4], TARGET, 0.5, 4.0)


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan")])
def test_alpha_lies_in_0_to_1(alpha):
    with pytest.raises(HearlessError, match=f"alpha must lie in 0..1, got {alpha}"):
        SelfDistillation(alpha=alpha)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("inf"), float("nan")])
def test_temperature_is_above_0_and_finite(temperature):
    with pytest.raises(HearlessError, match=f"temperature must be above 0 and finite, got {temperature}"):
        SelfDistillation(temperature=temperature)
