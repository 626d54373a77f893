"""All files of a run in their places, or none: across file systems too, and on a full disk."""

import errno
import os
import shutil
from typing import NamedTuple

from runner.processes import OWNER, undisturbed


class Move(NamedTuple):
    """One file on its way: `new` and `old`, beside the target, are the copy and what was there."""

    source: os.PathLike
    target: os.PathLike
    new: os.PathLike
    old: os.PathLike


def publish(places):
    """Put the files of {source: target} in place, replacing what is there.

    Each is copied next to its target first, and only when all are there are they renamed, which
    takes no room and cannot cross file systems. Raises OSError, naming the file, with all targets
    as they were; and Stopped after a signal with all as they were, or all in place. Only a KILL or
    a power failure between two renames leaves some of them new and others old; a later run clears
    the copies, and makes all again, since the notebook is not noted as done.
    """
    moves = [_move(source, target) for source, target in places.items()]
    with undisturbed() as heed:
        try:
            for move in moves:
                heed()
                _prepare(move)
            heed()
            _rename_all(moves)
        finally:
            for move in moves:
                _remove(move.new)
                _remove(move.old)


def _move(source, target):
    new, old = (target.with_name(f".{target.name}{kind}.{OWNER}.part") for kind in ("", ".old"))
    return Move(source, target, new, old)


def _prepare(move):
    """Copy the new file next to its target, and keep there what is in its place."""
    try:
        move.target.parent.mkdir(parents=True, exist_ok=True)
        if move.target.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        if move.target.exists() and not move.target.is_file():
            raise OSError(errno.EINVAL, "it is a pipe or a device")
        if not move.source.is_file():  # a pipe would be waited for
            raise OSError(errno.EINVAL, "what was made for it is no file")
        shutil.copyfile(move.source, move.new)
        _remove(move.old)
        if os.path.lexists(move.target):
            _keep(move.target, move.old)
    except OSError as error:
        raise _named(error, move.target) from None


def _keep(target, old):
    """Give a file a second name, or a copy where the file system has no second names."""
    try:
        os.link(target, old, follow_symlinks=False)
    except OSError:
        shutil.copy2(target, old, follow_symlinks=False)


def _rename_all(moves):
    """Rename the new files to their targets; where one cannot be, put back what was there."""
    done = []
    for move in moves:
        try:
            os.replace(move.new, move.target)
        except OSError as error:
            for earlier in done:
                _put_back(earlier)
            raise _named(error, move.target) from None
        done.append(move)


def _put_back(move):
    if os.path.lexists(move.old):
        os.replace(move.old, move.target)
    else:
        _remove(move.target)


def _named(error, target):
    """The error with the target's name; that of a copy or a rename has another, or none."""
    return OSError(error.errno, error.strerror or str(error), str(target))


def _remove(path):
    try:
        path.unlink(missing_ok=True)
    except OSError:  # its folder is no folder
        pass
