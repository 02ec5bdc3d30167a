"""AST against its own formula from the authors' tensors, in four layouts of weights; position laws and wrong input."""

from __future__ import annotations

import copy
import math
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from hearless.classifiers import _official
from hearless.classifiers._official import read_state
from hearless.classifiers.ast import AST, EXAMPLE, WEIGHTS, fit_axis, fit_positions
from hearless.frontends.kaldi_fbank import KaldiFbank
from hearless.interfaces import HearlessError
from hearless.pipeline import Pipeline, PipelineSpec
from hearless.spec import named, spec

WIDTH, DEPTH, HEADS, CLASSES = 128, 2, 2, 3
FRAMES, COLUMNS = 66, 6


def tiny(**more: Any) -> AST:
    """A network of two blocks and two heads in double precision, so that an epsilon shows."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        sizes = {"n_classes": CLASSES, "frames": FRAMES, "width": WIDTH, "depth": DEPTH}
        return AST(**{**sizes, **more}).double().eval()


def bare(**more: Any) -> AST:
    with torch.device("meta"):
        return AST(**more)


def clips(frames: int = FRAMES, n: int = 2) -> Tensor:
    return torch.randn(n, 1, 128, frames, generator=torch.Generator().manual_seed(6), dtype=torch.float64)


def image_state(positions: int = 2 + 24 * 24, channels: int = 3) -> dict[str, Tensor]:
    """DeiT's keys, tiny: random, layer norms too."""
    rng, w = torch.Generator().manual_seed(7), WIDTH
    sizes: dict[str, tuple[int, ...]] = {"cls_token": (1, 1, w), "dist_token": (1, 1, w)}
    sizes |= {"pos_embed": (1, positions, w), "patch_embed.proj.weight": (w, channels, 16, 16)}
    sizes |= {"patch_embed.proj.bias": (w,), "norm.weight": (w,), "norm.bias": (w,)}
    for block in (f"blocks.{number}." for number in range(DEPTH)):
        sizes |= {f"{block}norm{n}.{part}": (w,) for n in (1, 2) for part in ("weight", "bias")}
        layers = {"attn.qkv": (3 * w, w), "attn.proj": (w, w), "mlp.fc1": (4 * w, w), "mlp.fc2": (w, 4 * w)}
        for name, size in layers.items():
            sizes |= {f"{block}{name}.weight": size, f"{block}{name}.bias": size[:1]}
    for head in ("head", "head_dist"):
        sizes |= {f"{head}.weight": (10, w), f"{head}.bias": (10,)}
    return {key: 0.2 * torch.randn(size, generator=rng, dtype=torch.float64) for key, size in sizes.items()}


def authors_state(columns: int = COLUMNS) -> dict[str, Tensor]:
    """The authors' keys, tiny, as in their files but for ``module.``."""
    state = {f"v.{key}": tensor for key, tensor in image_state(2 + 12 * columns, channels=1).items()}
    rng = torch.Generator().manual_seed(8)
    sizes = {"0.weight": (WIDTH,), "0.bias": (WIDTH,), "1.weight": (CLASSES, WIDTH), "1.bias": (CLASSES,)}
    drawn = {f"mlp_head.{k}": torch.randn(size, generator=rng, dtype=torch.float64) for k, size in sizes.items()}
    return state | drawn


def norm(x: Tensor, state: Mapping[str, Tensor], name: str, eps: float) -> Tensor:
    scaled = (x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + eps).sqrt()
    return scaled * state[f"{name}.weight"] + state[f"{name}.bias"]


def linear(x: Tensor, state: Mapping[str, Tensor], name: str) -> Tensor:
    return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def computed(state: Mapping[str, Tensor], x: Tensor) -> Iterator[Tensor]:
    """Yield what leaves each block and then the embedding, from the authors' tensors."""
    patches = F.conv2d(x, state["v.patch_embed.proj.weight"], state["v.patch_embed.proj.bias"], stride=10)
    tokens = [state[f"v.{name}_token"].expand(len(x), -1, -1) for name in ("cls", "dist")]
    x = torch.cat([*tokens, patches.flatten(2).mT], 1) + state["v.pos_embed"]
    for block in (f"v.blocks.{number}." for number in range(DEPTH)):
        qkv = linear(norm(x, state, block + "norm1", 1e-6), state, block + "attn.qkv")
        query, key, value = qkv.reshape(len(x), -1, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        heard = (query @ key.mT / math.sqrt(WIDTH // HEADS)).softmax(-1) @ value
        x = x + linear(heard.transpose(1, 2).flatten(2), state, block + "attn.proj")
        hidden = linear(norm(x, state, block + "norm2", 1e-6), state, block + "mlp.fc1")
        x = x + linear(hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2))), state, block + "mlp.fc2")
        yield x
    yield norm(x, state, "v.norm", 1e-6)[:, :2].mean(1)


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def theirs(**more: Any) -> Any:
    """The installed package's own network, of the same size."""
    from transformers import ASTConfig, ASTForAudioClassification

    config = ASTConfig(
        hidden_size=WIDTH, num_hidden_layers=DEPTH, num_attention_heads=HEADS, intermediate_size=4 * WIDTH,
        max_length=FRAMES, num_labels=CLASSES, **more,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(9)
        network = ASTForAudioClassification(config).double().eval()
        for parameter in network.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    return network


@pytest.mark.parametrize(
    ("n_classes", "frames", "parameters", "positions"),
    [(50, 512, 85_757_234, 602), (35, 128, 85_395_491, 146)],
)
def test_counts_are_the_published_ones(n_classes: int, frames: int, parameters: int, positions: int) -> None:
    network = bare(n_classes=n_classes, frames=frames)
    assert sum(p.numel() for p in network.parameters()) == parameters
    assert network.audio_spectrogram_transformer.embeddings.position_embeddings.shape == (1, positions, 768)


def test_the_authors_weights_compute_what_the_formula_says() -> None:
    network, state = tiny(), authors_state()
    network.load_official(state)
    with torch.no_grad():
        said = network(clips(), maps=True)
    *blocks, embedding = computed(state, clips())
    assert list(said.maps) == ["blocks.0", "blocks.1"]
    for found, expected in zip(said.maps.values(), blocks, strict=True):
        close(found, expected)
    close(said.embedding, embedding)
    close(said.logits, linear(norm(embedding, state, "mlp_head.0", 1e-5), state, "mlp_head.1"))


def test_an_authors_file_is_read_less_module_and_image_classes(tmp_path: Path) -> None:
    torch.save({f"module.{key}": tensor for key, tensor in authors_state().items()}, tmp_path / "ast.pth")
    one, other = tiny(), tiny()
    one.load_official(read_state(tmp_path / "ast.pth"))
    other.load_official({key: t for key, t in authors_state().items() if not key.startswith("v.head")})
    for key, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[key])


def test_state_dicts_have_the_hubs_keys_whatever_is_installed() -> None:
    trunk, layer = "audio_spectrogram_transformer.", "audio_spectrogram_transformer.encoder.layer.0."
    embeddings = ("cls_token", "distillation_token", "position_embeddings")
    layers = ["attention.attention.query", "attention.attention.key", "attention.attention.value"]
    layers += ["attention.output.dense", "intermediate.dense", "output.dense", "layernorm_before", "layernorm_after"]
    names = [trunk + "embeddings.patch_embeddings.projection", trunk + "layernorm", *(layer + name for name in layers)]
    names += ["classifier.layernorm", "classifier.dense"]
    expected = {f"{trunk}embeddings.{name}" for name in embeddings}
    expected |= {f"{name}.{part}" for name in names for part in ("weight", "bias")}
    assert set(bare(**{**EXAMPLE, "depth": 1}).state_dict()) == expected


@pytest.mark.parametrize("layout", ["hub", "installed"])
def test_the_hubs_weights_say_what_transformers_says(layout: str, tmp_path: Path) -> None:
    reference, network = theirs(layer_norm_eps=1e-6), tiny()
    reference.classifier.layernorm.eps = 1e-5
    network.load_official(reference.state_dict())
    if layout == "hub":
        save_file(network.state_dict(), tmp_path / "model.safetensors")
        network = tiny(n_classes=CLASSES)
        network.load_official(read_state(tmp_path / "model.safetensors"))
    with torch.no_grad():
        expected = reference(clips()[:, 0].mT).logits
        assert torch.equal(network(clips()).logits, expected)


def test_the_authors_epsilon_is_next_to_that_of_transformers() -> None:
    reference, network = theirs(), tiny()
    network.load_official(reference.state_dict())
    with torch.no_grad():
        expected, found = reference(clips()[:, 0].mT).logits, network(clips()).logits
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    assert not torch.equal(found, expected)


def test_an_image_network_starts_it_rgb_summed_and_positions_fitted(tmp_path: Path) -> None:
    image = image_state()
    torch.save({"model": image}, tmp_path / "deit.pth")
    network = tiny(frames=306)
    own = {key: tensor.clone() for key, tensor in network.classifier.state_dict().items()}
    network.load_official(read_state(tmp_path / "deit.pth"), replace_output=True)
    for key, tensor in network.classifier.state_dict().items():
        assert torch.equal(tensor, own[key])
    grid = image["pos_embed"][0, 2:].reshape(24, 24, WIDTH)[6:18].permute(0, 2, 1)  # the middle rows
    wider = F.interpolate(grid, size=30, mode="linear").permute(0, 2, 1).reshape(1, 360, WIDTH)
    state = {f"v.{key}": tensor for key, tensor in image.items()}
    state["v.pos_embed"] = torch.cat([image["pos_embed"][:, :2], wider], 1)
    state["v.patch_embed.proj.weight"] = image["patch_embed.proj.weight"].sum(1, keepdim=True)
    with torch.no_grad():
        close(network(clips(306)).embedding, list(computed(state, clips(306)))[-1])


def test_a_grey_image_is_heard_as_by_the_image_network() -> None:
    image, network, x = image_state(), tiny(frames=246), clips(246)
    network.load_official(image, replace_output=True)
    kernel, bias = image["patch_embed.proj.weight"], image["patch_embed.proj.bias"]
    grey = F.conv2d(x.expand(-1, 3, -1, -1), kernel, bias, stride=10)
    with torch.no_grad():
        found = network.audio_spectrogram_transformer.embeddings.patch_embeddings(x[:, 0].mT)
    close(found, grey.flatten(2).mT)


def test_an_image_network_alone_has_no_last_layers() -> None:
    with pytest.raises(HearlessError, match=r"missing classifier\.layernorm\.weight.*replace_output=True"):
        tiny().load_official(image_state())


def places(rows: int, columns: int) -> Tensor:
    """Positions that name themselves: -1 and -2 for the tokens, then 1000 row + column."""
    grid = 1000.0 * torch.arange(rows)[:, None] + torch.arange(columns)
    return torch.cat([torch.tensor([-1.0, -2.0]), grid.flatten()])[None, :, None]


@pytest.mark.parametrize(
    ("given", "wanted", "rows", "columns"),
    [
        ((12, 101), (12, 50), (0, 12), (25, 75)),  # AudioSet for ESC-50
        ((12, 101), (12, 12), (0, 12), (44, 56)),  # for Speech Commands
        ((12, 101), (12, 49), (0, 12), (26, 75)),
        ((24, 24), (12, 12), (6, 18), (6, 18)),  # an image network for Speech Commands
        ((12, 101), (12, 101), (0, 12), (0, 101)),
    ],
)
def test_shorter_grids_keep_the_middle(
    given: tuple[int, int], wanted: tuple[int, int], rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    found = fit_positions(places(*given), given, wanted)
    grid = 1000.0 * torch.arange(*rows)[:, None] + torch.arange(*columns)
    assert torch.equal(found[0, :2, 0], torch.tensor([-1.0, -2.0]))
    assert torch.equal(found[0, 2:, 0].reshape(wanted), grid)


def test_longer_grids_are_interpolated() -> None:
    pair = torch.tensor([[[[1.0, 5.0]]]])
    assert fit_axis(pair, 3, 4).flatten().tolist() == [1.0, 2.0, 4.0, 5.0]
    assert fit_axis(pair.mT, 2, 4).flatten().tolist() == [1.0, 2.0, 4.0, 5.0]
    constant = torch.full((1, 2 + 12 * 101, 4), 0.3)
    torch.testing.assert_close(fit_positions(constant, (12, 101), (12, 130)), torch.full((1, 2 + 12 * 130, 4), 0.3))
    found = fit_positions(places(24, 24), (24, 24), (12, 50))[0, 2:, 0].reshape(12, 50)
    line = F.interpolate(torch.arange(24.0)[None, None], size=50, mode="linear")[0, 0]
    torch.testing.assert_close(found, 1000.0 * torch.arange(6, 18)[:, None] + line)


@pytest.mark.parametrize("frames", [16, 46, 60, 65])
def test_shorter_features_are_heard_as_by_a_network_of_their_length(frames: int) -> None:
    network, shorter = tiny(), tiny(frames=frames)
    network.load_official(authors_state())
    shorter.load_official(authors_state())
    with torch.no_grad():
        assert torch.equal(network(clips(frames)).logits, shorter(clips(frames)).logits)


def test_frames_behind_the_last_whole_patch_are_not_heard() -> None:
    network, x = tiny(frames=74), clips(74)
    network.load_official(authors_state())
    with torch.no_grad():
        assert torch.equal(network(x).logits, network(x[..., :66]).logits)


def test_other_class_counts_keep_their_own_last_layers() -> None:
    network = tiny(n_classes=5)
    with pytest.raises(HearlessError, match=r"classifier\.dense\.weight 3×128 instead of 5×128.*replace_output=True"):
        network.load_official(authors_state())
    own = {key: tensor.clone() for key, tensor in network.classifier.state_dict().items()}
    network.load_official(authors_state(), replace_output=True)
    assert all(torch.equal(tensor, own[key]) for key, tensor in network.classifier.state_dict().items())
    embeddings = network.audio_spectrogram_transformer.embeddings
    assert torch.equal(embeddings.position_embeddings, authors_state()["v.pos_embed"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"v.norm.weight": None}, r"missing audio_spectrogram_transformer\.layernorm\.weight"),
        ({"v.blocks.1.attn.qkv.bias": None}, r"missing .*1\.attention\.attention\.query\.bias"),
        ({"v.blocks.0.attn.qkv.weight": torch.zeros(())}, r"unknown .*qkv"),
        ({"v.pos_embed": torch.zeros(1, 77, WIDTH)}, r"position_embeddings 1×77×128 instead of 1×74×128"),
        ({"v.pos_embed": torch.zeros(1, 2, WIDTH)}, r"position_embeddings 1×2×128 instead of"),
        ({"v.patch_embed.proj.weight": torch.zeros(WIDTH, 2, 16, 16)}, r"128×2×16×16 instead of 128×1×16×16"),
        ({"time_new_pos_embed": torch.zeros(1, WIDTH, 1, 6)}, r"unknown time_new_pos_embed"),
        ({"v.cls_token": "text"}, r"flat state dict of tensors"),
    ],
)
def test_weights_that_do_not_fit_are_refused(changes: dict[str, Any], said: str) -> None:
    state = {key: tensor for key, tensor in {**authors_state(), **changes}.items() if tensor is not None}
    with pytest.raises(HearlessError, match=said):
        tiny().load_official(state)


def test_other_architectures_are_refused() -> None:
    with pytest.raises(HearlessError, match=r"AST cannot take these weights: missing .*unknown bn0\.weight"):
        tiny().load_official({"bn0.weight": torch.zeros(64)})
    deeper = {key.replace("blocks.1.", "blocks.2."): tensor for key, tensor in authors_state().items()}
    with pytest.raises(HearlessError, match=r"missing .*unknown .*layer\.2\.layernorm_before"):
        tiny().load_official(deeper)


@pytest.mark.parametrize(("frames", "at_least"), [(1024, 1024), (512, 512), (128, 128), (70, 66), (16, 16)])
def test_lengths_are_recognised_as_published_or_the_least(frames: int, at_least: int) -> None:
    shapes = {key: tuple(t.shape) for key, t in bare(**{**EXAMPLE, "frames": frames}).state_dict().items()}
    assert AST.recognise(shapes) == {**EXAMPLE, "frames": at_least}


def test_the_authors_layout_is_recognised_and_an_image_network_is_no_listener() -> None:
    shapes = {key: tuple(tensor.shape) for key, tensor in authors_state().items()}
    assert AST.recognise(shapes) == {"n_classes": CLASSES, "frames": FRAMES, "width": WIDTH, "depth": DEPTH}
    assert AST.recognise({key: tuple(tensor.shape) for key, tensor in image_state().items()}) is None
    installed = {key: tuple(tensor.shape) for key, tensor in theirs().state_dict().items()}
    assert AST.recognise(installed) == AST.recognise(shapes)


def test_the_published_file_is_known_by_its_shapes() -> None:
    arguments = {"n_classes": 527, "frames": 1024, "width": 768, "depth": 12}
    assert _official.recognise(bare().state_dict()) == [("AST", arguments, ["ast"])]


def test_checkpointing_computes_each_block_again_and_the_same() -> None:
    plain, thrifty, calls = tiny().train(), tiny(gradient_checkpointing=True).train(), []
    for network in (plain, thrifty):
        network.load_official(authors_state())
    layers = [module for module in thrifty.modules() if isinstance(module, nn.Linear) and module.out_features == 512]
    for layer in layers:
        layer.register_forward_hook(lambda *_: calls.append(1))
    logits = [network(clips()).logits for network in (plain, thrifty)]
    assert (len(layers), len(calls)) == (DEPTH, DEPTH)
    assert torch.equal(*logits)
    for said in logits:
        said.square().sum().backward()
    assert len(calls) == 2 * DEPTH
    for one, other in zip(plain.parameters(), thrifty.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)
    thrifty.eval()(clips()).logits.sum().backward()
    assert len(calls) == 3 * DEPTH


def test_states_are_kept_under_a_parent_and_in_a_copy() -> None:
    network, x = tiny(), clips()
    network.load_official(authors_state())
    parent, fresh = nn.ModuleDict({"classifier": network}), nn.ModuleDict({"classifier": tiny()})
    state = parent.state_dict()
    assert all(key.startswith(("classifier.audio_spec", "classifier.classifier.")) for key in state)
    assert "classifier.audio_spectrogram_transformer.encoder.layer.1.output.dense.bias" in state
    assert fresh.load_state_dict(state, strict=False) == ([], [])
    copied = copy.deepcopy(network)
    assert list(copied.state_dict()) == list(network.state_dict())
    copied.load_state_dict(network.state_dict())
    with torch.no_grad():
        for other in (fresh["classifier"], copied):
            assert torch.equal(other(x).logits, network(x).logits)


def test_a_pipeline_of_other_frames_says_what_to_set_and_one_below_a_patch_is_refused() -> None:
    ear = named("captures", "FullBand", rate_hz=16000)
    pipeline = PipelineSpec(ear, spec(KaldiFbank, frames=128), spec(AST, **EXAMPLE)).build(4)
    with pytest.raises(HearlessError, match=r"at most 66 frames, got 128 bands and 128 frames; set .*frames=66"):
        pipeline(torch.zeros(1, 16000))
    loose = Pipeline(capture=pipeline.capture, frontend=KaldiFbank(), classifier=AST(**EXAMPLE))
    loose.check_length(0.175)
    with pytest.raises(HearlessError, match=r"at least 16 frames to AST, 0\.174 s give 15; set clip_s"):
        loose.check_length(0.174)


def test_features_of_another_size_are_refused() -> None:
    with pytest.raises(HearlessError, match="at least 16 frames, got 15"):
        tiny()(clips(15))
    with pytest.raises(HearlessError, match=r"128 bands and at most 66 frames, got 128 bands and 67 frames.*frames=67"):
        tiny()(clips(67))
    with pytest.raises(HearlessError, match=r"128 bands .* got 129 bands"):
        tiny()(torch.zeros(1, 1, 129, 40, dtype=torch.float64))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"n_classes": 0}, "n_classes must be at least 1, got 0"),
        ({"frames": 15}, "frames must be at least 16, got 15"),
        ({"depth": 0}, "depth must be at least 1, got 0"),
        ({"width": 96}, "width must be a multiple of 64, got 96"),
        ({"width": 0}, "width must be a multiple of 64, got 0"),
    ],
)
def test_wrong_arguments(arguments: dict[str, int], said: str) -> None:
    with pytest.raises(HearlessError, match=said):
        bare(**arguments)


def test_without_transformers_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = {key: tuple(tensor.shape) for key, tensor in authors_state().items()}
    monkeypatch.setitem(sys.modules, "transformers", None)
    for needs_it in (lambda: AST(**EXAMPLE), lambda: AST.recognise(shapes)):
        with pytest.raises(HearlessError, match=r"AST needs the package transformers.*pip install 'hearless\[ast\]'"):
            needs_it()
    assert AST.recognise({"bn0.weight": (64,)}) is None


def test_the_shelf_is_listed_without_transformers() -> None:
    listing = "import sys, hearless.cli; from hearless.spec import class_names as names; "
    said = "print('AST' in names('classifiers'), 'transformers' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", listing + said], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]


def test_building_it_asks_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a classifier asked the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert AST(**EXAMPLE).n_classes == EXAMPLE["n_classes"]


def test_starts_are_saved_under_their_published_names_and_are_no_listeners() -> None:
    starts = {short: row for short, row in WEIGHTS.items() if row.frontend is None}
    assert set(starts) == {"ast_imagenet", "ast_speech_commands"}
    assert all(row.remote.url.partition("?")[0].endswith("/" + row.remote.filename) for row in starts.values())
    assert _official.recognise(bare(n_classes=35, frames=128).state_dict())[0][2] == []
