"""The sizes of all gradients over random starts, without drawing one."""

import numpy as np

from lct_lab.checks import (
    require_amplitudes,
    require_choice,
    require_flag,
    require_samples,
    require_size,
)
from lct_lab.init import INITS
from lct_lab.laws import coverage
from lct_lab.laws.averages import amplitudes_of
from lct_lab.laws.couplings import coupling_of
from lct_lab.laws.medians import medians
from lct_lab.laws.scalars import total
from lct_lab.laws.setting import Setting, describe


def predict(
    n, m, *, init="random", tied=False, amplitudes=None, signal="uniform", batch=1, terms=False
):
    """Mean, rms and median of every gradient over random inits, and the mean loss.

    Each is a sum of named terms, derived in notebooks 04 (shuffled), 07 (sorted), 08 (tied) and 12
    (orthogonal and jittered): E g = Σ mean terms, rms² = E g² = Σ square terms.

    Parameters
    ----------
    n, m : samples and frequencies. init, tied, batch : as in `probe`. signal : "uniform", "normal",
        or a table of windows (windows, n). With B signals a square term of one signal falls as 1/B,
        and what two signals share takes the place of the rest.
    amplitudes : four numbers; None averages over the start's own, exactly.
    terms : add a column for every term, "mean: …" and "square: …".

    Returns a DataFrame by group: mean (signed), rms, median_abs (median over inits of the median
    over a group's entries), band (the relative accuracy of rms, and of mean in units of the rms),
    median_band (of median_abs), law (leading order, one line); `attrs["loss"]` is E ‖y - x‖².

    Covered: n, m >= 32; sorted starts for 1/16 <= n/m <= 16; orthogonal and jittered n <= 8 m and
    white; signals that are stationary noise, as `coverage` looks for it.
    Raises TypeError for a wrong type, ValueError, with what is covered, for anything else.
    """
    import pandas as pd

    n, m, tied, batch = _require_covered(n, m, init, tied, batch)
    amplitudes, moments = require_amplitudes(amplitudes), _moments(signal, n, init)
    nodes, weight = amplitudes_of(init, amplitudes)
    if moments.windows is not None:
        batch = min(batch, len(moments.windows))  # a table that is used up begins again
    coupling, jitter = coupling_of(init, tied)
    s = Setting(n, m, *nodes, signal=moments, jitter=jitter)
    laws, lines = coupling.laws(s), coupling.lines(s)
    typical = medians(s, init, tied, coupling, batch)
    rows = {}
    for group, law in laws.items():
        means, squares = law.mean, law.mean_square(batch)
        rows[group] = {
            "mean": np.sum(weight * total(means)),
            "rms": np.sqrt(np.sum(weight * total(squares))),
            "median_abs": typical[group],
            "band": coupling.band(group),
            "median_band": coupling.median_band,
            "law": formula(lines[group]),
        }
        if terms:
            rows[group] |= _columns("mean", means, weight) | _columns("square", squares, weight)
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("group")
    table.attrs["loss"] = float(np.sum(weight * total(coupling.loss(s))))
    return table


def formula(line):
    """The formula of a leading law: the first line of what its function says of itself."""
    return line.__doc__.splitlines()[0]


def _columns(kind, terms, weight):
    return {f"{kind}: {name}": float(np.sum(weight * value)) for name, value in terms.items()}


def _moments(signal, n, init):
    """The moments of a signal that the laws cover, a name or windows of n samples."""
    if isinstance(signal, str):
        return describe(signal)
    x = np.atleast_2d(require_samples(signal))
    moments = describe(x)
    if x.shape[1] != n:
        raise ValueError(f"signal must have windows of n = {n} samples, got {x.shape[1]}")
    coverage.require_stationary(x)
    return moments


def _require_covered(n, m, init, tied, batch):
    n, m = (require_size(name, size, coverage.LEAST) for name, size in (("n", n), ("m", m)))
    batch, tied = require_size("batch", batch), require_flag("tied", tied)
    require_choice("init", init, INITS)
    coverage.require_sizes(n, m, init, tied)
    return n, m, tied, batch
