"""Whatever ends the runner ends its kernels, and what a dead runner left is cleared away.

Every process of a run, its kernel and the kernel's workers too, inherits LCT_LAB_OUT, the folder
that the run writes to: by it they are found, whoever their parent is by now. A run's own process
watches its standard input, which the runner holds open and the system closes when it dies.
"""

import hashlib
import os
import platform
import re
import shutil
import signal
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import psutil

OWNER = f"{platform.node()}-{os.getpid()}"  # in the names of what this runner leaves for a while
# The names of what dead processes may have left, by the folder that it is in: of folders made by
# tempfile, and of unfinished files, by runner.publish or, with a dot and a thread, `tables.whole`.
# What runs with other parameters and failed ones make may have any name, in a folder of their own.
HOST, PID = re.escape(platform.node()), "[0-9]{1,7}"
MADE = rf"{HOST}-(?P<runner>{PID})-[a-z0-9_]{{8}}"
WRITTEN = rf"{HOST}(-(?P<runner>{PID})|\.(?P<writer>{PID})-[0-9]+)\.part"
NUMBERED, ANY = rf"\.[0-9][0-9]-.+\.{WRITTEN}", rf"\..+\.{WRITTEN}"
RUN, FAILED = "build/runs/[0-9][0-9]-*", "build/failed/[0-9][0-9]-*"
LEFT = {
    "build": rf"([0-9][0-9]|site)-{MADE}",
    "data": rf"\.([0-9][0-9]-.+|bench.*)\.{WRITTEN}",
    "figures": NUMBERED,
    "notebooks": rf"\.[0-9][0-9]-.+\.ipynb\.{WRITTEN}",
    "notebooks/rendered": rf"\.[0-9][0-9]-.+\.ipynb(\.old)?\.{WRITTEN}",
    "build/stamps": rf"\.[0-9][0-9]-.+\.txt\.{WRITTEN}",
    "build/share": rf"\.[0-9][0-9]-.+\.html\.{WRITTEN}",
    "build/lab": rf"\.([0-9][0-9]-.+\.ipynb|\.copied\.json)\.{WRITTEN}",
    **{f"{run}{part}": ANY for run in (RUN, FAILED) for part in ("", "/data", "/figures")},
}
# A folder for sockets, in that of temporary files: the paths of sockets must have less than 104
# bytes, so that of the host's name it has but a hash.
SHORT = 70  # bytes of the folder that it is in
SOCKETS = "k" + hashlib.sha256(platform.node().encode()).hexdigest()[:6]
LEFT_SOCKETS = rf"{SOCKETS}-(?P<runner>{PID})-[a-z0-9_]{{8}}"

_undisturbed = []  # for each block that no signal may end, the numbers of those that came


class Stopped(BaseException):
    """A signal, or the end of make, ends the runner; the argument is the signal's number.

    As with KeyboardInterrupt, what catches every Exception on its way does not catch it.
    """


def end(folder):
    """Kill all processes of the run that writes to `folder`, but this one, and see them end."""
    for _ in range(100):  # one may have started another meanwhile
        found = [process for process in psutil.process_iter() if _writes_to(process, folder)]
        for process in found:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                pass
        if not found:
            return
        time.sleep(0.02)


def _writes_to(process, folder):
    try:
        mine = process.environ().get("LCT_LAB_OUT") == str(folder)
    except (psutil.Error, OSError):  # it has ended, or is another user's
        return False
    return mine and process.pid != os.getpid()


def end_with_runner(folder, sockets):
    """In a run's own process: end it, its kernel and its two folders once the runner is dead."""

    def wait():
        os.read(0, 1)  # nothing ever comes, but the end
        os.kill(os.getpid(), signal.SIGHUP)

    def stop(*_):  # runs in the main thread, which so cannot go on writing
        end(folder)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(sockets, ignore_errors=True)
        os._exit(1)

    signal.signal(signal.SIGHUP, stop)
    threading.Thread(target=wait, daemon=True).start()


def stop_on_signals():
    """Let Ctrl-C, TERM and HUP raise Stopped once, those that are not ignored already.

    One that comes in a block `undisturbed` does so at its end.
    """
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    heeded = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]

    def stop(number, _):
        for other in heeded:
            signal.signal(other, signal.SIG_IGN)
        if not _undisturbed:
            raise Stopped(number)
        _undisturbed[0].append(number)

    for number in heeded:
        signal.signal(number, stop)


@contextmanager
def undisturbed():
    """Let no signal end the block, which is to be short: one that comes raises Stopped after it.

        with undisturbed() as heed:
            heed()  # raises Stopped here, where a signal has come

    Within another such block only that one's end, or its `heed`, does.
    """
    came = []

    def heed():
        if came:
            raise Stopped(came.pop())

    _undisturbed.append(came)
    try:
        yield heed
    finally:
        _undisturbed.pop()
        heed()


def sockets_folder():
    """Make a folder for the sockets of a run: in that for temporary files, or in /tmp."""
    return tempfile.mkdtemp(prefix=f"{SOCKETS}-{os.getpid()}-", dir=_short_folder())


def _short_folder():
    """The folder for temporary files, or /tmp where its path is too long for one of a socket."""
    folder = os.path.abspath(tempfile.gettempdir())
    return folder if len(os.fsencode(folder)) <= SHORT else "/tmp"


def clear(root):
    """Remove what runners that are dead by now left in `root`, and end what they left running.

    Also their folders for sockets. Nothing else: what has another name than they give, and a link,
    is somebody's own.
    """
    for folder, name in LEFT.items():
        _clear(root.glob(f"{folder}/*"), name, of_folder=folder == "build")
    _clear(Path(_short_folder()).glob(f"{SOCKETS}-*"), LEFT_SOCKETS, of_folder=True)


def _clear(paths, name, *, of_folder):
    """Remove those of the paths that have a `name` of the dead, and are of this user."""
    for path in paths:
        left = re.fullmatch(name, path.name)
        own = left and not path.is_symlink() and path.is_dir() == of_folder and _is_mine(path)
        if own and _is_of_the_dead(path, left):
            _remove(path)


def _is_mine(path):
    try:
        return path.stat().st_uid == os.getuid()
    except FileNotFoundError:  # another runner has cleared it meanwhile
        return False


def _remove(path):
    if path.is_dir():
        end(path)
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _is_of_the_dead(path, name):
    """Whether the process whose number is in the `name` of `path`, a match, has ended."""
    (number,) = filter(None, name.groupdict().values())
    try:
        process = psutil.Process(int(number))
        later = process.create_time() > path.stat().st_mtime  # another one, with its number
        return later or process.status() == psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, FileNotFoundError):
        return True
