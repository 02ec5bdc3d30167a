"""Teachers at work: who explains a clip, running or from stored logits that replay the same view."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hearless.augmentations.freq_mixstyle import FreqMixStyle
from hearless.augmentations.gain import Gain
from hearless.augmentations.mixup import Mixup
from hearless.augmentations.roll import Roll
from hearless.augmentations.spec_augment import SpecAugment
from hearless.augmentations.spectrogram_noise import SpectrogramNoise
from hearless.augmentations.time_frequency_mask import TimeFrequencyMask
from hearless.augmentations.time_roll import TimeRoll
from hearless.captures.full_band import FullBand
from hearless.frontends.kaldi_fbank import KaldiFbank
from hearless.frontends.preemphasis_mel import PreEmphasisMel
from hearless.interfaces import Augmentation, Axes, Batch, Clip, HearlessError, Prediction
from hearless.loading import AudioStore, Loader, Table
from hearless.pipeline import Pipeline
from hearless.teaching import STORE_SEED, Running, Stored, Together, draw_key_of, mean_of, store, stored

RATE_HZ, N_SAMPLES, CLASSES = 8000, 800, 3


class Samples(nn.Module):
    """Samples as features."""

    input_rate_hz, n_bands = RATE_HZ, 1

    def forward(self, observation: Tensor) -> Tensor:
        return observation[:, None, None, :]

    def axes(self, n_samples: int) -> Axes:
        return Axes((0.0,), 1 / RATE_HZ, n_samples)


class Linear(nn.Module):
    """Logits that tell every sample; counts the batches it hears."""

    n_classes, min_frames, min_bands = CLASSES, 1, 1

    def __init__(self, seed: int, torch_device: str) -> None:
        super().__init__()
        rng = torch.Generator().manual_seed(seed)
        self.matrix = nn.Parameter(torch.randn(N_SAMPLES, CLASSES, generator=rng))
        self.torch_device, self.heard = torch_device, 0

    def forward(self, features: Tensor, keep: Tensor | None = None, *, maps: bool = False) -> Prediction:
        self.heard += len(features)
        logits = (features.flatten(1) @ self.matrix).to(self.torch_device)
        return Prediction(logits, logits, features, {"samples": 2 * features} if maps else {})


def listener(seed: int = 0, torch_device: str = "cpu") -> Pipeline:
    return Pipeline(capture=FullBand(rate_hz=RATE_HZ), frontend=Samples(), classifier=Linear(seed, torch_device)).eval()


class Wider(Linear):
    """The same logits, and an embedding of other numbers."""

    def forward(self, features: Tensor, keep: Tensor | None = None, *, maps: bool = False) -> Prediction:
        said = super().forward(features, keep, maps=maps)
        return replace(said, embedding=torch.cat([said.logits.square(), said.logits + 1], 1))


@pytest.fixture
def served() -> Loader:
    """Seven clips, cropped, changed for both and for the student alone."""
    lengths = [500, 800, 900, 1000, 1200, 1600, 2000]
    ends = np.cumsum([0, *lengths])
    clips = tuple(Clip(f"clip{i}", Path(f"{i}.wav"), ("abc"[i % 3],)) for i in range(len(lengths)))
    samples = 0.1 * np.random.default_rng(0).standard_normal(ends[-1]).astype(np.float32)
    starts = {clip.id: (int(a), int(b)) for clip, a, b in zip(clips, ends, ends[1:], strict=False)}
    table = Table(clips, ("a", "b", "c"), False, tuple("hijklmn"))
    augmentations = (Gain(), Roll(max_s=0.02), Roll(max_s=0.05, student_only=True))
    return Loader(table, AudioStore(RATE_HZ, samples, starts), clips, N_SAMPLES / RATE_HZ, 3, "none", augmentations)


def rows(batches: Iterator[Batch]) -> dict[str, tuple[Tensor, Tensor]]:
    """What the student and what the teacher hear of each clip."""
    return {
        clip.id: (heard, taught)
        for batch in batches
        for clip, heard, taught in zip(batch.clips, batch.waveform, batch.taught, strict=True)
    }


def logits_of(pipelines: Sequence[Pipeline], batch: Batch) -> Tensor:
    """What each pipeline says of what the teacher hears, ``[pipeline, batch, class]``."""
    with torch.no_grad():
        return torch.stack([p(batch.waveform if batch.taught is None else batch.taught).logits for p in pipelines])


def test_a_running_teacher_hears_what_is_taught(served: Loader) -> None:
    pipeline, batch = listener(), next(served.epoch(0, 0))
    said = Running((pipeline,))(batch, 5)
    assert torch.equal(said.logits, logits_of([pipeline], batch)[0])
    assert torch.equal(said.features.flatten(1), batch.taught)
    assert not torch.equal(batch.taught, batch.waveform)
    assert not said.logits.requires_grad
    plain = next(served.in_order())
    assert torch.equal(Running((pipeline,))(plain).features.flatten(1), plain.waveform)


BOTH: tuple[Augmentation, ...] = (
    Gain(), Mixup(probability=1.0), TimeFrequencyMask(max_time_s=0.05), SpectrogramNoise(), TimeRoll(max_s=0.03),
)  # fmt: skip


def kaldi() -> Pipeline:
    """A listener to Kaldi's log-Mel, its mask value 0.615."""
    frontend = KaldiFbank(input_rate_hz=RATE_HZ, frames=12, mean=-6.845978, deviation=5.5654526)
    return Pipeline(capture=FullBand(rate_hz=RATE_HZ), frontend=frontend, classifier=Linear(0, "cpu")).eval()


def test_teacher_and_student_of_one_view_hear_the_same_augmented_features(served: Loader) -> None:
    student, teacher = kaldi(), kaldi()
    plain = replace(served, augmentations=())
    for batch, before in zip(replace(served, augmentations=BOTH).epoch(2, 3), plain.epoch(2, 3), strict=False):
        heard, keep = student.hear(batch)
        taught, kept = teacher.hear(batch, teaching=True)
        assert torch.equal(heard, taught)
        assert keep is kept is None
        assert not any(torch.equal(*pair) for pair in zip(heard, student.hear(before)[0], strict=True))
        assert [change.augmentation for change in batch.changes] == list(BOTH[2:])


@pytest.mark.parametrize("left_out", range(len(BOTH)))
def test_each_augmentation_for_both_ears_reaches_both(served: Loader, left_out: int) -> None:
    """Leaving one out, the last so that the others' draws stay, changes what both hear, and alike."""
    order = (*BOTH[:left_out], *BOTH[left_out + 1 :], BOTH[left_out])
    student, teacher = kaldi(), kaldi()
    batch, fewer = (
        next(replace(served, augmentations=chosen, batch_size=7).epoch(2, 3)) for chosen in (order, order[:-1])
    )
    assert not torch.equal(student.hear(batch)[0], student.hear(fewer)[0])
    for one in (batch, fewer):
        assert torch.equal(student.hear(one)[0], teacher.hear(one, teaching=True)[0])


@pytest.mark.parametrize(
    "alone", [FreqMixStyle(probability=1.0), SpecAugment(max_time_s=0.05), Roll(student_only=True)]
)
def test_what_is_for_the_student_reaches_the_student_alone(served: Loader, alone: Augmentation) -> None:
    student, teacher = kaldi(), kaldi()
    batch = next(replace(served, augmentations=(*BOTH, alone)).epoch(2, 3))
    shared = next(replace(served, augmentations=BOTH).epoch(2, 3))
    heard, keep = student.hear(batch)
    taught, kept = teacher.hear(batch, teaching=True)
    assert torch.equal(taught, teacher.hear(shared, teaching=True)[0])
    assert kept is None
    masks_inside = alone.place == "keep"
    assert torch.equal(heard, taught) == masks_inside
    assert (keep is not None) == masks_inside
    if keep is not None:
        assert keep.shape == heard.shape
        assert set(keep.unique().tolist()) == {0.0, 1.0}


def test_two_views_are_masked_at_the_same_times_and_frequencies(served: Loader) -> None:
    """The teacher of 128 Kaldi bands and the student of 64 at another hop fill the same stripes, each with its own."""
    mask = TimeFrequencyMask(max_time_s=0.08, max_band_fraction=0.5)
    batch = next(replace(served, augmentations=(mask,)).epoch(0, 1))
    frontend = PreEmphasisMel(input_rate_hz=RATE_HZ, hop_ms=5.0, mel_bands=64)
    student = Pipeline(capture=FullBand(rate_hz=RATE_HZ), frontend=frontend, classifier=Linear(0, "cpu")).eval()
    (draws,) = (change.draws for change in batch.changes)
    for pipeline, teaching, value in ((student, False, 0.9), (kaldi(), True, 0.615042)):
        features, axes = pipeline.hear(batch, teaching=teaching)[0], pipeline.axes(N_SAMPLES)
        times_s, hz = torch.arange(axes.n_frames) * axes.frame_s, torch.tensor(axes.band_hz)
        for row, d in zip(features[:, 0], draws, strict=True):
            at = (times_s >= d["time_from_s"]) & (times_s < d["time_to_s"])
            between = (hz >= d["band_from_hz"]) & (hz < d["band_to_hz"])
            hidden = row[between[:, None] | at]
            assert hidden.numel() > 0
            torch.testing.assert_close(hidden, torch.full_like(hidden, value), rtol=0, atol=1e-6)
            assert (row[~(between[:, None] | at)] - value).abs().max() > 0.1


def test_a_running_teacher_hears_the_features_of_the_teaching_ear(served: Loader) -> None:
    teacher = Pipeline(capture=FullBand(rate_hz=RATE_HZ), frontend=Samples(), classifier=Linear(0, "cpu")).eval()
    batch = next(replace(served, augmentations=(*BOTH[:2], TimeRoll(), FreqMixStyle(probability=1.0))).epoch(0, 0))
    said = Running((teacher,))(batch)
    assert torch.equal(said.features, teacher.hear(batch, teaching=True)[0])
    assert not torch.equal(said.features, teacher.hear(batch)[0])


def test_several_running_teachers_are_averaged(served: Loader) -> None:
    pipelines, batch = tuple(listener(seed) for seed in range(3)), next(served.epoch(0, 0))
    expected = logits_of(pipelines, batch).mean(0)
    assert torch.equal(Running(pipelines)(batch).logits, expected)
    assert torch.equal(mean_of([p.train() for p in pipelines])(batch).logits, expected)
    assert not any(p.training for p in pipelines)


def test_a_cross_fitted_clip_is_explained_by_the_copy_that_did_not_hear_it(served: Loader) -> None:
    pipelines = tuple(listener(seed) for seed in range(3))
    explains = {"clip0": 0, "clip1": 2, "clip2": 1, "clip4": 0, "clip6": 2, "elsewhere": 1}
    for batch in served.in_order((0, 0)):
        each = logits_of(pipelines, batch)
        said = Running(pipelines, explains)(batch).logits
        for i, clip in enumerate(batch.clips):
            expected = each[explains[clip.id], i] if clip.id in explains else each[:, i].mean(0)
            torch.testing.assert_close(said[i], expected, rtol=0, atol=0)


def test_inner_maps_are_given_when_asked_for_the_first_teachers_where_there_are_several(served: Loader) -> None:
    pipelines, batch = tuple(listener(seed) for seed in range(3)), next(served.epoch(0, 0))
    running = Running(pipelines)
    both = Together((Running(pipelines[1:]), Running(pipelines[:1])))
    for teacher in (running, both):
        asked, plain = teacher(batch, maps=True), teacher(batch)
        assert plain.maps == {}
        assert list(asked.maps) == ["samples"]
        assert torch.equal(asked.maps["samples"].flatten(1), 2 * batch.taught)
        assert torch.equal(asked.logits, plain.logits)
    expected = logits_of(pipelines, batch)
    assert torch.equal(running(batch).embedding, expected[0])
    assert torch.equal(both(batch).embedding, expected[1])
    torch.testing.assert_close(both(batch).logits, (expected[1:].mean(0) + expected[0]) / 2)


def test_stored_teachers_have_no_inner_maps(served: Loader, tmp_path: Path) -> None:
    kept = store(Running((listener(),)), served, 1, tmp_path)
    batch = next(served.epoch(0, 0, kept.draw_key(0)))
    assert kept(batch).maps == {}
    with pytest.raises(HearlessError, match="stored teacher logits come without inner maps; set stored_draws=0"):
        kept(batch, maps=True)


@pytest.mark.parametrize("explains", [None, {"clip0": 1}])
def test_combining_stays_on_the_teachers_torch_device(explains: dict[str, int] | None, served: Loader) -> None:
    said = Running((listener(0, "meta"), listener(1, "meta")), explains)(next(served.in_order((0, 0))))
    assert (said.logits.device.type, said.logits.shape) == ("meta", (3, CLASSES))


def test_stored_logits_are_those_of_a_running_teacher_for_the_view_that_is_replayed(
    served: Loader, tmp_path: Path
) -> None:
    running = Running((listener(),))
    stored = store(running, served, 3, tmp_path)
    assert (stored.n_draws, stored.logits.shape, stored.logits.dtype) == (3, (3, 7, CLASSES), np.float16)
    for epoch in range(7):
        assert stored.draw_key(epoch) == (STORE_SEED, epoch % 3)
        n = 0
        for batch in replace(served, batch_size=4).epoch(11, epoch, stored.draw_key(epoch)):
            expected = running(batch).logits
            np.testing.assert_allclose(stored(batch, epoch).logits, expected, rtol=2e-3, atol=2e-3)
            assert not np.allclose(stored(batch, epoch + 1).logits, expected, rtol=2e-3, atol=0.05)
            n += len(batch.clips)
        assert n == 7
    assert stored(batch, 0).logits.dtype == torch.float32


def test_a_stored_embedding_is_the_running_teachers(served: Loader, tmp_path: Path) -> None:
    wide = Pipeline(capture=FullBand(rate_hz=RATE_HZ), frontend=Samples(), classifier=Wider(0, "cpu")).eval()
    running, kinds = Running((wide,)), ("logits", "embedding")
    plain = store(running, served, 2, tmp_path)
    assert stored(served, 2, tmp_path, kinds=kinds) is None
    both = store(running, served, 2, tmp_path, kinds=kinds)
    again = stored(served, 2, tmp_path, kinds=kinds)
    assert again is not None
    np.testing.assert_array_equal(both.logits, plain.logits)
    for epoch in range(3):
        for batch in served.epoch(5, epoch, both.draw_key(epoch)):
            expected = running(batch)
            assert expected.embedding.shape != expected.logits.shape
            for said in (both(batch, epoch), again(batch, epoch)):
                np.testing.assert_allclose(said.embedding, expected.embedding, rtol=2e-3, atol=2e-3)
                np.testing.assert_allclose(said.logits, expected.logits, rtol=2e-3, atol=2e-3)
    (tmp_path / "draw1.embedding.npy").unlink()
    assert stored(served, 2, tmp_path, kinds=kinds) is None
    assert stored(served, 2, tmp_path) is not None
    with pytest.raises(HearlessError, match="logits must be among what is stored of a teacher, got embedding"):
        store(running, served, 2, tmp_path, kinds=("embedding",))


def test_the_students_view_is_tensor_equal_to_the_one_explained(served: Loader, tmp_path: Path) -> None:
    stored = store(Running((listener(),)), served, 2, tmp_path)
    for seed in (0, 1):
        for epoch in range(4):
            explained = rows(served.in_order((STORE_SEED, epoch % 2)))
            replayed = rows(replace(served, batch_size=4).epoch(seed, epoch, stored.draw_key(epoch)))
            assert replayed.keys() == explained.keys()
            for clip_id, (heard, taught) in replayed.items():
                assert torch.equal(heard, explained[clip_id][0])
                assert torch.equal(taught, explained[clip_id][1])
    first, second = (rows(served.in_order((STORE_SEED, n))) for n in (0, 1))
    assert not any(torch.equal(first[clip_id][0], second[clip_id][0]) for clip_id in first)


def test_a_store_is_made_once_and_resumed(served: Loader, tmp_path: Path) -> None:
    teacher = Running((listener(),))
    said: list[tuple[int, int]] = []
    first = store(teacher, served, 3, tmp_path, progress=lambda *at: said.append(at))
    counter = teacher.pipelines[0].classifier
    assert (counter.heard, said) == (3 * 7, [(1, 3), (2, 3), (3, 3)])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["draw0.npy", "draw1.npy", "draw2.npy"]
    stamps = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    (tmp_path / "draw1.npy").unlink()
    again = store(teacher, served, 3, tmp_path)
    assert counter.heard == 4 * 7
    assert [name for name in stamps if (tmp_path / name).stat().st_mtime_ns != stamps[name]] == ["draw1.npy"]
    np.testing.assert_array_equal(first.logits, again.logits)
    more = store(teacher, served, 4, tmp_path)
    assert counter.heard == 5 * 7
    np.testing.assert_array_equal(more.logits[:3], first.logits)


def test_an_interrupted_pass_goes_on_where_it_stopped(
    served: Loader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(done: int, _: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    teacher = Running((listener(),))
    with pytest.raises(KeyboardInterrupt):
        store(teacher, served, 4, tmp_path, stop)
    counter = teacher.pipelines[0].classifier
    counter.heard = 0
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            store(teacher, served, 4, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["draw0.npy", "draw1.npy"]
    counter.heard = 0
    resumed = store(teacher, served, 4, tmp_path)
    assert counter.heard == 2 * 7
    np.testing.assert_array_equal(resumed.logits, store(teacher, served, 4, tmp_path / "fresh").logits)


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_any_flipped_bit_is_found_and_the_file_named(served: Loader, tmp_path: Path) -> None:
    teacher = Running((listener(),))
    store(teacher, served, 2, tmp_path)
    whole = (tmp_path / "draw1.npy").read_bytes()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        (tmp_path / "draw1.npy").write_bytes(damaged)
        with pytest.raises(HearlessError, match=r"stored teacher logits .*draw1\.npy are damaged; delete that file"):
            store(teacher, served, 2, tmp_path)
    (tmp_path / "draw1.npy").unlink()
    assert store(teacher, served, 2, tmp_path).n_draws == 2


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe\n", b"abc", b"x 7 3\n", b"x -1 3\n123456"])
def test_another_file_is_said(content: bytes, served: Loader, tmp_path: Path) -> None:
    (tmp_path / "draw0.npy").write_bytes(content)
    with pytest.raises(HearlessError, match=r"draw0\.npy are damaged"):
        store(Running((listener(),)), served, 1, tmp_path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_file_is_said(share: float, served: Loader, tmp_path: Path) -> None:
    store(Running((listener(),)), served, 1, tmp_path)
    whole = (tmp_path / "draw0.npy").read_bytes()
    (tmp_path / "draw0.npy").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(HearlessError, match=r"draw0\.npy are damaged"):
        store(Running((listener(),)), served, 1, tmp_path)


def test_logits_of_another_number_of_clips_are_refused(served: Loader, tmp_path: Path) -> None:
    store(Running((listener(),)), served, 1, tmp_path)
    with pytest.raises(HearlessError, match=r"draw0\.npy are of 7 clips instead of 5; delete that file and run again"):
        store(Running((listener(),)), replace(served, clips=served.clips[:5]), 1, tmp_path)


def test_rows_follow_clip_ids_not_places(served: Loader) -> None:
    logits = np.arange(2 * 7 * CLASSES, dtype=np.float16).reshape(2, 7, CLASSES)
    stored = Stored(logits, {f"clip{i}": 6 - i for i in range(7)})
    batch = next(served.epoch(0, 0))
    expected = np.stack([logits[1, 6 - int(clip.id[4:])] for clip in batch.clips])
    np.testing.assert_array_equal(stored(batch, 3).logits, expected)


def test_only_a_stored_teacher_ties_the_draws() -> None:
    stored = Stored(np.zeros((4, 1, 1), np.float16), {"a": 0})
    key = draw_key_of(stored)
    assert [key(epoch) for epoch in (0, 3, 4, 9)] == [(STORE_SEED, n) for n in (0, 3, 0, 1)]
    assert draw_key_of(Running((listener(),))) is None
    assert draw_key_of(None) is None
    assert STORE_SEED == 0
