"""What a notebook's results depend on: itself, what it imports, the pinned versions, the runner.

Imports are followed in the source, wherever they stand, also inside functions; nothing is run.
A folder of the package counts as one piece. Of other modules, beside the notebook or elsewhere in
the project, a notebook has what it imports; of a package of them all.
"""

import ast
import hashlib
from functools import cache

from IPython.core.inputtransformer2 import TransformerManager

from runner import ROOT
from runner.notebook import code_cells

PACKAGE = "lct_lab"


def digest(*paths):
    """A hash of the names and contents of files."""
    content = hashlib.sha256()
    for path in paths:
        content.update(path.name.encode() + b"\0" + path.read_bytes())
    return content.hexdigest()[:16]


def package_hash(notebook, root=ROOT):
    """The content hash of what a notebook's results depend on besides the notebook."""
    fixed = (root / "constraints.txt", root / "tools" / "runner" / "execute.py")
    return digest(*sorted(uses(notebook, root)), *fixed)


def uses(notebook, root=ROOT):
    """The files of the project that a notebook imports, directly or not."""
    folders = _searched(notebook, root)
    try:
        code = "\n".join(_plain(source) for source, _ in code_cells(notebook))
        todo = _files(imported(ast.parse(code), PACKAGE), root, folders)
    except SyntaxError:  # the kernel will say where
        todo = set((root / PACKAGE).rglob("*.py"))
    found = set()
    while todo:
        path = todo.pop()
        found.add(path)
        todo |= _files(_imported_by(path, folders), root, folders) - found
    return found


def _searched(notebook, root):
    """Where a notebook may find modules of the project; the innermost folders come first."""
    return (notebook.parent, root / "benchmarks", root / "tools", root)


def _plain(source):
    """A cell without IPython's own syntax, such as %magic lines."""
    return TransformerManager().transform_cell(source)


@cache
def _imported_by(path, folders):
    """The dotted names that the module at `path` imports; none where the kernel will say why."""
    folder = next(folder for folder in folders if path.is_relative_to(folder))
    within = ".".join(path.relative_to(folder).parent.parts)
    try:
        return frozenset(imported(ast.parse(path.read_bytes()), within))
    except (SyntaxError, ValueError):  # the latter of bytes that are no text
        return frozenset()


def imported(tree, within):
    """The dotted names that a module in the package `within` imports, or reads off the package.

    `import lct_lab` followed by `lct_lab.predict` gives lct_lab and lct_lab.predict.
    """
    names, called = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
            called |= {
                alias.asname or PACKAGE
                for alias in node.names
                if alias.name.split(".")[0] == PACKAGE
            }
        elif isinstance(node, ast.ImportFrom):
            origin = _absolute(node, within)
            names |= {f"{origin}.{alias.name}" for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id in called:
                names.add(f"{PACKAGE}.{node.attr}")
    return names


def _absolute(node, within):
    """What `from X import` means by X in a module of the package `within`."""
    if not node.level:
        return node.module
    parents = within.split(".")
    base = parents[: len(parents) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


def _files(names, root, folders):
    """The files behind dotted names; those of packages that are installed have none here."""
    found = set()
    for name in names:
        first, _, rest = name.partition(".")
        if first == PACKAGE:
            found |= _package_files(rest.partition(".")[0], root)
        elif first:  # a relative import outside of a package has none, and fails
            for folder in folders:
                found |= {folder / f"{first}.py", *(folder / first).rglob("*.py")}
    return {path for path in found if path.is_file()}


def _package_files(name, root):
    """The files of the package's part called `name`, or that the public name `name` comes from."""
    package, homes = root / PACKAGE, _homes(root)
    parts = homes.values() if name == "*" else {name, homes.get(name, name)}
    found = {package / "__init__.py"}
    for part in parts:
        piece = part.partition(".")[0]
        if piece:
            found |= {package / f"{piece}.py", *(package / piece).rglob("*.py")}
    return found


@cache
def _homes(root):
    """`lct_lab._HOMES`, read without importing: {public name: module that it comes from}."""
    tree = ast.parse((root / PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "_HOMES":
            return ast.literal_eval(node.value)
    return {}
