"""Every notebook keeps the house rules, and runs with small parameters."""

import ast
import json
import signal
import statistics
import subprocess
import sys

import pytest
from cells import Notebooks
from projects import NOTEBOOKS, PUBLISHED, ROOT, TABLE, notebook
from runner.notebook import code_cells, parameters, parse
from runner.sources import digest

from lct_lab import book

LONGEST_CELL, MEDIAN_CELL, LONGEST_FUNCTION, WIDEST = 25, 15, 18, 100

# Small enough for seconds, large enough that the claim still holds.
SMALL = {
    "00": "n=64 m=48 inits=3",
    "01": "n=200 m=160 batch=200",
    "02": "n=300 m=300 inits=60 n_max=512",
    "03": "n=300 m=300 m_other=120 inits=300 window=256 batch_max=32",
    "04": "draws=400",
    "05": "samples=16384 n_max=1024",
    "06": "draws=300",
    "07": "inits=200",
    "08": "n=128 draws=60 inits=200 every=4",
    "09": "largest=512 n_max=128 newton_max=512 most_steps=600",
    "10": "n_max=512 widest=512",
    "11": "n=128 starts=1 most_steps=400 fine_steps=800 unit=16 ablated=64 large=256 pairs=16",
    "12": "steps=60 starts=2 n=32",
    "13": "starts=40 sets=5 batches=2",
    "14": "largest=4000 dense_largest=1000 seconds=0.02",
}


def by_name(paths):
    return pytest.mark.parametrize("path", paths, ids=lambda path: path.stem)


def lines_of(source):
    """How many lines of a cell or function are not blank."""
    return sum(bool(line.strip()) for line in source.splitlines())


def require_form(path):
    """Title, question, one cell of parameters, a check, a figure, and no outputs."""
    cells = json.loads(path.read_text())["cells"]
    title, question = book.abstract(path)
    assert cells[0]["cell_type"] == "markdown" and title.startswith(f"{path.name[:2]} · ")
    assert question, "the first cell must ask a question, **Question.**"
    for cell in cells:
        assert not cell.get("outputs") and cell.get("execution_count") is None
    code = code_cells(path)
    (given,) = [source for source, tags in code if "parameters" in tags]
    for line in ast.parse(given).body:
        assert isinstance(line, ast.AnnAssign), f"{ast.unparse(line)}: name: type = literal"
    assert given.count("#") >= len(parameters(path)) > 0, "each parameter has a comment"
    checks = [source for source, tags in code if "check" in tags]
    assert checks and all("assert" in source for source in checks)
    assert any("save_figure" in source for source, _ in code)


def require_layout(path):
    """Short cells and functions, and no line that needs a wide screen."""
    sources = [source for source, _ in code_cells(path)]
    for source in sources:
        assert lines_of(source) <= LONGEST_CELL, f"a cell of more than a thought:\n{source}"
        assert all(len(line) <= WIDEST for line in source.splitlines()), source
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef):
                text = ast.get_source_segment(source, node)
                assert lines_of(text) <= LONGEST_FUNCTION, f"belongs in the package:\n{text}"
    assert statistics.median(map(lines_of, sources)) <= MEDIAN_CELL


def ruff(*arguments):
    command = [sys.executable, "-m", "ruff", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@by_name(NOTEBOOKS)
def test_house_rules(path):
    require_form(path)


@by_name(NOTEBOOKS)
def test_layout(path):
    require_layout(path)


def test_the_formatter_and_the_linter_have_nothing_to_say():
    template = ROOT / "tools" / "template.ipynb"
    formatted = ruff("format", "--check", *NOTEBOOKS, template)
    assert formatted.returncode == 0, formatted.stdout
    checked = ruff("check", "--output-format=concise", *NOTEBOOKS, template)
    assert checked.returncode == 0, checked.stdout


def test_a_notebook_from_the_template_keeps_the_rules(tmp_path):
    path = tmp_path / "16-my-question.ipynb"
    text = (ROOT / "tools" / "template.ipynb").read_text()
    path.write_text(text.replace("NN", "16"))
    require_form(path)
    require_layout(path)


def test_rules_that_are_broken_are_noticed(tmp_path):
    path = tmp_path / "16-my-question.ipynb"
    text = (ROOT / "tools" / "template.ipynb").read_text().replace("NN", "16")
    for good, bad, rule in (
        ("# 16 · The", "# 17 · The", require_form),
        ("**Question.**", "A question:", require_form),
        ("n: int = 256", "n = 256", require_form),
        ("assert ", "print ", require_form),
        ("plots.use_style()", "x = 1  # " + "long " * 30, require_layout),
        ("plots.use_style()", r"x = 1\n" * 30, require_layout),
        ("plots.use_style()", r"def f():\n" + r"    x = 1\n" * 18, require_layout),
    ):
        assert good in text
        path.write_text(text.replace(good, bad))
        with pytest.raises((AssertionError, SystemExit)):
            rule(path)


@by_name(PUBLISHED)
def test_the_executed_copy_is_of_this_source(path):
    made = json.loads((path.parent / "rendered" / path.name).read_text())["metadata"]["lct_lab"]
    asked = f"make notebooks NB={path.name[:2]}, then commit what it made"
    assert made["notebook"] == digest(path), asked


@pytest.fixture(scope="module")
def notebooks():
    """A process that runs notebooks; the runner itself is tested in test_runner."""
    running = Notebooks()
    yield running
    running.close()


@by_name(NOTEBOOKS)
def test_runs_with_small_parameters(notebooks, tmp_path, path):
    values = parse(SMALL.get(path.name[:2], ""), parameters(path), path.stem)
    status, said = notebooks.run(path, tmp_path, limit=300, **values)
    assert status == 0, said
    assert list(tmp_path.glob("figures/*.svg"))


def test_a_run_has_its_parameters_and_a_check_that_fails_is_told(notebooks, tmp_path):
    path = tmp_path / "90-sizes.ipynb"
    path.write_text(notebook(TABLE, "x = 2\nassert n == x, 'the claim is false'"))
    assert notebooks.run(path, tmp_path, limit=60, n=2) == (0, "2 0.5 eeg\n")
    assert (tmp_path / "data" / "90-sizes.csv").read_text() == "n\n2\n"
    status, said = notebooks.run(path, tmp_path, limit=60, n=7)
    assert status == 1
    for words in ("in cell 4:\nx = 2\n", "the claim is false\nn == x\n    n = 7\n    x = 2"):
        assert words in said
    path.write_text(notebook("import time; time.sleep(60)"))
    assert notebooks.run(path, tmp_path, limit=1)[0] == -signal.SIGALRM
