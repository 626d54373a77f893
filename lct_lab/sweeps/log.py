"""What happened in a sweep's directory, one line of JSON an event, in log.jsonl."""

import json
import os
import time
from functools import cache
from pathlib import Path

EVENTS = {"sweep", "shard", "damaged"}  # of an entry one, beside its time


def append(directory, **entry):
    """Add an event, with its time. Raises OSError naming the path that cannot be written."""
    path = directory / "log.jsonl"
    line = json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%S"), **entry}).encode() + b"\n"
    try:
        with path.open("a+b") as file:
            file.write(line if _ends_a_line(file) else b"\n" + line)
    except OSError as error:
        raise OSError(f"cannot write {path}: {error}") from error


def _ends_a_line(file):
    """False after the half line of a driver that was killed or found the disk full."""
    if not file.seek(0, os.SEEK_END):
        return True
    file.seek(-1, os.SEEK_END)
    return file.read() == b"\n"


def entries(directory):
    """Every event that can be read, from the first on; lines that are garbled are left out."""
    path = directory / "log.jsonl"
    for line in path.read_bytes().splitlines() if path.is_file() else ():
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict):
            yield entry


def is_others(directory):
    """Whether the log that is there has no event of a sweep, and so is somebody else's."""
    path = directory / "log.jsonl"
    if not path.is_file() or not path.stat().st_size:
        return False
    return not any("time" in entry and EVENTS & entry.keys() for entry in entries(directory))


@cache
def commit():
    """The commit of the code that this process began with, -dirty after changes, or unknown.

    Unknown too where the repository around this file does not track it: it is someone else's, with
    this package installed inside.
    """
    if not _git("ls-files", "--error-unmatch", Path(__file__).name):
        return "unknown"
    return _git("describe", "--always", "--dirty") or "unknown"


def _git(*arguments):
    """What git says in this folder, of the repository around it; nothing where it fails."""
    import subprocess

    elsewhere = {name for name in os.environ if name.startswith("GIT_")}
    environment = {name: os.environ[name] for name in os.environ.keys() - elsewhere}
    try:
        found = subprocess.run(
            ["git", *arguments],
            cwd=Path(__file__).resolve().parent,
            env=environment,
            capture_output=True,
            text=True,
        )
    except OSError:
        return ""
    return "" if found.returncode else found.stdout.strip()
