"""The expected loss is the definition's; training finds the DCT, or says why not."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import lct_lab
from lct_lab import init, models, training


@pytest.mark.parametrize("tied", [True, False])
@given(n=st.integers(1, 14), m=st.integers(1, 14), seed=st.integers(0, 2**32))
def test_expected_loss_is_the_norm_of_the_product_less_one(tied, n, m, seed):
    model = models.LCT(n, m, tied=tied, seed=seed, dtype=torch.float64, engine="dense")
    product = model(torch.eye(n, dtype=torch.float64)).T
    exact = (product - torch.eye(n)).square().sum() / n
    loss = training.expected_loss(n, *model.parameters())
    assert loss.item() == pytest.approx(exact.item(), abs=1e-10)
    for g, e in zip(
        torch.autograd.grad(loss, list(model.parameters())),
        torch.autograd.grad(exact, list(model.parameters())),
        strict=True,
    ):
        assert torch.allclose(g, e, atol=1e-9)


def test_the_tied_loss_has_the_second_derivatives_of_the_untied_one():
    values = torch.tensor([1.1, 1.3, 0.8, 1.2, *np.linspace(0.2, 2.9, 6)], dtype=torch.float64)

    def loss(v, both):
        return training.expected_loss(9, *v[:4], v[4:], *([v[4:]] if both else []))

    tied, untied = (
        torch.autograd.functional.hessian(lambda v, both=both: loss(v, both), values)
        for both in (False, True)
    )
    assert torch.allclose(tied, untied, atol=1e-9) and tied.abs().max() > 1


@pytest.mark.parametrize("tied", [True, False])
def test_expected_loss_is_the_mean_over_white_signals(tied):
    model = models.LCT(40, 30, tied=tied, seed=0, dtype=torch.float64)
    x = (
        torch.rand(20000, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 2
        - 1
    )
    with torch.no_grad():
        each = (model(x) - x).square().sum(1) / (40 / 3)
    error = (each.std() / 20000**0.5).item()
    assert training.expected_loss(40, *model.parameters()).item() == pytest.approx(
        each.mean().item(), abs=4 * error
    )


@pytest.mark.parametrize("n, gap", [(3, 1e-3), (64, 1e-5), (64, 0.0), (128, 2.5e-4), (64, 1e-2)])
def test_single_precision_has_the_derivatives_of_close_frequencies(n, gap):
    """Against the definition, a product of dense matrices in double, at the same numbers."""
    rng = np.random.default_rng(1)
    w1 = torch.tensor((np.arange(n) + 0.5) * np.pi / n, dtype=torch.float32)
    w2 = (w1 + gap * torch.tensor(rng.choice([-1.0, 1.0], n))).float()
    values = torch.cat([torch.tensor([0.9, 1.3, 1.1, 1.2]), w1, w2])
    v = torch.tensor(rng.normal(size=len(values)), dtype=torch.float32)

    def ours(x):
        return training.expected_loss(n, *x[:4], x[4 : 4 + n], x[4 + n :])

    def dense(x):
        j = torch.arange(n, dtype=torch.float64)
        analysis = torch.cos(x[4 : 4 + n, None] * j) * torch.where(j == 0, x[0], x[1])
        synthesis = torch.cos(j[:, None] * x[4 + n :]) * torch.where(j == 0, x[2], x[3])[:, None]
        return (synthesis @ analysis / n - torch.eye(n)).square().sum() / n

    found = derivatives(ours, values, v)
    exact = derivatives(dense, values.double(), v.double())
    for a, b in zip(found, exact, strict=True):
        assert a.dtype == torch.float32
        assert (a - b).norm() <= 1e-5 * b.norm() + 1e-6


def derivatives(loss, values, v):
    """The loss, its gradient, and its Hessian times v."""
    x = values.clone().requires_grad_()
    value = loss(x)
    (gradient,) = torch.autograd.grad(value, x, create_graph=True)
    (product,) = torch.autograd.grad(gradient @ v, x)
    return value.detach(), gradient.detach(), product


def test_near_and_repeated_frequencies():
    w = torch.tensor(
        [0.3, 0.3, 0.3 + 1e-9, 0.0, np.pi, 2 * np.pi], dtype=torch.float64, requires_grad=True
    )
    tied = training.expected_loss(20, 1.0, 1.1, 0.9, 1.2, w)
    untied = training.expected_loss(20, 1.0, 1.1, 0.9, 1.2, w, w)
    assert tied.item() == pytest.approx(untied.item(), abs=1e-9)
    assert torch.allclose(
        torch.autograd.grad(tied, w)[0], torch.autograd.grad(untied, w)[0], atol=1e-6
    )


def test_coarse_to_fine_grows_then_cools():
    schedule = training.CoarseToFine(512, 1000)
    sizes = [schedule.size(step) for step in range(1000)]
    assert (
        sizes[0] == 4
        and sizes[700] == 512
        and sizes == sorted(sizes)
        and sizes[350] == round((4 * 512) ** 0.5)
    )
    assert (
        schedule.rate(0) == 1
        and schedule.rate(700) == pytest.approx(1)
        and schedule.rate(850) == pytest.approx(0.5)
    )
    assert schedule.spread(0) == pytest.approx(0.01 * np.pi / 4) and schedule.spread(700) == 0
    assert training.CoarseToFine(3, 10).size(0) == 3


def test_filled_bins_folds_first():
    grid = init.orthogonal(16)
    assert training.filled_bins(grid, 16) == 16
    assert training.filled_bins(np.concatenate([-grid[:8], 2 * np.pi - grid[8:]]), 16) == 16
    assert training.filled_bins(np.full(16, grid[3]), 16) == 1
    assert training.filled_bins([0.0, np.pi], 16) == 2


@pytest.mark.parametrize("seed", range(2))
def test_adam_coarse_to_fine_fills_every_bin_where_plain_descent_stalls(seed):
    options = dict(seed=seed, steps=600, optimizer="adam")
    found = lct_lab.recover(64, **options)
    assert found.filled == 64 and found.loss < 1e-4
    folded = np.sort(np.abs((found.model.w1.detach().numpy() + np.pi) % (2 * np.pi) - np.pi))
    assert np.abs(folded - init.orthogonal(64)).max() * 64 / np.pi < 0.45
    plain = lct_lab.recover(64, **options, schedule=training.Constant(64))
    assert plain.filled < 64 and plain.loss > 10 * found.loss


def test_untied_needs_sorted_starts():
    options = dict(steps=400, lr=0.02, pace=2.0, schedule=training.CoarseToFine(16, 400))
    for start, good in (("random", True), ("shuffled", False)):
        model = models.LCT(16, 16, init=start, seed=0, dtype=torch.float64)
        found = training.fit(model, **options)
        assert found.loss < 1e-3 if good else found.loss > 0.1


@pytest.mark.parametrize("m, bound", [(16, 0.5), (64, 0.0)])
def test_fewer_or_more_frequencies_reach_the_bound(m, bound):
    found = lct_lab.recover(32, m, seed=1, steps=700)
    assert bound - 1e-9 <= found.loss <= bound + 1e-4


def test_sampled_noise_is_enough():
    options = dict(seed=0, steps=500, objective="uniform", batch=50, optimizer="adam")
    assert lct_lab.recover(16, **options).loss < 1e-3


def lct(n=16, m=16, *, tied=True, seed=0, dtype=torch.float64, frozen=()):
    model = models.LCT(n, m, tied=tied, seed=seed, dtype=dtype)
    for name in frozen:
        getattr(model, name).requires_grad_(False)
    return model


def weights(model):
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


def test_every_row_of_a_table_is_trained_on():
    table = np.random.default_rng(0).normal(size=(200, 16))
    other = table.copy()
    other[10:] = np.random.default_rng(1).normal(size=(190, 16))

    def trained(windows, seed):
        model = lct()
        training.fit(model, steps=20, lr=0.02, objective=windows, batch=10, seed=seed)
        return weights(model)

    assert not same(trained(table, 0), trained(other, 0)), "rows from the tenth on count"
    assert not same(trained(table, 0), trained(table, 1)), "the seed decides which"
    assert same(trained(table, 0), trained(table, 0))


@pytest.mark.parametrize("objective", ["expected", "uniform"])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize(
    "dtype, options",
    [
        (torch.float64, {"lr": 1e308}),
        (torch.float64, {"lr": 1e200}),
        (torch.float64, {"lr": 10.0, "pace": 1e308}),
        (torch.float64, {"lr": 1e306, "optimizer": "sgd"}),
        (torch.float32, {"lr": 1e10, "optimizer": "sgd", "rule": "raw"}),
        (torch.float32, {"lr": 1e100, "optimizer": "sgd"}),
        (torch.float64, {"lr": 1e308, "steps": 1}),
    ],
)
def test_whatever_explodes_ends_with_a_sentence_and_finite_numbers(dtype, options, tied, objective):
    """Not with the end of Python, which is what a transform at infinite frequencies would bring."""
    model = lct(24, 16, tied=tied, dtype=dtype)
    found = training.fit(model, **{"steps": 60} | options, objective=objective, batch=5)
    assert found.stopped.startswith("stopped at step") and np.isfinite(found.loss)
    assert "finite" in found.stopped or "is beyond the model's numbers" in found.stopped
    assert all(torch.isfinite(p).all() for p in model.parameters())


def test_signals_of_zeros_end_it_with_a_sentence():
    found = training.fit(lct(), steps=9, lr=0.1, objective=np.zeros((5, 16)), batch=3)
    assert found.stopped == "stopped at step 0: its signals are zero in their first 16 samples"


@pytest.mark.parametrize("objective", ["expected", "uniform"])
@pytest.mark.parametrize("frozen", [("a1",), ("w1",), ("a1", "a2", "a3", "a4")])
def test_what_is_frozen_stays_and_the_rest_trains(frozen, objective):
    model = lct(24, 16, frozen=frozen)
    before = weights(model)
    found = training.fit(model, steps=30, lr=0.02, objective=objective, every=10)
    after = weights(model)
    for name in before:
        assert torch.equal(before[name], after[name]) == (name in frozen)
        assert (f"gradient_{name}" in found.history) == (name not in frozen)
    assert found.stopped == "all steps done"


class Interrupted(training.Constant):
    def size(self, step):
        if step == 5:
            raise KeyboardInterrupt
        return self.n


def test_an_interrupted_model_is_the_one_of_the_steps_done():
    whole, broken = lct(24, 16), lct(24, 16)
    training.fit(whole, steps=5, lr=0.02)
    with pytest.raises(KeyboardInterrupt):
        training.fit(broken, steps=30, lr=0.02, schedule=Interrupted(24))
    assert same(weights(whole), weights(broken))


class Growing:
    """A schedule of one's own, which grows out of the model."""

    n = 16

    def size(self, step):
        return 8 + step if step < 12 else 16

    def rate(self, step):
        return 1.0

    def spread(self, step):
        return 0.0

    @classmethod
    def with_rate(cls, value):
        """The same at another rate."""
        schedule = cls()
        schedule.size, schedule.rate = (lambda step: 16), (lambda step: value)
        return schedule


def test_a_schedule_of_ones_own():
    assert training.fit(lct(), steps=8, lr=0.02, schedule=Growing()).history["size"].max() == 15
    with pytest.raises(ValueError, match="give a size from 1 to 16, got 17 at step 9"):
        training.fit(lct(), steps=20, lr=0.02, schedule=Growing())


@pytest.mark.parametrize(
    "options, error, words",
    [
        ({"n": 0, "steps": 9}, ValueError, "n must be at least 1, got 0"),
        ({"n": 8, "steps": 0}, ValueError, "steps must be at least 1, got 0"),
        ({"n": 8, "steps": 9, "start": 0}, ValueError, "start must be at least 1, got 0"),
        ({"n": 8, "steps": 9, "share": 1.5}, ValueError, "share must be from 0 to 1, got 1.5"),
        ({"n": 8, "steps": 9, "noise": np.nan}, ValueError, "noise must be finite"),
        ({"n": 8, "steps": 9, "noise": -1}, ValueError, "noise must be at least 0, got -1"),
    ],
)
def test_bad_schedules(options, error, words):
    with pytest.raises(error, match=words):
        training.CoarseToFine(**options)


@pytest.mark.parametrize(
    "model, options, error, words",
    [
        (torch.nn.Linear(2, 2), {}, TypeError, "model must be an LCT, got Linear"),
        (lct().half(), {}, TypeError, "model must be of float32 or float64, got torch.float16"),
        (lct().to("meta"), {}, ValueError, "model must be on the cpu, got a1 on meta"),
        (
            lct(frozen=("a1", "a2", "a3", "a4", "w1")),
            {},
            ValueError,
            "model must have parameters that require a gradient, got none",
        ),
        (lct(), {"pace": 0}, ValueError, "pace must be a positive number, got 0"),
        (lct(), {"pace": -1}, ValueError, "pace must be a positive number, got -1"),
        (lct(), {"pace": np.nan}, ValueError, "pace must be finite in double precision, got nan"),
        (lct(), {"lr": np.inf}, ValueError, "lr must be finite in double precision, got inf"),
        (
            lct(),
            {"lr": 1e308, "optimizer": "sgd"},
            ValueError,
            "lr must give rates above 0 and below",
        ),
        (lct(), {"target": "a"}, TypeError, "target must be a real number, got 'a'"),
        (lct(), {"target": -1.0}, ValueError, "target must be at least 0, got -1.0"),
        (lct(), {"paths": "w1"}, TypeError, "paths must be True or False, got 'w1'"),
        (
            lct(),
            {"schedule": training.Constant(8)},
            ValueError,
            "schedule must be of the model's 16 samples, got 8",
        ),
        (lct(), {"schedule": 3}, TypeError, "must have n, size, rate and spread, got int without"),
        (
            lct(),
            {"schedule": training.CoarseToFine(16, 5)},
            ValueError,
            "schedule must give a rate of at least 0, got -1.* at step 8",
        ),
        (
            lct(dtype=torch.float32),
            {"objective": np.full((3, 16), 1e200)},
            ValueError,
            r"objective must be of signals whose squares are numbers in torch.float32, .* 1e\+200",
        ),
        (
            lct(),
            {"objective": np.stack([np.ones(16), np.full(16, 1e-200)])},
            ValueError,
            "objective must be of signals whose squares are numbers in .*, got one .* 1e-200",
        ),
        (
            lct(),
            {"schedule": Growing.with_rate("fast")},
            ValueError,
            "schedule must give a rate of at least 0, got 'fast' at step 0",
        ),
        (
            lct(),
            {"schedule": SimpleNamespace(n=16, size=16, rate=1.0, spread=0.0)},
            TypeError,
            "schedule must have functions of the step, got size that is none",
        ),
    ],
)
def test_what_fit_cannot_take(model, options, error, words):
    with pytest.raises(error, match=words):
        training.fit(model, **{"steps": 9, "lr": 0.1} | options)


def test_a_model_that_is_not_finite_is_refused():
    model = lct()
    model.w1.data[3] = np.nan
    with pytest.raises(ValueError, match="model must be finite, got a NaN or an infinity in w1"):
        training.fit(model, steps=9, lr=0.1)
    w2 = lct(tied=False).w2
    with pytest.raises(ValueError, match="w1 must be finite, got a NaN or an infinity"):
        training.expected_loss(16, *model.parameters())
    with pytest.raises(ValueError, match="w1 must be finite, got a NaN or an infinity"):
        training.expected_loss(16, *model.parameters(), w2)


@pytest.mark.parametrize("name, shape", [("a1", (3,)), ("w1", (7,))])
def test_a_model_whose_parameters_were_replaced_is_refused(name, shape):
    model = lct()
    getattr(model, name).data = torch.ones(shape, dtype=torch.float64)
    with pytest.raises(
        ValueError, match=rf"model must have {name} of shape .*, got one of \({shape[0]}"
    ):
        training.fit(model, steps=9, lr=0.1)


@pytest.mark.parametrize("without", [torch.no_grad, torch.inference_mode])
def test_where_nothing_has_a_gradient_nothing_is_trained(without):
    with without():
        for model in (lct(), models.LCT(16, 12, dtype=torch.float64)):
            with pytest.raises(ValueError, match="model must be made and trained with gradients"):
                training.fit(model, steps=9, lr=0.1)


def test_bins_and_scales_that_are_no_numbers_are_refused():
    w = torch.rand(5, requires_grad=True)
    assert training.filled_bins(w, 4) == training.filled_bins(w.detach(), 4)
    for arguments, words in (
        ((w, 0), "n must be at least 1"),
        ((w * np.nan, 4), "w must be fin"),
        ((1.0, 4), r"w must be a vector of frequencies, got shape \(\)"),
        (("a", 4), "w must be real numbers, got str of <U1"),
        ((torch.ones(3).to_sparse(), 4), "w must be real numbers, got Tensor of object"),
        (([1, [2]], 4), "w must be real numbers, got list of object"),
    ):
        with pytest.raises((TypeError, ValueError), match=words):
            training.filled_bins(*arguments)
    assert training.filled_bins(w, 2**40) == 5  # in no memory of so many bins


@pytest.mark.parametrize("both", [True, False])
@pytest.mark.parametrize(
    "change, words",
    [
        ({"scale": "a"}, "scale must be a real number, got 'a'"),
        ({"scale": 1e200}, "scale must be at most 1e.150 in size, got 1e.200"),
        ({"a1": "a"}, "a1 must be a real number or a one-element tensor, got 'a'"),
        ({"a2": torch.ones(2)}, r"a2 must be a number or a one-element tensor, got shape \(2,\)"),
        ({"a3": 1j}, "a3 must be a real number or a one-element tensor, got 1j"),
        ({"a3": torch.tensor(1.0).half()}, "a3 must be float32 or float64, got torch.float16"),
        ({"a4": 1e200}, "a4 must be at most 1e.150 in size, got 1e.200"),
        ({"a4": np.timedelta64(3)}, "a4 must be a real number or a one-element tensor, got"),
    ],
)
def test_a_loss_of_what_is_no_number_is_refused(change, words, both):
    w = torch.rand(5, dtype=torch.float64)
    given = dict(a1=1, a2=1, a3=1, a4=1, w1=w, w2=w if both else None)
    with pytest.raises((TypeError, ValueError), match=words):
        training.expected_loss(16, **given | change)


def test_an_exploding_loss_ends_with_the_last_good_state():
    model = models.LCT(16, 16, tied=True, seed=0, dtype=torch.float64)
    found = training.fit(model, steps=500, lr=1e3, optimizer="sgd", rule="raw")
    assert "the loss is not finite, and" in found.stopped
    assert all(torch.isfinite(p).all() for p in model.parameters())


def test_frequencies_that_have_lost_their_digits_end_it():
    class Scattered(training.Constant):
        def spread(self, step):
            return 1e300

    for optimizer in ("newton", "adam"):
        model = models.LCT(8, 8, tied=True, seed=0, dtype=torch.float64)
        options = dict(steps=60, lr=0.1, schedule=Scattered(8), optimizer=optimizer)
        stopped = training.fit(model, **options).stopped
        assert re.match("stopped at step .*: the loss is -.*e.300 have lost their digits", stopped)


def test_early_stop():
    found = lct_lab.recover(12, steps=500, target=1e-2, every=5, optimizer="adam")
    last = found.history.iloc[-1]
    assert found.stopped == f"reached 0.01 at step {last['step']:.0f}" and last["step"] < 490
    full = found.history.query("size == 12")["loss"]
    assert full.iloc[-1] <= 1e-2 and (full.iloc[:-1] > 1e-2).all()


@pytest.mark.parametrize(
    "options, error, words",
    [
        ({"n": 0}, ValueError, "n must be at least 1"),
        ({"n": 8, "m": -1}, ValueError, "m must be at least 1"),
        ({"n": 8, "m": 0}, ValueError, "m must be at least 1, got 0"),
        ({"n": 8, "tied": "no"}, TypeError, "tied must be True or False, got 'no'"),
        ({"n": 8, "foo": 1}, TypeError, r"recover\(\) got an unexpected keyword argument 'foo'"),
        ({"n": 8, "seed": "a"}, TypeError, "seed must be an integer of at least 0, got 'a'"),
        ({"n": 8, "batch": 0}, ValueError, "batch must be at least 1, got 0"),
        ({"n": 8, "steps": 0}, ValueError, "steps must be at least 1"),
        (
            {"n": 8, "rule": "best"},
            ValueError,
            "rule must be one of raw, original, equal, curvature",
        ),
        ({"n": 8, "lr": -1.0}, ValueError, "lr must be a positive number, got -1.0"),
        (
            {"n": 8, "objective": "expectd"},
            ValueError,
            "objective must be 'expected' or a signal .*: signal must be an array or one of unif",
        ),
        ({"n": 8, "objective": True}, TypeError, "objective must be 'expected' or a signal of"),
        ({"n": 8, "optimizer": "lbfgs"}, ValueError, "optimizer must be one of sgd, adam, newton"),
    ],
)
def test_bad_input(options, error, words):
    with pytest.raises(error, match=words):
        lct_lab.recover(**options)


def test_numpy_integers_are_integers():
    with torch.device("meta"):
        elsewhere = lct_lab.recover(8, steps=9)
    assert elsewhere.loss == lct_lab.recover(8, steps=9).loss, "it trains on the processor"
    numpy = lct_lab.recover(np.int64(8), np.int64(8), steps=np.int64(9))
    assert numpy.loss == lct_lab.recover(8, steps=9).loss
