"""What every capture promises, tried on every file of the shelf."""

from __future__ import annotations

import importlib
import inspect

import pytest
import torch

from hearless.spec import class_names, resolve, shelf_files, spec

RATE_HZ = 32000


@pytest.fixture(params=class_names("captures"))
def made(request):
    return spec(resolve("captures", request.param), **example(request.param))


def example(name: str) -> dict[str, object]:
    return importlib.import_module(f"hearless.captures.{shelf_files('captures')[name.lower()]}").EXAMPLE


def sound(clips: int = 3) -> torch.Tensor:
    return 0.1 * torch.randn(clips, RATE_HZ, generator=torch.manual_seed(7))


def devices(clips: int = 3) -> tuple[str | None, ...]:
    return (None, "a", "b")[:clips]


def test_each_file_holds_one_class():
    assert {name.lower() for name in class_names("captures")} == set(shelf_files("captures"))


def test_the_constructor_is_keyword_only(made):
    parameters = inspect.signature(resolve("captures", made.name)).parameters.values()
    assert {p.kind for p in parameters} == {inspect.Parameter.KEYWORD_ONLY}


def test_rates_are_stated(made):
    capture = made.build()
    assert isinstance(capture.rate_hz, int)
    assert capture.source_rate_hz >= 1
    assert capture.rate_hz >= 1


def test_the_observation_is_finite_and_keeps_the_batch(made):
    observation = made.build()(sound(), RATE_HZ, devices())
    assert observation.shape[0] == 3
    assert observation.dtype == torch.float32
    assert observation.isfinite().all()


def test_the_observation_is_as_long_as_its_rate_says(made):
    capture = made.build()
    observation = capture(sound(), RATE_HZ, devices())
    assert observation.ndim in (2, 3)  # samples [batch, time], or levels [batch, band, frame]
    assert observation.shape[-1] == capture.rate_hz


def test_a_batch_is_its_clips(made):
    capture = made.build()
    singly = [capture(sound()[i : i + 1], RATE_HZ, devices()[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(capture(sound(), RATE_HZ, devices()), torch.cat(singly), rtol=1e-4, atol=1e-5)


def test_nothing_is_learned_or_drawn(made):
    capture = made.build()
    assert list(capture.parameters()) == []
    torch.testing.assert_close(
        capture(sound(), RATE_HZ, devices()), made.build()(sound(), RATE_HZ, devices()), rtol=0, atol=0
    )
