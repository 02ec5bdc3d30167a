"""PaSST: a transformer over patches of a spectrogram that is trained on some of the patches only.

Source: Koutini et al., "Efficient training of audio transformers with patchout" (Interspeech 2022), network
``passt_s_swa_p16_128_ap476``; paper 004 takes six of them as teachers.  Keys, shapes and outputs are the published
ones.  What differs from the published code: a clip longer than the position embeddings is an error instead of being
cut; fewer bands keep the lowest rows of the frequency embedding; and patchout and the embedding's random start are
drawn from a generator of their own, seeded from torch's global state, in training only.

The released files hold a second output layer, ``head_dist``, which the published network never uses; nor does this one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hearless.classifiers._checks import check_at_least, check_features, fits, load_strictly
from hearless.interfaces import HearlessError, Prediction, Remote, Weights
from hearless.spec import named

EXAMPLE: dict[str, Any] = {"n_classes": 3, "n_bands": 36, "max_frames": 96, "width": 64, "depth": 2}

UNUSED = ("head_dist.weight", "head_dist.bias")
"""Published parameters that no output depends on."""

PATCH = 16
STRIDE = 10
HEAD_WIDTH = 64
LAYER_EPS = 1e-6


class Attention(nn.Module):
    """Self-attention of ``width / 64`` heads."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.n_heads = width // HEAD_WIDTH
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[batch, token, width]``."""
        query, key, value = self.qkv(x).unflatten(-1, (3, self.n_heads, HEAD_WIDTH)).permute(2, 0, 3, 1, 4).unbind(0)
        mixed: Tensor = self.proj(F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))
        return mixed


class TransformerBlock(nn.Module):
    """Attention, then two linear layers, each normalised before and added to its input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=LAYER_EPS)
        self.attn = Attention(width)
        self.norm2 = nn.LayerNorm(width, eps=LAYER_EPS)
        self.mlp = nn.Sequential(
            OrderedDict(fc1=nn.Linear(width, 4 * width), act=nn.GELU(), fc2=nn.Linear(4 * width, width))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[batch, token, width]``."""
        x = x + self.attn(self.norm1(x))
        y: Tensor = x + self.mlp(self.norm2(x))
        return y


class PatchEmbedding(nn.Module):
    """Overlapping patches → vectors, kept under their published key."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(1, width, PATCH, stride=STRIDE)

    def forward(self, x: Tensor) -> Tensor:
        """Turn ``[batch, 1, band, frame]`` into ``[batch, width, patch, patch]``."""
        patches: Tensor = self.proj(x)
        return patches


def n_patches(length: int) -> int:
    """Return how many patches fit into so many bands or frames."""
    return (length - PATCH) // STRIDE + 1


def kept(total: int, dropped: int, generator: torch.Generator) -> Tensor:
    """Draw which of ``total`` places stay when ``dropped`` go, in order."""
    return torch.randperm(total, generator=generator)[: total - dropped].sort().values


class PaSST(nn.Module):
    """PaSST-S: 85,358,612 parameters at ten classes.

    Features are the normalised log-Mel of ``PreEmphasisMel`` (its defaults).  The embedding is the mean of the class
    and distillation tokens; maps are ``blocks.0`` …, ``[batch, token, width]``.

    Args:
        n_classes: number of classes.
        n_bands: bands of the features; published: 128.
        max_frames: the longest clip in frames; published: 998 (10 s; up to 1,005 fit).
        width: of a token, a multiple of 64.
        depth: number of blocks.
        frequency_patchout: rows of patches left out of each training batch.
        time_patchout: columns left out.
        patchout: patches left out of what remains.

    Raises:
        HearlessError: fewer than one class or block, a size below a patch, a width that is no multiple of 64, or
            patchout that leaves nothing.
    """

    def __init__(
        self,
        *,
        n_classes: int = 527,
        n_bands: int = 128,
        max_frames: int = 998,
        width: int = 768,
        depth: int = 12,
        frequency_patchout: int = 0,
        time_patchout: int = 0,
        patchout: int = 0,
    ) -> None:
        super().__init__()
        check_at_least("PaSST: n_classes", n_classes, 1, "give the number of classes")
        check_at_least("PaSST: n_bands", n_bands, PATCH, "a patch is 16 bands high")
        check_at_least("PaSST: max_frames", max_frames, PATCH, "a patch is 16 frames wide")
        check_at_least("PaSST: depth", depth, 1, "the published depth is 12")
        if width < HEAD_WIDTH or width % HEAD_WIDTH:
            raise HearlessError(f"PaSST: width must be a multiple of {HEAD_WIDTH}, got {width}; the published is 768.")
        self.n_classes, self.n_bands, self.min_bands, self.min_frames = n_classes, n_bands, n_bands, PATCH
        self.rows, self.columns = n_patches(n_bands), n_patches(max_frames)
        self.patchout = (frequency_patchout, time_patchout, patchout)
        if min(self.patchout) < 0 or frequency_patchout >= self.rows or time_patchout >= self.columns:
            raise HearlessError(
                f"PaSST: patchout must be 0 or more and leave some of {self.rows} × {self.columns} patches, got "
                f"{self.patchout}; DCASE23 dropped 6 rows of 12."
            )
        self.cls_token, self.dist_token = (nn.Parameter(torch.zeros(1, 1, width)) for _ in range(2))
        self.new_pos_embed = nn.Parameter(torch.zeros(1, 2, width))
        self.freq_new_pos_embed = nn.Parameter(torch.zeros(1, width, self.rows, 1))
        self.time_new_pos_embed = nn.Parameter(torch.zeros(1, width, 1, self.columns))
        self.patch_embed = PatchEmbedding(width)
        self.blocks = nn.Sequential(*(TransformerBlock(width) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, eps=LAYER_EPS)
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, n_classes))
        self.head_dist = nn.Linear(width, n_classes)
        initialise(self)

    def forward(self, features: Tensor, keep: Tensor | None = None, *, maps: bool = False) -> Prediction:
        """Classify normalised log-Mel ``[batch, 1, band, frame]``.

        Args:
            features: ``n_bands`` bands and 16 to about ``max_frames`` frames.
            keep: 0/1, broadcastable to ``features``, multiplied on them.
            maps: also return what leaves each block.

        Raises:
            HearlessError: another number of bands, or too few or too many frames.
        """
        self._check(features)
        x = self._tokens(self.patch_embed(features if keep is None else features * keep))
        inner: dict[str, Tensor] = {}
        for number, block in enumerate(self.blocks):
            x = inner[f"blocks.{number}"] = block(x)
        embedding = self.norm(x)[:, :2].mean(1)
        return Prediction(self.head(embedding), embedding, features=features, maps=inner if maps else {})

    def _check(self, features: Tensor) -> None:
        check_features("PaSST", features, self.min_bands, self.min_frames)
        rows, columns = n_patches(features.shape[2]), n_patches(features.shape[3])
        if rows != self.rows or columns > self.columns:
            raise HearlessError(
                f"PaSST: features must have {self.n_bands} bands and fewer than {STRIDE * self.columns + PATCH} "
                f"frames, got {features.shape[2]} bands and {features.shape[3]} frames; set n_bands or a shorter "
                "clip_s."
            )

    def _tokens(self, patches: Tensor) -> Tensor:
        """Add positions to ``[batch, width, row, column]``, drop patches in training, put the two tokens in front."""
        rows, columns = patches.shape[2:]
        start, places = self._draw(rows, columns) if self.training else (0, None)
        x = patches + self.time_new_pos_embed[..., start : start + columns] + self.freq_new_pos_embed
        x = x.flatten(2).transpose(1, 2)
        if places is not None:
            x = x[:, places.to(x.device)]
        tokens = torch.cat([self.cls_token, self.dist_token], 1) + self.new_pos_embed
        return torch.cat([tokens.expand(len(x), -1, -1), x], dim=1)

    def _draw(self, rows: int, columns: int) -> tuple[int, Tensor | None]:
        """Draw where the time embedding starts and which patches stay (None: all)."""
        generator = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
        start = int(torch.randint(self.columns - columns + 1, (), generator=generator))
        if not any(self.patchout):
            return start, None
        over_time = min(self.patchout[1], columns - 1)
        kept_columns = kept(columns, over_time, generator)
        kept_rows = kept(rows, self.patchout[0], generator)
        places = (kept_rows[:, None] * columns + kept_columns).flatten()
        return start, places[kept(len(places), min(self.patchout[2], len(places) - 1), generator)]

    def load_official(self, state: Mapping[str, Tensor], *, replace_output: bool = False) -> None:
        """Load a published state dict strictly, its frequency embedding cut to this network's lowest rows.

        ``replace_output`` keeps this network's own last layers (``head.1`` and the unused ``head_dist``).
        """
        given = dict(state)
        rows = given.get("freq_new_pos_embed")
        if isinstance(rows, Tensor) and rows.ndim == 4:
            given["freq_new_pos_embed"] = rows[:, :, : self.rows]
        if replace_output:
            own = self.state_dict()
            given |= {key: own[key] for key in UNUSED}
        load_strictly("PaSST", self, given, output="head.1.", replace_output=replace_output)

    @classmethod
    def recognise(cls, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any] | None:
        """Return the constructor arguments, patchout apart, that fit these keys and shapes, or None."""
        wanted = ("head.1.weight", "freq_new_pos_embed", "time_new_pos_embed")
        output, frequency, time = (shapes.get(key, ()) for key in wanted)
        if (len(output), len(frequency), len(time)) != (2, 4, 4):
            return None
        arguments = {
            "n_classes": output[0],
            "n_bands": STRIDE * frequency[2] + 8,
            "max_frames": STRIDE * time[3] + 8,
            "width": output[1],
            "depth": sum(key.endswith("attn.qkv.weight") for key in shapes),
        }
        return arguments if fits(cls, arguments, shapes) else None


def initialise(network: PaSST) -> None:
    """Truncated normal of deviation 0.02 for tokens, positions and linear layers, biases 0."""
    for name in ("cls_token", "dist_token", "new_pos_embed", "freq_new_pos_embed", "time_new_pos_embed"):
        nn.init.trunc_normal_(getattr(network, name), std=0.02)
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)


WEIGHTS: dict[str, Weights] = {
    "passt_s": Weights(
        remote=Remote(
            "https://github.com/kkoutini/PaSST/releases/download/v0.0.1-audioset/passt-s-f128-p16-s10-ap.476-swa.pt",
            "passt-s-f128-p16-s10-ap.476-swa.pt",
            None,
        ),
        licence="Apache-2.0",
        source="PaSST, release v0.0.1-audioset (https://github.com/kkoutini/PaSST)",
        arguments={"n_classes": 527},
        frontend=named("frontends", "PreEmphasisMel", input_rate_hz=32000),
        labels="audioset",
    ),
}
