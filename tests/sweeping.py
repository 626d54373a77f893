"""Small sweeps for the tests, and executors of every kind to run them over."""

import multiprocessing
import time
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path

import lct_lab

GRID = dict(
    n=[40, 64], m=[32], init=["random", "shuffled"], inits=15, block=5, seed=3, progress=False
)
SMALL = dict(n=40, init="random", inits=5)  # one block
FORK = multiprocessing.get_context("fork")  # a driver that need not import torch again


def run(directory, **change):
    return lct_lab.sweep(**{**GRID, **change}, directory=directory)


def shards(directory):
    """The bytes of every shard, by its name."""
    return {path.name: path.read_bytes() for path in sorted(directory.glob("*.parquet"))}


def stamps(directory):
    """When every shard was written."""
    return {path: path.stat().st_mtime_ns for path in directory.glob("*.parquet")}


def wait_until(holds, seconds=60):
    end = time.time() + seconds
    while not holds():
        assert time.time() < end, "waited too long"
        time.sleep(0.005)


def loky(workers=1):
    from loky import ProcessPoolExecutor

    return ProcessPoolExecutor(workers)


def spawn(workers=1):
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


def forkserver(workers=1):
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("forkserver"))


def dask(workers=1):
    from distributed import Client, LocalCluster

    cluster = LocalCluster(workers, threads_per_worker=1, dashboard_address=None)
    return Client(cluster).get_executor()


class Stalled:
    """An executor whose tasks stall: the file `sent` tells that a worker has been given one, and
    `begun`, both in the sweep's directory, that it is at work on it."""

    def __init__(self, executor):
        self.executor = executor

    def __getattr__(self, name):
        return getattr(self.executor, name)

    def submit(self, *task):
        future = self.executor.submit(stall, *task)
        if hasattr(self.executor, "_processes"):
            wait_until(future.running)
        Path(task[2], "sent").touch()
        return future


def stall(work, block, directory, *rest):
    """`work` in its process, with a computation that takes minutes and needs no torch."""
    from lct_lab.sweeps import shards

    def compute(*task):
        Path(directory, "begun").touch()
        time.sleep(180)

    shards.compute = compute
    return work(block, directory, *rest)


class GivenUp:
    """An executor that cancels all but the first task: a cluster's whose scheduler has ended."""

    def __init__(self):
        self.submitted = 0

    def submit(self, work, *arguments):
        self.submitted += 1
        future = Future()
        if self.submitted == 1:
            future.set_result(work(*arguments))
        else:
            future.cancel()
            future.set_running_or_notify_cancel()
        return future
