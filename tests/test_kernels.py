"""The compiled kernels are the dense sums and numpy's draws, in any block and on any thread."""

import subprocess
import sys
from zlib import crc32

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import lct_lab
from lct_lab import compiled, init, nufft, probes, tables

numba = pytest.importorskip("numba")
kernels = pytest.importorskip("lct_lab.kernels")
streams = pytest.importorskip("lct_lab.streams")

SUMS = ("_locate", "_waves", "_interpolate", "_spread", "_coefficients", "_residuals", "_gradients")


def problem(starts, batch, n, m, tied, seed=0):
    rng = np.random.default_rng(seed)
    w1, w2 = rng.uniform(-20, 20, (2, starts, m))
    w1[:, : m // 3] = w1[:, :1]  # repeated frequencies
    w2[:, -1] = 0.0
    x = rng.standard_normal((starts, batch, n))
    return x, rng.uniform(-2, 2, (starts, 4)), w1, None if tied else w2


def worst(found, x, a, w1, w2):
    """The largest error of each start against the dense definition, over the largest entry."""
    totals, *by_w = found
    errors = []
    for i in range(len(a)):
        w = [None if v is None else torch.from_numpy(v[i]) for v in (w1, w2)]
        dense = lct_lab.gradients(torch.from_numpy(x[i]), *a[i].tolist(), *w, engine="dense")
        exact = np.concatenate([v.reshape(-1).numpy() for v in dense if v is not None])
        fast = np.concatenate([totals[i], *(v[i] for v in by_w if v is not None)])
        errors.append(np.abs(fast - exact).max() / np.abs(exact).max())
    return max(errors)


@settings(max_examples=40, deadline=None)
@given(
    starts=st.integers(1, 3),
    batch=st.integers(1, 3),
    n=st.integers(1, 70),
    m=st.integers(1, 70),
    tied=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_a_block_is_the_dense_gradient_of_each_start(starts, batch, n, m, tied, seed):
    given = problem(starts, batch, n, m, tied, seed)
    assert worst(kernels.gradients(*given), *given) <= 1e-11
    finufft = nufft._one_by_one(*given, double=True)
    assert worst(finufft, *given) <= 1e-9


def with_width(monkeypatch, width):
    """The sums as Python runs them, for a kernel of another width."""
    for name in SUMS:
        monkeypatch.setattr(kernels, name, getattr(kernels, name).py_func)
    monkeypatch.setattr(kernels, "WIDTH", width)
    monkeypatch.setattr(kernels, "BETA", np.pi * width * (1 - 1 / (2 * kernels.FINER)))
    monkeypatch.setattr(kernels, "BESIDE", kernels.BESIDE[:width])
    monkeypatch.setattr(kernels, "POLYNOMIALS", kernels._polynomials())
    monkeypatch.setattr(kernels, "_scale", kernels._scale.__wrapped__)
    monkeypatch.setattr(kernels, "_room", kernels._room.__wrapped__)


@pytest.mark.parametrize("width, holds", [(16, True), (12, False), (8, False)])
def test_a_narrower_kernel_misses_the_bound(monkeypatch, width, holds):
    given = problem(1, 1, 40, 30, tied=False)
    with_width(monkeypatch, width)
    assert (worst(kernels.gradients(*given), *given) <= 1e-10) == holds


def test_the_kernel_has_the_transform_that_it_says():
    d = np.linspace(-kernels.WIDTH / 2, kernels.WIDTH / 2, 20_001)
    for f in (0.0, 0.1, 1 / 3):
        integral = np.trapezoid(kernels._kernel(d) * np.cos(2 * np.pi * f * d), d)
        assert integral == pytest.approx(kernels._kernel_transform(f), rel=1e-9)


def rows(first, count, signal="uniform", **change):
    usual = dict(init="random", tied=False, amplitudes=None, batch=1, seed=3, engine="nufft")
    place = dict(dtype=torch.float64, device="cpu", signal=signal)
    return pd.DataFrame(probes.probe_rows(90, 70, first, count, **{**usual, **place, **change}))


CASES = {
    "random": {},
    "tied": {"init": "jittered", "tied": True},
    "batch": {"batch": 3, "signal": "normal"},
    "shared": {"signal": np.linspace(-1, 1, 90)},
    "orthogonal": {"init": "orthogonal", "amplitudes": (1.0, 2.0, 3.0, 4.0)},
}


@pytest.mark.parametrize("small", [0, nufft.SMALL])
@pytest.mark.parametrize("case", CASES)
def test_any_block_gives_the_same_bits(monkeypatch, case, small):
    monkeypatch.setattr(nufft, "SMALL", small)
    whole = rows(0, 11, **CASES[case])
    parts = [rows(first, count, **CASES[case]) for first, count in ((0, 1), (1, 4), (5, 6))]
    assert pd.concat(parts, ignore_index=True).equals(whole)
    monkeypatch.setattr(kernels, "TOGETHER", 1 << 11)  # a start or a signal at a time
    assert rows(0, 11, **CASES[case]).loc[:, :"max_abs"].equals(whole.loc[:, :"max_abs"])


@pytest.mark.parametrize("small", [0, nufft.SMALL])
def test_rows_do_not_depend_on_threads(monkeypatch, small):
    monkeypatch.setattr(nufft, "SMALL", small)
    made = {}
    for threads in (1, 2, 3):
        monkeypatch.setattr(probes, "WORTH", 0)
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        made[threads] = lct_lab.probe(64, 50, inits=150, engine="nufft")
    assert made[2].equals(made[1]) and made[3].equals(made[1])


@pytest.mark.parametrize("name", ["random", "shuffled", "orthogonal", "jittered"])
def test_the_paths_agree(monkeypatch, name):
    fast = lct_lab.probe(120, 80, inits=4, init=name)
    monkeypatch.setattr(compiled, "available", lambda: False)
    init._streams.cache_clear()
    nufft._kernels.cache_clear()
    slow = lct_lab.probe(120, 80, inits=4, init=name)
    init._streams.cache_clear()
    nufft._kernels.cache_clear()
    largest = slow.groupby("group")["max_abs"].transform("max")
    numbers = ["mean", "rms", "mean_abs", "median_abs", "max_abs"]
    assert (np.abs(fast[numbers] - slow[numbers]).div(largest, axis=0) <= 1e-9).all(axis=None)
    assert fast["loss"].to_numpy() == pytest.approx(slow["loss"].to_numpy(), rel=1e-9)
    assert not fast.equals(slow)  # else one path was compared with itself


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**200),
    n=st.integers(1, 2**40),
    m=st.integers(1, 2**40),
    first=st.integers(0, 2**32 - 3),
    name=st.sampled_from(list(init.INITS)),
)
def test_streams_are_numpys_to_the_last_bit(seed, n, m, first, name):
    indices = range(first, first + 2)
    found = streams.uniforms(seed, (n, m, crc32(name.encode())), indices, crc32(b"init"), 9)
    drawn = [init.generator(seed, n, m, name, index, "init").random(9) for index in indices]
    assert np.array_equal(found, drawn)


@pytest.mark.parametrize("first", [0, 2**32 - 1])
@pytest.mark.parametrize("name", init.INITS)
@pytest.mark.parametrize("amplitudes", [None, (1.0, 2.0, 3.0, 4.0)])
def test_a_block_draws_what_each_init_draws(name, amplitudes, first):
    shared = dict(init=name, tied=False, amplitudes=amplitudes, seed=5)
    a, w1, w2 = init.draw_block(30, 20, range(first, first + 3), **shared)
    for i in range(3):
        own, first_w, second_w = init.draw(30, 20, index=first + i, **shared)
        assert tuple(a[i]) == own
        assert np.array_equal(w1[i], first_w) and np.array_equal(w2[i], second_w)


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("side", [2, 3])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_frequencies_that_are_not_finite_are_the_sentence_of_the_other_path(side, bad):
    given = list(problem(2, 1, 8, 6, tied=False))
    given[side][1, 4] = bad
    with pytest.raises(ValueError, match="w must be finite, got (nan|inf)"):
        nufft.gradients_of_starts(*given)
    given[side][1, 4] = 1e200
    nufft.gradients_of_starts(*given)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_numbers_that_are_not_side_by_side_give_the_same_bits(dtype):
    given = torch.rand(3, 24, generator=torch.Generator().manual_seed(1)).to(dtype)
    apart = torch.stack([given, given], -1).flatten(1)[:, ::2]
    assert not apart[0].is_contiguous()

    def found(x, w1, w2):
        return lct_lab.gradients(x, 1.0, 2.0, 3.0, 4.0, w1, w2, engine="nufft")

    expected = found(*given)
    compiled_for = len(kernels._locate.signatures)
    assert all(map(torch.equal, found(*apart), expected))
    assert len(kernels._locate.signatures) == compiled_for  # nothing anew


def test_a_folder_that_cannot_be_written_costs_the_cache_alone(monkeypatch):
    real = numba.njit

    def refusing(cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return real(**options)

    monkeypatch.setattr(numba, "njit", refusing)
    assert compiled.compiled(lambda x: x + 1)(1) == 2


def test_what_is_missing_or_broken_is_done_without(monkeypatch):
    monkeypatch.setattr(compiled, "_made", [])  # whose cache stays
    monkeypatch.setattr(compiled, "_failures", [])
    versions = tables.provenance()
    with pytest.warns(RuntimeWarning, match="numba is installed and cannot be used") as told:
        assert compiled.loaded(lambda: 1 / 0) is None
        assert compiled.loaded(lambda: 1 / 0) is None
    assert len(told) == 1 and tables.provenance() == versions | {"numba": "unused"}
    assert compiled.loaded(lambda: 5) == 5
    monkeypatch.setattr(compiled, "available", lambda: False)
    assert compiled.loaded(lambda: 5) is None


BITS = """
import hashlib
import lct_lab
from lct_lab import compiled
compiled.PATIENCE = 0.2
table = lct_lab.probe(60, 50, inits=3)
print(hashlib.sha256(table.to_csv(index=False).encode()).hexdigest())
"""


def test_code_just_compiled_gives_the_bits_of_the_cached_and_is_announced(tmp_path, monkeypatch):
    printed = []
    for _ in range(2):
        monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
        command = [sys.executable, "-c", BITS]
        printed.append(subprocess.run(command, capture_output=True, text=True, check=True))
    fresh, cached = printed
    assert fresh.stdout == cached.stdout
    assert "lct_lab compiles its inner loops" in fresh.stderr


CACHED = """
import resource, sys
from pathlib import Path
from lct_lab import compiled

def add(a, b):
    return a + b

resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
add = compiled.compiled(add)
print(compiled.loaded(lambda: add(1, 2)), compiled.failed())
"""


def test_a_cache_that_is_damaged_or_cannot_be_written_costs_no_engine(tmp_path, monkeypatch):
    script = tmp_path / "script.py"
    script.write_text(CACHED)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))

    def printed(room):
        command = [sys.executable, str(script), str(room)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def kept():
        return {path: path.stat().st_size for path in (tmp_path / "cache").rglob("*.nbc")}

    assert printed(100) == "3 False\n" and not any(kept().values())
    assert printed(1 << 20) == "3 False\n" and all(kept().values())
    whole = kept()
    assert whole
    for path in whole:
        path.write_bytes(path.read_bytes()[:100])
    assert printed(1 << 20) == "3 False\n"
    assert kept() and min(kept().values()) > 0.9 * min(whole.values())  # mended on disk
