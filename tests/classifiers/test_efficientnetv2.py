"""EfficientNetV2 against timm's outputs, keys and counts, a loop of its own for the padding, and wrong input."""

from __future__ import annotations

import json
import runpy

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hearless.classifiers._fused_blocks import GatedBlock, PlainBlock, convolution, same
from hearless.classifiers.efficientnetv2 import STEM_WEIGHT, WEIGHTS, EfficientNetV2
from hearless.interfaces import HearlessError


def bare(**arguments):
    with torch.device("meta"):
        return EfficientNetV2(**arguments)


def count(**arguments):
    return sum(p.numel() for p in bare(**arguments).parameters())


def tiny(**arguments):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return EfficientNetV2(**{"variant": "b0", "n_classes": 4, "width": 0.25, **arguments}).eval()


def of_rgb(state, seed=2):
    """Return the state as an image network would hold it: three kernels in the stem."""
    shape = (state[STEM_WEIGHT].shape[0], 3, 3, 3)
    return {**state, STEM_WEIGHT: torch.randn(shape, generator=torch.Generator().manual_seed(seed))}


@pytest.mark.data
@pytest.mark.parametrize(("variant", "n_classes"), [("b0", 35), ("b2", 50)])
def test_keys_shapes_and_logits_are_timms(shared, variant, n_classes):
    expected = json.loads((shared / "fixtures" / f"efficientnetv2_{variant}.json").read_text())
    made = runpy.run_path(str(shared / "fixtures" / "name_made_weights.py"))
    network = EfficientNetV2(variant=variant, n_classes=n_classes).eval()
    assert {key: list(tensor.shape) for key, tensor in network.state_dict().items()} == expected["keys"]
    assert sum(p.numel() for p in network.parameters()) == expected["parameters"]
    network.load_official(made["fill"](network.state_dict()))
    bands, frames = expected["input_shape"][2:]
    with torch.no_grad():
        ours = network(made["features"](bands, frames)).logits.flatten().numpy()
    theirs = np.array(expected["logits"]).flatten()
    assert np.abs(ours - theirs).max() < 1e-4 * np.abs(theirs).max()


@pytest.mark.parametrize(
    ("variant", "n_classes", "parameters"),
    [("b2", 35, 8_735_825), ("b2", 50, 8_756_960), ("b0", 35, 5_902_963), ("b3", 1000, 14_357_686)],
)
def test_published_counts(variant, n_classes, parameters):
    assert count(variant=variant, n_classes=n_classes) == parameters


def test_variants_grow():
    sizes = [count(variant=variant, n_classes=50) for variant in ("b0", "b1", "b2", "b3")]
    assert sizes == sorted(set(sizes))
    assert [round(size / 1e6, 2) for size in sizes[1:]] == [6.92, 8.76, 12.90]


@pytest.mark.parametrize("width", [0.25, 0.5, 0.75])
def test_narrower_is_smaller_and_recognised(width):
    network = bare(variant="b0", n_classes=35, width=width)
    assert sum(p.numel() for p in network.parameters()) < 5_902_963
    shapes = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
    assert EfficientNetV2.recognise(shapes) == {"variant": "b0", "n_classes": 35, "width": width}


@pytest.mark.parametrize("variant", ["b0", "b1", "b2", "b3"])
def test_every_variant_is_recognised_with_a_stem_of_three_channels(variant):
    shapes = {key: tuple(t.shape) for key, t in bare(variant=variant, n_classes=50).state_dict().items()}
    rgb = {**shapes, STEM_WEIGHT: (shapes[STEM_WEIGHT][0], 3, 3, 3)}
    assert EfficientNetV2.recognise(rgb) == {"variant": variant, "n_classes": 50, "width": 1.0}


def test_another_stem_is_not_recognised():
    shapes = {key: tuple(t.shape) for key, t in tiny().state_dict().items()}
    assert EfficientNetV2.recognise({**shapes, STEM_WEIGHT: (8, 2, 3, 3)}) is None


@pytest.mark.parametrize("sizes", [(7, 8), (8, 7), (1, 1), (2, 9)])
@pytest.mark.parametrize("stride", [1, 2])
def test_padding_is_tensorflows(sizes, stride):
    rng = torch.Generator().manual_seed(3)
    conv, x = convolution(2, 3, kernel=3, stride=stride), torch.randn(1, 2, *sizes, generator=rng)
    out = [-(-size // stride) for size in sizes]
    pads = [max((n - 1) * stride + 3 - size, 0) for n, size in zip(out, sizes, strict=True)]
    before = [pad // 2 for pad in pads]
    padded = F.pad(x, (before[1], pads[1] - before[1], before[0], pads[0] - before[0]))
    with torch.no_grad():
        expected = F.conv2d(padded, conv.weight, stride=stride)
        found = same(conv, x)
    assert list(found.shape[2:]) == out
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("bands", "frames"), [(128, 128), (128, 512), (24, 101)])
def test_sizes_are_halved_five_times_rounded_up(bands, frames):
    with torch.no_grad():
        maps = tiny()(torch.zeros(1, 1, bands, frames), maps=True).maps
    assert list(maps) == ["conv_stem", *(f"blocks.{i}" for i in range(6)), "conv_head"]
    assert maps["conv_head"].shape[2:] == (-(-bands // 32), -(-frames // 32))


def test_blocks_add_their_input_only_where_the_shape_stays():
    assert [PlainBlock(8, 8, 1, 1).residual, PlainBlock(8, 16, 1, 1).residual] == [True, False]
    assert not GatedBlock(8, 8, 2, 4).residual
    block = GatedBlock(8, 8, 1, 4).eval()
    x = torch.randn(1, 8, 5, 6, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        block.bn3.weight.zero_()
        torch.testing.assert_close(block(x), x)


@pytest.mark.parametrize(("stem_from_rgb", "factor"), [("sum", 1.0), ("mean", 1.0 / 3.0)])
def test_an_image_networks_stem_is_summed_or_averaged(stem_from_rgb, factor):
    source, network = tiny(n_classes=1000), tiny(stem_from_rgb=stem_from_rgb)
    own = network.classifier.weight.clone()
    state = of_rgb(source.state_dict())
    network.load_official(state, replace_output=True)
    torch.testing.assert_close(network.conv_stem.weight, factor * state[STEM_WEIGHT].sum(1, keepdim=True))
    assert torch.equal(network.classifier.weight, own)
    assert torch.equal(network.conv_head.weight, source.conv_head.weight)


def test_a_grey_image_is_heard_as_by_the_image_network():
    """Summed kernels on one channel answer as three kernels do on three equal ones."""
    state = of_rgb(tiny().state_dict())
    network = tiny()
    network.load_official(state)
    x = torch.randn(2, 1, 16, 20, generator=torch.Generator().manual_seed(6))
    with torch.no_grad():
        grey = F.conv2d(F.pad(x, (0, 1, 0, 1)).expand(-1, 3, -1, -1), state[STEM_WEIGHT], stride=2)
        torch.testing.assert_close(same(network.conv_stem, x), grey, rtol=1e-4, atol=1e-5)


def test_an_image_networks_classes_need_replace_output():
    with pytest.raises(HearlessError, match=r"classifier.weight 1000×320 instead of 4×320.*replace_output=True"):
        tiny().load_official(of_rgb(tiny(n_classes=1000).state_dict()))


def test_other_files_are_refused():
    with pytest.raises(HearlessError, match=r"EfficientNetV2 cannot take these weights: missing .*unknown"):
        tiny().load_official({"bn0.weight": torch.zeros(64)})
    with pytest.raises(HearlessError, match=r"conv_stem.weight 8×2×3×3 instead of 8×1×3×3"):
        tiny().load_official({**tiny().state_dict(), STEM_WEIGHT: torch.zeros(8, 2, 3, 3)})


def test_dropout_is_for_training_alone():
    network, x = tiny(dropout=0.5), torch.randn(3, 1, 16, 16, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        assert torch.equal(network(x).logits, tiny()(x).logits)
        network.dropout.train()
        assert not torch.equal(network(x).logits, network(x).logits)


def test_deep_activations_keep_their_size_at_the_start():
    with torch.no_grad():
        maps = tiny(width=0.5).train()(torch.randn(4, 1, 64, 64, generator=torch.Generator().manual_seed(7)), maps=True)
    sizes = [float(stage.std()) for stage in maps.maps.values()]
    assert 0.1 < min(sizes) < max(sizes) < 10.0
    assert float(maps.logits.std()) < 3.0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"variant": "b4"}, "variant must be one of b0, b1, b2, b3, got 'b4'"),
        ({"stem_from_rgb": "max"}, "stem_from_rgb must be one of sum, mean, got 'max'"),
        ({"n_classes": 0}, "n_classes must be at least 1, got 0"),
        ({"width": 0.01}, "width must be at least 0.1"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0"),
    ],
)
def test_wrong_arguments(arguments, said):
    with pytest.raises(HearlessError, match=said):
        bare(**arguments)


def test_the_imagenet_files_name_begins_its_checksum():
    remote = WEIGHTS["efficientnetv2_b2_imagenet"].remote
    assert remote.checksum.startswith("sha256:" + remote.filename.removesuffix(".pth").rpartition("-")[2])
    assert remote.url.endswith(remote.filename)


def test_weights_of_images_are_no_listener():
    with pytest.raises(HearlessError, match="a start for training, no listener"):
        print(WEIGHTS["efficientnetv2_b2_imagenet"].view)
