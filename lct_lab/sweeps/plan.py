"""The blocks of a sweep: all that determines each, and the name of its shard."""

import hashlib
import itertools
import json
import math
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from reprlib import repr as short

from lct_lab import tables
from lct_lab.checks import require_size

PACKAGE = Path(__file__).resolve().parent.parent
CODE = (
    "checks.py",
    "compiled.py",
    "init.py",
    "kernels.py",
    "nufft.py",
    "probes.py",
    "scaling.py",
    "signals.py",
    "streams.py",
    "sweeps/plan.py",
    "sweeps/rows.py",
    "sweeps/shards.py",
    "tables.py",
    "transform.py",
)  # what determines the content of a shard
MOST = 1_000_000  # blocks of one sweep: so many files are the most that a folder takes well


@dataclass(frozen=True, eq=False)
class Block:
    """Inits first … first + count - 1 of one size and start: all that determines one shard.

    `source` stands for the signal in JSON: its name, or the hash of its samples, or both.
    """

    n: int
    m: int
    init: str
    tied: bool
    first: int
    count: int
    seed: int
    signal: object
    batch: int
    amplitudes: tuple | None
    engine: str
    source: str

    def arguments(self):
        """The arguments of `probes.probe_rows`, but for dtype and device."""
        return {name: value for name, value in vars(self).items() if name != "source"}

    def described(self):
        """The block in JSON."""
        amplitudes = None if self.amplitudes is None else list(self.amplitudes)
        return {**self.arguments(), "signal": self.source, "amplitudes": amplitudes}


DESCRIBED = tuple(each.name for each in fields(Block) if each.name != "source")


def blocks(n, m, init, inits, size, **settings):
    """The blocks of `size` inits over the product of the lists n, m and init.

    settings : tied, seed, signal, batch, amplitudes and engine, as in `probe`. Raises TypeError or
    ValueError naming the argument.
    """
    from lct_lab import probes

    lists = [_entries(name, value) for name, value in (("n", n), ("m", m), ("init", init))]
    inits, size = require_size("inits", inits), require_size("block", size)
    probes.require_inits(min(size, inits), "block" if size < inits else "inits")
    count = math.prod(len(entries) for entries in lists) * math.ceil(inits / size)
    if count > MOST:
        raise ValueError(
            f"n, m, init, inits and block must make at most {MOST} blocks, got {count}"
        )
    return [
        block
        for place in itertools.product(*lists)
        for block in _blocks_of_one(*place, inits, size, settings)
    ]


def _entries(name, value):
    """One value or several, each once, as a list."""
    alone = isinstance(value, (str, bytes)) or not hasattr(value, "__iter__")
    try:
        entries = list(dict.fromkeys([value] if alone else value))
    except (TypeError, ValueError):  # of what cannot be iterated over after all, or be a key
        message = f"{name} must be one value or a flat list of values, got {short(value)}"
        raise TypeError(message) from None
    if not entries:
        raise ValueError(f"{name} must have at least one entry, got none")
    return entries


def _blocks_of_one(n, m, init, inits, size, settings):
    from lct_lab import probes

    checked = probes.Settings.checked(n, m, init=init, **settings)
    shared = {name: getattr(checked, name) for name in ("n", "m", "init", *settings)}
    shared["source"] = _source(checked.signal)
    return [
        Block(**shared, first=first, count=min(size, inits - first))
        for first in range(0, inits, size)
    ]


def _source(signal):
    """What tells one signal from another: arrays and recordings by the hash of their samples."""
    from lct_lab import signals

    if not isinstance(signal, str):
        return _hash_of(signal)
    if signal in signals.RECORDINGS:
        return f"{signal} {_hash_of(signals.recording(signal))}"
    return signal


def shard_name(block):
    """n, m, start and first init in clear, and the hash of all that determines the content.

    The engine is loaded first: whether numba can be used is among the versions.
    """
    from lct_lab import nufft

    nufft.kernels(block.n, block.m)
    return _name_of(block.described(), code_hash(), tables.provenance())


def name_within(attrs):
    """The name that a shard with these attrs has, or None where they are not those of a shard."""
    try:
        described = {name: attrs[name] for name in DESCRIBED}
        return _name_of(described, attrs["code"], attrs["versions"])
    except (KeyError, TypeError, ValueError):
        return None


def _name_of(described, code, versions):
    content = {**described, "code": code, "versions": versions}
    hashed = digest(json.dumps(content, sort_keys=True).encode())
    start = f"{described['init']}-tied" if described["tied"] else described["init"]
    size = f"{described['n']}x{described['m']}"
    return f"{size}-{start}-{described['first']:08d}-{hashed}.parquet"


@cache
def code_hash():
    """The hash of the code that determines the content of a shard."""
    return digest(b"\0".join((PACKAGE / name).read_bytes() for name in CODE))


def digest(data):
    return hashlib.sha256(data).hexdigest()[:16]


def _hash_of(samples):
    import numpy as np

    return digest(np.ascontiguousarray(samples, dtype=float).tobytes())
