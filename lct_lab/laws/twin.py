"""A small start of the same kind: what laws of mean squares do not know, on drawn frequencies.

A median needs the distribution of a gradient, and that hangs on how the vectors that make it lie to
each other, frequency by frequency. So frequencies are drawn, always the same, of at most as many
samples as is quick, at the same N/M. White noise is not drawn: its inner products with the vectors
are known (`White`). Of a table its own windows are taken (`Windows`), or of large batches their
second moments (`Batches`). What changes with the size is scaled or thinned out: notebook 07 ("The
median") derives how.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from lct_lab.init import INITS

SAMPLES = 256  # of a white twin at most
FEWEST = 32  # frequencies of a twin, at least, unless that takes more than WIDEST samples
WIDEST = 1024
ENTRIES = 6144  # frequencies of all draws of a white twin together, at least
FEWEST_DRAWS = 4
MOST_OF_START = ENTRIES // FEWEST_DRAWS  # entries that one draw of a white twin gives
WORK = 2**26  # of a twin with windows: its samples, times frequencies, times windows, times draws
SHOWN = 32  # windows of each draw of it, and the most of a batch that are added up one by one
SHORTEST = 256  # samples of it, at least: what is coloured needs some resolution
WORK_OF_BATCHES = 2**31  # of a twin with second moments: its samples², times frequencies and starts
ROWS = 2**14  # windows at most whose second moments are taken
LEAST_SCATTER = 1e-9  # of a batch about the mean of its table
FEWEST_STARTS, MOST_STARTS_OF_BATCHES = 16, 64  # of it: each leaves something of its own
QUANTILES = 4096  # of χ², of which each entry draws SIGNALS for each of its eigenvalues
SIGNALS = 64
ROUNDING = 1e-12  # of squared parts of a vector, where they cancel
SIZE_OF_SUMS = 2**14  # N M at most of starts whose sums are drawn
STARTS_OF_SUMS = 1024  # of them, more where they are smaller
MOST_STARTS = 4096
AT_ONCE = 32  # of them: their cosines fit in a cache
SIGNALS_OF_SUMS = 4  # of a batch, at most
SIGNALS_OF_START = 8  # drawn of each, at most: one start serves several draws
STEP = 16  # samples whose waves are multiplied by those of the multiples of it
MOST_ADDED = 64  # sums; that sum of more is nearly normal

# The vectors over 1 <= n < N that a gradient is made of, of each k; K = (2/M) Σ_j cos w̃_j cos w_j:
# n sin(w_k n), P_n = Σ_j cos(w_j n)/M, cos(w̃_k ·) K, cos(w̃_k n), cos(w_k n), n sin(w̃_k ·) K and
# n sin(w̃_k n)
SLOPE, ROW, OUTPUT, BACK, FRONT, SLOPE_OF_OUTPUT, BACK_SLOPE = range(7)
# those that are not orthogonal only where w̃_k happens to lie within 1/N of w_k
PAIRED = ((SLOPE, BACK), (OUTPUT, BACK), (FRONT, BACK_SLOPE), (SLOPE_OF_OUTPUT, BACK_SLOPE))


@dataclass(frozen=True, eq=False)
class White:
    """Drawn frequencies of a small start on white noise of variance 1.

    n, m     its size
    gram     (entries, 7, 7), the inner products of the vectors
    overlap  (entries, 2), Σ_n cos(w̃_k n) P̃_n and Σ_n n sin(w̃_k n) P̃_n, P̃_n = Σ_j cos(w̃_j n)/M
    chance   (entries,) even in (0, 1): which entries keep a chance meeting of w_k and w̃_k
    """

    n: int
    m: int
    gram: np.ndarray
    overlap: np.ndarray
    chance: np.ndarray

    def median(self, vectors, share, batch):
        """The median of |Σ_i λ_i χ²_B,i/B| over entries and signals, `eigenvalues` of vectors."""
        values = eigenvalues(_parted(self.gram, self.chance >= share), vectors)
        return _median_of_squares(values, batch)


@dataclass(frozen=True, eq=False)
class Windows:
    """Drawn frequencies of some starts, each on windows of a table.

    n, m     its size
    seen     (entries, 7, windows), the vectors' products with the windows of their start
    first    (entries, windows) x_0
    overlap  (entries, 2), as of `White`
    """

    n: int
    m: int
    seen: np.ndarray
    first: np.ndarray
    overlap: np.ndarray

    def median(self, vectors, share, batch):
        """The median over starts and batches of windows of that over entries, |Σ (u·x)(v·x)|.

        Averaging leaves what every signal makes alike where w̃_k meets w_k, which fewer do at a
        larger size, `share` of those here. As much is left here of a batch smaller by that share.
        """
        factors = [self._product(parts, first) for parts, first in vectors]
        values = sum(u * v for u, v in zip(factors[::2], factors[1::2], strict=True))
        shown, averaged = self.first.shape[1], max(1, round(share * batch))
        scale = math.sqrt(averaged / batch)
        whole = shown // averaged * averaged
        batches = values[:, :whole].reshape(-1, self.m, whole // averaged, averaged)
        return scale * np.median(np.median(np.abs(batches.mean(axis=3)), axis=1))

    def _product(self, parts, first):
        """(entries, windows) of u·x: parts of the seven vectors, and x_0 by its own factor."""
        of_later = sum(factor * self.seen[:, place] for place, factor in parts.items())
        return of_later + np.reshape(first, (-1, 1)) * self.first


@dataclass(frozen=True, eq=False)
class Batches:
    """Drawn frequencies of some starts, on batches of many windows of a table.

    A mean over so many is as of normal signals with the second moments of the windows.

    n, m     its size
    starts   how many
    rows     windows of which the second moments are
    gram     (entries, 8, 8), mean products of the vectors with a window; the last is x_0
    overlap  (entries, 2), chance (entries,), as of `White`
    """

    n: int
    m: int
    starts: int
    rows: int
    gram: np.ndarray
    overlap: np.ndarray
    chance: np.ndarray

    def median(self, vectors, share, batch):
        """The median over starts of that of |Σ_i λ_i χ²_B,i/B| over entries and batches.

        A batch of B rows scatters about the mean of all rows by 1/B - 1/rows; and by 1/B where w_k
        and w̃_k are parted, which takes what that mean is with them.
        """
        parted = self.chance >= share
        gram = _parted(self.gram, parted)
        mix = np.zeros((len(self.gram), len(vectors), self.gram.shape[1]))
        for row, (parts, first) in enumerate(vectors):
            mix[:, row, list(parts)] = list(parts.values())
            mix[:, row, -1] = first
        values = _paired_eigenvalues(mix @ gram @ mix.transpose(0, 2, 1))
        scatter = max(1 / batch - 1 / self.rows, LEAST_SCATTER)
        about_mean = _sums_of_squares(values, 1 / scatter)
        sums = np.where(parted[:, None], _sums_of_squares(values, batch), about_mean)
        return np.median(np.median(np.abs(sums).reshape(self.starts, -1), axis=1))


def _parted(gram, entries):
    """Gram matrices where w_k and w̃_k do not meet by chance in some `entries`."""
    found = gram.copy()
    for one, other in PAIRED:
        found[entries, one, other] = 0
        found[entries, other, one] = 0
    return found


# --- drawing --------------------------------------------------------------------------------------


def twin_of(s, init, tied, batch):
    """The twin of a `Setting`."""
    if s.signal.windows is None:
        return white(*size(s.n, s.m, SAMPLES), init, tied)
    if batch > SHOWN:
        return of_batches(s.n, s.m, init, tied, s.signal.windows)
    return of_windows(s.n, s.m, init, tied, s.signal.windows, batch)


def size(n, m, most):
    """Samples and frequencies of a twin: N/M kept as well as whole numbers allow.

    `most` samples or fewer, or up to `WIDEST` where they would leave less than `FEWEST`
    frequencies: few of them make another start of it if N/M is not kept. Beyond N/M = 128 it
    is not, with a quarter of `FEWEST`; `medians` then enlarges.
    """
    needed = min(math.ceil(FEWEST * n / m), WIDEST)
    if n <= max(most, needed):
        return n, m
    samples = np.arange(max(most * 3 // 4, needed), max(most, needed * 9 // 8) + 1)
    samples = samples[samples <= n]
    exact = samples * m / n
    best = np.argmin(abs(exact - np.round(exact)) / exact - 1e-6 * samples)
    return int(samples[best]), max(FEWEST // 4, round(exact[best]))


@lru_cache(maxsize=32)
def white(n, m, init, tied):
    """The `White` twin of n samples and m frequencies."""
    rng = np.random.default_rng(0)
    draws = max(FEWEST_DRAWS, math.ceil(ENTRIES / m))
    parts = [_on_white(_waves_of(n, m, init, tied, rng)) for _ in range(draws)]
    gram, overlap = (np.concatenate(part) for part in zip(*parts, strict=True))
    return White(n, m, gram, overlap, _chance(len(gram), rng))


def _chance(count, rng):
    """Numbers even in (0, 1), in a random order."""
    return rng.permutation(np.arange(count) + 0.5) / count


def _on_white(waves):
    """Gram matrices and overlaps of one start, of at most `MOST_OF_START` entries evenly chosen."""
    front, _, back, _ = waves
    row, P = front.mean(0), back.mean(0)
    through = _through(front, back)
    kept = _evenly(len(front), MOST_OF_START)
    front, slope, back, back_slope = (wave[kept] for wave in waves)
    vectors = [slope, np.broadcast_to(row, front.shape), through(back), back, front]
    vectors = np.stack([*vectors, through(back_slope), back_slope], axis=1)
    return vectors @ vectors.transpose(0, 2, 1), _overlap(back, back_slope, P)


def _through(front, back):
    """The map of rows v to v K, K = (2/M) Σ_j cos w̃_j cos w_j, by the shorter way."""
    share = 2 / len(front)
    if len(front) < front.shape[1]:
        return lambda rows: share * (rows @ back.T) @ front
    K = share * back.T @ front
    return lambda rows: rows @ K


def of_windows(n, m, init, tied, x, batch):
    """The `Windows` of a table x (windows, n): as many samples as `WORK` allows `ENTRIES`.

    A median over frequencies whose powers differ by decades needs many of them, each on a few
    windows; and many windows in all, since they differ as well. So every start has its own.
    batch : `SHOWN` at most.
    """
    rng = np.random.default_rng(0)
    shown = min(len(x), SHOWN // batch * batch)
    n, m = size(n, m, max(WORK // (ENTRIES * shown), SHORTEST))
    draws = max(1, min(WORK // (n * m * shown), math.ceil(ENTRIES / m)))
    rows = np.arange(draws * shown) * len(x) // (draws * shown)
    parts = []
    for start in range(draws):
        chosen = x[rows[start::draws]]
        places = rng.integers(x.shape[1] - n + 1, size=shown)
        cut = np.stack([row[place : place + n] for row, place in zip(chosen, places, strict=True)])
        seen, overlap = _on_windows(_waves_of(n, m, init, tied, rng), cut[:, 1:].T)
        parts.append((seen, np.broadcast_to(chosen[:, 0], (m, shown)), overlap))
    return Windows(n, m, *(np.concatenate(part) for part in zip(*parts, strict=True)))


def of_batches(n, m, init, tied, x):
    """The `Batches` of a table x (windows, n)."""
    rng = np.random.default_rng(0)
    affordable = round((WORK_OF_BATCHES / FEWEST_STARTS * n / m) ** (1 / 3))
    n, m = size(n, m, max(SHORTEST, affordable))
    starts = min(max(1, WORK_OF_BATCHES // (n * n * m)), MOST_STARTS_OF_BATCHES)
    kept, rows = _evenly(m, math.ceil(ENTRIES / starts)), _evenly(len(x), ROWS)
    signals = _of_same_moments(cut_of(x, rows, n, rng))
    parts = [_moments_on(_waves_of(n, m, init, tied, rng), signals, kept) for _ in range(starts)]
    gram, overlap = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Batches(n, m, starts, len(rows), gram, overlap, _chance(len(gram), rng))


def _evenly(count, most):
    """Which of `count` to take, `most` of them or all."""
    taken = min(count, most)
    return np.arange(taken) * count // taken


def _of_same_moments(x):
    """As many signals as samples, (n, n) in columns, whose sums of products are windows' means."""
    values, vectors = np.linalg.eigh(x.T @ x / len(x))
    return np.sqrt(np.maximum(values, 0)) * vectors


def _moments_on(waves, signals, kept):
    """Gram matrices and overlaps of the entries `kept` of one start, signals (n, count)."""
    seen, overlap = _on_windows(waves, signals[1:], kept)
    first = np.broadcast_to(signals[0], (len(seen), 1, signals.shape[1]))
    vectors = np.concatenate([seen, first], axis=1)
    return vectors @ vectors.transpose(0, 2, 1), overlap


def _on_windows(waves, later, kept=slice(None)):
    """Products with windows and overlaps of one start's entries `kept`, later (n - 1, windows)."""
    front, _, back, _ = waves
    P, coefficients = back.mean(0), front @ later
    K_later = 2 / len(front) * back.T @ coefficients
    row = coefficients.mean(0)
    _, slope, back, back_slope = (wave[kept] for wave in waves)
    coefficients = coefficients[kept]
    row = np.broadcast_to(row, coefficients.shape)
    seen = [slope @ later, row, back @ K_later, back @ later, coefficients]
    seen = np.stack([*seen, back_slope @ K_later, back_slope @ later], axis=1)
    return seen, _overlap(back, back_slope, P)


def _waves_of(n, m, init, tied, rng):
    """cos(w_k n), n sin(w_k n), and the same of w̃: four arrays (m, n - 1)."""
    front = _waves(INITS[init].frequencies(m, rng), n)
    back = front if tied else _waves(INITS[init].frequencies(m, rng), n)
    return *front, *back


def _waves(w, n):
    """cos(w_k j) and j sin(w_k j), 1 <= j < n: two arrays (m, n - 1).

    By e^{iw(r + q)} = e^{iwr} e^{iwq}, 0 <= r < `STEP` and q its multiples.
    """
    near = np.exp(1j * np.outer(w, np.arange(STEP)))
    far = np.exp(1j * np.outer(w, np.arange(0, n, STEP)))
    turns = (far[:, :, None] * near[:, None, :]).reshape(len(w), -1)[:, 1:n]
    return np.ascontiguousarray(turns.real), np.arange(1, n) * turns.imag


def _overlap(back, back_slope, P):
    return np.stack([back @ P, back_slope @ P], axis=1)


# --- products of normal numbers -------------------------------------------------------------------


def eigenvalues(gram, vectors):
    """λ of (u·x)(v·x), (entries, 2), or of a sum of two such products, (entries, 4).

    gram : of the seven vectors. vectors : u, v, …, each {vector: factor} and the factor of x_0.
    """
    mix = np.zeros((len(vectors), gram.shape[1]))
    corner = np.zeros((len(vectors), len(gram)))
    for row, (parts, first) in enumerate(vectors):
        mix[row, list(parts)] = list(parts.values())
        corner[row] = first
    G = mix @ gram @ mix.T + np.einsum("ik,jk->kij", corner, corner)
    parts = np.einsum("ia,kaa->ki", mix**2, gram) + corner.T**2
    some = np.diagonal(G, axis1=1, axis2=2) > ROUNDING * parts
    return _paired_eigenvalues(G * some[:, :, None] * some[:, None, :])


def _paired_eigenvalues(G):
    """λ of P·G, G the Gram matrix of u, v, u', v' and P = ½ [[0, 1], [1, 0]] for either pair.

    Factors of one length first, by u/c and cv: where one of them vanishes all λ must.
    """
    squares = np.maximum(np.diagonal(G, axis1=1, axis2=2), 0)
    sizes = np.sqrt(squares[:, ::2] * squares[:, 1::2])
    if G.shape[1] == 2:
        sizes = sizes[:, 0]
        return np.stack([G[:, 0, 1] + sizes, G[:, 0, 1] - sizes], axis=1) / 2
    both = np.repeat(sizes, 2, axis=1)
    factor = np.sqrt(both / np.where(squares > 0, squares, np.inf))
    G = G * factor[:, :, None] * factor[:, None, :]
    return np.sort(np.linalg.eigvals(G[:, [1, 0, 3, 2]] / 2).real, axis=1)


def _median_of_squares(values, batch):
    return np.median(np.abs(_sums_of_squares(values, batch)))


def _sums_of_squares(values, batch):
    """Drawn Σ_i λ_i χ²_B,i/B, (entries, `SIGNALS`)."""
    drawn = chi_squares(batch, *values.shape)
    return np.einsum("ki,kiq->kq", values, drawn)


@lru_cache(maxsize=8)
def chi_squares(batch, entries, count):
    """(entries, count, SIGNALS) of χ²_B/B: evenly spread quantiles, in a random order."""
    from scipy.special import gammaincinv

    place = (np.arange(QUANTILES) + 0.5) / QUANTILES
    quantile = 2 * gammaincinv(batch / 2, place) / batch
    rng = np.random.default_rng(0)
    order = [rng.permutation(entries * SIGNALS) % QUANTILES for _ in range(count)]
    drawn = quantile[np.array(order)].reshape(count, entries, SIGNALS)
    return np.ascontiguousarray(drawn.transpose(1, 0, 2))


# --- what a2 and a4 are made of -------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums over 1 <= n < N of drawn starts, (draws,) each; K, P and P̃ as above.

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
    """The `Sums` of a `Setting`, on signals of variance 1; of a table `signals_of_sums` of them."""
    whole = math.ceil(math.sqrt(s.n * s.m / SIZE_OF_SUMS))
    n, m = max(2, s.n // whole), max(1, round(s.m / whole))
    if s.signal.windows is None:
        return _sums_of_noise(n, m, init, tied, batch, s.signal.flat)
    windows = s.signal.windows / math.sqrt(s.variance)
    signals = signals_of_sums(batch)
    return _sums(n, m, init, tied, signals, lambda count, rng: cut(windows, n, count, rng))


def signals_of_sums(batch):
    """How many signals of a batch are drawn."""
    return min(batch, SIGNALS_OF_SUMS)


@lru_cache(maxsize=64)
def _sums_of_noise(n, m, init, tied, batch, flat):
    def noise(count, rng):
        if flat:
            return rng.uniform(-(3**0.5), 3**0.5, (count, n))
        return rng.standard_normal((count, n))

    return _sums(n, m, init, tied, batch, noise)


def _sums(n, m, init, tied, batch, draw):
    """The `Sums` of `STARTS_OF_SUMS` starts or more, each with `SIGNALS_OF_START` signals.

    Those of a larger batch scatter less about the mean of their start, which is known if white.
    """
    rng = np.random.default_rng(0)
    starts = min(STARTS_OF_SUMS * max(1, SIZE_OF_SUMS // (n * m)), MOST_STARTS)
    signals = signals_of_sums(batch)
    batches = SIGNALS_OF_START // signals
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


def cut(windows, n, count, rng):
    """`count` pieces, (count, n), of the windows (rows, samples), but for x_0, which stays."""
    return cut_of(windows, rng.integers(len(windows), size=count), n, rng)


def cut_of(windows, rows, n, rng):
    """Pieces (rows, n) of these rows, each from somewhere in it, but for x_0, which stays."""
    starts = rng.integers(windows.shape[1] - n + 1, size=len(rows))
    pieces = windows[rows[:, None], starts[:, None] + np.arange(n)]
    pieces[:, 0] = windows[rows, 0]
    return pieces


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
