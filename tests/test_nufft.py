"""The fast engine is the dense one, to a stated tolerance, in every derivative."""

import subprocess
import sys
import types

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import lct_lab
from lct_lab import nufft, probes, transform

TOLERANCE = {torch.float64: 1e-10, torch.float32: 2e-3}  # of the largest entry, sizes to 4000


def problem(n, m, batch=2, seed=0, dtype=torch.float64):
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, n, generator=draw, dtype=torch.float64)
    w1, w2 = (torch.rand(m, generator=draw, dtype=torch.float64) * 40 - 20 for _ in range(2))
    w1[: m // 3] = w1[0]  # repeated frequencies
    w2[-1] = 0.0
    return [v.to(dtype).requires_grad_() for v in (x, torch.tensor([1.1, -0.7, 0.9, 1.3]), w1, w2)]


def forward(x, a, w1, w2, engine):
    X = lct_lab.analyze(x, a[0], a[1], w1, engine=engine)
    return lct_lab.synthesize(X, x.shape[-1], a[2], a[3], w2, engine=engine)


def assert_close(fast, dense, tolerance):
    largest = max([1.0, *(abs(v) for d in dense for v in d.reshape(-1).tolist())])
    for f, d in zip(fast, dense, strict=True):
        assert f.dtype == d.dtype and f.shape == d.shape
        assert ((f - d).abs() <= tolerance * largest).all()


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 40), m=st.integers(1, 40), batch=st.integers(0, 3), seed=st.integers(0, 2**32)
)
def test_forward_first_and_second_derivatives_are_the_dense_ones(n, m, batch, seed):
    results = {}
    for engine in ("dense", "nufft"):
        leaves = problem(n, m, batch, seed)
        y = forward(*leaves, engine)
        first = torch.autograd.grad(y.square().sum(), leaves, create_graph=True)
        plain = torch.autograd.grad(forward(*leaves, engine).square().sum(), leaves)
        second = torch.autograd.grad(
            sum((g * torch.arange(g.numel()).reshape(g.shape)).sum() for g in first), leaves
        )
        results[engine] = [y, *first, *plain, *second]
    assert_close(results["nufft"], results["dense"], 1e-9)


@pytest.mark.parametrize("n, m", [(1, 1), (1, 4), (5, 1), (6, 5)])
def test_both_derivatives_by_finite_differences(n, m):
    leaves = problem(n, m, batch=1)
    with torch.no_grad():
        leaves[2] /= 10  # finite differences in w need N w within a few turns
        leaves[3] /= 10
    assert torch.autograd.gradcheck(lambda *v: forward(*v, "nufft"), leaves)
    assert torch.autograd.gradgradcheck(lambda *v: forward(*v, "nufft"), leaves)


def test_differentiating_in_one_argument_alone():
    x, a, w1, w2 = problem(30, 20)
    for wanted in (x, w1, w2):
        fast, dense = (
            torch.autograd.grad(forward(x, a, w1, w2, e).sum(), wanted) for e in ("nufft", "dense")
        )
        assert_close(fast, dense, 1e-10)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("n, m", [(4000, 3000), (3000, 4000)])
def test_error_against_dense_double(n, m, dtype):
    draw = torch.Generator().manual_seed(1)
    x = torch.rand(1, n, generator=draw, dtype=dtype) * 2 - 1
    w1, w2 = (torch.rand(m, generator=draw, dtype=dtype) * torch.pi for _ in range(2))
    exact = lct_lab.gradients(
        x.double(), 1.0, 0.8, 1.2, 0.9, w1.double(), w2.double(), engine="dense"
    )
    fast = lct_lab.gradients(x, 1.0, 0.8, 1.2, 0.9, w1, w2, engine="nufft")
    errors = [
        ((f - e).abs().max() / e.abs().max()).item() for f, e in zip(fast, exact, strict=True)
    ]
    if dtype == torch.float64:
        assert max(errors) <= TOLERANCE[dtype]
    else:
        own = lct_lab.gradients(x, 1.0, 0.8, 1.2, 0.9, w1, w2, engine="dense")
        dense = [
            ((f - e).abs().max() / e.abs().max()).item() for f, e in zip(own, exact, strict=True)
        ]
        assert all(
            error <= 3 * max(theirs, 1e-7) for error, theirs in zip(errors, dense, strict=True)
        )


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("n, m", [(1, 1), (1, 3), (2, 1), (50, 70)])
def test_three_transforms_give_autograds_gradients(n, m, batch, tied):
    x, a, w1, w2 = (v.detach() for v in problem(n, m, batch))
    w2 = None if tied else w2
    fast = lct_lab.gradients(x, *a, w1, w2, engine="nufft")
    oracle = probes._by_autograd(
        x, a, w1, w2, types.SimpleNamespace(analyze=lct_lab.analyze, synthesize=lct_lab.synthesize)
    )
    for name, f, o in zip(fast._fields, fast, oracle, strict=True):
        assert (f is None and o is None) or torch.allclose(f, o, rtol=1e-9, atol=1e-9), name


def test_a_large_batch_goes_in_parts(monkeypatch):
    x, a, w1, w2 = (v.detach() for v in problem(30, 20, batch=7))
    whole = lct_lab.gradients(x, *a, w1, w2, engine="nufft")
    X = lct_lab.analyze(x, 1.0, 1.0, w1, engine="nufft")
    monkeypatch.setattr(nufft, "TOGETHER", 130)
    assert_close(lct_lab.gradients(x, *a, w1, w2, engine="nufft"), whole, 1e-12)
    assert_close([lct_lab.analyze(x, 1.0, 1.0, w1, engine="nufft")], [X], 1e-12)


def test_large_sizes_against_exact_sums():
    n = nufft.LARGE // 2 + 1  # on the coarser grid of large plans
    rng = np.random.default_rng(0)
    x, w, j = rng.standard_normal((1, n)), rng.random(1000) * np.pi, np.arange(1, n)
    sums = nufft.pair_sums(x, w)
    C, T = sums.real, sums.imag
    for k in range(20):
        assert abs(C[0, k] - np.cos(w[k] * j) @ x[0, 1:]) <= 1e-8 * C.std()
        assert abs(T[0, k] - (j / n * np.sin(w[k] * j)) @ x[0, 1:]) <= 1e-8 * T.std()


def on_arrays(w, **change):
    """`nufft.gradients` of ones at the frequencies w, where `change` has no others."""
    given = {"w1": w.numpy(), "w2": None, **change}
    return nufft.gradients(np.ones((1, 8)), 1.0, 1.0, 1.0, 1.0, given["w1"], given["w2"])


def backward_after(side, w):
    """The backward pass of a transform whose frequencies became w since the forward pass."""
    here = torch.ones_like(w).requires_grad_()
    values = torch.ones(8 if side == "analyze" else len(w), dtype=w.dtype)
    between = () if side == "analyze" else (8,)
    result = getattr(nufft, side)(values.requires_grad_(), *between, 1.0, 1.0, here)
    here.data.copy_(w)
    result.sum().backward()


ones, four = torch.ones(8, dtype=torch.float64), (1.0, 1.0, 1.0, 1.0)
AT_FREQUENCIES = {
    "analyze": lambda w: lct_lab.analyze(ones, 1.0, 1.0, w, engine="nufft"),
    "analyze, dense": lambda w: lct_lab.analyze(ones, 1.0, 1.0, w, engine="dense"),
    "synthesize": lambda w: lct_lab.synthesize(w.clone().fill_(1), 8, 1.0, 1.0, w, engine="nufft"),
    "synthesize, unchecked": lambda w: nufft.synthesize(w.clone().fill_(1), 8, 1.0, 1.0, w),
    "analyze, unchecked": lambda w: nufft.analyze(ones, 1.0, 1.0, w),
    "analyze, backward": lambda w: backward_after("analyze", w),
    "synthesize, backward": lambda w: backward_after("synthesize", w),
    "gradients": lambda w: lct_lab.gradients(ones, *four, w, engine="nufft"),
    "gradients, w2": lambda w: lct_lab.gradients(ones, *four, w.clone().fill_(1), w),
    "gradients of arrays": on_arrays,
    "gradients of arrays, w2": lambda w: on_arrays(w, w1=np.ones(9), w2=w.numpy()),
    "pair_sums": lambda w: nufft.pair_sums(np.ones((2, 8)), w.numpy()),
    "lag_sums": lambda w: nufft.lag_sums(w.numpy(), 15),
}


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("call", AT_FREQUENCIES)
@pytest.mark.filterwarnings("ignore:overflow")
def test_frequencies_that_are_not_finite_are_a_sentence_and_no_crash(call, bad):
    w = torch.linspace(0, 3, 9, dtype=torch.float64)
    AT_FREQUENCIES[call](w)
    spoilt = w.clone()
    spoilt[4] = bad
    with pytest.raises(ValueError, match="w2? must be finite, got|w1 must be finite, got"):
        AT_FREQUENCIES[call](spoilt)
    AT_FREQUENCIES[call](w * 1e200)  # finite, though their squares are not
    found = lct_lab.analyze(ones, 1.0, 1.0, w, engine="nufft")  # on the plan of the failed call
    assert_close([found], [lct_lab.analyze(ones, 1.0, 1.0, w, engine="dense")], 1e-10)


@pytest.mark.filterwarnings("error")
def test_views_of_any_kind_are_their_copies():
    w, x = torch.linspace(0, 3, 24, dtype=torch.float64), torch.arange(8.0, dtype=torch.float64)
    negated = torch.complex(x, x).conj().imag
    for view in (w[::2], w.flip(0), w[:1].expand(12), torch.complex(w, w).conj().imag):
        for name in ("analyze", "gradients"):
            amplitudes = four[: 2 if name == "analyze" else 4]
            function = getattr(lct_lab, name)
            seen = function(negated, *amplitudes, view, engine="nufft")
            copied = function(negated.clone(), *amplitudes, view.clone(), engine="nufft")
            assert torch.equal(seen[0], copied[0])


def test_a_shared_input_changes_no_bit():
    x = np.random.default_rng(0).random(300)
    shared = lct_lab.probe(300, 200, inits=5, signal=x, engine="nufft")
    alone = lct_lab.probe(
        300, 200, inits=5, signal=np.tile(x, (2, 1)), engine="nufft"
    )  # a table: nothing shared
    assert shared.equals(alone)


WITHOUT = {
    "analyze": lambda: lct_lab.analyze(torch.ones(8), 1.0, 1.0, torch.ones(3), engine="nufft"),
    "analyze, auto": lambda: lct_lab.analyze(torch.ones(900), 1.0, 1.0, torch.ones(900)),
    "gradients": lambda: lct_lab.gradients(torch.ones(900), 1.0, 1.0, 1.0, 1.0, torch.ones(900)),
    "probe": lambda: lct_lab.probe(900, 900, inits=1),
    "LCT": lambda: lct_lab.LCT(900, 900).loss(torch.ones(900)).backward(),
    "recover": lambda: lct_lab.recover(8, steps=2),
}


@pytest.mark.parametrize("broken", [False, True])
@pytest.mark.parametrize("call", WITHOUT)
def test_a_missing_package_is_one_sentence_at_the_call(monkeypatch, tmp_path, call, broken):
    nufft._plans.cache_clear()
    nufft._workspaces.cache_clear()
    monkeypatch.setattr(nufft, "SMALL", 0)  # the compiled kernels would do without it
    monkeypatch.setitem(sys.modules, "finufft", None)
    if broken:
        monkeypatch.delitem(sys.modules, "finufft")
        (tmp_path / "finufft.py").write_text("raise RuntimeError('no such instruction')")
        monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RuntimeError, match="needs finufft .* cannot be loaded"):
        WITHOUT[call]()


def test_without_the_fast_engine_the_dense_one_works(monkeypatch):
    monkeypatch.setitem(sys.modules, "finufft", None)
    assert lct_lab.analyze(torch.ones(8), 1.0, 1.0, torch.ones(3), engine="dense").shape == (3,)
    monkeypatch.setitem(sys.modules, "cufinufft", None)
    assert "cufinufft" in nufft.missing("cuda")
    assert transform.choose_engine(10**5, 10**5, 1, torch.float64, "cuda") == "dense"


def test_the_cuda_calls_are_the_processors_sums(monkeypatch):
    """No GPU here: finufft stands in for cufinufft, whose functions have the same arguments."""
    import finufft

    def on_arrays(function):
        return lambda *v, **options: torch.from_numpy(
            function(*(a.numpy() if torch.is_tensor(a) else a for a in v), **options)
        )

    stand_in = types.SimpleNamespace(
        nufft1d1=on_arrays(finufft.nufft1d1), nufft1d2=on_arrays(finufft.nufft1d2)
    )
    monkeypatch.setitem(sys.modules, "cufinufft", stand_in)
    v = torch.randn(3, 50, dtype=torch.complex128)
    c = torch.randn(3, 40, dtype=torch.complex128)
    w = torch.rand(40, dtype=torch.float64) * 20 - 10
    for values, modes, result in ((v, None, torch.empty_like(c)), (c, 50, torch.empty_like(v))):
        nufft._on_gpu(values, w, torch.float64, modes, out=result)
        assert torch.allclose(result, nufft._transform(values, w, torch.float64, modes))


LAST_OF_ALL = """
import atexit, sys

def gone():  # as at the end of some sessions, where modules go in any order
    sys.modules["finufft._interfaces"].destroy = None

atexit.register(gone)
import torch, lct_lab
lct_lab.analyze(torch.ones(50), 1.0, 1.0, torch.ones(3), engine="nufft")
"""


def test_a_session_ends_in_silence():
    result = subprocess.run([sys.executable, "-c", LAST_OF_ALL], capture_output=True, text=True)
    assert result.returncode == 0 and result.stdout + result.stderr == ""
