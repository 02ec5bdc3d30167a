"""The only loop, on Lightning Fabric.

One step: the batch's waveform, already augmented, is captured by the student's view and, where there is one, explained
by the teacher; the objectives compare; the sum of their terms is minimised.  All draws come from (seed, epoch, clip)
and (seed, epoch, step), and each epoch ends with a checkpoint, so that a killed run resumes to the same bits.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from hearless import evaluate
from hearless.adapters import adapt, is_adapted, merged, output_layers, rest
from hearless.interfaces import Batch, HearlessError, Objective, Prediction, Scheduled
from hearless.loading import Loader, generator
from hearless.pipeline import PARTS, Pipeline
from hearless.quantize import Quantized, convert, freeze_norms, freeze_ranges, prepare_qat
from hearless.recipe import Recipe, Stage
from hearless.resting import Entering, Kept, Known, first_trained, known
from hearless.run import Run, flatten_optimizer, load_tensors, restore_optimizer, save_tensors
from hearless.small_maps import CutKernels
from hearless.teaching import Explain, draw_key_of

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass(frozen=True)
class Tick:
    """Where a training stands: for progress bars."""

    epoch: int
    n_epochs: int
    clips: int
    n_clips: int
    clips_per_s: float
    metrics: dict[str, float]


def learning_rate(stage: Stage, done: float) -> float:
    """Return the learning rate when ``done`` (0 … 1) of the stage's steps are over."""
    if stage.schedule == "constant":
        return stage.learning_rate
    if stage.schedule == "step":
        over = math.floor(done * stage.epochs + 1e-6) - stage.decay_after
        return stage.learning_rate * stage.decay ** (0 if over < 0 else 1 + over // stage.decay_every)
    warm = 0.3
    low, last = stage.learning_rate / 25, stage.learning_rate / 25e4
    start, end, share = (low, stage.learning_rate, done / warm) if done < warm else (
        stage.learning_rate, last, (done - warm) / (1 - warm)
    )  # fmt: skip
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


@dataclass
class Training:
    """A training under way.

    Attributes:
        recipe: what to do.
        pipeline: the student.
        training, validation: its clips.
        run: where everything is kept.
        seed: of all draws.
        explain: the teacher at work, or None.
        torch_device: "cpu", "cuda", …
        tick: called after each step with where it stands.
        judge: called with the student and the number of the epoch after each of the last ones (``average_last``).
    """

    recipe: Recipe
    pipeline: Pipeline
    training: Loader
    validation: Loader
    run: Run
    seed: int
    explain: Explain | None = None
    torch_device: str = "cpu"
    tick: Callable[[Tick], None] | None = None
    judge: Callable[[Pipeline, int], None] | None = None

    def fit(self) -> None:
        """Train every stage, resuming where an earlier call stopped, and leave the selected weights in the pipeline."""
        accelerator = self.torch_device.partition(":")[0]
        from lightning_fabric import Fabric  # seconds to import, and only training needs it

        fabric = Fabric(accelerator=accelerator, devices=1, precision=cast(Any, self.recipe.precision))
        check_select(self.recipe, multi_label=self.training.table.multi_label)
        left = self._left(self._resume())
        with torch.random.fork_rng(enabled=True):
            for stage, first in left[1:]:  # what a later one refuses is refused before any epoch
                _Stage(replace(self, pipeline=_with(self.pipeline, self.pipeline.classifier)), stage, fabric, first)
            for stage, first in left:
                _Stage(self, stage, fabric, first).fit()
        name = "last" if self.recipe.select == "last" else "best"
        if self.recipe.stages:
            load_parts(self.pipeline, self.run, name)
            self.pipeline.classifier = final(self.pipeline).classifier

    def _resume(self) -> int:
        """Bring the student to where an earlier call stopped; return how many epochs are over."""
        self.pipeline.on(self.torch_device)
        done = self.run.epochs_over
        if not done:
            return 0
        if self.recipe.quantized and done > self.n_epochs - self.recipe.stages[-1].epochs:
            quantize(self.pipeline, noise(self.pipeline, self.training.clip_s), self.recipe.quantized)
        for stage in (stage for stage, first in self._left(done) if first < done and stage.adapters):
            put_adapters(self.pipeline, self.recipe, stage, self.seed)
        load_parts(self.pipeline, self.run, "last")
        return done

    def _left(self, done: int) -> list[tuple[Stage, int]]:
        """Return the stages that are not over after so many epochs, each with the number of its first epoch."""
        stages = self.recipe.stages
        firsts = [sum(stage.epochs for stage in stages[:i]) for i in range(len(stages))]
        return [(stage, first) for stage, first in zip(stages, firsts, strict=True) if done < first + stage.epochs]

    @property
    def beside(self) -> Callable[[Batch], Prediction] | None:
        """The teacher that the student is judged beside, where its classes are the teacher's own."""
        return cast("Callable[[Batch], Prediction] | None", self.explain) if self.recipe.classes else None

    @property
    def n_epochs(self) -> int:
        """The epochs of all stages."""
        return sum(stage.epochs for stage in self.recipe.stages)


def load_parts(pipeline: Pipeline, run: Run, name: str) -> None:
    """Load the trained parts of a checkpoint into a pipeline.

    Raises:
        HearlessError: the checkpoint is damaged or of another network.
    """
    tensors, _ = load_tensors(run.checkpoint(name))
    wanted = {key for key in pipeline.state_dict() if f"model.{key}" in tensors}
    try:
        found = {key[6:]: value for key, value in tensors.items() if key.startswith("model.")}
        missing, unexpected = pipeline.load_state_dict(found, strict=False)
    except RuntimeError as error:
        raise HearlessError(f"{run.checkpoint(name)} does not fit this pipeline: {error}") from error
    if unexpected or not wanted:
        raise HearlessError(
            f"{run.checkpoint(name)} does not fit this pipeline: unknown {unexpected[:5]}, missing {missing[:5]}."
        )


def _with(pipeline: Pipeline, classifier: nn.Module) -> Pipeline:
    """Return a pipeline with another classifier and everything else shared."""
    return Pipeline(
        capture=pipeline.capture, frontend=pipeline.frontend, enhancer=pipeline.enhancer, classifier=classifier,
        head=pipeline.head,
    )  # fmt: skip


@torch.no_grad()
def quantize(pipeline: Pipeline, observation: Tensor, backend: str) -> None:
    """Put the graph that its classifier is trained in for int8 into a pipeline: another network, with other keys.

    Args:
        pipeline: the pipeline; made on the CPU and put back where it was.
        observation: what its sensor gives of two clips or more; the first ranges are theirs.
        backend: ``"onnx"`` or ``"executorch"``.

    Raises:
        HearlessError: see `hearless.quantize.prepare_qat`.
    """
    where = pipeline.torch_device
    pipeline.on("cpu").eval()
    features = pipeline.features(observation.cpu())
    heard = features if pipeline.enhancer is None else pipeline.enhancer(features)
    pipeline.classifier = prepare_qat(pipeline.classifier, heard, backend)
    pipeline.on(str(where))


def noise(pipeline: Pipeline, clip_s: float) -> Tensor:
    """Return what a pipeline's sensor gives of two clips of noise: to make a graph whose state is then loaded."""
    samples = torch.randn(2, round(clip_s * pipeline.source_rate_hz), generator=torch.Generator().manual_seed(0))
    return pipeline.observe(0.1 * samples.to(pipeline.torch_device), pipeline.source_rate_hz)


def final(pipeline: Pipeline) -> Pipeline:
    """Return what is judged and used: the pipeline itself, or its classifier converted to int8."""
    classifier = pipeline.classifier
    if not isinstance(classifier, Quantized) or classifier.stage == "int8":
        return pipeline
    return _with(pipeline, convert(classifier)).on(str(pipeline.torch_device))


def put_adapters(pipeline: Pipeline, recipe: Recipe, stage: Stage, seed: int) -> None:
    """Put a stage's adapters into a recipe's pipeline, where there are none yet.

    Raises:
        HearlessError: see `hearless.adapters.adapt`.
    """
    if not is_adapted(pipeline.classifier):
        where, output = pipeline.torch_device, output_layers(recipe.student.classifier)
        drawn = int(generator("adapters", seed).integers(2**62))
        pipeline.classifier = adapt(
            pipeline.classifier, stage.adapters, output, rank=stage.adapter_rank, alpha=stage.adapter_alpha, seed=drawn
        )
        pipeline.on(str(where))


def wake(pipeline: Pipeline, recipe: Recipe, stage: Stage) -> list[nn.Parameter]:
    """Put what a stage trains in training mode and all else to rest; return the parameters that train."""
    parameters = pipeline.train_only(stage.trains)
    if not stage.adapters:
        return parameters
    rest(pipeline.classifier, output_layers(recipe.student.classifier), statistics=stage.adapter_statistics)
    return [parameter for parameter in parameters if parameter.requires_grad]


class _Stage:
    """One stage: its optimiser, its epochs, its checkpoints."""

    def __init__(self, training: Training, stage: Stage, fabric: Fabric, first_epoch: int) -> None:
        self.t, self.stage, self.fabric, self.first = training, stage, fabric, first_epoch
        self.objectives = [o.build() for o in stage.objectives]
        self.maps = any(cast(Objective, o).needs == "maps" for o in self.objectives)
        self.scheduled = [objective for objective in self.objectives if isinstance(objective, Scheduled)]
        if stage.quantized and not isinstance(training.pipeline.classifier, Quantized):
            quantize(training.pipeline, self._example(), stage.quantized)
        if stage.adapters:
            put_adapters(training.pipeline, training.recipe, stage, training.seed)
        parameters = wake(training.pipeline, training.recipe, stage)
        self.part = PARTS[0] if self.maps else first_trained(training.pipeline, stage.trains)
        self.kept = Kept()
        self._bind()
        parameters += [parameter for objective in self.objectives for parameter in objective.parameters()]
        kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[stage.optimizer]
        optimizer = kind(
            parameters, lr=stage.learning_rate, betas=stage.betas, weight_decay=stage.weight_decay, fused=True
        )
        self.optimizer = cast(torch.optim.Optimizer, fabric.setup_optimizers(optimizer))
        self.steps = sum(1 for _ in range(0, len(training.training.clips), training.training.batch_size))

    def _example(self) -> Tensor:
        """Return what the sensor gives of a batch of training clips, of all classes."""
        loader = self.t.training
        step = max(1, len(loader.clips) // loader.batch_size)
        batch = next(replace(loader, clips=loader.clips[::step], augmentations=()).in_order())
        return self.t.pipeline.observe(batch.waveform.to(self.t.torch_device), batch.rate_hz, batch.devices)

    def _bind(self) -> None:
        """Let the objectives make what they own, and compare once: what they refuse is refused before any epoch."""
        torch.manual_seed(int(generator("bind", self.t.seed, self.first).integers(2**62)))
        batch = next(self.t.training.in_order())
        batch = Batch(batch.waveform[:2], batch.rate_hz, batch.target[:2], batch.clips[:2], batch.weight[:2])
        self.t.pipeline.eval()
        with torch.no_grad():
            student = self.t.pipeline.judge(*self.t.pipeline.hear(batch, self.t.torch_device), maps=self.maps)
            teacher = self.t.explain(batch, 0, maps=self.maps) if self.t.explain else None
        for objective in self.objectives:
            cast(Objective, objective).bind(student, teacher)
            objective.to(self.t.torch_device)
        with torch.no_grad():
            self._terms(student, teacher, batch)
        wake(self.t.pipeline, self.t.recipe, self.stage)

    def fit(self) -> None:
        """Run the epochs that are left."""
        rows, start, best = self._resume()
        with self.fabric.autocast():
            again = None if self.maps else known(self.t.pipeline, self.part, self.t.training, self.t.torch_device)
        for epoch in range(start, self.first + self.stage.epochs):
            began = time.perf_counter()
            self._freeze((epoch - self.first) / self.stage.epochs)
            terms = self._epoch(epoch, again)
            judged = final(self.t.pipeline)
            found = evaluate.predictions(
                judged, self.t.validation, torch_device=self.t.torch_device, explain=self.t.beside, part=self.part,
                kept=self.kept,
            )  # fmt: skip
            if self.t.judge and epoch >= self.t.n_epochs - self.t.recipe.average_last:
                self.t.judge(judged, epoch + 1)
            wake(self.t.pipeline, self.t.recipe, self.stage)
            if not np.isfinite(found.logits).all():
                raise HearlessError(
                    f"logits of the validation clips must stay finite, got others after epoch {epoch + 1}; "
                    "lower learning_rate."
                )
            scores = evaluate.measures(found, multi_label=self.t.training.table.multi_label)
            rows = [*rows, {"epoch": epoch + 1, **terms, **{f"validation_{k}": v for k, v in scores.items()},
                            "seconds": time.perf_counter() - began}]  # fmt: skip
            best = self._keep(epoch, rows, scores, best)
        if self.stage.adapters:
            self.t.pipeline.classifier = merged(self.t.pipeline.classifier)

    def _resume(self) -> tuple[list[dict[str, Any]], int, float | None]:
        """Return the metrics of the epochs that are over, their number, and this stage's best score so far."""
        path = self.t.run.checkpoint("last")
        if not path.is_file():
            return [], self.first, None
        tensors, state = load_tensors(path)
        done = int(state["epoch"])
        rows = self.t.run.metrics()[:done]
        if done == self.first:
            return rows, done, None
        restore_optimizer(self.optimizer, tensors)
        _restore(self.objectives, tensors)
        return rows, done, state["best"]

    def _freeze(self, over: float) -> None:
        """Let batch norms and ranges of a quantized network rest once their share of the stage is over."""
        network = self.t.pipeline.classifier
        if isinstance(network, Quantized):
            if over >= self.stage.norms_until:
                freeze_norms(network)
            if over >= self.stage.ranges_until:
                freeze_ranges(network)

    def _epoch(self, epoch: int, again: Known | None) -> dict[str, float]:
        key = draw_key_of(self.t.explain)
        loader, clips, began = self.t.training, 0, time.perf_counter()
        sums: dict[str, float] = {}
        draw_key = key(epoch) if key else (self.t.seed, epoch)
        for step, batch in enumerate(loader.epoch(self.t.seed, epoch, draw_key)):
            done = (epoch - self.first + step / self.steps) / self.stage.epochs
            rate = learning_rate(self.stage, done)
            for objective in self.scheduled:
                objective.at(done)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            terms = self._step(batch, epoch, step, again)
            clips += len(batch.clips)
            for name, value in terms.items():
                sums[name] = sums.get(name, 0.0) + value * len(batch.clips)
            if self.t.tick:
                speed = clips / (time.perf_counter() - began)
                means = {name: value / clips for name, value in sums.items()}
                self.t.tick(Tick(epoch + 1, self.t.n_epochs, clips, len(loader.clips), speed, means))
        return {name: value / clips for name, value in sums.items()}

    def _step(self, batch: Batch, epoch: int, step: int, again: Known | None) -> dict[str, float]:
        torch.manual_seed(int(generator("step", self.t.seed, epoch, step).integers(2**62)))
        with torch.no_grad(), self.fabric.autocast():
            entering, keep = (again(batch), None) if again else self._hear(batch)
        teacher = self.t.explain(batch, epoch, maps=self.maps) if self.t.explain else None
        with self.fabric.autocast(), CutKernels():
            student = self.t.pipeline.onward(self.part, entering, keep, maps=self.maps)
        terms = self._terms(student, teacher, batch)
        loss = torch.stack(list(terms.values())).sum()
        if not torch.isfinite(loss):
            raise HearlessError(
                f"the loss must stay finite, got {loss.item()} in epoch {epoch + 1}, step {step + 1}; "
                "lower learning_rate."
            )
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        self.optimizer.step()
        return {name: float(value.detach()) for name, value in {"loss": loss, **terms}.items()}

    def _hear(self, batch: Batch) -> tuple[Entering, Tensor | None]:
        """Return what enters the first part that trains, and the keep mask that goes with it."""
        features, keep = self.t.pipeline.hear(batch, self.t.torch_device)
        return self.t.pipeline.before(self.part, features, keep), keep

    def _terms(self, student: Prediction, teacher: Prediction | None, batch: Batch) -> dict[str, Tensor]:
        target, weight = batch.target.to(self.t.torch_device), batch.weight.to(self.t.torch_device)
        student, terms = _single(student), dict[str, Tensor]()
        for objective in self.objectives:
            found = objective(student, teacher, target, weight)
            if twice := sorted({"loss", *terms} & set(found)):
                raise HearlessError(
                    f"the terms of a stage's objectives must differ in name, got {twice[0]!r} again from "
                    f"{type(objective).__name__}; leave one out, as hard_weight=0 does with 'hard'."
                )
            terms |= found
        return terms

    def _keep(
        self, epoch: int, rows: list[dict[str, Any]], scores: dict[str, float], best: float | None
    ) -> float | None:
        score = _score(self.t.recipe.select, scores)
        better = best is None or score >= best
        if better:
            best = score
        plain = self._model(merging=bool(self.stage.adapters))
        model = plain if epoch + 1 == self.first + self.stage.epochs else self._model(merging=False)
        state = {"epoch": epoch + 1, "best": best, **scores}
        if better:
            save_tensors(self.t.run.checkpoint("best"), plain, {"epoch": epoch + 1, **scores})
        self.t.run.write_metrics(rows)
        objectives = {f"objective.{i}.{k}": v for i, o in enumerate(self.objectives) for k, v in o.state_dict().items()}
        optimizer = flatten_optimizer(self.optimizer)
        save_tensors(self.t.run.checkpoint("last"), {**model, **optimizer, **objectives}, state)
        return best

    def _model(self, *, merging: bool) -> dict[str, Tensor]:
        """Return the weights of all parts that train, adapters as they are or merged into them."""
        pipeline = self.t.pipeline
        made = _with(pipeline, merged(pipeline.classifier)) if merging else pipeline
        trained = tuple(f"{part}." for stage in self.t.recipe.stages for part in stage.trains)
        return {f"model.{k}": v for k, v in made.state_dict().items() if k.startswith(trained)}


def _single(said: Prediction) -> Prediction:
    """Return what is compared in single precision, whatever the network's."""
    maps = {name: inner.float() for name, inner in said.maps.items()}
    return replace(said, logits=said.logits.float(), embedding=said.embedding.float(), maps=maps)


def _restore(objectives: Sequence[nn.Module], tensors: dict[str, Tensor]) -> None:
    for i, objective in enumerate(objectives):
        prefix = f"objective.{i}."
        objective.load_state_dict({k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)})


def check_select(recipe: Recipe, *, multi_label: bool) -> None:
    """Refuse a ``select`` that names no measure, before any epoch runs."""
    known, select = evaluate.AGREEMENT if recipe.classes else evaluate.CHOSEN_BY[multi_label], recipe.select
    if select != "last" and select.partition(":")[2] not in known:
        raise HearlessError(f"select must be last, or max: or min: and one of {', '.join(known)}, got {select!r}.")


def _score(select: str, scores: dict[str, float]) -> float:
    """Return the number to maximise."""
    if select == "last":
        return 0.0
    direction, _, name = select.partition(":")
    return scores[name] if direction == "max" else -scores[name]
