"""Weights files: read without being run, unwrapped, recognised, listed."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from hearless.classifiers._official import backbone, read_state, recognise, weights_table
from hearless.classifiers.mobilenetv3 import MobileNetV3
from hearless.interfaces import HearlessError

STATE = {"layer.weight": torch.arange(6.0).reshape(2, 3), "layer.bias": torch.ones(2)}


class Malicious:
    """A pickle that makes a folder when it is opened the careless way."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def equal(state: dict[str, torch.Tensor]) -> bool:
    return state.keys() == STATE.keys() and all(torch.equal(state[key], STATE[key]) for key in STATE)


@pytest.mark.parametrize(
    "content",
    [
        STATE,
        {"model": STATE, "iteration": 3},
        {"state_dict": {f"module.{key}": tensor for key, tensor in STATE.items()}, "epoch": 1},
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_every_wrapping_is_taken_off(tmp_path: Path, content: dict[str, Any], zipped: bool) -> None:
    torch.save(content, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    assert equal(read_state(tmp_path / "w.pth"))


def test_safetensors_are_read(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "w.safetensors")
    assert equal(read_state(tmp_path / "w.safetensors"))


@pytest.mark.parametrize("save", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content))])
def test_malicious_pickle_is_refused_and_not_run(tmp_path: Path, save: Any) -> None:
    save({"model": STATE, "extra": Malicious(tmp_path / "made")}, tmp_path / "w.pt")
    with pytest.raises(HearlessError, match=r"w\.pt .*could run code.*refused.*safetensors"):
        read_state(tmp_path / "w.pt")
    assert not (tmp_path / "made").exists()


def test_whole_pickled_network_is_refused(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "w.pt")
    with pytest.raises(HearlessError, match="refused"):
        read_state(tmp_path / "w.pt")


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_truncated_file_is_said(tmp_path: Path, name: str, share: float) -> None:
    save_file(STATE, tmp_path / name) if name.endswith("s") else torch.save(STATE, tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(HearlessError, match=r"must be a whole .* weights file.*download it again"):
        read_state(tmp_path / name)


@pytest.mark.parametrize("zipped", [True, False])
def test_damaged_bytes_give_tensors_or_an_error_of_ours(tmp_path: Path, zipped: bool) -> None:
    torch.save(STATE, tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
    whole, rng, said = (tmp_path / "w.pt").read_bytes(), np.random.default_rng(5), 0
    for _ in range(150):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole) // 2)] ^= 1 << rng.integers(8)
        (tmp_path / "w.pt").write_bytes(damaged)
        try:
            assert all(isinstance(tensor, torch.Tensor) for tensor in read_state(tmp_path / "w.pt").values())
        except HearlessError:
            said += 1
    assert said > 10


@pytest.mark.parametrize(
    "content", [b"hello, this is no weights file", b"<html>404</html>", b"PK\x03\x04 zip", b"\x80"]
)
def test_other_file_is_said(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(HearlessError, match="must be a whole"):
        read_state(tmp_path / "w.pth")


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {}, torch.ones(2)])
def test_file_without_state_dict_is_said(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(HearlessError, match="must hold a state dict"):
        read_state(tmp_path / "w.pth")


def test_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(HearlessError, match=r"must be a file, got .*none\.pt"):
        read_state(tmp_path / "none.pt")


def test_recognise_names_class_arguments_and_files() -> None:
    with torch.device("meta"):
        state = MobileNetV3(width=0.4).state_dict()
        other = MobileNetV3(n_classes=7, width=0.4).state_dict()
    assert recognise(state) == [("MobileNetV3", {"n_classes": 527, "width": 0.4}, ["mn04"])]
    assert recognise(other) == [("MobileNetV3", {"n_classes": 7, "width": 0.4}, [])]
    assert recognise(STATE) == []


def test_table_and_backbone() -> None:
    table = weights_table()
    assert {"cnn14_16k", "cnn14", "cnn14_8k", "resnet38", "mobilenetv2", "mn04", "mn10", "mn20", "mn40"} <= set(table)
    name, row = backbone("mn04")
    assert name == "MobileNetV3"
    assert row.remote.checksum == "sha256:899a8c6217063f6941793102a2780b3dd788ab11fce468d9cf5f0577c453321c"
    with pytest.raises(HearlessError, match=r"backbone must be one of .*mn04.*got 'mn41'"):
        backbone("mn41")
