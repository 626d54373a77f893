"""Sizes that are numpy's integers, of few bits, give what Python's give, without a warning."""

import numpy as np
import pandas as pd
import pytest
import torch

import lct_lab
from lct_lab import comparison, explore, init, plots, probes, signals, tables, training, transform
from lct_lab.training import curvature

TABLE = np.random.default_rng(0).standard_normal((500, 200))
ONES = torch.ones(200, dtype=torch.float64)
SLOPES = np.linspace(-1, 1, 200)
W = np.linspace(0, 3, 200)


def rng():
    return np.random.default_rng(0)


def model():
    return lct_lab.LCT(16, 16, tied=True, seed=0, dtype=torch.float64)


def rates(size):
    groups = lct_lab.param_groups(model(), "curvature", 1.0, n=size(8))
    return [group["lr"] for group in groups]


def fitted(size):
    options = {"steps": size(5), "lr": 0.1, "objective": "normal", "every": size(2)}
    return training.fit(model(), **options, batch=size(200), seed=size(3)).history


def followed(schedule):
    return [(schedule.size(i), schedule.rate(i), schedule.spread(i)) for i in range(200)]


def of_modules(size):
    return lct_lab.probe_module(
        lambda n: torch.nn.Linear(n, 1),
        [size(200)],
        batch=lambda n, generator: torch.ones(n),
        loss=lambda module, x: module(x).square().sum(),
        inits=size(2),
        seed=size(3),
        curvature=size(1),
    )


def explored(size):
    found = explore.measure(
        explore.Settings(size(200), size(200), signal="eeg", batch=size(3), inits=size(5))
    )
    return {name: value for name, value in found.items() if name != "medians"}


CALLS = {
    "probe": lambda size: lct_lab.probe(
        size(200), size(200), inits=size(3), batch=size(3), seed=size(5)
    ),
    "probe_rows": lambda size: probes.probe_rows(
        *(size(200), size(200), size(200), size(100)),
        **dict(init="random", tied=False, amplitudes=None, signal="uniform"),
        **dict(batch=size(3), seed=size(5), engine="auto"),
    ),
    "compare a table": lambda size: (
        lct_lab.compare(size(200), size(200), signal=TABLE, inits=size(100), batch=size(3)).table
    ),
    "compare a recording": lambda size: (
        lct_lab.compare(size(200), size(200), signal="eeg", inits=size(100), batch=size(3)).table
    ),
    "comparison.windows": lambda size: comparison.windows(
        *("eeg", size(200), size(200)), init="random", inits=size(100), batch=size(3), seed=size(5)
    ),
    "predict": lambda size: lct_lab.predict(size(200), size(200), batch=size(3)),
    "draw": lambda size: signals.draw("uniform", size(200), rng(), batch=size(3)),
    "draw from a recording": lambda size: signals.draw("eeg", size(200), rng(), batch=size(3)),
    "draw from a table": lambda size: signals.draw(
        TABLE, size(200), rng(), index=size(120), batch=size(3)
    ),
    "windows": lambda size: signals.windows(TABLE.ravel(), size(200), [size(9), size(120)]),
    "seen": lambda size: signals.seen(TABLE, size(120), size(3)),
    "init.draw": lambda size: init.draw(
        size(200), size(200), init="jittered", seed=size(5), index=size(120)
    ),
    "orthogonal": lambda size: init.orthogonal(size(200)),
    "LCT": lambda size: (
        lct_lab.LCT(size(200), size(200), seed=size(5)).loss(torch.ones(200)).item()
    ),
    "synthesize": lambda size: lct_lab.synthesize(ONES, size(200), 1.0, 1.0, ONES).numpy(),
    "costs": lambda size: transform.costs(size(200), size(200), size(3), torch.float64),
    "expected_loss": lambda size: training.expected_loss(size(200), 1, 1, 1, 1, ONES).item(),
    "filled_bins": lambda size: training.filled_bins(W, size(200)),
    "tied_curvature": lambda size: curvature.tied_curvature(size(100), size(200)),
    "one_sided_curvature": lambda size: curvature.one_sided_curvature(size(100), size(200)),
    "newton_waves": lambda size: curvature.newton_waves(SLOPES, size(200)),
    "valley": lambda size: curvature.valley(SLOPES / 200, size(200)),
    "Constant": lambda size: followed(training.Constant(size(200))),
    "CoarseToFine": lambda size: followed(
        training.CoarseToFine(size(200), size(100), start=size(120))
    ),
    "LookBack": lambda size: followed(
        training.LookBack(size(200), size(4), size(12), size(200), size(100))
    ),
    "fit": fitted,
    "recover": lambda size: lct_lab.recover(size(120), seed=size(5)).history,
    "param_groups": rates,
    "bootstrap": lambda size: tables.bootstrap(SLOPES, draws=size(120), seed=size(5)),
    "figure": lambda size: plots.figure(size(1), size(2))[1].shape,
    "probe_module": of_modules,
    "explore": explored,
}


def plain(value):
    """Tables inside as lists of their columns."""
    if isinstance(value, pd.DataFrame):
        return value.to_dict("list")
    if isinstance(value, dict):
        return {name: plain(entry) for name, entry in value.items()}
    return value


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", CALLS)
def test_integers_of_few_bits_are_like_all_others(name):
    expected = plain(CALLS[name](int))
    for kind in (np.uint8, np.int16):
        np.testing.assert_equal(plain(CALLS[name](kind)), expected)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", (np.uint8, np.int16))
def test_a_sweep_over_integers_of_few_bits_is_like_all_others(tmp_path, kind):
    def swept(size):
        sizes = {"n": [size(200)], "m": size(100), "seed": size(5), "batch": size(3)}
        blocks = {"inits": size(250), "block": size(100)}
        folder = tmp_path / size.__name__
        found = lct_lab.sweep(**sizes, **blocks, directory=folder, progress=False)
        return plain(found), sorted(path.name for path in folder.glob("*.parquet"))

    assert swept(kind) == swept(int)
