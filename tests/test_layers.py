"""Imports point one way, chapters can be lifted out, and importing the package costs nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "lct_lab"

# What each module at the top, and each folder as a whole, imports of lct_lab: this and no more.
# `checks`, the sentences that bad input gets, is a leaf that anyone may.
IMPORTS = {
    "__init__": set(),
    "__main__": {"sweeps"},
    "book": {"tables"},
    "checks": set(),
    "compiled": set(),
    "comparison": {"init", "intervals", "laws", "plots", "probes", "signals", "tables"},
    "explore": {
        "book",
        "comparison",
        "init",
        "laws",
        "plots",
        "probes",
        "signals",
        "tables",
        "transform",
    },
    "init": {"compiled", "streams"},
    "intervals": {"scaling", "tables"},
    "kernels": {"compiled"},
    "laws": {"init"},
    "models": {"init", "transform"},
    "modules": {"probes"},
    "nufft": {"compiled", "kernels"},
    "plots": {"init", "tables"},
    "probes": {"init", "nufft", "scaling", "signals", "transform"},
    "scaling": set(),
    "signals": {"scaling"},
    "streams": {"compiled"},
    "sweeps": {"init", "nufft", "probes", "signals", "tables"},
    "tables": {"compiled", "init", "scaling"},
    "training": {"init", "laws", "models", "nufft", "signals", "transform"},
    "transform": {"nufft"},
}
# Beside the command line, only `comparison`, where measurement and law meet, imports a chapter.
MAY_IMPORT_CHAPTERS = {"comparison", "__main__"}
NEVER = {
    "init": {"torch"},
    "laws": {"torch"},
    "plots": {"torch"},
    "signals": {"torch"},
    "tables": {"torch"},
}


def files():
    """Every file of the package, by the name of its module at the top or of its folder."""
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).parts[0].removesuffix(".py"), path


def imported(path):
    """(package, first module below it) of every import in a file, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{name.name}" for name in node.names]
        else:
            continue
        for name in names:
            package, *inner = name.split(".")
            yield package, inner[0] if inner else ""


UNITS = sorted({unit for unit, _ in files()})
FOUND = {
    unit: {pair for name, path in files() if name == unit for pair in imported(path)}
    for unit in UNITS
}
CHAPTERS = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}


@pytest.mark.parametrize("unit", UNITS)
def test_imports_are_those_that_are_stated(unit):
    inside = {module for package, module in FOUND[unit] if package == "lct_lab"}
    assert inside & set(UNITS) - {unit, "checks"} == IMPORTS[unit]


@pytest.mark.parametrize("unit", UNITS)
def test_heavy_and_foreign_packages_stay_where_they_belong(unit):
    packages = {package for package, _ in FOUND[unit]}
    assert not packages & NEVER.get(unit, set())
    assert not packages & {"dask", "distributed", "papermill"}
    assert unit == "nufft" or "finufft" not in packages
    assert unit == "compiled" or "numba" not in packages


def test_the_stated_imports_have_no_circle():
    order, waiting = [], dict(IMPORTS)
    while waiting:
        free = [unit for unit, needs in waiting.items() if needs <= set(order)]
        assert free, f"these import each other: {', '.join(waiting)}"
        order += free
        waiting = {unit: needs for unit, needs in waiting.items() if unit not in free}


def test_the_thin_part_does_not_need_the_chapters():
    thin = set(UNITS) - CHAPTERS - MAY_IMPORT_CHAPTERS
    assert not {unit: IMPORTS[unit] & CHAPTERS for unit in thin if IMPORTS[unit] & CHAPTERS}


def test_importing_the_package_loads_nothing_heavy():
    heavy = "{'torch', 'pandas', 'scipy', 'matplotlib', 'finufft', 'numba', 'numpy'}"
    program = f"import sys, lct_lab; print(sorted({heavy} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr


def test_every_public_name_is_where_the_package_says():
    program = "import lct_lab; print(all(callable(getattr(lct_lab, n)) for n in lct_lab.__all__))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.stdout.strip() == "True", result.stderr
