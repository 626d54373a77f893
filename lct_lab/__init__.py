"""Gradient scale laws of the learnable cosine transform: measured, derived, and used to train it."""

from importlib import import_module

__version__ = "0.1.0"

_HOMES = {
    "analyze": "transform",
    "synthesize": "transform",
    "LCT": "models",
    "gradients": "probes",
    "probe": "probes",
    "probe_module": "probes",
    "predict": "theory",
    "param_groups": "training",
    "recover": "training",
    "sweep": "sweeps",
}
__all__ = list(_HOMES)


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = getattr(
        import_module(f"{__name__}.{_HOMES[name]}"), name
    )  # asked for once
    return value


def __dir__():
    return [*globals(), *__all__]
