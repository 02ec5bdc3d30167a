"""What every objective promises; the shelf is read from its folder."""

from __future__ import annotations

import importlib
import inspect
import math
from dataclasses import replace
from typing import get_args

import pytest
import torch
from torch import nn

from hearless.interfaces import HearlessError, Needs, Prediction
from hearless.spec import class_names, resolve, spec, spec_from_json

BATCH, CLASSES = 4, 3


def example(name):
    cls = resolve("objectives", name)
    return spec(cls, **importlib.import_module(cls.__module__).EXAMPLE)


def prediction(seed, grad=False):
    g = torch.Generator().manual_seed(seed)
    return Prediction(
        torch.randn(BATCH, CLASSES, generator=g).requires_grad_(grad),
        torch.randn(BATCH, 8, generator=g).requires_grad_(grad),
        torch.randn(BATCH, 1, 16, 10, generator=g).requires_grad_(grad),
        {
            "shallow": torch.randn(BATCH, 5, 8, 6, generator=g).requires_grad_(grad),
            "deep": torch.randn(BATCH, 7, 4, 3, generator=g).requires_grad_(grad),
        },
    )


def parts(p):
    return [p.logits, p.embedding, p.features, *p.maps.values()]


def target():
    return torch.nn.functional.one_hot(torch.arange(BATCH) % CLASSES, CLASSES).float()


@pytest.fixture(params=class_names("objectives"))
def made(request):
    torch.manual_seed(0)
    objective = example(request.param).build()
    objective.bind(prediction(0), prediction(1))
    return objective


def total(objective, student, weight=None):
    weight = torch.ones(BATCH) if weight is None else weight
    return sum(objective(student, prediction(1), target(), weight).values())


@pytest.mark.parametrize("name", class_names("objectives"))
def test_the_example_survives_json(name):
    assert spec_from_json(example(name).to_json()) == example(name)


@pytest.mark.parametrize("name", class_names("objectives"))
def test_the_constructor_is_keyword_only(name):
    kinds = [p.kind for p in inspect.signature(resolve("objectives", name)).parameters.values()]
    assert set(kinds) <= {inspect.Parameter.KEYWORD_ONLY}


def test_it_is_a_module_that_says_whether_it_needs_a_teacher(made):
    assert isinstance(made, nn.Module)
    assert made.needs_teacher in (True, False)


def test_terms_are_named_finite_scalars(made):
    terms = made(prediction(0), prediction(1), target(), torch.ones(BATCH))
    assert terms
    for name, term in terms.items():
        assert name.isidentifier()
        assert term.shape == ()
        assert math.isfinite(term.item())


def test_the_loss_reaches_the_student_and_not_the_teacher(made):
    student, teacher = prediction(0, grad=True), prediction(1, grad=True)
    sum(made(student, teacher, target(), torch.ones(BATCH)).values()).backward()
    assert sum(t.grad.abs().sum().item() for t in parts(student) if t.grad is not None) > 0
    assert [t.grad for t in parts(teacher)] == [None] * 5


@pytest.mark.parametrize("part", get_args(Needs))
def test_it_compares_what_it_says_it_needs_and_nothing_else(made, part):
    """Of all but the logits, which the hard labels' term takes: so a stored teacher may lack what is not needed."""
    other = prediction(2)
    changed = replace(prediction(0), **{part: getattr(other, part)})
    teacher = replace(prediction(1), **{part: getattr(other, part)})
    found = sum(made(changed, teacher, target(), torch.ones(BATCH)).values())
    assert made.needs in get_args(Needs)
    assert torch.equal(found, total(made, prediction(0))) == (part not in ("logits", made.needs))


def test_only_the_ratio_of_weights_counts(made):
    weight = torch.tensor([1.0, 2.0, 0.5, 4.0])
    torch.testing.assert_close(total(made, prediction(0), 10 * weight), total(made, prediction(0), weight))


def test_a_clip_of_weight_0_changes_nothing(made):
    weight = torch.tensor([1.0, 1.0, 1.0, 0.0])
    plain, changed = prediction(0), prediction(0)
    for part in parts(changed):
        part[-1] += 1.0
    torch.testing.assert_close(total(made, changed, weight), total(made, plain, weight))


def test_clips_have_no_order(made):
    weight, order = torch.tensor([1.0, 2.0, 0.5, 4.0]), torch.tensor([2, 0, 3, 1])

    def shuffled(p):
        maps = {name: inner[order] for name, inner in p.maps.items()}
        return Prediction(p.logits[order], p.embedding[order], p.features[order], maps)

    terms = made(shuffled(prediction(0)), shuffled(prediction(1)), target()[order], weight[order])
    torch.testing.assert_close(sum(terms.values()), total(made, prediction(0), weight))


def test_a_missing_teacher_is_an_error_only_where_one_is_needed(made):
    if made.needs_teacher:
        with pytest.raises(HearlessError, match=f"{type(made).__name__} needs a teacher"):
            made(prediction(0), None, target(), torch.ones(BATCH))
    else:
        alone = sum(made(prediction(0), None, target(), torch.ones(BATCH)).values())
        torch.testing.assert_close(alone, total(made, prediction(0)))
