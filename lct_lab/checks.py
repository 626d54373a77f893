"""The sentences that bad input gets: each names the argument, what was expected and what came."""

import math
from numbers import Integral, Real


def require_size(name, value, least=1):
    """Return `value` as an int, or raise TypeError / ValueError unless it is an integer of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer of at least {least}, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
    return int(value)


def require_choice(name, value, choices):
    """Raise ValueError unless `value` is one of `choices`."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}")
    return value


def require_amplitudes(amplitudes):
    """Return four finite floats, or None for the init's own."""
    if amplitudes is None:
        return None
    try:
        values = tuple(float(a) for a in amplitudes)
    except TypeError:
        raise TypeError(f"amplitudes must be four real numbers (a1, a2, a3, a4) or None, got {amplitudes!r}") from None
    if len(values) != 4 or not all(map(math.isfinite, values)):
        raise ValueError(f"amplitudes must be four finite numbers (a1, a2, a3, a4) or None, got {amplitudes!r}")
    return values


def require_real_tensor(name, value, *, like=None, dims=None):
    """Raise unless `value` is a finite float32 or float64 tensor, with dtype and device of `like = (name, tensor)`."""
    import torch

    if not isinstance(value, torch.Tensor):
        raise TypeError(f"{name} must be a torch tensor, got {type(value).__name__}")
    if value.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"{name} must be float32 or float64, got {value.dtype}")
    if dims is not None and value.ndim != dims:
        raise ValueError(f"{name} must have {dims} dimension(s), got shape {tuple(value.shape)}")
    if value.ndim == 0 or value.shape[-1] < 1:
        raise ValueError(f"{name} must have at least one entry along its last axis, got shape {tuple(value.shape)}")
    if like is not None:
        for property_ in ("dtype", "device"):
            got, expected = getattr(value, property_), getattr(like[1], property_)
            if got != expected:
                raise TypeError(f"{name} must have the {property_} of {like[0]}, {expected}, got {got}")
    # a sum is finite where all terms are, and costs a fifth of looking at each
    if not math.isfinite(value.detach().sum().item()) and not torch.isfinite(value).all():
        raise ValueError(f"{name} must be finite, got a NaN or an infinity")


def require_scalar(name, value, like):
    """Raise unless `value` is a finite real number or a one-element tensor with dtype and device of `like`."""
    import torch

    if isinstance(value, torch.Tensor):
        if value.numel() != 1:
            raise ValueError(f"{name} must be a number or a one-element tensor, got shape {tuple(value.shape)}")
        if value.dtype != like[1].dtype or value.device != like[1].device or not math.isfinite(value.item()):
            require_real_tensor(name, value.detach().reshape(1), like=like)
    elif isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a real number or a one-element tensor, got {value!r}")
    elif not math.isfinite(value):
        raise ValueError(f"{name} must be finite, got {value!r}")
