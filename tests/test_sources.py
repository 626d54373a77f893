"""A notebook runs again when what it uses changed, and only then."""

import pytest
from projects import ROOT, notebook
from runner import sources

from lct_lab import book

FILES = {
    "lct_lab/__init__.py": '_HOMES = {"LCT": "models", "recover": "training.recover"}',
    "lct_lab/tables.py": "import numpy as np",
    "lct_lab/plots.py": "from lct_lab.tables import output",
    "lct_lab/models.py": "def f():\n    from lct_lab import init",
    "lct_lab/init.py": "",
    "lct_lab/unused.py": "from lct_lab import models",
    "lct_lab/training/__init__.py": "",
    "lct_lab/training/recover.py": "from ..models import LCT\nfrom . import fit",
    "lct_lab/training/fit.py": "import lct_lab\nlct_lab.tables.write",
    "benchmarks/contest.py": "from lct_lab import init",
    "benchmarks/bench.py": "import contest\nfrom lct_lab import training",
    "notebooks/helper.py": "import numpy\nfrom lct_lab import init\nimport deeper.a",
    "notebooks/deeper/__init__.py": "from .b import c",
    "notebooks/deeper/a.py": "",
    "notebooks/deeper/b.py": "import lct_lab.tables",
    "notebooks/b.py": "",
    "notebooks/alone.py": "from . import b",
    "notebooks/wrong.py": "import (",
    "notebooks/bytes.py": "\0",
    "shared.py": "from benchmarks import contest",
    "constraints.txt": "numpy==2",
    "tools/runner/execute.py": "",
    "tools/runner/jobs.py": "",
}
TRAINING = {"training/__init__", "training/recover", "training/fit"}
DEEPER = {f"notebooks/deeper/{name}" for name in ("__init__", "a", "b")}
BENCHED = {"__init__", "init", "models", "tables"} | TRAINING


@pytest.fixture
def root(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def used(root, code):
    """Names of the package's and the project's other files that a notebook with this code uses."""
    path = root / "notebooks" / "90-a.ipynb"
    path.write_text(notebook(code))
    found = {p.relative_to(root).with_suffix("") for p in sources.uses(path, root)}
    return {str(p).removeprefix("lct_lab/") for p in found}


@pytest.mark.parametrize(
    "code, names",
    [
        ("import numpy as np", set()),
        ("from lct_lab import plots", {"__init__", "plots", "tables"}),
        ("from lct_lab.plots import figure", {"__init__", "plots", "tables"}),
        ("from lct_lab import LCT", {"__init__", "models", "init"}),
        ("import lct_lab as l\nl.LCT(2, 2)", {"__init__", "models", "init"}),
        ("import lct_lab.init", {"__init__", "init"}),
        ("from lct_lab import recover", {"__init__", "models", "init", "tables"} | TRAINING),
        ("%matplotlib inline\nfrom lct_lab import init", {"__init__", "init"}),
        ("def f():\n    import contest", {"benchmarks/contest", "__init__", "init"}),
        ("from helper import f", {"notebooks/helper", "__init__", "init", "tables"} | DEEPER),
        ("import deeper", {"__init__", "tables"} | DEEPER),
        ("import shared", {"shared", "benchmarks/contest", "benchmarks/bench"} | BENCHED),
        ("import wrong, bytes", {"notebooks/wrong", "notebooks/bytes"}),
        ("import alone", {"notebooks/alone"}),
    ],
)
def test_imports_are_followed_wherever_they_stand(root, code, names):
    assert used(root, code) == names


def test_a_star_and_a_syntax_error_use_everything_they_may(root):
    assert used(root, "from lct_lab import *") >= {"models", "init"} | TRAINING
    assert used(root, "from lct_lab import (") >= {"unused", "plots"} | TRAINING


@pytest.mark.parametrize(
    "name, matters",
    [
        ("lct_lab/init.py", True),
        ("lct_lab/models.py", True),
        ("constraints.txt", True),
        ("tools/runner/execute.py", True),
        ("tools/runner/jobs.py", False),
        ("lct_lab/unused.py", False),
        ("lct_lab/training/fit.py", False),
        ("notebooks/deeper/b.py", True),
        ("benchmarks/contest.py", False),
        ("notebooks/helper.py", True),
        ("notebooks/b.py", False),
    ],
)
def test_only_what_a_notebook_uses_makes_it_run_again(root, name, matters):
    path = root / "notebooks" / "90-a.ipynb"
    path.write_text(notebook("from lct_lab import LCT\nimport helper"))
    before = sources.package_hash(path, root)
    with (root / name).open("a") as file:
        file.write("\n# changed\n")
    assert (sources.package_hash(path, root) != before) == matters


def test_of_this_projects_notebooks_only_one_uses_a_benchmark():
    for path in book.notebooks():
        benchmarks = {p.name for p in sources.uses(path) if p.parent == ROOT / "benchmarks"}
        assert bool(benchmarks) == path.name.startswith("14-"), (path.name, benchmarks)
        assert ROOT / "lct_lab" / "tables.py" in sources.uses(path)
