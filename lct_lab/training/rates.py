"""Scale rules as ordinary torch parameter groups."""

import math
import warnings
from collections.abc import Mapping, Set

from lct_lab import laws
from lct_lab.checks import require_choice, require_number, require_size
from lct_lab.init import FREQUENCIES
from lct_lab.models import LCT

RULES = ("raw", "original", "equal", "curvature")
OPTIMIZERS = ("sgd", "adam")
MEASURABLE = ("equal", "curvature")  # by (gradient, curvature), in this order
ORIGINAL = {  # which of the original notebook's divisors belongs to which parameter
    "a1": "a1 sum",
    "a2": "a2 root",
    "a3": "a3 one",
    "a4": "a4 decimal",
    "w1": "w1 ten",
    "w2": "w2 five",
}
# Of the largest measured scale. What lies below it may be rounding: a bias before a normalisation,
# which nothing depends on, has a curvature of 1e-7 of the largest.
FLOOR = 1e-4


def param_groups(model, rule, lr, *, optimizer="sgd", n=None, scales=None):
    """One parameter group a trained parameter, its rate lr · factor, for any torch optimizer.

    For an LCT trained on E L / Nσ², the factors of a1, a3 | a2, a4 | w are

    raw        1 | 1 | 1
    original   1 over the original notebook's divisors
    equal      scale of a4 over scale of the group, from `predict`: equal gradients (Adam: 1)
    curvature  SGD N/4 | 1 | M/N², one over the Gauss-Newton diagonal (a2, a4: O(1), w: N²/M);
               Adam 1 | 1 | 1/N, the width of a basin in w

    An LCT inside a larger module gets these, and the parameters around it the factor 1. Measured
    `scales` go before both in two of the rules, which need them of a module without an LCT:

    equal      SGD 1/gradient;   Adam 1
    curvature  SGD 1/curvature;  Adam 1/√curvature

    so that lr has one meaning at every size: the step over the gradient, or Newton's step.

    Parameters
    ----------
    optimizer : "sgd" for SGD, "adam" for all that divide by the gradient's size (Adam, AdamW, …).
    n : samples in use, when fewer than the LCT's.
    scales : {name of a parameter: (gradient, curvature)}. A scale below 1e-4 of the largest counts
        as that much, and a warning names the parameters that are held back so.

    Returns a list of dicts with params, lr and name, without frozen parameters.
    Raises ValueError or TypeError naming the argument, also for a scale that is not positive.
    """
    require_choice("rule", rule, RULES)
    require_choice("optimizer", optimizer, OPTIMIZERS)
    lr = require_positive("lr", lr)
    parameters = _trained(model)
    n = None if n is None else require_size("n", n)
    _require_mapping(scales)
    scales = scales if rule in MEASURABLE else None
    _require_factors(model, parameters, rule, scales)
    factors = dict.fromkeys(parameters, 1.0)
    derived = _derived(model, rule, optimizer, n, known=scales or {})
    factors |= {name: derived[p] for name, p in parameters.items() if p in derived}
    if scales is not None:
        factors |= _measured(model, rule, optimizer, scales)
    groups = [
        {"params": [parameter], "lr": lr * factors[name], "name": name}
        for name, parameter in parameters.items()
    ]
    for group in groups:
        _require_rate(group, lr)
    return groups


def _require_rate(group, lr):
    """Raise where a factor takes the rate out of the numbers."""
    if not 0 < group["lr"] < math.inf:
        name, rate = group["name"], group["lr"]
        raise ValueError(
            f"lr must give rates above 0 and below infinity, got {lr}, {rate} of {name}"
        )


def require_positive(name, value):
    """Return `value` as a finite float above 0, or raise."""
    number = require_number(name, value)
    if number <= 0:
        raise ValueError(f"{name} must be a positive number, got {value!r}")
    return number


def _trained(model):
    """The parameters by name, without those that are frozen."""
    if not hasattr(model, "named_parameters"):
        raise TypeError(f"model must be a torch module, got {type(model).__name__}")
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if not trained:
        raise ValueError("model must have parameters that require a gradient, got none")
    return trained


def _require_mapping(scales):
    if scales is not None and not isinstance(scales, Mapping):
        raise TypeError(
            "scales must be {name of a parameter: (gradient, curvature)}, "
            f"got {type(scales).__name__}"
        )


def _require_factors(model, parameters, rule, scales):
    """Raise for a parameter whose factor nothing gives."""
    covered = {p for _, lct in _inner_models(model) for p in lct.parameters()}
    unknown = [name for name, p in parameters.items() if p not in covered]
    if rule == "raw" or not unknown or (scales is None and covered):
        return
    if scales is None:
        raise ValueError(
            f"rule {rule!r} needs the parameters a1, a2, a3, a4, w1 of an LCT, or measured scales; "
            f"the model has {', '.join(parameters)}"
        )
    if missing := [name for name in unknown if name not in scales]:
        raise ValueError(
            "scales must have a (gradient, curvature) for each parameter, got none for "
            + ", ".join(missing)
        )


def _inner_models(model):
    """Each LCT that is or is inside `model`, with the prefix of its parameters' names."""
    return [
        (f"{path}." if path else "", module)
        for path, module in model.named_modules()
        if isinstance(module, LCT)
    ]


def _derived(model, rule, optimizer, n, known):
    """{parameter: factor} of every LCT in `model`, whatever its names, n samples of each in use.

    An LCT all of whose trained parameters are `known` needs none.
    """
    factors = {}
    for prefix, lct in _inner_models(model):
        samples = lct.n if n is None else n
        if samples > lct.n:
            raise ValueError(f"n must be at most {lct.n}, the model's samples, got {n}")
        if all(prefix + name in known for name, p in lct.named_parameters() if p.requires_grad):
            continue
        own = dict(lct.named_parameters())
        if strange := [name for name in own if name not in ORIGINAL]:
            raise ValueError(f"model must have an LCT's own parameters, got {', '.join(strange)}")
        factors |= {own[name]: f for name, f in _rule(lct, rule, optimizer, samples).items()}
    return factors


def _rule(lct, rule, optimizer, n):
    """The factors of an LCT's own parameters with n samples in use."""
    names = [name for name, _ in lct.named_parameters()]
    if rule == "raw":
        return dict.fromkeys(names, 1.0)
    if rule == "original":
        return {name: 1 / laws.RULES[ORIGINAL[name]](n, lct.m) for name in names}
    if rule == "equal":
        return _equal(lct, optimizer, n, names)
    if optimizer == "sgd":
        first, later, frequency = n / 4, 1.0, lct.m / n**2
    else:
        first, later, frequency = 1.0, 1.0, 1 / n
    factors = {"a1": first, "a2": later, "a3": first, "a4": later}
    return factors | {name: frequency for name in names if name in FREQUENCIES}


def _equal(lct, optimizer, n, names):
    if optimizer == "adam":
        return dict.fromkeys(names, 1.0)
    try:
        scale = laws.predict(n, lct.m, tied=lct.tied)["rms"]
    except ValueError as error:
        raise ValueError(
            f"rule 'equal' needs a law at n = {n} samples in use, m = {lct.m}: {error}"
        ) from None
    return {name: float(scale["a4"] / scale[name]) for name in names}


def _measured(model, rule, optimizer, scales):
    """The factors of the parameters that `scales` has."""
    names = [name for name, _ in model.named_parameters()]
    if strange := [str(name) for name in scales if name not in names]:
        raise ValueError(
            f"scales must be of the model's parameters, {', '.join(names)}, "
            f"got {', '.join(strange)}"
        )
    which = MEASURABLE.index(rule)
    sizes = {name: _scale(name, pair, which) for name, pair in scales.items()}
    least = FLOOR * max(sizes.values(), default=0.0)
    if held := [name for name, size in sizes.items() if size < least]:
        warnings.warn(
            f"scales of {', '.join(held)} lie below {FLOOR:g} of the largest, which may be "
            f"rounding; their rates are held back to what {FLOOR:g} of the largest gives",
            stacklevel=3,
        )
    power = which / 2 if optimizer == "adam" else 1.0
    return {name: 1 / max(size, least) ** power for name, size in sizes.items()}


def _scale(name, pair, which):
    """The gradient (0) or the curvature (1) of a measured pair, positive and finite."""
    what = ("gradient", "curvature")[which]
    try:
        value = tuple(() if isinstance(pair, (Set, Mapping)) else pair)[which]
    except (TypeError, IndexError):
        raise TypeError(
            f"scales must have a (gradient, curvature) for each parameter, got {pair!r} for {name}"
        ) from None
    return require_positive(f"the {what} of {name} in scales", value)
