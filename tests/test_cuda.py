"""On a GPU: the processor's numbers, the same sentences, and generators left as they were."""

import numpy as np
import pytest
import torch

from lct_lab import LCT, gradients, nufft, probe
from lct_lab.modules import probe_module
from lct_lab.training import expected_loss, filled_bins, fit, recover

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
PRECISION = [(torch.float64, 1e-11), (torch.float32, 2e-4)]
N, M = 90, 70


def both(dtype, **options):
    """A model on the processor, and the same on the GPU."""
    here = LCT(N, M, seed=3, dtype=dtype, **options)
    there = LCT(N, M, seed=3, dtype=dtype, device="cuda", **options)
    return here, there


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("dtype, close", PRECISION)
def test_a_model_and_its_gradients_are_the_processors(dtype, close, tied):
    here, there = both(dtype, tied=tied)
    x = torch.randn(5, N, dtype=dtype, generator=torch.Generator().manual_seed(0))
    for (name, p), q in zip(here.named_parameters(), there.parameters(), strict=True):
        assert q.is_cuda and torch.equal(p, q.cpu()), name
    losses = here.loss(x), there.loss(x.cuda())
    for loss in losses:
        loss.backward()
    assert losses[1].item() == pytest.approx(losses[0].item(), rel=close)
    for (name, p), q in zip(here.named_parameters(), there.named_parameters(), strict=True):
        size = p.grad.abs().max()
        torch.testing.assert_close(q[1].grad.cpu(), p.grad, rtol=0, atol=close * size, msg=name)


@pytest.mark.parametrize("tied", [False, True])
def test_second_derivatives_and_the_expected_loss_are_the_processors(tied):
    found = []
    for model in both(torch.float64, tied=tied):
        parameters = list(model.parameters())
        loss = expected_loss(N, *parameters)
        slopes = torch.autograd.grad(loss, parameters, create_graph=True)
        size = sum(slope.square().sum() for slope in slopes)
        second = torch.autograd.grad(size, parameters)
        found.append([value.detach().cpu() for value in (loss, *slopes, *second)])
        assert filled_bins(model.w1, N) == filled_bins(model.w1.detach().cpu(), N)
    for here, there in zip(*found, strict=True):
        torch.testing.assert_close(there, here, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype, close", PRECISION)
@pytest.mark.parametrize("options", [{}, {"tied": True}, {"batch": 7, "init": "jittered"}])
def test_rows_of_probe_are_the_processors(dtype, close, options):
    options = dict(inits=6, dtype=dtype, **options)
    here, there = (probe(N, M, device=device, **options) for device in ("cpu", "cuda"))
    assert there.attrs["device"] == "cuda"
    for column in ("rms", "median_abs", "loss"):
        size = here.groupby("group")[column].transform("max")
        assert np.abs(there[column] - here[column]).le(close * size).all(), column


def test_gradients_by_hand_are_the_processors():
    here, there = both(torch.float64)
    x = torch.randn(4, N, dtype=torch.float64)
    of_here = gradients(x, *(p.detach() for p in here.parameters()))
    of_there = gradients(x.cuda(), *(p.detach() for p in there.parameters()))
    for one, other in zip(of_here, of_there, strict=True):
        assert other.is_cuda
        torch.testing.assert_close(other.cpu(), one, rtol=1e-10, atol=1e-8)


def test_a_probe_of_modules_leaves_the_generators_and_has_the_processors_rows():
    def rows(device):
        return probe_module(
            lambda n: LCT(n, n, dtype=torch.float64).to(device),
            [32],
            batch=lambda n, generator: torch.randn(4, n, dtype=torch.float64, generator=generator),
            loss=lambda model, x: model.loss(x.to(device)),
            inits=2,
            curvature=2,
        )

    torch.cuda.manual_seed(5)
    before = torch.cuda.get_rng_state()
    here, there = rows("cpu"), rows("cuda")
    assert torch.equal(before, torch.cuda.get_rng_state())
    for column in here.select_dtypes(float):
        np.testing.assert_allclose(there[column], here[column], rtol=1e-9, err_msg=column)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("tied", [False, True])
def test_what_is_not_finite_is_a_sentence(value, tied):
    model = LCT(N, M, seed=1, tied=tied, device="cuda", dtype=torch.float64)
    with torch.no_grad():
        model.w1[3] = value
    x = torch.randn(2, N, dtype=torch.float64, device="cuda")
    with pytest.raises(ValueError, match="w must be finite"):
        model(x)
    with pytest.raises(ValueError, match="w1 must be finite"):
        expected_loss(N, *model.parameters())


def test_what_does_not_fit_is_a_sentence():
    model = LCT(N, M, seed=1, device="cuda", dtype=torch.float64)
    x = torch.randn(2, N, dtype=torch.float64)
    with pytest.raises(TypeError, match="w must have the device of x, cpu, got cuda:0"):
        model(x)
    with pytest.raises(ValueError, match="model must be on the cpu, got .* on cuda:0"):
        fit(model, steps=1, lr=0.1)
    with pytest.raises(ValueError, match="device must be cpu or one of the"):
        LCT(N, M, device=f"cuda:{torch.cuda.device_count()}")


def test_large_sizes_are_dense_without_cufinufft():
    missing = nufft.missing("cuda")
    model = LCT(3000, 2000, seed=1, device="cuda", dtype=torch.float64)
    x = torch.randn(3, 3000, dtype=torch.float64)
    engines = ["dense", "auto"] if missing else ["dense", "auto", "nufft"]
    oracle = LCT(3000, 2000, seed=1, dtype=torch.float64)(x)
    for model.engine in engines:
        torch.testing.assert_close(model(x.cuda()).cpu(), oracle, rtol=1e-8, atol=1e-8)
    if missing:
        model.engine = "nufft"
        with pytest.raises(RuntimeError, match="needs cufinufft"):
            model(x.cuda())


def test_where_the_gpu_is_torchs_default_recover_still_trains_on_the_processor():
    expected = recover(40, tied=True, seed=1, steps=3).history
    torch.set_default_device("cuda")
    try:
        found = recover(40, tied=True, seed=1, steps=3)
    finally:
        torch.set_default_device(None)
    assert found.model.w1.is_cpu
    assert found.history.equals(expected)
