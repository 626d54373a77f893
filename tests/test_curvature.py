"""The curvature of the expected loss is a spectrum of sine waves, and Newton's method uses it."""

import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import lct_lab
from lct_lab import init, models, training
from lct_lab.training import curvature

DCT = (1.0, 2**0.5, 1.0, 2**0.5)  # amplitudes


def loss(n, w1, w2=None, amplitudes=DCT):
    """E L / Nσ² at the scale of training, of arrays."""
    sides = [torch.as_tensor(w) for w in (w1, w2) if w is not None]
    return training.expected_loss(n, *amplitudes, *sides, scale=1 / len(w1)).item()


def wave(q, m):
    return np.sin(q * init.orthogonal(m))


def second_difference(f, step=1e-3):
    """½ f''(0), for a function that is even to this order."""
    return (f(step) + f(-step) - 2 * f(0.0)) / (2 * step**2)


def hessian_of_waves(n, m):
    """½ ∂²E/∂A_q∂A_r by automatic differentiation, of the heights of both sides: (2m, 2m)."""
    grid = torch.as_tensor(init.orthogonal(m))
    waves = torch.stack([torch.as_tensor(wave(q, m)) for q in range(1, m + 1)])

    def value(heights):
        first, second = heights[:m] @ waves, heights[m:] @ waves
        return training.expected_loss(n, *DCT, grid + first, grid + second, scale=1 / m)

    return torch.autograd.functional.hessian(value, torch.zeros(2 * m).double()).numpy() / 2


# The spectra


@pytest.mark.parametrize("n, m", [(1, 1), (2, 2), (7, 7), (12, 12), (5, 9), (6, 12), (4, 16)])
def test_spectra_are_the_diagonal_of_the_hessian(n, m):
    both = hessian_of_waves(n, m)
    left, right, mixed = both[:m, :m], both[m:, m:], both[:m, m:]
    for mine, exact in (
        (curvature.one_sided_curvature(n, m), left),
        (curvature.one_sided_curvature(n, m), right),
        (curvature.tied_curvature(n, m), left + right + mixed + mixed.T),
        (curvature.opposite_curvature(n, m), left + right - mixed - mixed.T),
    ):
        assert np.allclose(mine, np.diag(exact), atol=1e-9 * max(1, exact.max()))


@pytest.mark.parametrize("n", [3, 8, 13])
def test_waves_of_one_parity_are_coupled_by_the_shorter(n):
    both = hessian_of_waves(n, n)
    tied = both[:n, :n] + both[n:, n:] + both[:n, n:] + both[n:, :n]
    q = np.arange(1, n + 1)
    same = (q[:, None] - q) % 2 == 0
    coupling = np.where(same, np.minimum(q[:, None], q), 0)
    np.fill_diagonal(coupling, 0)
    assert np.allclose(tied, np.diag(curvature.tied_curvature(n, n)) + coupling, atol=1e-8 * n**2)

    slopes = np.random.default_rng(0).normal(size=n)
    heights = curvature.newton_waves(slopes, n)
    assert np.allclose(2 * tied[1:, 1:] @ heights[1:], slopes[1:]) and heights[0] == 0
    slopes[0] = 1e6  # now the valley has more to gain than all others
    height, *others = curvature.newton_waves(slopes, n)
    assert np.allclose(others, heights[1:])
    assert height + n**3 * height**3 == pytest.approx(slopes[0] - 2 * coupling[0, 1:] @ others)


@pytest.mark.parametrize("n", [64, 512, 4096])
def test_the_formula_is_the_measured_curvature_at_every_wave(n):
    grid, h = init.orthogonal(n), curvature.tied_curvature(n, n)
    without_alias = h - (np.arange(n) * (2 * n - np.arange(1, n + 1)) ** 2) / (4 * n)
    for q in sorted({2, 3, n // 7, n // 2, n - 1, n}):
        step = 0.02 * np.pi / n / max(1, (2 / q) ** 2)
        measured = second_difference(lambda A, q=q: loss(n, grid + A * wave(q, n)), step)
        assert measured == pytest.approx(h[q - 1], rel=0.01)
        if q < n:
            assert not np.isclose(measured, without_alias[q - 1], rtol=0.2)


@pytest.mark.parametrize("n", [256, 4096])
def test_the_valley_is_flat_to_second_order_and_quartic(n):
    grid = init.orthogonal(n)
    for bins in (0.1, 0.25, 0.5, 1.0, 2.0):
        height = bins * np.pi / n
        measured = loss(n, grid + height * wave(1, n))
        assert curvature.valley(height, n) == pytest.approx(measured, rel=2.5 / n**0.5)
    small = 0.02 * np.pi / n
    quartic = n**3 * small**4 / 4
    assert curvature.valley(small, n) - small**2 / 2 == pytest.approx(quartic, rel=0.01)


@pytest.mark.parametrize("trained", ["a1 a2 a3 a4", "a1 a4", "a2 a3"])
def test_amplitudes_move_by_newton_s_step_in_their_products(trained):
    n, trained = 20, trained.split()
    values = dict(a1=1.1, a2=1.3, a3=0.9, a4=1.5)
    found = curvature.amplitude_curvature(n, **values, trained=trained)
    w = torch.as_tensor(init.orthogonal(n))

    def value(*amplitudes):
        return training.expected_loss(n, *amplitudes, w, w, scale=1 / n)

    at_products = dict(a1=1.1, a2=1.3, a3=1 / 1.1, a4=2 / 1.3)  # where the loss is least
    found = curvature.amplitude_curvature(n, **at_products, trained=trained)
    exact = torch.stack(
        [
            torch.stack(row)
            for row in torch.autograd.functional.hessian(
                value, tuple(torch.tensor(v).double() for v in at_products.values())
            )
        ]
    ).numpy()
    kept = [list(values).index(name) for name in trained]
    exact = exact[np.ix_(kept, kept)]
    largest = np.linalg.eigvalsh(exact)
    assert set(found) == set(trained)
    for curvature_of_pair in set(found.values()):
        assert np.isclose(largest, curvature_of_pair, rtol=2 / n).any()


@given(m=st.integers(1, 12), seed=st.integers(0, 99))
def test_waves_are_sums_of_sines_both_ways(m, seed):
    values = np.random.default_rng(seed).normal(size=m)
    sines = np.array([wave(q, m) for q in range(1, m + 1)])
    assert np.allclose(curvature.wave_sums(values), sines @ values)
    assert np.allclose(curvature.sum_of_waves(values), values @ sines)


@pytest.mark.parametrize(
    "n, m, error, words",
    [
        (9, 8, ValueError, "n must be at most m = 8, the frequencies, got 9"),
        (0, 8, ValueError, "n must be at least 1, got 0"),
        (4, "8", TypeError, "m must be an integer"),
    ],
)
def test_sizes_without_a_spectrum(n, m, error, words):
    for spectrum in (curvature.tied_curvature, curvature.one_sided_curvature):
        with pytest.raises(error, match=words):
            spectrum(n, m)


# Newton's method


def jittered(n, tied=True, **options):
    return models.LCT(n, n, init="jittered", tied=tied, seed=0, dtype=torch.float64, **options)


def steps_to(error, model, steps=30):
    found = training.fit(model, steps=steps, lr=1.0, optimizer="newton", every=1, target=error)
    return found.history["step"].iloc[-1]


def test_the_number_of_steps_does_not_depend_on_the_size():
    counts = [steps_to(1e-8, jittered(n)) for n in (512, 4096, 65536)]
    assert max(counts) - min(counts) <= 2 and max(counts) <= 7
    assert steps_to(1e-8, jittered(512, tied=False)) <= 20


def test_errors_square_near_the_grid():
    options = dict(steps=12, lr=1.0, optimizer="newton", every=1)
    loss = training.fit(jittered(2048), **options).history["loss"]
    digits = -np.log10(loss[loss > 1e-9])
    assert digits.iloc[-1] > 1.5 * digits.iloc[-2] > 1.5 * 2


def test_it_is_an_optimizer_like_any_other():
    model = jittered(64)
    optimizer = training.SineNewton(model)

    def closure():
        optimizer.zero_grad()
        value = training.expected_loss(64, *model.parameters())
        value.backward()
        return value

    losses = [optimizer.step(closure).item() for _ in range(12)]
    assert losses[0] > 1e-2 and losses[-1] < 1e-9
    again = training.SineNewton(jittered(64))
    again.load_state_dict(optimizer.state_dict())
    assert again.param_groups[0]["lr"] == 1.0


@pytest.mark.parametrize("tied", [True, False])
def test_order_sign_and_turns_of_the_frequencies_do_not_matter(tied):
    straight, turned = jittered(32, tied), jittered(32, tied)
    order = torch.randperm(32, generator=torch.Generator().manual_seed(0))
    for number, name in enumerate(("w1", "w2")[: 1 if tied else 2]):
        w = getattr(turned, name)
        w.data = w.data[order]
        w.data[::2] = 2 * np.pi * number - w.data[::2]
    first, second = (
        training.fit(model, steps=8, lr=1.0, optimizer="newton") for model in (straight, turned)
    )
    assert second.loss == pytest.approx(first.loss, rel=1e-3, abs=1e-12)
    assert torch.allclose(straight.w1[order], turned.w1, atol=1e-8)


@pytest.mark.parametrize("frozen", [("a1", "a2"), ("w2",), ("w1", "w2"), ("a1", "a2", "a3", "a4")])
def test_what_is_frozen_stays(frozen):
    model = jittered(32, tied=False)
    for name in frozen:
        getattr(model, name).requires_grad_(False)
    before = {name: getattr(model, name).detach().clone() for name in frozen}
    start = training.expected_loss(32, *model.parameters()).item()
    found = training.fit(model, steps=20, lr=1.0, optimizer="newton")
    assert found.loss < 0.99 * start
    assert all(torch.equal(before[name], getattr(model, name)) for name in frozen)


@pytest.mark.parametrize(
    "model, options, error, words",
    [
        (torch.nn.Linear(2, 2), {}, TypeError, "model must be an LCT, got Linear"),
        (models.LCT(8, 9), {}, ValueError, "as many frequencies as samples, .*, got n = 8, m = 9"),
        (models.LCT(8, 8), {"lr": 0}, ValueError, "lr must be above 0 and at most 1, got 0"),
        (models.LCT(8, 8), {"lr": 1.5}, ValueError, "lr must be above 0 and at most 1, got 1.5"),
        (models.LCT(8, 8), {"samples": 9}, ValueError, "samples must be at most 8, the model's"),
        (models.LCT(8, 8), {"samples": 0}, ValueError, "samples must be at least 1, got 0"),
        (models.LCT(8, 8), {"samples": 3.5}, TypeError, "samples must be an integer .*, got 3.5"),
    ],
)
def test_what_newton_s_method_cannot_take(model, options, error, words):
    with pytest.raises(error, match=words):
        training.SineNewton(model, **options)


@pytest.mark.parametrize(
    "closure, error, words",
    [
        (None, TypeError, "closure must return the loss, which damps the step, got None"),
        (lambda: 0.5, ValueError, "closure must return a finite loss, a tensor, got 0.5"),
        (lambda: torch.tensor(np.nan), ValueError, "closure must return a finite loss"),
        (
            lambda: torch.tensor(-0.5),
            ValueError,
            "closure must return a loss of at least 0, got -0",
        ),
        (lambda: torch.tensor(0.5), ValueError, "closure must leave gradients, got none for a1"),
    ],
)
def test_a_closure_that_says_too_little(closure, error, words):
    model = jittered(8)
    before = model.w1.detach().clone()
    with pytest.raises(error, match=words):
        training.SineNewton(model).step(closure)
    assert torch.equal(model.w1, before)


@pytest.mark.parametrize(
    "value, words",
    [
        (lambda: torch.ones(3), "closure must return .* of one real number, got .* of shape .3,."),
        (lambda: torch.tensor(1j), "closure must return .* of one real number, got torch.complex"),
    ],
)
def test_a_loss_of_another_kind_is_a_sentence(value, words):
    with pytest.raises(ValueError, match=words):
        training.SineNewton(jittered(8)).step(value)


@pytest.mark.parametrize("name", ["a2", "w1", "w2"])
@pytest.mark.parametrize("strange", [np.nan, np.inf])
def test_a_gradient_that_is_not_finite_moves_nothing(name, strange):
    model = jittered(8, tied=False)
    before = [p.detach().clone() for p in model.parameters()]

    def closure():
        loss = training.expected_loss(8, *model.parameters())
        loss.backward()
        getattr(model, name).grad.view(-1)[0] = strange
        return loss

    with pytest.raises(ValueError, match=f"closure must leave finite gradients, .* that of {name}"):
        training.SineNewton(model).step(closure)
    assert all(map(torch.equal, before, model.parameters()))


def test_a_training_stops_where_a_gradient_is_not_finite():
    model = jittered(8)
    model.a2.register_hook(lambda gradient: gradient * np.nan)
    before = model.w1.detach().clone()
    found = training.fit(model, steps=3, lr=1.0, optimizer="newton")
    assert found.stopped == "stopped at step 0: the gradient of a2 is not finite"
    assert torch.equal(model.w1, before)


def test_the_rate_of_each_group_is_its_own():
    def moved(rate):
        model = jittered(16, tied=False)
        optimizer = training.SineNewton(model)
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        for group in optimizer.param_groups:
            group["lr"] = rate(group["name"])
        loss = training.expected_loss(16, *model.parameters())
        loss.backward()
        optimizer.step(lambda: loss)
        return {name: p.detach() - before[name] for name, p in model.named_parameters()}

    rates = {"a1": 0.0, "a2": 0.5, "a3": 1.0, "a4": 0.1, "w1": 0.0, "w2": 0.01}
    full, part = moved(lambda name: 1e-2), moved(rates.get)
    for name, rate in rates.items():
        assert torch.allclose(part[name], full[name] * rate / 1e-2, rtol=1e-6, atol=1e-13)


@pytest.mark.parametrize(
    "rate, error, words",
    [
        (np.nan, ValueError, "lr of w1 must be finite in double precision, got nan"),
        (-1, ValueError, "lr of w1 must be at least 0, got -1"),
        ("fast", TypeError, "lr of w1 must be a real number, got 'fast'"),
    ],
)
def test_a_rate_that_is_none_is_a_sentence(rate, error, words):
    model = jittered(8)
    optimizer = training.SineNewton(model)
    optimizer.param_groups[-1]["lr"] = rate
    before = [p.detach().clone() for p in model.parameters()]
    with pytest.raises(error, match=words):
        optimizer.step(lambda: training.expected_loss(8, *model.parameters()))
    assert all(map(torch.equal, before, model.parameters()))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_a_copy_steps_a_model_of_its_own(copied):
    def stepped(optimizer):
        model = optimizer.model
        loss = training.expected_loss(4, *model.parameters(), scale=1 / 8)
        loss.backward()
        optimizer.step(lambda: loss)
        return model.w1.detach().clone()

    optimizer = training.SineNewton(jittered(8), 0.5, samples=4)
    other = training.SineNewton(jittered(8))
    other.load_state_dict(optimizer.state_dict())
    assert other.samples == 4
    with pytest.raises(ValueError, match="samples must be at most 8, the model's, got 9"):
        other.samples = 9
    with pytest.raises(TypeError, match="samples must be an integer of at least 1, got 3.5"):
        other.samples = 3.5
    before = optimizer.model.w1.detach().clone()
    own = copied(optimizer)
    moved = stepped(own)
    assert not torch.equal(moved, before) and torch.equal(optimizer.model.w1, before)
    assert torch.equal(stepped(optimizer), moved)


# From a random start


def test_look_back_grows_and_then_alternates():
    schedule = training.LookBack(512)
    sizes = [schedule.size(step) for step in range(schedule.growth + 2 * schedule.round)]
    assert sizes[0] == 4 and sizes[12] == 8 and schedule.growth == 84
    assert sizes[: schedule.growth] == sorted(sizes[: schedule.growth])
    assert sizes[84:] == 2 * ([256] * 10 + [512] * 12)
    assert [training.LookBack(n).size(0) for n in (1, 2, 3)] == [1, 2, 2]
    with pytest.raises(ValueError, match="half must be at least 1, got 0"):
        training.LookBack(8, half=0)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 64, 300])
def test_every_bin_is_found_and_training_stops_by_itself(n):
    for seed in range(3):
        found = lct_lab.recover(n, seed=seed)
        assert found.filled == n and found.loss < 1e-9
        assert found.stopped.startswith("reached 1e-10 at step")


@pytest.mark.parametrize("n, options", [(64, {}), (200, {"batch": 20})])
def test_noise_alone_is_enough(n, options):
    found = lct_lab.recover(n, seed=1, objective="uniform", **options)
    assert found.filled == n and found.loss < 1e-8


def test_untied_sides_find_each_other_from_sorted_starts():
    found = lct_lab.recover(64, seed=0, tied=False)
    assert found.filled == 64 and found.loss < 1e-7


def defects(n):
    """Starts with every gap of a bin but one place, which plain steps do not mend."""
    grid, bin = init.orthogonal(n), np.pi / n
    k = np.arange(n)
    return {
        "half a bin off": (k + 1) * bin,
        "half a bin off, below": k * bin,
        "a vacancy and a crowded bin": np.sort(np.where(k == 10, grid[40] + bin / 100, grid)),
        "a vacancy and a kink": grid + np.where((k > 10) & (k < 40), bin, 0),
    }


@pytest.mark.parametrize("kind", defects(64))
def test_a_look_back_mends_what_all_samples_hold_in_place(kind):
    n, w = 512, defects(512)[kind]
    options = dict(w=w, seed=0, every=1)
    held = lct_lab.recover(n, **options, schedule=training.Constant(n), steps=60)
    assert held.loss > 0.9 / n
    mended = lct_lab.recover(n, **options, schedule=training.LookBack(n, start=n), steps=60)
    assert mended.filled == n and mended.loss < 1e-9


def test_training_that_cannot_go_on_stops_and_returns_the_best():
    crowd = np.full(128, 1.0)  # whose gradients are equal
    found = lct_lab.recover(128, w=crowd, steps=500)
    assert "no lower loss in 22 steps, at step" in found.stopped and len(found.history) < 500
    full = found.history.query("size == 128")["loss"]
    assert found.loss <= full.min() + 1e-9


def test_a_start_of_ones_own():
    w = np.sort(np.random.default_rng(3).uniform(0, np.pi, 32))
    model = models.LCT(32, 32, tied=True, seed=0, dtype=torch.float64)
    model.w1.data = torch.tensor(w)
    found = lct_lab.recover(32, model=model)
    assert found.model is model
    assert lct_lab.recover(32, w=w).history.equals(found.history)
    pair = lct_lab.recover(8, w=(w[::4], w[1::4]), tied=False, steps=5)
    assert not pair.model.tied


@pytest.mark.parametrize(
    "options, error, words",
    [
        ({"w": np.zeros(7)}, ValueError, r"w must be of shape \(m,\) = \(8,\) a side, got \(7,\)"),
        ({"w": [np.nan] * 8}, ValueError, "w must be finite, got a NaN or an infinity"),
        ({"w": "abc"}, TypeError, "w must be real numbers, got str"),
        ({"w": np.zeros(8, complex)}, TypeError, "w must be real numbers, got ndarray of complex"),
        ({"w": [True] * 8}, TypeError, "w must be real numbers, got list of bool"),
        ({"w": np.zeros(8), "tied": False}, ValueError, "w must be two vectors of m = 8 freq"),
        ({"tied": False, "init": "shuffled"}, ValueError, "must start from sorted frequencies"),
        (
            {"w": (np.arange(8.0), np.arange(8.0)[::-1]), "tied": False},
            ValueError,
            "far apart never meet; got w2 falling after entry 0",
        ),
        ({"model": models.LCT(9, 9)}, ValueError, "model must have the n = 8 .*, got 9 and 9"),
        ({"model": torch.nn.Linear(2, 2)}, TypeError, "model must be an LCT, got Linear"),
        ({"patience": 0}, ValueError, "patience must be at least 1, got 0"),
        ({"m": 9, "optimizer": "newton"}, ValueError, "as many frequencies as samples"),
        (
            {"optimizer": np.array(["newton"] * 2)},
            ValueError,
            "optimizer must be one of sgd, adam, newton, got array",
        ),
    ],
)
def test_starts_that_cannot_be(options, error, words):
    with pytest.raises(error, match=words):
        lct_lab.recover(8, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"lr": -1},
        {"w": (np.arange(8.0), np.arange(8.0)[::-1])},
        {"checkpoint": "/nowhere/state.pt"},
        {"steps": 5, "schedule": training.Constant(9)},
        {"optimizer": "sgd", "rule": "equal", "steps": 5},
    ],
)
def test_what_does_not_begin_leaves_the_model_as_it_was(options):
    model = models.LCT(8, 8, seed=3, dtype=torch.float64)
    before = [p.detach().clone() for p in model.parameters()]
    with pytest.raises(ValueError):
        lct_lab.recover(8, model=model, **{"w": (np.arange(8.0),) * 2} | options)
    assert all(map(torch.equal, before, model.parameters()))


def test_sides_of_unequal_length_are_a_sentence():
    with pytest.raises(ValueError, match="w must have sides of m = 4 each, got unequal ones"):
        training.recover(4, tied=False, w=[[1, 2, 3, 4], [1, 2, 3]])


def test_a_group_of_foreign_parameters_is_refused():
    optimizer = training.SineNewton(models.LCT(8, 8))
    with pytest.raises(ValueError, match="param_group must be one of the model's parameters"):
        optimizer.add_param_group({"params": [torch.zeros(1, requires_grad=True)]})


@pytest.mark.parametrize("other, words", [(dict(n=64), "samples"), (dict(n=32), "parameters")])
def test_the_state_of_another_model_is_refused_and_nothing_moves(other, words):
    models_ = [models.LCT(n, n, tied=True, seed=1) for n in (other["n"], 32)]
    if other["n"] == 32:
        models_[0].a1.requires_grad_(False)
    theirs, own = map(training.SineNewton, models_)
    before = own.state_dict()
    with pytest.raises(ValueError, match=words):
        own.load_state_dict(theirs.state_dict())
    assert own.state_dict() == before
