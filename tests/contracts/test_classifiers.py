"""One battery over every file of the classifiers shelf."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hearless.interfaces import HearlessError, Weights
from hearless.labels import label_names
from hearless.spec import class_names, named, resolve, spec


def shapes_of(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}


def noise(network: Any, n_clips: int = 3, bands: int = 0, frames: int = 0) -> Tensor:
    """Features of the smallest size the network takes, or that much larger or smaller."""
    rng = torch.Generator().manual_seed(11)
    return torch.randn(n_clips, 1, network.min_bands + bands, network.min_frames + frames, generator=rng)


@pytest.fixture(scope="module", params=class_names("classifiers"))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def module(name: str) -> Any:
    return importlib.import_module(resolve("classifiers", name).__module__)


@pytest.fixture(scope="module")
def build(name: str, module: Any) -> Callable[[], Any]:
    def build() -> Any:
        with torch.random.fork_rng():
            torch.manual_seed(2)
            return spec(resolve("classifiers", name), **module.EXAMPLE).build()

    return build


@pytest.fixture(scope="module")
def shared_network(build: Callable[[], Any]) -> Any:
    return build().eval()


def test_constructor_takes_keywords_only_and_classes(name: str) -> None:
    parameters = inspect.signature(resolve("classifiers", name)).parameters
    assert "n_classes" in parameters
    assert {p.kind for p in parameters.values()} == {inspect.Parameter.KEYWORD_ONLY}


def test_prediction_has_the_promised_shapes(module: Any, shared_network: Any) -> None:
    features = noise(shared_network)
    with torch.no_grad():
        heard = shared_network(features)
    assert shared_network.n_classes == module.EXAMPLE["n_classes"]
    assert heard.logits.shape == (3, shared_network.n_classes)
    assert heard.embedding.ndim == 2
    assert heard.embedding.shape[0] == 3
    assert heard.features is features
    assert heard.maps == {}
    assert torch.isfinite(heard.logits).all()


def test_maps_only_when_asked_and_nothing_else_changes(shared_network: Any) -> None:
    with torch.no_grad():
        plain, asked = shared_network(noise(shared_network)), shared_network(noise(shared_network), maps=True)
    assert asked.maps
    assert all(stage.shape[0] == 3 for stage in asked.maps.values())
    assert torch.equal(plain.logits, asked.logits)


def test_eval_is_deterministic_and_each_clip_by_itself(shared_network: Any) -> None:
    features = noise(shared_network)
    with torch.no_grad():
        together = shared_network(features).logits
        alone = torch.cat([shared_network(clip[None]).logits for clip in features])
        again = shared_network(features).logits
    assert torch.equal(together, again)
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_longer_clips_are_taken(shared_network: Any) -> None:
    with torch.no_grad():
        assert shared_network(noise(shared_network, 1, frames=23)).logits.shape == (1, shared_network.n_classes)


def test_keep_masks_everything_or_nothing(shared_network: Any) -> None:
    features = noise(shared_network)
    ones = torch.ones_like(features)
    with torch.no_grad():
        silent, other = shared_network(features, 0 * ones).logits, shared_network(5 - features, 0 * ones).logits
        kept, plain = shared_network(features, ones).logits, shared_network(features).logits
    torch.testing.assert_close(silent, other, rtol=0, atol=0)
    torch.testing.assert_close(kept, plain)


def test_channels_last_computes_the_same(build: Callable[[], Any], shared_network: Any) -> None:
    features = noise(shared_network, frames=5)
    turned = build().eval().to(memory_format=torch.channels_last)
    with torch.no_grad():
        there = turned(features.contiguous(memory_format=torch.channels_last)).logits
        torch.testing.assert_close(there, shared_network(features).logits, rtol=1e-3, atol=1e-4)


def test_gradients_reach_every_parameter(build: Callable[[], Any], module: Any) -> None:
    network = build().train().to(memory_format=torch.channels_last)
    with torch.random.fork_rng():
        torch.manual_seed(4)
        for parameter in network.parameters():  # no branch starts silent
            parameter.data += 0.05 * torch.randn_like(parameter)
        heard = network(noise(network, 6, frames=40))
        (heard.logits * torch.randn_like(heard.logits)).sum().backward()
    unreached = [key for key, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert unreached == list(vars(module).get("UNUSED", ()))  # published, but nothing depends on them


def test_state_dict_round_trip(build: Callable[[], Any], shared_network: Any) -> None:
    other = build()
    for parameter in other.parameters():
        parameter.data.zero_()
    other.load_official(shared_network.state_dict())
    features = noise(shared_network)
    with torch.no_grad():
        assert torch.equal(other.eval()(features).logits, shared_network(features).logits)


def test_other_class_count_needs_replace_output(module: Any, name: str, shared_network: Any) -> None:
    other = resolve("classifiers", name)(**{**module.EXAMPLE, "n_classes": shared_network.n_classes + 2})
    with pytest.raises(HearlessError, match="instead of"):
        other.load_official(shared_network.state_dict())
    other.load_official(shared_network.state_dict(), replace_output=True)
    theirs = shared_network.state_dict()
    own = {k: tensor for k, tensor in other.state_dict().items() if not torch.equal(tensor, theirs[k])}
    assert 1 <= len(own) <= 5  # a weight and a bias, or a convolution with its batch norm
    assert {tensor.shape[0] for tensor in own.values()} == {other.n_classes}


def test_recognise_own_state_and_no_other(name: str, shared_network: Any) -> None:
    cls, shapes = resolve("classifiers", name), shapes_of(shared_network)
    arguments: dict[str, Any] = cls.recognise(shapes)
    with torch.device("meta"):
        assert shapes_of(cls(**arguments)) == shapes
    assert cls.recognise({}) is None
    assert cls.recognise({**shapes, "one_more": (1,)}) is None
    assert cls.recognise(dict(list(shapes.items())[1:])) is None


def test_too_small_features_are_refused(shared_network: Any) -> None:
    with pytest.raises(HearlessError, match=r"frames, got .*longer clip.*another classifier"):
        shared_network(noise(shared_network, frames=-1))
    with pytest.raises(HearlessError, match="bands, got"):
        shared_network(noise(shared_network, bands=-1))
    with pytest.raises(HearlessError, match=r"\[batch, 1, band, frame\]"):
        shared_network(noise(shared_network)[:, 0])


def test_exported_graph_computes_the_same(shared_network: Any) -> None:
    class Logits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = shared_network

        def forward(self, features: Tensor) -> Tensor:
            logits: Tensor = self.network(features).logits
            return logits

    features = noise(shared_network, 1, frames=9)
    with torch.no_grad():
        exported = torch.export.export(Logits().eval(), (features,)).module()
        torch.testing.assert_close(exported(features), shared_network(features).logits, rtol=1e-4, atol=1e-5)


def test_weights_table_is_well_formed(name: str, module: Any) -> None:
    table: dict[str, Weights] = module.WEIGHTS
    for short, row in table.items():
        assert re.fullmatch(r"[a-z0-9_]+", short)
        assert row.remote.url.startswith("https://")
        assert row.remote.checksum is None or re.fullmatch(r"sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}", row.remote.checksum)
        assert row.licence
        assert row.source
        with torch.device("meta"):
            network = spec(resolve("classifiers", name), **row.arguments).build()
        if row.frontend is None:
            assert not row.labels
            continue
        assert row.frontend == named("frontends", row.frontend.name, **row.frontend.arguments)
        assert network.n_classes == len(label_names(row.labels))


def test_frontends_of_the_weights_exist(module: Any) -> None:
    heard = {short: row.frontend for short, row in module.WEIGHTS.items() if row.frontend}
    rates = {short: frontend.build().input_rate_hz for short, frontend in heard.items()}
    assert rates == {short: frontend.arguments["input_rate_hz"] for short, frontend in heard.items()}
