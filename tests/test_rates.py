"""Groups are ordinary parameter groups, with factors that the laws give or that were measured."""

import numpy as np
import pytest
import torch

import lct_lab
from lct_lab import laws
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
    assert factors(net, "equal", scales=scales) == {"weight": 1 / 4, "bias": 1}
    assert factors(net, "curvature", scales=scales) == {"weight": 1 / 16, "bias": 1}
    adam = factors(net, "curvature", scales=scales, optimizer="adam")
    assert adam == {"weight": 1 / 4, "bias": 1}
    assert set(factors(net, "equal", scales=scales, optimizer="adam").values()) == {1}
    assert factors(net, "raw") == {"weight": 1, "bias": 1}


class Bowls(torch.nn.Module):
    """size · x² + y² / size: the curvatures are 2 · size and 2 / size."""

    def __init__(self, size):
        super().__init__()
        self.size = size
        self.x, self.y = (torch.nn.Parameter(torch.ones(3).double()) for _ in range(2))

    def loss(self):
        return (self.size * self.x**2 + self.y**2 / self.size).sum()


@pytest.mark.parametrize("size", [1, 5, 50])
def test_one_rate_is_newtons_step_at_every_size(size):
    rows = lct_lab.probe_module(
        Bowls,
        [size],
        batch=lambda size, stream: None,
        loss=lambda module, _: module.loss(),
        inits=1,
        curvature=1,
    )
    scales = rows.set_index("group")[["rms", "curvature"]].T.to_dict("list")
    module = Bowls(size)
    optimizer = torch.optim.SGD(lct_lab.param_groups(module, "curvature", 1.0, scales=scales))
    module.loss().backward()
    optimizer.step()
    assert module.loss().item() == pytest.approx(0, abs=1e-20)


def test_a_bias_that_nothing_depends_on_is_held_back():
    """The curvature of a bias before a normalisation is rounding, and its inverse means nothing."""
    net = torch.nn.Sequential(torch.nn.Conv1d(1, 4, 3), torch.nn.BatchNorm1d(4))
    scales = {
        "0.weight": (0.1, 0.2),
        "0.bias": (3e-8, 5e-8),
        "1.weight": (0.05, 0.02),
        "1.bias": (0.04, 0.03),
    }
    with pytest.warns(UserWarning, match="scales of 0.bias lie below 0.0001 of the largest"):
        held = factors(net, "curvature", scales=scales)
    assert held == pytest.approx({"0.weight": 5, "0.bias": 5e4, "1.weight": 50, "1.bias": 1 / 0.03})
    with pytest.warns(UserWarning, match="held back"):
        assert factors(net, "curvature", scales=scales, optimizer="adam")["0.bias"] < 225


def test_an_lct_inside_a_module_gets_its_rule_and_the_rest_keep_theirs():
    net = torch.nn.Sequential(torch.nn.Linear(64, 64), lct_lab.LCT(64, 32), torch.nn.ReLU())
    found = factors(net, "curvature")
    alone = factors(net[1], "curvature")
    assert found == {"0.weight": 1, "0.bias": 1} | {f"1.{name}": f for name, f in alone.items()}
    scales = {"0.weight": (1.0, 2.0), "0.bias": (1.0, 4.0)}
    found = factors(net, "curvature", scales=scales)
    assert found == {"0.weight": 1 / 2, "0.bias": 1 / 4} | {
        f"1.{name}": f for name, f in alone.items()
    }


def test_frozen_parameters_have_no_group():
    model = lct_lab.LCT(40, 40)
    model.a1.requires_grad_(False)
    names = [group["name"] for group in lct_lab.param_groups(model, "curvature", 1.0)]
    assert names == ["a2", "a3", "a4", "w1", "w2"]
    with pytest.raises(ValueError, match="model must have parameters that require a gradient"):
        lct_lab.param_groups(model.requires_grad_(False), "raw", 1.0)


def test_the_original_rule_does_not_take_measured_scales():
    model, scales = (
        lct_lab.LCT(40, 40),
        dict.fromkeys(("a1", "a2", "a3", "a4", "w1", "w2"), (3.0, 5.0)),
    )
    assert factors(model, "original", scales=scales) == factors(model, "original")
    inside = torch.nn.ModuleList([model, torch.nn.Linear(2, 2)])
    assert factors(inside, "original", scales={"1.bias": (3.0, 5.0)})["1.bias"] == 1


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
        *[
            (
                lct_lab.LCT(64, 64),
                rule,
                1.0,
                {"n": 5000},
                ValueError,
                "n must be at most 64, the model's samples, got 5000",
            )
            for rule in rates.RULES
        ],
        (
            lct_lab.LCT(64, 64),
            "equal",
            1.0,
            {"n": 8},
            ValueError,
            "needs a law at n = 8 samples in use, m = 64: n must be at least 32, got 8",
        ),
    ],
)
def test_bad_input(model, rule, lr, options, error, words):
    with pytest.raises(error, match=words):
        lct_lab.param_groups(model, rule, lr, **options)


@pytest.mark.parametrize(
    "scales, error, words",
    [
        (
            [1.0, 2.0],
            TypeError,
            r"scales must be {name of a parameter: \(gradient, curva.*got list",
        ),
        (
            {"weight": (1.0, 0.0)},
            ValueError,
            "the curvature of weight in scales must be a positive",
        ),
        ({"weight": (1.0, -0.3)}, ValueError, "the curvature of weight in .* number, got -0.3"),
        ({"weight": (1.0, np.nan)}, ValueError, "the curvature of weight in scales must be finite"),
        ({"weight": (1.0, np.inf)}, ValueError, "the curvature of weight in scales must be finite"),
        ({"weight": (1.0, "2")}, TypeError, "the curvature of weight in scales must be a real num"),
        ({"weight": 1.0}, TypeError, r"a \(gradient, curvature\) for each .*, got 1.0 for weight"),
        ({"weight": {1.0, 2.0}}, TypeError, r"a \(gradient, curvature\) for .* for weight"),
        ({"weight": (1.0, 1.0), "x": 1}, ValueError, "parameters, weight, bias, got x"),
        ({}, ValueError, "for each parameter, got none for weight, bias"),
    ],
)
def test_bad_scales(scales, error, words):
    with pytest.raises(error, match=words):
        if isinstance(scales, dict) and scales:
            scales = {"bias": (1.0, 1.0)} | scales
        lct_lab.param_groups(torch.nn.Linear(2, 2), "curvature", 1.0, scales=scales)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"scales": "junk"}, "scales must be {name of a parameter: .*, got str"),
        ({"n": "junk"}, "n must be an integer of at least 1, got 'junk'"),
    ],
)
def test_what_a_rule_does_not_use_is_looked_at_too(options, words):
    with pytest.raises(TypeError, match=words):
        lct_lab.param_groups(torch.nn.Linear(2, 2), "raw", 1.0, **options)


def test_a_rule_at_a_size():
    assert laws.RULES["a4 decimal"](8, 8) == 5


@pytest.mark.parametrize("lr", (float("nan"), float("inf"), 0, -1, 1e308, 5e-324))
def test_rates_that_are_no_numbers_are_a_sentence(lr):
    model = lct_lab.LCT(64, 64)
    with pytest.raises(ValueError, match="^lr must "):
        lct_lab.param_groups(model, "curvature", lr)


def test_a_parameter_keeps_its_factor_under_another_name():
    class Outer(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lct = lct_lab.LCT(64, 64, tied=True)
            self.frequencies = self.lct.w1

    model = Outer()
    names = [name for name, _ in model.named_parameters()]
    assert "frequencies" in names and "lct.w1" not in names
    found = {g["name"]: g["lr"] for g in lct_lab.param_groups(model, "curvature", 1.0)}
    assert found["frequencies"] == 1 / 64
    torch.nn.utils.parametrizations.weight_norm(model.lct, "w1", dim=None)
    with pytest.raises(ValueError, match="an LCT's own parameters, got parametrizations"):
        lct_lab.param_groups(model, "curvature", 1.0)


def test_measured_scales_of_all_parameters_need_no_law():
    model = lct_lab.LCT(16, 12, tied=True)  # too small for one
    scales = {name: (2.0, 8.0) for name, _ in model.named_parameters()}
    assert set(factors(model, "equal", scales=scales).values()) == {0.5}
    with pytest.raises(ValueError, match="rule 'equal' needs a law at n = 16"):
        lct_lab.param_groups(model, "equal", 0.1, scales={"a1": (2.0, 8.0)})
