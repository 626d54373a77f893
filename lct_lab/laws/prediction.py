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
from lct_lab.laws.averages import amplitudes_of
from lct_lab.laws.couplings import coupling_of
from lct_lab.laws.medians import medians
from lct_lab.laws.scalars import total
from lct_lab.laws.setting import Setting, describe

LEAST = 32  # the smallest size that is covered
WIDEST = 16  # sorted starts: 1/WIDEST <= N/M <= WIDEST
FOLDS = 8  # orthogonal and jittered starts: N <= FOLDS M


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

    Covered: n, m >= 32; sorted starts for 1/16 <= n/m <= 16; orthogonal and jittered n <= 8 m.
    Raises TypeError for a wrong type, ValueError, with what is covered, for anything else.
    """
    import pandas as pd

    n, m, tied, batch = _require_covered(n, m, init, tied, batch)
    amplitudes, moments = require_amplitudes(amplitudes), _moments(signal, n)
    nodes, weight = amplitudes_of(init, amplitudes)
    coupling, jitter = coupling_of(init, tied)
    s = Setting(n, m, *nodes, signal=moments, jitter=jitter)
    laws, lines = coupling.laws(s), coupling.lines(s)
    typical = medians(s, coupling, batch)
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


def _moments(signal, n):
    moments = describe(signal if isinstance(signal, str) else require_samples(signal))
    if not isinstance(signal, str) and np.shape(signal)[-1] != n:
        got = np.shape(signal)[-1]
        raise ValueError(f"signal must have windows of n = {n} samples, got {got}")
    return moments


def _require_covered(n, m, init, tied, batch):
    n, m = require_size("n", n, LEAST), require_size("m", m, LEAST)
    batch, tied = require_size("batch", batch), require_flag("tied", tied)
    require_choice("init", init, INITS)
    if init == "random" and not tied and not 1 / WIDEST <= n / m <= WIDEST:
        covered = f"between 1/{WIDEST} and {WIDEST}, which the sorted laws cover"
        raise ValueError(f"n/m must be {covered}, got {n / m:.4g}")
    if INITS[init].jitter is not None and n > FOLDS * m:
        covered = f"the range the {init} laws cover"
        raise ValueError(f"n must be at most {FOLDS} m, {covered}, got n = {n}, m = {m}")
    return n, m, tied, batch
