"""Gradients over many random inits, as tidy rows."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import torch

from lct_lab import checks, nufft, scaling, signals, transform
from lct_lab import init as inits

TOGETHER = 1 << 16  # frequencies or samples drawn at once, for a block of inits
BLOCK = 64  # inits of a block, at most
NUMBERS_A_START = 96  # in the rows of one init, while they are joined
WORTH = 1 << 17  # frequencies and samples, in all, from which other threads share the work


class Gradients(NamedTuple):
    """The loss and its gradient in each group; w2 is None when tied."""

    loss: torch.Tensor
    a1: torch.Tensor
    a2: torch.Tensor
    a3: torch.Tensor
    a4: torch.Tensor
    w1: torch.Tensor
    w2: torch.Tensor | None


@transform.eager
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
    with np.errstate(over="ignore", invalid="ignore"):  # a sentence follows
        numbers = _checked_numbers(x, w1, w2)
        named = zip(inits.GROUPS[:4], (a1, a2, a3, a4), strict=True)
        amplitudes = [checks.require_scalar(name, value, ("x", x)) for name, value in named]
        if x.is_cpu and transform.resolve_engine(engine, x, w1, graph=False) == "nufft":
            found = _by_nufft(*numbers, amplitudes)
            _require_numbers(found, x, amplitudes)
            return _as_tensors(*found)
        tensors = _by_tensors(engine, x, amplitudes, w1, w2)
        _require_numbers(_as_arrays(*tensors), x, amplitudes)
        return tensors


def _by_tensors(engine, x, amplitudes, w1, w2):
    """`gradients` of what torch computes: by the definition, and on a GPU."""
    if transform.resolve_engine(engine, x, w1, graph=False) == "dense":
        return _by_definition(torch.atleast_2d(x), amplitudes, w1, w2)
    return _by_autograd(x, amplitudes, w1, w2, nufft)


def _as_tensors(scalars, by_w1, by_w2):
    """Arrays as `Gradients`: of the loss and the amplitudes (5,), and of the frequencies."""
    tied = by_w2 is None
    return Gradients(
        *torch.from_numpy(scalars).unbind(),
        w1=torch.from_numpy(by_w1),
        w2=None if tied else torch.from_numpy(by_w2),
    )


def _as_arrays(*gradients):
    """The same backwards."""
    *scalars, by_w1, by_w2 = gradients
    loss_and_amplitudes = torch.stack(scalars).numpy(force=True)
    tied = by_w2 is None
    return loss_and_amplitudes, by_w1.numpy(force=True), None if tied else by_w2.numpy(force=True)


def _require_numbers(found, x, amplitudes):
    """Raise where x or the amplitudes are so large or small that the dtype cannot say.

    found : the loss and the gradients in the amplitudes (5,), and those in the frequencies.
    """
    if not all(checks.are_finite(values) for values in found if values is not None):
        raise ValueError(_too_large("x", x, map(float, amplitudes)))
    loss, *_ = found[0].tolist()
    if loss < torch.finfo(x.dtype).tiny:
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


def _checked_numbers(x, w1, w2):
    """Signals and frequencies as arrays, tied as None for w2; raises unless they fit together."""
    signals_found = checks.require_real_numbers("x", x)
    if x.ndim > 2 or not len(x):
        raise ValueError(
            f"x must have shape (n,) or (batch, n) with a batch of at least 1, got {tuple(x.shape)}"
        )
    first = checks.require_real_numbers("w1", w1, like=("x", x), dims=1)
    if w2 is None:
        return signals_found, first, None
    second = checks.require_real_numbers("w2", w2, like=("x", x), dims=1)
    if len(first) != len(second):
        raise ValueError(f"w2 must have as many frequencies as w1, {len(first)}, got {len(second)}")
    return signals_found, first, second


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


def _by_nufft(x, w1, w2, amplitudes):
    """The same of arrays by fast sums, as a block of one start: arrays as `_as_tensors` takes."""
    a = [value.item() if isinstance(value, torch.Tensor) else value for value in amplitudes]
    given = _as_block(x.reshape(-1, x.shape[-1])), np.array([a]), _as_block(w1), _as_block(w2)
    found = nufft.gradients_of_starts(*given, double=x.dtype == float)
    return [None if rows is None else rows[0].astype(x.dtype, copy=False) for rows in found]


def _as_block(values):
    """An array, or None, as that of one start, contiguous and of double precision."""
    return None if values is None else np.ascontiguousarray(values, float)[None]


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
        made = cls(
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
        # of one init: measured; chosen low, so that nothing possible is refused
        numbers = 2 * made.n * made.batch + 24 * made.n + 8 * made.m
        checks.require_memory(numbers, n=made.n, m=made.m, batch=made.batch)
        return made

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

    def threads(self, count):
        """On how many threads `count` inits are measured, each block of them on one."""
        work = count * (self.n + self.m) * self.batch
        if work < WORTH or not self.fast or nufft.is_large(self.n):
            return 1
        return torch.get_num_threads()


def _in_range(signal, dtype):
    """`signal`, or raise where its samples are not finite in `dtype`, or their squares zero."""
    if isinstance(signal, str):
        return signal
    largest = np.abs(signal).max(axis=1)
    if largest.max() > torch.finfo(dtype).max:
        raise ValueError(f"signal must be finite in {dtype}, got a sample of {largest.max():.3g}")
    _require_squares("signal", largest, dtype)
    return signal


def require_inits(inits, name="inits"):
    """Return how many starts `probe` is asked for, or raise where its rows are beyond memory."""
    count = checks.require_size(name, inits)
    checks.require_memory(count * NUMBERS_A_START, **{name: count})
    return count


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

    count = require_inits(inits)
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
    table = pd.DataFrame(joined(list(blocks(settings, count))))
    described = {
        "amplitudes": settings.amplitudes and list(settings.amplitudes),
        "signal": signal if isinstance(signal, str) else f"array {np.shape(signal)}",
        "dtype": str(settings.dtype),
        "device": str(settings.device),
    }
    size = {"n": settings.n, "m": settings.m, "inits": count}
    table.attrs = size | vars(settings) | described
    return table


def blocks(settings, count):
    """The rows of inits 0 … count - 1 as columns, one block of inits after the other.

    On several threads where that pays; who closes the generator has waited for the blocks that are
    under way, and no other is begun.
    """
    workers = settings.threads(count)
    largest = max(settings.n * settings.batch, settings.m)
    size = max(1, min(BLOCK, TOGETHER // largest, -(-count // (2 * workers))))
    firsts = range(0, count, size)
    sizes = [min(size, count - first) for first in firsts]
    measure = partial(_columns, settings)
    if workers == 1:
        yield from map(measure, firsts, sizes)
        return
    with ThreadPoolExecutor(workers) as threads:
        yield from threads.map(measure, firsts, sizes)


def joined(parts):
    """The columns of one block after another's."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def probe_rows(n, m, first, count, **settings):
    """The rows of inits first … first + count - 1, as columns: {name: array (rows,)}.

    On the thread that calls. `settings` as `Settings` has.
    """
    first, count = checks.require_size("first", first, 0), checks.require_size("count", count)
    return _columns(Settings.checked(n, m, **settings), first, count)


def _columns(settings, first, count):
    drawn = _draw(settings, range(first, first + count))
    measure = _measured_by_nufft if settings.fast else _measured
    with np.errstate(over="ignore", invalid="ignore"):  # a sentence follows
        loss, *values = measure(settings, drawn)
        groups = inits.GROUPS[: len(values)]
        each = [_summaries(entries) for entries in values]
    _require_finite_rows(settings, drawn, [loss, *(v for one in each for v in one.values())])
    columns = {name: np.stack([one[name] for one in each], 1) for name in each[0]}
    return {
        "init": np.repeat(np.arange(first, first + count), len(groups)),
        "group": np.tile(np.array(groups, object), count),
        **{name: values.reshape(-1) for name, values in columns.items()},
        "loss": np.repeat(loss, len(groups)),
    }


class _Drawn(NamedTuple):
    """Some inits and their signals as arrays of double precision, rounded to the settings' dtype.

    a (inits, 4), x (inits, batch, n), or (1, 1, n) where all have the same, w1 and w2 (inits, m).
    """

    a: np.ndarray
    x: np.ndarray
    w1: np.ndarray
    w2: np.ndarray | None

    def signals(self, place):
        """Those of one init, (batch, n)."""
        return self.x[place if len(self.x) > 1 else 0]


def _draw(settings, indices):
    """The inits of these numbers, and their signals."""
    a, w1, w2 = inits.draw_block(
        settings.n,
        settings.m,
        indices,
        init=settings.init,
        tied=settings.tied,
        amplitudes=settings.amplitudes,
        seed=settings.seed,
    )
    x = _draw_signals(settings, indices[:1] if settings.shared else indices)
    return _Drawn(a, *(_rounded(values, settings.double) for values in (x, w1, w2)))


def _draw_signals(settings, indices):
    """(inits, batch, n)"""
    n, batch, signal = settings.n, settings.batch, settings.signal
    key = (settings.seed, n, settings.m, settings.init)
    if isinstance(signal, str) and signal == "uniform":
        numbers = inits.uniforms(*key, indices, "signal", batch * n)
        return signals.from_uniforms(numbers).reshape(-1, batch, n)
    generator = partial(inits.generator, *key, stream="signal")
    return signals.draw_block(signal, n, indices, generator, batch)


def _rounded(values, double):
    """Values as single precision has them, unless `double`."""
    if double or values is None:
        return values
    return values.astype(np.float32).astype(float)


def _measured(settings, drawn):
    """The loss (inits,) and each group's gradients (inits, entries), as `gradients` finds them."""
    place = {"dtype": settings.dtype, "device": settings.device}
    found = []
    for i, amplitudes in enumerate(drawn.a.tolist()):
        given = drawn.signals(i), drawn.w1[i], None if settings.tied else drawn.w2[i]
        x, w1, w2 = (None if v is None else torch.as_tensor(v, **place) for v in given)
        values = _by_tensors(settings.engine, x, amplitudes, w1, w2)
        found.append([value.double().cpu().numpy() for value in values if value is not None])
    loss, *groups = (np.array(values) for values in zip(*found, strict=True))
    return loss, *(values.reshape(len(found), -1) for values in groups)


def _measured_by_nufft(settings, drawn):
    """The same by the fast engine, for all inits at once."""
    a, x, w1, w2 = drawn
    totals, *by_w = nufft.gradients_of_starts(x, a, w1, w2, double=settings.double)
    loss, *scalars = totals.T
    return loss, *(values[:, None] for values in scalars), *(v for v in by_w if v is not None)


def _require_finite_rows(settings, drawn, columns):
    """Raise for the first init, of those drawn, with a number in `columns` that is not finite."""
    finite = np.isfinite(columns).all(0)
    if not finite.all():
        place = np.argmin(finite)
        x = torch.as_tensor(drawn.signals(place), dtype=settings.dtype)
        raise ValueError(_too_large("signal", x, drawn.a[place]))


def _summaries(values):
    """The columns of rows, of gradients (inits, entries)."""
    unit = scaling.unit(values, axis=1)
    relative = values / unit
    size = np.abs(relative)
    ordered = np.sort(size, 1)  # a seventh of the time of numpy's median
    last = ordered.shape[1] - 1
    middle = ordered[:, last // 2 : last - last // 2 + 1]
    found = {
        "mean": relative.mean(1),
        "rms": np.sqrt(np.square(size).mean(1)),
        "mean_abs": size.mean(1),
        "median_abs": middle.mean(1),
        "max_abs": ordered[:, last],
    }
    return {column: numbers * unit[:, 0] for column, numbers in found.items()}
