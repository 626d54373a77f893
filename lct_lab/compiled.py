"""Functions as machine code by numba, which is optional: who asks for them can do without."""

import sys
import threading
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec

PATIENCE = 2  # seconds of compiling from which it is announced


@cache
def available():
    """Whether numba is installed."""
    try:
        return find_spec("numba") is not None
    except (ImportError, ValueError):  # of a module that says that it is none
        return False


def compiled(function):
    """`function` as machine code, without the interpreter's lock; kept on disk where that can be.

    The order of sums is free, and with it their last digits; what is not finite stays so.
    """
    from numba import njit

    options = {"nogil": True, "fastmath": {"contract", "reassoc", "nsz"}}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # neither the package's folder nor the user's cache can be written
        return njit(**options)(function)


def loaded(load):
    """What `load` returns, or None where numba is missing or broken. A long wait is announced."""
    if not available():
        return None
    try:
        with _announced():
            return load()
    except Exception:  # whatever a broken library raises when it is loaded
        return None


@contextmanager
def _announced():
    """Say on the error stream that something is being compiled, if that takes its time."""
    said = "lct_lab compiles its inner loops, once where a cache folder can be written"
    timer = threading.Timer(PATIENCE, print, (said,), {"file": sys.stderr, "flush": True})
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
