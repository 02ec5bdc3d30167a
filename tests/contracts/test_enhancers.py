"""What every enhancer promises; the shelf is read from its folder."""

from __future__ import annotations

import importlib
import inspect

import pytest
import torch

from hearless.interfaces import HearlessError
from hearless.spec import class_names, resolve, spec, spec_from_json

NAMES = class_names("enhancers")


def module(name):
    return importlib.import_module(resolve("enhancers", name).__module__)


def example(name):
    return spec(resolve("enhancers", name), **module(name).EXAMPLE)


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def made(name):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return example(name).build()


@pytest.fixture
def features(name):
    return torch.randn(3, 1, *module(name).EXAMPLE_SHAPE, generator=torch.Generator().manual_seed(5))


def test_the_example_survives_json(name):
    assert spec_from_json(example(name).to_json()) == example(name)


def test_the_constructor_is_keyword_only(name):
    kinds = [p.kind for p in inspect.signature(resolve("enhancers", name)).parameters.values()]
    assert set(kinds) <= {inspect.Parameter.KEYWORD_ONLY}


def test_features_in_finite_features_out(made, features):
    before = features.clone()
    enhanced = made(features)
    assert enhanced.ndim == 4
    assert enhanced.shape[:2] == (3, 1)
    assert enhanced.dtype == features.dtype
    assert torch.isfinite(enhanced).all()
    assert torch.equal(features, before)


def test_it_changes_the_features(made, features):
    enhanced = made(features)
    assert enhanced.shape != features.shape or not torch.equal(enhanced, features)


def test_eval_is_deterministic_and_each_clip_by_itself(made, features):
    made.eval()
    with torch.no_grad():
        together = made(features)
        assert torch.equal(together, made(features))
        torch.testing.assert_close(together, torch.cat([made(clip[None]) for clip in features]))


def test_gradients_reach_every_parameter(made, features):
    enhanced = made.train()(features.requires_grad_())
    (enhanced * torch.randn(enhanced.shape, generator=torch.Generator().manual_seed(6))).sum().backward()
    assert [key for key, p in made.named_parameters() if p.grad is None or not p.grad.any()] == []
    assert features.grad is not None  # what has nothing to learn still passes the gradient on
    assert features.grad.any()


def test_state_dict_round_trip(name, made, features):
    other = example(name).build()
    other.load_state_dict(made.state_dict())
    with torch.no_grad():
        assert torch.equal(other.eval()(features), made.eval()(features))


def test_channels_last_computes_the_same(made, features):
    with torch.no_grad():
        plain = made.eval()(features)
        turned = made.to(memory_format=torch.channels_last)(features.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(turned, plain)


def test_exported_graph_computes_the_same(made, features):
    with torch.no_grad():
        exported = torch.export.export(made.eval(), (features,)).module()
        torch.testing.assert_close(exported(features), made(features))


def test_other_axes_are_refused(made, features):
    with pytest.raises(HearlessError, match=r"\[batch, 1, band, frame\], got .*frontend"):
        made(features[:, 0])
