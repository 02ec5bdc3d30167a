"""Recording devices in the lab and in tables: seen and unseen ones, leaks, energies, and the last epochs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hearless import evaluate
from hearless.augmentations.device_impulse_response import DeviceImpulseResponse
from hearless.captures.simulated_device import SimulatedDevice
from hearless.classifiers.mobilenetv3 import MobileNetV3
from hearless.datasets.csv_labels import CsvLabels
from hearless.datasets.simulated_devices import DEVICES, SimulatedDevices
from hearless.frontends.preemphasis_mel import PreEmphasisMel
from hearless.interfaces import HearlessError
from hearless.lab import Lab
from hearless.objectives.cross_entropy import CrossEntropy
from hearless.pipeline import PipelineSpec
from hearless.recipe import Recipe, Stage
from hearless.report import Report
from hearless.run import Predictions, Run
from hearless.spec import spec
from hearless.statistics import mean_interval
from hearless.study import Row, Study

pytestmark = pytest.mark.usefixtures("cached")

TESTED = ",".join(f"device{n:02d}" for n in range(1, 7))
TABLE = spec(SimulatedDevices, dataset=spec(CsvLabels, table="meta.csv"), fold="1", share=0.1)
VIEW = PipelineSpec(
    spec(SimulatedDevice, rate_hz=8000), spec(PreEmphasisMel, input_rate_hz=8000), spec(MobileNetV3, width=0.2)
)
HARD = Stage((spec(CrossEntropy),), 1)
RECIPE = Recipe(TABLE, VIEW, (HARD,), batch_size=8, validation=0.3, name="x/devices")


def heard(**more: Any) -> Recipe:
    return replace(RECIPE, augmentations=(spec(DeviceImpulseResponse, **more),))


@pytest.fixture
def lab(tiny: Path, tiny_runs: Path) -> Lab:
    return Lab(tiny_runs, tiny)


@pytest.fixture
def run(lab: Lab) -> Run:
    return lab.run(RECIPE, "split", 0)


def test_predictions_tell_devices_and_which_were_trained_on(run: Run) -> None:
    found = Predictions.load(run.predictions("test"))
    assert sorted(set(found.devices.tolist())) == sorted(DEVICES)
    trained = set(found.devices[found.seen].tolist())
    assert "a" in trained
    assert not trained & {"s4", "s5", "s6"}
    assert len(found.ids) == 7 * 12


def test_a_table_breaks_down_by_device(lab: Lab, run: Run, tmp_path: Path) -> None:
    report = lab.study(Study("s", "t", "task", (Row("x", {}, (RECIPE,)),), folds=("split",)))
    row, found = report.rows[0], Predictions.load(run.predictions("test"))
    right = found.logits.argmax(1) == found.true.argmax(1)
    assert list(row.per_device) == ["a", *(f"s{n}" for n in range(1, 7))]
    for device, measure in row.per_device.items():
        assert measure.value == pytest.approx(right[found.devices == device].mean())
        assert measure.n == 12
    for name, side in (("seen_devices", found.seen), ("unseen_devices", ~found.seen)):
        assert row.metrics[name] == mean_interval(right[side].astype(float)[None], found.groups[side])
    assert report.columns == ("accuracy", "seen_devices", "unseen_devices", "macro_f1")
    assert "accuracy per device" in report.to_markdown()
    assert "device:s4" in report.to_csv().splitlines()[0]
    assert Report.load(report.save(tmp_path)).rows[0].per_device == row.per_device


def test_early_reports_and_predictions_have_no_devices(lab: Lab, run: Run, tmp_path: Path) -> None:
    report = lab.study(Study("s", "t", "task", (Row("x", {}, (RECIPE,)),), folds=("split",)))
    data = report.to_json()
    for row in data["rows"]:
        del row["per_device"]
    assert Report.from_json(data).rows[0].per_device == {}
    found = Predictions.load(run.predictions("test"))
    early = replace(found, devices=None, seen=None)
    early.save(tmp_path / "early.npz")
    again = Predictions.load(tmp_path / "early.npz")
    assert (again.devices, again.seen) == (None, None)
    done = evaluate.Evaluated(Row("x", {}, (RECIPE,)))
    done.add("split", 0, again, 1.0)
    done.add("split", 1, found, 1.0)
    assert done.pooled(["split"]).devices is None  # as the first of them has it
    table = evaluate.tabulate(Study("s", "t", "task", (done.row,), seeds=(0, 1)), [done], ("a", "b", "c"), False)
    assert table.rows[0].per_device == {}


def test_the_response_of_a_test_device_in_the_pool_is_a_leak(lab: Lab) -> None:
    with pytest.raises(HearlessError, match=r"leak: responses of test devices .* got 6: device01 is device01"):
        lab.run(heard(), "split", 0)
    with pytest.raises(HearlessError, match=r"got 1: device06 is device06; name them in left_out"):
        lab.run(heard(left_out=TESTED.rpartition(",")[0]), "split", 0)


def test_the_training_clips_energy_is_told(lab: Lab, run: Run) -> None:
    assert "energy" not in run.measured
    made = lab.run(heard(left_out=TESTED, energy_threshold=100.0), "split", 0)
    said = made.measured["energy"]
    assert sum(said["counts"]) == said["n_clips"] == made.measured["n_clips"]["training"]
    assert len(said["edges"]) == len(said["counts"]) + 1
    assert 0 < said["share_above"] < 1
    assert said["mean"] > said["median"] > 0


def test_the_last_epochs_are_judged_where_the_paper_did_so(lab: Lab) -> None:
    stages = (HARD, replace(HARD, epochs=3))
    recipe = replace(RECIPE, stages=stages, protocol="paper", average_last=2, select="last")
    run = lab.run(recipe, "split", 0)
    assert sorted(path.name for path in run.predictions("x").parent.iterdir()) == [
        "test-last.npz", "test.npz", "validation.npz",
    ]  # fmt: skip
    last, final = Predictions.load(run.predictions("test-last")), Predictions.load(run.predictions("test"))
    assert last.logits.shape == (2, *final.logits.shape)
    np.testing.assert_allclose(last.logits[1], final.logits, atol=1e-6)
    assert not np.array_equal(last.logits[0], final.logits)
    report = lab.study(Study("s", "t", "task", (Row("x", {}, (recipe,)),), folds=("split",), seeds=(0, 1)))
    each = [Predictions.load(lab.run(recipe, "split", seed).predictions("test-last")) for seed in (0, 1)]
    shares = [(p.logits.argmax(-1) == p.true.argmax(-1)).mean() for p in each]
    assert report.rows[0].metrics["accuracy"].value == pytest.approx(np.mean(shares))
    assert report.rows[0].metrics["std_over_seeds"].value == pytest.approx(np.std(shares, ddof=1))


def test_a_killed_run_judges_the_epochs_that_are_left(lab: Lab, tmp_path: Path) -> None:
    stages = (replace(HARD, epochs=3),)
    recipe = replace(RECIPE, stages=stages, protocol="paper", average_last=3, select="last")
    whole = Lab(tmp_path / "whole", lab.root).run(recipe, "split", 0)
    killed = Lab(tmp_path / "killed", lab.root)

    def stop(name: str, at: Any) -> None:
        if at.epoch == 2:
            raise KeyboardInterrupt

    killed.tick = stop
    with pytest.raises(KeyboardInterrupt):
        killed.run(recipe, "split", 0)
    again = Lab(tmp_path / "killed", lab.root).run(recipe, "split", 0)
    logits = [Predictions.load(one.predictions("test-last")).logits for one in (whole, again)]
    np.testing.assert_array_equal(*logits)


@pytest.mark.parametrize("more", [{"average_last": 1}, {"average_last": 2, "protocol": "paper"}, {"average_last": -1}])
def test_averaging_epochs_elsewhere_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(HearlessError, match="average_last must be 0, or with protocol='paper' at most"):
        replace(RECIPE, **more)
