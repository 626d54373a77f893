"""The code can be read: the formatter lays it out, and functions fit on a screen."""

import ast
import io
import json
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = sorted((ROOT / "lct_lab").rglob("*.py"))
SCREEN = 45  # lines of a function, its docstring apart
TOKENS = 10  # a line of code, on average over the package
WORDS = (tokenize.NAME, tokenize.OP, tokenize.NUMBER)


@pytest.mark.parametrize("command", (["format", "--check"], ["check"]))
def test_the_formatter_and_the_linter_agree(command):
    words = [sys.executable, "-m", "ruff", *command, "."]
    result = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("path", PACKAGE, ids=lambda path: str(path.relative_to(ROOT)))
def test_nobody_overrides_the_formatter(path):
    assert "fmt: " not in path.read_text()


@pytest.mark.parametrize("path", PACKAGE, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_function_fits_on_a_screen(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            words = (ast.get_docstring(node, clean=False) or "").count("\n") + 1
            assert node.end_lineno - node.lineno + 1 - words <= SCREEN, node.name


def test_a_line_of_code_says_one_thing():
    lines = tokens = 0
    for path in PACKAGE:
        found = tokenize.generate_tokens(io.StringIO(path.read_text()).readline)
        rows = [token.start[0] for token in found if token.type in WORDS]
        lines, tokens = lines + len(set(rows)), tokens + len(rows)
    assert tokens / lines <= TOKENS


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda p: p.stem)
def test_notebooks_have_no_walls(path):
    for cell in json.loads(path.read_text())["cells"]:
        if cell["cell_type"] == "code":
            assert max(map(len, "".join(cell["source"]).splitlines() or [""])) <= 100
