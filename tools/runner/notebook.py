"""What a notebook says before it runs: its code, its parameters, and the values given for them."""

import ast
import json
import math
import shlex
import sys


def code_cells(path):
    """The code cells of a notebook: a list of (source, tags)."""
    try:
        book = json.loads(path.read_text(encoding="utf-8"))
        _require_runnable(book)
        code = (cell for cell in book["cells"] if cell["cell_type"] == "code")
        return [("".join(cell["source"]), cell["metadata"].get("tags", [])) for cell in code]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        sys.exit(f"{path} must be a notebook, and cannot be read as one: {error!r}")


def _require_runnable(book):
    """Raise an error of some kind where papermill would, with its stack."""
    for name in ("metadata", "nbformat"):
        if name not in book:
            raise KeyError(name)
    for cell in book["cells"]:
        "".join(cell["source"]).encode()  # half of a pair of surrogates cannot be written
        if not isinstance(cell["metadata"].get("tags", []), list):
            raise TypeError("the tags of a cell must be a list")


def parameters(path):
    """{name: default} of the cell tagged parameters, whose lines are `name: type = literal`.

    papermill's own inspect_notebook would leave out a parameter with "=" in its comment.
    """
    cell = next((source for source, tags in code_cells(path) if "parameters" in tags), "")
    defaults = {}
    try:
        for line in ast.parse(cell).body:
            if isinstance(line, ast.Assign | ast.AnnAssign):
                target = line.target if isinstance(line, ast.AnnAssign) else line.targets[0]
                defaults[target.id] = ast.literal_eval(line.value)
        json.dumps(defaults)  # as which they go to the run, and into the executed copy
    except (SyntaxError, ValueError, AttributeError, TypeError) as error:
        sys.exit(f"the parameters of {path.stem} must be lines `name: type = literal`: {error}")
    return defaults


def parse(text, known, name):
    """The values in P, "inits=500 rate=1e-3 signal='my file.npy'", in the types of their defaults.

    Words are split and quoted as in a shell. Exits with a sentence on anything that the notebook
    called `name`, with the parameters `known`, does not have or cannot take.
    """
    require_text("P", text)
    try:
        words = shlex.split(text)
    except ValueError as error:
        sys.exit(f"P must be name=value pairs, quoted as in a shell: {error}, in {text!r}")
    values = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key not in known:
            names = ", ".join(f"{name}={default!r}" for name, default in known.items())
            sys.exit(
                f"P must be name=value pairs of the parameters of {name}: {names}; got {word!r}"
            )
        if key in values:
            sys.exit(f"P must give each parameter once, got {key} twice, in {text!r}")
        values[key] = _converted(value, key, known[key], name)
    return values


def require_text(name, value):
    """Exit with a sentence unless the value of `name` can be written, as in an executed copy."""
    try:
        value.encode()
    except UnicodeEncodeError:
        sys.exit(f"{name} must be text in UTF-8, got {value!r}")


def _converted(value, key, default, name):
    kind = type(default)
    if kind is str:
        return value
    try:
        found = ast.literal_eval({"true": "True", "false": "False"}.get(value, value))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        found = None
    if kind is float and type(found) is int:
        found = float(found)
    if type(found) is not kind or kind is float and not math.isfinite(found):
        sys.exit(
            f"P: {key} of {name} must be of type {kind.__name__}, "
            f"like its default {default!r}; got {value!r}"
        )
    _require_json(found, f"P: {key} of {name}")
    return found


def _require_json(value, what):
    """End with a sentence unless JSON, in which it goes to the run, has the value as it is."""
    try:
        back = json.loads(json.dumps(value, allow_nan=False))
        if repr(back) != repr(value):
            raise ValueError(f"a run would be given {back!r}")
    except (TypeError, ValueError, RecursionError) as error:
        sys.exit(f"{what} must be of values that JSON has; got {value!r}: {error}")
