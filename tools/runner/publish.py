"""All files of a run in their places, or none: across file systems too, and on a full disk."""

import errno
import os
import shutil

from runner.processes import OWNER


def publish(places):
    """Put the files of {source: target} in place, replacing what is there.

    Each is copied next to its target first, and only when all are there are they renamed, which
    takes no room and cannot cross file systems. Raises OSError, naming the file, with all targets
    as they were.
    """
    parts = {}
    try:
        for source, target in places.items():
            parts[target.with_name(f".{target.name}.{OWNER}.part")] = target
            _copy(source, target, [*parts][-1])
    except OSError:
        for part in parts:
            _remove(part)
        raise
    for part, target in parts.items():
        os.replace(part, target)


def _copy(source, target, part):
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        shutil.copyfile(source, part)
    except OSError as error:  # copyfile names the wrong one of the two, or none
        raise OSError(error.errno, error.strerror, str(target)) from None


def _remove(part):
    try:
        part.unlink(missing_ok=True)
    except OSError:  # its folder is no folder
        pass
