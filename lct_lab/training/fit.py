"""Training an LCT: the loop, a step at a time."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from lct_lab import signals, transform
from lct_lab.checks import require_choice, require_size
from lct_lab.init import FREQUENCIES
from lct_lab.models import LCT
from lct_lab.training import checkpoint as checkpoints
from lct_lab.training.loss import expected_loss, filled_bins
from lct_lab.training.rates import OPTIMIZERS, param_groups
from lct_lab.training.schedules import Constant

AMPLITUDES = ("a1", "a2", "a3", "a4")


class Result(NamedTuple):
    """What came of a training.

    model : the one that was given, trained. history : a DataFrame, one row each `every` steps.
    loss : E L / Nσ². filled : the bins that hold a frequency. stopped : why it ended, in words.
    paths : w1 at each row of the history (rows, m); empty unless asked for.
    """

    model: LCT
    history: object
    loss: float
    filled: int
    stopped: str
    paths: np.ndarray


@dataclass(frozen=True)
class Settings:
    """What a training is asked for, as `fit` says; objective None stands for the expected loss."""

    steps: int
    lr: float
    optimizer: str
    rule: str
    pace: float
    schedule: object
    objective: object
    batch: int
    seed: int
    every: int
    target: float
    checkpoint: object
    paths: bool
    progress: bool


def fit(
    model,
    *,
    steps,
    lr,
    optimizer="adam",
    rule="curvature",
    pace=1.0,
    schedule=None,
    objective="expected",
    batch=100,
    seed=0,
    every=50,
    target=0.0,
    checkpoint=None,
    paths=False,
    progress=False,
):
    """Train `model` in place by SGD (momentum 0.9) or Adam (0.9, 0.99), on E L / Nσ² or on signals.

    Parameters
    ----------
    steps, lr : how many, and the rate of `param_groups` under `rule`; times `pace` for frequencies.
    schedule : `CoarseToFine`, `Constant` (None) or any object with n, size, rate and spread;
        `rule` is asked again whenever the size changes.
    objective : "expected", or a signal as in `signals.draw`, `batch` of them a step.
    every, target : how often the history is written, and the loss at which to stop early.
    checkpoint : a path; written with the history, and continued from when it exists, to the same
        bytes.
    paths : keep w1 at each row of the history.

    Returns `Result`; a loss that is not finite ends with the last good state and says in `stopped`
    whose gradient grew.
    Raises ValueError or TypeError naming an argument, also for a checkpoint of another training.
    """
    if not isinstance(model, LCT):
        raise TypeError(f"model must be an LCT, got {type(model).__name__}")
    settings = Settings(
        steps=require_size("steps", steps),
        every=require_size("every", every),
        batch=require_size("batch", batch),
        optimizer=require_choice("optimizer", optimizer, OPTIMIZERS),
        seed=require_size("seed", seed, 0),
        schedule=schedule or Constant(model.n),
        objective=_checked_objective(objective, model.n, batch),
        lr=lr,
        rule=rule,
        pace=pace,
        target=target,
        checkpoint=checkpoint,
        paths=paths,
        progress=progress,
    )
    return Training(model, settings).run()


def _checked_objective(objective, n, batch):
    """None for the expected loss, else a signal that fits."""
    if isinstance(objective, str) and objective == "expected":
        return None
    return signals.check(objective, n, batch)


class Training:
    """A model on its way: with its optimizer, generator and history it is what a checkpoint holds.

    While it trains, its reconstruction is W₂W₁/M at every size, frame-like, instead of W₂W₁/√(NM):
    the amplitudes are smaller by (N/M)^¼ meanwhile, and stretched back at the end.
    """

    def __init__(self, model, settings):
        self.model, self.settings = model, settings
        self.parameters = dict(model.named_parameters())
        self.frequencies = [p for name, p in self.parameters.items() if name in FREQUENCIES]
        self.generator = np.random.default_rng(settings.seed)
        self.history, self.trace = [], []
        self.size = settings.schedule.size(0)
        self.rates = self._rates()
        self.optimizer = self._optimizer()
        self.last_good = None  # the parameters at the last finite loss

    def run(self):
        """Train, from the checkpoint where there is one, to the `Result`."""
        import pandas as pd
        from tqdm.auto import tqdm

        settings, model = self.settings, self.model
        start = checkpoints.load(settings.checkpoint, self) if settings.checkpoint else 0
        stretch = (model.n / model.m) ** 0.25
        if start == 0:
            self._stretch(1 / stretch)
        stopped = None
        steps = tqdm(
            range(start, settings.steps), disable=not settings.progress, desc=f"n = {model.n}"
        )
        for step in steps:
            if self.reached() or (stopped := self.advance(step)):
                break
        if self.reached():
            stopped = f"reached {settings.target} at step {self.history[-1]['step']}"
        self._stretch(stretch)
        return Result(
            model=model,
            history=pd.DataFrame(self.history),
            loss=_final_loss(model),
            filled=filled_bins(model.w1.detach(), model.n),
            stopped=stopped or "all steps done",
            paths=np.array(self.trace),
        )

    def advance(self, step):
        """One step down the gradient; returns why training must end here, or None."""
        settings, before = self.settings, self._copy()
        self.resize(settings.schedule.size(step))
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * settings.schedule.rate(step)

        loss = self.loss()
        self.optimizer.zero_grad()
        loss.backward()
        if not torch.isfinite(loss):
            sentence = self._blame(step, before)
            self._restore(self.last_good or before)
            return sentence
        self.last_good = before

        self.optimizer.step()
        self.add_noise(settings.schedule.spread(step))
        if step % settings.every == 0 or step == settings.steps - 1:
            self.record(step, loss)
        return None

    def resize(self, size):
        """Use `size` samples from now on, at the rates that the rule gives for them."""
        if size != self.size:
            self.size = size
            self.rates = self._rates()

    def loss(self):
        """The loss at the present size: expected, or on a fresh batch, relative to its energy."""
        model, size = self.model, self.size
        amplitudes, scale = (model.a1, model.a2, model.a3, model.a4), 1 / model.m
        if self.settings.objective is None:
            return expected_loss(size, *amplitudes, *self.frequencies, scale=scale)
        a1, a2, a3, a4 = amplitudes
        x = self.draw()
        X = transform.analyze(x, a1, a2, self.frequencies[0]) * size**0.5
        y = transform.synthesize(X, size, a3, a4, self.frequencies[-1]) * (scale * model.m**0.5)
        return (y - x).square().sum() / x.square().sum()

    def draw(self):
        """The first samples of a step's signals: (batch, size)."""
        settings = self.settings
        x = signals.draw(settings.objective, self.model.n, self.generator, batch=settings.batch)
        return torch.as_tensor(x[:, : self.size]).to(self.model.w1)

    @torch.no_grad()
    def add_noise(self, spread):
        """Move every frequency by N(0, spread²)."""
        if spread:
            for w in self.frequencies:
                noise = torch.as_tensor(self.generator.standard_normal(len(w)) * spread)
                w += noise.to(w)

    def reached(self):
        """Whether the last row of the history is at full size and at the target."""
        last = self.history[-1] if self.history else None
        return bool(last) and last["size"] == self.model.n and last["loss"] <= self.settings.target

    def record(self, step, loss):
        """Write a row of the history, and the checkpoint with it."""
        settings = self.settings
        self.history.append(self._row(step, loss))
        if settings.paths:
            self.trace.append(self.model.w1.detach().numpy().copy())
        if settings.checkpoint:
            checkpoints.save(settings.checkpoint, self, step + 1)

    def _row(self, step, loss):
        """Of each group its rms gradient and the length of its step, of w in widths of a bin."""
        n, row = self.model.n, {"step": step, "size": self.size, "loss": loss.item()}
        row["filled"] = filled_bins(self.model.w1.detach(), n)
        for group in self.optimizer.param_groups:
            name, rate = group["name"], group["lr"]
            gradient = self.parameters[name].grad.square().mean().sqrt().item()
            moved = rate * (1 if self.settings.optimizer == "adam" else gradient)
            row[f"gradient_{name}"] = gradient
            row[f"step_{name}"] = moved * (n / math.pi if name in FREQUENCIES else 1)
        return row

    def _rates(self):
        """The rate of each parameter at the present size, before the schedule's factor."""
        return [
            group["lr"] * (self.settings.pace if group["name"] in FREQUENCIES else 1)
            for group in self._groups()
        ]

    def _groups(self):
        settings = self.settings
        return param_groups(
            self.model, settings.rule, settings.lr, optimizer=settings.optimizer, n=self.size
        )

    def _optimizer(self):
        if self.settings.optimizer == "sgd":
            return torch.optim.SGD(self._groups(), momentum=0.9)
        return torch.optim.Adam(self._groups(), betas=(0.9, 0.99), fused=True)

    def _copy(self):
        return [p.detach().clone() for p in self.parameters.values()]

    @torch.no_grad()
    def _restore(self, values):
        for p, value in zip(self.parameters.values(), values, strict=True):
            p.copy_(value)

    @torch.no_grad()
    def _stretch(self, factor):
        for name in AMPLITUDES:
            self.parameters[name] *= factor

    def _blame(self, step, before):
        """Whose gradient is the largest, relative to its parameter."""
        growth = {
            name: (p.grad.abs().max() / (1e-300 + old.abs().max())).nan_to_num(math.inf).item()
            for (name, p), old in zip(self.parameters.items(), before, strict=True)
        }
        worst = max(growth, key=growth.get)
        return (
            f"stopped at step {step}: the loss is not finite, and {worst} has the largest gradient"
        )


@torch.no_grad()
def _final_loss(model):
    """E L / Nσ² in double precision, whatever the model's own."""
    return expected_loss(model.n, *(p.double() for p in model.parameters())).item()
