"""What large batches of a table leave: the gradients of the mean loss over its windows.

A derived floor takes the spectrum as smooth, and a signal's later samples as unrelated to x_0. That
is right on average over frequencies, and where N resolves the spectrum. On a grid all starts have
nearly the same frequencies, and a batch leaves what the spectrum leaves just there; a small N
resolves little. There the floors are measured, on drawn starts. With ḡ the mean of a gradient g
over all R windows, and g g' of two different ones,

    E ḡ² = E g²/R + (1 - 1/R) E g g'.

Where the exact grid folds a table's samples, those that meet are related, and near α = 1 little is
left of them but that. There the mean and the mean square of w and w̃ are measured in the same way.
"""

from dataclasses import replace

import numpy as np

from lct_lab.init import FREQUENCIES, INITS
from lct_lab.laws.medians import (
    DRAWS,
    UNKNOWN,
    apart,
    of_all_windows,
    sides,
    with_drawn_amplitudes,
)
from lct_lab.laws.scalars import Law, total
from lct_lab.laws.setting import describe
from lct_lab.laws.twins import small
from lct_lab.laws.twins.products import error_of_median
from lct_lab.laws.twins.starts import Median

MEASURED = "windows"  # the term of a floor that is
NORMAL = 64  # windows whose mean of a product with x_0 is nearly normal, about the start's mean
TINY = 1e-300  # so that nothing over nothing is nothing


def are_measured(s, init, coupling, batch):
    """Whether `with_measured` has better floors, or moments, than the laws of a setting."""
    if s.signal.windows is None:
        return False
    if batch == 1:
        return coupling.folds(s)
    return INITS[init].jitter is not None or small(s.n, s.m)


def with_measured(s, twin, tied, coupling, laws):
    """The laws of a `Setting` and a table, their floors measured on a twin `Batches`.

    On a grid that folds samples the laws of w and w̃ are `of_second_moments`. Where a smaller start
    had to do, those of a1 … a4 stay as derived, and those of w and w̃ are enlarged as the derived
    ones are.
    """
    squares = mean_squares(s, twin, tied)
    if is_whole(twin, s):
        own = laws | (of_second_moments(s, twin, tied) if coupling.folds(s) else {})
        return own | {group: _with_floor(own[group], squares[group], twin) for group in own}
    near = replace(s, n=twin.n, m=twin.m, signal=describe(twin.table))
    near_laws, found = coupling.laws(near), dict(laws)
    own = near_laws | (of_second_moments(near, twin, tied) if coupling.folds(near) else {})
    for group in squares.keys() & FREQUENCIES:
        measured = _with_floor(own[group], squares[group], twin)
        found[group] = _enlarged(measured, near_laws[group], laws[group])
    return found


def of_second_moments(s, twin, tied):
    """{group: `Law`} of w and w̃ at the size of a twin, if its windows are normal.

    E g = -E Σ λ and E g² = E [(Σ λ)² + 2 Σ λ²] over entries, λ as for medians. The four amplitudes
    are single numbers.
    """
    a = [float(np.squeeze(value)) for value in (s.a1, s.a2, s.a3, s.a4)]
    found = {}
    for group, vectors in sides(s, a, twin, tied).items():
        values = twin.grams.eigenvalues(vectors)
        mean, scatter = values.sum(axis=1), 2 * np.sum(values**2, axis=1)
        own_mean, own_square = [np.array([np.mean(v)]) for v in (-mean, mean**2 + scatter)]
        found[group] = Law(mean={MEASURED: own_mean}, square={MEASURED: own_square})
    return found


def _enlarged(measured, near, law):
    """The law of a setting, with what was measured at a near one in place of its derived terms."""
    larger = total(law.floor) / (total(near.floor) + TINY)
    found = replace(law, floor={MEASURED: measured.floor[MEASURED] * larger})
    if MEASURED not in measured.square:
        return found
    larger = total(law.square) / total(near.square)
    return replace(
        found,
        mean={MEASURED: measured.mean[MEASURED] * np.sqrt(larger)},
        square={MEASURED: measured.square[MEASURED] * larger},
    )


def doubts(s, twin, coupling, laws):
    """{group: how far off moments may be that are enlarged from a smaller start}.

    All that was measured there, since no two sizes fold the same samples; and anything where the
    smaller one folds none.
    """
    if not coupling.folds(s) or is_whole(twin, s):
        return {}
    groups, derived = laws.keys() & FREQUENCIES, coupling.laws(s)
    if not coupling.folds(replace(s, n=twin.n, m=twin.m)):
        return dict.fromkeys(groups, UNKNOWN)
    sizes = {
        group: [np.sqrt(total(of[group].square)).item() for of in (laws, derived)]
        for group in groups
    }
    return {group: apart(*pair) for group, pair in sizes.items()}


def is_whole(twin, s):
    """Whether a twin has the size of the start that it stands for."""
    return (twin.n, twin.m) == (s.n, s.m)


def _with_floor(law, square, twin):
    """The law with E g g' of E ḡ²."""
    floor = (square - total(law.square) / twin.rows) / (1 - 1 / twin.rows)
    return replace(law, floor={MEASURED: np.maximum(floor, 0.0)})


def medians_of(s, twin, coupling, batch):
    """{group: `Median`} of a1 and a3: of ḡ on a drawn start, and the scatter of a batch about it.

    None of small batches, which are not normal, nor of a smaller start. Those of a2 and a4 are sums
    of many samples, and stay as `medians` has them.
    """
    if batch < NORMAL or not is_whole(twin, s):
        return {}
    rng = np.random.default_rng(0)
    s = with_drawn_amplitudes(s, rng) if np.size(s.a1) > 1 else s
    start, normal = rng.integers(twin.starts, size=DRAWS), rng.standard_normal(DRAWS)
    means = of_all_windows(s, twin.sums.of(start), np.mean(twin.table[:, 0] ** 2))
    scatter, laws = twin.scatter(batch), coupling.laws(s)
    return {
        group: _median(means[group], total(laws[group].square), scatter, normal, twin.starts)
        for group in ("a1", "a3")
    }


def _median(mean, square, scatter, normal, starts):
    """The `Median` of |ḡ + σ z|, σ² what E g² has besides ḡ², times the scatter of a batch."""
    of_starts, whole = np.mean(mean**2), np.mean(square)
    if not whole:
        return Median(0.0, 0.0)
    over_signals = square * scatter * max(0.0, 1 - of_starts / whole)
    values = np.abs(mean + np.sqrt(over_signals) * normal)
    share = of_starts / (of_starts + np.mean(over_signals) + TINY)
    error = share * error_of_median(np.abs(mean)) * np.sqrt(DRAWS / starts)
    return Median(float(np.median(values)), float(error) if starts > 1 else 0.0)


def mean_squares(s, twin, tied):
    """{group: E ḡ² over the starts of a twin, at its size}, of each choice of amplitudes."""
    near = replace(s, n=twin.n, m=twin.m)
    groups = sides(near, (s.a1, s.a2, s.a3, s.a4), twin, tied)
    of_frequencies = {group: twin.grams.mean_square(vectors) for group, vectors in groups.items()}
    one_each = {name: np.reshape(getattr(s, name), (-1, 1)) for name in ("a1", "a2", "a3", "a4")}
    found = of_all_windows(replace(near, **one_each), twin.sums, np.mean(twin.table[:, 0] ** 2))
    return {group: np.mean(value**2, axis=1) for group, value in found.items()} | of_frequencies
