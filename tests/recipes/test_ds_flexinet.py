"""Paper 004's recipes and studies: devices, who hears what, what the tables compare, the paper's numbers."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from hearless import door, responses
from hearless.captures.full_band import FullBand
from hearless.captures.simulated_device import SimulatedDevice
from hearless.datasets.csv_labels import CsvLabels
from hearless.datasets.simulated_devices import SimulatedDevices
from hearless.datasets.tau2022_mobile import TAU2022Mobile
from hearless.door.recipes import maker
from hearless.interfaces import HearlessError
from hearless.lab import Lab
from hearless.recipe import Recipe
from hearless.recipes.ds_flexinet import fig3, student, table2, table3, table4, table5, teacher
from hearless.recipes.ds_flexinet.settings import Settings, from_words
from hearless.responses import check_apart
from hearless.run import Predictions
from hearless.spec import spec
from hearless.study import Question, Study
from hearless.teachers import Fused, Trained

TABLE = spec(CsvLabels, table="meta.csv")
SMALL: dict[str, Any] = {
    "rate_hz": 16000, "clip_s": 0.5, "piece_s": 0.5, "share": 0.1, "teachers": "cp_resnet", "teacher_seeds": 1,
    "teacher_epochs": 1, "teacher_batch_size": 8, "stored_draws": 1, "epochs": 1, "batch_size": 8, "validation": 0.3,
}  # fmt: skip


def made(**words: Any) -> Settings:
    return from_words(TABLE, **{"teachers": "cp_resnet,mn02", **words})


def recipe_of(trained: Trained) -> Recipe:
    assert isinstance(trained.recipe, Recipe)
    return trained.recipe


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Nine impulse responses, one of them another's copy at half its level."""
    rng = np.random.default_rng(0)
    for number in range(9):
        taps = rng.standard_normal(400) * np.exp(-np.arange(400) / 40)
        soundfile.write(tmp_path / f"{number}.wav", 0.1 * taps, 32000, subtype="FLOAT")
        if number == 1:
            soundfile.write(tmp_path / "1_copy.wav", 0.05 * taps, 32000, subtype="FLOAT")
    return tmp_path


# --- data and devices -------------------------------------------------------------------------------------------------


def test_any_corpus_gets_devices_and_tau_keeps_its_own() -> None:
    other = student.recipe(made(fold="2", training_folds="1"))
    assert other.dataset == spec(
        SimulatedDevices, dataset=TABLE, fold="2", training_folds="1", share=0.05, piece_s=1.0
    )  # fmt: skip
    assert (other.student.capture.name, other.student.capture.arguments["rate_hz"]) == ("SimulatedDevice", 32000)
    tau = student.recipe(from_words(spec(TAU2022Mobile), teachers="cp_resnet"))
    assert tau.dataset == spec(TAU2022Mobile)
    assert tau.student.capture == spec(FullBand, rate_hz=32000)
    (impulses,) = [a for a in tau.augmentations if a.name == "DeviceImpulseResponse"]
    assert impulses.arguments["left_out"] == ""  # nobody knows TAU's devices' responses


def test_responses_of_tested_devices_and_their_copies_are_left_out(folder: Path) -> None:
    settings = made(responses=str(folder))
    (impulses,) = [a for a in settings.augmentations() if a.name == "DeviceImpulseResponse"]
    capture = settings.capture().build()
    assert isinstance(capture, SimulatedDevice)
    assert capture.names == ("0.wav", "1.wav", "2.wav", "4.wav", "5.wav", "7.wav")  # spread over ten files
    pool = impulses.build().pool(32000)
    assert [one.name for one in pool] == ["3.wav", "6.wav", "8.wav"]  # without 1_copy.wav
    check_apart(pool, capture.responses_of())
    assert impulses.arguments["content"] == responses.content(folder)


def test_named_devices_and_made_up_ones(folder: Path) -> None:
    names = "8.wav,7.wav,6.wav,5.wav,4.wav,3.wav"
    assert made(responses=str(folder), devices=names).capture().arguments["names"] == names
    without = made()
    assert without.devices == ",".join(f"device{n:02d}" for n in range(1, 7))
    check_apart(
        next(a for a in without.augmentations() if a.name == "DeviceImpulseResponse").build().pool(32000),
        without.capture().build().responses_of(),
    )


def test_a_run_is_the_same_wherever_the_responses_lie(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    moved = tmp_path_factory.mktemp("elsewhere")
    for path in folder.iterdir():
        (moved / path.name).write_bytes(path.read_bytes())
    here, there = (student.recipe(made(responses=str(one))) for one in (folder, moved))
    assert here.digest == there.digest
    (moved / "8.wav").unlink()
    assert student.recipe(made(responses=str(moved))).digest != here.digest


def test_the_tested_fold_may_be_named_by_the_study() -> None:
    (row, *_) = table4.study([made()], folds=("2",)).rows
    assert row.options[0].dataset.arguments["fold"] == "2"
    assert table4.study([made()], folds=("2",)).folds == ()
    with pytest.raises(HearlessError, match="one tested fold at a time, got 1, 2"):
        table4.study([made()], folds=("1", "2"))


# --- recipes ----------------------------------------------------------------------------------------------------------


def test_the_student_is_the_papers() -> None:
    settings = from_words(spec(TAU2022Mobile), backbone="sm4", paper=True, teachers="cp_resnet")
    recipe = student.recipe(settings)
    (stage,) = recipe.stages
    assert (stage.epochs, recipe.batch_size, stage.optimizer) == (250, 256, "adam")
    assert recipe.student.classifier.arguments["size"] == "sm4"
    axes = recipe.student.frontend.build().axes(32000)
    assert (len(axes.band_hz), axes.n_frames) == (256, 64)
    assert (recipe.protocol, recipe.average_last, recipe.select) == ("paper", 10, "last")
    (objective,) = stage.objectives
    assert (objective.name, objective.arguments["weight"], objective.arguments["temperature"]) == (
        "FusedDistillation", 0.02, 2.0,
    )  # fmt: skip
    names = [a.name for a in recipe.augmentations]
    assert names == ["Roll", "DeviceImpulseResponse", "UpperEdge", "FreqMixStyle", "FrequencyMask"]
    high_hz = recipe.student.frontend.arguments["high_hz"]
    assert recipe.augmentations[2].arguments == {"high_hz": high_hz, "max_shift_hz": 500.0}
    assert "UpperEdge" not in [a.name for a in student.recipe(replace(settings, edge_hz=0.0)).augmentations]
    assert recipe.augmentations[1].arguments["energy_threshold"] == 323.0


def test_twelve_teachers_of_two_kinds_and_two_augmentations() -> None:
    every = teacher.every(made())
    assert len(every) == 12
    assert list(every)[:4] == [*(f"cp_resnet, DIR, FMS, seed {n}" for n in range(3)), "cp_resnet, FMS, seed 0"]
    assert len({(recipe_of(one).digest, one.seed) for one in every.values()}) == 12
    assert len({recipe_of(one).digest for one in every.values()}) == 4
    for label, one in every.items():
        names = [a.name for a in recipe_of(one).augmentations]
        assert ("DeviceImpulseResponse" in names) == ("DIR" in label)
        assert "FreqMixStyle" in names
        assert ("UpperEdge" in names) == label.startswith("cp_resnet")
    cp_resnet = recipe_of(every["cp_resnet, FMS, seed 0"])
    assert (len(cp_resnet.student.frontend.build().axes(32000).band_hz), cp_resnet.stages[0].epochs) == (256, 150)
    assert cp_resnet.student.frontend.build().axes(32000).n_frames == 43
    assert cp_resnet.validation_seed == student.recipe(made()).validation_seed == 0  # as how="fitted" needs


def test_passt_is_tuned_with_patchout() -> None:
    settings = made(teachers="passt", teacher_weights="none")
    recipe = teacher.recipe(settings)
    assert recipe.student.classifier.arguments["frequency_patchout"] == 6
    assert (recipe.stages[0].epochs, recipe.stages[0].learning_rate, recipe.batch_size) == (25, 1e-5, 80)
    assert "TimeFrequencyMask" in [a.name for a in recipe.augmentations]


def test_students_share_their_teachers_whatever_they_alone_hear() -> None:
    settings = made()
    kinds = [replace(settings, **more) for more in ({}, {"mixstyle": 0.0}, {"norm": "batch"}, {"size": "sm4"})]
    recipes = [student.recipe(one) for one in kinds]
    assert len({one.teacher for one in recipes}) == 1
    both = [[a for a in one.augmentations if a.build().hearers == "both"] for one in recipes]
    assert all(one == both[0] for one in both)
    assert [a.name for a in both[0]] == ["Roll", "DeviceImpulseResponse"]
    assert all(one.augmentations[:2] == tuple(both[0]) for one in recipes)  # the same places, so the same draws


def test_int8_goes_on_from_the_fp32_student_with_its_teachers() -> None:
    settings = made(int8_epochs=24)
    start, small = student.recipe(settings), student.int8(settings)
    assert small.initial == Trained(start)
    (stage,) = small.stages
    assert (stage.quantized, stage.epochs) == ("onnx", 24)
    assert 24 * stage.norms_until == 24 * stage.ranges_until == 20
    assert (small.teacher, small.augmentations, stage.objectives) == (
        start.teacher, start.augmentations, start.stages[0].objectives,
    )  # fmt: skip


def test_without_teachers_labels_alone_teach() -> None:
    recipe = student.recipe(made(how="none"))
    assert (recipe.teacher, recipe.stored_draws, recipe.stages[0].objectives[0].name) == (None, 0, "CrossEntropy")
    several = student.recipe(made(multi_label=True))
    assert several.stages[0].objectives[0].arguments["multi_label"] is True
    assert several.select == "max:mAP"


# --- tables -----------------------------------------------------------------------------------------------------------


def paper(shared: Path, name: str) -> list[dict[str, str]]:
    with (shared / "papers" / "tables" / name).open() as file:
        return list(csv.DictReader(file))


@pytest.mark.data
def test_the_papers_numbers_stand_beside(shared: Path) -> None:
    sizes = {row.label: row for row in table2.study([made()]).rows}
    for printed in paper(shared, "004_table2_models.csv"):
        for label, column in ((printed["system"], "acc_percent"), (f"{printed['system']}, int8", "acc_qat_percent")):
            assert list(sizes[label].published.values()) == [pytest.approx(float(printed[column]) / 100)]
            parameters, macs = (
                float(sizes[label].of(10).condition[name].split()[0]) for name in ("parameters", "MACs")
            )
            assert parameters == pytest.approx(float(printed["params_K"]), rel=0.01)
            assert macs == pytest.approx(float(printed["macs_M"]), rel=0.01)
    fused = {row.label: row for row in table4.study([made()]).rows}["fused teachers"]
    assert fused.published == {"paper 004, sm4, fused teachers on TAU 2022 Mobile": 0.6526}
    assert fused.published_more["unseen_devices"] == pytest.approx((0.6271 + 0.6290 + 0.5904) / 3)
    norms = {row.label: row for row in table5.study([made()]).rows}
    assert list(norms["BN + FMS + DIR"].published.values()) == [0.6338]
    assert sum(bool(row.published) for row in norms.values()) == 5
    (small, _) = table3.study([made()]).rows
    assert sorted(small.published.values()) == [0.429, 0.556, 0.57, 0.5825]


def test_table5_crosses_norms_and_augmentations() -> None:
    study = table5.study([made()])
    assert len(study.rows) == len(set(table5.ROWS)) == 11
    assert {row.condition["norm"] for row in study.rows} == set(table5.NORMS.values())
    assert len({row.options[0].digest for row in study.rows}) == 11
    shared = table4.study([made()]).rows[2].options[0]
    assert study.rows[0].options[0].digest == shared.digest  # trained once for both
    plain = {row.label: row for row in study.rows}["RN"]
    assert [a.name for a in plain.options[0].augmentations] == ["Roll", "UpperEdge", "FrequencyMask"]


def test_table4_names_each_teacher_on_its_own_seed() -> None:
    study = table4.study([made()], seeds=(0, 1, 2))
    assert [row.label for row in study.rows[:3]] == ["no teacher", "averaged teachers", "fused teachers"]
    fusions = [row.options[0].teacher for row in study.rows[1:3]]
    assert [one.how for one in fusions if isinstance(one, Fused)] == ["mean", "fitted"]
    assert [row.seeds for row in study.rows[3:]] == [(n,) for _ in range(4) for n in range(3)]


def test_tables_2_and_3_share_their_runs() -> None:
    sizes = {row.label: row.options[0].digest for row in table2.study([made()]).rows}
    assert {row.label: row.options[0].digest for row in table3.study([made()]).rows}.items() <= sizes.items()


def test_costs_are_those_of_the_data_sets_classes() -> None:
    full, small = table2.study([made()]).rows[2:4]
    assert [row.of(10).condition["weights"] for row in (full, small)] == ["122.0 KB", "30.5 KB"]
    for n_classes in (3, 10):
        network = full.options[0].student.classifier.replace(n_classes=n_classes).build()
        n = sum(parameter.numel() for parameter in network.parameters())
        assert full.of(n_classes).condition["parameters"] == f"{n / 1000:.2f} K"
        assert small.of(n_classes).condition["weights"] == f"{n / 1000:.1f} KB"


def test_some_rows_can_be_asked_for() -> None:
    study = table2.study([made(rows="sm1; sm1, int8")])
    assert ([row.label for row in study.rows], study.compare) == (["sm1", "sm1, int8"], (("sm1, int8", "sm1"),))
    with pytest.raises(HearlessError, match=r"rows must be among sm1; sm1, int8; .*, got sm9"):
        table2.study([made(rows="sm9")])


def test_notes_say_what_the_devices_are(folder: Path) -> None:
    settings = made(responses=str(folder), training_folds="1,2")
    (said,) = table2.study([settings]).notes
    assert "5 % of the training pieces (1 s, folds 1,2)" in said
    assert "s1, s2, s3, s4, s5, s6 are 0.wav, 1.wav" in said
    tau = from_words(spec(TAU2022Mobile), paper=True, teachers="cp_resnet")
    assert table2.study([tau]).notes == ("Accuracies are means over the last 10 epochs, as in the paper.",)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"backbone": "mn04"}, "backbone must be one of sm1, sm2, sm3, sm4"),
        ({"weights": "x.pt"}, "starts from random weights"),
        ({"norm": "layer"}, "norm must be one of"),
        ({"how": "voted"}, "how must be one of fitted, mean, none"),
        ({"impulse_responses": "all"}, "impulse_responses must be one of"),
        ({"teacher_seeds": 0}, "teachers must name a kind"),
        ({"responses": "nowhere"}, "must be a folder of impulse responses"),
        ({"content": "x"}, r"settings are .*; got content"),
    ],
)
def test_unknown_words_are_refused(words: dict[str, Any], said: str) -> None:
    with pytest.raises(HearlessError, match=said):
        made(**words)


def test_one_size_and_no_rates(tmp_path: Path) -> None:
    with pytest.raises(HearlessError, match="one size at a time, got 2"):
        table5.study([made(), made()])
    with pytest.raises(HearlessError, match="hears one rate"):
        table5.study([made()], rates=(1000,))
    with pytest.raises(HearlessError, match="one label a clip"):
        fig3.analyse(Lab(tmp_path, tmp_path), Question((made(multi_label=True),)))


@pytest.mark.parametrize(
    ("teachers", "weights", "said"),
    [
        ("mn04,passt", "file.pt", "teacher_weights is of one kind, got mn04, passt; fetch their weights"),
        ("cp_resnet", "file.pt", r"no teacher of cp_resnet starts from teacher_weights, got 'file\.pt'; leave it out"),
        ("cp_resnet,mn02", "file.pt", "no teacher of cp_resnet,mn02 starts from teacher_weights"),
        ("cp_resnet,bogus", "", r"teachers must be among cp_resnet, passt, .*mn04.*, mn02, got bogus\."),
    ],
)
def test_teachers_and_their_weights_are_checked(teachers: str, weights: str, said: str) -> None:
    settings = made(teachers=teachers, teacher_weights=weights)
    for make in (student.recipe, teacher.recipe):
        with pytest.raises(HearlessError, match=said):
            make(settings)
    assert teacher.kinds(made(teachers="cp_resnet,mn04", teacher_weights="file.pt")) == ["cp_resnet", "mn04"]
    assert teacher.kinds(made(teachers="cp_resnet", teacher_weights="none")) == ["cp_resnet"]


def test_the_int8_row_is_a_recipe_of_its_own() -> None:
    settings = made(int8_epochs=3)
    rows = {row.label: row.options[0] for row in table2.study([settings], folds=("2",)).rows}
    alone = maker("ds_flexinet/student_int8", "recipe")(settings, fold="2")
    assert (alone.digest, alone.name) == (rows["sm2, int8"].digest, rows["sm2, int8"].name)
    assert alone.quantized == "onnx"


# --- through the lab --------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("cached")
def test_figure_3_draws_what_is_taken_for_what(tiny: Path, tiny_runs: Path, tmp_path: Path) -> None:
    settings = from_words(TABLE, backbone="sm1", **{**SMALL, "how": "none"})
    lab = Lab(tiny_runs, tiny)
    report = fig3.analyse(lab, Question((settings,), place=tmp_path, seeds=(0, 1)))
    assert [row.hole for row in report.rows] == ["", ""]
    first, second = sorted(tmp_path.glob("*.csv"))
    assert (first.name, second.name) == ("confusions_RN_FMS_ADIR.csv", "confusions_RN_by_frequency_FMS_ADIR.csv")
    assert (tmp_path / "confusions.png").stat().st_size > 5000
    rows = list(csv.reader(first.read_text().splitlines()))
    assert rows[0] == ["true", "hiss", "hum", "tick"]
    matrix = np.array([[float(value) for value in row[1:]] for row in rows[1:]])
    np.testing.assert_allclose(matrix.sum(1), 1.0, atol=1e-3)
    recipe = student.recipe(settings)
    found = [Predictions.load(lab.run(recipe, "split", seed).predictions("test")) for seed in (0, 1)]
    right = np.mean(
        [((one.logits.argmax(1) == 1) & (one.true[:, 1] == 1)).sum() / one.true[:, 1].sum() for one in found]
    )
    assert matrix[1, 1] == pytest.approx(right, abs=1e-4)
    assert any(note.startswith("RN + FMS + ADIR: most often taken:") for note in report.notes)


@pytest.mark.usefixtures("cached")
def test_a_table_tells_the_costs_of_its_own_classes(tiny: Path, tiny_runs: Path) -> None:
    settings = from_words(TABLE, backbone="sm1", **{**SMALL, "how": "none", "rows": "sm1"})
    report = Lab(tiny_runs, tiny).study(table2.study([settings]))
    assert report.rows[0].condition["parameters"] == "13.20 K"  # of hiss, hum and tick; the paper's ten make 13.66


@pytest.mark.usefixtures("cached")
def test_train_takes_the_fold_to_the_devices(tiny: Path, tiny_runs: Path) -> None:
    run = door.train(
        labels=tiny / "meta.csv", method="ds_flexinet/student", backbone="sm1", fold="2", runs=tiny_runs,
        **{**SMALL, "how": "none"},
    )  # fmt: skip
    assert run.measured["fold"] == "split"
    assert run.recipe.dataset.arguments["fold"] == "2"
    tested = set(run.read("clips.json")["test"])
    assert tested == {f"{label}-{n}" for label in ("hiss", "hum", "tick") for n in (2, 3)}


def test_the_rate_is_a_setting_and_no_option(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(HearlessError, match=r"takes none of its own, got 16000; set it with --set rate_hz=16000\."):
        door.train(
            labels=tiny / "meta.csv", method="ds_flexinet/student", backbone="sm1", rate=16000, runs=tmp_path,
            teachers="cp_resnet",
        )  # fmt: skip


def test_studies_are_studies() -> None:
    for module in (table2, table3, table4, table5):
        study = module.study([made()], task="A task.")
        assert isinstance(study, Study)
        assert study.name == f"ds_flexinet/{module.__name__.rpartition('.')[2]}"
        assert len(study.compare) > 0
