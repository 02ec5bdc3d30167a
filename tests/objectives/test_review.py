"""Knowledge review: HCL and ABF against their formulas, values by hand, who hears whom, parameters, and wrong input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.signal import correlate
from scipy.special import expit, log_softmax
from torch import Tensor

from hearless.interfaces import HearlessError, Prediction
from hearless.objectives.review import Review, hierarchical_context_loss

RNG = np.random.default_rng(15)
STUDENT = {
    "a": torch.from_numpy(RNG.normal(0, 2, (6, 3, 9, 7))),
    "b": torch.from_numpy(RNG.normal(1, 2, (6, 4, 5, 3))),
    "c": torch.from_numpy(RNG.normal(0, 1, (6, 2, 2, 2))),
}
TEACHER = {
    "a": torch.from_numpy(RNG.normal(0, 3, (6, 5, 12, 5))),
    "b": torch.from_numpy(RNG.normal(2, 1, (6, 4, 5, 3))),
    "c": torch.from_numpy(RNG.normal(0, 1, (6, 6, 3, 1))),
}
LOGITS = torch.from_numpy(RNG.normal(0, 3, (6, 5)))
CLASSES = [0, 3, 1, 4, 2, 0]
TARGET = torch.eye(5, dtype=torch.float64)[CLASSES]
WEIGHT = torch.tensor([1.0, 2.0, 0.5, 0.0, 3.0, 1.0], dtype=torch.float64)


def prediction(maps: dict[str, Tensor], logits: Tensor = LOGITS) -> Prediction:
    return Prediction(logits, logits, None, maps)


def bound(student: dict[str, Tensor] = STUDENT, teacher: dict[str, Tensor] = TEACHER, **arguments: Any) -> Review:
    torch.manual_seed(0)
    made = Review(**{"width": 4, **arguments})
    made.bind(prediction(student), prediction(teacher))
    return made.double()


def contexts(ours: Any, theirs: Any, averaged: Callable[..., Any]) -> Any:
    """Return HCL of each clip by its formula."""
    bands, frames = ours.shape[2:]
    sizes = [(bands, frames)]
    for n in (4, 2, 1):
        if (size := (min(n, bands), min(n, frames))) != sizes[-1]:
            sizes.append(size)
    weights = [1 / 2**i for i in range(len(sizes))]
    each = [((averaged(ours, *size) - averaged(theirs, *size)) ** 2).mean((1, 2, 3)) for size in sizes]
    return np.average(each, axis=0, weights=weights)


@pytest.mark.parametrize("size", [(9, 7), (4, 4), (5, 3), (2, 9), (1, 6), (1, 1)])
@pytest.mark.parametrize("weight", [torch.ones(6).double(), WEIGHT])
def test_hcl_is_its_formula(size: tuple[int, int], weight: Tensor, averaged: Callable[..., Any]) -> None:
    ours, theirs = (RNG.normal(i, 2, (6, 3, *size)) for i in range(2))
    found = hierarchical_context_loss(torch.from_numpy(ours), torch.from_numpy(theirs), weight)
    expected = np.average(contexts(ours, theirs, averaged), weights=weight.numpy())
    assert found.item() == pytest.approx(expected, rel=1e-12)


def test_hcl_by_hand() -> None:
    """A constant difference stands in all contexts, a checkerboard in the finest of four alone."""
    zeros, places = torch.zeros(1, 1, 8, 8), torch.arange(8)
    assert hierarchical_context_loss(zeros + 3, zeros).item() == pytest.approx(9.0)
    board = 3.0 * (1 - 2 * ((places[:, None] + places) % 2)).float()[None, None]
    assert hierarchical_context_loss(board, zeros).item() == pytest.approx(9 / (1 + 1 / 2 + 1 / 4 + 1 / 8))


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_hcl_of_a_map_and_itself_is_0_and_otherwise_at_most_the_square_of_the_largest_difference(name: str) -> None:
    maps = STUDENT[name]
    other = maps + torch.from_numpy(RNG.uniform(-0.3, 0.3, maps.shape))
    assert hierarchical_context_loss(maps, maps).item() == 0.0
    assert 0 < hierarchical_context_loss(maps, other).item() <= 0.09


def fused(state: dict[str, Any], maps: list[Any]) -> list[Any]:
    """Return what each level tells, from deep to shallow, by ABF's formula in NumPy."""
    told, below = [], None
    for level in reversed(range(len(maps))):
        own = {name.split(".", 2)[2]: value for name, value in state.items() if name.startswith(f"fusions.{level}.")}
        mixed = np.einsum("oi,bift->boft", own["reduce.weight"][..., 0, 0], maps[level])
        mixed += own["reduce.bias"][:, None, None]
        if below is not None:
            rows, columns = (np.arange(n) * m // n for n, m in zip(mixed.shape[2:], below.shape[2:], strict=True))
            near = below[:, :, rows][..., columns]
            both = np.concatenate([mixed, near], 1)
            share = np.einsum("oi,bift->boft", own["attend.weight"][..., 0, 0], both)
            share = expit(share + own["attend.bias"][:, None, None])
            mixed = share[:, :1] * mixed + share[:, 1:] * near
        below = mixed
        padded = np.pad(mixed, ((0, 0), (0, 0), (1, 1), (1, 1)))
        kernels = own["expand.weight"]
        told.append(np.stack([
            np.stack([correlate(clip, kernel, "valid")[0] + bias
                      for kernel, bias in zip(kernels, own["expand.bias"], strict=True)]) for clip in padded
        ]))  # fmt: skip
    return told


def test_the_modules_terms_are_the_formula_of_its_parameters(averaged: Callable[..., Any]) -> None:
    objective = bound(review_weight=3.0, hard_weight=0.5)
    terms = objective(prediction(STUDENT), prediction(TEACHER), TARGET, WEIGHT)
    state = {name: tensor.numpy() for name, tensor in objective.state_dict().items()}
    told = fused(state, [maps.numpy() for maps in STUDENT.values()])[::-1]
    each = np.zeros(6)
    for ours, name, size in zip(told, TEACHER, [(9, 5), (5, 3), (2, 1)], strict=True):
        each += contexts(averaged(ours, *size), averaged(TEACHER[name].numpy(), *size), averaged)
    hard = -log_softmax(LOGITS.numpy(), -1)[range(6), CLASSES]
    assert list(terms) == ["hard", "review"]
    assert terms["hard"].item() == pytest.approx(0.5 * np.average(hard, weights=WEIGHT), rel=1e-12)
    assert terms["review"].item() == pytest.approx(3 * np.average(each, weights=WEIGHT), rel=1e-12)


def test_each_level_tells_of_the_teachers_channels_at_the_students_places() -> None:
    told = bound().review(list(STUDENT.values()))
    assert [tuple(one.shape) for one in told] == [(6, 5, 9, 7), (6, 4, 5, 3), (6, 6, 2, 2)]


def test_a_level_hears_its_own_map_and_all_deeper_ones() -> None:
    maps = [one.clone().requires_grad_() for one in STUDENT.values()]
    told = bound().review(maps)
    for level, one in enumerate(told):
        grads = torch.autograd.grad(one.sum(), maps, retain_graph=True, allow_unused=True)
        assert [grad is not None and bool(grad.any()) for grad in grads] == [False] * level + [True] * (3 - level)


def test_the_students_own_telling_costs_nothing() -> None:
    """A teacher that is what the bound student tells of it."""
    objective = bound()
    with torch.no_grad():
        told = dict(zip("abc", objective.review(list(STUDENT.values())), strict=True))
    assert objective(prediction(STUDENT), prediction(told), TARGET, WEIGHT)["review"].item() == 0.0


def test_one_level_has_no_attention() -> None:
    objective = bound(maps="b=c")
    assert sorted(objective.state_dict()) == [
        f"fusions.0.{part}.{kind}" for part in ("expand", "reduce") for kind in ("bias", "weight")
    ]


def test_training_brings_the_maps_together() -> None:
    objective = bound(hard_weight=0.0, width=16)
    optimiser = torch.optim.Adam(objective.parameters(), lr=0.01)
    losses = []
    for _ in range(60):
        optimiser.zero_grad()
        loss = objective(prediction(STUDENT), prediction(TEACHER), TARGET, WEIGHT)["review"]
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


def test_a_clip_of_weight_0_is_not_heard() -> None:
    heard = WEIGHT > 0
    objective = bound()
    shouted = {name: torch.where(heard[:, None, None, None], maps, 1e6) for name, maps in STUDENT.items()}
    found = objective(prediction(shouted), prediction(TEACHER), TARGET, WEIGHT)["review"]
    few = [prediction({name: maps[heard] for name, maps in one.items()}, LOGITS[heard]) for one in (STUDENT, TEACHER)]
    torch.testing.assert_close(found, objective(*few, TARGET[heard], WEIGHT[heard])["review"])


def test_a_batch_of_one_is_its_clip() -> None:
    objective, each = bound(), []
    for i in range(6):
        one = [prediction({name: maps[[i]] for name, maps in m.items()}, LOGITS[[i]]) for m in (STUDENT, TEACHER)]
        each.append(objective(*one, TARGET[[i]], torch.ones(1))["review"])
    whole = objective(prediction(STUDENT), prediction(TEACHER), TARGET, torch.ones(6))["review"]
    torch.testing.assert_close(torch.stack(each).mean(), whole)


def test_gradients_are_those_of_finite_differences() -> None:
    teacher = {name: TEACHER[name][:2] for name in "bc"}
    objective = bound({name: STUDENT[name][:2] for name in "bc"}, teacher, hard_weight=0.0, width=2)

    def loss(shallow: Tensor, deep: Tensor, *_: Tensor) -> Tensor:
        said = prediction({"b": shallow, "c": deep}, LOGITS[:2])
        found: Tensor = objective(said, prediction(teacher, LOGITS[:2]), TARGET[:2], WEIGHT[:2])["review"]
        return found

    inner = [STUDENT[name][:2].clone().requires_grad_() for name in "bc"]
    assert torch.autograd.gradcheck(loss, (*inner, *objective.parameters()))


def test_gradients_reach_student_and_every_parameter_and_not_the_teacher() -> None:
    student, teacher = ({k: v.clone().requires_grad_() for k, v in maps.items()} for maps in (STUDENT, TEACHER))
    objective = bound(student, teacher)
    torch.stack(list(objective(prediction(student), prediction(teacher), TARGET, WEIGHT).values())).sum().backward()
    assert [maps.grad for maps in teacher.values()] == [None] * 3
    for maps in student.values():
        assert maps.grad is not None
        assert maps.grad[WEIGHT > 0].abs().sum((1, 2, 3)).min() > 0
        assert not maps.grad[WEIGHT == 0].any()
    assert [name for name, p in objective.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_the_same_seed_binds_the_same_and_a_checkpoint_restores() -> None:
    first, second, other = bound(), bound(), Review(width=4)
    torch.testing.assert_close(first.state_dict(), second.state_dict(), rtol=0, atol=0)
    other.bind(prediction(STUDENT), prediction(TEACHER))
    other.double().load_state_dict(first.state_dict())
    says = prediction(STUDENT), prediction(TEACHER), TARGET, WEIGHT
    assert other(*says) == first(*says)


def test_a_teacher_of_other_classes_may_teach() -> None:
    teacher = prediction(TEACHER, torch.zeros(6, 527))
    assert list(bound(hard_weight=0.0)(prediction(STUDENT), teacher, TARGET, WEIGHT)) == ["review"]


def test_it_must_be_bound_and_to_these_networks() -> None:
    says = prediction(STUDENT), prediction(TEACHER)
    with pytest.raises(HearlessError, match=r"Review must be bound before it is called, .* got none for \[3, 4, 2\]"):
        Review()(*says, TARGET, WEIGHT)
    with pytest.raises(HearlessError, match=r"got \[5, 4, 6\] for \[3, 4, 2\]"):
        bound(TEACHER, STUDENT)(*says, TARGET, WEIGHT)
    with pytest.raises(
        HearlessError, match=r"maps of a level must have one shape, got \(6, 4, 5, 3\) and \(6, 5, 5, 3"
    ):
        bound(maps="b")(prediction(STUDENT), prediction({"b": TEACHER["a"]}), TARGET, WEIGHT)


def test_what_is_missing_is_refused_when_bound() -> None:
    with pytest.raises(HearlessError, match="Review needs a teacher and got None"):
        Review().bind(prediction(STUDENT), None)
    with pytest.raises(HearlessError, match="Review: the teacher has no map 'd'; it has a, b, c"):
        Review(maps="a=d").bind(prediction(STUDENT), prediction(TEACHER))
    with pytest.raises(HearlessError, match="Review: maps must name inner maps"):
        Review(maps="a=b=c")


@pytest.mark.parametrize("argument", ["review_weight", "hard_weight"])
@pytest.mark.parametrize("value", [-0.1, float("inf"), float("nan")])
def test_weights_are_0_or_more_and_finite(argument: str, value: float) -> None:
    wrong: dict[str, Any] = {argument: value}
    with pytest.raises(HearlessError, match=f"{argument} must be 0 or more and finite, got {value}"):
        Review(**wrong)


def test_the_width_is_above_0() -> None:
    with pytest.raises(HearlessError, match="width must be 1 or more, got 0"):
        Review(width=0)
