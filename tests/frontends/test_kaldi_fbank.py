"""KaldiFbank against kaldi-native-fbank and a formula of its own, its laws, and wrong input."""

from __future__ import annotations

import math

import numpy as np
import pytest
import soundfile
import torch

from hearless.frontends.kaldi_fbank import FLOOR, STATISTICS, KaldiFbank
from hearless.interfaces import HearlessError

TIME = np.arange(32000) / 16000
RNG = np.random.default_rng(0)
SOUNDS = {
    "noise": 0.1 * RNG.standard_normal(16000),
    "loud": RNG.uniform(-1, 1, 40000),
    "quiet": 1e-4 * RNG.standard_normal(16000),
    "tone": 0.5 * np.sin(2 * np.pi * 440 * TIME),
    "offset": 0.3 + 0.05 * RNG.standard_normal(16000),
    "rumble": 0.5 * np.sin(2 * np.pi * 3 * TIME) + 1e-3 * RNG.standard_normal(32000),
    "one window": 0.1 * RNG.standard_normal(400),
    "a sample less than two": 0.1 * RNG.standard_normal(559),
}


def plain(**arguments):
    """The front end without normalisation: natural logarithms of power."""
    return KaldiFbank(mean=0.0, deviation=0.5, **arguments)


def heard(frontend, samples, dtype=torch.float32):
    return frontend(torch.as_tensor(np.asarray(samples), dtype=dtype)[None])[0, 0].numpy()


def native(samples):
    """Return what kaldi-native-fbank makes of a clip less its mean, set as AST sets it: ``[band, frame]``."""
    knf = pytest.importorskip("kaldi_native_fbank", reason="a test dependency: pip install kaldi-native-fbank")
    options = knf.FbankOptions()
    options.frame_opts.dither, options.frame_opts.window_type = 0.0, "hanning"
    options.mel_opts.num_bins, options.use_energy, options.htk_compat = 128, False, True
    bank = knf.OnlineFbank(options)
    bank.accept_waveform(16000, (samples - samples.mean()).astype(np.float32).tolist())
    bank.input_finished()
    return np.array([bank.get_frame(i) for i in range(bank.num_frames_ready)]).T


def formula(samples):
    """The same in double precision, frame by frame, from Kaldi's definitions alone."""

    def mel(hz):
        return 1127 * np.log(1 + hz / 700)

    edges = np.linspace(mel(20), mel(8000), 130)
    bins = mel(np.arange(256) * 31.25)
    weights = np.maximum(0, np.minimum((bins - edges[:-2, None]), (edges[2:, None] - bins)) / (edges[1] - edges[0]))
    samples, rows = samples - samples.mean(), []
    for start in range(0, len(samples) - 399, 160):
        frame = samples[start : start + 400] - samples[start : start + 400].mean()
        frame = frame - 0.97 * np.concatenate([frame[:1], frame[:-1]])
        power = np.abs(np.fft.fft(frame * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 399)), 512)[:256]) ** 2
        rows.append(np.log(np.maximum(weights @ power, 2.0**-23)))
    return np.array(rows).T


def close_to_native(samples):
    """Both compute in single precision: features agree everywhere, logarithms but for a few bands near silence."""
    expected = native(samples)
    log_error = np.abs(heard(plain(), samples) - expected)
    assert log_error.max() < 1e-2
    assert (log_error < 1e-3).mean() > 0.999
    mean, deviation = STATISTICS["audioset"]
    return np.abs(heard(KaldiFbank(), samples) - (expected - mean) / (2 * deviation)).max()


@pytest.mark.parametrize("name", SOUNDS)
def test_it_equals_kaldi_native_fbank(name):
    assert close_to_native(SOUNDS[name]) < 1e-3


@pytest.mark.data
@pytest.mark.parametrize(("corpus", "pattern"), [("esc50_subset_16k", "1-*"), ("speech_commands_small_16k", "*")])
def test_it_equals_kaldi_native_fbank_on_real_clips(shared, corpus, pattern):
    files = sorted((shared / "data" / corpus / "audio").rglob(f"{pattern}.flac"))
    assert len(files) > 100
    for file in files[:: len(files) // 10]:
        samples, rate_hz = soundfile.read(file)
        assert rate_hz == 16000
        assert close_to_native(samples) < 1e-3, file.name


@pytest.mark.parametrize("name", SOUNDS)
def test_it_equals_the_formula_in_double_precision(name):
    ours = heard(plain(), SOUNDS[name], torch.float64)
    np.testing.assert_allclose(ours, formula(SOUNDS[name]), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("n_samples", "n_frames"), [(400, 1), (559, 1), (560, 2), (16000, 98), (80000, 498)])
def test_only_whole_frames_count(n_samples, n_frames):
    frontend = KaldiFbank()
    assert frontend.axes(n_samples).n_frames == n_frames == frontend(torch.zeros(1, n_samples)).shape[-1]


@pytest.mark.parametrize(("seconds", "frames"), [(5, 512), (1, 128), (1, 50), (0.025, 7)])
def test_frames_are_padded_with_zeros_or_cut(seconds, frames):
    samples = 0.1 * np.random.default_rng(1).standard_normal(round(16000 * seconds))
    mean, deviation = STATISTICS["esc50"]
    frontend = KaldiFbank(frames=frames, mean=mean, deviation=deviation)
    features, whole = heard(frontend, samples), heard(plain(), samples)
    real = min(frames, whole.shape[1])
    assert features.shape == (128, frames)
    assert frontend.axes(len(samples)).n_frames == frames
    np.testing.assert_allclose(features[:, :real], (whole[:, :real] - mean) / (2 * deviation), atol=1e-5)
    np.testing.assert_allclose(features[:, real:], frontend.mask_value, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "value"), [("audioset", 0.467032), ("esc50", 0.618349), ("speech_commands_v2", 0.615042)]
)
def test_the_mask_value_is_a_zero_after_normalisation(name, value):
    mean, deviation = STATISTICS[name]
    frontend = KaldiFbank(mean=mean, deviation=deviation)
    assert frontend.mask_value == pytest.approx(value, abs=1e-6)
    assert frontend.axes(16000).mask_value == -mean / (2 * deviation) == frontend.mask_value
    assert plain().axes(16000).mask_value == 0.0


def test_an_offset_is_not_heard():
    samples = SOUNDS["noise"]
    np.testing.assert_allclose(
        heard(plain(), samples + 0.25, torch.float64), heard(plain(), samples, torch.float64), atol=1e-9
    )


def test_twice_the_sound_is_four_times_the_power():
    samples = SOUNDS["noise"]
    once, twice = (heard(plain(), factor * samples, torch.float64) for factor in (1, 2))
    above = once > math.log(FLOOR) + 0.1
    np.testing.assert_allclose((twice - once)[above], math.log(4))
    assert above.mean() > 0.95


@pytest.mark.parametrize("hz", [100.0, 440.0, 3000.0, 7000.0])
def test_a_tone_is_loudest_at_its_band(hz):
    frontend = plain()
    level = heard(frontend, 0.3 * np.sin(2 * np.pi * hz * TIME)).mean(-1)
    band_hz = np.array(frontend.axes(16000).band_hz)
    assert abs(band_hz[level.argmax()] - hz) < 40 + 0.03 * hz


@pytest.mark.parametrize("rate_hz", [1000, 8000, 44100])
def test_other_rates_are_resampled(rate_hz):
    frontend, time = plain(input_rate_hz=rate_hz), np.arange(2 * rate_hz) / rate_hz
    level = heard(frontend, 0.3 * np.sin(2 * np.pi * 300.0 * time))
    expected = heard(plain(), 0.3 * np.sin(2 * np.pi * 300.0 * TIME))
    assert level.shape == expected.shape
    loudest = expected.mean(-1).argmax()
    np.testing.assert_allclose(level[loudest, 10:-10], expected[loudest, 10:-10], atol=0.01)
    unheard = np.array(frontend.axes(2 * rate_hz).band_hz) > 0.55 * rate_hz
    assert (level[unheard, 10:-10] < expected[loudest].mean() - 12).all()


def test_silence_lies_at_the_floor():
    level = heard(plain(), np.zeros(16000))
    np.testing.assert_allclose(level, math.log(2.0**-23), rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"input_rate_hz": 0}, "input_rate_hz must be at least 1, got 0"),
        ({"frames": 0}, "frames must be at least 1, or None, got 0"),
        ({"deviation": 0.0}, "deviation must be above 0 and finite, got 0.0"),
        ({"deviation": math.nan}, "deviation must be above 0"),
        ({"mean": math.inf}, "mean must be finite, got inf"),
        ({"mel_bands": 0}, "at least one band"),
    ],
)
def test_wrong_arguments(arguments, said):
    with pytest.raises(HearlessError, match=said):
        KaldiFbank(**arguments)


def test_wrong_observations():
    with pytest.raises(HearlessError, match="window of 25 ms, got 399 samples at 16000 Hz; pad"):
        KaldiFbank(frames=128)(torch.zeros(1, 399))
    with pytest.raises(HearlessError, match=r"floating-point samples \[batch, time\], got torch.int16"):
        KaldiFbank()(torch.zeros(1, 16000, dtype=torch.int16))
    with pytest.raises(HearlessError, match="add a batch axis"):
        KaldiFbank()(torch.zeros(16000))


def test_of_any_clip_length_an_export_knows_how_many_frames_come_out() -> None:
    """Else every size behind it is an expression of the clip's length, and EfficientNetV2 takes an hour to export."""
    free = ({1: torch.export.Dim.DYNAMIC},)
    graph = torch.export.export(KaldiFbank(frames=128), (torch.randn(2, 16000),), dynamic_shapes=free)
    (made,) = (node for node in graph.graph.nodes if node.op == "output")
    assert tuple(made.args[0][0].meta["val"].shape) == (2, 1, 128, 128)
    for n_samples in (8000, 16000, 20000):
        sound = torch.randn(2, n_samples, generator=torch.Generator().manual_seed(n_samples))
        torch.testing.assert_close(graph.module()(sound), KaldiFbank(frames=128)(sound))
