"""The bench's plain reference computes what hearless computes, and its measuring adds up."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from hearless.captures.third_octave import ThirdOctave
from hearless.enhancers.time_frequency_enhancer import TimeFrequencyEnhancer
from hearless.frontends.log_mel import LogMel
from hearless.frontends.preemphasis_mel import PreEmphasisMel
from hearless.objectives.self_distillation import self_distillation_loss

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

import deploying
import enhancing
import hearing
import level_logs
import measure
import plain
import studying
import teachers
import training

DB_PER_UNIT = 50.0 / math.log(10.0)
"""mn04's features are ``(ln power + 4.5) / 5``."""


@pytest.fixture(scope="module")
def clips():
    return hearing.noise(3, 1.0)


def each(function, clips):
    return torch.from_numpy(np.stack([function(clip.numpy()) for clip in clips])[:, None])


def test_plain_log_mel_is_ours(clips):
    ours = LogMel(input_rate_hz=16000)(clips)
    torch.testing.assert_close(each(plain.log_mel, clips), ours, atol=1e-3, rtol=0)
    torch.testing.assert_close(plain.log_mel_batched(clips), ours, atol=1e-3, rtol=0)


def test_plain_preemphasis_mel_is_ours_inside_the_clip(clips):
    ours = PreEmphasisMel(input_rate_hz=16000)(clips)
    theirs = each(plain.preemphasis_mel, clips)
    assert theirs.shape == ours.shape
    apart_db = ((ours - theirs).abs() * DB_PER_UNIT)[..., :100, 3:-3]  # above lies the edge of what 16 kHz can tell
    assert apart_db.max() < 0.02
    assert apart_db.mean() < 2e-3
    torch.testing.assert_close(plain.preemphasis_mel_batched(clips), theirs, atol=1e-3, rtol=0)


def test_plain_student_hears_what_ours_hears(clips):
    student = training.student()
    ours = student.features(student.observe(clips, plain.RATE_HZ))
    theirs = each(lambda clip: plain.preemphasis_mel(plain.upsampled(clip), ours.shape[2]), clips)
    assert theirs.shape == ours.shape == (3, 1, 24, 100)
    passed = sum(hz < 400 for hz in student.axes(1000).band_hz)  # above, the two resamplers roll off differently
    apart_db = ((ours - theirs).abs() * DB_PER_UNIT)[:, :, :passed, 5:-5]
    assert apart_db.mean() < 0.02
    assert apart_db.max() < 1.0


def test_plain_loss_is_ours():
    student, teacher = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))
    target = torch.eye(4)[[0, 3, 1, 1, 2]]
    ours = torch.stack(list(self_distillation_loss(student, teacher, target, 0.5, 4.0).values())).sum()
    assert float(plain.cssd_loss(student, teacher, target)) == pytest.approx(float(ours), rel=1e-5)


def test_plain_levels_are_ours():
    sound = level_logs.sound(2, 0.7)
    theirs = torch.from_numpy(np.stack([plain.third_octave(clip.numpy()).T for clip in sound]))
    ours = ThirdOctave()(sound, plain.LEVEL_RATE_HZ)
    assert ours.shape == (2, 29, 6)
    torch.testing.assert_close(theirs, ours, atol=1e-3, rtol=0)


@pytest.mark.parametrize("n_blocks", [1, 2, 4])
def test_plain_enhancer_is_ours(n_blocks):
    ours = TimeFrequencyEnhancer(n_blocks=n_blocks, channels=8)
    features = torch.randn(2, 1, 24, 40, generator=torch.Generator().manual_seed(0))
    theirs = plain.masked(features, enhancing.paths(ours))
    torch.testing.assert_close(theirs, ours(features), atol=1e-5, rtol=0)
    assert (theirs / features).std() > 1e-3  # there is a mask


def test_rows_say_whether_an_aim_is_met():
    assert measure.faster("speed", [1.0, 1.0, 2.0], [4.0, 5.0, 12.0], 1000.0, "≥ 5").cells()[1:5] == [
        "1000", "5000", "5.00", "≥ 5: met"
    ]  # fmt: skip
    assert measure.cost("memory", [1.3], [1.0], aim="≤ 1.2").met is False
    assert measure.cost("memory", [1.3], [1.0]).cells()[4] == "–"


def test_in_turn_alternates_and_repeats_what_is_short(monkeypatch):
    timed = []

    def seconds(way, calls):
        timed.append((way(), calls))
        return {"ours": 0.01, "plain": 0.2}[way()]

    monkeypatch.setattr(measure, "seconds", seconds)
    times = measure.in_turn(lambda: "ours", lambda: "plain", 2)
    assert times == ([0.01, 0.01], [0.2, 0.2])
    assert timed[2:] == [("plain", 1), ("ours", 5), ("ours", 5), ("plain", 1)]


def test_front_ends_are_measured(monkeypatch):
    monkeypatch.setattr(measure, "LEAST_S", 1e-4)
    rows = list(hearing.rows(1, n_clips=1, clip_s=0.5))
    assert [row.aim for row in rows[:3]] == ["≥ 3", "≥ 25", ""]
    assert all(row.ratio > 0 for row in rows)


def test_training_is_measured(monkeypatch, tmp_path):
    monkeypatch.setattr(measure, "LEAST_S", 1e-4)
    stored, listens, layouts, kernels = training.rows(tmp_path, steps=1, batch_size=5, clip_s=0.5)
    assert stored.aim == "≥ 5"
    assert stored.plain > 0 < listens.plain
    assert layouts.ours > 0
    assert kernels.plain > 0


def test_teachers_are_measured(monkeypatch, tmp_path):
    monkeypatch.setattr(measure, "LEAST_S", 1e-4)
    alone, together, convolved = teachers.rows(tmp_path, 1, batch_size=2)
    assert [row.aim for row in (alone, together, convolved)] == ["≥ 5", "", "≤ 0.1"]
    assert alone.what.startswith("DS-FlexiNet sm2 step, 12 stored teachers / listening each for itself")
    assert alone.ratio > 1 < together.ratio
    assert 0 < convolved.ratio < 1


def test_enhancing_is_measured(monkeypatch):
    monkeypatch.setattr(measure, "LEAST_S", 1e-4)
    rows = list(enhancing.rows(1, batch_size=2, n_frames=32, variant="b0"))
    whats = [row.what.partition(",")[0] for row in rows]
    shares = ["training step", "inference"] * 3
    assert whats == [*shares, "a whole step with TFE(4) / without", *["forward and backward", "inference"] * 2]
    assert [row.aim for row in rows] == [""] * 4 + ["≤ 0.05"] * 2 + [""] * 5
    assert all(0 < row.ratio < 1 for row in rows[:6])
    assert rows[6].plain > 0


def test_against_real_time_a_row_is_told_of_a_day():
    row = measure.real_time("levels", [0.5, 0.1, 0.2], 60.0, 86400.0, "≥ 10000")
    assert (row.ours, row.plain, row.ratio) == pytest.approx((288.0, 86400.0, 300.0))
    assert row.met is False


def test_logs_are_measured(monkeypatch):
    monkeypatch.setattr(measure, "LEAST_S", 1e-4)
    rows = list(level_logs.rows(1, minutes=0.05, n_clips=1, clip_s=1.0))
    *extraction, pinv, light, full, ratio = rows
    assert {row.aim for row in extraction[-2:]} == {"≥ 4", "≥ 10000"}
    assert [row.plain for row in (pinv, light, full)] == [86400.0] * 3
    assert all("a day of fast levels (from 0.05 min)" in row.what for row in (pinv, light, full, ratio))
    assert ratio.ratio == pytest.approx(full.ours / light.ours)
    assert ratio.plain == pytest.approx(full.ours)


def test_batches_of_a_log_hold_each_second_once():
    batches = level_logs.log(1.5)
    assert [len(batch) for batch in batches] == [64, 26]
    assert {batch.shape[1:] for batch in batches} == {(29, 8)}


def test_deploying_is_measured(monkeypatch, tmp_path):
    for package in ("onnxruntime", "torchao"):
        pytest.importorskip(package, reason="needs hearless[onnx]")
    monkeypatch.setattr(measure, "LEAST_S", 1e-4)
    small = {**deploying.FRONTEND, "window_ms": 12.0, "hop_ms": 15.625, "fft_ms": 16.0, "mel_bands": 64}
    monkeypatch.setattr(deploying, "FRONTEND", small)
    rows = list(deploying.rows(tmp_path, 1, size="sm1", clip_s=0.5))
    assert [row.aim for row in rows] == ["≥ 4", "≥ 1000", "", "", "", "", "", ""]
    assert rows[0].what == "sm1 alone, int8 ONNX / PyTorch fp32, ms a clip"
    assert rows[1].ours == rows[0].ours
    assert rows[1].plain == 500.0
    assert [row.what.partition(",")[0] for row in rows[4:6]] == ["front end at 32 kHz"] * 2
    clip = deploying.sound(1, 0.5)
    names = ("front end by products", "operator")
    said = [deploying.runner(tmp_path / f"{name}.onnx", clip)()[0] for name in names]
    np.testing.assert_allclose(*said, atol=1e-3)


def test_studies_are_measured(monkeypatch, tmp_path):
    monkeypatch.setattr(studying, "RATES_HZ", (1000,))
    (row,) = studying.rows(tmp_path, repeats=1, n_clips=40, clip_s=0.5)
    assert row.ours > 0
    assert row.ratio > 1  # one teacher for three rows in place of three
    trained = [len(list((tmp_path / name / "runs").glob("*/*/done.json"))) for name in ("together0", "apart0-3")]
    assert trained == [4, 2]  # 16 kHz, fine-tuned, BASD, CSSD; BASD and its teacher
