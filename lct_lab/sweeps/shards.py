"""Shards: one block from parameters to a file, written whole or not at all, and back."""

import time
from pathlib import Path

from lct_lab import tables
from lct_lab.sweeps import rows
from lct_lab.sweeps.plan import code_hash, name_within, shard_name


def compute(block, directory, name):
    """`measure` and `write`: the rows of a block as saved, and the seconds that it took."""
    return write(*measure(block, name), directory, name)


def measure(block, name):
    """The rows of a block, and the seconds that they took.

    On one thread, since sums over more can differ in their last bits.

    name : of the shard, by the driver. Raises RuntimeError where this process would name it
    otherwise, FloatingPointError where a gradient is not finite.
    """
    import torch

    began = time.perf_counter()
    torch.set_num_threads(1)
    if shard_name(block) != name:
        raise RuntimeError("the worker has other code or other versions than the driver")
    return _measured(block), time.perf_counter() - began


def write(measured, seconds, directory, name):
    """Write the shard of what `measure` returned; the rows as saved, and the seconds in all.

    The shard is not forced to the disk, which takes longer than a block: what a power failure
    garbles is found by its content and computed again. Raises OSError naming the path that cannot
    be written.
    """
    began = time.perf_counter()
    saved = rows.write(measured, Path(directory) / name)
    return saved, seconds + time.perf_counter() - began


def _measured(block):
    """The rows of a block beside its size and start; what else determines them is in `attrs`."""
    import numpy as np
    import torch

    from lct_lab import probes

    with np.errstate(all="ignore"):  # what overflows is refused below
        found = probes.probe_rows(**block.arguments(), dtype=torch.float64, device="cpu")
    start = f"{block.init}, tied" if block.tied else block.init
    place = {"n": block.n, "m": block.m, "start": start}
    count = len(found["init"])
    columns = {name: _repeated(value, count) for name, value in place.items()} | found
    if not all(np.isfinite(values).all() for values in columns.values() if values.dtype != object):
        raise FloatingPointError("a gradient is not finite in double precision")
    return rows.Rows(columns, {**block.described(), "dtype": "float64", "code": code_hash()})


def _repeated(value, count):
    import numpy as np

    return np.full(count, value, object if isinstance(value, str) else None)


def read(path):
    """The rows of a shard. Raises ValueError for damage, also where they are of another block."""
    table = tables.read(path)
    if name_within(table.attrs) != path.name or not _has_its_rows(table):
        raise ValueError(f"{path} is damaged: it holds another block")
    return table


def _has_its_rows(table):
    """Whether the rows are of the size and the inits that the table says it is of."""
    about = table.attrs
    inits = range(about["first"], about["first"] + about["count"])
    of_size = (table["n"] == about["n"]).all() and (table["m"] == about["m"]).all()
    return bool(of_size) and list(table["init"].unique()) == list(inits)
