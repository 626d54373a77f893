"""Imports point one way, the package stays thin, and it speaks of itself alone."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "lct_lab"
MODULES = {path.stem: ast.parse(path.read_text()) for path in PACKAGE.glob("*.py")}

# What each module may import of lct_lab; checks, the sentences for bad input, is a leaf that anyone may.
ALLOWED = {
    "checks": set(),
    "signals": set(),
    "init": set(),
    "theory": set(),
    "nufft": set(),
    "tables": set(),
    "plots": {"tables"},
    "balance": {"theory"},
    "transform": {"nufft"},
    "models": {"init", "transform"},
    "probes": {"models", "init", "signals", "transform", "nufft"},
    "training": {"models", "init", "signals", "transform", "nufft", "balance", "probes", "theory"},
    "sweeps": {"probes", "signals", "tables"},
    "__init__": set(),
    "explore": {"probes", "tables", "plots", "theory", "init", "signals", "transform", "models"},
    "__main__": {"sweeps", "tables", "init", "signals", "probes"},
}
OUTSIDE = {"theory": {"torch"}, "plots": {"torch"}, "signals": {"torch"}, "tables": {"torch"}}


def imports(tree):
    """(package, module) of every import, also those inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                package, _, module = name.name.partition(".")
                yield package, module
        elif isinstance(node, ast.ImportFrom):
            package, _, module = node.module.partition(".")
            for name in node.names:
                yield package, module or (name.name if package == "lct_lab" else "")


@pytest.mark.parametrize("name", MODULES)
def test_imports_point_one_way(name):
    found = set(imports(MODULES[name]))
    inside = {module.split(".")[0] for package, module in found if package == "lct_lab"}
    assert inside - {"checks"} <= ALLOWED[name]
    packages = {package for package, _ in found}
    assert not packages & OUTSIDE.get(name, set())
    assert not packages & {"dask", "distributed", "papermill"}
    assert name == "nufft" or "finufft" not in packages


def test_thin():
    assert sum(len(path.read_text().splitlines()) for path in PACKAGE.glob("*.py")) <= 3200
