"""What a transcoder's features sound like: heard again by the classifier's own front end, and by the level sensor."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from hearless import audio
from hearless.captures.third_octave import ThirdOctave
from hearless.enhancers._folding import TARGETS
from hearless.enhancers._sounding import EARS, magnitudes, mel_axes, sounded
from hearless.enhancers.cnn_transcoder import CNNTranscoder
from hearless.enhancers.light_transcoder import LightTranscoder
from hearless.enhancers.pinv_transcoder import PINVTranscoder
from hearless.enhancers.time_frequency_enhancer import TimeFrequencyEnhancer
from hearless.frontends.log_mel import LogMel
from hearless.frontends.preemphasis_mel import PreEmphasisMel
from hearless.frontends.yamnet_mel import YAMNetMel
from hearless.interfaces import HearlessError, Transcoder

FRONTENDS: dict[str, nn.Module] = {
    "pann": LogMel(input_rate_hz=32000, reference_rate_hz=32000),
    "yamnet": YAMNetMel(),
    "mn04": PreEmphasisMel(),
}
DB_PER_UNIT = {"pann": 1.0, "yamnet": 20 / 2.302585, "mn04": 50 / 2.302585}
"""YAMNet's logarithm is of magnitudes."""


def draws() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def sound(rate_hz: int, seconds: float = 1.0) -> Tensor:
    """Return a gliding tone in noise ``[1, time]``."""
    time_s = torch.arange(round(seconds * rate_hz)) / rate_hz
    noise = torch.randn(len(time_s), generator=draws())
    return (0.2 * torch.sin(2 * torch.pi * (400 * time_s + 600 * time_s**2)) + 0.02 * noise)[None]


@pytest.mark.parametrize("target", TARGETS)
def test_a_front_end_hears_nearly_its_features_again(target: str) -> None:
    """Its own features are the true ones, as learned transcoders imitate them; a noise's flutter is lost."""
    frontend, rate_hz = FRONTENDS[target], EARS[target].analysis.rate_hz
    features = frontend(sound(rate_hz))
    given = features[..., : TARGETS[target].n_frames(8, 8)]
    samples, found_hz = sounded(given, target, draws(), learned=True)
    assert (samples.shape, found_hz) == ((1, rate_hz), rate_hz)
    again = frontend(samples)[..., : given.shape[-1]]
    inside = (given[..., 5:-5], again[..., 5:-5])
    assert torch.corrcoef(torch.stack([each.flatten() for each in inside]))[0, 1] > (0.95 if target == "mn04" else 0.8)
    assert (DB_PER_UNIT[target] * (inside[1] - inside[0])).median().abs() < 1.0


@pytest.mark.parametrize("target", TARGETS)
def test_a_level_sensor_hears_its_levels_again(target: str) -> None:
    """PINV measures noise 1.76 dB too low (a tone's peak bin is its window's measure), mn04's window 2.8 dB."""
    capture, transcoder = ThirdOctave(), PINVTranscoder(target=target)
    noise = 0.05 * torch.randn(1, 64000, generator=draws())
    levels = capture(noise, 32000)
    samples, rate_hz = transcoder.sound(transcoder(levels[:, None]), draws())
    assert samples.shape == (1, 2 * rate_hz)
    apart_db = (capture(samples, rate_hz) - levels)[0, 14:26, 2:-2].mean(1)
    bias_db = {"pann": -1.76, "yamnet": -0.7, "mn04": -2.9}[target]
    assert apart_db.tolist() == pytest.approx([bias_db] * 12, abs=1.0)


def test_a_tone_keeps_its_place_and_its_level() -> None:
    time_s = torch.arange(64000) / 32000
    levels = ThirdOctave()(0.2 * torch.sin(2 * torch.pi * 1000 * time_s)[None], 32000)
    samples, rate_hz = (made := PINVTranscoder()).sound(made(levels[:, None]), draws())
    again = ThirdOctave()(samples, rate_hz)[0, :, 2:-2].mean(1)
    assert int(again.argmax()) == 17  # 1 kHz
    assert float(again[17]) == pytest.approx(float(levels[0, 17].mean()), abs=2.5)


@pytest.mark.parametrize("target", TARGETS)
def test_bands_and_logarithms_are_the_front_ends(target: str) -> None:
    true = FRONTENDS[target].axes(EARS[target].analysis.rate_hz)
    assert mel_axes(target, true.n_frames).band_hz == pytest.approx(true.band_hz)
    assert mel_axes(target, 7).n_frames == 7
    assert mel_axes(target, 7).frame_s == true.frame_s
    mel = torch.logspace(-4, 6, 50, dtype=torch.float64)
    torch.testing.assert_close(EARS[target].mel(TARGETS[target].log(mel)), mel)


def test_learned_features_of_yamnet_are_of_magnitudes() -> None:
    features = torch.full((1, 1, 64, 96), 2.0)
    power, magnitude = (magnitudes(features, "yamnet", learned=learned) for learned in (False, True))
    torch.testing.assert_close(power.square(), magnitude)
    for made, learned in ((PINVTranscoder(target="yamnet"), False), (CNNTranscoder(target="yamnet"), True)):
        expected, _ = sounded(features, "yamnet", draws(), learned=learned)
        assert torch.equal(made.sound(features, draws())[0], expected)


@pytest.mark.parametrize("made", [PINVTranscoder(), CNNTranscoder(channels=2, layers=2), LightTranscoder(channels=2)])
def test_transcoders_are_known_by_their_promise(made: nn.Module) -> None:
    assert isinstance(made, Transcoder)
    assert not isinstance(TimeFrequencyEnhancer(), Transcoder)
    assert made.axes(101).band_hz[0] == pytest.approx(FRONTENDS["pann"].axes(32000).band_hz[0])


def test_half_a_second_of_slow_levels_lasts_a_second() -> None:
    """The shortest log is one level."""
    made = PINVTranscoder(target="mn04", interval="slow")
    samples, rate_hz = made.sound(made(torch.zeros(1, 1, 29, 1)), draws())
    assert samples.shape == (1, rate_hz)


@pytest.mark.parametrize(
    ("features", "said"),
    [
        (torch.zeros(1, 1, 128, 101), r"features must be \[batch, 1, 64, frame\]"),
        (torch.zeros(64, 101), "to be heard, got"),
        (torch.full((1, 1, 64, 101), torch.inf), "finite and of sound"),
        (torch.full((1, 1, 64, 101), torch.nan), "finite and of sound"),
    ],
)
def test_what_no_sound_has_is_refused(features: Tensor, said: str) -> None:
    with pytest.raises(HearlessError, match=said):
        PINVTranscoder().sound(features, draws())


@pytest.mark.data
def test_the_released_transcoder_is_heard_as_it_was_made(shared: Path) -> None:
    """Features of real clips; measured 0.998 and more."""
    made, frontend = CNNTranscoder(), FRONTENDS["pann"]
    made.load_state_dict(load_file(shared / "fixtures" / "transcoder" / "pann_mels.safetensors"))
    for clip in sorted((shared / "fixtures" / "transcoder" / "clips_32k").glob("*.flac"))[:2]:
        waveform, rate_hz = audio.read(clip, 32000, 0.0, 2.0)
        with torch.inference_mode():
            features = made(ThirdOctave()(torch.from_numpy(waveform)[None], rate_hz)[:, None])
            again = frontend(made.sound(features, draws())[0])
        assert torch.corrcoef(torch.stack([features.flatten(), again.flatten()]))[0, 1] > 0.99
