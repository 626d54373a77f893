"""The divisors that the original notebook gives its gradients.

Source: the public repository Jovie-Liu/Audio-Processing-Neural-Networks, notebook "Manual
Gradients", commit 41fe483. Each is meant to bring a group's gradient to the size of a3's; notebooks
05 and 13 say where each holds. `quoted` is the source's own line, with the number of its cell; the
size is N = M = 1000 where the file shows one. A rule's `formula` is read from the function that
computes it.

The output of cell 1732 was made with 8 and 4 where its text has 10 and 5 (notebook 13).
"""

import ast
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from math import pi, sqrt


@dataclass(frozen=True)
class Rule:
    """A divisor of one group's gradient, rule(n, m).

    `latex` and `formula` say what it computes, `quoted` where and how the source has it.
    """

    name: str
    group: str
    latex: str
    quoted: str
    function: Callable

    def __call__(self, n, m):
        return self.function(n, m)

    @property
    def formula(self):
        """What the function returns, as a line of Python."""
        definition = ast.parse(textwrap.dedent(inspect.getsource(self.function)))
        returned = next(node for node in ast.walk(definition) if isinstance(node, ast.Return))
        return ast.unparse(returned.value)

    def _repr_latex_(self):
        return f"${self.latex}$"


RULES = {}


def _rule(name, latex, quoted):
    """Enter a function (n, m) -> divisor in `RULES`; the name's first word is the group."""

    def enter(function):
        RULES[name] = Rule(name, name.split()[0], latex, quoted, function)
        return function

    return enter


@_rule("a1 sum", r"(M+N)/\sqrt{MN}", "[1732] a1.grad/((M+N)/np.sqrt(M*N))")
def a1_sum(n, m):
    return (m + n) / sqrt(m * n)


@_rule("a1 ratio", r"2\sqrt{M/N}", "[1609] a1.grad/(2*np.sqrt(M/N))")
def a1_ratio(n, m):
    return 2 * sqrt(m / n)


@_rule("a1 root", r"\sqrt{N}", "[863] a1.grad /np.sqrt(N)")
def a1_root(n, m):
    return sqrt(n)


@_rule("a2 root", r"\sqrt{MN}", "[1610] [1732] a2.grad/np.sqrt(M*N)")
def a2_root(n, m):
    return sqrt(m * n)


@_rule("a3 one", "1", "[1732] a3.grad")
def a3_one(n, m):
    return 1.0


@_rule("a4 root", r"(N-1)/\sqrt{2}", "[1611] a4.grad*np.sqrt(2)/(N-1)")
def a4_root(n, m):
    return (n - 1) / sqrt(2)


@_rule("a4 decimal", "(N-1)/1.4", "[1732] a4.grad*1.4/(N-1)")
def a4_decimal(n, m):
    return (n - 1) / 1.4


@_rule("a4 cosine", r"2(N-1)/\pi", "[851] dl_da4*np.pi/2/(N-1)")
def a4_cosine(n, m):
    return 2 * (n - 1) / pi


@_rule("w1 ten", r"10N/\sqrt{M}", "[1732] w1.grad/N*np.sqrt(M)/10")
def w1_ten(n, m):
    return 10 * n / sqrt(m)


@_rule("w1 mean", r"N/\sqrt{M}", "[1633] w1.grad.abs().mean()/N*np.sqrt(M)")
def w1_mean(n, m):
    return n / sqrt(m)


@_rule("w1 sum", "N(N-1)/M", "[857] w1.grad.abs().median() * M/N/(N-1)")
def w1_sum(n, m):
    return n * (n - 1) / m


@_rule("w1 sum sixth", "N(N-1)/6M", "[636] 6*M/N/(N-1)")
def w1_sum_sixth(n, m):
    return n * (n - 1) / (6 * m)


@_rule("w2 five", r"5N/\sqrt{M}", "[1732] w2.grad/N*np.sqrt(M)/5")
def w2_five(n, m):
    return 5 * n / sqrt(m)


@_rule("w2 median", r"N/\sqrt{M}", "[1632] w2.grad.abs().median()/N*np.sqrt(M)")
def w2_median(n, m):
    return n / sqrt(m)
