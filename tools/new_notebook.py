"""Start a notebook from tools/template.ipynb: `make new NB=20-my-question`."""

import os
import re
import sys

from runner import ROOT, speech

from lct_lab import book, tables

NAME = re.compile(r"[0-9]{2}-\w+(-\w+)*")
LONGEST = 80  # bytes of a name


def require_name(name, taken):
    """Return the name of a new notebook, or exit with a sentence; `taken` are the others' paths."""
    numbers = {path.name[:2] for path in taken}
    free = next((f"{n:02}" for n in range(1, 100) if f"{n:02}" not in numbers), "99")
    name = name.removesuffix(".ipynb")
    if not NAME.fullmatch(name) or len(os.fsencode(name)) > LONGEST:
        sys.exit(
            "NB must be two digits and the claim in words, with dashes between them and no more "
            f"than {LONGEST} bytes, like {free}-my-question; got {name!r}"
        )
    if name[3:].startswith("full-"):
        sys.exit(f"NB must not call a notebook full-, as the long versions are; got {name!r}")
    others = [path.name for path in taken if path.name[:2] == name[:2]]
    if others:
        sys.exit(f"NB must have a number of its own, and {name[:2]} is {others[0]}; {free} is free")
    return name


def main():
    folder = ROOT / "notebooks"
    name = require_name(os.environ.get("NB", ""), book.notebooks(folder))
    template = (ROOT / "tools" / "template.ipynb").read_text(encoding="utf-8")
    target = folder / f"{name}.ipynb"
    with tables.whole(target) as part:
        part.write_text(re.sub(r"\bNN\b", name[:2], template), encoding="utf-8")
    print(f"made {target.relative_to(ROOT)}")


if __name__ == "__main__":
    sys.exit(speech.say_faults(main))
