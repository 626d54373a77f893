"""Gradients over many random inits, as tidy rows."""

import math
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import torch

from lct_lab import checks, nufft, scaling, signals, transform
from lct_lab import init as inits

TOGETHER = 1 << 17  # frequencies or samples drawn at once, for a block of inits
BLOCK = 64  # inits of a block, at most
WORTH = 4  # seconds of work from which other processes share it


class Gradients(NamedTuple):
    """The loss and its gradient in each group; w2 is None when tied."""

    loss: torch.Tensor
    a1: torch.Tensor
    a2: torch.Tensor
    a3: torch.Tensor
    a4: torch.Tensor
    w1: torch.Tensor
    w2: torch.Tensor | None


def gradients(x, a1, a2, a3, a4, w1, w2=None, *, engine="auto"):
    """The loss L = Σ (y - x)² and its gradient in all six groups, by hand, without autograd.

    With e = 2(y - x), Y_0 = Σ_k X_k / √M, and n = 1 … N-1 in what follows:

    C_k = Σ cos(w_k n) x_n     T_k = Σ n sin(w_k n) x_n   X_k = (a1 x_0 + a2 C_k) / √N
    G_k = Σ cos(w̃_k n) e_n     S_k = Σ n sin(w̃_k n) e_n   Y_n = Σ_k cos(w̃_k n) X_k / √M
    g_k = ∂L/∂X_k = (a3 e_0 + a4 G_k) / √M

    ∂L/∂a1 = x_0 Σ_k g_k / √N  ∂L/∂a2 = Σ_k g_k C_k / √N  ∂L/∂w_k = -a2 g_k T_k / √N
    ∂L/∂a3 = e_0 Y_0           ∂L/∂a4 = Σ e_n Y_n         ∂L/∂w̃_k = -a4 X_k S_k / √M

    Parameters
    ----------
    x : tensor (N,) or (B, N); with B signals the loss and gradients are those of the mean loss.
    a1, a2, a3, a4 : numbers or one-element tensors.
    w1, w2 : tensors (M,); w2 None ties both sides to w1, whose gradient is then the sum of the two.

    Returns `Gradients` of detached tensors. Raises TypeError or ValueError naming the argument.
    """
    checks.require_choice("engine", engine, transform.ENGINES)
    _check_tensors(x, w1, w2)
    named = zip(inits.GROUPS[:4], (a1, a2, a3, a4), strict=True)
    amplitudes = [checks.require_scalar(name, value, ("x", x)) for name, value in named]
    with np.errstate(over="ignore", invalid="ignore"):  # a sentence follows
        found = _computed(engine, x, amplitudes, w1, w2)
    _require_numbers(found, x, amplitudes)
    return found


def _computed(engine, x, amplitudes, w1, w2):
    if transform.resolve_engine(engine, x, w1, graph=False) == "dense":
        return _by_definition(torch.atleast_2d(x), amplitudes, w1, w2)
    if x.is_cuda:
        return _by_autograd(x, amplitudes, w1, w2, nufft)
    return _by_nufft(x, amplitudes, w1, w2)


def _require_numbers(found, x, amplitudes):
    """Raise where x or the amplitudes are so large or small that the dtype cannot say."""
    # a sum is finite where all terms are, and costs less than looking at each
    known = [value for value in found if value is not None]
    total = sum((value.sum() if value.ndim else value).item() for value in known)
    if not math.isfinite(total) and not all(value.isfinite().all() for value in known):
        raise ValueError(_too_large("x", x, map(float, amplitudes)))
    if found.loss.item() < torch.finfo(x.dtype).tiny:
        _require_squares("x", x.detach().abs().amax(-1).cpu().numpy(), x.dtype)


def _too_large(name, x, amplitudes):
    shown = ", ".join(f"{value:.3g}" for value in amplitudes)
    return (
        f"amplitudes and {name} must be small enough for finite gradients in {x.dtype}, "
        f"got amplitudes ({shown}) and samples up to {x.detach().abs().max().item():.3g}"
    )


def _require_squares(name, largest, dtype):
    """Raise where the largest sample of a signal that is not zero has no square in `dtype`."""
    least = torch.finfo(dtype).tiny ** 0.5
    lost = (largest > 0) & (largest < least)
    if lost.any():
        raise ValueError(
            f"{name} must be zero or reach {least:.2g}, whose square is a number in {dtype}, "
            f"got a signal that ends at {largest[lost].min():.3g}"
        )


def _check_tensors(x, w1, w2):
    """Raise unless signals and frequencies fit together."""
    checks.require_real_tensor("x", x)
    if x.ndim > 2 or not len(x):
        raise ValueError(
            f"x must have shape (n,) or (batch, n) with a batch of at least 1, got {tuple(x.shape)}"
        )
    checks.require_real_tensor("w1", w1, like=("x", x), dims=1)
    if w2 is None:
        return
    checks.require_real_tensor("w2", w2, like=("x", x), dims=1)
    if len(w1) != len(w2):
        raise ValueError(f"w2 must have as many frequencies as w1, {len(w1)}, got {len(w2)}")


@torch.no_grad()
def _by_definition(x, amplitudes, w1, w2):
    """The equations of `gradients` as they stand there, x (batch, n), on the dense engine."""
    a1, a2, a3, a4 = amplitudes
    tied = w2 is None
    back = w1 if tied else w2
    batch, n = x.shape
    m = len(w1)
    C, T = transform.cosine_sine_sums(x, w1)
    X = (a1 * x[:, :1] + a2 * C) / n**0.5
    Y = _unscaled_synthesis(X, n, back)
    residual = Y * _over_samples(n, a3, a4, x) - x
    e = 2 * residual
    G, S = transform.cosine_sine_sums(e, back)
    g = (a3 * e[:, :1] + a4 * G) / m**0.5
    by_w1 = -(a2 / n**0.5) * (g * T).sum(0) / batch
    by_w2 = -(a4 / m**0.5) * (X * S).sum(0) / batch
    return Gradients(
        loss=residual.square().sum() / batch,
        a1=(x[:, 0] * g.sum(1)).sum() / n**0.5 / batch,
        a2=(g * C).sum() / n**0.5 / batch,
        a3=(e[:, 0] * Y[:, 0]).sum() / batch,
        a4=(e[:, 1:] * Y[:, 1:]).sum() / batch,
        w1=by_w1 + by_w2 if tied else by_w1,
        w2=None if tied else by_w2,
    )


def _unscaled_synthesis(X, n, w):
    """Y_0 = Σ_k X_k / √M, Y_n = Σ_k cos(w_k n) X_k / √M: synthesis with amplitudes 1."""
    first = X.sum(-1, keepdim=True)
    later = transform.cosine_product(X, transform.later_samples(n, X), w)
    return torch.cat([first, later], -1) / len(w) ** 0.5


def _over_samples(n, a3, a4, like):
    """(a3, a4, …, a4): the amplitude of each of n samples."""
    place = {"dtype": like.dtype, "device": like.device}
    scale = torch.as_tensor(a4, **place).expand(n).clone()
    scale[0] = torch.as_tensor(a3, **place)
    return scale


def _by_nufft(x, amplitudes, w1, w2):
    """The same by three nonuniform FFTs."""
    rows = nufft.as_doubles(x).reshape(-1, x.shape[-1])
    a = [value.item() if isinstance(value, torch.Tensor) else value for value in amplitudes]
    w = [None if value is None else nufft.as_doubles(value) for value in (w1, w2)]
    loss, *found = nufft.gradients(rows, *a, *w, double=x.dtype == torch.float64)
    scalars = torch.from_numpy(np.array([loss, *found[:4]])).to(x.dtype)
    by_w = [None if value is None else torch.from_numpy(value).to(x.dtype) for value in found[4:]]
    return Gradients(*scalars.unbind(), *by_w)


def _by_autograd(x, amplitudes, w1, w2, engine):
    """The same by torch's differentiation of `engine`: four transforms, and the tests' oracle."""
    tied = w2 is None
    given = (*amplitudes, w1) if tied else (*amplitudes, w1, w2)
    leaves = [
        torch.as_tensor(value, dtype=x.dtype, device=x.device).detach().clone().requires_grad_()
        for value in given
    ]
    a1, a2, a3, a4, *w = leaves
    X = engine.analyze(torch.atleast_2d(x).detach(), a1, a2, w[0])
    y = engine.synthesize(X, x.shape[-1], a3, a4, w[-1])
    loss = (y - x).square().sum(-1).mean()
    found = torch.autograd.grad(loss, leaves)
    return Gradients(loss.detach(), *found, *([None] if tied else []))


@dataclass(frozen=True, eq=False)
class Settings:
    """All that a row of `probe` depends on, but for the number of its init; made by `checked`."""

    n: int
    m: int
    init: str
    tied: bool
    amplitudes: tuple | None
    signal: str | np.ndarray
    batch: int
    seed: int
    engine: str
    dtype: torch.dtype
    device: torch.device

    @classmethod
    def checked(
        cls,
        n,
        m,
        *,
        init,
        tied,
        amplitudes,
        signal,
        batch,
        seed,
        engine,
        dtype=torch.float64,
        device="cpu",
    ):
        """The settings in the form that the measurement takes; raises naming what does not fit."""
        _, place = checks.require_place(dtype, device)
        return cls(
            n=checks.require_size("n", n),
            m=checks.require_size("m", m),
            seed=checks.require_size("seed", seed, 0),
            tied=checks.require_flag("tied", tied),
            init=checks.require_choice("init", init, inits.INITS),
            engine=checks.require_choice("engine", engine, transform.ENGINES),
            amplitudes=checks.require_amplitudes(amplitudes),
            signal=_in_range(signals.check(signal, n, batch), dtype),
            batch=checks.require_size("batch", batch),
            dtype=dtype,
            device=place,
        )

    @property
    def double(self):
        return self.dtype == torch.float64

    @property
    def shared(self):
        """Whether all inits have one and the same signal."""
        return not isinstance(self.signal, str) and len(self.signal) == self.batch == 1

    @property
    def fast(self):
        """Whether the fast engine is the one to use, and on the processor."""
        engine = self.engine
        if engine == "auto":
            size = (self.n, self.m, self.batch, self.dtype, self.device)
            engine = transform.choose_engine(*size, graph=False)
        return engine == "nufft" and self.device.type == "cpu"


def _in_range(signal, dtype):
    """`signal`, or raise where its samples are not finite in `dtype`, or their squares zero."""
    if isinstance(signal, str):
        return signal
    largest = np.abs(signal).max(axis=1)
    if largest.max() > torch.finfo(dtype).max:
        raise ValueError(f"signal must be finite in {dtype}, got a sample of {largest.max():.3g}")
    _require_squares("signal", largest, dtype)
    return signal


def require_settings(n, m, init, tied, seed, signal, batch, amplitudes, engine):
    """Amplitudes and signal in their checked form; raises for what `probe` does not take."""
    settings = Settings.checked(
        n,
        m,
        init=init,
        tied=tied,
        amplitudes=amplitudes,
        signal=signal,
        batch=batch,
        seed=seed,
        engine=engine,
    )
    return settings.amplitudes, settings.signal


def probe(
    n,
    m,
    *,
    init="random",
    tied=False,
    inits=100,
    amplitudes=None,
    signal="uniform",
    batch=1,
    seed=0,
    engine="auto",
    dtype=torch.float64,
    device="cpu",
):
    """Measure every group's gradient over many random inits: one row per init and group.

    Parameters
    ----------
    n, m : samples and frequencies. init, tied, amplitudes : as in `init.draw`.
    inits : how many, at least 1.
    signal, batch : as in `signals.draw`; the gradient is that of the mean loss of `batch` signals,
        drawn anew for each init unless `signal` is one array.
    seed : row i depends on (seed, n, m, init, i) alone, so the result is the same in any order and
        chunking.
    engine, dtype, device : as in `transform.analyze`, and where and how precisely to compute.

    Returns a DataFrame with the columns init, group, mean (of a scalar group the signed value),
    rms, mean_abs, median_abs, max_abs over the group's entries, and the loss; `attrs` holds the
    arguments. Raises TypeError or ValueError naming the argument, also where amplitudes or signal
    are so large that a gradient is not a number in `dtype`.
    """
    import pandas as pd

    count = checks.require_size("inits", inits)
    settings = Settings.checked(
        n,
        m,
        init=init,
        tied=tied,
        amplitudes=amplitudes,
        signal=signal,
        batch=batch,
        seed=seed,
        engine=engine,
        dtype=dtype,
        device=device,
    )
    table = pd.DataFrame(_measure(settings, count))
    described = {
        "signal": signal if isinstance(signal, str) else f"array {np.shape(signal)}",
        "dtype": str(settings.dtype),
        "device": str(settings.device),
    }
    size = {"n": settings.n, "m": settings.m, "inits": count}
    table.attrs = size | vars(settings) | described
    return table


def _measure(settings, count):
    """The rows of inits 0 … count - 1, by blocks, and by several processes where that pays."""
    largest = max(settings.n, settings.m)
    size = max(1, min(BLOCK, TOGETHER // largest))
    firsts = range(0, count, size)
    sizes = [min(size, count - first) for first in firsts]
    blocks = _map_for(settings, count)(partial(_rows, settings), firsts, sizes)
    return [row for block in blocks for row in block]


def _map_for(settings, count):
    """Python's map, or that of worker processes for `count` inits that are worth it."""
    workers = torch.get_num_threads()
    expected = transform.costs(settings.n, settings.m, settings.batch, settings.dtype)
    seconds = count * 1e-9 * expected["nufft"]
    if workers == 1 or seconds <= WORTH or not settings.fast:
        return map
    from loky import get_reusable_executor

    return get_reusable_executor(workers, timeout=300, env={"OMP_NUM_THREADS": "1"}).map


def probe_rows(n, m, first, count, **settings):
    """The rows of inits first … first + count - 1, as flat dicts; `settings` as `Settings` has."""
    return _rows(Settings.checked(n, m, **settings), first, count)


def _rows(settings, first, count):
    drawn = [_draw(settings, index) for index in range(first, first + count)]
    measure = _measured_by_nufft if settings.fast else _measured
    with np.errstate(over="ignore", invalid="ignore"):  # a sentence follows
        losses, *columns = zip(*measure(settings, drawn), strict=True)
        loss = np.array(losses, float)
        summaries = {
            group: _summaries(np.array(values, float).reshape(count, -1))
            for group, values in zip(inits.GROUPS, columns, strict=True)
            if values[0] is not None
        }
    _require_finite_rows(drawn, loss, summaries)
    rows = []
    for place in range(count):
        for group, summary in summaries.items():
            numbers = {column: values[place].item() for column, values in summary.items()}
            row = {"init": first + place, "group": group, **numbers, "loss": loss[place].item()}
            rows.append(row)
    return rows


class _Drawn(NamedTuple):
    """An init and its signals: four numbers, and tensors x (batch, n), w1 and w2 (m,)."""

    amplitudes: tuple
    x: torch.Tensor
    w1: torch.Tensor
    w2: torch.Tensor | None


def _draw(settings, index):
    """Init number `index` and its signals."""
    n, m, seed = settings.n, settings.m, settings.seed
    amplitudes, w1, w2 = inits.draw(
        n,
        m,
        init=settings.init,
        tied=settings.tied,
        amplitudes=settings.amplitudes,
        seed=seed,
        index=index,
    )
    rng = inits.generator(seed, n, m, settings.init, index, "signal")
    x = signals.draw(settings.signal, n, rng, index=index, batch=settings.batch)
    place = {"dtype": settings.dtype, "device": settings.device}
    tensors = [None if value is None else torch.as_tensor(value, **place) for value in (x, w1, w2)]
    return _Drawn(amplitudes, *tensors)


def _measured(settings, drawn):
    """The loss and the six gradients of each init, as `gradients` finds them, as arrays."""
    found = []
    for amplitudes, x, w1, w2 in drawn:
        values = _computed(settings.engine, x, amplitudes, w1, w2)
        found.append([None if value is None else value.cpu().numpy() for value in values])
    return found


def _measured_by_nufft(settings, drawn):
    """The same by the fast engine; the sums of one signal that all inits share are taken once."""
    arrays = [
        [None if value is None else nufft.as_doubles(value) for value in tensors]
        for _, *tensors in drawn
    ]
    sums = [None] * len(drawn)
    if settings.shared:
        x = arrays[0][0]
        frequencies = np.concatenate([w1 for _, w1, _ in arrays])
        sums = nufft.pair_sums(x, frequencies, settings.double).reshape(-1, 1, settings.m)
    found = []
    for one, (x, w1, w2), known in zip(drawn, arrays, sums, strict=True):
        values = nufft.gradients(x, *one.amplitudes, w1, w2, sums=known, double=settings.double)
        found.append(values)
    return found


def _require_finite_rows(drawn, loss, summaries):
    """Raise for the first init, of those drawn, with a row that is not finite."""
    columns = [loss, *(values for summary in summaries.values() for values in summary.values())]
    finite = np.isfinite(columns).all(0)
    if not finite.all():
        one = drawn[np.argmin(finite)]
        raise ValueError(_too_large("signal", one.x, one.amplitudes))


def _summaries(values):
    """The columns of rows, of gradients (inits, entries)."""
    unit = scaling.unit(values, axis=1)
    relative = values / unit
    size = np.abs(relative)
    found = {
        "mean": relative.mean(1),
        "rms": np.sqrt(np.square(size).mean(1)),
        "mean_abs": size.mean(1),
        "median_abs": np.median(size, 1),
        "max_abs": size.max(1),
    }
    return {column: numbers * unit[:, 0] for column, numbers in found.items()}
