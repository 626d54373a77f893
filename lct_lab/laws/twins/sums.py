"""What a2 and a4 are made of: sums over the samples of drawn starts, which give their medians."""

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from lct_lab.init import INITS
from lct_lab.laws.twins.starts import cut_at_random

SIZE = 2**14  # N M at most of starts whose sums are drawn
STARTS, MOST_STARTS = 1024, 4096  # of them, more where they are smaller
AT_ONCE = 32  # of them: their cosines fit in a cache
OF_BATCH = 4  # signals of a batch that are drawn, at most
OF_START = 8  # signals drawn of each start, at most: one start serves several draws
MOST_ADDED = 64  # sums; that sum of more is nearly normal


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums over 1 <= n < N of drawn starts, (draws,) each; K, P and P̃ as in `twins.starts`.

    n       samples of a start
    output  ‖Kx‖²           match     x·Kx
    edge    x_0² |P̃|²       edge_out  x_0 P̃·Kx    edge_in  x_0 P̃·x
    row     (P·x)²          row_in    x_0 P·x

    Means over a batch of signals, less the mean over starts.

    gram    (starts, 3, 3), inner products of P, KᵀP̃ and P̃, which samples meet in a1 and a3
    """

    n: int
    output: np.ndarray
    match: np.ndarray
    edge: np.ndarray
    edge_out: np.ndarray
    edge_in: np.ndarray
    row: np.ndarray
    row_in: np.ndarray
    gram: np.ndarray

    def of(self, chosen):
        """The sums of some starts."""
        names = ("output", "match", "edge", "edge_out", "edge_in", "row", "row_in")
        return replace(self, **{name: getattr(self, name)[chosen] for name in names})

    def drawn(self, count, n, rng):
        """`count` draws at size n, as `Sums`.

        Bands of frequencies add up apart, so Kx of a start r times as large is like r of these
        together; what x_0 makes does not grow.
        """
        r = round(n / self.n)
        added = min(r, MOST_ADDED)
        chosen = rng.integers(len(self.output), size=(count, added))
        grown = {
            name: getattr(self, name)[chosen].sum(1) * math.sqrt(r / added)
            for name in ("output", "match")
        }
        rest = ("edge", "edge_out", "edge_in", "row", "row_in")
        kept = {name: getattr(self, name)[chosen[:, 0]] for name in rest}
        return Sums(n, **grown, **kept, gram=self.gram)


def sums_of(s, init, tied, batch):
    """The `Sums` of a `Setting`, on signals of variance 1, of a table `signals_of_batch`."""
    whole = math.ceil(math.sqrt(s.n * s.m / SIZE))
    n, m = max(2, s.n // whole), max(1, round(s.m / whole))
    if s.signal.windows is None:
        return _of_noise(n, m, init, tied, batch, s.signal.flat)
    windows = s.signal.windows / math.sqrt(s.variance)
    signals = signals_of_batch(batch)

    def pieces(count, rng):
        return cut_at_random(windows, rng.integers(len(windows), size=count), n, rng)

    return _sums(n, m, init, tied, signals, pieces)


def signals_of_batch(batch):
    """How many signals of a batch are drawn."""
    return min(batch, OF_BATCH)


@lru_cache(maxsize=64)
def _of_noise(n, m, init, tied, batch, flat):
    def noise(count, rng):
        if flat:
            return rng.uniform(-(3**0.5), 3**0.5, (count, n))
        return rng.standard_normal((count, n))

    return _sums(n, m, init, tied, batch, noise)


def _sums(n, m, init, tied, batch, draw):
    """The `Sums` of `STARTS` starts or more, each with `OF_START` signals.

    Those of a larger batch scatter less about the mean of their start, which is known if white.
    """
    rng = np.random.default_rng(0)
    starts = min(STARTS * max(1, SIZE // (n * m)), MOST_STARTS)
    signals = signals_of_batch(batch)
    batches = OF_START // signals
    blocks, grams = [], []
    for _ in range(starts // AT_ONCE):
        x = np.stack([draw(batches * signals, rng) for _ in range(AT_ONCE)])
        drawn = [_drawn_start(m, init, tied, rng) for _ in range(AT_ONCE)]
        w, w2 = (np.stack(part) for part in zip(*drawn, strict=True))
        front = _cosines(w, n)
        back = front if tied else _cosines(w2, n)
        blocks.append(_sums_of_starts(front, back, x, signals))
        if batch > signals:
            mean = _means_of_starts(front, back).repeat(batches, axis=1)
            blocks[-1] = mean + (blocks[-1] - mean) * math.sqrt(signals / batch)
        grams.append(_grams_of_starts(front, back))
    columns = np.concatenate(blocks, axis=1)
    return Sums(n, *(columns - columns.mean(1, keepdims=True)), np.concatenate(grams))


def _drawn_start(m, init, tied, rng):
    """The w and the w̃ of a start, (m,) each."""
    w = INITS[init].frequencies(m, rng)
    return w, w if tied else INITS[init].frequencies(m, rng)


def _sums_of_starts(front, back, x, batch):
    """The seven of `Sums` of every start, means over batches of signals: (7, starts · batches).

    front, back : cosines (starts, m, n - 1). x : signals (starts, batches · batch, n).
    """
    first, later = x[:, :, 0], x[:, :, 1:].swapaxes(1, 2)
    coefficients = front @ later
    output = 2 / front.shape[1] * back.swapaxes(1, 2) @ coefficients
    P, seen = back.mean(1)[:, :, None], coefficients.mean(1)
    values = (
        np.sum(output**2, axis=1),
        np.sum(later * output, axis=1),
        first**2 * np.sum(P**2, axis=1),
        first * np.sum(P * output, axis=1),
        first * np.sum(P * later, axis=1),
        seen**2,
        first * seen,
    )
    return np.stack(values).reshape(len(values), -1, batch).mean(axis=2)


def means_of_start(front, back, signals):
    """(1, 7) the seven of `Sums` of one start, added up over signals (n, count)."""
    count = signals.shape[1]
    return _sums_of_starts(front[None], back[None], signals.T[None], count).T * count


def _means_of_starts(front, back):
    """The means of `_sums_of_starts` over white signals of variance 1: traces, (7, starts)."""
    share, none = 2 / front.shape[1], np.zeros(len(front))
    near, far = front @ front.swapaxes(1, 2), back @ back.swapaxes(1, 2)
    P, P2 = front.mean(1), back.mean(1)
    output = share**2 * np.sum(near * far, axis=(1, 2))
    match = share * np.sum(front * back, axis=(1, 2))
    edge, row = np.sum(P2**2, axis=1), np.sum(P**2, axis=1)
    return np.stack([output, match, edge, none, none, row, none])


def _grams_of_starts(front, back):
    """(starts, 3, 3): the inner products of P, KᵀP̃ and P̃ of every start."""
    P = back.mean(1)
    through = (back @ P[:, :, None]).swapaxes(1, 2) @ front
    vectors = np.stack([front.mean(1), 2 / front.shape[1] * through[:, 0], P], axis=1)
    return vectors @ vectors.swapaxes(1, 2)


def _cosines(w, n):
    """cos(w_k j), 1 <= j < n, of frequencies (starts, m), a view of (starts, m, n - 1).

    By cos((j + 1) w) = 2 cos(w) cos(jw) - cos((j - 1) w), all frequencies at once: ten times as
    quick as one by one.
    """
    cosine = np.ones((n, *w.shape))
    cosine[1] = np.cos(w)
    twice = 2 * cosine[1]
    for j in range(1, n - 1):
        np.multiply(twice, cosine[j], out=cosine[j + 1])
        cosine[j + 1] -= cosine[j - 1]
    return np.moveaxis(cosine[1:], 0, 2)
