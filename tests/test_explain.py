"""A check that fails names itself and its numbers."""

import ast

import numpy as np
import pandas as pd
import pytest
from runner import explain

NAMES = {
    "np": np,
    "error": 0.25,
    "bound": 0.1,
    "table": pd.DataFrame({"ratio": [1.0, 1.5], "error": 0.2}, index=["a1", "w2"]),
    "rows": [1, 2],
}


def failure(code):
    """The words of the AssertionError of `code`, run as in a kernel."""
    tree = explain.Explained().visit(ast.parse(code))
    names = {**NAMES, explain.CALLED: explain.explain}
    with pytest.raises(AssertionError) as raised:
        exec(compile(ast.fix_missing_locations(tree), "cell", "exec"), names)
    return str(raised.value)


def test_both_sides_of_a_comparison_are_shown():
    assert failure("assert error < bound") == "error < bound\n    error = 0.25\n    bound = 0.1"
    assert failure("assert 2 * error < 0.1") == "2 * error < 0.1\n    2 * error = 0.5"


def test_the_message_of_the_check_comes_first():
    assert failure("assert error < 0.1, 'too far'").startswith("too far\nerror < 0.1\n")


def test_of_several_conditions_the_false_one_is_named():
    said = failure("assert bound > 0 and error < bound and error < 1")
    assert said.splitlines()[0] == "error < bound"


def test_a_check_of_a_column_shows_its_rows():
    said = failure("assert (abs(table['ratio'] - 1) < 0.1 + table['error']).all()").splitlines()
    assert said[0] == "(abs(table['ratio'] - 1) < 0.1 + table['error']).all()"
    assert said[1].split() == "abs(table['ratio'] - 1) 0.1 + table['error']".split()
    assert [line.split() for line in said[2:]] == [["w2", "0.5", "0.3"]], "and no good rows"
    assert "w2    0.5" in failure("assert (abs(table[['ratio']] - 1) < 0.1).all(axis=None)")
    said = failure("assert (np.ones((2, 1)) < table[['ratio']]).all(axis=None)")
    assert "np.ones((2, 1)) = array" in said and "w2    1.5" in said
    assert "w2    1.5" in failure("assert table['ratio'].between(0.9, 1.1).all()")


def test_arguments_of_a_function_are_shown():
    said = failure("assert np.allclose(table['ratio'], np.ones(2), rtol=0.1)")
    assert "np.ones(2) = array([1., 1.])" in said and "w2    1.5" in said


def test_a_check_within_a_function_sees_its_names():
    said = failure("def check(gap):\n    assert not gap > 1\ncheck(3)")
    assert said == "not gap > 1\n    gap = 3"


def test_a_good_check_is_as_it_was_and_evaluated_once():
    seen = []
    code = "assert seen.append(1) or error < 1\nassert all(row > 0 for row in rows), rows[7]"
    tree = explain.Explained().visit(ast.parse(code))
    exec(compile(tree, "cell", "exec"), {**NAMES, "seen": seen, explain.CALLED: explain.explain})
    assert seen == [1]


def test_what_cannot_be_shown_does_not_hide_the_failure():
    said = failure("seen = iter([3])\nassert next(seen) == 4")
    assert said == "next(seen) == 4\n    next(seen) = (StopIteration: )"
    assert failure("assert (n := 3) == 4") == "(n := 3) == 4"
    assert len(failure("assert 'x' * 10_000 == ''")) < 1000
