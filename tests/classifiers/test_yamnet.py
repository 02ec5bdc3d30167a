"""YAMNet against a functional re-computation, its published count and, with the real weights, real sounds."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import torch.nn.functional as F
from torch import Tensor

from hearless.classifiers._official import read_state, recognise
from hearless.classifiers._same import pad_same
from hearless.classifiers.yamnet import EPSILON, YAMNet, mean_score
from hearless.frontends.yamnet_mel import YAMNetMel
from hearless.interfaces import HearlessError
from hearless.labels import label_names

STRIDE_2 = (1, 4, 8, 12, 24)


def folded_reference(s: dict[str, Tensor], patches: Tensor, relu6: bool) -> tuple[Tensor, Tensor]:
    """Logits and embedding of ``[patch, 1, frame, band]`` from folded tensors, padded as TensorFlow does."""
    x = patches
    for n in range(1, 28):
        kind = "conv" if n % 2 else "dw"
        weight, bias = s[f"layer{n:02}.{kind}.weight"].float(), s[f"layer{n:02}.{kind}.bias"].float()
        stride, size = (2 if n in STRIDE_2 else 1), weight.shape[-1]
        if size == 3:  # even axes: at stride 2 nothing before, one behind; at stride 1 one on either side
            sides = [(0, 1) if stride == 2 and length % 2 == 0 else (1, 1) for length in x.shape[2:]]
            x = F.pad(x, (*sides[1], *sides[0]))
        x = F.conv2d(x, weight, bias, stride=stride, groups=1 if weight.shape[1] > 1 or n == 1 else x.shape[1])
        x = x.clamp(0, 6) if relu6 else x.clamp(min=0)
    x = x.mean((2, 3))
    return F.linear(x, s["fc.weight"].float(), s["fc.bias"].float()), x


def drawn_state(seed: int = 1) -> dict[str, Tensor]:
    """Folded tensors of the published names, drawn so that activations keep their size."""
    rng, shapes = torch.Generator().manual_seed(seed), {}
    for key, tensor in YAMNet(n_classes=7).state_dict().items():
        if key.endswith(("conv.weight", "dw.weight")):
            shapes[key.removeprefix("layers.")] = tensor.shape
    state = {}
    for key, shape in shapes.items():
        state[key] = torch.randn(shape, generator=rng) * (2 / shape[1:].numel()) ** 0.5
        state[key.replace("weight", "bias")] = 0.1 * torch.randn(shape[0], generator=rng)
    return {**state, "fc.weight": torch.randn(7, 1024, generator=rng), "fc.bias": torch.zeros(7)}


def test_published_counts() -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in YAMNet().parameters()) == 3_740_425


@pytest.mark.parametrize("relu6", [False, True])
def test_one_patch_is_the_formula(relu6: bool) -> None:
    state, features = drawn_state(), 3 * torch.randn(2, 1, 64, 96, generator=torch.Generator().manual_seed(2))
    network = YAMNet(n_classes=7, relu6=relu6).eval()
    network.load_official(state)
    logits, embedding = folded_reference(state, features.mT, relu6)
    with torch.no_grad():
        heard = network(features, maps=True)
    torch.testing.assert_close(heard.logits, logits, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(heard.embedding, embedding, rtol=1e-3, atol=1e-3)
    assert [tuple(heard.maps[f"layer{n:02}"].shape[1:]) for n in (1, 4, 12, 27)] == [
        (32, 32, 48), (64, 16, 24), (256, 4, 6), (1024, 2, 3),
    ]  # fmt: skip
    unclipped = YAMNet(n_classes=7, relu6=not relu6).eval()
    unclipped.load_official(state)
    with torch.no_grad():
        assert not torch.allclose(unclipped(features).logits, logits, atol=1e-2)


@pytest.mark.parametrize(("hop_frames", "starts"), [(48, (0, 48, 96)), (96, (0, 96))])
def test_longer_clips_are_the_mean_score_of_their_patches(hop_frames: int, starts: tuple[int, ...]) -> None:
    network = YAMNet(n_classes=7, hop_frames=hop_frames).eval()
    network.load_official(drawn_state())
    clip = torch.randn(2, 1, 64, 200, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        whole = network(clip)
        patches = [network(clip[..., start : start + 96]) for start in starts]
    scores = torch.stack([patch.logits.sigmoid() for patch in patches]).mean(0)
    torch.testing.assert_close(whole.logits.sigmoid(), scores, rtol=1e-4, atol=1e-6)
    embedding = torch.stack([patch.embedding for patch in patches]).mean(0)
    torch.testing.assert_close(whole.embedding, embedding, rtol=1e-4, atol=1e-4)


def test_mean_score_survives_certainty() -> None:
    logits = torch.tensor([[[200.0, -200.0, 200.0], [200.0, -200.0, -200.0]]])
    torch.testing.assert_close(mean_score(logits), torch.tensor([[200.0, -200.0, 0.0]]))


def test_a_folded_file_becomes_a_batch_norm_that_only_adds() -> None:
    network, state = YAMNet(n_classes=7), drawn_state()
    network.load_official({**state, "mel_matrix": torch.zeros(64, 257)})
    own = network.state_dict()
    assert own["layers.layer05.bn.weight"].unique().item() == pytest.approx((1 + EPSILON) ** 0.5)
    assert torch.equal(own["layers.layer05.bn.bias"], state["layer05.conv.bias"])
    other = YAMNet(n_classes=7)
    other.load_official(own)
    assert all(torch.equal(tensor, own[key]) for key, tensor in other.state_dict().items())


@pytest.mark.parametrize(("size", "kernel", "stride"), [(7, 3, 2), (8, 3, 2), (9, 5, 2), (8, 5, 1), (5, 1, 1)])
def test_same_padding_gives_the_size_over_the_stride(size: int, kernel: int, stride: int) -> None:
    x = torch.randn(1, 1, size, size + 1)
    out = F.conv2d(pad_same(x, kernel, stride), torch.ones(1, 1, kernel, kernel), stride=stride)
    assert out.shape[2:] == (-(-size // stride), -(-(size + 1) // stride))
    assert torch.equal(pad_same(torch.ones(1, 1, 8, 8), 3, 2)[0, 0, -1], torch.zeros(9))


def test_recognise_names_the_published_file() -> None:
    state = {**drawn_state(), "fc.weight": torch.zeros(521, 1024), "fc.bias": torch.zeros(521)}
    assert recognise(state) == [("YAMNet", {"n_classes": 521, "relu6": True}, ["yamnet"])]
    assert YAMNet.recognise({key: tuple(t.shape) for key, t in state.items() if key != "layer05.conv.bias"}) is None


def test_wrong_input() -> None:
    with pytest.raises(HearlessError, match="hop_frames must lie between 1 and 96, got 0"):
        YAMNet(hop_frames=0)
    with pytest.raises(HearlessError, match=r"at least 96 frames, got 95; give a longer clip"):
        YAMNet(n_classes=2)(torch.zeros(1, 1, 64, 95))
    with pytest.raises(HearlessError, match=r"fc\.weight 7×1024 instead of 5×1024"):
        YAMNet(n_classes=5).load_official(drawn_state())


@pytest.fixture(scope="module")
def published(shared: Path) -> YAMNet:
    network = YAMNet(relu6=True)
    network.load_official(read_state(shared / "weights" / "yamnet_audioset" / "yamnet.fp16.safetensors"))
    return network.eval()


def read(shared: Path, category: str) -> list[Tensor]:
    folder = shared / "data" / "esc50_subset_16k"
    with (folder / "meta.csv").open(encoding="utf-8") as file:
        names = [row["filename"] for row in csv.DictReader(file) if row["category"] == category][::8]
    return [torch.from_numpy(soundfile.read(folder / "audio" / name, dtype="float32")[0])[None] for name in names]


@pytest.mark.data
@pytest.mark.parametrize(
    ("category", "names"),
    [("dog", {"Dog"}), ("rain", {"Rain"}), ("crying_baby", {"Baby cry, infant cry", "Crying, sobbing"})],
)
def test_real_weights_know_real_sounds(shared: Path, published: YAMNet, category: str, names: set[str]) -> None:
    clips = read(shared, category)
    with torch.no_grad():
        scores = [published(YAMNetMel()(clip)).logits[0] for clip in clips]
    top5 = [{label_names("yamnet")[index] for index in score.topk(5).indices.tolist()} for score in scores]
    assert len(clips) >= 4
    assert sum(bool(names & heard) for heard in top5) >= len(clips) - 1


@pytest.mark.data
def test_real_weights_compute_the_folded_formula(shared: Path, published: YAMNet) -> None:
    state = read_state(shared / "weights" / "yamnet_audioset" / "yamnet.fp16.safetensors")
    features = YAMNetMel()(read(shared, "dog")[0])[..., :96]
    logits, _ = folded_reference(state, features.mT, relu6=True)
    with torch.no_grad():
        np.testing.assert_allclose(published(features).logits.numpy(), logits.numpy(), atol=1e-3)
