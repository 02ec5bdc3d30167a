"""PaSST against the published network, torch's own transformer layer, and the laws of patchout."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hearless.classifiers.passt import EXAMPLE, UNUSED, PaSST, TransformerBlock
from hearless.interfaces import HearlessError


def tiny(**more: Any) -> PaSST:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return PaSST(**{**EXAMPLE, **more})


def clips(frames: int = 60, n: int = 2) -> Tensor:
    return torch.randn(n, 1, 36, frames, generator=torch.Generator().manual_seed(6))


def tokens(network: PaSST, seed: int = 0) -> Tensor:
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        return network(clips(), maps=True).maps["blocks.0"]


@pytest.mark.data
def test_keys_shapes_and_logits_are_the_published_ones(shared: Path) -> None:
    known = json.loads((shared / "fixtures" / "passt_s.json").read_text())
    made = runpy.run_path(str(shared / "fixtures" / "name_made_weights.py"))
    with torch.device("meta"):
        network = PaSST(n_classes=10)
    assert {key: list(t.shape) for key, t in network.state_dict().items()} == known["keys"]
    network.load_state_dict(made["fill"](network.state_dict()), assign=True)
    with torch.no_grad():
        logits = network.eval()(made["features"](128, 998)).logits[0]
    expected = torch.tensor(known["logits"])
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize(("n_classes", "parameters"), [(10, 85_358_612), (527, 86_153_758)])
def test_counts_are_the_published_ones(n_classes: int, parameters: int) -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in PaSST(n_classes=n_classes).parameters()) == parameters


def test_a_block_is_torchs_pre_norm_encoder_layer() -> None:
    block = tiny().blocks[0]
    assert isinstance(block, TransformerBlock)
    theirs = nn.TransformerEncoderLayer(
        64, 1, 256, dropout=0.0, activation="gelu", layer_norm_eps=1e-6, batch_first=True, norm_first=True
    )
    names = {"attn.qkv.weight": "self_attn.in_proj_weight", "attn.qkv.bias": "self_attn.in_proj_bias",
             "attn.proj.weight": "self_attn.out_proj.weight", "attn.proj.bias": "self_attn.out_proj.bias",
             "mlp.fc1.weight": "linear1.weight", "mlp.fc1.bias": "linear1.bias",
             "mlp.fc2.weight": "linear2.weight", "mlp.fc2.bias": "linear2.bias"}  # fmt: skip
    theirs.load_state_dict({names.get(key, key): tensor for key, tensor in block.state_dict().items()})
    x = torch.randn(2, 9, 64, generator=torch.manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(block(x), theirs(x), rtol=1e-4, atol=1e-5)


def test_several_heads_are_torchs_attention() -> None:
    attention = tiny(width=128).blocks[0].attn
    theirs = nn.MultiheadAttention(128, 2, batch_first=True)
    theirs.load_state_dict({
        "in_proj_weight": attention.qkv.weight, "in_proj_bias": attention.qkv.bias,
        "out_proj.weight": attention.proj.weight, "out_proj.bias": attention.proj.bias,
    })  # fmt: skip
    x = torch.randn(2, 7, 128, generator=torch.manual_seed(2))
    with torch.no_grad():
        torch.testing.assert_close(attention(x), theirs(x, x, x, need_weights=False)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("patchout", "left"),
    [({}, 15), ({"frequency_patchout": 1}, 10), ({"time_patchout": 2}, 9), ({"patchout": 4}, 11),
     ({"frequency_patchout": 2, "time_patchout": 3, "patchout": 1}, 1)],
)  # fmt: skip
def test_patchout_shortens_the_sequence_in_training_alone(patchout: dict[str, int], left: int) -> None:
    network = tiny(**patchout)
    assert tokens(network.train()).shape[1] == 2 + left
    assert tokens(network.eval()).shape[1] == 2 + 15


def test_training_draws_from_torchs_state_and_evaluation_draws_nothing() -> None:
    network = tiny(patchout=7).train()
    assert torch.equal(tokens(network, 1), tokens(network, 1))
    assert len({tokens(network, seed).sum().item() for seed in range(6)}) > 1
    network.eval()
    with torch.random.fork_rng():
        torch.manual_seed(3)
        before = torch.random.get_rng_state()
        network(clips())
        assert torch.equal(torch.random.get_rng_state(), before)


def test_a_dropped_patch_cannot_be_heard() -> None:
    network = tiny(time_patchout=4).train()
    drawn = []
    for seed in range(12):
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(seed)
            _, places = network._draw(3, 5)
            assert places is not None
            assert len({int(place) % 5 for place in places}) == 1
            drawn.append(int(places[0]) % 5)
    assert len(set(drawn)) > 2


def test_eval_starts_the_time_embedding_at_zero() -> None:
    network, other = tiny().eval(), torch.randn(1, 64, 1, 9, generator=torch.manual_seed(4))
    with torch.no_grad():
        before = network(clips()).logits
        network.time_new_pos_embed[..., 5:] = other[..., 5:]
        assert torch.equal(network(clips()).logits, before)
        network.time_new_pos_embed[..., 4] = other[..., 4]
        assert not torch.allclose(network(clips()).logits, before)


def test_the_second_output_layer_is_never_used() -> None:
    network = tiny().eval()
    before = network(clips()).logits
    with torch.no_grad():
        for key in UNUSED:
            network.get_parameter(key).add_(1.0)
    assert torch.equal(network(clips()).logits, before)


def test_weights_of_more_bands_give_their_lowest_rows() -> None:
    high, low = tiny(n_bands=56), tiny(n_classes=5)
    low.load_official(high.state_dict(), replace_output=True)
    assert torch.equal(low.freq_new_pos_embed, high.freq_new_pos_embed[:, :, :3])
    assert low.head[1].weight.shape == (5, 64)
    assert torch.equal(low.head[0].weight, high.head[0].weight)


def test_wrong_arguments_and_clips() -> None:
    with pytest.raises(HearlessError, match="width must be a multiple of 64, got 100"):
        PaSST(width=100)
    with pytest.raises(HearlessError, match="n_bands must be at least 16, got 15"):
        PaSST(n_bands=15)
    with pytest.raises(HearlessError, match=r"patchout must be 0 or more and leave some of 3 × 9 patches, got \(3, 0"):
        tiny(frequency_patchout=3)
    with pytest.raises(HearlessError, match="36 bands and fewer than 106 frames, got 36 bands and 106 frames"):
        tiny()(clips(106))
    with pytest.raises(HearlessError, match=r"36 bands and .* got 46 bands"):
        tiny()(torch.zeros(1, 1, 46, 40))
