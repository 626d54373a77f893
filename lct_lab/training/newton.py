"""Newton's method for an LCT, in the sine waves in which its curvature is known."""

import math

import numpy as np
import torch

from lct_lab.checks import require_number, require_size
from lct_lab.init import FREQUENCIES
from lct_lab.training.curvature import (
    amplitude_curvature,
    newton_waves,
    one_sided_curvature,
    opposite_curvature,
    sum_of_waves,
    wave_sums,
)
from lct_lab.training.settings import require_model

DAMPING = 2.0  # of the loss: Levenberg and Marquardt's μ, which vanishes with it
FARTHEST = 0.5  # that a frequency moves in a step, in bins of the samples in use
LARGEST_CHANGE = 0.25  # of an amplitude in a step
NEGATIVE = -1e-6  # below it a loss is no rounding
LEAST_CURVATURE = 1e-9  # of an amplitude whose partner is zero


class NotFinite(ValueError):
    """A gradient has a NaN or an infinity; no parameter has moved."""


class SineNewton(torch.optim.Optimizer):
    """Newton's method on E L / Nσ², of a model with as many frequencies as samples.

    The frequencies are folded into [0, π] and taken in their order; their gradient goes into sine
    waves of that order, is divided by the curvature of each wave (`training.curvature`), and comes
    back as a step: O(m log m). Near the grid this is Newton's method, whose errors square from step
    to step; at a distance the loss E itself damps it, by μ = 2E (Levenberg, Marquardt), and no
    frequency moves by more than half a bin. There is nothing to remember from step to step.

    Untied models: the two sides together and against each other are waves of two known spectra.

    Parameters
    ----------
    model : an LCT with m = n in single or double precision. Frozen parameters stay.
    lr : the part of Newton's step that is made; 1 on the expected loss, about ⅔ on batches of 100.
        That of each group counts for its parameter; a schedule may lead it down to 0.
    samples : how many of the first samples the loss uses, an attribute that may change; then its
        scale is that of E L / Nσ² at this size, with amplitudes near (1, √2, 1, √2).

    step(closure) needs the loss, for the damping: closure() returns it, with gradients in place.
    Raises ValueError or TypeError naming the argument, at a step before any parameter moves.
    """

    def __init__(self, model, lr=1.0, *, samples=None):
        require_model(model)
        if model.m != model.n:
            raise ValueError(
                "model must have as many frequencies as samples, where the curvature is known, "
                f"got n = {model.n}, m = {model.m}"
            )
        if not 0 < require_number("lr", lr) <= 1:
            raise ValueError(f"lr must be above 0 and at most 1, got {lr!r}")
        self.model = model
        groups = [
            {"params": [parameter], "name": name}
            for name, parameter in model.named_parameters()
            if parameter.requires_grad
        ]
        super().__init__(groups, {"lr": lr})
        self.samples = model.n if samples is None else samples

    @property
    def samples(self):
        """How many of the first samples the loss uses; `state_dict` has it, too."""
        return self.param_groups[0]["samples"]

    @samples.setter
    def samples(self, value):
        found = require_size("samples", value)
        if found > self.model.n:
            raise ValueError(f"samples must be at most {self.model.n}, the model's, got {value}")
        for group in self.param_groups:
            group["samples"] = found

    def add_param_group(self, param_group):
        """Take the groups of the model's own parameters, and raise ValueError for any other."""
        own = dict(self.model.named_parameters())
        name, given = param_group.get("name"), list(param_group["params"])
        if name not in own or len(given) != 1 or given[0] is not own[name]:
            raise ValueError(
                f"param_group must be one of the model's parameters by its name, got {name!r}"
            )
        super().add_param_group(param_group)

    def load_state_dict(self, state_dict):
        """Take the state of a model with the same parameters trained, and samples that this has.

        Raises ValueError, nothing taken, for another.
        """
        groups = state_dict["param_groups"]
        found, own = ([group.get("name") for group in of] for of in (groups, self.param_groups))
        if found != own:
            raise ValueError(f"state_dict must be of the parameters {own}, got {found}")
        counts = {require_size("samples", group.get("samples")) for group in groups}
        if len(counts) != 1 or max(counts) > self.model.n:
            most = f"be one number, at most {self.model.n}, the model's"
            raise ValueError(f"samples in state_dict must {most}, got {sorted(counts)}")
        super().load_state_dict(state_dict)

    def __getstate__(self):
        """What copies and pickles hold: torch's own leaves out what it does not know."""
        return super().__getstate__() | {"model": self.model}

    @torch.no_grad()
    def step(self, closure):
        """Step down the gradients that closure() leaves, damped by the loss that it returns."""
        if not callable(closure):
            raise TypeError(f"closure must return the loss, which damps the step, got {closure!r}")
        rates = {group["name"]: _rate(group) for group in self.param_groups}
        with torch.enable_grad():
            loss = closure()
        damping = min(DAMPING * _require_loss(loss), 1.0)
        trained = {group["name"]: group["params"][0] for group in self.param_groups}
        _require_gradients(trained)
        self._move_amplitudes(trained, rates)
        sides = {name: trained[name] for name in FREQUENCIES if name in trained}
        if sides:
            self._move_frequencies(sides, rates, damping)
        return loss

    def _move_amplitudes(self, trained, rates):
        values = {name: float(getattr(self.model, name)) for name in ("a1", "a2", "a3", "a4")}
        for name, curvature in amplitude_curvature(self.samples, **values, trained=trained).items():
            change = rates[name] * float(trained[name].grad) / max(curvature, LEAST_CURVATURE)
            trained[name] -= min(max(change, -LARGEST_CHANGE), LARGEST_CHANGE)

    def _move_frequencies(self, sides, rates, damping):
        folded, gradients = zip(*(_folded(w) for w in sides.values()), strict=True)
        order = np.argsort(sum(folded), kind="stable")
        slopes = [wave_sums(gradient[order]) for gradient in gradients]
        farthest = FARTHEST * math.pi / self.samples
        steps = self._steps(slopes, damping)
        for (name, w), start, step in zip(sides.items(), folded, steps, strict=True):
            moved = start.copy()
            moved[order] -= np.clip(rates[name] * step, -farthest, farthest)
            w.copy_(torch.from_numpy(_reflected(moved)))

    def _steps(self, slopes, damping):
        """The step of each side, in the frequencies' order, from its slopes along the waves."""
        n, m = self.samples, self.model.m
        if self.model.tied:
            return [sum_of_waves(newton_waves(slopes[0], n, damping))]
        damped = damping * n**2 + np.where(np.arange(1, m + 1) >= n, n**2 / 4, 0)
        if len(slopes) == 1:
            return [sum_of_waves(slopes[0] / (2 * one_sided_curvature(n, m) + damped))]
        together = sum_of_waves(newton_waves(slopes[0] + slopes[1], n, damping))
        against = (slopes[0] - slopes[1]) / (2 * opposite_curvature(n, m) + damped)
        against = sum_of_waves(against)
        return [together + against, together - against]


def _rate(group):
    """The rate of a parameter group, which its user may have changed, or the sentence about it."""
    name = f"lr of {group['name']}"
    rate = require_number(name, group["lr"])
    if rate < 0:
        raise ValueError(f"{name} must be at least 0, got {rate!r}")
    return rate


def _require_loss(loss):
    """What a closure returned as a float, or raise: one real finite number, and no negative one."""
    wanted = "closure must return a finite loss, a tensor"
    if not isinstance(loss, torch.Tensor):
        raise ValueError(f"{wanted}, got {loss!r}")
    if loss.numel() != 1 or loss.is_complex():
        raise ValueError(
            f"{wanted} of one real number, got {loss.dtype} of shape {tuple(loss.shape)}"
        )
    value = loss.item()
    if not math.isfinite(value):
        raise ValueError(f"{wanted}, got {loss!r}")
    if value < NEGATIVE:
        raise ValueError(f"closure must return a loss of at least 0, got {value:.3g}")
    return value


def _require_gradients(trained):
    """Raise unless every parameter has a gradient, of finite numbers."""
    if without := [name for name, parameter in trained.items() if parameter.grad is None]:
        raise ValueError(f"closure must leave gradients, got none for {', '.join(without)}")
    # a sum is finite where all terms are, and costs less than looking at each
    if math.isfinite(sum(parameter.grad.sum().item() for parameter in trained.values())):
        return
    for name, parameter in trained.items():
        if not torch.isfinite(parameter.grad).all():
            raise NotFinite(
                f"closure must leave finite gradients, got a NaN or an infinity in that of {name}"
            )


def _folded(w):
    """w in [0, π], which gives the same cosines, and the gradient there: two arrays."""
    values, gradient = w.double().numpy(), w.grad.double().numpy()
    turned = (values + np.pi) % (2 * np.pi) - np.pi
    return np.abs(turned), np.where(turned < 0, -gradient, gradient)


def _reflected(w):
    """w back in [0, π] after a step that may have led out of it."""
    return np.abs((w + np.pi) % (2 * np.pi) - np.pi)
