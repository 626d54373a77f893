"""The expected loss is the definition's; training finds the DCT, or says why not."""

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


@pytest.mark.parametrize("seed", range(4))
def test_recovery_fills_every_bin_where_plain_descent_stalls(seed):
    found = lct_lab.recover(64, seed=seed, steps=600)
    assert found.filled == 64 and found.loss < 1e-4
    folded = np.sort(np.abs((found.model.w1.detach().numpy() + np.pi) % (2 * np.pi) - np.pi))
    assert np.abs(folded - init.orthogonal(64)).max() * 64 / np.pi < 0.45
    plain = lct_lab.recover(64, seed=seed, steps=600, schedule=training.Constant(64))
    assert plain.filled < 64 and plain.loss > 10 * found.loss


def test_untied_needs_sorted_starts():
    assert lct_lab.recover(32, seed=0, tied=False, steps=800).loss < 1e-3
    assert lct_lab.recover(32, seed=0, tied=False, steps=800, init="shuffled").loss > 0.1


@pytest.mark.parametrize("m, bound", [(16, 0.5), (64, 0.0)])
def test_fewer_or_more_frequencies_reach_the_bound(m, bound):
    found = lct_lab.recover(32, m, seed=1, steps=1500)
    assert bound - 1e-9 <= found.loss <= bound + 1e-4


def test_sampled_noise_is_enough():
    assert lct_lab.recover(32, seed=0, steps=800, objective="uniform", batch=50).loss < 1e-3


def test_a_checkpoint_continues_to_the_same_bytes(tmp_path):
    options = dict(steps=60, lr=0.04, schedule=training.CoarseToFine(16, 60), every=10, seed=2)
    build = lambda: models.LCT(16, 16, tied=True, seed=5, dtype=torch.float64)  # noqa: E731
    whole = training.fit(build(), **options)
    path = tmp_path / "state.pt"
    training.fit(build(), **{**options, "steps": 31}, checkpoint=path)
    again = training.fit(build(), **options, checkpoint=path)
    assert again.loss == whole.loss and all(
        map(torch.equal, again.model.parameters(), whole.model.parameters())
    )
    assert (
        again.history.equals(whole.history[whole.history["step"] != 59])
        or again.history["loss"].iloc[-1] == whole.history["loss"].iloc[-1]
    )
    before = path.read_bytes()
    with pytest.raises(
        ValueError, match=r"checkpoint must be of shape \[8, 8, True\], got \[16, 16, True\]"
    ):
        training.fit(
            models.LCT(8, 8, tied=True, seed=0), **{**options, "schedule": None}, checkpoint=path
        )
    assert path.read_bytes() == before


def test_an_exploding_loss_ends_with_the_last_good_state():
    model = models.LCT(16, 16, tied=True, seed=0, dtype=torch.float64)
    found = training.fit(model, steps=500, lr=1e3, optimizer="sgd", rule="raw")
    assert "the loss is not finite, and" in found.stopped
    assert all(torch.isfinite(p).all() for p in model.parameters())


def test_early_stop():
    assert lct_lab.recover(16, steps=2000, target=1e-2, every=5).stopped.startswith(
        "reached 0.01 at step"
    )


def test_a_checkpoint_keeps_paths_and_the_end(tmp_path):
    options = dict(steps=2000, target=1e-2, every=5, paths=True)
    whole = lct_lab.recover(16, **options)
    for target in (0.5, 1e-2, 1e-2):  # stopped early, gone on with, and asked for once more
        again = lct_lab.recover(
            16, **{**options, "target": target}, checkpoint=tmp_path / "state.pt"
        )
    assert again.stopped == whole.stopped and again.history.equals(whole.history)
    assert np.array_equal(again.paths, whole.paths) and torch.equal(again.model.w1, whole.model.w1)


@pytest.mark.parametrize(
    "options, error, words",
    [
        ({"n": 0}, ValueError, "n must be at least 1"),
        ({"n": 8, "m": -1}, ValueError, "m must be at least 1"),
        ({"n": 8, "m": 0}, ValueError, "m must be at least 1, got 0"),
        ({"n": 8, "tied": "no"}, TypeError, "tied must be True or False, got 'no'"),
        ({"n": 8, "foo": 1}, TypeError, r"recover\(\) got an unexpected keyword argument 'foo'"),
        (
            {"n": 8, "model": 1},
            TypeError,
            r"recover\(\) got an unexpected keyword argument 'model'",
        ),
        ({"n": 8, "seed": "a"}, TypeError, "seed must be an integer of at least 0, got 'a'"),
        ({"n": 8, "batch": 0}, ValueError, "batch must be at least 1, got 0"),
        ({"n": 8, "steps": 0}, ValueError, "steps must be at least 1"),
        (
            {"n": 8, "rule": "best"},
            ValueError,
            "rule must be one of raw, original, equal, curvature",
        ),
        ({"n": 8, "lr": -1.0}, ValueError, "lr must be a positive number, got -1.0"),
        ({"n": 8, "objective": "noise"}, ValueError, "signal must be an array or one of"),
        ({"n": 8, "optimizer": "lbfgs"}, ValueError, "optimizer must be one of sgd, adam"),
    ],
)
def test_bad_input(options, error, words):
    with pytest.raises(error, match=words):
        lct_lab.recover(**options)


def test_fit_takes_an_lct_and_numpy_integers():
    with pytest.raises(TypeError, match="model must be an LCT, got Linear"):
        training.fit(torch.nn.Linear(2, 2), steps=1, lr=1.0)
    assert (
        lct_lab.recover(np.int64(8), np.int64(8), steps=np.int64(9)).loss
        == lct_lab.recover(8, steps=9).loss
    )
