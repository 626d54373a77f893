"""The DCT from a random start."""

from contextlib import contextmanager
from inspect import signature

import numpy as np
import torch

from lct_lab.checks import require_choice, require_memory, require_size
from lct_lab.init import FREQUENCIES
from lct_lab.models import LCT
from lct_lab.training.fit import fit
from lct_lab.training.loss import as_frequencies
from lct_lab.training.rates import OPTIMIZERS
from lct_lab.training.schedules import CoarseToFine, LookBack
from lct_lab.training.settings import require_model

NUMBERS_A_SAMPLE = 100  # in training: measured; chosen low, so that nothing possible is refused
ROUNDS = 8  # looks back at most; one or two are enough


def recover(
    n,
    m=None,
    *,
    model=None,
    w=None,
    init="random",
    tied=True,
    seed=0,
    objective="expected",
    **options,
):
    """Find the DCT from a random start, by Newton's method, coarse to fine.

    With m = n it is `fit` by `SineNewton` on a `LookBack` schedule, which stops by itself: at an
    error of 1e-10, or when a look back has changed nothing. With another m the minimum is no single
    grid and its curvature not known; it is then `fit` by Adam on a `CoarseToFine` schedule, of
    2500 ∛(n/512) steps unless `steps` says otherwise.

    Parameters
    ----------
    n, m : samples and frequencies, m = n when None.
    model : an LCT of these sizes, trained in place; None draws `LCT(n, m, init, tied, seed)`.
    w : frequencies to start from, radians a sample: (m,), or for an untied model two of these.
    objective : "expected", or a signal as in `fit`; Newton's steps are then cut to 0.7 of theirs,
        because a batch's gradient is not exact.
    options : any of `fit`'s, in place of what is chosen here.

    Untied models need sorted starts: w_k and w̃_k that are far apart never meet.
    Returns `Result` and raises as `fit` does, also for a start of another size, with a NaN, or of
    an untied model that is not sorted.
    """
    if unknown := set(options) - set(signature(fit).parameters):
        raise TypeError(f"recover() got an unexpected keyword argument {min(unknown)!r}")
    n = require_size("n", n)
    m = n if m is None else require_size("m", m)
    require_memory(NUMBERS_A_SAMPLE * n, n=n)
    if model is None:
        model = LCT(n, m, init=init, tied=tied, seed=seed, dtype=torch.float64, device="cpu")
    _require_sizes(model, n, m)
    optimizer = options.get("optimizer", "newton" if m == n else "adam")
    by_newton = require_choice("optimizer", optimizer, (*OPTIMIZERS, "newton")) == "newton"
    choices = _newton(n, objective) if by_newton else _adam(n, options.get("steps"))
    with _starting_at(model, w):
        if not model.tied:
            _require_sorted(model)
        return fit(model, **choices | {"seed": seed, "objective": objective} | options)


@contextmanager
def _starting_at(model, w):
    """Give the model its user's frequencies, and its own back if training does not begin."""
    if w is None:
        yield
        return
    names = [name for name in FREQUENCIES if hasattr(model, name)]
    before = {name: getattr(model, name).detach().clone() for name in names}
    given = _frequencies(model, w)
    _put(model, given)
    try:
        yield
    except BaseException:
        if all(torch.equal(getattr(model, name), given[name]) for name in names):
            _put(model, before)
        raise


def _newton(n, objective):
    schedule = LookBack(n)
    exact = isinstance(objective, str) and objective == "expected"
    return {
        "optimizer": "newton",
        "lr": 1.0 if exact else 0.7,
        "schedule": schedule,
        "steps": schedule.growth + ROUNDS * schedule.round,
        "patience": schedule.round,
        "target": 1e-10,
        "every": 1,
    }


def _adam(n, steps):
    steps = round(2500 * (n / 512) ** (1 / 3)) if steps is None else require_size("steps", steps)
    return {
        "optimizer": "adam",
        "lr": 0.02,
        "pace": 2.0,
        "schedule": CoarseToFine(n, steps),
        "steps": steps,
    }


def _require_sizes(model, n, m):
    require_model(model)
    if (model.n, model.m) != (n, m):
        raise ValueError(
            f"model must have the n = {n} samples and m = {m} frequencies asked for, "
            f"got {model.n} and {model.m}"
        )


def _frequencies(model, w):
    """The frequencies of a model's user, by name: one vector, or two of an untied model."""
    names = FREQUENCIES[:1] if model.tied else FREQUENCIES
    try:
        np.shape(w)
    except ValueError:  # numpy's own, of sides of unequal length
        raise ValueError(f"w must have sides of m = {model.m} each, got unequal ones") from None
    sides = [w] if model.tied else list(w) if np.ndim(w) == 2 or isinstance(w, tuple) else []
    if len(sides) != len(names):
        raise ValueError(
            f"w must be two vectors of m = {model.m} frequencies for an untied model, "
            f"got an array of shape {np.shape(w)}"
        )
    sides = [as_frequencies(side) for side in sides]
    for name, values in zip(names, sides, strict=True):
        if values.shape != (model.m,):
            raise ValueError(
                f"w must be of shape (m,) = ({model.m},) a side, got {values.shape} for {name}"
            )
    given = zip(names, sides, strict=True)
    return {name: torch.as_tensor(values.copy()).to(model.w1) for name, values in given}


@torch.no_grad()
def _put(model, frequencies):
    for name, values in frequencies.items():
        getattr(model, name).copy_(values)


def _require_sorted(model):
    """Raise for an untied model whose partners do not start near each other."""
    for name in FREQUENCIES:
        falls = np.flatnonzero(np.diff(getattr(model, name).detach().numpy()) < 0)
        if len(falls):
            raise ValueError(
                "an untied model must start from sorted frequencies, since w_k and w̃_k that are "
                f"far apart never meet; got {name} falling after entry {falls[0]}"
            )
