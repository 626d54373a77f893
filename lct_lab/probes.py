"""Gradients over many random inits, as tidy rows."""

from functools import partial
from typing import NamedTuple

import numpy as np
import torch

from lct_lab import checks, signals, transform
from lct_lab import init as inits

GROUPS = ("a1", "a2", "a3", "a4", "w1", "w2")
TOGETHER = 1 << 17  # frequencies or samples drawn at once, for a block of inits


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
    """The loss L = Σ (y - x)² and its gradient in all six groups, by hand, without an autograd graph.

    With e = 2(y - x), C_k = Σ_{n≥1} cos(w_k n) x_n, T_k = Σ n sin(w_k n) x_n, Y_n = Σ_k cos(w̃_k n) X_k / √M and
    g_k = ∂L/∂X_k = (a3 e_0 + a4 Σ_{n≥1} cos(w̃_k n) e_n) / √M, S_k = Σ n sin(w̃_k n) e_n:

    ∂L/∂a1 = x_0 Σ g_k / √N    ∂L/∂a2 = Σ g_k C_k / √N    ∂L/∂w_k = -a2 g_k T_k / √N
    ∂L/∂a3 = e_0 Σ X_k / √M    ∂L/∂a4 = Σ e_n Y_n         ∂L/∂w̃_k = -a4 X_k S_k / √M

    Parameters
    ----------
    x : tensor (N,) or (B, N); with B signals the loss and gradients are those of the mean loss.
    a1, a2, a3, a4 : numbers or one-element tensors. w1, w2 : tensors (M,); w2 None ties both sides to w1, whose
    gradient is then the sum of the two.

    Returns `Gradients` of detached tensors. Raises TypeError or ValueError naming the argument.
    """
    checks.require_choice("engine", engine, transform.ENGINES)
    checks.require_real_tensor("x", x)
    if x.ndim > 2 or not len(x):
        raise ValueError(
            f"x must have shape (n,) or (batch, n) with a batch of at least 1, got {tuple(x.shape)}"
        )
    tied, w2 = w2 is None, w1 if w2 is None else w2
    for name, w in (("w1", w1), ("w2", w2)):
        checks.require_real_tensor(name, w, like=("x", x), dims=1)
    if len(w1) != len(w2):
        raise ValueError(f"w2 must have as many frequencies as w1, {len(w1)}, got {len(w2)}")
    a1, a2, a3, a4 = (
        checks.require_scalar(f"a{i}", a, ("x", x)) for i, a in enumerate((a1, a2, a3, a4), 1)
    )
    if transform.resolve_engine(engine, x, w1, graph=False) == "nufft":
        return _by_nufft(x, (a1, a2, a3, a4), w1, None if tied else w2)
    with torch.no_grad():
        x = torch.atleast_2d(x)
        (batch, n), m = x.shape, len(w1)
        C, T = transform.cosine_sine_sums(x, w1)
        X = (a1 * x[:, :1] + a2 * C) / n**0.5
        later = torch.arange(1, n, dtype=x.dtype, device=x.device)
        Y = (
            torch.cat([X.sum(-1, keepdim=True), transform.cosine_product(X, later, w2)], -1)
            / m**0.5
        )
        scale = torch.as_tensor(a4, dtype=x.dtype, device=x.device).expand(n).clone()
        scale[0] = torch.as_tensor(a3, dtype=x.dtype, device=x.device)
        residual = Y * scale - x
        e = 2 * residual
        G, S = transform.cosine_sine_sums(e, w2)
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


def _by_nufft(x, amplitudes, w1, w2):
    from lct_lab import nufft

    if x.is_cuda:
        return _by_autograd(x, amplitudes, w1, w2, nufft)
    given, *w = (v if v is None else v.detach().double().numpy() for v in (x, w1, w2))
    a = (v.item() if isinstance(v, torch.Tensor) else v for v in amplitudes)
    found = nufft.gradients(given.reshape(-1, x.shape[-1]), *a, *w, double=x.dtype == torch.float64)
    by_w = (v if v is None else torch.from_numpy(v).to(x.dtype) for v in found[5:])
    return Gradients(*torch.from_numpy(np.array(found[:5])).to(x.dtype).unbind(), *by_w)


def _by_autograd(x, amplitudes, w1, w2, engine):
    """The same by torch's differentiation of `engine`: four transforms, and the oracle of the other two."""
    leaves = [
        torch.as_tensor(v, dtype=x.dtype, device=x.device).detach().clone().requires_grad_()
        for v in (*amplitudes, w1, *([] if w2 is None else [w2]))
    ]
    a1, a2, a3, a4, *w = leaves
    X = engine.analyze(torch.atleast_2d(x).detach(), a1, a2, w[0])
    y = engine.synthesize(X, x.shape[-1], a3, a4, w[-1])
    loss = (y - x).square().sum(-1).mean()
    found = torch.autograd.grad(loss, leaves)
    return Gradients(loss.detach(), *found, *([None] if w2 is None else []))


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
    """Measure every group's gradient over many random inits: a DataFrame with one row per init and group.

    Parameters
    ----------
    n, m : samples and frequencies. init, tied, amplitudes : as in `init.draw`. inits : how many, at least 1.
    signal, batch : as in `signals.draw`; the gradient is that of the mean loss of `batch` signals, drawn anew for
    each init unless `signal` is one array.
    seed : row i depends on (seed, n, m, init, i) alone, so the result is the same in any order and chunking.

    Columns: init, group, mean (of a scalar group the signed value), rms, mean_abs, median_abs, max_abs over the
    group's entries, and the loss. `attrs` holds the arguments. Raises TypeError or ValueError naming the argument.
    """
    import pandas as pd

    amplitudes, _ = require_settings(n, m, init, tied, seed, signal, batch, amplitudes, engine)
    n, m, batch, seed, tied = int(n), int(m), int(batch), int(seed), bool(tied)
    inits, (dtype, device) = (
        checks.require_size("inits", inits),
        checks.require_place(dtype, device),
    )
    settings = dict(
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
    size = max(1, min(64, TOGETHER // max(n, m)))
    workers, seconds = (
        torch.get_num_threads(),
        inits * 1e-9 * transform.costs(n, m, batch, dtype)["nufft"],
    )
    each = map
    if workers > 1 and seconds > 4 and _fast(engine, n, m, batch, dtype, device):
        from loky import get_reusable_executor

        each = get_reusable_executor(workers, timeout=300, env={"OMP_NUM_THREADS": "1"}).map
    firsts = range(0, inits, size)
    found = each(
        partial(probe_rows, n, m, **settings),
        firsts,
        [min(size, inits - first) for first in firsts],
    )
    table = pd.DataFrame([row for rows in found for row in rows])
    described = signal if isinstance(signal, str) else f"array {np.shape(signal)}"
    table.attrs = dict(n=n, m=m, inits=inits, **settings) | {
        "signal": described,
        "dtype": str(dtype),
        "device": str(device),
    }
    return table


def probe_rows(
    n, m, first, count, *, init, tied, amplitudes, signal, batch, seed, engine, dtype, device
):
    """The rows of inits first … first + count - 1, as flat dicts."""
    amplitudes, signal = require_settings(n, m, init, tied, seed, signal, batch, amplitudes, engine)
    indices, drawn, measured = range(first, first + count), [], []
    for index in indices:
        a, *w = inits.draw(
            n, m, init=init, tied=tied, amplitudes=amplitudes, seed=seed, index=index
        )
        x = signals.draw(
            signal, n, inits.generator(seed, n, m, init, index, "signal"), index=index, batch=batch
        )
        drawn.append(
            [
                a,
                *(
                    v if v is None else torch.as_tensor(v, dtype=dtype, device=device)
                    for v in (x, *w)
                ),
            ]
        )
    if _fast(engine, n, m, batch, dtype, device):
        from lct_lab import nufft

        double, sums = dtype == torch.float64, [None] * count
        drawn = [[a, *(v if v is None else v.double().numpy() for v in rest)] for a, *rest in drawn]
        if (
            not isinstance(signal, str) and len(signal) == batch == 1
        ):  # one input: its FFT serves all the inits
            sums = nufft.pair_sums(
                drawn[0][1], np.concatenate([w1 for _, _, w1, _ in drawn]), double
            )
            sums = sums.reshape(count, 1, m)
        for (a, x, *w), known in zip(drawn, sums, strict=True):
            measured.append(nufft.gradients(x, *a, *w, sums=known, double=double))
    else:
        for a, x, *w in drawn:
            values = gradients(x, *a, *w, engine=engine)
            measured.append([v if v is None else v.cpu().numpy() for v in values])
    loss, *groups = (
        None if values[0] is None else np.array(values, float)
        for values in zip(*measured, strict=True)
    )
    summaries = {
        name: _summaries(values.reshape(count, -1))
        for name, values in zip(GROUPS, groups, strict=True)
        if values is not None
    }
    return [
        {
            "init": index,
            "group": name,
            **{column: values[place].item() for column, values in summary.items()},
            "loss": loss[place].item(),
        }
        for place, index in enumerate(indices)
        for name, summary in summaries.items()
    ]


def require_settings(n, m, init, tied, seed, signal, batch, amplitudes, engine):
    """Amplitudes and signal in their checked form; raises for any argument of `probe` that is out of range."""
    n, m, _ = (
        checks.require_size("n", n),
        checks.require_size("m", m),
        checks.require_size("seed", seed, 0),
    )
    checks.require_flag("tied", tied)
    checks.require_choice("init", init, inits.INITS)
    checks.require_choice("engine", engine, transform.ENGINES)
    return checks.require_amplitudes(amplitudes), signals.check(signal, n, batch)


def _fast(engine, n, m, batch, dtype, device):
    """Whether the fast engine is the one to use, and on the processor."""
    if engine == "auto":
        engine = transform.choose_engine(n, m, batch, dtype, device, graph=False)
    return engine == "nufft" and torch.device(device).type == "cpu"


def _summaries(values):
    size = np.abs(values)
    return {
        "mean": values.mean(1),
        "rms": np.sqrt(np.square(size).mean(1)),
        "mean_abs": size.mean(1),
        "median_abs": np.median(size, 1),
        "max_abs": size.max(1),
    }
