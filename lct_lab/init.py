"""Initial frequencies and amplitudes, each a pure function of (seed, n, m, init name, index)."""

from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple
from zlib import crc32

import numpy as np

from lct_lab import compiled
from lct_lab.checks import (
    require_amplitudes,
    require_choice,
    require_flag,
    require_memory,
    require_number,
    require_size,
)

GROUPS = ("a1", "a2", "a3", "a4", "w1", "w2")  # the parameters of a model; a tied one has no w2
FREQUENCIES = ("w1", "w2")  # those of them that are vectors, one entry a frequency
ROOT2 = 2**0.5
UNIT_AMPLITUDES = (1.0, ROOT2, 1.0, ROOT2)  # the orthogonal start then reconstructs at M = N
LOWEST, HIGHEST = 0.5, 1.5  # of amplitudes that are drawn
JITTER = 0.25  # of `jittered` starts, in units of the spacing π/M


def shuffled(m, rng):
    """w_k ~ U(0, π), independent, in the order they were drawn."""
    return rng.random(m) * np.pi


def random(m, rng):
    """w_k: m independent draws from U(0, π), sorted: the order statistics.

    The start of the original notebook.
    """
    return np.sort(shuffled(m, rng))


def orthogonal(m, rng=None):
    """w_k = (2k + 1) π / 2m: with m = n the frequencies of the DCT."""
    m = require_size("m", m)
    return (2 * np.arange(m) + 1) * np.pi / (2 * m)


def jittered(m, rng, jitter=JITTER):
    """w_k = (2k + 1) π / 2m + u_k π / m with u_k ~ U(-jitter, jitter): near the DCT.

    `jitter` is in units of the spacing π / m.
    """
    return orthogonal(m) + rng.uniform(-jitter, jitter, m) * np.pi / m


class Start(NamedTuple):
    """How a start draws its frequencies, (m, rng) -> (m,), and its default amplitudes.

    amplitudes : four numbers, or None where each is drawn from U(½, 3/2).
    jitter : of the frequencies about the grid (2k + 1) π / 2m, in units of its spacing; None for a
        start that is not on a grid.
    """

    frequencies: Callable
    amplitudes: tuple | None
    jitter: float | None


INITS = {
    "random": Start(random, amplitudes=None, jitter=None),
    "shuffled": Start(shuffled, amplitudes=None, jitter=None),
    "orthogonal": Start(orthogonal, amplitudes=UNIT_AMPLITUDES, jitter=0.0),
    "jittered": Start(jittered, amplitudes=UNIT_AMPLITUDES, jitter=JITTER),
}


def generator(seed, n, m, init, index, stream):
    """The numpy Generator of one stream ("init" or "signal") of one init.

    The same whatever ran before it.
    """
    key = (n, m, crc32(init.encode()), index, crc32(stream.encode()))
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


@cache
def _streams():
    """The module `streams`, compiled; None without numba."""

    def load():
        from lct_lab import streams

        streams.uniforms(0, (), range(1), 0, 1)
        return streams

    return compiled.loaded(load)


def uniforms(seed, n, m, init, indices, stream, count):
    """(inits, count): the first numbers, from 0 to 1, of the `generator` of each of a range."""
    streams = _streams()
    if streams is None or indices[-1] >= 1 << 32:
        generators = [generator(seed, n, m, init, index, stream) for index in indices]
        return np.array([rng.random(count) for rng in generators])
    key = (n, m, crc32(init.encode()))
    return streams.uniforms(seed, key, indices, crc32(stream.encode()), count)


def draw(n, m, *, init="random", tied=False, amplitudes=None, seed=0, index=0, jitter=None):
    """Amplitudes and frequencies of init number `index`: ((a1, a2, a3, a4), w1, w2).

    Parameters
    ----------
    n, m : samples and frequencies. init : a name in `INITS`. tied : without w2, which is then None.
    amplitudes : four numbers; None for the start's own, U(½, 3/2) for random and shuffled,
        (1, √2, 1, √2) for orthogonal and jittered.
    jitter : of a jittered start alone, in units of the spacing π/m; None for `JITTER`.

    Frequencies are float64 arrays of shape (m,), radians per sample. Raises ValueError or TypeError
    naming the argument that is out of range.
    """
    require_choice("init", init, INITS)
    n, m = require_size("n", n), require_size("m", m)
    require_memory(2 * m, m=m)
    seed, index = require_size("seed", seed, 0), require_size("index", index, 0)
    tied, amplitudes = require_flag("tied", tied), require_amplitudes(amplitudes)
    if jitter is not None and init != "jittered":
        raise ValueError(
            f"jitter is for init='jittered' alone, got jitter={jitter!r} with init={init!r}"
        )
    if jitter is not None and not 0 <= require_number("jitter", jitter) <= m:
        raise ValueError(f"jitter must be between 0 and m = {m}, all of (0, π), got {jitter}")
    rng, start = generator(seed, n, m, init, index, "init"), INITS[init]
    frequencies = start.frequencies if jitter is None else partial(jittered, jitter=jitter)
    if amplitudes is None:
        amplitudes = start.amplitudes or tuple((rng.random(4) + LOWEST).tolist())
    w1 = frequencies(m, rng)
    return amplitudes, w1, None if tied else frequencies(m, rng)


class _Rows:
    """In place of a generator, the numbers of many: what it draws has one row an init."""

    def __init__(self, numbers):
        self.numbers = numbers
        self.used = 0

    def random(self, count):
        first = self.used
        self.used += count
        return self.numbers[:, first : self.used]

    def uniform(self, low, high, count):
        return low + (high - low) * self.random(count)


def draw_block(n, m, indices, *, init, tied, amplitudes, seed):
    """`draw` of the inits of a range, as arrays: amplitudes (inits, 4), w1 and w2 (inits, m).

    For arguments that have been checked.
    """
    start = INITS[init]
    rows = _Rows(uniforms(seed, n, m, init, indices, "init", 4 + 2 * m))
    fixed = amplitudes or start.amplitudes
    a = np.tile(fixed, (len(indices), 1)) if fixed else rows.random(4) + LOWEST
    w1, w2 = (np.array(start.frequencies(m, rows)) for _ in range(2))
    w1, w2 = (w if w.ndim == 2 else np.tile(w, (len(indices), 1)) for w in (w1, w2))
    return a, w1, None if tied else w2
