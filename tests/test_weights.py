"""Pretrained weights: found and verified, loaded strictly, or taken alone as a listener."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from hearless.captures.full_band import FullBand
from hearless.classifiers import _panns, cnn14
from hearless.classifiers._official import backbone, weights_table
from hearless.classifiers.mobilenetv3 import MobileNetV3
from hearless.download import sha256
from hearless.frontends.preemphasis_mel import PreEmphasisMel
from hearless.interfaces import HearlessError, Prediction
from hearless.labels import label_names
from hearless.pipeline import PipelineSpec
from hearless.spec import spec
from hearless.weights import as_listener, find, load_pretrained, weights_folder

EAR = PipelineSpec(spec(FullBand, rate_hz=8000), spec(PreEmphasisMel, input_rate_hz=8000), spec(MobileNetV3, width=0.2))
WINDOW = "spectrogram_extractor.stft.conv_real.weight"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("HEARLESS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Cnn14(nn.Module):
    """A Cnn14 of two layers: as the real one in name, arguments, keys of its ends, and loading."""

    def __init__(self, *, n_classes: int = 527, n_bands: int = 64) -> None:
        super().__init__()
        self.n_classes, self.min_frames, self.min_bands = n_classes, 1, 1
        self.bn0 = nn.BatchNorm2d(n_bands)
        self.fc_audioset = nn.Linear(n_bands, n_classes)

    def forward(self, features: Tensor, keep: Tensor | None = None, *, maps: bool = False) -> Prediction:
        x = self.bn0(features.transpose(1, 2)).transpose(1, 2).mean((1, 3))
        return Prediction(self.fc_audioset(x), x, features)

    def load_official(self, state: Mapping[str, Tensor], *, replace_output: bool = False) -> None:
        _panns.load("Cnn14", self, state, replace_output)

    @classmethod
    def recognise(cls, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any] | None:
        return _panns.recognise(cls, shapes)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> type[Cnn14]:
    """Put the small Cnn14 on the shelf in place of the 320 MB one."""
    monkeypatch.setattr(Cnn14, "__module__", cnn14.__name__)
    monkeypatch.setattr(cnn14, "Cnn14", Cnn14)
    return Cnn14


def network(width: float = 0.2, n_classes: int = 527, seed: int = 5) -> MobileNetV3:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return MobileNetV3(n_classes=n_classes, width=width).eval()


def test_a_file_is_found_by_its_path_and_its_content_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    save_file(network().state_dict(), path)
    assert find(str(path)) == path
    assert find(str(path), sha256(path)) == path
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert find(str(path)) == path
    with pytest.raises(HearlessError, match=r"own\.safetensors has changed since the recipe was made .*restore it"):
        find(str(path), sha256(path)[::-1])


def test_a_short_name_not_fetched_says_what_to_type(cache: Path) -> None:
    with pytest.raises(HearlessError, match=r"weights 'mn04' are not on this machine; try: hearless fetch mn04\."):
        find("mn04")
    assert weights_folder() == cache / "weights"


@pytest.mark.parametrize("name", ["mn03", "", "missing/own.pt", "."])
def test_neither_a_name_nor_a_file_lists_the_names(name: str) -> None:
    with pytest.raises(
        HearlessError, match=rf"weights '{name}' are not .*one of .*cnn14_16k.*mn04.*, or a file that ex"
    ):
        find(name)


def test_a_fetched_file_that_is_another_one_is_refused() -> None:
    path = weights_folder() / weights_table()["mn04"][1].remote.filename
    path.parent.mkdir(parents=True)
    path.write_bytes(b"something else")
    with pytest.raises(HearlessError, match=r"mn04_as_mAP_432\.pt must have sha256 899a8c62.*download it again"):
        find("mn04")


def test_a_fetched_file_without_a_published_checksum_is_known_by_the_recipes(cache: Path) -> None:
    assert weights_table()["mn10"][1].remote.checksum is None
    path = cache / "weights" / "mn10_as_mAP_471.pt"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"accepted before")
    assert find("mn10") == find("mn10", sha256(path)) == path
    with pytest.raises(HearlessError, match="has changed since the recipe was made"):
        find("mn10", "0" * 64)


def test_loading_takes_all_layers_or_all_but_the_last(tmp_path: Path) -> None:
    path, source = tmp_path / "own.safetensors", network(n_classes=3)
    save_file(source.state_dict(), path)
    whole, fresh = EAR.build(3), EAR.build(4)
    output = {key: value.clone() for key, value in fresh.classifier.state_dict().items() if "classifier.5" in key}
    load_pretrained(whole, str(path), sha256(path), replace_output=False)
    load_pretrained(fresh, str(path), replace_output=True)
    for key, expected in source.state_dict().items():
        assert torch.equal(whole.classifier.state_dict()[key], expected)
        assert torch.equal(fresh.classifier.state_dict()[key], output.get(key, expected))
    assert len(output) == 2
    with pytest.raises(HearlessError, match="instead of"):
        load_pretrained(EAR.build(4), str(path), replace_output=False)
    with pytest.raises(HearlessError, match="has changed"):
        load_pretrained(EAR.build(3), str(path), "0" * 64, replace_output=False)


@pytest.mark.data
def test_a_published_file_alone_is_a_listener(shared: Path) -> None:
    path = shared / "weights" / "mn04_audioset" / "mn04_as_mAP_432.safetensors"
    if not path.is_file():
        pytest.skip("needs the weights beside the checkout")
    pipeline, labels, row = as_listener(path)
    assert row == backbone("mn04")[1]
    assert labels == label_names("audioset")
    assert (pipeline.n_classes, pipeline.source_rate_hz, pipeline.training) == (527, 32000, False)
    state = load_file(path)
    assert all(torch.equal(value, state[key]) for key, value in pipeline.classifier.state_dict().items())
    time_s = torch.arange(32000) / 32000
    tone = 0.1 * torch.sin(2 * torch.pi * 1000 * time_s)[None]
    with torch.no_grad():
        scores = pipeline(pipeline.observe(tone, 32000)).logits.sigmoid()[0]
    assert "Sine wave" in [labels[i] for i in scores.topk(5).indices]


def test_a_recognised_state_becomes_its_listener(tmp_path: Path) -> None:
    source = network(0.4)
    save_file(source.state_dict(), tmp_path / "renamed.safetensors")
    pipeline, labels, row = as_listener(tmp_path / "renamed.safetensors")
    assert (row, len(labels), pipeline.training) == (backbone("mn04")[1], 527, False)
    waveform = 0.1 * torch.randn(2, 16000, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = source(PreEmphasisMel()(waveform)).logits
        assert torch.equal(pipeline(pipeline.observe(waveform, 32000)).logits, expected)


def test_shapes_of_several_published_files_are_a_tie(tmp_path: Path, small: type[Cnn14]) -> None:
    path = tmp_path / "cnn.pth"
    torch.save({"model": small().state_dict()}, path)
    with pytest.raises(
        HearlessError,
        match=r"cnn\.pth: it may be cnn14_16k or cnn14 or cnn14_8k; say which with --backbone NAME \(ast, ",
    ):
        as_listener(path)


@pytest.mark.parametrize(("name", "rate_hz"), [("cnn14_16k", 16000), ("cnn14", 32000), ("cnn14_8k", 8000)])
def test_naming_the_backbone_settles_a_tie(name: str, rate_hz: int, tmp_path: Path, small: type[Cnn14]) -> None:
    source = small().eval()
    torch.save(source.state_dict(), tmp_path / "cnn.pth")
    pipeline, labels, row = as_listener(tmp_path / "cnn.pth", name)
    assert (row, len(labels)) == (backbone(name)[1], 527)
    assert (pipeline.source_rate_hz, pipeline.frontend.input_rate_hz, pipeline.frontend.n_bands) == (
        rate_hz,
        rate_hz,
        64,
    )
    features = torch.randn(2, 1, 64, 9, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        assert torch.equal(pipeline.judge(features).logits, source(features).logits)


@pytest.mark.parametrize(("rate_hz", "name"), [(16000, "cnn14_16k"), (32000, "cnn14"), (8000, "cnn14_8k")])
def test_front_end_tensors_settle_a_tie_themselves(rate_hz: int, name: str, tmp_path: Path, small: type[Cnn14]) -> None:
    n = round(0.032 * rate_hz)
    torch.save({**small().state_dict(), WINDOW: torch.zeros(n // 2 + 1, 1, n)}, tmp_path / "cnn.pth")
    pipeline, _, row = as_listener(tmp_path / "cnn.pth")
    assert (row, pipeline.source_rate_hz) == (backbone(name)[1], rate_hz)


def test_an_unknown_state_is_refused_and_the_backbones_listed(tmp_path: Path) -> None:
    for n, state in enumerate(({"layer.weight": torch.ones(2)}, network(n_classes=7).state_dict())):
        path = tmp_path / f"{n}.safetensors"
        save_file(state, path)
        with pytest.raises(HearlessError, match=rf"{n}\.safetensors: no published classifier .*--backbone NAME .*mn04"):
            as_listener(path)


def test_a_backbone_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    save_file(network(0.2).state_dict(), path)
    with pytest.raises(HearlessError, match=r"MobileNetV3.*instead of"):
        as_listener(path, "mn04")
    with pytest.raises(HearlessError, match=r"backbone must be one of .*mn04.*, got 'mn03'"):
        as_listener(path, "mn03")


def test_a_file_that_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(HearlessError, match=r"weights must be a file, got .*none\.pt"):
        as_listener(tmp_path / "none.pt")
