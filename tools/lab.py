"""Open JupyterLab at the explorer, on copies of the notebooks: `make lab LAB="--port=9999"`.

The copies are in build/lab/, to be run, changed and saved at will, and notebooks/ stays as it is.
A copy that was not changed is made anew when its notebook has changed; one that was is kept.
"""

import hashlib
import json
import os
import shlex
import sys

from runner import ROOT, processes, speech

from lct_lab import book, tables

LAB = ROOT / "build" / "lab"
COPIED = LAB / ".copied.json"  # {name: hash of what was copied}


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def refresh():
    """Copy what is new or was not touched since; returns the names of the copies that are kept."""
    LAB.mkdir(parents=True, exist_ok=True)
    copied = noted()
    kept = []
    for source in book.notebooks(ROOT / "notebooks"):
        copy, name = LAB / source.name, source.name
        if copy.exists() and digest(copy) != copied.get(name):
            kept.append(name)
        else:
            with tables.whole(copy) as part:
                part.write_bytes(source.read_bytes())
            copied[name] = digest(copy)
    with tables.whole(COPIED) as part:
        part.write_text(json.dumps(copied, indent=1))
    return kept


def noted():
    """What was copied: {name: hash}. Where that cannot be read, every copy counts as changed."""
    try:
        found = json.loads(COPIED.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def main():
    try:
        given = shlex.split(os.environ.get("LAB", ""))
    except ValueError as error:
        sys.exit(f"LAB must be options of JupyterLab, quoted as in a shell: {error}")
    processes.clear(ROOT)
    kept = refresh()
    print("opening copies of the notebooks, in build/lab/; what is saved there stays there")
    print(f"(the notebooks themselves: {sys.executable} -m jupyterlab notebooks)")
    if kept:
        print(f"changed there, and kept: {', '.join(kept)} (delete one for a fresh copy)")
    print(end="", flush=True)
    first = LAB.relative_to(ROOT) / "00-explore.ipynb"
    os.chdir(ROOT)
    os.execv(sys.executable, [sys.executable, "-m", "jupyterlab", str(first), *given])


if __name__ == "__main__":
    sys.exit(speech.say_faults(main))
