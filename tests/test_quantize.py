from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from hearless import quantize
from hearless.classifiers.ds_flexinet import DSFlexiNet
from hearless.interfaces import HearlessError, Prediction
from hearless.quantize import Quantized

pytest.importorskip("torchao", reason="needs torchao, of hearless[onnx] and hearless[executorch]")

BANDS, FRAMES = 32, 20


def stripes(n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return features of three classes, a stripe at another height each, and their classes."""
    rng = torch.Generator().manual_seed(seed)
    classes = torch.randint(3, (n,), generator=rng)
    distance = torch.arange(BANDS)[None] - (6 + 10 * classes)[:, None]
    shape = torch.exp(-0.5 * (distance / 2.0) ** 2)[:, None, :, None]
    return 2.0 * shape + 0.5 * torch.randn(n, 1, BANDS, FRAMES, generator=rng), classes


def train(network: nn.Module, n_steps: int, rate: float, teacher: nn.Module | None = None) -> None:
    """Train with cross entropy, or towards a teacher's logits."""
    optimizer = torch.optim.Adam(network.parameters(), rate)
    network.train()
    for step in range(n_steps):
        features, classes = stripes(24, step)
        logits = network(features).logits
        loss = nn.functional.cross_entropy(logits, classes) if teacher is None else (
            (logits - teacher(features).logits.detach()).square().mean()
        )  # fmt: skip
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.eval()


class Odd(nn.Module):
    """A convolution with a bias, batch norms of other eps before and behind convolutions, dropout, linear layers."""

    n_classes, min_bands, min_frames = 3, 8, 8

    def __init__(self, noise: float = 0.0) -> None:
        super().__init__()
        self.first = nn.BatchNorm2d(1, eps=1e-2)
        self.body = nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2), nn.BatchNorm2d(8, eps=3e-2, momentum=0.3), nn.ReLU(),
            nn.Conv2d(8, 12, 3, bias=False), nn.BatchNorm2d(12), nn.ReLU(), nn.Dropout(0.5),
        )  # fmt: skip
        self.last = nn.Linear(12, 3)
        self.noise = noise

    def forward(self, features: Tensor, keep: Tensor | None = None, *, maps: bool = False) -> Prediction:
        x = self.first(features)
        x = x if keep is None else x * keep
        embedding = self.body(x).mean((2, 3))
        if self.training and self.noise:
            embedding = embedding + self.noise * torch.rand_like(embedding)
        return Prediction(self.last(embedding), embedding, features)


def made(kind: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = kind()
        train(network, 60, 3e-3)
    return network


@pytest.fixture(scope="module")
def flexinet() -> nn.Module:
    return made(lambda: DSFlexiNet(size="sm1", n_classes=3))


@pytest.fixture(scope="module")
def qat(flexinet: nn.Module) -> dict[str, Quantized]:
    """Return a network at the start of its quantization-aware training for either runtime; copy it before use."""
    pytest.importorskip("executorch", reason="needs executorch, of hearless[executorch]")
    return {backend: quantize.prepare_qat(flexinet, stripes(8)[0], backend) for backend in quantize.BACKENDS}


@pytest.fixture(scope="module")
def odd() -> nn.Module:
    return made(Odd)


@pytest.fixture(scope="module")
def odd_qat(odd: nn.Module) -> Quantized:
    return quantize.prepare_qat(odd, stripes(8)[0])


@pytest.mark.parametrize("backend", quantize.BACKENDS)
def test_int8_after_training_gives_what_the_fake_quantizers_gave_at_most_one_point_below_float(
    qat: dict[str, Quantized], flexinet: nn.Module, backend: str
) -> None:
    network = copy.deepcopy(qat[backend])
    train(network, 8, 1e-3, teacher=flexinet)
    quantize.freeze_norms(network)
    quantize.freeze_ranges(network)
    train(network, 4, 3e-4, teacher=flexinet)
    int8 = quantize.convert(network)
    features, classes = stripes(200, seed=999)
    with torch.no_grad():
        fake, got, wanted = (one(features) for one in (network, int8, flexinet))
    for apart in (got.logits - fake.logits, got.embedding - fake.embedding):
        assert (apart.abs() < 1e-4).float().mean() > 0.95  # a last digit may move an activation by a whole step
        assert apart.abs().max() < 0.05
    right = [(one.logits.argmax(1) == classes).float().mean() for one in (got, wanted)]
    assert right[1] > 0.9
    assert right[0] >= right[1] - 0.01
    stored = int8.state_dict()
    assert quantize.n_int8(int8) > 0.9 * quantize.count_parameters(int8) == 0.9 * quantize.count_parameters(flexinet)
    assert sum(v.nbytes for k, v in stored.items() if "zero_point" not in k) < 1.4 * quantize.count_parameters(int8)


@pytest.mark.parametrize("backend", quantize.BACKENDS)
def test_residual_normalization_stays_float(qat: dict[str, Quantized], backend: str) -> None:
    nodes = list(qat[backend].graph.graph.nodes)
    quantizers = [node for node in nodes if node.op == "call_module"]
    inside = {node for node in nodes if quantize.inside_float(node)}
    assert len({node.meta["nn_module_stack"][[*node.meta["nn_module_stack"]][-1]][0] for node in inside}) == 6
    assert len(quantizers) > 30
    assert not [node for node in quantizers if node in inside or node.args[0] in inside]


def test_batch_norms_keep_their_eps_and_momentum_through_folding(odd: nn.Module, odd_qat: Quantized) -> None:
    network = copy.deepcopy(odd_qat).eval()
    norms = [node for node in network.graph.graph.nodes if node.target is quantize.BATCH_NORM]
    assert [node.args[6:8] for node in norms] == [(0.1, 1e-2), (0.3, 3e-2), (0.1, 1e-5)]
    train(network, 2, 1e-4)
    features = stripes(16)[0]
    int8 = quantize.convert(network)
    assert not [n for n in int8.graph.graph.nodes if n.target in (quantize.BATCH_NORM, quantize.DROPOUT)]
    with torch.no_grad():
        assert torch.allclose(int8(features).logits, network(features).logits, atol=1e-4)
    assert (network(features).logits - odd(features).logits).abs().max() < 0.3


def test_calibration_is_stored_and_restored(odd: nn.Module) -> None:
    first, second = (quantize.prepare_ptq(odd, stripes(8)[0]) for _ in range(2))
    quantize.calibrate(first, (stripes(24, seed)[0] for seed in range(3)))
    state = {key: value.clone() for key, value in first.state_dict().items()}
    int8 = quantize.convert(first)
    quantize.restore(second, state)
    features = stripes(200, seed=999)[0]
    with torch.no_grad():
        got, wanted = int8(features).logits, odd(features).logits
        assert torch.equal(quantize.convert(second)(features).logits, got)
    assert wanted.std() > 0.1
    assert (got - wanted).abs().max() < 0.1


def buffers(network: nn.Module) -> dict[str, Tensor]:
    kept = ("running_mean", "running_var", "scale", "zero_point", "min_val", "max_val", "num_batches_tracked")
    return {key: value.clone() for key, value in network.state_dict().items() if key.endswith(kept)}


def moved(before: dict[str, Tensor], network: nn.Module) -> set[str]:
    return {key.rpartition(".")[2] for key, value in buffers(network).items() if not torch.equal(value, before[key])}


def test_norms_and_ranges_learn_until_frozen_and_rest_in_evaluation(odd_qat: Quantized) -> None:
    network = copy.deepcopy(odd_qat)
    train(network, 1, 1e-3)
    before = buffers(network)
    network.eval()(stripes(8, 3)[0] * 5)
    assert moved(before, network) == set()
    train(network, 1, 1e-3)
    assert {"running_mean", "running_var", "scale", "max_val"} <= moved(before, network)
    quantize.freeze_norms(network)
    before = buffers(network)
    train(network, 1, 1e-3)
    assert moved(before, network) & {"running_mean", "scale"} == {"scale"}
    quantize.freeze_ranges(network)
    before = buffers(network)
    train(network, 1, 1e-3)
    assert moved(before, network) == set()


def test_dropout_and_norms_act_in_training_only(odd_qat: Quantized) -> None:
    network, features = copy.deepcopy(odd_qat), stripes(8)[0]
    with torch.no_grad():
        assert torch.equal(network.eval()(features).logits, network(features).logits)
        assert not torch.equal(network.train()(features).logits, network(features).logits)


def test_a_killed_training_resumes_to_the_same_bits(odd: nn.Module, odd_qat: Quantized) -> None:
    whole, killed = copy.deepcopy(odd_qat), copy.deepcopy(odd_qat)
    resumed = quantize.prepare_qat(odd, stripes(8)[0])
    for network in (whole, killed):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            train(network, 2, 1e-3)
        quantize.freeze_norms(network)
    resumed.eval()(stripes(8, 9)[0])
    quantize.restore(resumed, {key: value.clone() for key, value in killed.state_dict().items()})
    for network in (whole, resumed):
        with torch.random.fork_rng():
            torch.manual_seed(7)
            train(network, 2, 1e-3)
    assert bool(resumed.norms_frozen)
    for key, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key


def test_a_mask_acts_where_the_classifiers_own_would(qat: dict[str, Quantized], odd_qat: Quantized) -> None:
    network, features = copy.deepcopy(qat["onnx"]).eval(), stripes(4)[0]
    keep = torch.ones_like(features)
    keep[:, :, 4:9] = 0.0
    with torch.no_grad():
        assert torch.equal(network(features, keep).logits, network(features * keep).logits)
        assert torch.equal(network(features, keep).features, features)
    with pytest.raises(HearlessError, match="no mask inside its network"):
        odd_qat(features, keep)
    with pytest.raises(HearlessError, match="no inner maps"):
        network(features, maps=True)


def test_it_hears_any_number_of_clips_and_frames_above_the_classifiers_minimum(qat: dict[str, Quantized]) -> None:
    network = copy.deepcopy(qat["onnx"]).eval()
    for clips, frames in ((1, 16), (3, 40)):
        assert network(torch.zeros(clips, 1, BANDS, frames)).logits.shape == (clips, 3)
    with pytest.raises(HearlessError, match="at least 16 frames"):
        network(torch.zeros(2, 1, BANDS, 15))


def test_wrong_arguments_are_refused(odd: nn.Module, odd_qat: Quantized) -> None:
    features = stripes(8)[0]
    with pytest.raises(HearlessError, match="backend must be one of onnx, executorch, got 'tflite'"):
        quantize.prepare_qat(odd, features, "tflite")
    with pytest.raises(HearlessError, match="two clips or more, got 1"):
        quantize.prepare_qat(odd, features[:1])
    with pytest.raises(HearlessError, match="stage 'qat'"):
        quantize.calibrate(odd_qat, [features])
    prepared = quantize.prepare_ptq(odd, features)
    with pytest.raises(HearlessError, match="at least one batch"):
        quantize.calibrate(prepared, [])
    with pytest.raises(HearlessError, match=r"does not fit a network prepared for onnx \(ptq\)"):
        quantize.restore(prepared, odd_qat.state_dict())
    quantize.calibrate(prepared, [features])
    with pytest.raises(HearlessError, match="int8 already"):
        quantize.convert(quantize.convert(prepared))


def test_a_network_that_acts_otherwise_in_training_is_refused() -> None:
    with pytest.raises(HearlessError, match=r"something in it acts otherwise in training"):
        quantize.prepare_qat(Odd(noise=10.0).eval(), stripes(8)[0])


class Counting(Odd):
    """Looks at its values, which no graph can."""

    def forward(self, features: Tensor, keep: Tensor | None = None, *, maps: bool = False) -> Prediction:
        return super().forward(features if features.max().item() > 0 else -features, keep)


def test_a_network_without_a_graph_is_refused() -> None:
    with pytest.raises(HearlessError, match="Counting has no graph that could be quantized"):
        quantize.prepare_ptq(Counting().eval(), stripes(8)[0])
