"""Every notebook keeps the house rules, and runs through our own runner with small parameters."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import run_notebook

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))

# Small enough for seconds, large enough that the claim still holds.
SMALL = {
    "00": "n=64 m=48 inits=3",
    "01": "n=200 m=160 batch=200",
    "02": "n=300 m=300 inits=60 n_max=512",
    "03": "inits=400 window=256 batch_max=64",
    "04": "samples=65536 n_max=1024",
    "05": "draws=400",
    "06": "largest=10000 dense_largest=1000 seconds=0.05",
    "07": "draws=300",
    "08": "inits=150",
    "09": "n_max=512",
    "10": "n=64 starts=1 plain_steps=600 zoom=32 ablated=64",
    "11": "steps=100 starts=1 n=32",
    "12": "n=128 draws=60 inits=60",
}


def code(path):
    return [
        "".join(cell["source"])
        for cell in json.loads(path.read_text())["cells"]
        if cell["cell_type"] == "code"
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_house_rules(path):
    cells = json.loads(path.read_text())["cells"]
    first = "".join(cells[0]["source"])
    assert cells[0]["cell_type"] == "markdown" and first.startswith(f"# {path.name[:2]} · ")
    assert "**Question.**" in first
    sources = code(path)
    assert all(
        not c.get("outputs") and c.get("execution_count") is None
        for c in cells
        if c["cell_type"] == "code"
    )
    tagged = [c for c in cells if "parameters" in c["metadata"].get("tags", [])]
    assert len(tagged) == 1
    for line in "".join(tagged[0]["source"]).splitlines():
        assert ":" in line.split("=")[0] and "#" in line, (
            f"{line}: an annotated scalar with a comment"
        )
        ast.literal_eval(line.split("=", 1)[1].split("#")[0].strip())
    checks = ["".join(c["source"]) for c in cells if "check" in c["metadata"].get("tags", [])]
    assert checks and all("assert" in text for text in checks)
    assert not any(
        isinstance(node, ast.FunctionDef) for text in sources for node in ast.walk(ast.parse(text))
    )
    assert sum(text.count("\n") + 1 for text in sources) <= 150
    assert "save_figure" in "".join(sources)


def test_the_readme_lists_every_notebook_and_its_links_resolve():
    text = (ROOT / "README.md").read_text()
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert {f"notebooks/rendered/{path.name}" for path in NOTEBOOKS} <= set(links)
    assert all((ROOT / link).exists() for link in links if "://" not in link)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_executed_copy_is_of_this_source(path):
    made = json.loads((path.parent / "rendered" / path.name).read_text())["metadata"]["lct_lab"]
    assert made["notebook"] == run_notebook.digest(path), (
        f"make notebooks NB={path.name[:2]}, then commit what it made"
    )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_with_small_parameters(path):
    command = [
        sys.executable,
        "tools/run_notebook.py",
        "--only",
        path.stem,
        "--parameters",
        SMALL[path.name[:2]],
    ]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
