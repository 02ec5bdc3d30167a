"""Adapters: against peft and formulas, by laws (nothing changes before training, merged says the same), in training."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hearless import evaluate, spec
from hearless.adapters import (
    KINDS,
    LowRank,
    adapt,
    covered,
    is_adapted,
    merged,
    output_layers,
    rank_of,
    rest,
    row_lengths,
)
from hearless.captures.low_rate import LowRate
from hearless.classifiers.ds_flexinet import DSFlexiNet
from hearless.classifiers.mobilenetv3 import MobileNetV3
from hearless.datasets.csv_labels import CsvLabels
from hearless.frontends.preemphasis_mel import PreEmphasisMel
from hearless.heads.linear_probe import LinearProbe
from hearless.interfaces import HearlessError
from hearless.lab import Bench, Lab
from hearless.objectives.cross_entropy import CrossEntropy
from hearless.pipeline import PipelineSpec
from hearless.recipe import Recipe, Stage, identity, recipe_from_json
from hearless.run import Predictions, Run, load_tensors
from hearless.train import Tick

pytestmark = pytest.mark.usefixtures("cached")

NETWORKS = (spec.spec(MobileNetV3, width=0.2), spec.spec(DSFlexiNet, size="sm1"))
LOSS = (spec.spec(CrossEntropy),)


def heard(made: spec.Spec, seed: int = 0) -> nn.Module:
    """Return a network of 5 classes that has heard noise, so that its statistics and logits are no zeros."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network: nn.Module = made.build(n_classes=5).train()
        with torch.no_grad():
            for _ in range(30):
                network(torch.randn(8, 1, 32, 40))
            network.get_submodule(sorted(output_layers(made))[0]).weight.mul_(20)
    return network.eval()


@pytest.fixture(scope="module", params=NETWORKS, ids=lambda made: made.name)
def network(request: pytest.FixtureRequest) -> tuple[nn.Module, frozenset[str]]:
    return heard(request.param), output_layers(request.param)


def stirred(adapted: nn.Module, seed: int = 1) -> nn.Module:
    """Move everything that trains."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return adapted


X = torch.randn(4, 1, 32, 40, generator=torch.Generator().manual_seed(3))


# --- laws -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rank", [4, 16])
def test_adapters_change_nothing_until_they_train_and_merge_into_the_same_logits(
    network: tuple[nn.Module, frozenset[str]], kind: str, rank: int
) -> None:
    plain, output = network
    before = {key: value.clone() for key, value in plain.state_dict().items()}
    adapted = adapt(plain, kind, output, rank=rank, alpha=2.0 * rank, seed=1)
    assert is_adapted(adapted) == (kind != "output")
    rest(adapted, output)
    with torch.no_grad():
        said = plain(X).logits
        torch.testing.assert_close(adapted(X).logits, said, atol=1e-5, rtol=1e-5)
        trained = stirred(adapted)(X).logits
        one = merged(adapted)
        assert (trained - said).abs().max() > 1e-2
        torch.testing.assert_close(one(X).logits, trained, atol=1e-5, rtol=1e-5)
    assert list(one.state_dict()) == list(before)
    assert not is_adapted(one)
    assert all(torch.equal(before[key], value) for key, value in plain.state_dict().items())


def test_what_trains_is_adapters_and_output_and_batch_norms_follow_only_if_asked(
    network: tuple[nn.Module, frozenset[str]],
) -> None:
    plain, output = network
    whole = sum(p.numel() for p in plain.parameters())
    n_output = sum(p.numel() for name in output for p in plain.get_submodule(name).parameters())
    counts = {}
    for kind in KINDS:
        adapted = adapt(plain, kind, output, rank=4).train()
        counts[kind] = sum(p.numel() for p in rest(adapted, output))
    assert counts["output"] == n_output < counts["lora"] < counts["dora"] < whole
    n_rows = sum(
        len(m.weight) for n, m in plain.named_modules() if isinstance(m, nn.Conv2d | nn.Linear) and n not in output
    )
    assert counts["dora"] - counts["lora"] == n_rows  # a length a kernel
    for statistics in (True, False):
        adapted = adapt(plain, "lora", output).train()
        rest(adapted, output, statistics=statistics)
        kept = {k: v.clone() for k, v in adapted.state_dict().items() if "running_mean" in k and k[:-13] not in output}
        with torch.no_grad():
            adapted(X + 1)
        moved = [not torch.equal(kept[k], v) for k, v in adapted.state_dict().items() if k in kept]
        assert moved == [statistics] * len(kept)


def test_a_rank_is_cut_where_the_adapter_would_not_be_smaller() -> None:
    weight = torch.zeros(64, 1, 3, 3)
    assert rank_of(weight, 4) == 4
    assert rank_of(weight, 16) == 7  # 7 × (64 + 9) < 576 < 8 × 73
    assert rank_of(torch.zeros(1, 8), 4) == 1
    assert rank_of(torch.zeros(256, 128), 16) == 16


# --- references -----------------------------------------------------------------------------------------------------


@pytest.fixture
def convolution() -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(6, 10, 3, stride=2, padding=1)


@pytest.mark.parametrize("dora", [False, True])
@pytest.mark.parametrize("kernel", [1, 3])
def test_ours_is_pefts_where_both_can_be_had(dora: bool, kernel: int) -> None:
    """The same halves give the same output and the same gradients: of the halves and of the lengths."""
    torch.manual_seed(0)
    plain = nn.Conv2d(6, 10, kernel, stride=2, padding=kernel // 2)
    theirs = adapt(nn.Sequential(plain, nn.Linear(1, 1)), "dora" if dora else "lora", {"1"}, rank=3, alpha=6.0)
    ours = LowRank(plain, 3, 6.0, dora)
    layer = theirs[0]
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    with torch.no_grad():
        b.normal_(std=0.3)
        ours.lora_a.copy_(a.flatten(1))
        ours.lora_b.copy_(b.flatten(1))
        if ours.lora_length is not None:
            length = layer.lora_magnitude_vector["default"].weight
            length.mul_(1.3)
            ours.lora_length.copy_(length.flatten())
    x = torch.randn(2, 6, 9, 9)
    pairs = []
    for made in (ours, layer):
        said = made(x)
        said.square().sum().backward()
        pairs.append(said)
    torch.testing.assert_close(pairs[0], pairs[1], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours.lora_a.grad, a.grad.flatten(1), atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(ours.lora_b.grad, b.grad.flatten(1), atol=1e-3, rtol=1e-4)
    if ours.lora_length is not None:
        torch.testing.assert_close(ours.lora_length.grad, length.grad.flatten(), atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("dora", [False, True])
def test_a_depthwise_kernel_changes_as_the_formula_says(dora: bool) -> None:
    """DoRA eq. 5: ``m (W + s B A) / ‖W + s B A‖``, a row a kernel; in NumPy."""
    torch.manual_seed(0)
    layer = nn.Conv2d(8, 8, 3, groups=8, bias=False)
    ours = LowRank(layer, 2, 3.0, dora)
    with torch.no_grad():
        ours.lora_b.normal_()
    weight = layer.weight.detach().double().numpy().reshape(8, 9)
    wanted = weight + 1.5 * ours.lora_b.detach().double().numpy() @ ours.lora_a.detach().double().numpy()
    if dora:
        wanted *= (np.linalg.norm(weight, axis=1) / np.linalg.norm(wanted, axis=1))[:, None]
    np.testing.assert_allclose(ours.weight().detach().numpy().reshape(8, 9), wanted, atol=1e-5)


def test_which_layers_peft_covers(convolution: nn.Conv2d) -> None:
    assert covered(convolution)
    assert covered(nn.Linear(2, 3))
    assert not covered(nn.Conv2d(4, 4, 3, groups=2))
    assert not covered(nn.Conv2d(4, 4, 3, dilation=2))
    assert not covered(nn.Conv1d(4, 4, 3))


def test_a_dilated_convolution_merges_too() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(2, 8, 3, dilation=2), nn.Conv2d(8, 8, 3, padding=1), nn.Flatten(), nn.Linear(32, 2)
    )
    adapted = adapt(network, "dora", {"3"})
    rest(adapted, {"3"})
    x = torch.randn(3, 2, 6, 6)
    torch.testing.assert_close(merged(stirred(adapted))(x), adapted(x), atol=1e-5, rtol=1e-5)


def test_the_output_layer_is_what_depends_on_the_classes() -> None:
    assert [output_layers(made) for made in NETWORKS] == [{"classifier.5"}, {"head.0", "head.1"}]


# --- wrong input ----------------------------------------------------------------------------------------------------


def test_wrong_kinds_and_kernels_of_zeros_are_refused(convolution: nn.Conv2d) -> None:
    with pytest.raises(HearlessError, match="adapters must be one of output, lora, dora, got 'qlora'"):
        adapt(convolution, "qlora", frozenset())
    nn.init.zeros_(convolution.weight[0])
    with pytest.raises(HearlessError, match="DoRA scales kernels by their length, and 0 holds kernels of zeros"):
        adapt(nn.Sequential(convolution), "dora", frozenset())
    assert row_lengths(convolution.weight)[0] == 0


def test_without_peft_it_says_what_to_install(convolution: nn.Conv2d, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(HearlessError, match=r"adapters need peft.*pip install 'hearless\[adapters\]'"):
        adapt(nn.Sequential(convolution), "lora", frozenset())


STUDENT = PipelineSpec(
    spec.spec(LowRate, rate_hz=1000),
    spec.spec(PreEmphasisMel, input_rate_hz=1000, path="native", bands=24),
    NETWORKS[0],
)
RECIPE = Recipe(
    spec.spec(CsvLabels, table="meta.csv"), STUDENT,
    (Stage(LOSS, 1), Stage(LOSS, 3, 3e-3, adapters="lora", adapter_rank=2), Stage(LOSS, 2, adapters="dora")),
    batch_size=8, validation=0.3, name="x/adapted",
)  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"adapters": "ia3"}, "adapters must be one of output, lora, dora, or empty, got 'ia3'"),
        ({"adapters": "lora", "adapter_rank": 0}, "adapter_rank must be at least 1, got 0"),
        ({"adapters": "lora", "adapter_alpha": 0.0}, "adapter_alpha must be above 0, got 0.0"),
        ({"adapters": "lora", "trains": ("head",)}, "trains must name the classifier where it has adapters"),
        ({"adapters": "lora", "quantized": "onnx"}, "quantized must be empty where there are adapters"),
    ],
)
def test_a_stage_refuses(words: dict[str, object], said: str) -> None:
    with pytest.raises(HearlessError, match=said):
        Stage(LOSS, **words)


def test_a_recipe_refuses_adapters_before_a_head_and_keeps_old_names() -> None:
    with pytest.raises(HearlessError, match="adapters must be empty where a head follows the classifier, got 'lora'"):
        replace(RECIPE, student=replace(STUDENT, head=spec.spec(LinearProbe)))
    assert recipe_from_json(RECIPE.to_json()) == RECIPE
    plain = identity(replace(RECIPE, stages=RECIPE.stages[:1]).to_json())["stages"][0]
    assert not [key for key in plain if "adapter" in key]
    assert replace(RECIPE, stages=(replace(RECIPE.stages[1], adapter_rank=4),)).digest != RECIPE.digest


# --- in training ----------------------------------------------------------------------------------------------------


class KilledError(Exception):
    """A kill, as a test stages it."""


@pytest.fixture(scope="module")
def made(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Lab]:
    """Return a maker of labs in folders of their own."""

    def make(name: str, tick: Callable[[str, Tick], None] = lambda name, tick: None) -> Lab:
        return Lab(tmp_path_factory.getbasetemp() / "adapters" / name, tiny, tick=tick)

    return make


def test_a_run_with_adapters_ends_as_an_ordinary_run(made: Callable[..., Lab]) -> None:
    one = made("whole")
    run = one.run(RECIPE, "1", 0)
    pipeline = one.pipeline(run)
    assert not is_adapted(pipeline.classifier)
    for name in ("best", "last"):
        tensors, _ = load_tensors(run.checkpoint(name))
        keys = [key for key in STUDENT.build(3).state_dict() if key.startswith("classifier.")]
        assert [key[6:] for key in tensors if key.startswith("model.")] == sorted(keys)
    bench = Bench.prepare(one, RECIPE, "1", 0, None)
    again = evaluate.predictions(pipeline, bench.loader(bench.test))
    np.testing.assert_array_equal(again.logits, Predictions.load(run.predictions("test")).logits)
    assert len(run.metrics()) == 6


@pytest.mark.parametrize("killed", [3, 5])
def test_a_killed_run_goes_on_to_the_same_bits(made: Callable[..., Lab], killed: int) -> None:
    """Killed early in an epoch of each stage: the adapters are put in again and loaded, the optimiser too."""

    def tick(name: str, at: Tick) -> None:
        if at.epoch == killed:
            raise KilledError

    whole = made("whole").run(RECIPE, "1", 0)
    with pytest.raises(KilledError):
        made(f"killed{killed}", tick).run(RECIPE, "1", 0)
    run = made(f"killed{killed}").run(RECIPE, "1", 0)
    for name in ("best", "last"):
        a, b = (load_tensors(one.checkpoint(name))[0] for one in (whole, run))
        assert a.keys() == b.keys()
        assert [key for key in a if not torch.equal(a[key], b[key])] == []


def test_only_output_and_statistics_move_in_training(made: Callable[..., Lab]) -> None:
    stage = Stage(LOSS, 1, 3e-3, adapters="output", adapter_statistics=False)
    one = made("output")
    run: Run = one.run(replace(RECIPE, stages=(stage,)), "1", 0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        start = STUDENT.build(3).state_dict()
    trained = one.pipeline(run).state_dict()
    moved = {key for key in start if not torch.equal(start[key], trained[key])}
    assert moved == {"classifier.classifier.5.weight", "classifier.classifier.5.bias"}
