"""Summaries against loops, intervals against scipy, files whole or not at all, and the verdicts on laws."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats

import lct_lab
from lct_lab import tables
from lct_lab.tables import compare, fit_exponents


@pytest.fixture
def out(tmp_path, monkeypatch):
    monkeypatch.setenv("LCT_LAB_OUT", str(tmp_path))
    return tmp_path


def test_summaries_and_ratios_against_loops():
    measured = lct_lab.probe(20, 15, inits=7)
    summary = tables.summarise(measured).set_index("group")
    for group in summary.index:
        rows = measured[measured["group"] == group]
        assert summary.loc[group, "rms_median"] == np.median(rows["rms"])
        assert summary.loc[group, "scale"] == pytest.approx(np.sqrt(np.mean(rows["rms"] ** 2)))
        assert summary.loc[group, "mean_abs_mean"] == pytest.approx(sum(rows["mean_abs"]) / 7)
    wide = tables.ratios(measured, to="a4", column="rms")
    picked = measured[measured["init"] == 3].set_index("group")["rms"]
    assert wide.loc[3, "w1"] == picked["w1"] / picked["a4"] and (wide["a4"] == 1).all()
    with pytest.raises(
        ValueError, match="to must be one of the groups a1, a2, a3, a4, w1, w2, got 'w3'"
    ):
        tables.ratios(measured, to="w3")


def test_bootstrap_is_scipys():
    values = np.random.default_rng(0).exponential(size=200)
    theirs = scipy.stats.bootstrap(
        (values,), np.median, n_resamples=5000, method="percentile", rng=1
    ).confidence_interval
    assert tables.bootstrap(values, draws=5000) == pytest.approx(
        (theirs.low, theirs.high), abs=0.02
    )


def test_files_are_whole_or_not_at_all(out, monkeypatch):
    table = pd.DataFrame({"n": [1], "scale": [1 / 3]})
    assert tables.write(table, "03-x") is table
    assert (out / "data" / "03-x.csv").read_text() == "n,scale\n1,0.333333333\n"

    def broken(self, path, **options):
        path.write_text("half")
        raise OSError("disk full")

    monkeypatch.setattr(pd.DataFrame, "to_csv", broken)
    with pytest.raises(OSError, match="disk full"):
        tables.write(table * 2, "03-x")
    assert (out / "data" / "03-x.csv").read_text() == "n,scale\n1,0.333333333\n"


def test_names_and_folders(out, monkeypatch):
    monkeypatch.setenv("LCT_LAB_PREFIX", "full-")
    assert tables.output("figures", "03-x.svg") == out / "figures" / "03-full-x.svg"
    with pytest.raises(ValueError, match="kind must be one of data, figures, got 'tables'"):
        tables.output("tables", "x")
    monkeypatch.delenv("LCT_LAB_OUT")
    assert tables.output("data", "x").is_relative_to(tables.root() / "build" / "interactive")


def test_raw_rows_are_exact_and_carry_their_provenance(tmp_path):
    measured = lct_lab.probe(20, 15, inits=3, seed=4)
    for name in ("one", "two"):
        tables.write_raw(measured, tmp_path / f"{name}.parquet")
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()
    read = pd.read_parquet(tmp_path / "one.parquet")
    assert read.equals(measured)
    assert read.attrs["seed"] == 4 and read.attrs["versions"]["numpy"] == np.__version__


def power_table(noise=0.0, seed=0):
    rng = np.random.default_rng(seed)
    sizes = [(n, m) for n in (64, 128, 256, 512) for m in (64, 256, 1024)]
    rows = [{"group": "w1", "n": n, "m": m, "predicted": 3 * n**1.5 * m**-0.5} for n, m in sizes]
    table = pd.DataFrame(rows)
    return table.assign(
        measured=table["predicted"] * np.exp(noise * rng.standard_normal(len(table)))
    )


def test_exact_powers_are_found_and_wrong_ones_rejected():
    table = power_table()
    fit = fit_exponents(table, asymptotic={"w1": (1.5, -0.5)}, draws=50)
    np.testing.assert_allclose(fit["exponent"], [1.5, -0.5], atol=1e-10)
    np.testing.assert_allclose(fit["asymptotic"], [1.5, -0.5])
    assert list(fit["verdict"]) == ["agrees", "agrees"]
    wrong = fit_exponents(table.assign(predicted=table["n"] / table["m"] ** 0.5), draws=50)
    assert list(wrong["verdict"]) == ["differs", "agrees"]


def test_interval_covers_the_power_of_noisy_data():
    fits = [fit_exponents(power_table(0.1, seed), draws=200).iloc[0] for seed in range(20)]
    assert sum(fit["low"] < 1.5 < fit["high"] for fit in fits) >= 14
    assert all(fit["high"] - fit["low"] < 0.3 for fit in fits)


@pytest.mark.parametrize(
    "change, word",
    (
        (lambda t: t.drop(columns="m"), "'m'"),
        (lambda t: t.assign(measured=-1.0), "positive"),
        (lambda t: t.query("n == m"), "group w1"),
    ),
)
def test_fit_exponents_names_what_is_wrong(change, word):
    with pytest.raises(ValueError, match=word):
        fit_exponents(change(power_table()), draws=10)


def test_compare_decides_within_outside_and_undecided():
    table = compare(
        pd.Series([1.01, 1.2, 1.01]),
        pd.Series([1.0, 1.0, 1.0]),
        0.02,
        pd.Series([0.001, 0.001, 0.5]),
    )
    assert list(table["verdict"]) == ["within", "outside", "undecided"]
    with pytest.raises(ValueError, match="band"):
        compare(pd.Series([1.0]), pd.Series([1.0]), 0)
