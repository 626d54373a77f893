"""Whatever ends the runner ends its kernels, and what a dead runner left is cleared away.

Every process of a run, its kernel and the kernel's workers too, inherits LCT_LAB_OUT, the folder
that the run writes to: by it they are found, whoever their parent is by now. A run's own process
watches its standard input, which the runner holds open and the system closes when it dies.
"""

import os
import platform
import re
import shutil
import signal
import threading
import time

import psutil

OWNER = f"{platform.node()}-{os.getpid()}"  # in the names of what this runner leaves for a while
# The names of what dead processes may have left, by the folder that it is in: of folders made by
# tempfile, and of unfinished files, by runner.publish or, with a dot and a thread, `tables.whole`.
HOST, PID = re.escape(platform.node()), "[0-9]{1,7}"
MADE = rf"{HOST}-(?P<runner>{PID})-[a-z0-9_]{{8}}"
WRITTEN = rf"{HOST}(-(?P<runner>{PID})|\.(?P<writer>{PID})-[0-9]+)\.part"
LEFT = {
    "build": rf"([0-9][0-9]|site)-{MADE}",
    "data": rf"\.([0-9][0-9]-.+|bench.*)\.{WRITTEN}",
    "figures": rf"\.[0-9][0-9]-.+\.{WRITTEN}",
    "notebooks": rf"\.[0-9][0-9]-.+\.ipynb\.{WRITTEN}",
    "notebooks/rendered": rf"\.[0-9][0-9]-.+\.ipynb\.{WRITTEN}",
    "build/stamps": rf"\.[0-9][0-9]-.+\.txt\.{WRITTEN}",
    "build/share": rf"\.[0-9][0-9]-.+\.html\.{WRITTEN}",
    "build/lab": rf"\.([0-9][0-9]-.+\.ipynb|\.copied\.json)\.{WRITTEN}",
}


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
    """Let Ctrl-C, TERM and HUP raise Stopped once, those that are not ignored already."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    heeded = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]

    def stop(number, _):
        for other in heeded:
            signal.signal(other, signal.SIG_IGN)
        raise Stopped(number)

    for number in heeded:
        signal.signal(number, stop)


def clear(root):
    """Remove what runners that are dead by now left in `root`, and end what they left running.

    Nothing else: what has another name than they give, and a link, is somebody's own.
    """
    for folder, name in LEFT.items():
        for path in (root / folder).glob("*"):
            left = re.fullmatch(name, path.name)
            own = left and not path.is_symlink() and path.is_dir() == (folder == "build")
            if own and _is_of_the_dead(path, left):
                _remove(path)


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
