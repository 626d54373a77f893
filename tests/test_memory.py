"""What cannot fit in memory is one sentence, before anything is computed or written."""

import math

import numpy as np
import pytest
import torch

import lct_lab
from lct_lab import LCT, checks, signals, sweeps, tables, training

HUGE = 2**27  # numbers of 8 bytes: more than a gigabyte
ONE = torch.ones(3, dtype=torch.float64)
SETTINGS = {
    "tied": False,
    "seed": 0,
    "signal": "uniform",
    "batch": 1,
    "amplitudes": None,
    "engine": "auto",
}


@pytest.fixture
def a_gigabyte(monkeypatch):
    """A machine of so much memory, whatever this one has."""
    monkeypatch.setattr(checks, "memory", lambda: 10**9)


def draw(n, batch):
    return signals.draw("uniform", n, np.random.default_rng(0), batch=batch)


@pytest.mark.usefixtures("a_gigabyte")
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
        ("batch", lambda: draw(8, HUGE)),
        ("batch", lambda: draw(np.int32(32), np.int32(HUGE))),
        ("draws", lambda: tables.bootstrap([1.0, 2.0], draws=HUGE)),
    ),
)
def test_what_is_beyond_memory_is_named(name, call):
    words = f"{name}.* must be such that .* memory, .* is enough, .*{name}={HUGE}.* GB or more$"
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.usefixtures("a_gigabyte")
@pytest.mark.parametrize(
    "call, needed",
    (
        (lambda m: expected(m), 5),
        (lambda m: expected(m, w1=True), 7),
        (lambda m: expected(m, w1=True, w2=True), 10),
        (lambda m: training.fit(LCT(16, m), steps=1, lr=0.1), 10),
        (lambda m: training.fit(LCT(16, m), steps=1, lr=0.1, objective="normal"), 5),
        (lambda m: training.recover(m, tied=False), 10),
    ),
)
def test_the_matrices_of_an_untied_loss_are_counted(call, needed):
    """`needed` matrices of m × m numbers of 8 bytes are held at least."""
    m = math.isqrt(10**9 // (8 * needed)) + 1
    with pytest.raises(ValueError, match=f"^m must be such that this machine's .*, got m={m}, "):
        call(m)


def expected(m, **trained):
    """The untied loss of m frequencies a side."""
    sides = (torch.ones(m, requires_grad=name in trained) for name in ("w1", "w2"))
    return training.expected_loss(2, 1.0, 1.0, 1.0, 1.0, *sides)


@pytest.mark.usefixtures("a_gigabyte")
@pytest.mark.parametrize(
    "options, name",
    (
        ({"m": HUGE, "inits": 1}, "n, m, batch"),
        ({"inits": HUGE, "block": HUGE}, "inits"),
        ({"inits": HUGE, "block": 2 * HUGE}, "inits"),
        ({"inits": 2 * HUGE, "block": HUGE}, "block"),
    ),
)
def test_a_sweep_beyond_memory_writes_nothing(tmp_path, options, name):
    words = f"^{name} must be such that this machine's memory, 1 GB, is enough, got .*{HUGE}"
    with pytest.raises(ValueError, match=words):
        lct_lab.sweep(**{"n": 8, "m": 8} | options, directory=tmp_path / "swept")
    assert not list(tmp_path.rglob("*"))


@pytest.mark.usefixtures("a_gigabyte")
def test_the_sentence_about_memory():
    checks.require_memory(125_000_000, n=1)
    with pytest.raises(ValueError) as raised:
        checks.require_memory(125_000_001, n=3, m=4)
    assert str(raised.value) == (
        "n, m must be such that this machine's memory, 1 GB, is enough, "
        "got n=3, m=4, which take 1 GB or more"
    )
    with pytest.raises(ValueError) as raised:
        list(sweeps.blocks(8, 8, "random", 2 * HUGE, HUGE, **SETTINGS))
    assert str(raised.value) == (
        "block must be such that this machine's memory, 1 GB, is enough, "
        f"got block={HUGE}, which take 103 GB or more"
    )


@pytest.mark.parametrize(
    "pages, size, memory",
    ((1000, 4096, 4_096_000), (-1, 4096, math.inf), (1000, -1, math.inf), (-1, -1, math.inf)),
)
def test_memory_is_what_the_system_says(monkeypatch, pages, size, memory):
    said = {"SC_PHYS_PAGES": pages, "SC_PAGE_SIZE": size}
    monkeypatch.setattr(checks.os, "sysconf", said.get)
    assert checks.memory.__wrapped__() == memory
    monkeypatch.delattr(checks.os, "sysconf")  # as on a system that has none
    assert checks.memory.__wrapped__() == math.inf
