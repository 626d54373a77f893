"""The sentences that bad input gets: each names the argument, what was expected and what came."""

import math
import os
from collections.abc import Hashable
from functools import cache
from numbers import Integral, Real
from reprlib import repr as short

import numpy as np

LARGEST = 2**40  # of sizes: 8 TB of samples


def require_size(name, value, least=1):
    """Return `value` as an int, or raise unless it is an integer of at least `least`.

    From 0 on, as seeds are, of any size; from 1 on at most LARGEST.
    """
    if not _is_a(Integral, value):
        raise TypeError(f"{name} must be an integer of at least {least}, got {short(value)}")
    if value < least or least and value > LARGEST:
        bound = f"at least {least}" if value < least else f"at most {LARGEST}"
        raise ValueError(f"{name} must be {bound}, got {short(value)}")
    return int(value)


def require_memory(numbers, **sizes):
    """Raise unless so many numbers of double precision fit in this machine's memory.

    numbers : at least so many will be held at once. sizes : the arguments that they depend on.
    """
    needed, there = 8 * numbers, memory()
    if needed > there:
        names, values = ", ".join(sizes), ", ".join(f"{n}={v}" for n, v in sizes.items())
        raise ValueError(
            f"{names} must be such that this machine's memory, {there / 1e9:.3g} GB, is enough, "
            f"got {values}, which take {needed / 1e9:.3g} GB or more"
        )


@cache
def memory():
    """This machine's memory in bytes, infinite where the system does not say."""
    try:
        pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return math.inf
    return pages * size if min(pages, size) > 0 else math.inf  # -1: not known


def _is_a(kind, value):
    """Whether a number is of `kind`: truth and numpy's durations are registered, and are none."""
    return isinstance(value, kind) and not isinstance(value, (bool, np.timedelta64))


def require_number(name, value, what="a real number"):
    """Return `value` as a finite float, or raise."""
    if type(value) is not float and not _is_a(Real, value):
        raise TypeError(f"{name} must be {what}, got {short(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite in double precision, got {short(value)}")
    return number


def require_flag(name, value):
    """Return `value` as a bool, or raise TypeError unless it is Python's or numpy's."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {short(value)}")
    return bool(value)


def require_choice(name, value, choices):
    """Return `value` as a plain str, or raise ValueError unless it is one of `choices`.

    numpy's strings are welcome, but not where plain values are stored.
    """
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {short(value)}")
    return str(value)


def require_amplitudes(values):
    """Return four finite floats, or None for the init's own."""
    if values is None:
        return None
    try:
        entries = None if isinstance(values, (str, bytes, set, dict)) else values
        found = tuple(
            require_number("", a.item() if getattr(a, "ndim", 1) == 0 else a) for a in entries
        )
        if len(found) == 4:
            return found
        error = ValueError
    except (TypeError, ValueError, RuntimeError) as raised:  # of a tensor without numbers
        error = ValueError if isinstance(raised, RuntimeError) else type(raised)
    raise error(
        f"amplitudes must be four finite numbers (a1, a2, a3, a4) or None, got {short(values)}"
    )


def require_samples(signal):
    """Return `signal` as a float64 array, or raise TypeError unless it is of real numbers."""
    if np.ma.is_masked(signal):
        raise TypeError("signal must be an array without a mask, got masked entries")
    got = type(signal).__name__
    try:
        array = np.asarray(signal)
        if array.ndim and array.dtype.kind in "iuf":
            return array.astype(float, copy=False)
        got += f" of {array.dtype}" if array.ndim else ""
    except (TypeError, ValueError, RuntimeError) as error:
        got += f": {error}"
    raise TypeError(f"signal must be a name or an array of real numbers, got {got}")


def require_place(dtype, device):
    """Return `dtype` and a torch.device.

    Raises unless they are float32 or float64, and the processor or a GPU that is here.
    """
    import torch

    if not isinstance(dtype, torch.dtype) or dtype not in (torch.float32, torch.float64):
        raise TypeError(f"dtype must be torch.float32 or torch.float64, got {short(dtype)}")
    gpus = torch.cuda.device_count()
    try:
        place = torch.device(device)
    except (TypeError, ValueError, RuntimeError):
        place = torch.device("meta")
    if place.type != "cpu" and not (place.type == "cuda" and (place.index or 0) < gpus):
        raise ValueError(
            f"device must be cpu or one of the {gpus} CUDA devices here, got {short(device)}"
        )
    return dtype, place


def require_real_tensor(name, value, *, like=None, dims=None):
    """Raise unless `value` is a finite float32 or float64 tensor.

    like : (name, tensor) whose dtype and device it must have. dims : the number of its axes.
    """
    import torch

    _require_real(name, value, like, dims)
    # a sum is finite where all terms are, and costs a fifth of looking at each
    total = value.detach().sum() if value.requires_grad else value.sum()
    if not math.isfinite(total.item()) and not torch.isfinite(value).all():
        raise ValueError(_not_finite(name))


def require_real_numbers(name, value, *, like=None, dims=None):
    """`require_real_tensor`; returns the numbers of the tensor as an array.

    For a caller who takes them as one, since numpy looks at them in less time than torch. The array
    shares the memory of a tensor on the processor.
    """
    _require_real(name, value, like, dims)
    numbers = value.numpy(force=True)  # detached, and its sign resolved
    if not are_finite(numbers):
        raise ValueError(_not_finite(name))
    return numbers


def are_finite(values):
    """Whether all numbers of an array are; numpy may warn of an overflow."""
    # what is finite when added up is so by itself, and a product costs less than to look at each;
    # from some size on it would start threads of its own
    small = values.ndim == 1 and len(values) < 10_000
    total = values.dot(values) if small else values.sum()
    return math.isfinite(total) or bool(np.isfinite(values).all())


def _not_finite(name):
    return f"{name} must be finite, got a NaN or an infinity"


def _require_real(name, value, like, dims):
    """`require_real_tensor` for all but the numbers themselves."""
    import torch

    _require_dense(name, value)
    if value.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"{name} must be float32 or float64, got {value.dtype}")
    for property_ in ("dtype", "device") if like is not None else ():
        got, expected = getattr(value, property_), getattr(like[1], property_)
        if got != expected:
            raise TypeError(f"{name} must have the {property_} of {like[0]}, {expected}, got {got}")
    if not (value.is_cpu or value.is_cuda):
        raise TypeError(f"{name} must be on cpu or cuda, got {value.device}")
    shape = tuple(value.shape)
    if dims is not None and len(shape) != dims:
        raise ValueError(f"{name} must have {dims} dimension(s), got shape {shape}")
    if not shape or shape[-1] < 1:
        raise ValueError(
            f"{name} must have at least one entry along its last axis, got shape {shape}"
        )


def _require_dense(name, value):
    import torch

    if not isinstance(value, torch.Tensor):
        raise TypeError(f"{name} must be a torch tensor, got {type(value).__name__}")
    if value.is_nested or isinstance(value, torch.masked.MaskedTensor):
        kind = "nested" if value.is_nested else "masked"
        raise TypeError(f"{name} must be a dense tensor, got a {kind} one")
    if value.layout is not torch.strided:
        raise TypeError(f"{name} must be a dense tensor, got {value.layout}")
    _require_untransformed(name, value)


@cache
def _functorch():
    """What torch asks of tensors inside torch.func, without a public name; found once."""
    from torch._C import _functorch

    return _functorch


def _require_untransformed(name, value):
    """Raise for a tensor inside torch.func, which neither numpy nor finufft can read."""
    if _functorch().is_functorch_wrapped_tensor(value):
        raise TypeError(
            f"{name} must be a tensor outside torch.func (vmap, grad, jacrev, jvp and the like), "
            "got one inside; use backward(), torch.autograd.grad or torch.autograd.functional"
        )


def require_one_gradient(gradient):
    """Raise where a backward pass is given many gradients at once, as one batched tensor."""
    if _functorch().is_legacy_batchedtensor(gradient):
        raise TypeError(
            "gradients of the transform must be taken one at a time, vectorize=False or "
            "is_grads_batched=False, got a batch of them"
        )


def require_representable(name, number, dtype):
    """Raise where a finite number is too large for a dtype of torch."""
    import torch

    if abs(number) > torch.finfo(dtype).max:
        raise ValueError(f"{name} must be finite in {dtype}, got {number:.3g}")


def require_scalar(name, value, like):
    """Return a finite real number as a float, a one-element tensor without its axes.

    like : (name, tensor) whose dtype and device a tensor must have.
    """
    if not hasattr(value, "numel"):
        number = require_number(name, value, "a real number or a one-element tensor")
        require_representable(name, number, like[1].dtype)
        return number
    _require_untransformed(name, value)
    if value.numel() != 1:
        raise ValueError(
            f"{name} must be a number or a one-element tensor, got shape {tuple(value.shape)}"
        )
    if (
        value.dtype != like[1].dtype
        or value.device != like[1].device
        or value.layout != like[1].layout
    ):
        require_real_tensor(name, value, like=like)
    require_number(name, value.item())
    return value.reshape(()) if value.ndim else value


def require_names(name, value):
    """Return one name or several, such as of columns, as a list of at least one."""
    try:
        found = [value] if isinstance(value, str) else list(value)
    except TypeError:
        found = []
    if not found or not all(isinstance(each, str) for each in found):
        raise TypeError(
            f"{name} must be the name of a column or a list of such, got {short(value)}"
        )
    return found


def require_columns(name, table, columns):
    """Raise unless `table` is a DataFrame with these columns, each once."""
    import pandas as pd

    if not isinstance(table, pd.DataFrame):
        raise TypeError(f"{name} must be a DataFrame, got {type(table).__name__}")
    for column in columns:
        if not isinstance(column, Hashable):
            raise TypeError(f"{name} must be asked for columns by their names, got {short(column)}")
    if missing := [column for column in columns if column not in table]:
        expected = ", ".join(map(str, columns))
        raise ValueError(f"{name} must have the columns {expected}, got none called {missing}")
    for column in columns:
        if isinstance(table[column], pd.DataFrame):
            raise ValueError(f"{name} must have each column once, got {column} several times")
        if column in table.index.names:
            raise ValueError(
                f"{name} must have {column} as a column alone, got an index of it, too"
            )


def require_table(name, table, keys=(), numbers=(), *, once=False):
    """Raise unless `table` is a DataFrame with these columns, and some rows.

    keys : columns by which rows are told apart, without a missing entry; with `once` no two rows
    have the same. numbers : columns of finite real numbers.
    """
    require_columns(name, table, [*keys, *numbers])
    if table.empty:
        raise ValueError(f"{name} must have at least one row, got none")
    for column in keys:
        if table[column].isna().any():
            raise ValueError(f"{name} must have a {column} in every row, got rows without")
    for column in numbers:
        require_numeric(name, table, column)
        if not np.isfinite(table[column].to_numpy(dtype=float, na_value=np.nan)).all():
            raise ValueError(
                f"{name} must have finite numbers in {column}, got a NaN or an infinity"
            )
    if once and (again := table.duplicated(list(keys))).any():
        first = table.loc[again, list(keys)].iloc[0]
        seen = ", ".join(f"{column} {value}" for column, value in first.items())
        raise ValueError(
            f"{name} must have one row for each of {', '.join(keys)}, got several for {seen}"
        )


def require_numeric(name, table, column):
    """Raise unless a column is of real numbers, whatever they are; NaN is what is not known."""
    from pandas.api import types

    values = table[column]
    if (
        not types.is_numeric_dtype(values)
        or types.is_bool_dtype(values)
        or values.dtype.kind == "c"
    ):
        raise TypeError(f"{name} must have real numbers in {column}, got {values.dtype}")
