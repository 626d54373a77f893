"""What cannot fit in memory is one sentence, before anything is computed or written."""

import numpy as np
import pytest
import torch

import lct_lab
from lct_lab import LCT, checks, signals, tables, training

HUGE = 2**38
ONE = torch.ones(3, dtype=torch.float64)


@pytest.mark.parametrize(
    "name, call",
    (
        ("n", lambda: lct_lab.probe(HUGE, 8, inits=1)),
        ("m", lambda: lct_lab.probe(8, HUGE, inits=1)),
        ("batch", lambda: lct_lab.probe(8, 8, inits=1, batch=HUGE)),
        ("inits", lambda: lct_lab.probe(8, 8, inits=HUGE)),
        ("inits", lambda: lct_lab.compare(64, 64, inits=HUGE)),
        ("batch", lambda: lct_lab.compare(100, 64, inits=1, signal="eeg", batch=HUGE)),
        ("m", lambda: LCT(8, HUGE)),
        ("n", lambda: lct_lab.synthesize(ONE, HUGE, 1.0, 1.0, ONE)),
        ("n", lambda: training.expected_loss(HUGE, 1.0, 1.0, 1.0, 1.0, ONE)),
        ("n", lambda: training.recover(HUGE)),
        ("batch", lambda: signals.draw("uniform", 8, np.random.default_rng(0), batch=HUGE)),
        ("draws", lambda: tables.bootstrap([1.0, 2.0], draws=HUGE)),
    ),
)
def test_what_is_beyond_memory_is_named(name, call):
    words = f"{name}.* must be such that .* memory, .* is enough, .*{name}={HUGE}.* GB or more$"
    with pytest.raises(ValueError, match=words):
        call()


def test_a_sweep_beyond_memory_writes_nothing(tmp_path):
    for sizes, options in (((8, HUGE), {"inits": 1}), ((8, 8), {"inits": HUGE, "block": HUGE})):
        with pytest.raises(ValueError, match="such that this machine's memory, .* is enough"):
            lct_lab.sweep(*sizes, directory=tmp_path / "swept", **options)
    assert not list(tmp_path.rglob("*.parquet"))


def test_memory_is_what_the_system_says(monkeypatch):
    checks.require_memory(checks.memory() // 8, n=1)
    with pytest.raises(ValueError, match="^n, m must be such .* got n=3, m=4, which take"):
        checks.require_memory(checks.memory() // 8 + 1, n=3, m=4)
    monkeypatch.delattr(checks.os, "sysconf")  # as on a system that has none
    assert checks.memory.__wrapped__() == float("inf")
