"""Measured rows are functions of seed and index alone, whatever the engine, order and chunking."""

import numpy as np
import pandas as pd
import pytest
import torch

import lct_lab
from lct_lab import init, probes, signals

COLUMNS = ["init", "group", "mean", "rms", "mean_abs", "median_abs", "max_abs", "loss"]


@pytest.mark.parametrize("engine", ["dense", "nufft"])
def test_a_row_is_what_it_says(engine):
    table = lct_lab.probe(30, 20, inits=3, batch=2, seed=5, engine=engine)
    assert list(table) == COLUMNS and len(table) == 18
    a, w1, w2 = init.draw(30, 20, seed=5, index=2)
    x = signals.draw("uniform", 30, init.generator(5, 30, 20, "random", 2, "signal"), batch=2)
    leaves = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (*a, w1, w2)]
    y = lct_lab.synthesize(
        lct_lab.analyze(torch.tensor(x), *leaves[:2], leaves[4]), 30, *leaves[2:4], leaves[5]
    )
    loss = (y - torch.tensor(x)).square().sum(1).mean()
    for leaf, gradient in zip(init.GROUPS, torch.autograd.grad(loss, leaves), strict=True):
        row = table[(table["init"] == 2) & (table["group"] == leaf)].iloc[0]
        g = gradient.reshape(-1).numpy()
        expected = [
            g.mean(),
            np.sqrt(np.mean(g**2)),
            np.abs(g).mean(),
            np.median(np.abs(g)),
            np.abs(g).max(),
            loss.item(),
        ]
        assert row[COLUMNS[2:]].to_numpy(float) == pytest.approx(expected, rel=1e-8)
    assert (
        table.attrs["n"] == 30 and table.attrs["seed"] == 5 and table.attrs["signal"] == "uniform"
    )


@pytest.mark.parametrize("engine", ["dense", "nufft"])
def test_any_chunking_gives_the_same_bits(engine):
    settings = dict(
        init="shuffled",
        tied=False,
        amplitudes=None,
        signal=np.linspace(-1, 1, 50),
        batch=1,
        seed=0,
        engine=engine,
        dtype=torch.float64,
        device="cpu",
    )
    whole = pd.DataFrame(probes.probe_rows(50, 40, 0, 7, **settings))
    parts = [
        pd.DataFrame(probes.probe_rows(50, 40, first, count, **settings))
        for first, count in ((5, 2), (0, 2), (2, 3))
    ]
    joined = pd.concat(parts).sort_values("init", kind="stable", ignore_index=True)
    assert joined.equals(whole)


def test_signals_of_every_kind():
    tied = lct_lab.probe(64, 32, tied=True, inits=2, signal="ecg", init="jittered")
    assert set(tied["group"]) == {"a1", "a2", "a3", "a4", "w1"}
    table = np.random.default_rng(0).standard_normal((5, 64))
    first = lct_lab.probe(64, 32, inits=6, signal=table)
    assert not first.equals(lct_lab.probe(64, 32, inits=6, signal=table[0]))
    same = lct_lab.probe(64, 32, inits=1, signal=table[0])
    assert np.allclose(first.iloc[:6][COLUMNS[2:]], same[COLUMNS[2:]])
    assert lct_lab.probe(64, 32, inits=2, amplitudes=(1, 1, 1, 1)).equals(
        lct_lab.probe(64, 32, inits=2, amplitudes=[1] * 4)
    )
    single = lct_lab.probe(64, 32, inits=2, dtype=torch.float32)
    assert np.allclose(single["rms"], lct_lab.probe(64, 32, inits=2)["rms"], rtol=1e-2)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("engine", ["dense", "nufft"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_gradients_that_overflow_are_a_sentence(engine, dtype):
    settings = dict(inits=3, engine=engine, dtype=dtype)
    words = "amplitudes and signal must be small enough for finite gradients in torch.float"
    for amplitudes in ((1e200, 1, 1, 1), (1, 1, 1, 1e200), (1e100,) * 4):
        with pytest.raises(ValueError, match=words):
            lct_lab.probe(16, 8, amplitudes=amplitudes, **settings)
    small = lct_lab.probe(16, 8, amplitudes=(1e-200,) * 4, **settings)
    assert np.isfinite(small[COLUMNS[2:]].to_numpy()).all()
    signal = np.full((2, 16), 1e200)
    words = r"got amplitudes \(1, 2, 3, 4\) and samples up to 1e\+200"
    if dtype == torch.float32:
        words = r"signal must be finite in torch.float32, got a sample of 1e\+200"
    with pytest.raises(ValueError, match=words):
        lct_lab.probe(16, 8, amplitudes=(1, 2, 3, 4), signal=signal, **settings)


@pytest.mark.parametrize("engine", ["dense", "nufft"])
def test_one_signal_is_a_table_of_one_window(engine):
    x = np.linspace(-1, 1, 30)
    for given in (x.tolist(), x[None], torch.tensor(x), x.astype(np.float64)[None]):
        found = lct_lab.probe(30, 20, inits=3, signal=given, engine=engine)
        assert found.equals(lct_lab.probe(30, 20, inits=3, signal=x, engine=engine))
    assert lct_lab.probe(30, 20, inits=1, signal=x).attrs["signal"] == "array (30,)"


def test_a_batch_averages_its_signals():
    x = torch.randn(4, 30, dtype=torch.float64)
    w = torch.rand(20, dtype=torch.float64)
    both = lct_lab.gradients(x, 1.0, 1.0, 1.0, 1.0, w)
    singles = [lct_lab.gradients(row, 1.0, 1.0, 1.0, 1.0, w) for row in x]
    assert torch.allclose(both.w1, sum(g.w1 for g in singles) / 4) and torch.allclose(
        both.a1, sum(g.a1 for g in singles) / 4
    )


@pytest.mark.parametrize(
    "change, error, words",
    [
        ({"n": 0}, ValueError, "n must be at least 1"),
        ({"inits": 0}, ValueError, "inits must be at least 1, got 0"),
        ({"batch": 0}, ValueError, "batch must be at least 1, got 0"),
        ({"seed": -1}, ValueError, "seed must be at least 0, got -1"),
        ({"init": "zeros"}, ValueError, "init must be one of"),
        ({"engine": "gpu"}, ValueError, "engine must be one of"),
        (
            {"signal": "noise"},
            ValueError,
            "signal must be an array or one of uniform, normal, eeg, ecg, sunspots",
        ),
        (
            {"signal": "sunspots", "n": 400},
            ValueError,
            "n must be between 2 and 309, the length of the recording",
        ),
        (
            {"signal": [1.0, 2.0]},
            ValueError,
            r"signal must have shape \(16,\) or \(windows, 16\), got \(2,\)",
        ),
        ({"signal": [float("nan")] * 16}, ValueError, "signal must be finite"),
        ({"signal": {}}, TypeError, "signal must be a name or an array of real numbers, got dict"),
        ({"batch": "2"}, TypeError, "batch must be an integer of at least 1, got '2'"),
        ({"batch": None}, TypeError, "batch must be an integer of at least 1, got None"),
        ({"tied": "no"}, TypeError, "tied must be True or False, got 'no'"),
        ({"n": 10**30}, ValueError, "n must be at most 1099511627776"),
        (
            {"device": "meta"},
            ValueError,
            "device must be cpu or one of the . CUDA devices here, got 'meta'",
        ),
        ({"device": "gpu"}, ValueError, "device must be cpu or .* got 'gpu'"),
        ({"device": None}, ValueError, "device must be cpu or .* got None"),
        ({"device": 5}, ValueError, "device must be cpu or .* got 5"),
        (
            {"signal": [1.0] * 16, "batch": 2},
            ValueError,
            "batch must be 1 when one signal is shared",
        ),
        ({"amplitudes": (1, 2)}, ValueError, "amplitudes must be four finite numbers"),
        ({"amplitudes": 3}, TypeError, "amplitudes must be four finite numbers .* got 3"),
        ({"amplitudes": "1234"}, TypeError, "amplitudes must be four finite numbers .* got '1234'"),
        (
            {"amplitudes": {1, 2, 3, 4}},
            TypeError,
            "amplitudes must be four finite numbers .* got {1, 2, 3, 4}",
        ),
        ({"amplitudes": (1, 1, 1, True)}, TypeError, "amplitudes must be four finite numbers"),
        ({"amplitudes": ("a", 1, 1, 1)}, TypeError, "amplitudes must be four finite numbers"),
        ({"amplitudes": (1, 1, 1, 10**400)}, ValueError, "amplitudes must be four finite numbers"),
        ({"dtype": torch.float16}, TypeError, "dtype must be torch.float32 or torch.float64"),
        ({"dtype": np.zeros(2)}, TypeError, "dtype must be torch.float32 or torch.float64"),
        ({"dtype": "float64"}, TypeError, "dtype must be .* got 'float64'"),
        ({"engine": None}, ValueError, "engine must be one of auto, dense, nufft, got None"),
    ],
)
def test_bad_input(change, error, words):
    with pytest.raises(error, match=words):
        lct_lab.probe(**{"n": 16, "m": 8, "inits": 2, **change})


def test_numpy_settings_are_pythons():
    plain = lct_lab.probe(16, 8, inits=2, batch=2, seed=3, amplitudes=(1, 1, 1, 0.5))
    found = lct_lab.probe(
        np.int64(16),
        np.uint8(8),
        inits=np.int64(2),
        batch=np.int8(2),
        seed=np.uint64(3),
        tied=np.bool_(False),
        amplitudes=torch.tensor([1, 1, 1, 0.5]),
        device="cpu:0",
    )
    assert found.equals(plain) and {**found.attrs, "device": "cpu"} == plain.attrs
    assert {type(found.attrs[key]) for key in ("n", "m", "inits", "batch", "seed")} == {int}


def test_bad_gradients_input():
    x, w = torch.ones(4), torch.ones(3)
    for arguments, words in (
        ((torch.ones(2, 2, 4), w, w), "x must have shape"),
        ((torch.ones(0, 4), w, w), "at least 1"),
        ((x, w, torch.ones(2)), "w2 must have as many frequencies as w1, 3, got 2"),
    ):
        with pytest.raises(ValueError, match=words):
            lct_lab.gradients(arguments[0], 1.0, 1.0, 1.0, 1.0, *arguments[1:])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("engine", ["dense", "nufft"])
def test_rows_are_the_same_in_any_unit(engine):
    spike = np.zeros(32)
    spike[5] = 1.0
    settings = dict(inits=3, engine=engine)
    plain = lct_lab.probe(32, 16, signal=spike, **settings)[COLUMNS[2:]]
    for size in (2.0**-400, 2.0**400):
        found = lct_lab.probe(32, 16, signal=spike * size, **settings)[COLUMNS[2:]]
        assert found.equals(plain * size**2)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("engine", ["dense", "nufft"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_signals_whose_squares_are_no_numbers_are_a_sentence(engine, dtype):
    large, small = {torch.float64: (1e160, 1e-160), torch.float32: (1e25, 1e-25)}[dtype]
    one, w = torch.ones(32, dtype=dtype), torch.rand(16, dtype=dtype)
    with pytest.raises(ValueError, match="amplitudes and x must be small enough for finite"):
        lct_lab.gradients(large * one, 1, 1, 1, 1, w, engine=engine)
    signals = torch.stack([one, small * one])
    with pytest.raises(ValueError, match="x must be zero or reach .* whose square is a number"):
        lct_lab.gradients(small * one, 1, 1, 1, 1, w, engine=engine)
    with pytest.raises(ValueError, match="signal must be zero or reach .* ends at 1e-"):
        lct_lab.probe(32, 16, inits=2, signal=signals, engine=engine, dtype=dtype)
    assert not lct_lab.gradients(0 * one, 1, 1, 1, 1, w, engine=engine).w1.any()
