"""The model is its two transforms, and its gradients by hand are autograd's."""

import io

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import lct_lab
from lct_lab import training


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("engine", ["dense", "nufft"])
@given(
    n=st.integers(1, 20), m=st.integers(1, 20), batch=st.integers(1, 3), seed=st.integers(0, 2**32)
)
def test_hand_gradients_and_homogeneity(tied, engine, n, m, batch, seed):
    model = lct_lab.LCT(n, m, tied=tied, seed=seed, dtype=torch.float64, engine="dense")
    x = torch.randn(batch, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    loss = model.loss(x)
    loss.backward()
    found = lct_lab.gradients(x, *model.parameters(), engine=engine)
    assert torch.allclose(found.loss, loss.detach(), rtol=1e-9, atol=1e-9)
    for name, parameter in model.named_parameters():
        assert torch.allclose(getattr(found, name), parameter.grad, rtol=1e-8, atol=1e-8), name
    assert (found.w2 is None) == tied
    with torch.no_grad():
        y = model(x)
        sides = (
            model.a1 * found.a1 + model.a2 * found.a2,
            model.a3 * found.a3 + model.a4 * found.a4,
            2 * (y * (y - x)).sum(-1).mean(),
        )
    assert sides[0].item() == pytest.approx(sides[1].item(), abs=1e-8)
    assert sides[0].item() == pytest.approx(sides[2].item(), abs=1e-8)


def test_the_orthogonal_start_is_stationary_and_reconstructs():
    model, x = (
        lct_lab.LCT(64, 64, init="orthogonal", dtype=torch.float64),
        torch.randn(3, 64, dtype=torch.float64),
    )
    model.loss(x).backward()
    assert torch.allclose(model(x), x, atol=1e-9)
    assert all(p.grad.abs().max() < 1e-8 for p in model.parameters())


def test_parameters_and_seeds():
    model = lct_lab.LCT(8, 5, seed=3)
    assert [name for name, _ in model.named_parameters()] == ["a1", "a2", "a3", "a4", "w1", "w2"]
    assert [name for name, _ in lct_lab.LCT(8, 5, tied=True).named_parameters()] == [
        "a1",
        "a2",
        "a3",
        "a4",
        "w1",
    ]
    assert (
        model.w1.dtype == torch.get_default_dtype()
        and lct_lab.LCT(8, 5, dtype=torch.float64).a1.dtype == torch.float64
    )
    again = lct_lab.LCT(8, 5, seed=3)
    assert all(
        torch.equal(p, q) for p, q in zip(model.parameters(), again.parameters(), strict=True)
    )
    torch.manual_seed(0)
    first = lct_lab.LCT(8, 5)
    torch.manual_seed(0)
    assert torch.equal(first.w1, lct_lab.LCT(8, 5).w1) and not torch.equal(first.w1, model.w1)
    assert model.loss(torch.ones(0, 8)).isnan() and model(torch.ones(0, 8)).shape == (0, 8)
    assert "n=8, m=5" in repr(model)
    numbers = lct_lab.LCT(np.int64(8), np.uint8(5), seed=np.int64(3), tied=np.bool_(False))
    assert (
        repr(numbers) == repr(model)
        and torch.equal(numbers.w2, model.w2)
        and type(numbers.n) is int
    )
    assert "of an empty batch, nan" in lct_lab.LCT.loss.__doc__


def test_the_seed_is_the_processors_whatever_the_default_device():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        usual = lct_lab.LCT(8, 5), lct_lab.LCT(8, 5)
        torch.manual_seed(1)
        with torch.device("meta"):
            bare = lct_lab.LCT(8, 5)
        second = lct_lab.LCT(8, 5)
    assert all(p.is_meta for p in bare.parameters())
    assert [p.shape for p in bare.parameters()] == [p.shape for p in second.parameters()]
    assert torch.equal(second.w1, usual[1].w1) and not torch.equal(second.w1, usual[0].w1)
    bare.load_state_dict(usual[0].state_dict(), assign=True)
    assert torch.equal(bare(torch.ones(8)), usual[0](torch.ones(8)))


@pytest.mark.parametrize("engine", ["dense", "nufft"])
@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_a_converted_model_says_what_precision_it_needs(kind, engine):
    dtype = getattr(torch, kind)
    model = lct_lab.LCT(8, 8, engine=engine, seed=0).to(dtype)
    for x in (torch.ones(8, dtype=dtype), torch.ones(8)):
        for method in (model, model.analyze, model.synthesize, model.loss):
            words = f"model must be of torch.float32 or torch.float64, got torch.{kind}"
            with pytest.raises(TypeError, match=words):
                method(x)
    assert model.float().loss(torch.ones(8)).dtype == torch.float32
    words = "x must have the dtype of the model, torch.float64, got torch.float32"
    with pytest.raises(TypeError, match=words):
        model.double().loss(torch.ones(8))


@pytest.mark.parametrize("engine", ["dense", "nufft"])
@pytest.mark.parametrize("tied", [False, True])
def test_a_model_whose_training_went_astray_says_so(engine, tied):
    model = lct_lab.LCT(8, 5, engine=engine, tied=tied, seed=0)
    for name, parameter in model.named_parameters():
        before = parameter.detach().clone()
        parameter.data.view(-1)[0] = float("nan")
        with pytest.raises(ValueError, match=f"{name[0]}.? must be finite"):
            model.loss(torch.ones(8))
        parameter.data.copy_(before)


@pytest.mark.parametrize(
    "change, error, words",
    [
        ({"n": 0}, ValueError, "n must be at least 1, got 0"),
        ({"m": 2.5}, TypeError, "m must be an integer"),
        (
            {"init": "sorted"},
            ValueError,
            "init must be one of random, shuffled, orthogonal, jittered, got 'sorted'",
        ),
        ({"engine": "fft"}, ValueError, "engine must be one of"),
        ({"seed": -1}, ValueError, "seed must be at least 0, got -1"),
        ({"dtype": torch.int64}, TypeError, "dtype must be torch.float32 or torch.float64"),
        (
            {"device": "gpu"},
            ValueError,
            "device must be cpu or one of the . CUDA devices here, got 'gpu'",
        ),
        ({"device": "cuda:99"}, ValueError, "device must be cpu or .* got 'cuda:99'"),
        ({"device": "meta"}, ValueError, "device must be cpu or .* got 'meta'"),
        ({"tied": "no"}, TypeError, "tied must be True or False, got 'no'"),
        ({"tied": None}, TypeError, "tied must be True or False, got None"),
    ],
)
def test_bad_input(change, error, words):
    with pytest.raises(error, match=words):
        lct_lab.LCT(**{"n": 8, "m": 5, **change})
    with pytest.raises(ValueError, match="x must have 8 samples along its last axis, got 7"):
        lct_lab.LCT(8, 5)(torch.ones(7))


def test_a_state_of_another_n_is_refused_and_one_without_n_is_taken():
    short, long = (torch.nn.Sequential(lct_lab.LCT(n, 8)) for n in (4, 8))
    buffer = io.BytesIO()
    torch.save(short.state_dict(), buffer)
    buffer.seek(0)
    state = torch.load(buffer, weights_only=True)
    assert list(state) == [name for name, _ in short.named_parameters()]
    before = [p.detach().clone() for p in long.parameters()]
    for model, other in ((long, state), (long[0], short[0].state_dict())):
        with pytest.raises(RuntimeError, match="must be of an LCT with n = 8, got n = 4"):
            model.load_state_dict(other)
    assert all(map(torch.equal, before, long.parameters()))
    torch.nn.Sequential(lct_lab.LCT(4, 8)).load_state_dict(state)
    long.load_state_dict(dict(state))  # as states were before n was in them
    assert torch.equal(long[0].w1, short[0].w1)


def inside_torch_func(model, x):
    """Ways to ask torch.func for derivatives of a model, by name."""
    parameters = dict(model.named_parameters())

    def loss(values, x):
        return torch.func.functional_call(model, values, (x,)).square().sum()

    def expected(w):
        return training.expected_loss(model.n, 1.0, 1.0, 1.0, 1.0, w)

    return {
        "grad": lambda: torch.func.grad(loss)(parameters, x),
        "grad by a1 alone": lambda: torch.func.grad(lambda a1: loss(parameters | {"a1": a1}, x))(
            model.a1
        ),
        "vmap": lambda: torch.func.vmap(model)(x),
        "jacrev": lambda: torch.func.jacrev(model)(x),
        "jvp": lambda: torch.func.jvp(model, (x,), (x,)),
        "expected loss": lambda: torch.func.grad(expected)(model.w1.detach()),
    }


@pytest.mark.parametrize("engine", ["dense", "nufft"])
@pytest.mark.parametrize("tied", [False, True])
def test_torch_func_and_batches_of_gradients_are_one_sentence(engine, tied):
    model = lct_lab.LCT(8, 5, engine=engine, tied=tied, seed=0)
    x = torch.ones(3, 8)
    for name, ask in inside_torch_func(model, x).items():
        with pytest.raises(TypeError, match="must be a tensor outside torch.func .* use backward"):
            ask()
            pytest.fail(name)
    jacobian = torch.autograd.functional.jacobian
    with pytest.raises(TypeError, match="gradients of the transform must be taken one at a time"):
        jacobian(model, x[0], vectorize=True)
    by_columns = torch.stack([model(column) for column in torch.eye(8)], 1)
    assert torch.allclose(jacobian(model, x[0]), by_columns, atol=1e-5)


def test_torch_compile_takes_any_batch_and_changes_no_bit(recwarn):
    lct = lct_lab.LCT(8, 5, engine="nufft", seed=0)
    plain = torch.nn.Sequential(torch.nn.Linear(8, 8), lct, torch.nn.Tanh())
    compiled = torch.compile(plain, backend="eager")
    for shape in ((3, 8), (5, 8), (8,)):
        x = torch.ones(shape)
        slopes = [
            torch.autograd.grad(model(x).sum(), list(plain.parameters()))
            for model in (plain, compiled)
        ]
        assert torch.equal(compiled(x), plain(x))
        assert all(map(torch.equal, *slopes))
    by_hand = torch.compile(lambda x: lct_lab.gradients(x, *lct.parameters()), backend="eager")
    assert torch.equal(
        by_hand(torch.ones(3, 8)).w2, lct_lab.gradients(torch.ones(3, 8), *lct.parameters()).w2
    )
    assert not [warning for warning in recwarn if "Dynamo" in str(warning.message)]
