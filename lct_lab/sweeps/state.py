"""What the plans of a directory have done, and what is left."""

import json
import os
from pathlib import Path

from lct_lab import tables
from lct_lab.sweeps import log
from lct_lab.sweeps.plan import digest
from lct_lab.sweeps.shards import written


def write_plan(directory, names):
    """The names of the shards that a finished sweep has, in a file of this sweep's own."""
    text = json.dumps(names)
    plan = directory / f"plan-{digest(text.encode())}.json"
    if not plan.exists():
        written(plan, lambda part: (part.write_text(text), part.replace(plan)))


def status(directory, verify=False):
    """{"done", "left", "failed", "damaged"}: the names of planned shards, each in one list.

    Failed are those left whose last try failed; damaged those that have another length than they
    were written with or, with `verify`, other content. Raises ValueError where there is no sweep.
    """
    directory = Path(directory)
    names, sizes = _planned(directory), _sizes(directory)
    written_sizes, failed = _logged(directory)
    found = {"done": [], "left": [], "failed": [], "damaged": []}
    for name in names:
        if name not in sizes:
            state = "failed" if name in failed else "left"
        elif sizes[name] != written_sizes.get(name, sizes[name]):
            state = "damaged"
        elif verify and not _reads(directory / name):
            state = "damaged"
        else:
            state = "done"
        found[state].append(name)
    return found


def _planned(directory):
    """The names of all shards that the plans in `directory` have, each once."""
    plans = sorted(directory.glob("plan-*.json"))
    if not plans:
        raise ValueError(f"directory must hold a sweep, got {directory} without a plan")
    return dict.fromkeys(name for plan in plans for name in _names(plan))


def _names(plan):
    try:
        return json.loads(plan.read_text())
    except ValueError as error:
        raise ValueError(f"{plan} is damaged: {error}") from None


def _sizes(directory):
    """The bytes of each shard that is there."""
    with os.scandir(directory) as files:
        return {file.name: file.stat().st_size for file in files if file.name.endswith(".parquet")}


def _logged(directory):
    """The bytes that each shard was written with, and the names of those whose last try failed."""
    sizes, failed = {}, set()
    for entry in log.entries(directory):
        name = entry.get("shard")
        if "bytes" in entry:
            sizes[name] = entry["bytes"]
        if "failed" in entry:
            failed.add(name)
        else:
            failed.discard(name)
    return sizes, failed


def _reads(path):
    try:
        tables.read(path)
    except ValueError:
        return False
    return True
