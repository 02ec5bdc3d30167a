"""What every augmentation promises; the shelf is read from its folder."""

from __future__ import annotations

import importlib
import inspect
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from hearless.interfaces import Axes, Clip, HearlessError
from hearless.spec import class_names, resolve, spec, spec_from_json

BATCH, RATE_HZ, DURATION_S = 4, 8000, 1.0
AXES = Axes(tuple(np.geomspace(60.0, 3900.0, 32).tolist()), 0.01, 101)
CLIPS = [Clip(str(i), Path(f"{i}.wav"), ("dog",), device="a") for i in range(BATCH)]


def example(name):
    cls = resolve("augmentations", name)
    return spec(cls, **importlib.import_module(cls.__module__).EXAMPLE)


def names(level):
    return [name for name in class_names("augmentations") if resolve("augmentations", name).level == level]


def draws(augmentation, seed=0):
    """As the loader draws: from a generator of each clip's own, or for a batch from one, clip after clip."""
    one = np.random.default_rng(seed)
    each = [np.random.default_rng([seed, i]) if augmentation.level == "clip" else one for i in range(BATCH)]
    return [augmentation.draw(rng, clip, DURATION_S) for rng, clip in zip(each, CLIPS, strict=True)]


def place(augmentation):
    g = torch.Generator().manual_seed(0)
    if augmentation.place in ("waveform", "clips"):
        return 0.1 * torch.randn(BATCH, int(RATE_HZ * DURATION_S), generator=g), RATE_HZ
    shape = (BATCH, 1, len(AXES.band_hz), AXES.n_frames)
    return (torch.ones(shape) if augmentation.place == "keep" else torch.randn(shape, generator=g)), AXES


@pytest.fixture(params=class_names("augmentations"))
def made(request):
    return example(request.param).build()


@pytest.mark.parametrize("name", class_names("augmentations"))
def test_the_example_survives_json(name):
    assert spec_from_json(example(name).to_json()) == example(name)


@pytest.mark.parametrize("name", class_names("augmentations"))
def test_the_constructor_is_keyword_only(name):
    kinds = [p.kind for p in inspect.signature(resolve("augmentations", name)).parameters.values()]
    assert set(kinds) <= {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize("name", class_names("augmentations"))
def test_the_class_says_where_it_works_and_for_whom(name, made):
    cls = resolve("augmentations", name)
    assert cls.place in ("waveform", "features", "keep", "clips")
    assert cls.level in ("clip", "batch")
    assert made.hearers in ("both", "student")


def test_draws_are_plain_numbers(made):
    for draw in draws(made):
        assert draw
        assert {type(value) for value in draw.values()} <= {float, int}


def test_draws_come_from_the_generator_alone(made):
    assert draws(made) == draws(made)
    np.random.default_rng(3).random(10)
    assert draws(made, seed=1) != draws(made)


def test_a_replay_from_json_is_equal(made):
    tensor, where = place(made)
    replayed = json.loads(json.dumps([dict(draw) for draw in draws(made)]))
    assert torch.equal(made.apply(tensor, replayed, where), made.apply(tensor, draws(made), where))


def test_something_changes_but_neither_the_input_nor_its_shape_and_type(made):
    tensor, where = place(made)
    before = tensor.clone()
    changed = [made.apply(tensor, draws(made, seed), where) for seed in range(10)]
    assert torch.equal(tensor, before)
    assert {(c.shape, c.dtype) for c in changed} == {(tensor.shape, tensor.dtype)}
    assert any(not torch.equal(c, before) for c in changed)
    assert all(torch.isfinite(c).all() for c in changed)


@pytest.mark.parametrize("name", names("clip"))
def test_a_clip_level_change_does_not_depend_on_its_batch(name):
    made = example(name).build()
    tensor, where = place(made)
    whole = made.apply(tensor, draws(made), where)
    for i, draw in enumerate(draws(made)):
        assert torch.equal(made.apply(tensor[i : i + 1], [draw], where), whole[i : i + 1])


@pytest.mark.parametrize("name", names("batch"))
def test_a_batch_level_change_takes_from_its_batch_alone(name):
    """A clip alone and equal clips have nothing to exchange; elsewhere what one becomes hangs on the others."""
    made = example(name).build()
    tensor, where = place(made)
    for i, draw in enumerate(draws(made)):
        assert torch.equal(made.apply(tensor[i : i + 1], [draw], where), tensor[i : i + 1])
    equal = tensor[:1].expand_as(tensor)
    torch.testing.assert_close(made.apply(equal, draws(made), where), equal)
    louder = torch.cat([2.0 * tensor[:1], tensor[1:]])
    pairs = [[made.apply(batch, draws(made, seed), where)[1:] for batch in (tensor, louder)] for seed in range(10)]
    assert any(not torch.equal(*pair) for pair in pairs)


def test_a_draw_too_few_is_an_error(made):
    tensor, where = place(made)
    with pytest.raises(HearlessError, match=f"{type(made).__name__}.* 3 draws for 4 clips"):
        made.apply(tensor, draws(made)[:3], where)


def test_someone_elses_draw_is_an_error(made):
    tensor, where = place(made)
    with pytest.raises(HearlessError, match=f"{type(made).__name__}: a draw needs .*, got .*; replay draws"):
        made.apply(tensor, [{"colour": 1.0}] * BATCH, where)
