"""Let a failing check name itself and its numbers: an extension of the kernels of the runner.

`assert error < 0.02` in a cell fails with

    AssertionError: error < 0.02
        error = 0.0314

Parts that have a value are evaluated again for the message, after the failure, not before.
"""

import ast
import textwrap

LIMIT = 600  # characters of a value that are shown
CALLED = "_explain_a_failed_check"
NO_ARGUMENTS = ast.arguments([], [], None, [], [], None, [])
ONCE = (ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr)  # cannot be evaluated again


class Explained(ast.NodeTransformer):
    """assert test, words -> assert test, explain("test", words, "part", lambda: part, ...)"""

    def visit_Assert(self, node):
        if isinstance(node.test, ast.BoolOp) and isinstance(node.test.op, ast.And):
            each = [ast.Assert(test=part, msg=node.msg) for part in node.test.values]
            return [self.visit(ast.copy_location(check, node)) for check in each]
        call = ast.Call(ast.Name(CALLED, ast.Load()), [ast.Constant(ast.unparse(node.test))], [])
        call.args.append(node.msg or ast.Constant(None))
        for part in parts(node.test):
            call.args.append(ast.Constant(ast.unparse(part)))
            call.args.append(ast.Lambda(NO_ARGUMENTS, part))
        explained = ast.Assert(node.test, call)
        return ast.fix_missing_locations(ast.copy_location(explained, node))


def parts(test):
    """The expressions whose values say why `test` is false: sides of comparisons, arguments."""
    match test:
        case ast.Compare():
            found = [test.left, *test.comparators]
        case ast.BoolOp():
            found = [part for value in test.values for part in parts(value)]
        case ast.UnaryOp(op=ast.Not()):
            found = parts(test.operand)
        case ast.Call(func=ast.Attribute(value=receiver)) if not isinstance(receiver, ast.Name):
            found = parts(receiver)  # (a < b).all(), table["ratio"].between(0.9, 1.1).all()
        case ast.Call():
            found = [a for a in test.args if not isinstance(a, ast.GeneratorExp | ast.Starred)]
        case _:
            found = [test]
    return [part for part in found if _has_a_value(part)]


def _has_a_value(part):
    again = not any(isinstance(node, ONCE) for node in ast.walk(part))
    return again and not isinstance(part, ast.Constant)


def explain(test, message, *named):
    """The words of an AssertionError; `named` are sources and functions that give their values."""
    lines = [] if message is None else [str(message)]
    lines.append(test)
    for source, value in zip(named[::2], named[1::2], strict=True):
        shown = _shown(value)
        if shown != source:
            lines.append(textwrap.indent(f"{source} = {shown}", "    "))
    return "\n".join(lines)


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
