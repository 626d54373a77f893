"""Training an LCT: the loop, a step at a time."""

import math
from typing import NamedTuple

import numpy as np
import torch

from lct_lab import signals, transform
from lct_lab.checks import require_choice, require_flag, require_size
from lct_lab.init import FREQUENCIES
from lct_lab.models import LCT
from lct_lab.training import checkpoint as checkpoints
from lct_lab.training.loss import expected_loss, filled_bins, require_memory_of_untied
from lct_lab.training.newton import NEGATIVE, NotFinite, SineNewton
from lct_lab.training.rates import OPTIMIZERS, RULES, param_groups, require_positive
from lct_lab.training.schedules import at, require_schedule
from lct_lab.training.settings import (
    AMPLITUDES,
    Settings,
    require_model,
    require_objective,
    require_target,
)


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
    patience=None,
    checkpoint=None,
    paths=False,
    progress=False,
):
    """Train `model` in place on E L / Nσ² or on signals; what is frozen stays.

    Parameters
    ----------
    optimizer : "newton" for `SineNewton`, "sgd" (momentum 0.9) or "adam" (0.9, 0.99).
    steps, lr : how many, and the part of Newton's step that is made; of SGD and Adam the rate of
        `param_groups` under `rule`, times `pace` for frequencies.
    schedule : `LookBack`, `CoarseToFine`, `Constant` (None) or an object of one's own like these.
    objective : "expected", or a signal as in `signals.draw`, `batch` of them a step, drawn by
        `seed`; of a table of windows random rows.
    every, target : how often the history is written, and the loss at which to stop early.
    patience : steps without a fall of a hundredth after which to stop, with the best there was.
    checkpoint : a path; written with the history, gone on from when it exists, to the same result.
        More `steps` and another `every`, `target` or `progress` are welcome then; all else must be
        as it was. Rows that were written stay, but that of the last step of fewer `steps`.
    paths : keep w1 at each row of the history. progress : a bar.

    Returns `Result`, of the last good state where numbers would not be finite.
    Raises ValueError or TypeError naming an argument, also for a checkpoint of another training.
    """
    require_model(model)
    steps = require_size("steps", steps)
    fitting = require_schedule(schedule, model.n, steps)
    settings = Settings(
        steps=steps,
        every=require_size("every", every),
        batch=require_size("batch", batch),
        optimizer=require_choice("optimizer", optimizer, (*OPTIMIZERS, "newton")),
        rule=require_choice("rule", rule, RULES),
        seed=require_size("seed", seed, 0),
        lr=require_positive("lr", lr),
        pace=require_positive("pace", pace),
        target=require_target(target),
        patience=None if patience is None else require_size("patience", patience),
        schedule=fitting,
        objective=require_objective(objective, model, batch),
        checkpoint=checkpoints.require_path(checkpoint, fitting),
        paths=require_flag("paths", paths),
        progress=require_flag("progress", progress),
    )
    return Training(model, settings).run()


def _require_memory(model, settings):
    """Raise unless the losses of an untied model fit in memory, also the one of the `Result`."""
    if not model.tied:
        sides = (model.w1, model.w2) if settings.objective is None else ()
        require_memory_of_untied(model.m, sum(w.requires_grad for w in sides))


class Stopped(Exception):
    """Training ends here, and says why; the parameters are good ones."""


class Best(NamedTuple):
    """The lowest loss of all samples, its parameters, and the step of its last fall.

    A fall is one of a hundredth, in however many steps, from `mark`, where the fall before ended.
    """

    loss: float
    values: dict
    step: int
    mark: float


class Training:
    """A model on its way: with its optimizer, generator and history it is what a checkpoint holds.

    While it trains, its reconstruction is W₂W₁/M at every size, frame-like, instead of W₂W₁/√(NM):
    the amplitudes are smaller by (N/M)^¼ meanwhile, and stretched back at the end.
    """

    def __init__(self, model, settings):
        _require_memory(model, settings)
        self.model, self.settings = model, settings
        self.parameters = dict(model.named_parameters())
        self.frequencies = [p for name, p in self.parameters.items() if name in FREQUENCIES]
        self.start = checkpoints.digest(self.parameters)  # which model it was
        self.trained = {name: p for name, p in self.parameters.items() if p.requires_grad}
        self.frozen = self.copy([name for name in self.parameters if name not in self.trained])
        self.stretch = (model.n / model.m) ** 0.25
        self.generator = np.random.default_rng(settings.seed)
        self.history, self.trace = [], []
        self.size, _, _ = at(settings.schedule, 0)
        self.rates = self._rates()
        self.optimizer = self._optimizer()
        self.last_good = None  # the parameters at the last finite loss
        self.best = None

    def run(self):
        """Train, from the checkpoint where there is one, to the `Result`."""
        with checkpoints.sole_use(self.settings.checkpoint):
            return self._result(self._whole_loop())

    def _whole_loop(self):
        """The loop with frame-like amplitudes, which are stretched back however it ends."""
        path = self.settings.checkpoint
        start = checkpoints.load(path, self) if path else 0
        if start == 0:
            self._stretch(1 / self.stretch)
        try:
            return self.loop(start)
        finally:  # also when it is interrupted
            self._stretch(self.stretch)
            self.restore(self.frozen)
            checkpoints.leave(self)

    def _result(self, stopped):
        import pandas as pd

        return Result(
            model=self.model,
            history=pd.DataFrame(self.history),
            loss=_loss_in_double(self.model),
            filled=filled_bins(self.model.w1.detach(), self.model.n),
            stopped=stopped,
            paths=np.array(self.trace),
        )

    def loop(self, start):
        """All steps from `start` on; returns why they ended."""
        from tqdm.auto import tqdm

        settings, model = self.settings, self.model
        steps, step = range(start, settings.steps), start
        try:
            for step in tqdm(steps, disable=not settings.progress, desc=f"n = {model.n}"):
                if self.reached():
                    break
                if self.stuck(step):
                    self.keep(step)
                    break
                self.advance(step)
            self._require_good_end()
            self._return_to_best()
        except Stopped as stopped:
            return str(stopped)
        if self.reached():
            return f"reached {settings.target} at step {self.history[-1]['step']}"
        if self.best and step < settings.steps and self.stuck(step):
            return f"no lower loss in {settings.patience} steps, at step {step}"
        return "all steps done"

    def advance(self, step):
        """One step down the gradient, or `Stopped` with the parameters of the last good loss."""
        settings = self.settings
        size, rate, spread = at(settings.schedule, step)
        self.resize(size)
        self.set_rates(rate, step)

        before = self.copy()
        loss = self.loss(step)
        self.optimizer.zero_grad()
        loss.backward()
        if not torch.isfinite(loss):
            self._blame(step, before)
        if loss < NEGATIVE:
            self.restore(self.last_good or before)
            raise Stopped(
                f"stopped at step {step}: the loss is {loss:.3g}, since frequencies as large as "
                f"{self._farthest(before):.3g} have lost their digits"
            )
        self.last_good = before
        self.remember(step, loss.item())

        self._move(step, loss)
        self.add_noise(spread)
        self._require_finite(step)
        if self.writes(step):
            self.record(step, loss)

    def _move(self, step, loss):
        """The optimizer's step, or `Stopped` where Newton's method cannot make it."""
        try:
            self.optimizer.step(lambda: loss)
        except NotFinite as error:
            lost = [name for name, p in self.trained.items() if not torch.isfinite(p.grad).all()]
            raise Stopped(
                f"stopped at step {step}: the gradient of {lost[0]} is not finite"
            ) from error

    def writes(self, step):
        """Whether the history has a row of this step: of every so many, and of the last."""
        return step % self.settings.every == 0 or step == self.settings.steps - 1

    def resize(self, size):
        """Use `size` samples from now on, at the rates that the rule gives for them."""
        if size != self.size:
            self.size = size
            self.rates = self._rates()
        if self.settings.optimizer == "newton":
            self.optimizer.samples = size

    def set_rates(self, factor, step):
        """Give the optimizer the present rates times the schedule's factor."""
        largest = torch.finfo(self.model.w1.dtype).max
        for group, own in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = own * factor
            if group["lr"] > largest:
                raise Stopped(
                    f"stopped at step {step}: the rate of {group['name']}, {group['lr']:.3g}, "
                    f"is beyond the model's numbers, which end at {largest:.3g}"
                )

    def loss(self, step):
        """The loss at the present size: expected, or on a fresh batch, relative to its energy."""
        size, m = self.size, self.model.m
        w1, w2 = self.frequencies[0], self.frequencies[-1]  # tied: the same
        a1, a2, a3, a4 = (self.parameters[name] for name in AMPLITUDES)
        if self.settings.objective is None:
            return expected_loss(size, a1, a2, a3, a4, *self.frequencies, scale=1 / m)
        x = self.draw(step)
        X = transform.analyze(x, a1, a2, w1) * size**0.5
        if not torch.isfinite(X).all():
            return X.sum()  # which is not finite either, and `advance` says so
        y = transform.synthesize(X, size, a3, a4, w2) * (1 / m * m**0.5)
        return (y - x).square().sum() / x.square().sum()

    def draw(self, step):
        """The first samples of a step's signals: (batch, size)."""
        settings = self.settings
        x = signals.draw(
            settings.objective, self.model.n, self.generator, index=None, batch=settings.batch
        )[:, : self.size]
        if not x.any():
            raise Stopped(
                f"stopped at step {step}: its signals are zero in their first {self.size} samples"
            )
        return torch.as_tensor(x).to(self.model.w1)

    @torch.no_grad()
    def add_noise(self, spread):
        """Move every frequency by N(0, spread²)."""
        if spread:
            for w in self.frequencies:
                if w.requires_grad:
                    noise = torch.as_tensor(self.generator.standard_normal(len(w)) * spread)
                    w += noise.to(w)

    def reached(self):
        """Whether the last row of the history is at full size and at the target."""
        last = self.history[-1] if self.history else None
        return bool(last) and last["size"] == self.model.n and last["loss"] <= self.settings.target

    def remember(self, step, loss):
        """Keep the parameters of the step if theirs is the lowest loss of all samples."""
        if not self.settings.patience or self.size < self.model.n:
            return
        best = self.best
        if best is None or loss < 0.99 * best.mark:
            self.best = Best(loss, self.last_good, step, mark=loss)
        elif loss < best.loss:
            self.best = Best(loss, self.last_good, best.step, best.mark)

    def recall(self, start, best, last_good):
        """Go on from what a checkpoint remembered."""
        self.start = start
        self.best = best and Best(**best)
        self.last_good = last_good

    def stuck(self, step):
        """Whether the loss of all samples has not fallen for as long as there is patience."""
        return self.best is not None and step - self.best.step > self.settings.patience

    def record(self, step, loss):
        """Write a row of the history, and the checkpoint with it."""
        settings = self.settings
        self.history.append(self._row(step, loss))
        if settings.paths:
            self.trace.append(self.model.w1.detach().numpy().copy())
        self.keep(step + 1)

    def keep(self, step):
        """Write the checkpoint, if there is one, from which to go on at this step."""
        if self.settings.checkpoint:
            checkpoints.save(self.settings.checkpoint, self, step)

    def _row(self, step, loss):
        """Of each group its rms gradient and the length of its step, of w in widths of a bin."""
        n, w1 = self.model.n, self.model.w1.detach()
        row = {"step": step, "size": self.size, "loss": loss.item(), "filled": filled_bins(w1, n)}
        for group in self.optimizer.param_groups:
            name = group["name"]
            gradient = self.parameters[name].grad.square().mean().sqrt().item()
            row[f"gradient_{name}"] = gradient
            row[f"step_{name}"] = self._moved(group, gradient) * (
                n / math.pi if name in FREQUENCIES else 1
            )
        return row

    def _moved(self, group, gradient):
        """The length of a parameter's step: of Newton's its rms, else rate times gradient or 1."""
        if self.settings.optimizer == "newton":
            name = group["name"]
            step = self.parameters[name].detach() - self.last_good[name]
            return step.square().mean().sqrt().item()
        return group["lr"] * (1 if self.settings.optimizer == "adam" else gradient)

    def _rates(self):
        """The rate of each parameter at the present size, before the schedule's factor."""
        if self.settings.optimizer == "newton":
            return [self.settings.lr] * len(self.trained)
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
        if self.settings.optimizer == "newton":
            return SineNewton(self.model, self.settings.lr, samples=self.size)
        if self.settings.optimizer == "sgd":
            return torch.optim.SGD(self._groups(), momentum=0.9)
        return torch.optim.Adam(self._groups(), betas=(0.9, 0.99), fused=True)

    def _farthest(self, values):
        """The largest frequency among values of the parameters."""
        return max(values[name].abs().max().item() for name in FREQUENCIES if name in values)

    def copy(self, names=None):
        """The values of these parameters, or of all, by name."""
        names = self.parameters if names is None else names
        return {name: self.parameters[name].detach().clone() for name in names}

    @torch.no_grad()
    def restore(self, values):
        """Give parameters, by name, the values that they had."""
        for name, value in values.items():
            self.parameters[name].copy_(value)

    @torch.no_grad()
    def _stretch(self, factor):
        for name in AMPLITUDES:
            self.parameters[name] *= factor

    def _blame(self, step, before):
        """Stop, naming the parameter whose gradient is the largest relative to itself."""
        growth = {}
        for name, p in self.trained.items():
            if p.grad is not None:
                relative = p.grad.abs().max() / (1e-300 + before[name].abs().max())
                growth[name] = relative.nan_to_num(math.inf).item()
        worst = max(growth, key=growth.get)
        self.restore(self.last_good or before)
        raise Stopped(
            f"stopped at step {step}: the loss is not finite, and {worst} has the largest gradient"
        )

    def _require_finite(self, step):
        """Stop where a step has led out of the finite numbers, which no transform may see."""
        # a sum is finite where all terms are, and costs less than looking at each
        total = sum(p.detach().sum().item() for p in self.trained.values())
        if math.isfinite(total):
            return
        lost = [name for name, p in self.trained.items() if not torch.isfinite(p).all()]
        if lost:
            rates = {group["name"]: group["lr"] for group in self.optimizer.param_groups}
            self.restore(self.last_good)
            raise Stopped(
                f"stopped at step {step}: {lost[0]} would not be finite after it, "
                f"at a rate of {rates[lost[0]]:.3g}"
            )

    def _require_good_end(self):
        """Stop where the last step has led to a loss that is not finite, which no step has seen."""
        if not math.isfinite(_loss_in_double(self.model)):
            self.restore(self.last_good or {})
            step = self.history[-1]["step"]
            raise Stopped(f"stopped at step {step}: the loss would not be finite after it")

    def _return_to_best(self):
        """Where patience is asked for, keep the last parameters only if none before were better."""
        if self.best is None:
            return
        last, loss = self.copy(), self._expected()
        self.restore(self.best.values)
        if loss <= self._expected():
            self.restore(last)

    @torch.no_grad()
    def _expected(self):
        """E L / Nσ² at all samples and at the scale of the training."""
        parameters = (p.double() for p in self.model.parameters())
        return expected_loss(self.model.n, *parameters, scale=1 / self.model.m).item()


@torch.no_grad()
def _loss_in_double(model):
    """E L / Nσ² in double precision, whatever the model's own."""
    return expected_loss(model.n, *(p.double() for p in model.parameters())).item()
