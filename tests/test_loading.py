"""Clips → batches: keys of randomness, the table's hash, the decoded store, the loader."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight

from hearless import audio, loading
from hearless.augmentations.gain import Gain
from hearless.augmentations.mixup import Mixup
from hearless.augmentations.roll import Roll
from hearless.augmentations.spec_augment import SpecAugment
from hearless.interfaces import Batch, Clip, HearlessError, Remote
from hearless.loading import Loader, Table, class_weights, draw, generator, open_store, read_table

RATE_HZ = 8000


def ramp(number: int, n_samples: int) -> NDArray[np.float32]:
    """Samples that tell their clip and their place: number + place / 2¹⁶, exact in float32."""
    return (number + np.arange(n_samples) / 2**16).astype(np.float32)


class Corpus:
    """A data set of ramps written below its root: clip i is of class ``classes[i]``."""

    labels: tuple[str, ...] | None = None
    multi_label: bool | None = None
    licence, source = "CC0", "made here"
    remotes: tuple[Remote, ...] = ()

    def __init__(self, lengths: Sequence[int], classes: str = "", **changes: Any) -> None:
        self.lengths, self.classes, self.changes = lengths, classes or "ab" * len(lengths), changes

    def clips(self, root: Path) -> list[Clip]:
        """Write what is missing."""
        made = []
        for i, (n, label) in enumerate(zip(self.lengths, self.classes, strict=False)):
            path = root / f"{i}.wav"
            if not path.exists():
                soundfile.write(path, ramp(i, n), RATE_HZ, subtype="FLOAT")
            made.append(replace(Clip(f"clip{i}", path, (label,), fold=str(i % 2)), **self.changes))
        return made


def loader(root: Path, lengths: Sequence[int], labels: str = "", clip_s: float = 0.1, **settings: Any) -> Loader:
    (root / "sounds").mkdir()
    table = read_table(Corpus(lengths, labels), root / "sounds")
    store = open_store(table, RATE_HZ, cache=root / "cache")
    return Loader(table, store, table.clips, clip_s, settings.pop("batch_size", 4), **settings)


def ids(batches: Iterator[Batch]) -> list[str]:
    return [clip.id for batch in batches for clip in batch.clips]


def forbid(*_: Any) -> Any:
    raise AssertionError("must not be called")


@contextmanager
def small_files(limit: int) -> Iterator[None]:
    """Let no file grow beyond ``limit`` bytes, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_key_gives_one_stream_and_another_key_another() -> None:
    keys: list[tuple[int | str, ...]] = [(0,), (1,), ("0",), (0, 1), (1, 0), ("a", 0, 1), ("a", 0, "1"), ("a", 1, 0)]
    first = [tuple(generator(*key).integers(2**62, size=3)) for key in keys]
    assert first == [tuple(generator(*key).integers(2**62, size=3)) for key in keys]
    assert len(set(first)) == len(keys)


def test_the_streams_never_change() -> None:
    """Runs are resumed and stored logits replayed by them."""
    assert generator("draw", 0, 1, 2, "clip").integers(2**62) == 3688102425596253119
    assert generator("order", 0, 1).permutation(8).tolist() == [7, 5, 2, 3, 6, 0, 1, 4]


def test_nothing_global_is_drawn_from_or_seeded(tmp_path: Path) -> None:
    made = loader(tmp_path, [800] * 6, balance="sampling", augmentations=(Gain(), Roll()))
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002  # that it stays
    assert len(list(made.epoch(0, 0))) == 2
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002


def test_the_table_has_sorted_labels_and_one_hot_targets(tmp_path: Path) -> None:
    table = read_table(Corpus([80, 80, 90], "bab"), tmp_path)
    assert (table.labels, table.multi_label) == (("a", "b"), False)
    assert table.targets(table.clips).tolist() == [[0, 1], [1, 0], [0, 1]]
    assert table.hashes == tuple(audio.content_hash(tmp_path / f"{i}.wav") for i in range(3))


def test_many_labels_are_multi_hot_in_the_data_sets_order(tmp_path: Path) -> None:
    corpus = Corpus([80, 80], labels=("c", "a"))
    corpus.labels = ("c", "x", "a")
    table = read_table(corpus, tmp_path)
    assert (table.labels, table.multi_label) == (("c", "a"), True)
    assert table.targets([replace(table.clips[0], labels=())]).tolist() == [[0, 0]]
    assert table.targets(table.clips).tolist() == [[1, 1], [1, 1]]


def test_an_unknown_label_is_refused(tmp_path: Path) -> None:
    corpus = Corpus([80, 80])
    corpus.labels = ("a",)
    with pytest.raises(HearlessError, match="labels must be classes of the data set, got b; remove or map them"):
        read_table(corpus, tmp_path)


def test_a_recording_in_two_folds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HearlessError, match="leak: a source recording must stay in one fold"):
        read_table(Corpus([80, 80], recording="same"), tmp_path)


def test_two_clips_of_one_id_are_refused(tmp_path: Path) -> None:
    with pytest.raises(HearlessError, match=r"clip ids must differ, got 1 more than once \(x\)"):
        read_table(Corpus([80, 80, 80], id="x"), tmp_path)


def test_the_digest_is_of_content_never_of_the_folder(tmp_path: Path) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    here, there = (read_table(Corpus([80, 90]), tmp_path / name) for name in ("here", "there"))
    assert here.clips[0].path != there.clips[0].path
    assert here.digest == there.digest
    soundfile.write(tmp_path / "there" / "1.wav", ramp(7, 90), RATE_HZ, subtype="FLOAT")
    assert read_table(Corpus([80, 90]), tmp_path / "there").digest != here.digest


@pytest.mark.parametrize(
    "change",
    [
        {"id": "other"}, {"labels": ("b",)}, {"labels": ("a", "b")}, {"fold": "9"}, {"split": "test"},
        {"recording": "r"}, {"device": "phone"}, {"start_s": 0.001}, {"duration_s": 0.005},
    ],
)  # fmt: skip
def test_the_digest_changes_with_everything_that_matters(change: dict[str, Any], tmp_path: Path) -> None:
    table = read_table(Corpus([80, 90]), tmp_path)
    changed = replace(table, clips=(replace(table.clips[0], **change), *table.clips[1:]))
    assert changed.digest != table.digest
    assert replace(table, labels=("b", "a")).digest != table.digest
    assert replace(table, multi_label=True).digest != table.digest


def test_the_store_holds_what_reading_gives(tmp_path: Path) -> None:
    table = read_table(Corpus([800, 500, 1]), tmp_path)
    parts = [replace(table.clips[0], id="part", start_s=0.025, duration_s=0.05), *table.clips[1:]]
    table = replace(table, clips=tuple(parts))
    said: list[tuple[int, int]] = []
    for rate_hz in (RATE_HZ, 16000):
        store = open_store(table, rate_hz, cache=tmp_path / "cache", progress=lambda *at: said.append(at))
        for clip in table.clips:
            expected, _ = audio.read(clip.path, rate_hz, clip.start_s, clip.duration_s)
            np.testing.assert_array_equal(store.waveform(clip), expected)
            assert store.seconds(clip) == len(expected) / rate_hz
    assert said == [(1, 3), (2, 3), (3, 3)] * 2
    np.testing.assert_array_equal(
        open_store(table, RATE_HZ, cache=tmp_path / "cache").waveform(parts[0]), ramp(0, 800)[200:600]
    )


def test_a_store_is_decoded_once_and_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    first = open_store(table := read_table(Corpus([80, 90]), tmp_path / "a"), RATE_HZ, cache=tmp_path / "cache")
    (tmp_path / "a").rename(tmp_path / "b")
    monkeypatch.setattr(audio, "read", forbid)
    moved = read_table(Corpus([80, 90]), tmp_path / "b")
    again = open_store(moved, RATE_HZ, cache=tmp_path / "cache")
    for old, new in zip(table.clips, moved.clips, strict=True):
        np.testing.assert_array_equal(first.waveform(old), again.waveform(new))
    with pytest.raises(AssertionError, match="must not be called"):
        open_store(moved, 4000, cache=tmp_path / "cache")
    assert not again.samples.flags.writeable


def test_the_cache_folder_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARLESS_CACHE", str(tmp_path / "kept"))
    open_store(read_table(Corpus([80, 90]), tmp_path), RATE_HZ)
    assert [path.name.endswith("-8000") for path in (tmp_path / "kept" / "audio").iterdir()] == [True]


BUILDER = """
import sys, time
from pathlib import Path
import numpy as np
from hearless import loading
from hearless.interfaces import Clip
root, me, other = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
decode = loading._decode_all
def together(*given):
    decode(*given)
    (root / me).touch()
    deadline = time.monotonic() + 60
    while not (root / other).exists() and time.monotonic() < deadline:
        time.sleep(0.01)
loading._decode_all = together
clips = tuple(Clip(f"clip{i}", root / f"{i}.wav", ("ab"[i % 2],)) for i in range(3))
table = loading.Table(clips, ("a", "b"), False, ("h0", "h1", "h2"))
store = loading.open_store(table, 8000, cache=root / "cache")
np.save(root / f"{me}.npy", np.concatenate([store.waveform(c) for c in clips]))
"""


def test_two_processes_may_build_one_store_at_once(tmp_path: Path) -> None:
    Corpus([800, 700, 600]).clips(tmp_path)
    names = ("one", "two")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    builders = [
        subprocess.Popen([sys.executable, "-c", BUILDER, str(tmp_path), me, other], env=environment)
        for me, other in (names, names[::-1])
    ]
    assert [builder.wait(timeout=120) for builder in builders] == [0, 0]
    expected = np.concatenate([ramp(i, n) for i, n in enumerate((800, 700, 600))])
    for name in names:
        np.testing.assert_array_equal(np.load(tmp_path / f"{name}.npy"), expected)
    kept = list((tmp_path / "cache" / "audio").iterdir())
    assert [sorted(file.name for file in folder.iterdir()) for folder in kept] == [["index.json", "samples.f32"]]


@pytest.mark.parametrize("tidy", [True, False])
def test_an_interrupted_build_leaves_nothing_usable_and_the_next_one_works(
    tidy: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = read_table(Corpus([80, 90]), tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", interrupt)
        if not tidy:  # as when the process is killed
            patched.setattr(shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(KeyboardInterrupt):
            open_store(table, RATE_HZ, cache=tmp_path / "cache")
    left = list((tmp_path / "cache" / "audio").iterdir())
    assert len(left) == (0 if tidy else 1)
    assert not [path for path in left if not path.name.startswith(".")]
    store = open_store(table, RATE_HZ, cache=tmp_path / "cache")
    np.testing.assert_array_equal(store.waveform(table.clips[1]), ramp(1, 90))


def interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4])


def cut_within_a_sample(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"1234")


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("samples.f32", cut), ("samples.f32", cut_within_a_sample), ("samples.f32", empty), ("samples.f32", lengthen),
        ("samples.f32", Path.unlink), ("index.json", cut), ("index.json", empty),
    ],
)  # fmt: skip
def test_a_damaged_store_is_said(file: str, damage: Callable[[Path], None], tmp_path: Path) -> None:
    table = read_table(Corpus([80, 90]), tmp_path)
    open_store(table, RATE_HZ, cache=tmp_path / "cache")
    (folder,) = (tmp_path / "cache" / "audio").iterdir()
    damage(folder / file)
    with pytest.raises(
        HearlessError, match=rf"decoded sound in .*{folder.name} is damaged .*delete that folder and run"
    ):
        open_store(table, RATE_HZ, cache=tmp_path / "cache")
    shutil.rmtree(folder)
    assert open_store(table, RATE_HZ, cache=tmp_path / "cache").seconds(table.clips[0]) == 0.01


@pytest.mark.parametrize("content", ["[]", "{}", "3", '{"n": 170}', '{"n": 170, "starts": {"clip0": [0]}}'])
def test_an_index_of_something_else_is_said(content: str, tmp_path: Path) -> None:
    table = read_table(Corpus([80, 90]), tmp_path)
    open_store(table, RATE_HZ, cache=tmp_path / "cache")
    (folder,) = (tmp_path / "cache" / "audio").iterdir()
    (folder / "index.json").write_text(content)
    with pytest.raises(HearlessError, match="is damaged"):
        open_store(table, RATE_HZ, cache=tmp_path / "cache")


def test_a_full_disk_is_said_and_leaves_no_half_store(tmp_path: Path) -> None:
    table = read_table(Corpus([8000, 9000]), tmp_path)
    with (
        small_files(20_000),
        pytest.raises(
            HearlessError, match=r"could not be written below .*audio: .*free some space or set HEARLESS_CACHE"
        ),
    ):
        open_store(table, RATE_HZ, cache=tmp_path / "cache")
    assert list((tmp_path / "cache" / "audio").iterdir()) == []
    assert open_store(table, RATE_HZ, cache=tmp_path / "cache").seconds(table.clips[1]) == 9000 / RATE_HZ


def test_a_cache_that_is_no_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(HearlessError, match=r"could not be written below .*cache/audio: .*set HEARLESS_CACHE"):
        open_store(read_table(Corpus([80, 90]), tmp_path), RATE_HZ, cache=tmp_path / "cache")


def test_all_broken_clips_are_listed_together(tmp_path: Path) -> None:
    clips = Corpus([8000] * 5).clips(tmp_path)
    (tmp_path / "1.wav").write_bytes((tmp_path / "1.wav").read_bytes()[:5000])
    (tmp_path / "3.wav").write_text("this is no sound")
    samples = ramp(4, 100)
    samples[50] = np.nan
    soundfile.write(tmp_path / "4.wav", samples, RATE_HZ, subtype="FLOAT")
    table = Table(tuple(clips), ("a", "b"), False, tuple("hijkl"))
    said = r"(?s)3 clips cannot be used; mend or remove them:.*1\.wav is truncated.*3\.wav .*4\.wav must hold finite"
    with pytest.raises(HearlessError, match=said):
        open_store(table, RATE_HZ, cache=tmp_path / "cache")
    assert list((tmp_path / "cache" / "audio").iterdir()) == []
    with pytest.raises(HearlessError, match=r"(?s)2 clips cannot be used.*1\.wav.*3\.wav"):
        loading.highest_rate_hz(clips)
    for name in ("0.wav", "1.wav"):
        (tmp_path / name).unlink()
    with pytest.raises(HearlessError, match=r"(?s)2 clips cannot be used.*0\.wav cannot be read.*1\.wav cannot"):
        loading._each_file(clips, audio.content_hash)


def test_a_long_list_of_broken_clips_is_cut(tmp_path: Path) -> None:
    clips = [Clip(str(i), tmp_path / f"{i}.wav", ("a",)) for i in range(23)]
    with pytest.raises(HearlessError, match=r"(?s)23 clips cannot be used.*/19\.wav.*… and 3 more$"):
        loading.highest_rate_hz(clips)


def test_the_highest_rate_is_of_the_files(tmp_path: Path) -> None:
    clips = Corpus([80, 80]).clips(tmp_path)
    soundfile.write(tmp_path / "1.wav", ramp(1, 80), 22050)
    assert loading.highest_rate_hz(clips[:1]) == RATE_HZ
    assert loading.highest_rate_hz(clips) == 22050


def test_a_clip_that_resampling_leaves_nothing_of_is_refused(tmp_path: Path) -> None:
    table = read_table(Corpus([1, 800]), tmp_path)
    with pytest.raises(HearlessError, match=r"(?s)1 clip cannot be used.*0\.wav is too short to hold a sample at 1000"):
        open_store(table, 1000, cache=tmp_path / "cache")


def test_weights_are_inverse_to_frequency_as_sklearn_balances() -> None:
    classes = np.random.default_rng(0).choice(4, 60, p=[0.6, 0.2, 0.15, 0.05])
    weight = class_weights(np.eye(4, dtype=np.float32)[classes], "weights")
    expected = compute_sample_weight("balanced", classes)
    np.testing.assert_allclose(weight, expected / expected.mean(), rtol=1e-6)
    assert weight.mean() == pytest.approx(1)
    by_class = compute_class_weight("balanced", classes=np.arange(4), y=classes)
    np.testing.assert_allclose(weight / weight[0], by_class[classes] / by_class[classes[0]], rtol=1e-6)


def test_weights_of_many_labels_are_the_mean_of_their_classes() -> None:
    targets = np.array([[1, 0, 0], [1, 0, 0], [1, 1, 0]], np.float32)
    expected = np.array([1 / 3, 1 / 3, (1 / 3 + 1) / 2])
    np.testing.assert_allclose(class_weights(targets, "weights"), expected / expected.mean(), rtol=1e-6)


@pytest.mark.parametrize("balance", ["none", "sampling"])
def test_all_weigh_the_same_otherwise(balance: str) -> None:
    assert class_weights(np.eye(2, dtype=np.float32)[[0, 0, 1]], balance).tolist() == [1, 1, 1]


def test_an_epoch_serves_every_clip_once_in_the_order_of_seed_and_epoch(tmp_path: Path) -> None:
    made = loader(tmp_path, [800] * 11, batch_size=4)
    served = {(seed, epoch): ids(made.epoch(seed, epoch)) for seed in (0, 1) for epoch in (0, 1)}
    assert all(sorted(found) == sorted(c.id for c in made.clips) for found in served.values())
    assert len({tuple(found) for found in served.values()}) == 4
    for (seed, epoch), found in served.items():
        assert found == ids(made.epoch(seed, epoch, (9, 9)))
        assert found == [made.clips[i].id for i in made.order(seed, epoch)]
    assert [len(batch.clips) for batch in made.epoch(0, 0)] == [4, 4, 3]


def test_a_batch_of_one_is_left_out_unless_it_is_all_there_is(tmp_path: Path) -> None:
    made = loader(tmp_path, [800] * 9, batch_size=4)
    assert [len(batch.clips) for batch in made.epoch(0, 0)] == [4, 4]
    alone = replace(made, clips=made.clips[:1])
    assert [len(batch.clips) for batch in alone.epoch(0, 0)] == [1]
    assert [len(batch.clips) for batch in made.in_order()] == [4, 4, 1]


def test_a_batch_pairs_clips_targets_weights_and_sound(tmp_path: Path) -> None:
    made = loader(tmp_path, [800] * 7, "aaaaabb", batch_size=3, balance="weights")
    for batch in made.epoch(3, 1):
        numbers = [int(clip.id[4:]) for clip in batch.clips]
        assert batch.waveform[:, 0].tolist() == numbers
        assert batch.target.argmax(1).tolist() == [i >= 5 for i in numbers]
        expected = [7 / 4 if i >= 5 else 7 / 10 for i in numbers]
        torch.testing.assert_close(batch.weight, torch.tensor(expected))
        assert (batch.rate_hz, batch.waveform.dtype, batch.target.dtype) == (RATE_HZ, torch.float32, torch.float32)
    assert sum(made.weights.values()) / 7 == pytest.approx(1)


def test_sampling_draws_classes_equally_often(tmp_path: Path) -> None:
    made = loader(tmp_path, [80] * 12, "aaaaaaaaabbc", clip_s=0.01, balance="sampling")
    labels = Counter(made.clips[i].labels[0] for epoch in range(400) for i in made.order(0, epoch))
    n = sum(labels.values())
    assert n == 12 * 400
    deviation = 4 * (n * (1 / 3) * (2 / 3)) ** 0.5
    assert {name: pytest.approx(n / 3, abs=deviation) for name in "abc"} == labels
    assert made.order(0, 5).tolist() == made.order(0, 5).tolist() != made.order(0, 6).tolist()
    assert next(made.epoch(0, 0)).weight.tolist() == [1] * 4


def starts(batches: Iterator[Batch]) -> dict[str, int]:
    """Where each excerpt starts, told by its first sample; every excerpt must run on from there."""
    found = {}
    for batch in batches:
        for clip, row in zip(batch.clips, batch.waveform.numpy(), strict=True):
            place = round((row[0] - int(clip.id[4:])) * 2**16)
            np.testing.assert_array_equal(row, ramp(int(clip.id[4:]), 10_000)[place : place + len(row)])
            found[clip.id] = place
    return found


def test_crops_lie_within_the_clip_and_can_be_replayed(tmp_path: Path) -> None:
    made = loader(tmp_path, [800, 801, 805, 1000, 4000])
    seen = {clip.id: set() for clip in made.clips}
    for epoch in range(200):
        for clip_id, place in starts(made.epoch(0, epoch)).items():
            seen[clip_id].add(place)
    assert seen["clip0"] == {0}
    assert seen["clip1"] == {0, 1}
    assert seen["clip2"] == set(range(6))
    assert seen["clip3"] <= set(range(201))
    assert len(seen["clip3"]) > 80
    assert seen["clip4"] <= set(range(3201))
    replayed = starts(made.in_order((0, 7)))
    assert starts(made.epoch(0, 7)).items() <= replayed.items()
    assert starts(made.epoch(5, 3, (0, 7))).items() <= replayed.items()
    assert starts(made.in_order((0, 8))) != replayed
    assert starts(replace(made, batch_size=2, clips=made.clips[::-1]).in_order((0, 7))) == replayed


def test_plain_batches_start_at_the_beginning(tmp_path: Path) -> None:
    made = loader(tmp_path, [800, 900, 4000], augmentations=(Gain(),))
    assert starts(made.in_order()) == {"clip0": 0, "clip1": 0, "clip2": 0}
    assert all(batch.taught is None for batch in made.in_order())


def test_short_clips_are_padded_with_zeros(tmp_path: Path) -> None:
    made = loader(tmp_path, [1, 300, 800])
    for batch in (next(made.in_order()), next(made.in_order((0, 0)))):
        for i, n in enumerate((1, 300, 800)):
            np.testing.assert_array_equal(batch.waveform[i, :n].numpy(), ramp(i, n))
            assert not batch.waveform[i, n:].any()


@pytest.mark.parametrize("clip_s", [0.1, 0.0333, 1.0])
def test_windows_cover_every_sample_once(clip_s: float, tmp_path: Path) -> None:
    lengths = [1, 799, 800, 801, 2500]
    made = loader(tmp_path, lengths, clip_s=clip_s, batch_size=3)
    heard: list[list[NDArray[np.float32]]] = [[] for _ in lengths]
    shares = np.zeros(len(lengths))
    for batch, rows, share in made.windows():
        assert [made.clips[i] for i in rows] == list(batch.clips)
        assert batch.waveform.shape == (len(rows), made.n_samples)
        assert batch.target.argmax(1).tolist() == [i % 2 for i in rows]
        np.add.at(shares, rows, share)
        for i, row, part in zip(rows, batch.waveform.numpy(), share, strict=True):
            n = round(part * made.n_samples)
            heard[i].append(row[:n])
            assert not row[n:].any()
    for i, n in enumerate(lengths):
        np.testing.assert_array_equal(np.concatenate(heard[i]), ramp(i, n))
    np.testing.assert_allclose(shares, np.array(lengths) / made.n_samples)


def test_augmentation_is_what_drawing_and_applying_by_hand_gives(tmp_path: Path) -> None:
    gain, roll = Gain(max_db=6.0), Roll(max_s=0.02)
    made = loader(tmp_path, [800] * 4, augmentations=(gain, SpecAugment(), roll))
    batch = next(made.epoch(3, 5))
    plain = next(replace(made, augmentations=()).epoch(3, 5))
    assert plain.taught is plain.waveform
    expected = gain.apply(plain.waveform, draw(gain, 0, batch.clips, (3, 5), 0.1), RATE_HZ)
    expected = roll.apply(expected, draw(roll, 2, batch.clips, (3, 5), 0.1), RATE_HZ)
    assert torch.equal(batch.waveform, expected)
    assert torch.equal(batch.taught, expected)
    assert not torch.equal(batch.waveform, plain.waveform)
    by_key = [gain.draw(generator("draw", 0, 3, 5, clip.id), clip, 0.1) for clip in batch.clips]
    assert draw(gain, 0, batch.clips, (3, 5), 0.1) == by_key
    assert draw(gain, 1, batch.clips, (3, 5), 0.1) != by_key
    assert len({d["gain_db"] for d in by_key}) == 4


MIXING = (Gain(), Roll(max_s=0.02, student_only=True), Mixup(probability=0.8))


def mixing(root: Path) -> Loader:
    """Nine clips of two classes, one of them rarer and so heavier; the student hears more than its teacher."""
    return loader(root, [900] * 9, "aaaaaabbb", batch_size=4, balance="weights", augmentations=MIXING)


def test_mixup_mixes_both_ears_targets_and_weights_by_the_same_draws(tmp_path: Path) -> None:
    made = mixing(tmp_path)
    plain = replace(made, augmentations=MIXING[:2])
    n_mixed = 0
    for step, (batch, before) in enumerate(zip(made.epoch(3, 5), plain.epoch(3, 5), strict=True)):
        assert batch.clips == before.clips
        rng = generator("draw", 2, 3, 5, step)
        draws = [MIXING[2].draw(rng, clip, made.clip_s) for clip in batch.clips]
        share = np.array([d["share"] for d in draws])[:, None]
        partner = np.argsort([d["place"] for d in draws])
        n_mixed += int((share[:, 0] < 1).sum())
        for name in ("waveform", "taught", "target", "weight"):
            rows = getattr(before, name).numpy().astype(np.float64).reshape(len(draws), -1)
            found = getattr(batch, name)
            assert (found.shape, found.dtype) == (getattr(before, name).shape, torch.float32)
            expected = share * rows + (1 - share) * rows[partner]
            np.testing.assert_allclose(found.numpy().reshape(rows.shape), expected, rtol=1e-5, atol=1e-6)
        assert not torch.equal(batch.waveform, batch.taught)
        torch.testing.assert_close(batch.target.sum(1), torch.ones(len(draws)))
        assert batch.changes == ()
    assert 3 <= n_mixed <= 8
    assert {value for batch in made.epoch(3, 5) for value in batch.target[:, 0].tolist()} - {0.0, 1.0}
    assert len({value for batch in made.epoch(3, 5) for value in batch.weight.tolist()}) > 2


def test_mixup_comes_from_seed_epoch_and_step(tmp_path: Path) -> None:
    made = mixing(tmp_path)

    def served(seed: int, epoch: int, key: tuple[int, int] = (0, 0)) -> list[Batch]:
        return list(made.epoch(seed, epoch, key))

    first, again = served(3, 5), served(3, 5)
    assert len(first) == 2
    for one, two in zip(first, again, strict=True):
        for name in ("waveform", "taught", "target", "weight"):
            assert torch.equal(getattr(one, name), getattr(two, name))

    def mixtures(batches: list[Batch]) -> list[list[float]]:
        return [sorted(batch.target[:, 0].tolist()) for batch in batches]

    assert mixtures(first) == mixtures(served(3, 5, (9, 9)))  # the draw key is that of clips, not of batches
    assert len({str(mixtures(served(seed, epoch))) for seed in (3, 4) for epoch in (5, 6)}) == 4
    shares = [[d["share"] for d in draw(MIXING[2], 2, b.clips, (3, 5, s), 0.1)] for s, b in enumerate(first)]
    assert set(shares[0]) & set(shares[1]) <= {1.0}


def test_plain_batches_are_never_mixed(tmp_path: Path) -> None:
    made = mixing(tmp_path)
    for batch, before in zip(made.in_order(), replace(made, augmentations=()).in_order(), strict=True):
        assert torch.equal(batch.waveform, before.waveform)
        assert torch.equal(batch.target, before.target)
        assert batch.taught is None


def test_a_draw_follows_the_clip_through_any_batch(tmp_path: Path) -> None:
    made = loader(tmp_path, [900] * 6, augmentations=(Gain(), Roll()), batch_size=4)
    alone = {clip.id: next(replace(made, clips=(clip,)).in_order((0, 2))).waveform[0] for clip in made.clips}
    served = [(c.id, row) for batch in made.epoch(0, 2) for c, row in zip(batch.clips, batch.waveform, strict=True)]
    assert len(served) == 6
    assert all(torch.equal(row, alone[clip_id]) for clip_id, row in served)


@pytest.mark.parametrize("student_only_last", [True, False])
def test_what_is_for_the_student_alone_leaves_the_teacher_be(student_only_last: bool, tmp_path: Path) -> None:
    both, alone = Gain(max_db=6.0), Roll(max_s=0.02, student_only=True)
    order = (both, alone) if student_only_last else (alone, both)
    made = loader(tmp_path, [800] * 4, augmentations=order)
    batch = next(made.in_order((1, 2)))
    plain = next(made.in_order()).waveform
    taught = both.apply(plain, draw(both, order.index(both), batch.clips, (1, 2), 0.1), RATE_HZ)
    assert torch.equal(batch.taught, taught)
    rolled = alone.apply(plain, draw(alone, order.index(alone), batch.clips, (1, 2), 0.1), RATE_HZ)
    heard = both.apply(rolled, draw(both, order.index(both), batch.clips, (1, 2), 0.1), RATE_HZ)
    torch.testing.assert_close(batch.waveform, heard, rtol=0, atol=0)
    assert not torch.equal(batch.waveform, batch.taught)
    only = next(replace(made, augmentations=(alone,)).in_order((1, 2)))
    assert torch.equal(only.taught, plain)
    assert not torch.equal(only.waveform, plain)


def test_the_store_is_not_written_to(tmp_path: Path) -> None:
    made = loader(tmp_path, [800] * 4, augmentations=(Gain(), Roll()))
    before = np.array(made.store.samples)
    for _ in made.epoch(0, 0):
        pass
    np.testing.assert_array_equal(made.store.samples, before)


def test_a_clip_is_divided_by_the_peak_of_its_whole_sound(tmp_path: Path) -> None:
    table = read_table(Corpus([800, 400, 600]), tmp_path)
    store = open_store(table, RATE_HZ, cache=tmp_path / "cache")
    plain, peaked = (
        Loader(table, store, table.clips, 0.025, 3, peak_normalised=wanted) for wanted in (False, True)
    )  # fmt: skip
    peaks = np.array([np.abs(store.waveform(clip)).max() for clip in table.clips])
    for (a, rows, _), (b, _, _) in zip(plain.windows(), peaked.windows(), strict=True):
        np.testing.assert_allclose(b.waveform.numpy(), a.waveform.numpy() / peaks[rows][:, None], rtol=1e-6)
    for a, b in zip(plain.epoch(0, 0), peaked.epoch(0, 0), strict=True):
        own = [peaks[table.clips.index(clip)] for clip in a.clips]
        np.testing.assert_allclose(b.waveform.numpy(), a.waveform.numpy() / np.array(own)[:, None], rtol=1e-6)


def test_silence_has_no_peak_to_be_divided_by(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "0.wav", np.zeros(400, np.float32), RATE_HZ, subtype="FLOAT")
    table = read_table(Corpus([400, 400]), tmp_path)
    store = open_store(table, RATE_HZ, cache=tmp_path / "cache")
    batch = next(Loader(table, store, table.clips, 0.05, 2, peak_normalised=True).in_order())
    assert batch.waveform[0].unique().tolist() == [0.0]
    assert batch.waveform[1].max() == 1.0


@pytest.mark.parametrize("multi_label", [False, True])
def test_background_of_no_class_stands_in_the_place_of_a_share_of_the_clips(tmp_path: Path, multi_label: bool) -> None:
    table = replace(read_table(Corpus([800] * 40), tmp_path), multi_label=multi_label)
    store = open_store(table, RATE_HZ, cache=tmp_path / "cache")
    plain, noisy = (Loader(table, store, table.clips, 0.1, 8, "weights", background=b) for b in (0.0, 0.25))
    of_no_class = 0.0 if multi_label else 1 / len(table.labels)
    replaced = []
    for epoch in range(10):
        for a, b in zip(plain.epoch(0, epoch), noisy.epoch(0, epoch), strict=True):
            there = (b.target == of_no_class).all(1)
            replaced += there.tolist()
            assert b.taught is b.waveform  # the teacher hears the same
            assert torch.equal(a.waveform[~there], b.waveform[~there])
            assert torch.equal(a.target[~there], b.target[~there])
            assert torch.equal(a.weight[~there], b.weight[~there])
            assert (b.weight[there] == 1).all()
            assert not any(torch.equal(*pair) for pair in zip(a.waveform[there], b.waveform[there], strict=True))
    assert np.mean(replaced) == pytest.approx(0.25, abs=0.06)
    assert 0 < sum(replaced[:40]) != sum(replaced[40:80])
    for a, b in zip(plain.in_order(), noisy.in_order(), strict=True):
        assert torch.equal(a.waveform, b.waveform)  # never where it is judged
    again = [batch.waveform for batch in noisy.in_order((0, 3))]
    assert all(torch.equal(x, y.waveform) for x, y in zip(again, noisy.in_order((0, 3)), strict=True))
