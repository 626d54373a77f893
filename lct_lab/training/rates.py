"""Scale rules as ordinary torch parameter groups."""

from lct_lab import theory as laws
from lct_lab.checks import require_choice, require_number, require_size
from lct_lab.init import FREQUENCIES, GROUPS

RULES = ("raw", "original", "equal", "curvature")
OPTIMIZERS = ("sgd", "adam")
ORIGINAL = {  # which of the original notebook's divisors belongs to which parameter
    "a1": "a1 sum",
    "a2": "a2 root",
    "a3": "a3 one",
    "a4": "a4 mean",
    "w1": "w1 max",
    "w2": "w2 max",
}


def param_groups(model, rule, lr, *, optimizer="sgd", n=None, scales=None):
    """One parameter group a named parameter, its rate lr · factor, for any torch optimizer.

    For an LCT trained on E L / Nσ², the factors of a1, a3 | a2, a4 | w are

    raw        1 | 1 | 1
    original   1 over the original notebook's divisors
    equal      scale of a4 over scale of the group, from `predict`: equal gradients (Adam: 1)
    curvature  SGD N/4 | 1 | M/N², one over the Gauss-Newton diagonal (a2, a4: O(1), w: N²/M);
               Adam 1 | 1 | 1/N, the width of a basin in w

    For any other module, "equal" and "curvature" take measured `scales`,
    {parameter: (gradient, curvature)}: SGD gets 1/gradient or 1/curvature, Adam 1 or 1/√curvature,
    relative to the first parameter.

    optimizer : "sgd" for SGD, "adam" for all that divide by the gradient's size (Adam, AdamW, …).
    n : samples in use, when fewer than the model's.
    Returns a list of dicts with params, lr and name.
    Raises ValueError for an unknown rule or optimizer, or a model without the parameters that the
    rule needs.
    """
    require_choice("rule", rule, RULES)
    require_choice("optimizer", optimizer, OPTIMIZERS)
    if require_number("lr", lr) <= 0:
        raise ValueError(f"lr must be a positive number, got {lr!r}")
    if not hasattr(model, "named_parameters"):
        raise TypeError(f"model must be a torch module, got {type(model).__name__}")
    parameters = dict(model.named_parameters())
    if rule == "raw":
        factors = dict.fromkeys(parameters, 1.0)
    elif scales is not None and rule != "original":
        factors = _measured(parameters, rule, optimizer, scales)
    elif set(GROUPS) - {"w2"} <= set(parameters) <= set(GROUPS):
        samples = model.n if n is None else require_size("n", n)
        factors = _derived(model, rule, optimizer, samples)
    else:
        raise ValueError(
            f"rule {rule!r} needs the parameters a1, a2, a3, a4, w1 of an LCT, or measured scales; "
            f"the model has {', '.join(parameters)}"
        )
    return [
        {"params": [parameter], "lr": lr * factors[name], "name": name}
        for name, parameter in parameters.items()
    ]


def _derived(model, rule, optimizer, n):
    """The factors of an LCT's parameters with n samples in use."""
    names = [name for name, _ in model.named_parameters()]
    if rule == "original":
        return {name: 1 / laws.RULES[ORIGINAL[name]](n, model.m) for name in names}
    if rule == "equal":
        if optimizer == "adam":
            return dict.fromkeys(names, 1.0)
        scale = laws.predict(n, model.m, tied=model.tied)["rms"]
        return {name: scale["a4"] / scale[name] for name in names}
    if optimizer == "sgd":
        first, later, frequency = n / 4, 1.0, model.m / n**2
    else:
        first, later, frequency = 1.0, 1.0, 1 / n
    factors = {"a1": first, "a2": later, "a3": first, "a4": later}
    return factors | {name: frequency for name in names if name in FREQUENCIES}


def _measured(parameters, rule, optimizer, scales):
    """The factors of any module's parameters from their measured gradients and curvatures."""
    if missing := ", ".join(name for name in parameters if name not in scales):
        raise ValueError(
            f"scales must have a (gradient, curvature) for each parameter, got none for {missing}"
        )
    which = 0 if rule == "equal" else 1
    power = 1.0 if optimizer == "sgd" else which / 2
    sizes = {name: abs(scales[name][which]) ** power for name in parameters}
    reference = next(iter(sizes.values()))
    return {name: reference / size for name, size in sizes.items()}
