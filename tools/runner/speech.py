"""What the tools say where they cannot do their work: one sentence, and silence to nobody."""

import os
import sys

UNREAD = 141  # the status of a command that a closed pipe ends


def sentence(error):
    """What is wrong, in words, of an OSError; one of output names no file."""
    if error.strerror is None:  # it has words of its own
        return str(error)
    return f"{error.filename or 'standard output'}: {error.strerror}"


def say_faults(work):
    """The exit status that `work` returns; what cannot be read or written ends it in a sentence.

    A reader who has seen enough, as of `| head`, ends it quietly. Letters that the output has not
    are written as numbers, as Python does for errors.
    """
    if sys.stdout is not None:
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status = work()
        print(end="", flush=True)  # here, not at the end of Python, which would show its stack
        return status
    except BrokenPipeError:
        _silence()
        return UNREAD
    except OSError as error:
        _silence()
        sys.exit(sentence(error))


def _silence():
    """Leave what cannot be written; Python would try again at its end, and complain."""
    try:
        print(end="", flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
