"""Paper 000's recipes and studies: what they are made of, that each trains and evaluates, and the paper's numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from hearless.captures.full_band import FullBand
from hearless.captures.low_rate import LowRate
from hearless.classifiers.mobilenetv3 import MobileNetV3
from hearless.datasets.csv_labels import CsvLabels
from hearless.datasets.tau2019_mobile import TAU2019Mobile
from hearless.interfaces import HearlessError
from hearless.lab import Lab
from hearless.recipe import Recipe
from hearless.recipes._shared import backbone
from hearless.recipes.low_rate import bands, basd, cssd, fine_tuned, full_band, low_to_high, table1
from hearless.recipes.low_rate._published import beside
from hearless.recipes.low_rate.settings import Settings, audible_bands, from_words, own_axis
from hearless.spec import spec
from hearless.teachers import CrossFitted, Pretrained, Trained

pytestmark = pytest.mark.usefixtures("cached")

TABLE = spec(CsvLabels, table="meta.csv")
SHA256 = "ab" * 32


def tiny_settings(**words: Any) -> Settings:
    return from_words(TABLE, **{"backbone": "mn02", "epochs": 1, "batch_size": 8, "validation": 0.3, **words})


def mn04(**words: Any) -> Settings:
    return replace(Settings(TABLE, backbone("mn04", "weights.safetensors", SHA256)), **words)


@pytest.fixture
def lab(tiny: Path, tiny_runs: Path) -> Lab:
    return Lab(tiny_runs, tiny)


# --- the paper's reading --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("multi_label", [False, True])
def test_the_papers_reading_trains(tiny: Path, tiny_runs: Path, multi_label: bool) -> None:
    table = "multi.csv" if multi_label else "meta.csv"
    settings = from_words(spec(CsvLabels, table=table), backbone="mn02", paper="yes", multi_label=multi_label)
    short = replace(settings, epochs=1, batch_size=8, validation=0.3)
    run = Lab(tiny_runs, tiny).run(cssd.recipe(short), "1", 0)
    assert [a.name for a in run.recipe.augmentations] == ["SpecAugment"]
    assert run.done


# --- what the recipes are made of -----------------------------------------------------------------------------------


def test_teacher_and_student_hear_what_the_paper_says() -> None:
    """§3.1: BASD's teacher hears the student's rate, CSSD's hears 16 kHz; both have learned from labels alone."""
    settings = mn04()
    upper, low = full_band.recipe(settings), fine_tuned.recipe(settings, 1000)
    assert (upper.student.capture, low.student.capture) == (spec(FullBand, rate_hz=16000), spec(LowRate, rate_hz=1000))
    assert (upper.teacher, low.teacher) == (None, None)
    assert basd.recipe(settings, 1000).teacher == Trained(low)
    assert cssd.recipe(settings, 1000).teacher == Trained(upper)
    assert cssd.recipe(settings, 1000, n_parts=3).teacher == CrossFitted(upper, 3)
    for recipe in (basd.recipe(settings, 1000), cssd.recipe(settings, 1000)):
        assert recipe.student == low.student
        assert recipe.initial == Pretrained("weights.safetensors", SHA256)
        assert recipe.stages[0].objectives[0].arguments == {"alpha": 0.5, "temperature": 4.0}


def test_a_teacher_is_one_whatever_alpha_and_temperature() -> None:
    recipes = table1.grid_of(cssd.recipe, mn04(), 1000, table1.GRID)
    assert len({recipe.digest for recipe in recipes}) == len(table1.GRID) == 6
    assert len({recipe.teacher for recipe in recipes if isinstance(recipe.teacher, Trained)}) == 1


def test_settings_change_what_they_name() -> None:
    settings = mn04(full_band_epochs=7, initial="teacher", roll=False, stored_draws=3)
    recipe = cssd.recipe(settings, 2000)
    assert recipe.initial == recipe.teacher
    assert (recipe.augmentations, recipe.stored_draws) == ((), 3)
    upper = full_band.recipe(settings)
    assert (upper.stages[0].epochs, recipe.stages[0].epochs, upper.stored_draws) == (7, 30, 0)
    multi = cssd.recipe(mn04(multi_label=True), 2000)
    assert (multi.stages[0].objectives[0].name, multi.select) == ("BinaryDistillation", "max:mAP")
    assert fine_tuned.recipe(mn04(multi_label=True), 2000).stages[0].objectives[0].name == "BinaryCrossEntropy"
    with pytest.raises(HearlessError, match="initial must be 'pretrained' or 'teacher', got 'zero'"):
        cssd.recipe(mn04(initial="zero"), 1000)


def test_the_papers_reading_is_that_of_the_paper() -> None:
    """§4.2–4.3: Adam (0.9, 0.999) at a constant 1e-3, batch 64, up to 16 kHz again, all bands, AudioSet weights."""
    settings = mn04().paper()
    recipe = cssd.recipe(settings, 1000)
    (stage,) = recipe.stages
    assert (recipe.batch_size, stage.learning_rate, stage.schedule) == (64, 1e-3, "constant")
    assert (stage.betas, stage.weight_decay, stage.trains) == (
        (0.9, 0.999), 0.0, ("enhancer", "classifier", "head"),
    )  # fmt: skip
    assert (recipe.validation, recipe.protocol, recipe.stored_draws) == (0.25, "paper", 0)
    assert [a.name for a in recipe.augmentations] == ["SpecAugment"]
    assert recipe.initial == Pretrained("weights.safetensors", SHA256)
    assert recipe.student.frontend.arguments["path"] == "upsample"
    for name in ("cnn14_16k", "resnet38", "mobilenetv2"):
        panns = replace(settings, backbone=backbone(name))
        for rate in (1000, 2000):
            frontend = panns.view(rate).frontend
            assert (frontend.name, frontend.build().n_bands, frontend.arguments["path"]) == ("LogMel", 64, "upsample")
        assert panns.view(16000).frontend.arguments["reference_rate_hz"] == 16000


def test_the_papers_loss_is_temperature_squared_times_the_divergence() -> None:
    """Eq. 1–2 on one batch: alpha CE + (1 - alpha) T² KL, summed over classes, averaged over clips."""
    from hearless.interfaces import Prediction

    (objective,) = cssd.recipe(mn04(alpha=0.3, temperature=2.0), 1000).stages[0].objectives
    rng = np.random.default_rng(0)
    student, teacher = rng.standard_normal((2, 5, 4))
    target = np.eye(4)[[0, 1, 2, 3, 0]]
    log_q, log_t = (x - np.log(np.exp(x).sum(1, keepdims=True)) for x in (student / 2, teacher / 2))
    log_s = student - np.log(np.exp(student).sum(1, keepdims=True))
    expected = -0.3 * (target * log_s).sum(1).mean() + 0.7 * 4 * (np.exp(log_t) * (log_t - log_q)).sum(1).mean()
    said = [Prediction(torch.from_numpy(x), torch.zeros(1)) for x in (student, teacher)]
    terms = objective.build()(*said, torch.from_numpy(target), torch.ones(5))
    assert sum(value.item() for value in terms.values()) == pytest.approx(expected)


# --- bands ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rate_hz", "wanted"), [(1000, 24), (2000, 40)])
def test_a_low_rate_student_hears_the_bands_that_its_sensor_fills(rate_hz: int, wanted: int) -> None:
    view = mn04().view(rate_hz)
    frontend = view.frontend.replace(bands=None).build()
    assert audible_bands(view.frontend, rate_hz, view.classifier) == view.frontend.arguments["bands"] == wanted
    filled = sum(hz < rate_hz / 2 for hz in frontend.axes(rate_hz).band_hz)
    assert filled + 2 <= wanted < filled + 10


@pytest.mark.parametrize("name", ["cnn14_16k", "resnet38", "mobilenetv2"])
@pytest.mark.parametrize("rate_hz", [250, 1000, 4000])
def test_panns_never_hear_fewer_bands_than_their_halvings_need(name: str, rate_hz: int) -> None:
    frontend = replace(mn04(), backbone=backbone(name)).view(rate_hz).frontend.build()
    assert 32 <= frontend.n_bands <= 64


def test_bands_may_be_named_or_all(lab: Lab) -> None:
    assert mn04(bands=32).view(1000).frontend.arguments["bands"] == 32
    assert mn04(bands=0).view(1000).frontend.arguments["bands"] is None
    assert mn04(bands=32).view(16000).frontend.arguments["bands"] is None
    assert mn04(bands=32).view(1000, 0).frontend.arguments["bands"] is None
    raw = next(row for row in table1.rows(mn04()) if row.label == "raw, 1 kHz")
    assert raw.heard_through is not None
    assert raw.heard_through.frontend.arguments["bands"] is None


def test_a_student_may_have_an_axis_of_its_own() -> None:
    made = mn04(axis="own")
    assert made.view(1000).frontend == own_axis(1000)
    assert made.view(16000) == mn04().view(16000)
    assert made.view(1000, 0) == mn04().view(1000, 0)  # what raw hears
    for recipe in (fine_tuned.recipe(made, 1000), cssd.recipe(made, 1000)):
        assert recipe.student.frontend == own_axis(1000)
    assert cssd.recipe(made, 1000).teacher == cssd.recipe(mn04(), 1000).teacher


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"axis": "mine"}, "axis must be 'reference' or 'own', got 'mine'"),
        ({"axis": "own", "path": "upsample"}, "axis=own is for networks that hear PreEmphasisMel .* path=upsample"),
        ({"axis": "own", "backbone": backbone("cnn14_16k")}, "got cnn14_16k, which hears LogMel"),
    ],
)
def test_an_axis_that_cannot_be(words: dict[str, Any], said: str) -> None:
    with pytest.raises(HearlessError, match=said):
        mn04(**words).view(1000)


@pytest.mark.parametrize("rate", [16001, 44100])
def test_a_rate_above_the_networks_is_refused(rate: int) -> None:
    with pytest.raises(HearlessError, match=f"rate must be at most 16000 Hz, which the networks hear, got {rate}"):
        mn04().view(rate)


# --- words ----------------------------------------------------------------------------------------------------------


def test_words_are_settings_as_values_or_as_text() -> None:
    words = {"epochs": 3, "alpha": 0.25, "roll": False, "bands": None, "clip_s": 2.0, "schedule": "constant"}
    texts = {"epochs": "3", "alpha": "0.25", "roll": "no", "bands": "none", "clip_s": "2", "schedule": "constant"}
    assert from_words(TABLE, backbone="mn02", **words) == from_words(TABLE, backbone="mn02", **texts)
    assert from_words(TABLE, backbone="mn02", paper="no") == from_words(TABLE, backbone="mn02")
    assert from_words(TABLE, backbone="mn02", paper=True) == from_words(TABLE, backbone="mn02").paper()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"protocol": "as_released"}, "protocol must be honest or paper"),
        ({"epoch": 3}, r"settings are multi_label, .*, protocol, like, paper; got epoch\."),
        ({"bands": "few"}, r"bands must be int or None, got 'few'"),
        ({"epochs": True}, "epochs must be int, got True"),
        ({"backbone": "mn03"}, "backbone must be one of"),
        ({"weights": "nowhere.pt"}, "weights must be a file, 'none', or left out"),
    ],
)
def test_unknown_words_are_refused(words: dict[str, Any], said: str) -> None:
    with pytest.raises(HearlessError, match=said):
        from_words(TABLE, **words)


def test_weights_are_known_by_content(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    save_file({"of.no.known.network": torch.ones(1)}, file)
    moved = tmp_path / "moved.safetensors"
    moved.write_bytes(file.read_bytes())
    recipes = [full_band.recipe(from_words(TABLE, weights=path)) for path in (file, moved)]
    assert recipes[0].digest == recipes[1].digest
    assert from_words(TABLE, weights="none").backbone.initial is None
    known = from_words(TABLE).backbone.initial
    assert known is not None
    assert (known.weights, len(known.sha256)) == ("mn04", 64)


# --- Table 1 --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate_hz", "method", "name", "value"),
    [
        (1000, "cssd", "mobilenetv2", 0.485),
        (1000, "raw", "cnn14_16k", 0.073),
        (1000, "finetuned", "resnet38", 0.432),
        (2000, "cssd", "cnn14", 0.719),
        (2000, "basd", "resnet38", 0.668),
    ],
)
def test_published_numbers_are_the_papers(rate_hz: int, method: str, name: str, value: float) -> None:
    settings = from_words(TABLE, backbone=name)
    found = beside("paper_000_table1", settings, sampling_rate_hz=str(rate_hz), method=method)["published"]
    assert next(iter(found.values())) == value
    assert len(found) == 3
    assert all("whole ESC-50" in source for source in found)


def test_other_networks_stand_beside_mobilenetv2() -> None:
    found = beside("paper_000_table1", mn04(), sampling_rate_hz="1000", method="cssd")
    assert next(iter(found["published"])) == "paper 000, MobileNetV2 on the whole ESC-50"
    assert beside("paper_000_table1", mn04(), sampling_rate_hz="500", method="cssd") == {"published": {}}


def test_the_papers_other_data_sets_stand_beside_theirs() -> None:
    scenes = table1.study([from_words(spec(TAU2019Mobile), backbone="cnn14_16k")]).rows
    assert {row.label: next(iter(row.published.items()), None) for row in scenes if "1 kHz" in row.label} == {
        "raw, 1 kHz": ("paper 000, CNN14 on TAU 2019 Mobile", 0.044),
        "fine-tuned, 1 kHz": ("paper 000, CNN14 on TAU 2019 Mobile", 0.455),
        "BASD, 1 kHz": ("paper 000, CNN14 on TAU 2019 Mobile", 0.464),
        "CSSD, 1 kHz": ("paper 000, CNN14 on TAU 2019 Mobile", 0.474),
    }
    study = table1.study([from_words(TABLE, backbone="mobilenetv2", like="user")])
    homes = {row.label: row.published_more.get("macro_f1") for row in study.rows}
    assert homes == {
        "16 kHz": 0.732, "raw, 2 kHz": None, "fine-tuned, 2 kHz": 0.675, "BASD, 2 kHz": None, "CSSD, 2 kHz": 0.685,
        "raw, 1 kHz": None, "fine-tuned, 1 kHz": 0.561, "BASD, 1 kHz": None, "CSSD, 1 kHz": 0.58,
    }  # fmt: skip
    assert not any(row.published for row in study.rows)
    assert study.notes == ("The paper's macro F1: paper 000, MobileNetV2 on 8.9 hours of 16 activities in homes.",)
    assert low_to_high.study([from_words(TABLE, like="user")]).rows[1].published_more == {"macro_f1": 0.659}
    with pytest.raises(HearlessError, match="like must be one of esc50, tau2019_mobile, user, got 'homes'"):
        table1.study([from_words(TABLE, like="homes")])


def test_table_1_has_the_papers_rows() -> None:
    made = table1.study([mn04()], folds=("1",), seeds=(0, 1))
    assert [row.label for row in made.rows] == [
        "16 kHz",
        *(f"{what}, {rate}" for rate in ("2 kHz", "1 kHz") for what in ("raw", "fine-tuned", "BASD", "CSSD")),
    ]  # fmt: skip
    by_label = {row.label: row for row in made.rows}
    cssd_2k = by_label["CSSD, 2 kHz"]
    assert cssd_2k.judges == by_label["CSSD, 1 kHz"].options  # chosen at the lowest rate, reused at the others
    assert by_label["CSSD, 1 kHz"].judges == by_label["CSSD, 1 kHz"].options
    assert by_label["raw, 2 kHz"].options == by_label["16 kHz"].options
    assert set(by_label["CSSD, 1 kHz"].published.values()) == {0.498, 0.493, 0.485}
    assert ("CSSD, 1 kHz", "fine-tuned, 1 kHz") in made.compare
    assert (made.folds, made.seeds) == (("1",), (0, 1))


def test_several_networks_make_a_block_each() -> None:
    made = table1.study([mn04(), tiny_settings()], rates=(1000,))
    assert [row.label for row in made.rows][::5] == ["16 kHz, mn04", "16 kHz, mn02"]
    assert ("CSSD, 1 kHz, mn02", "fine-tuned, 1 kHz, mn02") in made.compare


def test_rates_are_said_as_people_do() -> None:
    assert [table1.rate_text(rate) for rate in (250, 1000, 2500, 16000)] == ["250 Hz", "1 kHz", "2.5 kHz", "16 kHz"]


def test_bands_compare_one_network(lab: Lab) -> None:
    with pytest.raises(HearlessError, match="one backbone at a time, got 2"):
        bands.study([mn04(), tiny_settings()])


DIGESTS = {
    "16 kHz": ["f88657cc2f44"],
    "fine-tuned, 2 kHz": ["9a83998ff767"],
    "fine-tuned, 1 kHz": ["5aa6baf63b26"],
    "CSSD, 2 kHz": ["02a6a4c5f1ee", "0dac936df69e", "6b8568c3e53a", "a83cab6b3acf", "4641a0fba318", "774d3d03dfc6"],
    "BASD, 1 kHz": ["395791a66c11", "90653fe49dff", "903b223fa1e6", "4dbe7a4049d4", "5c78fd0a96b3", "e3458c39d577"],
    "CSSD, 1 kHz": ["11a28af6575b", "76a6ae2ccf99", "e97fd7714711", "2bc642f9e890", "92c86bd637f9", "7d324b358bbe"],
}
"""Names of the runs that made the published table: they must be found again, not trained again."""


@pytest.mark.parametrize("label", DIGESTS)
def test_the_runs_of_the_real_table_keep_their_names(label: str) -> None:
    settings = mn04(full_band_epochs=15, stored_draws=15)
    row = next(row for row in table1.rows(settings) if row.label == label)
    assert [recipe.digest for recipe in row.options] == DIGESTS[label]


@pytest.mark.parametrize("make", [full_band.recipe, fine_tuned.recipe], ids=["full_band", "fine_tuned"])
def test_names_and_places_stay_out_of_a_runs_name(make: Callable[[Settings], Recipe]) -> None:
    elsewhere = replace(mn04(), dataset=spec(CsvLabels, table="../other/table.csv"))
    assert make(elsewhere).digest == make(mn04()).digest
    assert make(elsewhere).named("x").digest == make(mn04()).digest


# --- weights of another network ---------------------------------------------------------------------------------------


def test_a_file_of_another_network_is_refused_before_anything_trains(tmp_path: Path) -> None:
    file = tmp_path / "narrow.safetensors"
    save_file(MobileNetV3(n_classes=527, width=0.4).state_dict(), file)
    assert from_words(TABLE, backbone="mn04", weights=file).backbone.initial is not None
    with pytest.raises(HearlessError, match=r"weights of mn05 must be its own.*width 0\.4\); take --backbone mn04"):
        from_words(TABLE, backbone="mn05", weights=file)
    with pytest.raises(HearlessError, match="left out for mn02, which is trained from scratch"):
        from_words(TABLE, backbone="mn02", weights=file)


def test_other_classes_are_no_other_network(tmp_path: Path) -> None:
    file = tmp_path / "mine.safetensors"
    save_file(MobileNetV3(n_classes=7, width=0.4).state_dict(), file)
    assert from_words(TABLE, backbone="mn04", weights=file).backbone.initial is not None
