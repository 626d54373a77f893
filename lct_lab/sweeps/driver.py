"""`sweep`: read the shards that are there, compute the others, here or over an executor."""

import json
import os
import sys
import threading
import time
from contextlib import contextmanager
from functools import partial

from lct_lab.checks import require_flag
from lct_lab.sweeps import log, rows, shards, state
from lct_lab.sweeps.plan import blocks, shard_name

LISTED = 20  # of the blocks that failed, in the error at the end
WAITS = 0.1  # seconds at most that the rows of a block wait to be written
WATCH = "lct_lab driver"  # the thread in a worker that ends it


def sweep(
    n,
    m,
    *,
    init="random",
    tied=False,
    inits=100,
    seed=0,
    directory,
    executor=None,
    progress=True,
    block=100,
    signal="uniform",
    batch=1,
    amplitudes=None,
    engine="auto",
):
    """`probe` over the product of the lists n, m and init: one DataFrame of probe's rows.

    Each block of `block` inits is one shard in `directory`, named by a hash of all that determines
    its content (parameters, code of the probe, versions) and renamed when it is written. Shards
    that are there and whole are read, not recomputed; damaged ones are reported and replaced. So a
    sweep that was killed, at any moment, goes on where it stopped when it is called again, and
    gives the same bytes.

    executor : None (this process) or any concurrent.futures.Executor: loky's, a ProcessPoolExecutor
    with the spawn method, `dask.distributed.Client(…).get_executor()`, mpi4py.futures; every task
    computes on one thread. progress : a bar. Other arguments as in `probe`, whose seeds make a row
    the same in any block, order or process.

    Columns: n, m and start beside probe's; `attrs` holds what all rows share, versions included.
    Blocks that fail do not stop the rest; a RuntimeError lists them, with parameters and seed, at
    the end. An interrupt ends a pool's workers at once and keeps the finished shards. Durations,
    commit and damage are logged in `directory`/log.jsonl; a log there of something else is refused.
    Raises ValueError or TypeError naming an argument before anything is written, OSError naming the
    path that cannot be.
    """
    settings = dict(
        tied=tied, seed=seed, signal=signal, batch=batch, amplitudes=amplitudes, engine=engine
    )
    _require_executor(executor)
    require_flag("progress", progress)
    planned = {shard_name(found): found for found in blocks(n, m, init, inits, block, **settings)}
    folder = state.make_folder(directory)
    state.require_own_log(folder)
    state.clear_leftovers(folder)
    with state.staying(folder):
        state.write_plan(folder, list(planned))
        if not all((folder / name).is_file() for name in planned):  # else it is read, and no more
            log.append(folder, sweep=len(planned), commit=log.commit())
        made = _run(planned, folder, executor, progress)
    return rows.as_table([made[name] for name in planned])


def _require_executor(executor):
    usable = hasattr(executor, "submit") and not isinstance(executor, type)
    if executor is not None and not usable:
        raise TypeError(f"executor must be a concurrent.futures.Executor or None, got {executor!r}")


def _run(planned, directory, executor, progress):
    """The rows of every planned block, by shard; RuntimeError listing those that failed."""
    silent = not progress or sys.stderr is None  # without an error stream: a daemon's, cron's
    with _threads_kept(), _bar(len(planned), silent) as bar:
        run = _Run(planned, directory, bar)
        if executor is None:
            run.here()
        else:
            run.over(executor)
    run.require_all()
    return run.made


def _bar(total, silent):
    """A progress bar that ends in silence where it can no longer be written."""
    from tqdm.auto import tqdm

    try:
        return tqdm(total=total, unit="block", disable=silent)
    except OSError:
        return tqdm(total=total, disable=True)


def _advance(bar):
    try:
        bar.update()
    except OSError:  # a closed pipe, a full disk: the sweep itself goes on
        bar.disable = True


@contextmanager
def _threads_kept():
    """Torch has as many threads after as before; a block that is computed leaves it with one."""
    import torch

    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class _Run:
    """A sweep under way: the rows that it has, by shard, and the blocks that failed."""

    def __init__(self, planned, directory, bar):
        self.planned, self.directory, self.bar = planned, directory, bar
        self.made, self.failures = {}, []

    def here(self):
        """Read or compute every block in this process, and write what waits from time to time.

        What writes a shard leaves the processor's caches while a block is computed; several shards
        in a row take a third of the time that each alone takes.
        """
        waiting = []
        written = time.perf_counter()
        try:
            for name, block in self.planned.items():
                if not self.found(name):
                    waiting.append((name, block, self._measured(name, block)))
                if time.perf_counter() - written > WAITS:
                    self._settle_all(waiting)
                    written = time.perf_counter()
        finally:
            self._settle_all(waiting)

    def _measured(self, name, block):
        """A function that writes the shard of a block, or raises why it could not be measured."""
        try:
            rows_and_seconds = shards.measure(block, name)
        except Exception as error:
            return partial(_raise, error)
        return partial(shards.write, *rows_and_seconds, self.directory, name)

    def _settle_all(self, waiting):
        while waiting:
            self.settle(*waiting.pop(0))

    def over(self, executor):
        """Read what is there, and have the workers of `executor` compute the rest."""
        from concurrent.futures import BrokenExecutor, CancelledError, as_completed

        # a pool's workers end with this process; a cluster's serve others too
        driver = os.getpid() if hasattr(executor, "_processes") else None
        _watch_from_the_start(executor)
        folder = str(self.directory.absolute())  # a worker's current folder may be another
        futures = {}
        try:
            for name, block in self.planned.items():
                if not self.found(name):
                    task = _work, block, folder, name, driver
                    futures[_submitted(executor, task)] = name, block
            for future in as_completed(futures):
                name, block = futures[future]
                self.settle(name, block, future.result)
        except BrokenExecutor as error:
            described = json.dumps(block.described())
            raise RuntimeError(
                f"a worker died at or near the block {described}; call sweep again to go on"
            ) from error
        except CancelledError as error:
            raise RuntimeError(
                "executor gave up the blocks that were left, as when a cluster's scheduler ends; "
                "call sweep again to go on"
            ) from error
        except KeyboardInterrupt:
            _terminate_workers(executor)
            raise
        finally:
            for future in futures:
                future.cancel()

    def found(self, name):
        """Whether a shard is there, undamaged and of its own block; damage is reported."""
        path = self.directory / name
        try:
            found = rows.of_table(shards.read(path)) if path.is_file() else None
        except ValueError as error:
            print(error, file=sys.stderr)
            log.append(self.directory, damaged=name)
            return False
        if found is None:
            return False
        self.made[name] = found
        _advance(self.bar)
        return True

    def settle(self, name, block, result):
        """Take the rows and seconds that `result()` returns, or note its failure; log both."""
        from concurrent.futures import BrokenExecutor, CancelledError

        try:
            self.made[name], seconds = result()
        except (BrokenExecutor, CancelledError, OSError):  # which the other blocks would meet too
            raise
        except Exception as error:
            described = block.described()
            log.append(self.directory, shard=name, failed=described, error=str(error))
            self.failures.append(f"{json.dumps(described)}: {type(error).__name__}: {error}")
        else:
            size = (self.directory / name).stat().st_size
            log.append(self.directory, shard=name, seconds=round(seconds, 4), bytes=size)
            _advance(self.bar)

    def require_all(self):
        if self.failures:
            failed = f"{len(self.failures)} of {len(self.planned)} blocks failed"
            lines = [f"{failed}, the others are in {self.directory}:", *self.failures[:LISTED]]
            if len(self.failures) > LISTED:
                lines.append(f"and {len(self.failures) - LISTED} more, in log.jsonl")
            raise RuntimeError("\n  ".join(lines))


def _raise(error):
    raise error


def _submitted(executor, task):
    from concurrent.futures import BrokenExecutor

    try:
        return executor.submit(*task)
    except BrokenExecutor:
        raise
    except RuntimeError as error:
        raise RuntimeError(f"executor takes no more tasks: {error}") from error


def _terminate_workers(executor):
    for process in list((getattr(executor, "_processes", None) or {}).values()):
        process.terminate()


def _watch_from_the_start(executor):
    """Let the workers of a pool that has none yet watch this process before they have a block.

    A driver that is killed before then would leave them waiting for ever.
    """
    new = getattr(executor, "_processes", None) == {}
    if new and getattr(executor, "_initializer", watch) is None:
        executor._initializer, executor._initargs = watch, (os.getpid(),)


def _work(block, directory, name, driver):
    """`compute` in a worker; the worker of a pool ends soon after `driver`, its process."""
    if driver is not None:
        watch(driver)
    return shards.compute(block, directory, name)


def watch(driver):
    """Have this process, a worker, end soon after `driver`, its process."""
    if not any(thread.name == WATCH for thread in threading.enumerate()):
        options = {"args": (driver,), "name": WATCH, "daemon": True}
        threading.Thread(target=_outlive_no_driver, **options).start()


def _outlive_no_driver(driver):
    """End this worker when its driver or its parent, which may be another process, is gone."""
    parent = os.getppid()
    while os.getppid() == parent and state.lives(driver):
        time.sleep(1)
    os._exit(1)
