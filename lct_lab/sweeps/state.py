"""What the plans of a directory have done, what is left, and all their rows."""

import json
import os
import re
import socket
from contextlib import contextmanager
from pathlib import Path
from reprlib import repr as short

from lct_lab import tables
from lct_lab.checks import require_flag
from lct_lab.sweeps import log, shards
from lct_lab.sweeps.plan import digest

ROW = ["n", "m", "start", "init", "group"]  # what tells one row of a directory from another
MADE = r"([0-9]+x[0-9]+-[a-z]+(-tied)?-[0-9]{8,}-[0-9a-f]{16}\.parquet|plan-[0-9a-f]{16}\.json)"
PLANS = "plan-*.json"
HOST = re.escape(socket.gethostname())
LEFT = re.compile(rf"\.{MADE}\.{HOST}\.(?P<process>[0-9]+)-[0-9]+\.part")  # by `tables.whole`


def as_folder(directory):
    """`directory` as a Path; TypeError or ValueError where it cannot be one."""
    if not isinstance(directory, (str, os.PathLike)):
        raise TypeError(f"directory must be a path, got {short(directory)}")
    if not os.fspath(directory) or "\0" in os.fspath(directory):
        raise ValueError(f"directory must be the path of a folder, got {directory!r}")
    return Path(directory)


def make_folder(directory):
    """`directory` as a Path, made where it is not there; also OSError where it cannot be."""
    path = as_folder(directory)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        wanted = "directory must be a folder, or one that can be made"
        raise OSError(f"{wanted}, got {path}: {error.strerror}") from error
    return path


def require_own_log(directory):
    """Raise ValueError where a folder without a sweep has a log, to which a sweep would append."""
    own = any(re.fullmatch(MADE, path.name) for path in directory.glob(PLANS))
    if not own and log.is_others(directory):
        wanted = "directory must hold a sweep, or no log.jsonl, to which a sweep adds its events"
        raise ValueError(f"{wanted}; got {directory}, whose log.jsonl is not of a sweep")


@contextmanager
def staying(folder):
    """Let an OSError say so where it came since `folder` is gone, for nothing makes it anew."""
    try:
        yield
    except OSError as error:
        if folder.is_dir():
            raise
        wanted = "directory must stay where it is while a sweep runs"
        kept = "a sweep goes on with the blocks that are in it"
        raise OSError(f"{wanted}, got {folder}, which was moved or removed; {kept}") from error


def clear_leftovers(directory):
    """Remove unfinished shards and plans of dead processes of this host; all else stays."""
    for part in directory.glob(".*.part"):
        name = LEFT.fullmatch(part.name)
        own = name and part.is_file() and not part.is_symlink()
        if own and not lives(int(name["process"])):
            _remove(part)


def _remove(part):
    try:
        part.unlink(missing_ok=True)
    except OSError:  # what cannot be written can be read; to write there has its own error
        pass


def lives(process):
    """Whether a process of this host has the number `process`."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass  # another user's; or no number of a process, so that the file is no sweep's
    return True


def write_plan(directory, names):
    """The names of the shards that a finished sweep has, in a file of this sweep's own."""
    content = json.dumps(names).encode()
    plan = directory / f"plan-{digest(content)}.json"
    if not plan.exists() or plan.read_bytes() != content:
        with tables.whole(plan, into_new_folder=False) as part:
            part.write_bytes(content)


def status(directory, verify=False):
    """{"done", "left", "failed", "damaged"}: the names of planned shards, each in one list.

    Failed are those left whose last try failed; damaged those with other content than they were
    written with, or another block's, looked at where a length is not as logged or, with `verify`,
    in all. Raises TypeError or ValueError where `directory` is none or holds no sweep, and OSError
    where it cannot be read.
    """
    directory, verify = as_folder(directory), require_flag("verify", verify)
    names, sizes = _planned(directory), _sizes(directory)
    logged, failed = _logged(directory)
    found = {"done": [], "left": [], "failed": [], "damaged": []}
    for name in names:
        size = sizes.get(name)
        suspect = verify or size != logged.get(name, size)
        if size is None:
            state = "failed" if name in failed else "left"
        elif suspect and not _reads(directory / name):
            state = "damaged"
        else:
            state = "done"
        found[state].append(name)
    return found


def collect(directory):
    """All rows of the sweeps in `directory`, each once: as `sweep` returns them, from files alone.

    Raises ValueError where a shard is left, failed or damaged, and where sweeps disagree on what
    made their rows; TypeError or ValueError where `directory` is none or holds no sweep.
    """
    found = status(directory)
    done = found.pop("done")
    if any(found.values()):
        counts = ", ".join(f"{len(names)} {state}" for state, names in found.items())
        raise ValueError(
            f"{directory} must hold all the blocks of its sweeps, got {counts}; finish them, or "
            f"remove what plans those not wanted: {', '.join(_unfinished(directory, done))}"
        )
    table = tables.joined([shards.read(Path(directory) / name) for name in done], done)
    once = table.drop_duplicates(ROW, ignore_index=True)  # blocks of two sizes share inits
    once.attrs = table.attrs
    return once


def _unfinished(directory, done):
    """The files of the plans that have more than the shards `done`."""
    return [p.name for p in _plans(as_folder(directory)) if not set(done).issuperset(_names(p))]


def _planned(directory):
    """The names of all shards that the plans in `directory` have, each once."""
    return dict.fromkeys(name for plan in _plans(directory) for name in _names(plan))


def _plans(directory):
    plans = sorted(plan for plan in directory.glob(PLANS) if plan.is_file())
    if not plans:
        _require_readable(directory)
        raise ValueError(f"directory must hold a sweep, got {directory} without a plan")
    return plans


def _require_readable(directory):
    """Raise OSError for a folder that cannot be read, in which a search finds nothing."""
    try:
        os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):  # which hold no sweep
        pass
    except OSError as error:
        wanted = "directory must be a folder that can be read"
        raise OSError(f"{wanted}, got {directory}: {error.strerror}") from error


def _names(plan):
    try:
        names = json.loads(plan.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{plan} is damaged: {error}") from None
    if not isinstance(names, list) or not names or not all(map(_is_name, names)):
        raise ValueError(f"{plan} is damaged: it is not a list of names of shards")
    return names


def _is_name(name):
    return isinstance(name, str) and name == Path(name).name and name.endswith(".parquet")


def _sizes(directory):
    """The bytes of each shard that is there."""
    with os.scandir(directory) as files:
        shards_there = [file for file in files if file.name.endswith(".parquet") and file.is_file()]
        return {file.name: file.stat().st_size for file in shards_there}


def _logged(directory):
    """The bytes that each shard was written with, and the names of those whose last try failed."""
    sizes, failed = {}, set()
    for entry in log.entries(directory):
        name = entry.get("shard")
        if not isinstance(name, str):
            continue
        if "failed" in entry:
            failed.add(name)
        else:
            failed.discard(name)
            sizes[name] = entry.get("bytes")
    return sizes, failed


def _reads(path):
    try:
        shards.read(path)
    except ValueError:
        return False
    return True
