"""Let a failing check name itself and its numbers: an extension of the kernels of the runner.

`assert error < 0.02` in a cell fails with

    AssertionError: error < 0.02
        error = 0.0314

Parts that have a value are evaluated again for the message, after the failure, not before.
And `exit()` ends a cell as `sys.exit()` does, where IPython would end the kernel some time later.
"""

import ast
import sys
import textwrap

LIMIT = 600  # characters of a value that are shown
CALLED = "_explain_a_failed_check"
ONCE = (ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr)  # cannot be evaluated again


class Explained(ast.NodeTransformer):
    """`assert test, words` -> `assert test, explain("test", words, {"part": lambda: part, ...})`"""

    def visit_Assert(self, node):
        if isinstance(node.test, ast.BoolOp) and isinstance(node.test.op, ast.And):
            each = [ast.Assert(test=part, msg=node.msg) for part in node.test.values]
            return [self.visit(ast.copy_location(check, node)) for check in each]
        test = ast.unparse(node.test)
        words = ast.unparse(node.msg) if node.msg else None
        values = ", ".join(f"{part!r}: lambda: ({part})" for part in parts(node.test))
        rows = _rows(node.test)
        holds = f"lambda: ({ast.unparse(rows)})" if rows else None
        code = f"assert {test}, {CALLED}({test!r}, {words}, {{{values}}}, {holds})"
        (explained,) = ast.parse(code).body
        return ast.increment_lineno(explained, node.lineno - 1)


def parts(test):
    """The sources of those expressions whose values say why `test` is false."""
    found = [part for part in _parts(test) if not isinstance(part, ast.Constant)]
    return [ast.unparse(part) for part in found if not _is_for_once(part)]


def _parts(test):
    """The sides of comparisons, and the arguments of functions."""
    match test:
        case ast.Compare():
            return [test.left, *test.comparators]
        case ast.BoolOp():
            return [part for value in test.values for part in _parts(value)]
        case ast.UnaryOp(op=ast.Not()):
            return _parts(test.operand)
        case ast.Call(func=ast.Attribute(value=receiver)) if not isinstance(receiver, ast.Name):
            return _parts(receiver)  # (a < b).all(), table["ratio"].between(0.9, 1.1).all()
        case ast.Call():
            unseen = (ast.GeneratorExp, ast.Starred)
            return [argument for argument in test.args if not isinstance(argument, unseen)]
    return [test]


def _is_for_once(part):
    return any(isinstance(node, ONCE) for node in ast.walk(part))


def _rows(test):
    """The comparison of columns, row by row, of which `test` says that it holds in all, or None."""
    match test:
        case ast.Call(func=ast.Attribute(value=ast.Compare() as rows, attr="all"), args=[]):
            return None if _is_for_once(rows) else rows
    return None


def explain(test, words, values, holds):
    """The words of an AssertionError.

    `values` are functions that evaluate parts of the test, and `holds`, where the test is of all
    rows of a table, one that says in which it holds.
    """
    lines = [test] if words is None else [str(words), test]
    table = holds and _false_rows(values, holds)
    if table:
        return "\n".join([*lines, textwrap.indent(table, "    ")])
    for part, value in values.items():
        shown = _shown(value)
        if shown != part:
            lines.append(textwrap.indent(f"{part} = {shown}", "    "))
    return "\n".join(lines)


def _false_rows(values, holds):
    """The parts side by side in the rows where the check fails, if they are columns."""
    import pandas as pd

    try:
        columns = {part: value() for part, value in values.items()}
        return pd.DataFrame(columns)[~holds()].to_string(max_rows=20)
    except Exception:  # no columns of one table, then
        return None


def _shown(value):
    try:
        found = value()
        if hasattr(found, "to_string"):  # of pandas
            return "\n" + found.to_string(max_rows=20)
        text = repr(found.item() if getattr(found, "shape", None) == () else found)
    except Exception as error:  # whatever it is, it must not hide the check that failed
        text = f"({type(error).__name__}: {error})"
    return text if len(text) <= LIMIT else text[:LIMIT] + " …"


def load_ipython_extension(shell):
    shell.user_ns_hidden[CALLED] = shell.user_ns[CALLED] = explain
    shell.ast_transformers.append(Explained())
    for name in ("exit", "quit"):
        shell.user_ns_hidden[name] = shell.user_ns[name] = sys.exit
