"""Gradients of any torch module over random inits and sizes: rows like those of `probe`."""

from contextlib import contextmanager

import numpy as np
import torch

from lct_lab import checks
from lct_lab.probes import _summaries


def probe_module(build, sizes, *, batch, loss, inits=10, seed=0, curvature=0):
    """Gradients of every named parameter of any torch module over random inits and sizes.

    Parameters
    ----------
    build : size -> module, drawing its init from torch's generator; frozen parameters are left out.
    sizes : list of sizes. batch : (size, torch Generator) -> input of `loss`.
    loss : (module, batch) -> scalar tensor; its gradients are taken under torch.no_grad(), too.
    curvature : when positive, as many Rademacher vectors v estimate the Hessian's diagonal,
    E v ⊙ Hv, whose mean over the parameter's entries is the column curvature.

    Returns a DataFrame, one row per size, init and parameter: size, init, group (the parameter's
    name), mean, rms, mean_abs, median_abs, max_abs, loss[, curvature]. Row i of a size depends on
    (seed, size, i) alone. Torch's generator, and those of CUDA where it is in use, are left as they
    were. Raises ValueError or TypeError naming the argument.
    """
    import pandas as pd

    sizes = _require_arguments(build, sizes, batch, loss)
    inits, seed = checks.require_size("inits", inits), checks.require_size("seed", seed, 0)
    curvature = checks.require_size("curvature", curvature, 0)
    rows = []
    for size in sizes:
        for index in range(inits):
            stream = np.random.SeedSequence(seed, spawn_key=(size, index))
            measured = _measured(build, size, batch, loss, curvature, stream)
            rows += [{"size": size, "init": index, **row} for row in measured]
    return pd.DataFrame(rows)


def _measured(build, size, batch, loss, curvature, stream):
    """The rows of one init, whose draws depend on `stream` alone."""
    of_init, of_batch = (int(state) for state in stream.generate_state(2))
    in_use = torch.cuda.is_initialized()
    # no inference mode, and so no torch.no_grad() of the caller's either
    with _seeded(of_init), torch.inference_mode(False):
        module = build(size)
        trained = _require_trained(module)
        drawn = batch(size, torch.Generator().manual_seed(of_batch))
        measured = _gradients(trained, _require_loss(loss(module, drawn)), curvature)
    if torch.cuda.is_initialized() and not in_use:  # by this very init, without a seed: once more
        return _measured(build, size, batch, loss, curvature, stream)
    return measured


@contextmanager
def _seeded(seed):
    """Torch's generators begin at `seed` meanwhile; those of CUDA only where it is in use.

    torch.manual_seed would seed CUDA in any case, now or as soon as it is used.
    """
    in_use = torch.cuda.is_initialized()
    devices = range(torch.cuda.device_count()) if in_use else []
    with torch.random.fork_rng(devices, device_type="cuda"):
        torch.default_generator.manual_seed(seed)
        if in_use:
            torch.cuda.manual_seed_all(seed)
        yield


def _gradients(trained, value, curvature):
    """The rows of one module: of every parameter its gradient's summaries, loss and curvature."""
    parameters = list(trained.values())
    slopes = torch.autograd.grad(
        value, parameters, create_graph=curvature > 0, materialize_grads=True
    )
    found = [slope.to_dense() for slope in slopes]
    rows = []
    for name, gradient in zip(trained, found, strict=True):
        _require_finite("gradients", name, gradient)
        entries = gradient.detach().double().cpu().reshape(1, -1).numpy()
        summary = {column: values.item() for column, values in _summaries(entries).items()}
        rows.append({"group": name, **summary, "loss": value.item()})
    if curvature:
        means = _mean_diagonals(found, parameters, curvature)
        for row, mean in zip(rows, means, strict=True):
            _require_finite("curvatures", row["group"], torch.tensor(mean, device="cpu"))
            row["curvature"] = mean
    return rows


def _require_finite(what, name, values):
    if not torch.isfinite(values.detach()).all():
        raise ValueError(
            f"loss must have finite {what}, got a NaN or an infinity in that of {name}"
        )


def _mean_diagonals(gradients, parameters, draws):
    """Mean over each parameter's entries of the Hessian's diagonal, estimated by E v ⊙ Hv.

    The entries of v are signs, drawn anew `draws` times. No off-diagonal entry survives the mean,
    since E v_i v_j = 0 for i ≠ j. A gradient without a graph is constant and adds nothing.
    """
    means = [0.0] * len(parameters)
    curved = [place for place, gradient in enumerate(gradients) if gradient.requires_grad]
    for _ in range(draws if curved else 0):
        signs = [_signs_like(gradient) for gradient in gradients]
        products = torch.autograd.grad(
            [gradients[place] for place in curved],
            parameters,
            [signs[place] for place in curved],
            retain_graph=True,
            materialize_grads=True,
        )
        for place, (v, Hv) in enumerate(zip(signs, products, strict=True)):
            means[place] += (v * Hv.to_dense()).mean().item() / draws
    return means


def _signs_like(values):
    """Random signs: drawn on the processor, whose generator is the same wherever the values are."""
    signs = torch.randint(2, values.shape, dtype=values.dtype, device="cpu").mul(2).sub(1)
    return signs.to(values.device)


def _require_arguments(build, sizes, batch, loss):
    """Return `sizes` as a list of ints, or raise unless it is one and the others are functions."""
    for name, function in (("build", build), ("batch", batch), ("loss", loss)):
        if not callable(function):
            raise TypeError(f"{name} must be a function, got {function!r}")
    if getattr(sizes, "ndim", 1) == 0 or not hasattr(sizes, "__iter__"):
        raise TypeError(f"sizes must be a list of at least one size, got {sizes!r}")
    checked = [checks.require_size("sizes", size) for size in sizes]
    if not checked:
        raise TypeError(f"sizes must be a list of at least one size, got {checked!r}")
    return checked


def _require_trained(module):
    """Return the module's parameters that require a gradient, by name, or raise."""
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"build must return a torch module, got {type(module).__name__}")
    named = module.named_parameters()
    trained = {name: parameter for name, parameter in named if parameter.requires_grad}
    if not trained:
        raise ValueError(
            "build must return a module with parameters that require a gradient, got none"
        )
    for name, parameter in trained.items():
        if torch.nn.parameter.is_lazy(parameter) or not parameter.numel():
            raise ValueError(
                f"build must return a module whose parameters have entries, got none in {name}"
            )
        if parameter.is_meta:
            raise ValueError(f"build must return a module with numbers, got {name} on meta")
        if parameter.is_complex():
            raise TypeError(
                f"build must return a module of real parameters, got {name} of {parameter.dtype}"
            )
    return trained


def _require_loss(value):
    """Return `value`, or raise unless it is a real scalar tensor with a graph."""
    if not isinstance(value, torch.Tensor) or value.numel() != 1 or not value.requires_grad:
        raise TypeError(
            f"loss must return a scalar tensor that depends on the parameters, got {_kind(value)}"
        )
    if value.is_complex():
        raise TypeError(f"loss must return a real scalar tensor, got {value.dtype}")
    if not torch.isfinite(value):
        raise ValueError(f"loss must return a finite number, got {value.item()}")
    return value


def _kind(value):
    if not isinstance(value, torch.Tensor):
        return type(value).__name__
    return f"shape {tuple(value.shape)}" + ("" if value.requires_grad else " without a gradient")
