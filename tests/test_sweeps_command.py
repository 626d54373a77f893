"""Sweeps from a terminal: what it prints, what it writes, and one sentence for what is wrong."""

import json
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sweeping import wait_until

import lct_lab
from lct_lab import tables
from lct_lab.sweeps.command import main

SWEEP = "sweep --n 40 --m 32 --inits 6 --block 3 --out".split()


@pytest.fixture
def command(capsys):
    """Runs a command in this process: its status, and all that it says."""

    def run(*arguments):
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as ended:
            status = ended.code
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


@pytest.fixture
def refused(command):
    """Runs a command that is to fail: the sentence it gets."""

    def run(*arguments):
        status, out, err = command(*arguments)
        lines = [line for line in err.splitlines() if "block/s" not in line]
        assert (status, out, len(lines)) == (1, "", 1), (status, out, err)
        return lines[0]

    return run


def test_a_sweep_and_its_status(command, tmp_path):
    out = tmp_path / "x"
    sweep = [*SWEEP, out, "--m", "32", "64"]
    assert command(*sweep)[:2] == (0, f"72 rows in {out}\n")
    assert command("status", out, "--verify")[:2] == (0, "4 done, 0 left, 0 failed, 0 damaged\n")
    one, other = sorted(out.glob("*.parquet"))[:2]
    one.write_bytes(b"half")
    flipped = bytearray(other.read_bytes())
    flipped[99] ^= 1
    other.write_bytes(flipped)
    status, said, _ = command("status", out)
    assert status == 1 and said.startswith("3 done, 0 left, 0 failed, 1 damaged\n")
    assert f"damaged: {one.name}" in said
    status, said, _ = command("status", out, "--verify")
    assert status == 1 and said.startswith("2 done, 0 left, 0 failed, 2 damaged\n")
    assert f"  40x32-random: 2 damaged\n  damaged: {one.name}" in said
    assert command(*sweep)[0] == 0 and command("status", out, "--verify")[0] == 0


def test_amplitudes_batch_and_a_signal_from_a_file(command, tmp_path):
    rows = np.random.default_rng(0).standard_normal((7, 40))
    np.save(tmp_path / "rows.npy", rows)
    given = ["--amplitudes", 1, -1.2, 0.8, 1.1, "--batch", 2, "--signal", tmp_path / "rows.npy"]
    assert command(*SWEEP, tmp_path / "x", *given, "--seed", 5)[0] == 0
    settings = dict(amplitudes=(1, -1.2, 0.8, 1.1), batch=2, signal=rows)
    alone = lct_lab.probe(40, 32, inits=6, seed=5, **settings)
    assert command("collect", tmp_path / "x", "--out", tmp_path / "y.parquet")[0] == 0
    assert tables.read(tmp_path / "y.parquet")[list(alone)].equals(alone)


@pytest.mark.parametrize("name", ["deep/er/rows.parquet", "rows.csv"])
def test_one_file_of_all_rows(command, tmp_path, name):
    command(*SWEEP, tmp_path / "x", "--tied")
    table = lct_lab.sweeps.collect(tmp_path / "x")
    path = tmp_path / name
    for _ in range(2):  # the second time over the first
        done = command("collect", tmp_path / "x", "--out", path)
        assert done == (0, f"{len(table)} rows in {path}\n", "")
    assert [found.name for found in path.parent.glob("*rows*")] == [path.name]
    if path.suffix == ".csv":
        pd.testing.assert_frame_equal(pd.read_csv(path), table, rtol=1e-15, atol=0)
    else:
        assert tables.read(path).equals(table) and tables.read(path).attrs["tied"] is True


def test_the_version(command):
    assert command("--version") == (0, f"lct_lab {lct_lab.__version__}\n", "")


@pytest.mark.parametrize(
    "given, words",
    [
        ("", "required: sweep | status | collect"),
        ("swep", "invalid choice: 'swep'"),
        ("sweep --n 4 --m 4", "required: --out"),
        ("sweep --n 0 --m 4 --out y", "n must be at least 1, got 0"),
        ("sweep --n four --m 4 --out y", "--n: invalid int value: 'four'"),
        ("sweep --n 4 --m 4 --out y --init sorted", "--init: invalid choice: 'sorted'"),
        ("sweep --n 4 --m 4 --out y --workers 0", "--workers must be at least 1, got 0"),
        ("sweep --n 4 --m 4 --out y --batch 0", "batch must be at least 1, got 0"),
        ("sweep --n 4 --m 4 --out y --amplitudes 1 1 1", "--amplitudes: expected 4 arguments"),
        ("sweep --n 4 --m 4 --out y --amplitudes 1 1 1 nan", "must be four finite numbers"),
        ("sweep --n 4 --m 4 --out y --amplitudes 1 1 -inf 1", "must be four finite numbers"),
        ("sweep --n 4 --m 4 --out y --workers 2 --scheduler tcp://x:1", "not allowed with"),
        ("sweep --n 4 --m 4 --out y --workers 1 --scheduler tcp://x:1", "not allowed with"),
        ("sweep --n 4 --m 4 --out y --signal nowhere.npy", "'nowhere.npy': .*No such file"),
        (
            "sweep --n 4 --m 4 --out y --signal .",
            "or a .npy file of numbers, got '.', which is no file",
        ),
        (f"sweep --n 4 --m 4 --out y --signal {'x' * 300}", "--signal must .*name too long"),
        ("status nowhere", "directory must hold a sweep, got nowhere without a plan"),
        ("collect nowhere --out y.csv", "directory must hold a sweep, got nowhere"),
        ("collect nowhere --out y.txt", "--out must end in .parquet or .csv, got y.txt"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_writes_nothing(
    refused, tmp_path, monkeypatch, given, words
):
    monkeypatch.chdir(tmp_path)
    said = refused(*given.split())
    assert re.search(words, said), said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("directory", ["", "a\0b"])
def test_a_directory_without_a_name_is_refused(refused, tmp_path, monkeypatch, directory):
    monkeypatch.chdir(tmp_path)
    assert "directory must be the path of a folder" in refused(*SWEEP, directory)
    assert "directory must be the path of a folder" in refused("status", directory)
    assert not list(tmp_path.iterdir())


class Trap:
    def __reduce__(self):
        return os.system, ("touch executed",)


def test_no_file_is_trusted_as_a_signal(refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("good.npy", np.random.default_rng(0).standard_normal((7, 40)))
    with open("good.npy", "rb") as file:
        good = file.read()
    np.savez("archive.npz", np.ones(40))
    np.save("objects.npy", np.array([Trap()] * 40, object), allow_pickle=True)
    files = {
        "pickle.npy": pickle.dumps(Trap()),
        "short.npy": good[:-9],
        "head.npy": good[:20],
        "empty.npy": b"",
        "text.npy": b"1 2 3 4\n" * 40,
        "code.npy": good.replace(b"'<f8'", b"[0]*9**9"[:5]),
        "huge.npy": good.replace(b"(7, 40)", b"(9**99)"),
    }
    for name, content in files.items():
        with open(name, "wb") as file:
            file.write(content)
    os.mkfifo("pipe.npy")
    said = refused(*SWEEP, "y", "--signal", "pipe.npy")
    assert said.endswith("file of numbers, got 'pipe.npy', which is no file")
    for name in ("archive.npz", "objects.npy", *files):
        said = refused(*SWEEP, "y", "--signal", name)
        assert said.startswith("--signal must be one of uniform, normal, ")
        assert f" or a .npy file of numbers, got {name!r}: " in said
    np.save("nan.npy", np.full(40, np.nan))
    np.save("complex.npy", np.ones(40, complex))
    np.save("long.npy", np.ones(41))
    for name in ("nan.npy", "complex.npy", "long.npy"):
        assert "signal must " in refused(*SWEEP, "y", "--signal", name)
    assert not os.path.exists("executed") and not os.path.exists("y")


def test_a_garbled_log_is_no_traceback(command, tmp_path):
    command(*SWEEP, tmp_path)
    with open(tmp_path / "log.jsonl", "ab") as file:
        file.write(b'[1]\n\xff\n{"shard": {}}\n{"sh')
    assert command("status", tmp_path)[:2] == (0, "2 done, 0 left, 0 failed, 0 damaged\n")
    assert command("collect", tmp_path, "--out", tmp_path / "rows.csv")[0] == 0


def test_an_unfinished_sweep_is_not_collected(command, refused, tmp_path):
    command(*SWEEP, tmp_path)
    min(tmp_path.glob("*.parquet")).unlink()
    said = refused("collect", tmp_path, "--out", tmp_path / "rows.csv")
    wanted = "must hold all the blocks of its sweeps, got 1 left, 0 failed, 0 damaged"
    (plan,) = tmp_path.glob("plan-*.json")
    remedy = f"finish them, or remove what plans those not wanted: {plan.name}"
    assert said == f"{tmp_path} {wanted}; {remedy}"
    assert not (tmp_path / "rows.csv").exists()


def test_a_sweep_that_is_not_wanted_is_left_out_by_removing_its_plan(command, refused, tmp_path):
    command(*SWEEP, tmp_path)
    shards, plans = set(tmp_path.glob("*.parquet")), set(tmp_path.glob("plan-*"))
    command(*SWEEP, tmp_path, "--amplitudes", 1, 1, 1, 10)  # a slip of the finger
    min(set(tmp_path.glob("*.parquet")) - shards).unlink()
    (slip,) = set(tmp_path.glob("plan-*")) - plans
    assert refused("collect", tmp_path, "--out", tmp_path / "rows.csv").endswith(f": {slip.name}")
    slip.unlink()
    assert command("collect", tmp_path, "--out", tmp_path / "rows.csv")[0] == 0
    assert len(pd.read_csv(tmp_path / "rows.csv")) == 6 * 6


def test_starts_given_in_several_options_are_all_measured(command, tmp_path):
    options = ("--init", "shuffled", "--init", "jittered", "orthogonal")
    command(*SWEEP, tmp_path / "x", *options)
    found = lct_lab.sweeps.collect(tmp_path / "x")["start"]
    assert list(found.unique()) == ["shuffled", "jittered", "orthogonal"]


def test_a_shard_is_not_what_rows_are_collected_into(command, refused, tmp_path):
    command(*SWEEP, tmp_path)
    shard = min(tmp_path.glob("*.parquet"))
    before = shard.read_bytes()
    said = refused("collect", tmp_path, "--out", shard)
    assert said == f"--out must not be among the sweep's shards, got {shard}"
    assert shard.read_bytes() == before


def test_a_file_that_cannot_be_written_is_named(command, refused, tmp_path):
    command(*SWEEP, tmp_path)
    (tmp_path / "rows.csv").mkdir()
    (tmp_path / "file").write_text("")
    for name in ("rows.csv", "file/rows.parquet"):
        said = refused("collect", tmp_path, "--out", tmp_path / name)
        assert said.startswith(f"cannot write {tmp_path / name}: ")
    assert "file" in refused(*SWEEP, tmp_path / "file")
    assert not list(tmp_path.glob(".*"))


def test_without_the_cluster_library_there_is_a_sentence(refused, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    said = refused(*SWEEP, tmp_path, "--scheduler", "tcp://x:1")
    assert "--scheduler needs the extra 'cluster', which cannot be loaded" in said


@pytest.mark.parametrize("address", ["tls://127.0.0.1:9", "foo://a:1", "tcp://127.0.0.1"])
def test_an_address_that_is_not_taken_is_named(refused, tmp_path, address):
    pytest.importorskip("distributed")
    said = refused(*SWEEP, tmp_path, "--scheduler", address)
    assert f"--scheduler must be an address such as tcp://host:8786, got {address!r}: " in said


@pytest.mark.parametrize("workers", ["1", "2"])
def test_interrupts_are_one_sentence(tmp_path, workers):
    big = "sweep --n 60000 --m 60000 --inits 400 --workers".split()
    driver = subprocess.Popen(
        [sys.executable, "-m", "lct_lab", *big, workers, "--out", tmp_path / "x"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    wait_until(lambda: list(tmp_path.glob("x/plan-*.json")))
    for _ in range(3):  # as an impatient user does, who reaches the workers as well
        os.killpg(driver.pid, signal.SIGINT)
        time.sleep(0.2)
    said = driver.communicate(timeout=60)[0]
    assert driver.returncode == 130
    assert "stopped; the finished blocks are kept, and the same command goes on\n" in said
    assert "Traceback" not in said and "Error" not in said


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path):
    names = [f"{n}x40-random-00000000-{'0' * 16}.parquet" for n in range(3000)]
    (tmp_path / "plan-0.json").write_text(json.dumps(names))
    program = f"{sys.executable} -m lct_lab status {tmp_path} | head -n 1"
    found = subprocess.run(["bash", "-c", program], capture_output=True, text=True)
    assert (found.stdout, found.stderr) == ("0 done, 3000 left, 0 failed, 0 damaged\n", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_output_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "plan-0.json").write_text(json.dumps([f"8x8-random-00000000-{'0' * 16}.parquet"]))
    program = [sys.executable, "-m", "lct_lab", "status", tmp_path]
    with open("/dev/full", "w") as full:
        found = subprocess.run(program, stdout=full, stderr=subprocess.PIPE, text=True)
    wanted = "standard output cannot be written: No space left on device\n"
    assert (found.returncode, found.stderr) == (1, wanted)


def test_output_that_cannot_be_written_for_a_reason_of_pythons_is_named(
    tmp_path, monkeypatch, capsys
):
    plan = tmp_path / "plan-0.json"
    plan.write_text(json.dumps([f"8x8-random-00000000-{'0' * 16}.parquet"]))
    with plan.open() as to_read_from:
        monkeypatch.setattr(sys, "stdout", to_read_from)
        assert main(["status", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "standard output cannot be written: not writable\n"


@pytest.mark.parametrize("names", ([], ["../a.parquet"], ["/etc/passwd"], [3], {"a.parquet": 1}))
def test_a_plan_that_names_no_shards_is_damage(refused, tmp_path, names):
    (tmp_path / "plan-0.json").write_text(json.dumps(names))
    for command in (("status", tmp_path), ("collect", tmp_path, "--out", tmp_path / "rows.csv")):
        words = f"{tmp_path / 'plan-0.json'} is damaged: it is not a list of names of shards"
        assert refused(*command) == words


def test_a_folder_that_cannot_be_read_is_named(refused, tmp_path, monkeypatch):
    def unreadable(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "listdir", unreadable)
    wanted = f"directory must be a folder that can be read, got {tmp_path}: Permission denied"
    assert refused("status", tmp_path) == wanted


@pytest.mark.parametrize("log", (b"mine\n", b'{"time": "2020", "level": "info"}\n', b"\xff"))
def test_a_log_of_something_else_stays_as_it_is(refused, tmp_path, log):
    (tmp_path / "log.jsonl").write_bytes(log)
    (tmp_path / "plan-2024.json").write_text("{}")  # not the name of a sweep's
    wanted = "directory must hold a sweep, or no log.jsonl, to which a sweep adds its events; got "
    assert refused(*SWEEP, tmp_path) == f"{wanted}{tmp_path}, whose log.jsonl is not of a sweep"
    assert (tmp_path / "log.jsonl").read_bytes() == log and len(list(tmp_path.iterdir())) == 2


def test_a_million_workers_are_refused(refused, tmp_path):
    said = refused(*SWEEP, tmp_path, "--workers", "1000000")
    assert said.startswith("--workers must be at most ") and said.endswith("got 1000000")


@pytest.mark.parametrize("planned", (True, False))
def test_a_sweeps_own_log_goes_on_with_garbled_lines_too(command, tmp_path, planned):
    (tmp_path / "log.jsonl").touch()
    assert command(*SWEEP, tmp_path)[0] == 0
    for path in tmp_path.glob("*.parquet" if planned else "[!l]*"):
        path.unlink()
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"mine\n" + (b"" if planned else log.read_bytes()) + b'{"time')
    assert command(*SWEEP, tmp_path)[0] == 0


def test_what_is_called_like_a_shard_and_is_no_file_is_left(command, tmp_path):
    command(*SWEEP, tmp_path)
    path = next(tmp_path.glob("*.parquet"))
    path.unlink()
    path.mkdir()
    (tmp_path / "zz.parquet").symlink_to(tmp_path / "nowhere")
    assert command("status", tmp_path)[1].startswith("1 done, 1 left, 0 failed, 0 damaged")
    status, _, said = command(*SWEEP, tmp_path)
    assert status == 1 and f"cannot write {path}" in said


SHARED = Path("/dev/shm")


@pytest.mark.skipif(not SHARED.is_dir(), reason="semaphores are no files here")
@pytest.mark.parametrize("number", (signal.SIGHUP, signal.SIGQUIT))
def test_a_terminal_that_closes_or_quits_leaves_no_semaphores(tmp_path, number):
    big = "sweep --n 60000 --m 60000 --inits 400 --workers 2 --out".split()
    command = [sys.executable, "-m", "lct_lab", *big, tmp_path / "x"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, start_new_session=True, **quiet)
    left = f"sem.loky-{process.pid}-*"
    wait_until(lambda: len(list(SHARED.glob(left))) >= 8)
    time.sleep(0.3)  # for the last to be known to the process that removes them
    os.killpg(process.pid, number)
    assert process.wait(10) == -number
    wait_until(lambda: not list(SHARED.glob(left)), seconds=10)


def test_negative_powers_of_ten_and_repeated_sizes_are_taken(tmp_path):
    words = ["sweep", "--n", "8", "--n", "9", "--m", "4", "--inits", "2", "--out", str(tmp_path)]
    assert main([*words, "--amplitudes", "1", "-1e-3", "1", "1"]) == 0
    rows = lct_lab.sweeps.collect(tmp_path)
    assert set(rows["n"]) == {8, 9} and rows.attrs["amplitudes"][1] == -1e-3


@pytest.mark.parametrize("number", (signal.SIGTERM, signal.SIGHUP))
def test_a_collect_that_is_ended_leaves_no_part_of_a_table(tmp_path, number):
    lct_lab.sweep(8, 8, inits=20, directory=tmp_path / "x", progress=False)
    program = (
        "import os, pandas as pd\n"
        "from lct_lab.sweeps import command\n"
        "def end(self, part, **_): open(part, 'w').write('half'); os.kill(os.getpid(), %d)\n"
        "pd.DataFrame.to_csv = end\n"
        "command.main(['collect', 'x', '--out', 'y.csv'])\n"
    )
    found = subprocess.run([sys.executable, "-c", program % number], cwd=tmp_path)
    assert found.returncode == 128 + number
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_bar_that_cannot_be_written_does_not_end_a_sweep(tmp_path):
    words = ["sweep", "--n", "8", "--m", "8", "--inits", "20", "--block", "2", "--out", "x"]
    program = [sys.executable, "-m", "lct_lab", *words]
    with open("/dev/full", "w") as full:
        found = subprocess.run(program, cwd=tmp_path, stderr=full, stdout=subprocess.PIPE)
    assert found.returncode == 0 and found.stdout == b"120 rows in x\n"
