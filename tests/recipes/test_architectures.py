"""Networks made for a low rate: as many MACs as the adapted one, their own axis, one teacher for all."""

from __future__ import annotations

import pytest

from hearless.datasets.csv_labels import CsvLabels
from hearless.interfaces import HearlessError
from hearless.recipes._shared import backbone
from hearless.recipes.low_rate import architectures, cssd, fine_tuned, full_band
from hearless.recipes.low_rate.architectures import million_macs, native, students, study
from hearless.recipes.low_rate.settings import Settings, own_axis
from hearless.spec import spec
from hearless.teachers import Trained

MN04 = Settings(spec(CsvLabels, table="meta.csv"), backbone("mn04", "weights.safetensors", "ab" * 32))


def test_macs_are_matched_and_mn04s_are_those_of_its_table() -> None:
    wanted = million_macs(MN04.view(1000), 5.0)
    found = {name: million_macs(view, 5.0) for name, view in native(MN04, 1000).items()}
    assert wanted == pytest.approx(12.79, abs=0.01)
    assert found["MobileNetV3"] == pytest.approx(wanted, rel=0.05)
    assert found["EfficientNetV2"] == pytest.approx(wanted, rel=0.05)
    assert found["DS-FlexiNet"] == pytest.approx(wanted, rel=0.3)  # four sizes only


def test_the_nearest_is_the_nearest_of_all() -> None:
    made = architectures.widths(architectures.MobileNetV3)[::10]

    def heard(one: spec) -> object:
        return MN04.view(1000).__class__(MN04.view(1000).capture, own_axis(1000), one)

    for wanted in (1.0, 8.0, 31.0, 1e6):
        best = architectures.nearest(made, heard, wanted, 1.0)
        assert best == min(made, key=lambda one: abs(million_macs(heard(one), 1.0) - wanted))


def test_the_axis_reaches_to_the_rates_nyquist_frequency() -> None:
    for rate in (1000, 2000):
        frontend = own_axis(rate).build()
        assert (frontend.n_bands, frontend.input_rate_hz) == (40, rate)
        assert 0.9 * rate / 2 < frontend.band_hz[-1] < rate / 2
        assert frontend.axes(rate).frame_s == 0.02


def test_who_starts_from_what_and_all_have_one_teacher() -> None:
    found = students(MN04, 1000)
    assert list(found)[-1] == "mn04"
    assert found["mn04"][1] == [fine_tuned.recipe(MN04, 1000), cssd.recipe(MN04, 1000)]
    for name, (condition, (plain, taught)) in found.items():
        assert (plain.initial is None) == (condition["weights"] == "random"), name
        assert taught.teacher == Trained(full_band.recipe(MN04))
        assert (plain.teacher, plain.student) == (None, taught.student)
    assert len({one.digest for _, trainings in found.values() for one in trainings}) == 12
    made = study([MN04])
    assert ("MobileNetV3, CSSD, 1 kHz", "mn04, CSSD, 1 kHz") in made.compare
    assert made.costs == ("parameters", "MACs")


def test_wrong_input() -> None:
    with pytest.raises(HearlessError, match="takes one backbone at a time, got 2"):
        study([MN04, MN04])
    with pytest.raises(HearlessError, match="rates must be below 16000 Hz, which the teacher hears, got 16000"):
        study([MN04], rates=(1000, 16000))
