"""The dense definition against loops, scipy and finite differences; bad input for both engines."""

import math
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
import scipy.fft
import torch
from hypothesis import given
from hypothesis import strategies as st

import lct_lab
from lct_lab import init, transform


def by_loops(x, a1, a2, w):
    """The definition, a sample and a frequency at a time."""
    n = len(x)
    return [
        (a1 * x[0] + a2 * sum(math.cos(wk * j) * x[j] for j in range(1, n))) / math.sqrt(n)
        for wk in w
    ]


def back_by_loops(X, n, a3, a4, w):
    m = len(w)
    return [a3 * sum(X) / math.sqrt(m)] + [
        a4 * sum(math.cos(w[k] * j) * X[k] for k in range(m)) / math.sqrt(m) for j in range(1, n)
    ]


def doubles(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


sizes = {"n": st.integers(1, 12), "m": st.integers(1, 12), "seed": st.integers(0, 2**32)}


@pytest.mark.parametrize("engine", ["dense", "nufft"])
@given(**sizes)
def test_both_directions_are_the_definition(engine, n, m, seed):
    x, X, w = doubles(seed, n), doubles(seed + 1, m), 20 * doubles(seed + 2, m)
    w[-1] = w[0]
    assert lct_lab.analyze(x, 1.1, 0.7, w, engine=engine).tolist() == pytest.approx(
        by_loops(x.tolist(), 1.1, 0.7, w.tolist()), abs=1e-9
    )
    assert lct_lab.synthesize(X, n, 0.9, -1.3, w, engine=engine).tolist() == pytest.approx(
        back_by_loops(X.tolist(), n, 0.9, -1.3, w.tolist()), abs=1e-9
    )


@given(**sizes)
def test_synthesis_is_the_transpose_of_analysis(n, m, seed):
    x, X, w = doubles(seed, n), doubles(seed + 1, m), 20 * doubles(seed + 2, m)
    forward = lct_lab.analyze(x, 1.1, 0.7, w) @ X * n**0.5
    assert forward.item() == pytest.approx(
        (x @ lct_lab.synthesize(X, n, 1.1, 0.7, w)).item() * m**0.5, abs=1e-9
    )


@pytest.mark.parametrize("n", [1, 2, 17, 256])
def test_the_orthogonal_start_is_the_orthonormal_dct(n):
    x, w = doubles(n, n), torch.as_tensor(init.orthogonal(n))
    X = lct_lab.analyze(x, 1.0, 2**0.5, w)
    assert np.allclose(X, scipy.fft.dct(x.numpy(), type=3, norm="ortho"), atol=1e-9)
    assert np.allclose(lct_lab.synthesize(X, n, 1.0, 2**0.5, w), x, atol=1e-9)


@pytest.mark.parametrize("shape", [(0, 5), (2, 3, 5), (5,), (1, 0, 5)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("engine", ["dense", "nufft"])
def test_any_leading_shape(shape, dtype, engine):
    x, w = torch.ones(shape, dtype=dtype), torch.linspace(0, 3, 4, dtype=dtype)
    X = lct_lab.analyze(x, 1.0, 1.0, w, engine=engine)
    y = lct_lab.synthesize(X, 5, 1.0, 1.0, w, engine=engine)
    assert X.shape == (*shape[:-1], 4) and y.shape == shape and X.dtype == y.dtype == dtype


@pytest.mark.parametrize("n, m", [(1, 1), (1, 3), (4, 1), (5, 4)])
def test_derivatives_by_finite_differences(n, m):
    leaves = [
        v.requires_grad_() for v in (doubles(0, 2, n), doubles(1, 4), doubles(2, m), doubles(3, m))
    ]

    def model(x, a, w1, w2):
        return lct_lab.synthesize(
            lct_lab.analyze(x, a[0], a[1], w1, engine="dense"), n, a[2], a[3], w2, engine="dense"
        )

    assert torch.autograd.gradcheck(model, leaves)
    assert torch.autograd.gradgradcheck(model, leaves)


def test_blocks_change_nothing_and_bound_the_memory(monkeypatch):
    x, w = doubles(0, 3, 200), doubles(1, 150).requires_grad_()
    whole = lct_lab.analyze(x, 1.0, 1.0, w, engine="dense")
    (slope,) = torch.autograd.grad(whole.square().sum(), w)
    monkeypatch.setattr(transform, "BLOCK", 1000)
    held, outer = [], torch.outer
    monkeypatch.setattr(
        torch, "outer", lambda a, b, out: held.append(out.numel()) or outer(a, b, out=out)
    )
    parts = lct_lab.analyze(x, 1.0, 1.0, w, engine="dense")
    assert torch.allclose(parts, whole, atol=1e-12)
    assert torch.allclose(torch.autograd.grad(parts.square().sum(), w)[0], slope, atol=1e-9)
    assert max(held) <= 1000


def analysis(**change):
    given = {
        "x": torch.ones(4),
        "a1": 1.0,
        "a2": 1.0,
        "w": torch.ones(3),
        "engine": "auto",
        **change,
    }
    return lct_lab.analyze(
        given.pop("x"), given.pop("a1"), given.pop("a2"), given.pop("w"), **given
    )


def synthesis(**change):
    given = {"X": torch.ones(3), "n": 4, "a3": 1.0, "a4": 1.0, "w": torch.ones(3), **change}
    engine = given.pop("engine", "auto")
    return lct_lab.synthesize(*given.values(), engine=engine)


def by_hand(engine, **change):
    given = {
        "x": torch.ones(4),
        "a1": 1.0,
        "a2": 1.0,
        "a3": 1.0,
        "a4": 1.0,
        "w": torch.ones(3),
        **change,
    }
    return lct_lab.gradients(*given.values(), engine=engine)


nan, meta = float("nan"), torch.ones(3, device="meta")


@pytest.mark.parametrize("engine", ["dense", "nufft"])
@pytest.mark.parametrize(
    "change, error, words",
    [
        ({"x": [1.0, 2.0]}, TypeError, "x must be a torch tensor, got list"),
        (
            {"x": torch.ones(4, dtype=torch.int64)},
            TypeError,
            "x must be float32 or float64, got torch.int64",
        ),
        (
            {"x": torch.ones(4, dtype=torch.complex64)},
            TypeError,
            "x must be float32 or float64, got torch.complex64",
        ),
        (
            {"x": torch.tensor(1.0)},
            ValueError,
            "x must have at least one entry along its last axis",
        ),
        ({"x": torch.ones(2, 0)}, ValueError, "x must have at least one entry along its last axis"),
        ({"x": torch.tensor([1.0, nan])}, ValueError, "x must be finite"),
        ({"w": torch.tensor([1.0, float("inf")])}, ValueError, "w must be finite"),
        ({"w": torch.ones(3, dtype=torch.float64)}, TypeError, "w must have the dtype of x"),
        ({"w": meta}, TypeError, "w must have the device of x"),
        ({"w": torch.ones(2, 2)}, ValueError, "w must have 1 dimension"),
        ({"a1": torch.ones(2)}, ValueError, "a1 must be a number or a one-element tensor"),
        ({"a2": nan}, ValueError, "a2 must be finite"),
        ({"a2": torch.tensor(nan)}, ValueError, "a2 must be finite"),
        ({"a1": "1"}, TypeError, "a1 must be a real number"),
        ({"a1": torch.ones(1, dtype=torch.float64)}, TypeError, "a1 must have the dtype of x"),
        ({"x": meta}, TypeError, "x must be on cpu or cuda, got meta"),
        (
            {"x": torch.ones(3).to_sparse()},
            TypeError,
            "x must be a dense tensor, got torch.sparse_coo",
        ),
        (
            {"w": torch.ones(3).to_sparse()},
            TypeError,
            "w must be a dense tensor, got torch.sparse_coo",
        ),
        (
            {"a1": torch.ones(1).to_sparse()},
            TypeError,
            "a1 must be a dense tensor, got torch.sparse_coo",
        ),
        ({"a1": meta[:1]}, TypeError, "a1 must have the device of x, cpu, got meta"),
        ({"a1": 10**400}, ValueError, "a1 must be finite in double precision, got 1000"),
        ({"a1": True}, TypeError, "a1 must be a real number or a one-element tensor, got True"),
        ({"a1": 1j}, TypeError, "a1 must be a real number or a one-element tensor, got 1j"),
    ],
)
def test_bad_input_is_named_whichever_engine(engine, change, error, words):
    with pytest.raises(error, match=words):
        analysis(engine=engine, **change)
    with pytest.raises(error, match=words.replace("w must", "w1 must")):
        by_hand(engine=engine, **change)


@pytest.mark.parametrize("engine", ["dense", "nufft"])
@pytest.mark.parametrize(
    "one", [Fraction(1, 2), np.float32(0.5), torch.tensor(0.5), torch.tensor([[0.5]])], ids=repr
)
def test_any_real_number_and_one_element_tensor_is_an_amplitude(engine, one):
    for found, plain in (
        (analysis(engine=engine, a1=one), analysis(engine=engine, a1=0.5)),
        (synthesis(engine=engine, a3=one, n=np.int64(4)), synthesis(engine=engine, a3=0.5)),
        (by_hand(engine, a4=one)[1], by_hand(engine, a4=0.5)[1]),
    ):
        assert found.shape == plain.shape and torch.equal(found, plain)
    leaf = torch.full((1, 1), 0.5, requires_grad=True)
    analysis(engine=engine, a1=leaf).sum().backward()
    assert leaf.grad.shape == (1, 1)


def test_large_frequencies_lose_digits_as_their_size_in_both_engines():
    x, w = doubles(0, 100), doubles(1, 50)
    exact = analysis(x=x, w=w, engine="dense")
    for engine in ("dense", "nufft"):
        off = (analysis(x=x, w=w + 2e6 * math.pi, engine=engine) - exact).abs().max().item()
        assert 1e-10 < off < 6e6 * 100 * 2.3e-16 * 10, engine


@pytest.mark.parametrize(
    "change, error, words",
    [
        ({"n": 0}, ValueError, "n must be at least 1, got 0"),
        ({"n": 2.0}, TypeError, "n must be an integer"),
        ({"n": True}, TypeError, "n must be an integer"),
        ({"n": 10**30}, ValueError, "n must be at most 1099511627776, got 10000"),
        ({"X": meta, "w": meta}, TypeError, "X must be on cpu or cuda, got meta"),
        ({"X": torch.ones(4)}, ValueError, "X must have one coefficient per frequency, 3"),
    ],
)
def test_bad_input_to_synthesis(change, error, words):
    with pytest.raises(error, match=words):
        synthesis(**change)


def test_an_unknown_engine():
    with pytest.raises(ValueError, match="engine must be one of auto, dense, nufft, got 'fast'"):
        analysis(engine="fast")


def test_importing_sets_nothing_and_loads_nothing_heavy():
    code = """if True:
        import sys, random, numpy, torch
        def state():
            threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
            return threads, dtype, torch.get_rng_state().sum(), numpy.random.get_state()[1].sum()
        before, loaded = state(), set(sys.modules)
        import lct_lab
        lct_lab.analyze, lct_lab.LCT, lct_lab.probe, lct_lab.predict
        assert before == state()
        heavy = {"pandas", "matplotlib", "finufft", "statsmodels", "pywt", "scipy.stats"}
        heavy |= {"papermill", "dask", "loky"}
        print(sorted(heavy & (set(sys.modules) - loaded)))
    """
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stdout + result.stderr


@pytest.mark.parametrize("engine", ["dense", "nufft"])
def test_tensors_of_other_kinds_and_amplitudes_beyond_the_dtype_are_a_sentence(engine):
    x, w = torch.ones(8), torch.rand(5)
    with pytest.warns(UserWarning):
        kinds = {
            "nested": torch.nested.nested_tensor([x, x]),
            "masked": torch.masked.masked_tensor(x, x > 0),
        }
    for kind, strange in kinds.items():
        with pytest.raises(TypeError, match=f"x must be a dense tensor, got a {kind} one"):
            lct_lab.analyze(strange, 1, 1, w, engine=engine)
    with pytest.raises(ValueError, match=r"a2 must be finite in torch.float32, got 1e\+300"):
        lct_lab.analyze(x, 1, 1e300, w, engine=engine)


@pytest.mark.parametrize("engine", ["dense", "nufft"])
@pytest.mark.parametrize("tied", [True, False])
def test_autocast_takes_no_digit_from_any_derivative(engine, tied):
    def measured(half):
        model = lct_lab.LCT(20, 12, tied=tied, seed=1, dtype=torch.float32, engine=engine)
        x = doubles(0, 3, 20).float().requires_grad_()
        leaves = [x, *model.parameters()]
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            loss = model.loss(x)
            slopes = torch.autograd.grad(loss, leaves, create_graph=True)
            second = torch.autograd.grad(sum(g.square().sum() for g in slopes), leaves)
            by_hand = lct_lab.gradients(x.detach(), *model.parameters(), engine=engine)
        return [loss, *slopes, *second, *(v for v in by_hand if v is not None)]

    assert all(map(torch.equal, measured(True), measured(False)))
