"""The run folder: whole files or none, predictions, checkpoints, metrics, the lock."""

from __future__ import annotations

import errno
import io
import json
import os
import pickle
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hearless.captures.full_band import FullBand
from hearless.classifiers.mobilenetv3 import MobileNetV3
from hearless.datasets.synthetic import Synthetic
from hearless.frontends.log_mel import LogMel
from hearless.interfaces import HearlessError
from hearless.objectives.cross_entropy import CrossEntropy
from hearless.pipeline import PipelineSpec
from hearless.recipe import Recipe, Stage
from hearless.run import (
    Predictions,
    Run,
    flatten_optimizer,
    load_tensors,
    restore_optimizer,
    save_tensors,
    write_json,
    write_whole,
)
from hearless.spec import spec

EAR = PipelineSpec(spec(FullBand), spec(LogMel), spec(MobileNetV3))
RECIPE = Recipe(spec(Synthetic), EAR, (Stage((spec(CrossEntropy),)),), name="Grüße")
FOUND = Predictions(
    np.array(["a.wav", "b/ü.wav@1.5", "c"]),
    np.eye(3, dtype=np.float32)[[0, 2, 1]],
    np.random.default_rng(0).standard_normal((3, 3)).astype(np.float32),
    np.array(["r1", "r1", "r2"]),
)


def full(*_: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def stop(*_: Any) -> None:
    raise KeyboardInterrupt


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@contextmanager
def small_files(limit: int) -> Iterator[None]:
    """Let no file grow beyond ``limit`` bytes, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_is_written_and_written_over(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "x.json"
    for content in (b"first", b"second, longer", b""):
        write_whole(path, content)
        assert path.read_bytes() == content
    assert names(path.parent) == ["x.json"]


@pytest.mark.parametrize(("crash", "error"), [(full, HearlessError), (stop, KeyboardInterrupt)])
@pytest.mark.parametrize("spot", ["fsync", "replace"])
def test_a_crash_leaves_the_old_file_and_nothing_else(
    crash: Callable[..., None], error: type[BaseException], spot: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_whole(tmp_path / "x", b"old")
    monkeypatch.setattr(os if spot == "fsync" else Path, spot, crash)
    with pytest.raises(error, match=r"x could not be written: .*No space left.*free some space|^$"):
        write_whole(tmp_path / "x", b"new")
    assert (tmp_path / "x").read_bytes() == b"old"
    assert names(tmp_path) == ["x"]


def test_a_full_disk_is_said_and_leaves_the_old_file(tmp_path: Path) -> None:
    write_whole(tmp_path / "x", b"old")
    with (
        small_files(1000),
        pytest.raises(HearlessError, match=r"x could not be written: .*free some space and run again"),
    ):
        write_whole(tmp_path / "x", bytes(5000))
    assert (tmp_path / "x").read_bytes() == b"old"
    assert names(tmp_path) == ["x"]


def test_a_file_in_place_of_the_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("in the way")
    with pytest.raises(HearlessError, match=r"run/x could not be written"):
        write_whole(tmp_path / "run" / "x", b"new")


def test_json_is_utf_8_whatever_the_locale(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"label": "Grünspecht", "n": [1, 2.5, None]})
    assert "Grünspecht" in (tmp_path / "x.json").read_text(encoding="utf-8")
    script = (
        "import sys; from pathlib import Path; from hearless.run import Run;"
        "assert Run(Path(sys.argv[1])).read('x.json')['label'] == 'Gr\\u00fcnspecht'"
    )
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], env=environment, check=True, timeout=120)


BESIDE = replace(FOUND, reference=FOUND.logits + 1, distance=np.array([0.5, 0.25, 2], np.float32))


@pytest.mark.parametrize("found", [FOUND, BESIDE], ids=["alone", "beside a teacher"])
def test_predictions_round_trip(tmp_path: Path, found: Predictions) -> None:
    path = Run(tmp_path).predictions("test")
    found.save(path)
    read = Predictions.load(path)
    for field in fields(Predictions):
        expected, got = getattr(found, field.name), getattr(read, field.name)
        assert (got is None) == (expected is None)
        if expected is not None:
            np.testing.assert_array_equal(got, expected)
            assert got.dtype == expected.dtype
    assert path == tmp_path / "predictions" / "test.npz"
    assert names(path.parent) == ["test.npz"]


def test_predictions_survive_a_crash_while_they_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FOUND.save(tmp_path / "test.npz")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(HearlessError, match=r"test\.npz could not be written"):
        replace(FOUND, logits=FOUND.logits * 2).save(tmp_path / "test.npz")
    np.testing.assert_array_equal(Predictions.load(tmp_path / "test.npz").logits, FOUND.logits)
    assert names(tmp_path) == ["test.npz"]


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.99])
def test_truncated_predictions_are_said(share: float, tmp_path: Path) -> None:
    FOUND.save(tmp_path / "test.npz")
    whole = (tmp_path / "test.npz").read_bytes()
    (tmp_path / "test.npz").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(HearlessError, match=r"test\.npz holds no predictions .*evaluate the run again"):
        Predictions.load(tmp_path / "test.npz")


def test_damaged_predictions_are_right_or_said(tmp_path: Path) -> None:
    FOUND.save(tmp_path / "test.npz")
    whole, rng, said = (tmp_path / "test.npz").read_bytes(), np.random.default_rng(3), 0
    for _ in range(200):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        (tmp_path / "test.npz").write_bytes(damaged)
        try:
            np.testing.assert_array_equal(Predictions.load(tmp_path / "test.npz").logits, FOUND.logits)
        except HearlessError:
            said += 1
    assert said > 100


class Malicious:
    """A pickle that makes a folder when it is opened the careless way."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def object_array(path: Path, made: Path) -> None:
    np.savez(path, ids=np.array([Malicious(made)], object), true=np.eye(1), logits=np.eye(1), groups=np.array(["a"]))


def bare_pickle(path: Path, made: Path) -> None:
    path.write_bytes(pickle.dumps(Malicious(made)))


@pytest.mark.parametrize("write", [object_array, bare_pickle])
def test_predictions_that_would_run_code_are_refused_and_not_run(write: Callable[..., None], tmp_path: Path) -> None:
    write(tmp_path / "test.npz", tmp_path / "made")
    with pytest.raises(HearlessError, match="holds no predictions"):
        Predictions.load(tmp_path / "test.npz")
    assert not (tmp_path / "made").exists()


def test_other_arrays_are_no_predictions(tmp_path: Path) -> None:
    with pytest.raises(HearlessError, match="holds no predictions"):
        Predictions.load(tmp_path / "none.npz")
    content = io.BytesIO()
    np.save(content, np.eye(3))
    (tmp_path / "test.npz").write_bytes(content.getvalue())
    with pytest.raises(HearlessError, match="holds no predictions"):
        Predictions.load(tmp_path / "test.npz")
    np.savez(tmp_path / "test.npz", ids=FOUND.ids, logits=FOUND.logits)
    with pytest.raises(HearlessError, match=r"holds no predictions .*true"):
        Predictions.load(tmp_path / "test.npz")


@pytest.mark.parametrize(
    "change",
    [{"ids": FOUND.ids[:2]}, {"groups": FOUND.groups[:1]}, {"true": FOUND.true[:2]}, {"logits": FOUND.logits[:, :2]}],
)
def test_predictions_that_do_not_pair_are_refused(change: dict[str, Any], tmp_path: Path) -> None:
    replace(FOUND, **change).save(tmp_path / "test.npz")
    with pytest.raises(HearlessError, match=r"holds predictions that do not pair with [23] clips"):
        Predictions.load(tmp_path / "test.npz")


def test_a_run_keeps_its_recipe_and_facts(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.write("recipe.json", RECIPE.to_json())
    run.write("measured.json", {"labels": ["Kuckuck", "Grünspecht"], "clip_s": 5.0})
    assert run.recipe == RECIPE
    assert (run.recipe.name, run.recipe.digest) == (RECIPE.name, RECIPE.digest)
    assert run.measured == {"labels": ["Kuckuck", "Grünspecht"], "clip_s": 5.0}
    assert not run.done
    run.write("done.json", {})
    assert run.done
    assert run.checkpoint("best") == tmp_path / "checkpoints" / "best.safetensors"


@pytest.mark.parametrize("content", [None, b"", b'{"a": 1', b"\xff\xfe", b"3", b"[1, 2]", b"null", b'"text"'])
def test_a_folder_that_is_no_run_is_said(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "measured.json").write_bytes(content)
    with pytest.raises(
        HearlessError, match=r"is no run folder with a readable measured\.json .*name one made by train"
    ):
        _ = Run(tmp_path).measured


def test_metrics_round_trip(tmp_path: Path) -> None:
    run = Run(tmp_path)
    assert run.metrics() == []
    rows = [{"epoch": i, "loss": i / 3} for i in range(3)]
    run.write_metrics(rows)
    assert run.metrics() == rows
    run.write_metrics(rows[:2])
    assert run.metrics() == rows[:2]


@pytest.mark.parametrize("torn", [b'{"epoch": 4, "lo', b"{", b"\x00\x00\x00", b"\xc3", b'{"epoch": 4}{"epoch"'])
def test_a_torn_line_of_metrics_is_left_out(torn: bytes, tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.write_metrics([{"epoch": 1}, {"epoch": 2}])
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(path.read_bytes() + torn)
    assert run.metrics() == [{"epoch": 1}, {"epoch": 2}]


def tensors() -> dict[str, Tensor]:
    rng = torch.Generator().manual_seed(0)
    return {
        "weight": torch.randn(4, 3, 2, 2, generator=rng).to(memory_format=torch.channels_last),
        "part": torch.randn(6, 4, generator=rng)[::2, 1:],
        "count": torch.tensor(7),
        "half": torch.randn(3, generator=rng).bfloat16(),
        "learned": nn.Parameter(torch.randn(2, generator=rng)),
        "none": torch.zeros(0, 3),
    }


def test_a_checkpoint_round_trip(tmp_path: Path) -> None:
    path = Run(tmp_path).checkpoint("last")
    state = {"epoch": 3, "best": 0.5, "name": "Grüße", "nothing": None}
    save_tensors(path, tensors(), state)
    found, read = load_tensors(path)
    assert read == state
    assert json.loads(path.with_suffix(".json").read_text(encoding="utf-8")) == state
    assert list(found) == sorted(tensors())
    for key, expected in tensors().items():
        assert found[key].dtype == expected.dtype
        assert torch.equal(found[key], expected)
        assert not found[key].requires_grad
    assert names(path.parent) == ["last.json", "last.safetensors"]


def test_two_names_of_one_tensor_are_both_kept(tmp_path: Path) -> None:
    shared = torch.arange(4.0)
    save_tensors(tmp_path / "x.safetensors", {"a": shared, "b": shared, "c": shared[:2]}, {})
    found, _ = load_tensors(tmp_path / "x.safetensors")
    assert {key: value.tolist() for key, value in found.items()} == {"a": [0, 1, 2, 3], "b": [0, 1, 2, 3], "c": [0, 1]}


def test_a_checkpoint_outlives_being_written_over_while_it_is_held(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_tensors(path, {"a": torch.ones(1000)}, {})
    held, _ = load_tensors(path)
    save_tensors(path, {"a": torch.zeros(1000)}, {})
    assert held["a"].sum() == 1000
    assert load_tensors(path)[0]["a"].sum() == 0


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.5, 0.99])
def test_a_truncated_checkpoint_is_said(share: float, tmp_path: Path) -> None:
    path = tmp_path / "last.safetensors"
    save_tensors(path, tensors(), {"epoch": 3})
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(HearlessError, match=r"last\.safetensors is no readable checkpoint .*delete it and run again"):
        load_tensors(path)


def test_a_missing_checkpoint_and_a_pickle_are_said(tmp_path: Path) -> None:
    with pytest.raises(HearlessError, match=r"last\.safetensors is missing: this run was kept without its weights"):
        load_tensors(tmp_path / "last.safetensors")
    bare_pickle(tmp_path / "last.safetensors", tmp_path / "made")
    with pytest.raises(HearlessError, match="is no readable checkpoint"):
        load_tensors(tmp_path / "last.safetensors")
    assert not (tmp_path / "made").exists()


def trained(layout: torch.memory_format, seeds: range) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A small network after some steps of fused AdamW."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, (3, 2), groups=3), nn.Flatten(), nn.Linear(30, 2))
    network = network.to(memory_format=layout)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2, weight_decay=0.1, fused=True)
    for seed in seeds:
        step(network, optimizer, seed)
    return network, optimizer


def step(network: nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> None:
    optimizer.zero_grad(set_to_none=True)
    network(torch.randn(4, 3, 5, 8, generator=torch.Generator().manual_seed(seed))).square().mean().backward()
    optimizer.step()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_an_optimizer_restored_takes_the_identical_next_steps(layout: torch.memory_format, tmp_path: Path) -> None:
    network, optimizer = trained(layout, range(3))
    save_tensors(tmp_path / "x.safetensors", {**flatten_optimizer(optimizer), **network.state_dict()}, {})
    kept, _ = load_tensors(tmp_path / "x.safetensors")
    other, restored = trained(layout, range(0))
    other.load_state_dict({key: kept[key] for key in other.state_dict()})
    restore_optimizer(restored, kept)
    for seed in (7, 8):
        step(network, optimizer, seed)
        step(other, restored, seed)
        for key, expected in network.state_dict().items():
            assert torch.equal(other.state_dict()[key], expected), key
    _, fresh = trained(layout, range(0))
    assert flatten_optimizer(fresh) == {}
    assert flatten_optimizer(restored).keys() == flatten_optimizer(optimizer).keys()


def test_restoring_keeps_the_settings_of_the_new_optimizer() -> None:
    _, optimizer = trained(torch.contiguous_format, range(1))
    other, restored = trained(torch.contiguous_format, range(0))
    restored.param_groups[0]["lr"] = 0.5
    restore_optimizer(restored, {**flatten_optimizer(optimizer), "model.weight": torch.ones(1)})
    assert restored.param_groups[0]["lr"] == 0.5
    assert len(restored.state) == len(list(other.parameters()))


SECOND = """
import sys
from pathlib import Path
from hearless.run import Run
folder = Path(sys.argv[1])
(folder / "waits").touch()
with Run(folder / "run").locked():
    (folder / "got").write_text((folder / "free").read_text())
"""


def test_a_second_process_waits_for_the_lock(tmp_path: Path) -> None:
    with Run(tmp_path / "run").locked():
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        second = subprocess.Popen([sys.executable, "-c", SECOND, str(tmp_path)], env=environment)
        deadline = time.monotonic() + 100
        while not (tmp_path / "waits").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.4)
        assert second.poll() is None
        assert not (tmp_path / "got").exists()
        (tmp_path / "free").write_text("now")
    assert second.wait(timeout=60) == 0
    assert (tmp_path / "got").read_text() == "now"


def test_the_lock_is_freed_by_an_error(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(KeyError, match="inside"), Run(tmp_path / "run").locked():
            raise KeyError("inside")
