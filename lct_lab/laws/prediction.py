"""The sizes of all gradients over random starts, without drawing one."""

from hashlib import blake2b

import numpy as np

from lct_lab.checks import (
    require_amplitudes,
    require_choice,
    require_flag,
    require_samples,
    require_size,
)
from lct_lab.init import INITS
from lct_lab.laws import accuracy, coverage, floors, twins
from lct_lab.laws.averages import amplitudes_of
from lct_lab.laws.couplings import coupling_of
from lct_lab.laws.medians import medians
from lct_lab.laws.scalars import total
from lct_lab.laws.setting import Setting, describe

REMEMBERED = 256  # predictions: a median takes tenths of a second
_KNOWN = {}


def predict(
    n, m, *, init="random", tied=False, amplitudes=None, signal="uniform", batch=1, terms=False
):
    """Mean, rms and median of every gradient over random inits, and the mean loss.

    Each is a sum of named terms, derived in notebooks 05 (shuffled), 06 (sorted), 07 (tied) and 08
    (orthogonal and jittered): E g = Σ mean terms, rms² = E g² = Σ square terms.

    Parameters
    ----------
    n, m : samples and frequencies. init, tied, batch : as in `probe`. signal : "uniform", "normal",
        or a table of windows (windows, n). With B signals a square term of one signal falls as 1/B,
        and what two signals share takes the place of the rest.
    amplitudes : four numbers; None averages over the start's own, exactly.
    terms : add a column for every term, "mean: …" and "square: …".

    Returns a DataFrame by group: mean (signed), rms, median_abs (median over inits of the median
    over a group's entries), band (the relative accuracy promised of rms, and of mean in units of
    the rms), median_band (of median_abs), law (leading order, one line). attrs: loss, E ‖y - x‖²,
    its loss_band, and warning, a sentence where the band of a group or of the loss is above a
    tenth, or "". What was asked before is remembered.

    Covered: n, m >= 32; sorted starts for 1/16 <= n/m <= 16; orthogonal and jittered n <= 8 m;
    signals that are stationary noise, white or coloured, as `coverage` looks for it.
    Raises TypeError for a wrong type, ValueError, with what is covered, for anything else.
    """
    n, m, tied, batch = _require_covered(n, m, init, tied, batch)
    amplitudes = require_amplitudes(amplitudes)
    coverage.require_amplitudes_near_one(amplitudes)
    if not isinstance(signal, str):
        signal = np.atleast_2d(require_samples(signal))
    key = (n, m, init, tied, amplitudes, batch, bool(terms), _fingerprint(signal))
    if key not in _KNOWN:
        moments = _moments(signal, n, m, init, tied, batch)
        _KNOWN[key] = _predicted(n, m, init, tied, amplitudes, moments, batch, terms)
        while len(_KNOWN) > REMEMBERED:
            del _KNOWN[next(iter(_KNOWN))]
    table = _KNOWN[key].copy()
    table.attrs = dict(table.attrs)
    return table


def _fingerprint(signal):
    """A name, or what tells a table of windows from any other."""
    if isinstance(signal, str):
        return signal
    return signal.shape, blake2b(np.ascontiguousarray(signal), digest_size=16).digest()


def _predicted(n, m, init, tied, amplitudes, moments, batch, terms):
    """The table of `predict`."""
    import pandas as pd

    nodes, weight = amplitudes_of(init, amplitudes)
    if moments.windows is not None:
        batch = min(batch, len(moments.windows))  # a table that is used up begins again
    coupling, jitter = coupling_of(init, tied)
    s = Setting(n, m, *nodes, signal=moments, jitter=jitter)
    laws, lines, doubts = coupling.laws(s), coupling.lines(s), {}
    twin = twins.twin_of(s, init, tied, batch)
    typical = medians(s, twin, init, tied, coupling, batch)
    if floors.are_measured(s, init, coupling, batch):
        if batch <= twins.ONE_BY_ONE:
            twin = twins.on_batches(n, m, init, tied, moments.windows)
        laws = floors.with_measured(s, twin, tied, coupling, laws)
        doubts = floors.doubts(s, twin, coupling, laws)
        typical |= floors.medians_of(s, twin, coupling, batch)
    errors = {group: median.error for group, median in typical.items()}
    bands = accuracy.bands(s, coupling, laws, weight, batch, errors, doubts)
    rows = {}
    for group, law in laws.items():
        means, squares = law.mean, law.mean_square(batch)
        band, median_band = bands[group]
        rows[group] = {
            "mean": np.sum(weight * total(means)),
            "rms": np.sqrt(np.sum(weight * total(squares))),
            "median_abs": typical[group].value,
            "band": band,
            "median_band": median_band,
            "law": formula(lines[group]),
        }
        if terms:
            rows[group] |= _columns("mean", means, weight) | _columns("square", squares, weight)
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("group")
    table.attrs["loss"] = float(np.sum(weight * total(coupling.loss(s))))
    table.attrs["loss_band"] = accuracy.of_loss(s, coupling)
    table.attrs["warning"] = accuracy.warning(bands, table.attrs["loss_band"])
    return table


def formula(line):
    """The formula of a leading law: the first line of what its function says of itself.

    Raises RuntimeError under python -OO, which leaves that out.
    """
    if line.__doc__ is None:
        raise RuntimeError("laws need their docstrings, which python -OO leaves out; run it as -O")
    return line.__doc__.splitlines()[0]


def _columns(kind, terms, weight):
    return {f"{kind}: {name}": float(np.sum(weight * value)) for name, value in terms.items()}


def _moments(signal, n, m, init, tied, batch):
    """The moments of a signal that the laws cover, a name or windows of n samples."""
    if isinstance(signal, str):
        return describe(signal)
    if signal.ndim != 2 or signal.shape[1] != n:
        raise ValueError(f"signal must have windows of n = {n} samples, got shape {signal.shape}")
    coverage.require_powers(signal)
    signal = coverage.without_repeats(signal)
    coverage.require_stationary(signal)
    coverage.require_many(signal, n, m, init)
    coverage.require_unlike(signal, batch)
    coverage.require_different(signal, batch)
    coverage.require_broad(signal, init, tied)
    return describe(signal)


def _require_covered(n, m, init, tied, batch):
    n, m = (require_size(name, size, coverage.LEAST) for name, size in (("n", n), ("m", m)))
    batch, tied = require_size("batch", batch), require_flag("tied", tied)
    require_choice("init", init, INITS)
    coverage.require_sizes(n, m, init, tied)
    return n, m, tied, batch
