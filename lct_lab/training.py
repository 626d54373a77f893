"""Training to reconstruct: the exact expected loss, coarse-to-fine schedules, a loop that can be read and resumed."""

import math
import os
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from lct_lab import balance, models, nufft, signals, transform
from lct_lab.checks import require_choice, require_size

VERSION = 2  # of checkpoints


def expected_loss(n, a1, a2, a3, a4, w1, w2=None, *, scale=None):
    """E L / Nσ² over white input, exactly: ‖A - I‖² / n with A = scale · W₂W₁; 1 is what predicting nothing costs.

    Tied (w2 None): with P(l) = Σ_k cos(l w_k), l <= 2n - 2, the inner block of A is Toeplitz plus Hankel,
    Σ_k cos(w_k i) cos(w_k j) = ½ (P(|i-j|) + P(i+j)), so its squared norm is Σ P(|i-j|)² + Σ P(i+j)² + 2 Σ P P, the
    last by prefix sums of P over even and odd lags: one nonuniform FFT and O(n), and one more for the gradient.
    Untied: through both Gram matrices, whose entries are Dirichlet kernels, O(m²).

    n : samples. a1 … a4 : numbers or tensors. w1, w2 : tensors (m,). scale : 1/√(nm) when None.
    Returns a scalar tensor, differentiable in everything but n.
    """
    m = len(w1)
    scale = 1 / math.sqrt(n * m) if scale is None else scale
    if w2 is None:
        a = [torch.as_tensor(v, dtype=w1.dtype) for v in (a1, a2, a3, a4)]
        return _TiedLoss.apply(n, scale, *a, w1)
    square, trace = _untied(n, m, a1, a2, a3, a4, w1, w2)
    return (scale**2 * square - 2 * scale * trace) / n + 1


class _TiedLoss(torch.autograd.Function):
    """The tied loss and its gradient in one go, in numpy: they share the frequencies' plan."""

    @staticmethod
    def forward(ctx, n, scale, *parameters):
        *a, w = parameters
        with np.errstate(
            over="ignore", invalid="ignore"
        ):  # `fit` sees what is not finite, and says so
            value, gradients = _tied(n, scale, *(v.double().numpy() for v in a), w.double().numpy())
        ctx.gradients = [
            torch.as_tensor(g, dtype=w.dtype).reshape(v.shape)
            for g, v in zip(gradients, parameters, strict=True)
        ]
        return torch.tensor(value, dtype=w.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        return None, None, *(g * gradient for gradient in ctx.gradients)


def _tied(n, scale, a1, a2, a3, a4, w):
    m, (P, moments), (counts, last) = len(w), nufft.lag_sums(w, 2 * n - 1), _counts(n)
    twice = 2 * P
    twice[0] = P[0]
    upto, sums = _prefix(twice), _prefix(P)
    mixed = upto[last]  # Σ over differences of P, for each sum i + j >= 2
    inner = counts @ P**2 + 2 * P[2:] @ mixed
    by_inner = 2 * counts * P
    by_inner[2:] += 2 * mixed
    down = np.arange(n - 1)
    by_inner[down] += np.where(down == 0, 2, 4) * (sums[2 * n - 2 - down] - sums[down])
    edge, even = P[1:n] @ P[1:n], (n - 1) * m + P[2::2].sum()
    square = (
        (a1 * a3 * m) ** 2 + ((a2 * a3) ** 2 + (a1 * a4) ** 2) * edge + (a2 * a4) ** 2 / 4 * inner
    )
    trace = a1 * a3 * m + a2 * a4 / 2 * even
    G = scale**2 * (a2 * a4) ** 2 / 4 * by_inner
    G[1:n] += 2 * scale**2 * ((a2 * a3) ** 2 + (a1 * a4) ** 2) * P[1:n]
    G[2::2] -= scale * a2 * a4
    s, t = 2 * scale**2, 2 * scale
    by_a = (
        s * (a1 * (a3 * m) ** 2 + a1 * a4**2 * edge) - t * a3 * m,
        s * (a2 * a3**2 * edge + a2 * a4**2 / 4 * inner) - t * a4 / 2 * even,
        s * (a3 * (a1 * m) ** 2 + a3 * a2**2 * edge) - t * a1 * m,
        s * (a4 * a1**2 * edge + a4 * a2**2 / 4 * inner) - t * a2 / 2 * even,
    )
    return (scale**2 * square - t * trace) / n + 1, (*(g / n for g in by_a), -moments(G) / n)


def _prefix(values):
    """Sums over the entries of one parity up to each: s_l = v_l + v_{l-2} + …"""
    sums = np.empty_like(values)
    sums[::2], sums[1::2] = values[::2].cumsum(), values[1::2].cumsum()
    return sums


@lru_cache(maxsize=2)
def _counts(n):
    """How many (i, j), 1 <= i, j < n, have |i-j| = l, plus how many i+j = l; and of each sum its largest difference."""
    lag = np.arange(2 * n - 1)
    difference = np.maximum(n - 1 - lag, 0) * np.where(lag == 0, 1, 2)
    total = np.maximum(np.minimum(lag - 1, 2 * n - 1 - lag), 0)
    return difference + total, np.minimum(lag[2:] - 2, 2 * n - 2 - lag[2:])


def _untied(n, m, a1, a2, a3, a4, w1, w2):
    gram1, gram2 = a1**2 + a2**2 / 2 * _kernel(w1, n), a3**2 + a4**2 / 2 * _kernel(w2, n)
    meet = _dirichlet(w2 - w1, n) + _dirichlet(w2 + w1, n)
    return (gram1 * gram2).sum(), a1 * a3 * m + a2 * a4 / 2 * meet.sum()


def _kernel(w, n):
    """2 Σ_{j=1}^{n-1} cos(w_k j) cos(w_l j): by Christoffel and Darboux from outer products, close pairs directly."""
    low, high, cosine = torch.cos((n - 1) * w), torch.cos(n * w), torch.cos(w)
    apart = cosine[:, None] - cosine
    near = apart.detach().abs() < 1e-3
    value = (torch.outer(high, low) - torch.outer(low, high)) / torch.where(near, 1.0, apart) - 1
    k, l = near.nonzero(as_tuple=True)
    return value.index_put((k, l), _dirichlet(w[k] - w[l], n) + _dirichlet(w[k] + w[l], n))


def _dirichlet(v, n):
    """Σ_{j=1}^{n-1} cos(v j), near multiples of 2π by its first two terms."""
    v = v - 2 * torch.pi * torch.round(v / (2 * torch.pi)).detach()
    near = v.abs() * n < 1e-4
    u = torch.where(near, 1.0, v)
    series = n - 1 - v**2 * ((n - 1) * n * (2 * n - 1) / 12)
    return torch.where(near, series, (torch.sin((n - 0.5) * u) / torch.sin(u / 2) - 1) / 2)


class CoarseToFine(NamedTuple):
    """Train on the first `size` samples, 4 growing geometrically to n over `share` of the steps.

    At size s a basin in w is about π/s wide, so that few and wide basins are filled first, evenly, and split when s
    grows; at s = n they are the bins. Noise on w, `noise` · π/s, parts frequencies that share a basin; it ends with
    the growth, and the rate then falls to zero linearly.
    """

    n: int
    steps: int
    start: int = 4
    share: float = 0.7
    noise: float = 0.01

    def size(self, step):
        part = min(1.0, step / max(1, self.share * self.steps))
        return (
            min(self.n, round(self.start * (self.n / self.start) ** part))
            if self.n > self.start
            else self.n
        )

    def rate(self, step):
        return min(1.0, (self.steps - step) / max(1.0, (1 - self.share) * self.steps))

    def spread(self, step):
        return self.noise * math.pi / self.size(step) if self.size(step) < self.n else 0.0


class Constant(NamedTuple):
    """All samples from the first step, at one rate: plain descent."""

    n: int

    def size(self, step):
        return self.n

    def rate(self, step):
        return 1.0

    def spread(self, step):
        return 0.0


class Result(NamedTuple):
    """The trained model, its history (DataFrame), E L / Nσ², the bins filled, why it stopped, and w1 along the way."""

    model: models.LCT
    history: object
    loss: float
    filled: int
    stopped: str
    paths: np.ndarray


def filled_bins(w, n):
    """How many of the n bins (kπ/n, (k+1)π/n), whose centres are the DCT's frequencies, hold a frequency."""
    folded = np.abs((np.asarray(w) + np.pi) % (2 * np.pi) - np.pi)
    return len(np.unique(np.minimum((folded * n / np.pi).astype(int), n - 1)))


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
    """Train `model` in place by SGD (momentum 0.9) or Adam (0.9, 0.99) on E L / Nσ² or on batches of signals.

    Parameters
    ----------
    steps, lr : how many, and the rate of `balance.param_groups` under `rule`; times `pace` for frequencies.
    schedule : `CoarseToFine`, `Constant` (None) or any object with n, size, rate and spread; `rule` is asked again
    whenever the size changes. objective : "expected", or a signal as in `signals.draw`, `batch` of them a step.
    every, target : how often the history is written, and the expected loss at which to stop early.
    checkpoint : a path; written with the history, and continued from when it exists, to the same bytes.
    paths : keep w1 at each row of the history.

    Returns `Result`; a loss that is not finite ends with the last good state and says in `stopped` whose gradient
    grew. Raises ValueError or TypeError naming an argument, also for a checkpoint of another model or version.
    """
    import pandas as pd
    from tqdm.auto import tqdm

    if not isinstance(model, models.LCT):
        raise TypeError(f"model must be an LCT, got {type(model).__name__}")
    steps, every, batch = (
        require_size("steps", steps),
        require_size("every", every),
        require_size("batch", batch),
    )
    require_choice("optimizer", optimizer, ("sgd", "adam"))
    schedule, generator = (
        schedule or Constant(model.n),
        np.random.default_rng(require_size("seed", seed, 0)),
    )
    exact = isinstance(objective, str) and objective == "expected"
    objective = None if exact else signals.check(objective, model.n, batch)
    parameters, history, stopped = dict(model.named_parameters()), [], "all steps done"
    last, trace = None, []
    size = schedule.size(0)
    torch_optimizer = _optimizer(model, rule, lr, optimizer, size)
    start = (
        _load(checkpoint, model, torch_optimizer, generator, history, trace, schedule)
        if checkpoint
        else 0
    )
    scale = 1 / model.m  # frame-like at every size; amplitudes take up the rest at the end
    stretch = (model.n / model.m) ** 0.25
    if start == 0:
        _stretch(model, 1 / stretch)
    for step in tqdm(range(start, steps), disable=not progress, desc=f"n = {model.n}"):
        if _reached(target, history, model):
            break
        if schedule.size(step) != size or step == start:
            size = schedule.size(step)
            fresh = balance.param_groups(model, rule, lr, optimizer=optimizer, n=size)
            rates = [group["lr"] * (pace if group["name"][0] == "w" else 1) for group in fresh]
        for group, rate in zip(torch_optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * schedule.rate(step)
        here = [p.detach().clone() for p in parameters.values()]
        loss = _loss(model, objective, size, scale, generator, batch)
        torch_optimizer.zero_grad()
        loss.backward()
        if not torch.isfinite(loss):
            stopped = _blame(step, parameters, here)
            with torch.no_grad():
                for p, old in zip(parameters.values(), last or here, strict=True):
                    p.copy_(old)
            break
        last = here
        torch_optimizer.step()
        if spread := schedule.spread(step):
            with torch.no_grad():
                for name in ("w1", "w2")[: 1 if model.tied else 2]:
                    noise = torch.as_tensor(generator.standard_normal(model.m) * spread)
                    parameters[name] += noise.to(parameters[name])
        if step % every == 0 or step == steps - 1:
            history.append(_row(step, size, loss, parameters, torch_optimizer, model))
            if paths:
                trace.append(model.w1.detach().numpy().copy())
            if checkpoint:
                _save(
                    checkpoint,
                    model,
                    torch_optimizer,
                    generator,
                    history,
                    trace,
                    step + 1,
                    schedule,
                )
    if _reached(target, history, model):
        stopped = f"reached {target} at step {history[-1]['step']}"
    _stretch(model, stretch)
    with torch.no_grad():
        w2 = None if model.tied else model.w2.double()
        a = [p.double() for p in (model.a1, model.a2, model.a3, model.a4)]
        final = expected_loss(model.n, *a, model.w1.double(), w2).item()
    filled = filled_bins(model.w1.detach(), model.n)
    return Result(model, pd.DataFrame(history), final, filled, stopped, np.array(trace))


def recover(
    n,
    m=None,
    *,
    seed=0,
    tied=True,
    steps=None,
    lr=0.02,
    pace=2.0,
    objective="expected",
    init="random",
    **options,
):
    """Find the DCT from a random start: `fit` by Adam, coarse to fine, on an `LCT(n, m)` drawn from `seed`.

    steps : 2500 ∛(n/512) when None. m : n when None. pace : as in `fit`; frequencies have further to go than from a
    start near the DCT. Untied models need sorted starts: w_k and w̃_k that are far apart never meet. Other options, and
    what is returned, as in `fit`.
    """
    if unknown := set(options) - set(fit.__kwdefaults__):
        raise TypeError(f"recover() got an unexpected keyword argument {min(unknown)!r}")
    n = require_size("n", n)
    model = models.LCT(
        n, n if m is None else m, init=init, tied=tied, seed=seed, dtype=torch.float64
    )
    steps = round(2500 * (n / 512) ** (1 / 3)) if steps is None else require_size("steps", steps)
    return fit(
        model,
        steps=steps,
        lr=lr,
        pace=pace,
        schedule=options.pop("schedule", CoarseToFine(n, steps)),
        seed=seed,
        objective=objective,
        **options,
    )


def _optimizer(model, rule, lr, name, size):
    groups = balance.param_groups(model, rule, lr, optimizer=name, n=size)
    if name == "sgd":
        return torch.optim.SGD(groups, momentum=0.9)
    return torch.optim.Adam(groups, betas=(0.9, 0.99), fused=True)


def _loss(model, objective, size, scale, generator, batch):
    w = (model.w1,) if model.tied else (model.w1, model.w2)
    if objective is None:
        return expected_loss(size, model.a1, model.a2, model.a3, model.a4, *w, scale=scale)
    x = torch.as_tensor(signals.draw(objective, model.n, generator, batch=batch)[:, :size]).to(
        model.w1
    )
    X = transform.analyze(x, model.a1, model.a2, model.w1) * size**0.5
    y = transform.synthesize(X, size, model.a3, model.a4, w[-1]) * (scale * model.m**0.5)
    return (y - x).square().sum() / x.square().sum()


def _reached(target, history, model):
    return bool(history) and history[-1]["size"] == model.n and history[-1]["loss"] <= target


@torch.no_grad()
def _stretch(model, factor):
    for p in (model.a1, model.a2, model.a3, model.a4):
        p *= factor


def _row(step, size, loss, parameters, optimizer, model):
    row = {
        "step": step,
        "size": size,
        "loss": loss.item(),
        "filled": filled_bins(model.w1.detach(), model.n),
    }
    for group in optimizer.param_groups:
        name = group["name"]
        gradient = parameters[name].grad
        row[f"gradient_{name}"] = gradient.square().mean().sqrt().item()
        moved = group["lr"] * (
            1 if isinstance(optimizer, torch.optim.Adam) else row[f"gradient_{name}"]
        )
        row[f"step_{name}"] = moved * (
            model.n / math.pi if name[0] == "w" else 1
        )  # of w in bin widths
    return row


def _blame(step, parameters, before):
    sizes = {
        name: (p.grad.abs().max() / (1e-300 + old.abs().max())).nan_to_num(math.inf).item()
        for (name, p), old in zip(parameters.items(), before, strict=True)
    }
    return f"stopped at step {step}: the loss is not finite, and {max(sizes, key=sizes.get)} has the largest gradient"


def _save(path, model, optimizer, generator, history, trace, step, schedule):
    state = {
        "version": VERSION,
        "shape": [model.n, model.m, model.tied],
        "model": model.state_dict(),
        "step": step,
        "optimizer": optimizer.state_dict(),
        "generator": generator.bit_generator.state,
        "history": history,
        "trace": trace,
        "schedule": list(schedule),
    }
    part = Path(f"{path}.part")
    torch.save(state, part)
    os.replace(part, path)


def _load(path, model, optimizer, generator, history, trace, schedule):
    if not Path(path).exists():
        return 0
    state = torch.load(path, weights_only=False)
    expected = {
        "version": VERSION,
        "shape": [model.n, model.m, model.tied],
        "schedule": list(schedule),
    }
    for key, value in expected.items():
        if state.get(key) != value:
            raise ValueError(f"checkpoint must be of {key} {value}, got {state.get(key)} in {path}")
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    generator.bit_generator.state = state["generator"]
    history += state["history"]
    trace += state["trace"]
    return state["step"]
