"""What happened in a sweep's directory, one line of JSON an event, in log.jsonl."""

import json
import time
from functools import cache
from pathlib import Path


def append(directory, **entry):
    """Add an event, with its time. Raises OSError naming the path that cannot be written."""
    path = directory / "log.jsonl"
    line = json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%S"), **entry})
    try:
        with path.open("a") as file:
            file.write(line + "\n")
    except OSError as error:
        raise OSError(f"cannot write {path}: {error}") from error


def entries(directory):
    """Every event that can be read, from the first on."""
    path = directory / "log.jsonl"
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            yield json.loads(line)
        except ValueError:  # the last line of a driver that was killed
            continue


@cache
def commit():
    """The commit of the code that this process began with, -dirty after changes, or unknown."""
    import subprocess

    command = ["git", "describe", "--always", "--dirty"]
    folder = Path(__file__).parent
    try:
        found = subprocess.run(command, capture_output=True, text=True, cwd=folder).stdout.strip()
    except OSError:
        found = ""
    return found or "unknown"
