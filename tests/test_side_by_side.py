"""Runs side by side: the same table as one after the other, teachers first and once, and nothing lost by a kill."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
import torch

from hearless.captures.full_band import FullBand
from hearless.captures.low_rate import LowRate
from hearless.classifiers.mobilenetv3 import MobileNetV3
from hearless.datasets.csv_labels import CsvLabels
from hearless.frontends.preemphasis_mel import PreEmphasisMel
from hearless.interfaces import HearlessError
from hearless.lab import Lab, side_by_side
from hearless.lab.side_by_side import Hearing, Task
from hearless.objectives.cross_entropy import CrossEntropy
from hearless.objectives.self_distillation import SelfDistillation
from hearless.objectives.similarity_preserving import SimilarityPreserving
from hearless.pipeline import PipelineSpec
from hearless.recipe import Recipe, Stage
from hearless.run import Run, load_tensors
from hearless.spec import spec
from hearless.study import Row, Study
from hearless.teachers import Fused, Pretrained, Teacher, Trained
from hearless.train import Tick

pytestmark = pytest.mark.usefixtures("cached")

NETWORK = spec(MobileNetV3, width=0.2)
UPPER_VIEW = PipelineSpec(spec(FullBand, rate_hz=8000), spec(PreEmphasisMel, input_rate_hz=8000), NETWORK)
LOW_VIEW = PipelineSpec(spec(LowRate, rate_hz=1000), spec(PreEmphasisMel, input_rate_hz=1000, bands=24), NETWORK)
SOFT = Stage((spec(SelfDistillation, alpha=0.5, temperature=2.0),), 1)
UPPER = Recipe(
    spec(CsvLabels, table="meta.csv"), UPPER_VIEW, (Stage((spec(CrossEntropy),), 1),), batch_size=8, validation=0.3,
    name="x/upper",
)  # fmt: skip


def taught(name: str, teacher: Teacher | None = None, stored_draws: int = 1) -> Recipe:
    by = teacher or Trained(UPPER)
    return replace(UPPER, student=LOW_VIEW, stages=(SOFT,), teacher=by, stored_draws=stored_draws, name=f"x/{name}")


def chosen() -> Row:
    """Return a row that takes one of two, as its validation part says."""
    return Row("best", {"m": "best"}, (taught("a"), taught("b", stored_draws=0)))


RAW_VIEW = replace(LOW_VIEW, capture=spec(LowRate, rate_hz=2000), frontend=spec(PreEmphasisMel, input_rate_hz=2000))
STUDY = Study(
    "x/study", "Runs side by side", "made up",
    (Row("upper", {"m": "upper"}, (UPPER,)), chosen(), Row("raw", {"m": "raw"}, (UPPER,), heard_through=RAW_VIEW)),
    folds=("1", "2"), seeds=(0, 1),
)  # fmt: skip


def test_side_by_side_the_table_and_every_weight_are_the_same(tiny: Path, tmp_path: Path) -> None:
    said, ticks = list[str](), list[Tick]()
    torch.set_num_threads(1)
    alone, both = Lab(tmp_path / "alone", tiny), Lab(
        tmp_path / "both", tiny, jobs=2, say=said.append, tick=lambda name, at: ticks.append(at)
    )  # fmt: skip
    expected, found = alone.study(STUDY), both.study(STUDY)
    assert found.table() == expected.table()
    runs = sorted(path.parent.relative_to(alone.runs) for path in alone.runs.glob("*/*/done.json"))
    assert runs == sorted(path.parent.relative_to(both.runs) for path in both.runs.glob("*/*/done.json"))
    for run in runs:
        weights = [load_tensors(Run(runs / run).checkpoint("last"))[0] for runs in (alone.runs, both.runs)]
        assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    assert sum("x-upper" in text and text.startswith("trains") for text in said) == 4
    assert sum("x-upper" in text and text.startswith("listens") for text in said) == 4
    assert ticks
    assert not both.failed


def test_a_run_begins_after_those_that_it_learns_from(tiny: Path, tmp_path: Path) -> None:
    lab = Lab(tmp_path, tiny, jobs=2)
    later = taught("later", Trained(taught("middle")))
    side_by_side.make(lab, [Task(later, "1", 0), Task(UPPER, "1", 0)])
    times = [
        (lab.run(recipe, "1", 0).path / "done.json").stat().st_mtime_ns for recipe in (UPPER, taught("middle"), later)
    ]
    assert times == sorted(times)
    assert len(list(tmp_path.glob("*/*/done.json"))) == 3


def test_a_teacher_that_lost_its_weights_is_trained_again_once_and_first(tiny: Path, tmp_path: Path) -> None:
    said = list[str]()
    lab = Lab(tmp_path, tiny, jobs=2, say=said.append)
    upper = lab.run(UPPER, "1", 0)
    shutil.rmtree(upper.path / "checkpoints")
    students = [taught("x"), taught("y", stored_draws=0)]
    said.clear()
    side_by_side.make(lab, [Task(one, "1", 0) for one in students])
    trains = [text for text in said if text.startswith("trains")]
    assert "upper" in trains[0]
    assert "kept its results but not its weights" in trains[0]
    assert sum("upper" in text for text in trains) == 1
    assert len(trains) == 3


def test_what_is_not_needed_is_not_made(tiny: Path, tmp_path: Path) -> None:
    said = list[str]()
    lab = Lab(tmp_path, tiny, jobs=2, say=said.append)
    middle = taught("middle")
    upper, heard = lab.run(UPPER, "1", 0), lab.run(middle, "1", 0)
    shutil.rmtree(upper.path / "checkpoints")
    said.clear()
    longer = replace(middle, stages=(replace(SOFT, epochs=2),), name="x/longer")  # hears what is stored
    side_by_side.make(lab, [Task(longer, "1", 0), Task(taught("later", Trained(middle)), "1", 0)])
    assert sorted(text.split("-")[1] for text in said if text.startswith("trains")) == ["later", "longer"]
    assert not upper.checkpoint("best").exists()
    assert heard.checkpoint("best").exists()


def test_listeners_are_made_ready_side_by_side_or_when_they_are_asked_for(tiny: Path, tmp_path: Path) -> None:
    alone, both = Lab(tmp_path, tiny), Lab(tmp_path, tiny, jobs=2)
    alone.make_ready([UPPER], ("1", "2"), 0)
    assert not list(tmp_path.glob("*/*/done.json"))
    both.make_ready([UPPER], ("1", "2"), 0)
    assert sorted(path.parent.name for path in tmp_path.glob("*/*/done.json")) == ["fold1-seed0", "fold2-seed0"]


@pytest.mark.parametrize("how", ["mean", "fitted"])
def test_of_several_teachers_those_with_stored_logits_are_not_awaited(tiny: Path, tmp_path: Path, how: str) -> None:
    other = replace(UPPER, student=replace(UPPER_VIEW, classifier=NETWORK.replace(width=0.3)), name="x/other")
    apart = tuple(replace(one, validation_seed=0) for one in (UPPER, other))
    two = Fused(tuple(map(Trained, apart)), how=how)
    student = replace(taught("student", two), validation_seed=0)
    lab = Lab(tmp_path, tiny)

    def awaited(one: Recipe) -> list[str]:
        return sorted(cast(Recipe, teacher.recipe).name for teacher in lab.awaited(one, "1", 0))

    assert awaited(student) == ["x/other", "x/upper"]
    lab.run(student, "1", 0)
    again = replace(student, stages=(replace(SOFT, epochs=2),))
    assert awaited(again) == []
    assert awaited(replace(again, stored_draws=0)) == ["x/other", "x/upper"]


def test_embeddings_are_stored_beside_logits_where_they_are_compared(tiny: Path, tmp_path: Path) -> None:
    lab = Lab(tmp_path, tiny)
    alike = replace(SOFT, objectives=(spec(SimilarityPreserving),))
    student = replace(taught("alike"), stages=(alike,))
    lab.run(taught("logits"), "1", 0)
    assert [one.recipe for one in lab.awaited(student, "1", 0)] == [UPPER]
    lab.run(student, "1", 0)
    longer = replace(student, stages=(replace(alike, epochs=2),))
    assert lab.awaited(longer, "1", 0) == []
    shutil.rmtree(lab.run(UPPER, "1", 0).path / "checkpoints")
    assert lab.run(longer, "1", 0).done
    assert not (lab.run(UPPER, "1", 0).path / "checkpoints").exists()


def test_runs_listen_through_other_views_once_and_those_that_failed_leave_a_hole(tiny: Path, tmp_path: Path) -> None:
    said = list[str]()
    lab = Lab(tmp_path, tiny, jobs=2, say=said.append)
    broken = replace(UPPER, stages=(replace(UPPER.stages[0], learning_rate=1e30),), name="x/broken")
    hearings = [Hearing(Task(one, "1", 0), RAW_VIEW, "validation") for one in (UPPER, broken, UPPER)]
    side_by_side.hear(lab, hearings)
    assert [one.is_over(lab) for one in hearings] == [True, False, True]
    assert sum(text.startswith("listens") for text in said) == 1
    assert list(lab.failed) == [hearings[1].task.path(lab)]
    said.clear()
    side_by_side.hear(lab, hearings)
    found = lab.heard_through(UPPER, "1", 0, RAW_VIEW, "validation")
    assert not said
    assert set(found.groups) == set(lab.run(UPPER, "1", 0).read("clips.json")["validation"])


def test_a_failed_run_costs_those_that_learn_from_it_and_no_others(tiny: Path, tmp_path: Path) -> None:
    broken = replace(UPPER, stages=(replace(UPPER.stages[0], learning_rate=1e30),), name="x/broken")
    rows = tuple(
        Row(recipe.name, {}, (recipe,)) for recipe in (taught("student", Trained(broken)), broken, UPPER)
    )  # fmt: skip
    lab = Lab(tmp_path, tiny, jobs=2)
    report = lab.study(replace(STUDY, rows=rows, folds=("1",), seeds=(0,)))
    assert [bool(row.hole) for row in report.rows] == [True, True, False]
    assert all("lower learning_rate" in row.hole for row in report.rows[:2])
    assert len(lab.failed) == 2


def test_what_failed_is_not_tried_again(tiny: Path, tmp_path: Path) -> None:
    lab = Lab(tmp_path, tiny)
    missing = replace(UPPER, initial=Pretrained(str(tmp_path / "gone.safetensors"), "0" * 64))
    for _ in range(2):
        with pytest.raises(HearlessError, match=r"gone\.safetensors"):
            lab.run(missing, "1", 0)
    broken = replace(UPPER, stages=(replace(UPPER.stages[0], learning_rate=1e30),))
    trained = list[str]()
    lab.say = trained.append
    for _ in range(2):
        with pytest.raises(HearlessError, match="lower learning_rate"):
            lab.run(broken, "1", 0)
    assert len(trained) == 1


SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from test_side_by_side import STUDY
from hearless.lab import Lab
if __name__ == "__main__":
    Lab(Path({runs!r}), Path({root!r}), jobs=2, say=print).study(STUDY)
"""


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="asks /proc which processes are left")
def test_killed_its_processes_end_and_the_study_goes_on(tiny: Path, tmp_path: Path) -> None:
    runs, script = tmp_path / "runs", tmp_path / "killed.py"
    script.write_text(SCRIPT.format(tests=str(Path(__file__).parent), runs=str(runs), root=str(tiny)))
    killed = subprocess.Popen([sys.executable, str(script)], start_new_session=True)
    until = time.monotonic() + 300
    while not list(runs.glob("*/*/done.json")) and time.monotonic() < until:
        time.sleep(0.02)
    os.kill(killed.pid, signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    kept = {path: path.stat().st_mtime_ns for path in runs.glob("*/*/done.json")}
    assert kept
    until = time.monotonic() + 10
    while _alive(killed.pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _alive(killed.pid)
    report = Lab(runs, tiny, jobs=2).study(STUDY)
    assert not any(row.hole for row in report.rows)
    assert all(path.stat().st_mtime_ns == at for path, at in kept.items())
    assert report.table() == Lab(tmp_path / "alone", tiny).study(STUDY).table()


def test_a_killed_process_is_told_with_its_remedy(tiny: Path, tmp_path: Path) -> None:
    def kill(name: str, at: Tick) -> None:
        for child in multiprocessing.active_children():
            os.kill(cast(int, child.pid), signal.SIGKILL)

    lab = Lab(tmp_path, tiny, jobs=2, tick=kill)
    many = replace(UPPER, stages=(replace(UPPER.stages[0], epochs=200),))
    with pytest.raises(HearlessError, match=r"one of 2 was killed.*again with fewer --jobs"):
        side_by_side.make(lab, [Task(many, "1", 0)])
    assert not lab.failed
    assert not multiprocessing.active_children()


def _alive(session: int) -> list[int]:
    """Return the processes of a session."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, *rest = (folder / "stat").read_text().rpartition(") ")[2].split()
        except OSError:
            continue
        if int(rest[2]) == session and state != "Z":
            found.append(int(folder.name))
    return found


def test_jobs_must_be_a_number_of_processes(tmp_path: Path) -> None:
    with pytest.raises(HearlessError, match="jobs must be at least 1, got 0"):
        Lab(tmp_path, tmp_path, jobs=0)
