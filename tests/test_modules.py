"""Any module is measured as the transform is, without touching torch's generator."""

import numpy as np
import pytest
import torch

import lct_lab
from lct_lab.modules import probe_module


def mlp(width):
    return torch.nn.Sequential(
        torch.nn.Linear(8, width), torch.nn.ReLU(), torch.nn.Linear(width, 1)
    )


def windows(n, generator):
    return torch.rand(1, n, generator=generator, dtype=torch.float64) * 2 - 1


def transform(n):
    return lct_lab.LCT(n, n, dtype=torch.float64)


def test_the_transform_as_any_module_has_the_scales_that_probe_finds():
    options = dict(batch=windows, loss=lambda model, x: model.loss(x), inits=300)
    found = probe_module(transform, [64], **options)
    assert found.equals(probe_module(transform, [64], **options))
    by_module = found.groupby("group")["rms"].median()
    by_probe = lct_lab.probe(64, 64, inits=300).groupby("group")["rms"].median()
    apart = np.abs(np.log(by_module / by_probe))
    assert (apart[["a2", "a4", "w1", "w2"]] < 0.2).all()


def test_a_row_is_what_it_says_and_of_its_own_size_and_init_alone():
    options = dict(batch=lambda n, g: torch.ones(n, 8), loss=lambda f, x: f(x).square().mean())
    found = probe_module(mlp, [4, 6], inits=3, seed=5, **options)
    alone = probe_module(mlp, [6], inits=2, seed=5, **options)
    again = found.query("size == 6 and init < 2").reset_index(drop=True)
    assert alone.equals(again)
    stream = np.random.SeedSequence(5, spawn_key=(6, 1)).generate_state(2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(stream[0]))
        module = mlp(6)
    module(torch.ones(6, 8)).square().mean().backward()
    row = alone.query("init == 1 and group == '0.weight'").iloc[0]
    g = module[0].weight.grad.double().numpy()
    sizes = [g.mean(), np.sqrt(np.mean(g**2)), abs(g).mean(), np.median(abs(g)), abs(g).max()]
    columns = ["mean", "rms", "mean_abs", "median_abs", "max_abs"]
    assert row[columns].to_numpy(float) == pytest.approx(sizes)


class Bowl(torch.nn.Module):
    """One vector of weights, whose loss below is quadratic."""

    def __init__(self, size):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(size))


def test_curvature_of_a_quadratic_is_exact():
    options = dict(batch=lambda n, g: torch.arange(1.0, n + 1), inits=2, curvature=2)
    found = probe_module(Bowl, [3, 5], loss=lambda f, x: (x * f.weight**2).sum(), **options)
    assert found["curvature"].tolist() == pytest.approx([4.0, 4.0, 6.0, 6.0])


def test_cross_terms_of_the_curvature_average_out():
    """Σ w² + (Σ w)²/2 has the curvature 2 + 1 everywhere; a single draw sees cross terms."""
    options = dict(batch=lambda n, g: None, inits=1)

    def loss(f, _):
        return f.weight.square().sum() + f.weight.sum().square() / 2

    one = probe_module(Bowl, [4], loss=loss, curvature=1, **options)["curvature"].item()
    many = probe_module(Bowl, [4], loss=loss, curvature=400, **options)["curvature"].item()
    assert one != pytest.approx(3.0) and many == pytest.approx(3.0, abs=0.2)


def test_a_parameter_that_the_loss_is_linear_in_has_no_curvature():
    options = dict(batch=lambda n, g: torch.ones(2, 8), inits=1, curvature=1)
    found = probe_module(mlp, [4], loss=lambda f, x: f(x).sum(), **options)
    assert found.set_index("group").loc["2.bias", "curvature"] == 0
    line = probe_module(Bowl, [4], loss=lambda f, x: f.weight.sum(), **options)
    assert line["curvature"].tolist() == [0]


def test_torchs_generator_is_left_as_it_was():
    before = torch.get_rng_state()
    options = dict(batch=lambda n, g: torch.randn(2, 8, generator=g), inits=1, curvature=1)
    probe_module(mlp, [4], loss=lambda f, x: f(x).sum(), **options)
    assert torch.equal(before, torch.get_rng_state())


class Cuda:
    """Two devices' generators that are numbers; each draw adds one."""

    def __init__(self, monkeypatch, in_use):
        self.in_use, self.states = in_use, [70, 80]
        for name, function in {
            "is_initialized": lambda: self.in_use,
            "device_count": lambda: len(self.states),
            "get_rng_state": self.states.__getitem__,
            "set_rng_state": lambda state, device: self.states.__setitem__(device, state),
            "manual_seed_all": lambda seed: self.states.__setitem__(slice(None), [seed, seed]),
        }.items():
            monkeypatch.setattr(torch.cuda, name, function)

    def draw(self):
        self.in_use = True
        self.states[1] += 1
        return self.states[1]


def test_generators_of_cuda_are_seeded_by_init_and_put_back(monkeypatch):
    cuda, drawn = Cuda(monkeypatch, in_use=True), []
    options = dict(batch=lambda n, g: drawn.append(cuda.draw()), seed=3)
    for inits in (3, 2):
        probe_module(Bowl, [4], loss=lambda f, x: f.weight.sum(), inits=inits, **options)
        assert cuda.states == [70, 80]
    assert drawn[:2] == drawn[3:] and len(set(drawn)) == 3


def test_curvature_takes_its_signs_from_the_processor():
    options = dict(batch=lambda n, g: None, loss=lambda f, x: (f.weight.sum() ** 4).sum())
    expected = probe_module(Bowl, [4], inits=2, curvature=3, **options)

    def bowl(n):
        made = Bowl(n)
        torch.set_default_device("meta")  # from here on, as a GPU would be
        return made

    try:
        found = probe_module(bowl, [4], inits=1, curvature=3, **options)
    finally:
        torch.set_default_device(None)
    assert found.equals(expected.query("init == 0"))


def test_cuda_that_is_first_used_by_an_init_gives_the_same_rows(monkeypatch):
    cuda = Cuda(monkeypatch, in_use=False)
    options = dict(inits=2, loss=lambda f, x: (f.weight * x).sum())
    probe_module(Bowl, [4], batch=lambda n, g: 1.0, **options)
    assert cuda.states == [70, 80] and not cuda.in_use
    first, again = (
        probe_module(Bowl, [4], batch=lambda n, g: float(cuda.draw()), **options) for _ in range(2)
    )
    assert first.equals(again)


@pytest.mark.parametrize("without", [torch.no_grad, torch.inference_mode])
def test_gradients_are_taken_where_the_caller_has_none(without):
    options = dict(loss=lambda f, x: f(x).square().mean(), inits=2, curvature=1)
    options["batch"] = lambda n, g: torch.ones(2, 8)
    with without():
        found = probe_module(mlp, [4], **options)
        assert not torch.is_grad_enabled()
    assert found.equals(probe_module(mlp, [4], **options))


def frozen(width, layers=2):
    module = mlp(width)
    for layer in list(module)[:layers]:
        layer.requires_grad_(False)
    return module


def test_frozen_parameters_are_left_out():
    options = dict(batch=lambda n, g: torch.ones(8), loss=lambda f, x: f(x))
    found = probe_module(frozen, np.array([4]), inits=1, **options)
    assert set(found["group"]) == {"2.weight", "2.bias"}


@pytest.mark.parametrize(
    "change, error, words",
    [
        ({"build": lambda n: n}, TypeError, "build must return a torch module, got int"),
        ({"build": None}, TypeError, "build must be a function, got None"),
        (
            {"build": lambda n: torch.nn.ReLU()},
            ValueError,
            "build must return a module with parameters that require",
        ),
        (
            {"build": lambda n: frozen(n, 3)},
            ValueError,
            "build must return a module with parameters that require",
        ),
        ({"sizes": 3}, TypeError, "sizes must be a list of at least one size, got 3"),
        ({"sizes": []}, TypeError, r"sizes must be a list of at least one size, got \[\]"),
        ({"sizes": [4, 2.5]}, TypeError, "sizes must be an integer of at least 1, got 2.5"),
        ({"batch": 3}, TypeError, "batch must be a function, got 3"),
        (
            {"loss": lambda f, x: f(x)},
            TypeError,
            r"loss must return a scalar tensor .* got shape \(2, 1\)",
        ),
        (
            {"loss": lambda f, x: f(x).sum().item()},
            TypeError,
            "loss must return a scalar tensor .* got float",
        ),
        (
            {"loss": lambda f, x: x.sum()},
            TypeError,
            r"scalar tensor that depends on the parameters, got shape \(\) without a gradient",
        ),
        (
            {"loss": torch.no_grad()(lambda f, x: f(x).sum())},
            TypeError,
            r"scalar tensor that depends on the parameters, got shape \(\) without a gradient",
        ),
        (
            {"build": lambda n: torch.nn.Linear(8, n, dtype=torch.complex64)},
            TypeError,
            "build must return a module of real parameters, got weight of torch.complex64",
        ),
        (
            {"build": lambda n: Bowl(0)},
            ValueError,
            "build must return a module whose parameters have entries, got none in weight",
        ),
        (
            {"build": lambda n: torch.nn.LazyLinear(n)},
            ValueError,
            "build must return a module whose parameters have entries, got none in weight",
        ),
        (
            {"build": lambda n: torch.nn.Linear(8, 2, device="meta")},
            ValueError,
            "build must return a module with numbers, got weight on meta",
        ),
        ({"sizes": np.array(3)}, TypeError, "sizes must be a list of at least one size, got arr"),
        (
            {"loss": lambda f, x: (f(x) * torch.nan).sum()},
            ValueError,
            "loss must return a finite number, got nan",
        ),
        (
            {"build": Bowl, "loss": lambda f, x: (0 * f.weight).sqrt().sum()},
            ValueError,
            "loss must have finite gradients, got a NaN or an infinity in that of weight",
        ),
        (
            {"loss": lambda f, x: (f(x) * 1j).sum()},
            TypeError,
            "loss must return a real scalar tensor, got torch.complex64",
        ),
    ],
)
def test_bad_input_to_probe_module(change, error, words):
    given = (
        dict(
            build=mlp, sizes=[4], batch=lambda n, g: torch.ones(2, 8), loss=lambda f, x: f(x).sum()
        )
        | change
    )
    with pytest.raises(error, match=words):
        probe_module(given.pop("build"), given.pop("sizes"), **given)


def test_sparse_gradients_are_measured_as_dense_ones():
    def build(sparse):
        return lambda n: torch.nn.Embedding(n, 3, sparse=sparse)

    options = dict(batch=lambda n, g: torch.tensor([0, 2]), loss=lambda f, x: f(x).pow(4).sum())
    options |= {"curvature": 3}
    found, expected = (probe_module(build(s), [5], inits=2, **options) for s in (True, False))
    assert found.equals(expected)
