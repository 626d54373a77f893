"""Functions as machine code by numba, which is optional: who asks for them can do without."""

import sys
import threading
import warnings
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec

PATIENCE = 2  # seconds of compiling from which it is announced
_made = []  # the compiled functions that are kept on disk
_failures = []  # what numba raised, where it is installed and of no use


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
        made = njit(cache=True, **options)(function)
    except RuntimeError:  # neither the package's folder nor the user's cache can be written
        return njit(**options)(function)
    _made.append(made)
    return made


def failed():
    """Whether numba is installed and was of no use when it was asked for."""
    return bool(_failures)


def loaded(load):
    """What `load` returns, or None where numba is missing or broken, which is warned of once.

    What is damaged on disk is written anew, and what cannot be written is compiled in memory: so
    the sums are the same. A long wait is announced.
    """
    if not available():
        return None
    for mend in (_keep, _empty_cache, _leave_cache):
        try:
            mend()
            with _announced():
                return load()
        except Exception as error:  # whatever a broken library or a damaged file raises
            found = error
    if not _failures:
        warnings.warn(
            "numba is installed and cannot be used, so that sums are slower and differ in their "
            f"last digits: {type(found).__name__}: {found}",
            RuntimeWarning,
            stacklevel=2,
        )
    _failures.append(found)
    return None


def _keep():
    """Change nothing, the first time."""


def _empty_cache():
    """Forget what is on disk of the functions, which are then compiled and written anew."""
    for function in _made:
        function._cache.flush()  # numba has no public name for it


def _leave_cache():
    """Compile in memory from now on, in this process."""
    from numba.core.caching import NullCache

    for function in _made:
        function._cache = NullCache()


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
