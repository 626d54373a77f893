"""Titles and questions of notebooks, read without running or importing anything heavy."""

import json
import subprocess
import sys

import pytest

from lct_lab import book


def notebook(path, text):
    cell = {"cell_type": "markdown", "metadata": {}, "source": text.splitlines(keepends=True)}
    path.write_text(json.dumps({"cells": [cell]}), encoding="utf-8")
    return path


def test_title_and_question_of_a_first_cell(tmp_path):
    text = "# 90 · Cosines, née waves\n\n**Question.** How\nlarge?\n\n**Oracle.** A sum."
    path = notebook(tmp_path / "90-cosines.ipynb", text)
    assert book.abstract(path) == ("90 · Cosines, née waves", "How large?")
    assert book.abstract(notebook(path, "# 90 · No question")) == ("90 · No question", "")


@pytest.mark.parametrize("text", ["", "{}", '{"cells": []}', "[]"])
def test_what_is_no_notebook_is_named(tmp_path, text):
    path = tmp_path / "90-broken.ipynb"
    path.write_text(text)
    with pytest.raises(ValueError, match="90-broken.ipynb must be a notebook with a title"):
        book.abstract(path)


def test_contents_link_every_notebook_but_the_explorer():
    text = book.contents().data
    for path in book.notebooks():
        assert (f"]({path.name})" in text) != path.name.startswith("00-")
    assert len(text.splitlines()) == len(book.notebooks()) - 1


def test_a_title_costs_no_torch():
    code = "import sys; from lct_lab import book; print('torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert said.stdout.strip() == "False", said.stderr
