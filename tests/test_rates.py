"""Groups are ordinary parameter groups, with factors that the laws give or that were measured."""

import numpy as np
import pytest
import torch

import lct_lab
from lct_lab import theory
from lct_lab.training import rates


def factors(model, rule, **options):
    groups = lct_lab.param_groups(model, rule, 0.5, **options)
    assert [g["params"][0] is p for g, p in zip(groups, model.parameters(), strict=True)]
    return {g["name"]: g["lr"] / 0.5 for g in groups}


@pytest.mark.parametrize(
    "optimizer", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop]
)
def test_any_optimizer_takes_them(optimizer):
    model = lct_lab.LCT(40, 40)
    for rule in rates.RULES:
        stepper = optimizer(lct_lab.param_groups(model, rule, 1e-3))
        model.loss(torch.ones(40)).backward()
        stepper.step()


def test_factors_are_the_rules():
    model = lct_lab.LCT(400, 100)
    assert set(factors(model, "raw").values()) == {1.0}
    assert (
        factors(model, "original")["a2"] == 1 / 200 and factors(model, "original")["w1"] == 1 / 400
    )
    predicted = lct_lab.predict(400, 100)["rms"]
    assert factors(model, "equal")["w2"] == pytest.approx(predicted["a4"] / predicted["w2"])
    assert set(factors(model, "equal", optimizer="adam").values()) == {1.0}
    curvature = factors(model, "curvature")
    assert curvature["w1"] == 100 / 400**2 and curvature["a1"] == 100 and curvature["a4"] == 1
    assert factors(model, "curvature", optimizer="adam")["w2"] == 1 / 400
    assert factors(model, "curvature", n=50)["w1"] == 100 / 50**2


def test_equal_makes_measured_steps_equal():
    model = lct_lab.LCT(256, 256)
    measured = (
        lct_lab.probe(256, 256, inits=600)
        .assign(square=lambda t: t["rms"] ** 2)
        .groupby("group")["square"]
        .mean()
        ** 0.5
    )
    steps = {name: factor * measured[name] for name, factor in factors(model, "equal").items()}
    assert np.ptp(np.log(list(steps.values()))) < 0.25
    wrong = {name: factor * measured[name] for name, factor in factors(model, "original").items()}
    assert np.ptp(np.log(list(wrong.values()))) > 0.5


def test_curvature_is_the_gauss_newton_diagonal():
    """At the DCT the Hessian is Gauss-Newton's; its product with the rate does not depend on n."""
    from lct_lab import training

    products = []
    for n in (32, 128):
        model = lct_lab.LCT(n, n, init="orthogonal", tied=True, dtype=torch.float64)
        parameters, rates = [p.detach() for p in model.parameters()], factors(model, "curvature")
        row = []
        for index, step in ((1, 1e-3), (3, 1e-3), (4, 0.01 / n)):
            bump = torch.zeros(n, dtype=torch.float64)
            bump[n // 3] = step
            moved = [
                [
                    p + s * (bump if i == 4 else step) * (i == index)
                    for i, p in enumerate(parameters)
                ]
                for s in (1, 0, -1)
            ]
            up, here, down = (training.expected_loss(n, *values).item() for values in moved)
            row.append((up - 2 * here + down) / step**2 * list(rates.values())[index])
        products.append(row)
    assert products[0] == pytest.approx(products[1], rel=0.1)


def test_measured_scales_of_any_module():
    net = torch.nn.Linear(3, 2)
    scales = {"weight": (4.0, 16.0), "bias": (1.0, 1.0)}
    assert factors(net, "equal", scales=scales) == {"weight": 1, "bias": 4}
    assert factors(net, "curvature", scales=scales) == {"weight": 1, "bias": 16}
    assert factors(net, "curvature", scales=scales, optimizer="adam") == {"weight": 1, "bias": 4}
    assert factors(net, "raw") == {"weight": 1, "bias": 1}


def test_the_original_rule_does_not_take_measured_scales():
    model, scales = (
        lct_lab.LCT(40, 40),
        dict.fromkeys(("a1", "a2", "a3", "a4", "w1", "w2"), (3.0, 5.0)),
    )
    assert factors(model, "original", scales=scales) == factors(model, "original")


@pytest.mark.parametrize(
    "model, rule, lr, options, error, words",
    [
        (
            lct_lab.LCT(8, 8),
            "best",
            1.0,
            {},
            ValueError,
            "rule must be one of raw, original, equal, curvature, got 'best'",
        ),
        (
            torch.nn.Linear(2, 2),
            "equal",
            1.0,
            {},
            ValueError,
            "needs the parameters a1, a2, a3, a4, w1 of an LCT, or",
        ),
        (
            torch.nn.Linear(2, 2),
            "equal",
            1.0,
            {"scales": {"weight": (1, 1)}},
            ValueError,
            "scales must have .* for bias",
        ),
        (lct_lab.LCT(8, 8), "raw", float("nan"), {}, ValueError, "lr must be finite"),
        (lct_lab.LCT(8, 8), "raw", 0, {}, ValueError, "lr must be a positive number, got 0"),
        (lct_lab.LCT(8, 8), "raw", "1", {}, TypeError, "lr must be a real number, got '1'"),
        (lct_lab.LCT(8, 8), "curvature", 1.0, {"n": 0}, ValueError, "n must be at least 1, got 0"),
        (3, "raw", 1.0, {}, TypeError, "model must be a torch module, got int"),
    ],
)
def test_bad_input(model, rule, lr, options, error, words):
    with pytest.raises(error, match=words):
        lct_lab.param_groups(model, rule, lr, **options)


def test_a_rule_at_a_size():
    assert theory.RULES["a4 mean"](8, 8) == 5
