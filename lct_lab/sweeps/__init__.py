"""Sweeps over sizes, starts and seeds that survive: one parquet shard a block of inits.

plan      what a sweep consists of: its blocks, and the names of their shards
rows      the rows of a block as columns, and the bytes that a shard holds
shards    one block from parameters to a file, written whole or not at all, and back
log       what happened in a directory, one line an event
state     what the plans of a directory have done, what is left, and all their rows
driver    `sweep` itself: it reads the shards that are there and has the others computed
command   sweeps from a terminal
"""

from lct_lab.sweeps.driver import sweep
from lct_lab.sweeps.plan import blocks, shard_name
from lct_lab.sweeps.state import collect, status

__all__ = ["blocks", "collect", "shard_name", "status", "sweep"]
