"""Shards: one block from parameters to a file, written whole or not at all, and back."""

import os
import socket
import time
from pathlib import Path

from lct_lab import tables
from lct_lab.sweeps.plan import code_hash, name_within, shard_name


def compute(block, directory, name):
    """Measure one block and write its shard; returns its rows as saved, and the seconds it took.

    On one thread, since sums over more can differ in their last bits. The shard is not forced to
    the disk, which takes longer than a block: what a power failure garbles is found by its content
    and computed again.

    name : of the shard, by the driver. Raises RuntimeError where this process would name it
    otherwise, FloatingPointError where a gradient is not finite, OSError naming the path that
    cannot be written.
    """
    import torch

    began = time.perf_counter()
    torch.set_num_threads(1)
    if shard_name(block) != name:
        raise RuntimeError("the worker has other code or other versions than the driver")
    table = _measured(block)
    return tables.write_raw(table, Path(directory) / name), time.perf_counter() - began


def _measured(block):
    """The rows of a block beside its size and start; what else determines them is in `attrs`."""
    import numpy as np
    import pandas as pd
    import torch

    from lct_lab import probes

    start = f"{block.init}, tied" if block.tied else block.init
    place = {"n": block.n, "m": block.m, "start": start}
    with np.errstate(all="ignore"):  # what overflows is refused below
        rows = probes.probe_rows(**block.arguments(), dtype=torch.float64, device="cpu")
    table = pd.DataFrame(place | rows)
    if not np.isfinite(table.select_dtypes("number").to_numpy()).all():
        raise FloatingPointError("a gradient is not finite in double precision")
    table.attrs = {**block.described(), "dtype": "float64", "code": code_hash()}
    return table


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


def clear_leftovers(directory):
    """Remove unfinished files of dead processes of this host; those of the living stay."""
    for part in directory.glob(f".*.{socket.gethostname()}.*.part"):
        try:
            os.kill(int(part.name.split(".")[-2].partition("-")[0]), 0)
        except ProcessLookupError:
            part.unlink(missing_ok=True)
        except (PermissionError, ValueError, OverflowError):
            pass
