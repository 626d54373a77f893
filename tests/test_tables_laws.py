"""fit_exponents and compare: exact powers, noise, wrong predictions, bad input."""

import numpy as np
import pandas as pd
import pytest

from lct_lab.tables import compare, fit_exponents


def power_table(noise=0.0, seed=0):
    rng = np.random.default_rng(seed)
    sizes = [(n, m) for n in (64, 128, 256, 512) for m in (64, 256, 1024)]
    rows = [{"group": "w1", "n": n, "m": m, "predicted": 3 * n**1.5 * m**-0.5} for n, m in sizes]
    table = pd.DataFrame(rows)
    return table.assign(measured=table["predicted"] * np.exp(noise * rng.standard_normal(len(table))))


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


@pytest.mark.parametrize("change, word", (
    (lambda t: t.drop(columns="m"), "'m'"), (lambda t: t.assign(measured=-1.0), "positive"),
    (lambda t: t.query("n == m"), "group w1"),
))  # fmt: skip
def test_fit_exponents_names_what_is_wrong(change, word):
    with pytest.raises(ValueError, match=word):
        fit_exponents(change(power_table()), draws=10)


def test_compare_decides_within_outside_and_undecided():
    table = compare(pd.Series([1.01, 1.2, 1.01]), pd.Series([1.0, 1.0, 1.0]), 0.02, pd.Series([0.001, 0.001, 0.5]))
    assert list(table["verdict"]) == ["within", "outside", "undecided"]
    with pytest.raises(ValueError, match="band"):
        compare(pd.Series([1.0]), pd.Series([1.0]), 0)
