"""What every frontend promises, tried on every file of the shelf."""

from __future__ import annotations

import importlib
import inspect

import pytest
import torch

from hearless.spec import class_names, resolve, shelf_files, spec

SECONDS = 2


@pytest.fixture(params=class_names("frontends"))
def made(request):
    return spec(resolve("frontends", request.param), **example(request.param))


def example(name: str) -> dict[str, object]:
    return importlib.import_module(f"hearless.frontends.{shelf_files('frontends')[name.lower()]}").EXAMPLE


def observes(frontend) -> str:
    """What it takes: ``"samples"`` ``[batch, time]``, or what its file's ``OBSERVES`` says."""
    return vars(importlib.import_module(type(frontend).__module__)).get("OBSERVES", "samples")


def sound(frontend, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    n_samples = SECONDS * frontend.input_rate_hz
    shape = {"samples": (3, n_samples), "levels": (3, frontend.n_bands, n_samples)}[observes(frontend)]
    return 0.1 * torch.randn(*shape, dtype=dtype, generator=torch.manual_seed(8))


def test_each_file_holds_one_class():
    assert {name.lower() for name in class_names("frontends")} == set(shelf_files("frontends"))


def test_the_constructor_is_keyword_only(made):
    parameters = inspect.signature(resolve("frontends", made.name)).parameters.values()
    assert {p.kind for p in parameters} == {inspect.Parameter.KEYWORD_ONLY}


def test_features_lie_where_axes_say(made):
    frontend = made.build()
    observation = sound(frontend)
    axes = frontend.axes(observation.shape[-1])
    features = frontend(observation)
    assert features.shape == (3, 1, len(axes.band_hz), axes.n_frames)
    assert frontend.n_bands == len(axes.band_hz)
    assert features.dtype == torch.float32
    assert features.isfinite().all()


def test_axes_rise_and_span_the_clip(made):
    frontend = made.build()
    axes = frontend.axes(SECONDS * frontend.input_rate_hz)
    assert all(low < high for low, high in zip(axes.band_hz, axes.band_hz[1:], strict=False))
    assert axes.n_frames * axes.frame_s == pytest.approx(SECONDS, abs=2 * axes.frame_s)


def test_a_batch_is_its_clips(made):
    frontend = made.build()
    observation = sound(frontend)
    singly = torch.cat([frontend(clip[None]) for clip in observation])
    torch.testing.assert_close(frontend(observation), singly, rtol=1e-4, atol=1e-3)


def test_silence_is_finite(made):
    frontend = made.build()
    assert frontend(torch.zeros_like(sound(frontend))).isfinite().all()


def test_nothing_is_learned_drawn_or_stored(made):
    frontend = made.build()
    assert list(frontend.parameters()) == []
    assert frontend.state_dict() == {}
    torch.testing.assert_close(frontend(sound(frontend)), made.build()(sound(frontend)), rtol=0, atol=0)


def test_double_precision_is_kept(made):
    frontend = made.build()
    features = frontend(sound(frontend, torch.float64))
    assert features.dtype == torch.float64
    torch.testing.assert_close(features.float(), frontend(sound(frontend, torch.float64).float()), rtol=1e-3, atol=0.01)
