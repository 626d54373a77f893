"""The divisors that the original notebook gives its gradients, read off at N = M = 1000.

Source: the public repository Jovie-Liu/Audio-Processing-Neural-Networks, notebook "Manual
Gradients". Each is meant to bring a group's gradient to the size of a3's; notebook 04 says where
each holds. A rule's `formula` is read from the function that computes it.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from math import pi, sqrt


@dataclass(frozen=True)
class Rule:
    """A divisor of one group's gradient, rule(n, m). `latex` and `formula` say what it computes."""

    name: str
    group: str
    latex: str
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


def _rule(name, latex):
    """Enter a function (n, m) -> divisor in `RULES`; the name's first word is the group."""

    def enter(function):
        RULES[name] = Rule(name, name.split()[0], latex, function)
        return function

    return enter


@_rule("a1 sum", r"(M+N)/\sqrt{MN}")
def a1_sum(n, m):
    return (m + n) / sqrt(m * n)


@_rule("a1 ratio", r"2\sqrt{M/N}")
def a1_ratio(n, m):
    return 2 * sqrt(m / n)


@_rule("a1 root", r"\sqrt{N}")
def a1_root(n, m):
    return sqrt(n)


@_rule("a2 root", r"\sqrt{MN}")
def a2_root(n, m):
    return sqrt(m * n)


@_rule("a3 one", "1")
def a3_one(n, m):
    return 1.0


@_rule("a4 max", r"(N-1)/\sqrt{2}")
def a4_max(n, m):
    return (n - 1) / sqrt(2)


@_rule("a4 mean", "(N-1)/1.4")
def a4_mean(n, m):
    return (n - 1) / 1.4


@_rule("a4 cosine", r"2(N-1)/\pi")
def a4_cosine(n, m):
    return 2 * (n - 1) / pi


@_rule("w1 max", r"10N/\sqrt{M}")
def w_max(n, m):
    return 10 * n / sqrt(m)


@_rule("w1 mean", r"N/\sqrt{M}")
def w_mean(n, m):
    return n / sqrt(m)


@_rule("w1 sum", "N(N-1)/M")
def w_sum(n, m):
    return n * (n - 1) / m


@_rule("w1 sum sixth", "N(N-1)/6M")
def w_sum_sixth(n, m):
    return n * (n - 1) / (6 * m)


@_rule("w2 max", r"5N/\sqrt{M}")
def w2_max(n, m):
    return 5 * n / sqrt(m)


@_rule("w2 median", r"N/\sqrt{M}")
def w2_median(n, m):
    return n / sqrt(m)
