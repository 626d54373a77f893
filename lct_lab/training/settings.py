"""What a training is asked for, and the sentences about what it cannot take."""

from dataclasses import dataclass

import torch

from lct_lab import signals
from lct_lab.checks import require_number
from lct_lab.init import FREQUENCIES, GROUPS
from lct_lab.models import LCT

AMPLITUDES = tuple(name for name in GROUPS if name not in FREQUENCIES)


@dataclass(frozen=True)
class Settings:
    """The arguments of `fit`, checked; objective None stands for the expected loss."""

    steps: int
    lr: float
    optimizer: str
    rule: str
    pace: float
    schedule: object
    objective: object
    batch: int
    seed: int
    every: int
    target: float
    patience: int | None
    checkpoint: object
    paths: bool
    progress: bool


def require_model(model):
    """Raise unless `model` is an LCT of finite numbers in single or double, on the processor."""
    if not isinstance(model, LCT):
        raise TypeError(f"model must be an LCT, got {type(model).__name__}")
    parameters = dict(model.named_parameters())
    expected = [name for name in GROUPS if name != "w2" or not model.tied]
    if list(parameters) != expected:
        raise ValueError(
            f"model must have the parameters {', '.join(expected)}, got {', '.join(parameters)}"
        )
    kinds = {p.dtype for p in parameters.values()}
    if kinds not in ({torch.float32}, {torch.float64}):
        found = " and ".join(sorted(map(str, kinds)))
        raise TypeError(f"model must be of float32 or float64, got {found}")
    for name, p in parameters.items():
        if not p.is_cpu:
            raise ValueError(f"model must be on the cpu, got {name} on {p.device}")
        if not torch.isfinite(p).all():
            raise ValueError(f"model must be finite, got a NaN or an infinity in {name}")
    _require_shapes(model, parameters)
    _require_gradients(parameters)


def _require_shapes(model, parameters):
    """Raise unless amplitudes are numbers and frequencies as many as the model has."""
    for name, p in parameters.items():
        expected = (model.m,) if name in FREQUENCIES else ()
        if tuple(p.shape) != expected:
            raise ValueError(
                f"model must have {name} of shape {expected}, got one of {tuple(p.shape)}"
            )


def _require_gradients(parameters):
    """Raise where no parameter can be trained, here or at all."""
    if not any(p.requires_grad for p in parameters.values()):
        raise ValueError("model must have parameters that require a gradient, got none")
    if not torch.is_grad_enabled() or any(p.is_inference() for p in parameters.values()):
        raise ValueError(
            "model must be made and trained with gradients, got torch.no_grad or inference_mode"
        )


def require_objective(objective, model, batch):
    """None for the expected loss, else a signal that fits."""
    if isinstance(objective, str) and objective == "expected":
        return None
    try:
        signal = signals.check(objective, model.n, batch)
    except (TypeError, ValueError) as error:
        sentence = f"objective must be 'expected' or a signal of the model's samples: {error}"
        raise type(error)(sentence) from None
    dtype = model.w1.dtype
    if isinstance(signal, str):
        return str(signal)  # plain, as a checkpoint stores it
    limits, sizes = torch.finfo(dtype), abs(signal).max(axis=1)
    least, most = min(sizes[sizes > 0], default=1.0), sizes.max()
    if least < limits.tiny**0.5 or most > limits.max**0.5:
        got = most if most > limits.max**0.5 else least
        raise ValueError(
            f"objective must be of signals whose squares are numbers in {dtype}, got one "
            f"that ends at {got:.3g}"
        )
    return signal


def require_target(target):
    """Return `target` as a float of at least 0, or raise."""
    number = require_number("target", target)
    if number < 0:
        raise ValueError(f"target must be at least 0, got {target!r}")
    return number
