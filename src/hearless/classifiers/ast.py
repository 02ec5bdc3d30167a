"""AST: a transformer over overlapping patches of a spectrogram, the teacher of paper 002.

Source: Gong, Chung, Glass, "AST: audio spectrogram transformer" (Interspeech 2021), network ``base384``, patches of
16 × 16 every 10 bands and 10 frames.  The architecture is that of the package ``transformers``, an optional dependency
(``pip install 'hearless[ast]'``); this file brings weights of four layouts into it: the authors' ``.pth``, the hub's
(``MIT/ast-finetuned-…``), the installed ``transformers``' own, which changed since, and DeiT's, an image network.

What differs from ``transformers``: the layer norms' epsilon is the authors' (1e-6, and 1e-5 in the last layers) instead
of 1e-12; ``state_dict`` has the hub's keys whatever the version installed; features shorter than ``frames`` meet the
middle of the position embeddings, which is what loading the weights at that length would leave.  What differs from the
authors' code: the 1,000 image classes that no output depends on (``v.head``, ``v.head_dist``) are dropped, and so the
counts are 85,757,234 (50 classes, 512 frames) and 85,395,491 (35 classes, 128 frames); paper 002 says 85.70 M.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from math import isqrt
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from hearless.classifiers._checks import check_at_least, check_features, fits, load_strictly, shapes_of
from hearless.interfaces import HearlessError, Prediction, Remote, Weights
from hearless.spec import named

EXAMPLE: dict[str, Any] = {"n_classes": 3, "frames": 66, "width": 64, "depth": 2}

PATCH, STRIDE = 16, 10
BANDS, ROWS = 128, 12
HEAD_WIDTH = 64
BLOCK_EPS, OUTPUT_EPS = 1e-6, 1e-5
FRAMES = (128, 512, 1024)
"""Published lengths: Speech Commands, ESC-50, AudioSet."""

TRUNK = "audio_spectrogram_transformer."
PATCHES, POSITIONS = (TRUNK + f"embeddings.{name}" for name in ("patch_embeddings.projection.", "position_embeddings"))
OUTPUT = "classifier."
IMAGE_CLASSES = ("head.", "head_dist.")

RENAMED = tuple((re.compile(old), new) for old, new in {
    r"^cls_token$": TRUNK + "embeddings.cls_token",
    r"^dist_token$": TRUNK + "embeddings.distillation_token",
    r"^pos_embed$": POSITIONS,
    r"^patch_embed\.proj\.": PATCHES,
    r"^norm\.": TRUNK + "layernorm.",
    r"^mlp_head\.0\.": OUTPUT + "layernorm.",
    r"^mlp_head\.1\.": OUTPUT + "dense.",
    r"^(?:blocks|audio_spectrogram_transformer\.layers)\.": TRUNK + "encoder.layer.",
    r"\.norm1\.": ".layernorm_before.",
    r"\.norm2\.": ".layernorm_after.",
    r"\.attn\.(query|key|value)\.": r".attention.attention.\1.",
    r"\.attention\.q_proj\.": ".attention.attention.query.",
    r"\.attention\.k_proj\.": ".attention.attention.key.",
    r"\.attention\.v_proj\.": ".attention.attention.value.",
    r"\.attn\.proj\.|\.attention\.o_proj\.": ".attention.output.dense.",
    r"\.mlp\.fc1\.": ".intermediate.dense.",
    r"\.mlp\.fc2\.": ".output.dense.",
}.items())  # fmt: skip
"""Keys of the authors, of DeiT and of newer ``transformers``, as the hub's files have them."""


def hub_name(key: str) -> str:
    """Return a key of any layout (less ``v.``, its attention parted) as the hub's files have it."""
    for old, new in RENAMED:
        key = old.sub(new, key)
    return key


def hub_state(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a state dict of any layout in the hub's: keys renamed, attention parted, RGB summed, image classes off."""
    found: dict[str, Any] = {}
    for key, tensor in state.items():
        key = key.removeprefix("v.")
        if ".attn.qkv." in key and isinstance(tensor, Tensor) and tensor.ndim:
            parts = zip(("query", "key", "value"), tensor.chunk(3), strict=False)
            found |= {hub_name(key.replace("qkv", name)): part for name, part in parts}
        elif not key.startswith(IMAGE_CLASSES):
            found[hub_name(key)] = tensor
    return found


def n_patches(length: int) -> int:
    """Return how many patches fit into so many bands or frames."""
    return (length - PATCH) // STRIDE + 1


def fit_axis(grid: Tensor, axis: int, size: int) -> Tensor:
    """Fit one axis of ``[1, width, row, column]`` as the authors do: cut its middle, or interpolate if it is too short.

    The middle starts at ``half the given - half the wanted``, each rounded down; interpolation is bilinear.
    """
    given = grid.shape[axis]
    if size <= given:
        return grid.narrow(axis, given // 2 - size // 2, size)
    sizes = [size if place == axis else grid.shape[place] for place in (2, 3)]
    return F.interpolate(grid, size=sizes, mode="bilinear")


def fit_positions(positions: Tensor, given: tuple[int, int], wanted: tuple[int, int]) -> Tensor:
    """Fit position embeddings ``[1, 2 + row * column, width]`` to another grid of rows and columns.

    Those of the two tokens in front stay.  Columns (time) are fitted first, then rows (bands).
    """
    grid = positions[:, 2:].mT.reshape(1, -1, *given)
    grid = fit_axis(fit_axis(grid, 3, wanted[1]), 2, wanted[0])
    return torch.cat([positions[:, :2], grid.flatten(2).mT], dim=1)


class AST(nn.Module):
    """AST ``base384``: 85,757,234 parameters at 50 classes and 512 frames.

    Features are those of ``KaldiFbank`` with the same ``frames``.  The embedding is the mean of the class and
    distillation tokens; maps are ``blocks.0`` …, ``[batch, token, width]``.  A fine-tuning step at 50 classes and 512
    frames (CPU, float32, Adam, one thread) peaks at 1.8 GiB resident up to 2 clips, 2.2 at 4 and 3.8 at 8, and with
    ``gradient_checkpointing`` at 1.9, 2.1 and 2.7, of which 0.4 are there before the network.

    Args:
        n_classes: number of classes.
        frames: the most frames that features have; published: 1024 (AudioSet), 512 (ESC-50), 128 (Speech Commands).
        width: of a token, a multiple of 64.
        depth: number of blocks.
        gradient_checkpointing: in training, keep only what enters each block and compute the rest again.

    Raises:
        HearlessError: fewer than one class or block, fewer frames than a patch has, a width that is no multiple of 64,
            or ``transformers`` is not installed.
    """

    def __init__(
        self,
        *,
        n_classes: int = 527,
        frames: int = 1024,
        width: int = 768,
        depth: int = 12,
        gradient_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        check_at_least("AST: n_classes", n_classes, 1, "give the number of classes")
        check_at_least("AST: frames", frames, PATCH, "a patch is 16 frames wide")
        check_at_least("AST: depth", depth, 1, "the published depth is 12")
        if width < HEAD_WIDTH or width % HEAD_WIDTH:
            raise HearlessError(f"AST: width must be a multiple of {HEAD_WIDTH}, got {width}; the published is 768.")
        self.n_classes, self.frames, self.min_bands, self.min_frames = n_classes, frames, BANDS, PATCH
        self.columns = n_patches(frames)
        network = architecture(n_classes, frames, width, depth)
        self.audio_spectrogram_transformer, self.classifier = network.audio_spectrogram_transformer, network.classifier
        self.classifier.layernorm.eps = OUTPUT_EPS
        if gradient_checkpointing:
            _checkpoint_blocks(network)
        hooks: Any = self
        hooks.register_state_dict_post_hook(_to_hub)
        hooks.register_load_state_dict_pre_hook(_from_hub)

    def forward(self, features: Tensor, keep: Tensor | None = None, *, maps: bool = False) -> Prediction:
        """Classify normalised log-Mel ``[batch, 1, band, frame]``.

        Args:
            features: 128 bands and 16 to ``frames`` frames.
            keep: 0/1, broadcastable to ``features``, multiplied on them.
            maps: also return what leaves each block.

        Raises:
            HearlessError: another number of bands, or too few or too many frames.
        """
        self._check(features)
        heard = (features if keep is None else features * keep).squeeze(1).mT
        said = functional_call(
            self.audio_spectrogram_transformer, self._positions(heard), (heard,), {"output_hidden_states": maps}
        )
        inner = {f"blocks.{number}": tokens for number, tokens in enumerate(said.hidden_states[1:])} if maps else {}
        return Prediction(self.classifier(said.pooler_output), said.pooler_output, features=features, maps=inner)

    def _check(self, features: Tensor) -> None:
        check_features("AST", features, self.min_bands, self.min_frames)
        bands, frames = features.shape[2], features.shape[3]
        if bands != BANDS or frames > self.frames:
            raise HearlessError(
                f"AST: features must have {BANDS} bands and at most {self.frames} frames, got {bands} bands and "
                f"{frames} frames; set the front end's frames={self.frames}, or AST's frames={frames}."
            )

    def _positions(self, heard: Tensor) -> dict[str, Tensor]:
        """Return, for ``[batch, frame, band]`` shorter than ``frames``, the position embeddings to take instead."""
        columns = n_patches(heard.shape[1])
        if columns == self.columns:
            return {}
        positions = self.audio_spectrogram_transformer.embeddings.position_embeddings
        fitted = fit_positions(positions, (ROWS, self.columns), (ROWS, columns))
        return {"embeddings.position_embeddings": fitted}

    def load_official(self, state: Mapping[str, Tensor], *, replace_output: bool = False) -> None:
        """Load the authors' weights, the hub's or DeiT's strictly, position embeddings fitted to this length.

        DeiT's three input channels become one by summing.  ``replace_output`` keeps this network's own last layers
        (layer norm and linear layer, as the authors' fine-tuning does); DeiT, which has none of them, needs it.

        Raises:
            HearlessError: keys or shapes differ; all kinds of difference are listed.
        """
        given = hub_state(state)
        kernel, positions = given.get(PATCHES + "weight"), given.get(POSITIONS)
        from_image = isinstance(kernel, Tensor) and kernel.ndim == 4 and kernel.shape[1] == 3
        if isinstance(kernel, Tensor) and from_image:
            given[PATCHES + "weight"] = kernel.sum(1, keepdim=True)
        if isinstance(positions, Tensor) and positions.ndim == 3:
            grid = _grid(positions.shape[1], square=from_image)
            given[POSITIONS] = fit_positions(positions, grid, (ROWS, self.columns)) if grid else positions
        load_strictly("AST", self, given, output=OUTPUT, replace_output=replace_output)

    @classmethod
    def recognise(cls, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any] | None:
        """Return the constructor arguments that fit these keys and shapes, or None; ``frames`` as published or least.

        Raises:
            HearlessError: they look like AST's and ``transformers`` is not installed.
        """
        found = shapes_of(hub_state({key: torch.empty(shape, device="meta") for key, shape in shapes.items()}))
        output, positions = found.get(OUTPUT + "dense.weight", ()), found.get(POSITIONS, ())
        grid = _grid(positions[1], square=False) if len(positions) == 3 else None
        if len(output) != 2 or grid is None:
            return None
        _transformers()
        arguments = {
            "n_classes": output[0],
            "frames": next((f for f in FRAMES if n_patches(f) == grid[1]), PATCH + STRIDE * (grid[1] - 1)),
            "width": output[1],
            "depth": sum(key.endswith(".attention.attention.query.weight") for key in found),
        }
        return arguments if fits(cls, arguments, found) else None


def architecture(n_classes: int, frames: int, width: int, depth: int) -> Any:
    """Return ``transformers``' ``ASTForAudioClassification``, randomly initialised, with the authors' block epsilon."""
    theirs = _transformers()
    return theirs.ASTForAudioClassification(
        theirs.ASTConfig(
            hidden_size=width,
            num_hidden_layers=depth,
            num_attention_heads=width // HEAD_WIDTH,
            intermediate_size=4 * width,
            layer_norm_eps=BLOCK_EPS,
            patch_size=PATCH,
            frequency_stride=STRIDE,
            time_stride=STRIDE,
            num_mel_bins=BANDS,
            max_length=frames,
            num_labels=n_classes,
        )
    )


def _checkpoint_blocks(network: Any) -> None:
    """Turn on ``transformers``' own checkpointing by the name that all versions before 6 know."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`gradient_checkpointing_enable` is deprecated", FutureWarning)
        network.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise HearlessError(
            f"AST needs the package transformers, which cannot be imported ({error}); pip install 'hearless[ast]'."
        ) from error
    return transformers


def _grid(n_positions: int, *, square: bool) -> tuple[int, int] | None:
    """Return rows and columns of the patches behind two tokens: of an image, or of a spectrogram of 128 bands."""
    patches = n_positions - 2
    rows = isqrt(max(patches, 0)) if square else ROWS
    return (rows, patches // rows) if patches > 0 and patches % rows == 0 else None


def _to_hub(network: nn.Module, state: dict[str, Any], prefix: str, _metadata: Any) -> None:
    """Give a state dict the hub's keys, whatever version of ``transformers`` made it."""
    for key in [key for key in state if key.startswith(prefix)]:
        state[prefix + hub_name(key.removeprefix(prefix))] = state.pop(key)


def _from_hub(network: nn.Module, state: dict[str, Any], prefix: str, *_rest: Any) -> None:
    """Undo `_to_hub` for the installed version."""
    for name, _ in network.named_parameters():
        if prefix + hub_name(name) in state:
            state[prefix + name] = state.pop(prefix + hub_name(name))


WEIGHTS: dict[str, Weights] = {
    "ast": Weights(
        remote=Remote(
            "https://huggingface.co/MIT/ast-finetuned-audioset-10-10-0.4593/resolve/main/model.safetensors",
            "ast-finetuned-audioset-10-10-0.4593.safetensors",
            None,
        ),
        licence="BSD-3-Clause",
        source="AST, audioset_10_10_0.4593 (https://github.com/YuanGongND/ast), as the MIT organisation keeps it",
        arguments={"n_classes": 527, "frames": 1024},
        frontend=named("frontends", "KaldiFbank", input_rate_hz=16000, frames=1024),
        labels="audioset",
    ),
    "ast_imagenet": Weights(
        remote=Remote(
            "https://dl.fbaipublicfiles.com/deit/deit_base_distilled_patch16_384-d0272ac0.pth",
            "deit_base_distilled_patch16_384-d0272ac0.pth",
            None,
        ),
        licence="Apache-2.0",
        source="DeiT-384: 1,000 classes of images (https://github.com/facebookresearch/deit)",
        arguments={"n_classes": 1000, "frames": 128},
    ),
    "ast_speech_commands": Weights(
        remote=Remote(
            "https://www.dropbox.com/s/q0tbqpwv44pquwy/speechcommands_10_10_0.9812.pth?dl=1",
            "speechcommands_10_10_0.9812.pth",
            None,
        ),
        licence="BSD-3-Clause",
        source="AST, speechcommands_10_10_0.9812 (https://github.com/YuanGongND/ast)",
        arguments={"n_classes": 35, "frames": 128},
    ),
}
"""The last two are starts, no listeners: one knows images, the other words of which hearless has no label set."""
