"""A sweep is `probe` over a grid, in shards named by their content; odd input is refused."""

import ast
import contextlib
import importlib.util
import os
import subprocess
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sweeping import SMALL, run, shards

import lct_lab
from lct_lab import probes, sweeps, tables
from lct_lab.sweeps import log, plan

PACKAGE = Path(lct_lab.__file__).parent


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    directory = tmp_path_factory.mktemp("undisturbed")
    return run(directory), shards(directory)


def counts(directory, **how):
    return {state: len(names) for state, names in sweeps.status(directory, **how).items()}


def test_the_table_is_probes(undisturbed, tmp_path):
    table, made = undisturbed
    assert len(made) == 12 and len(table) == 4 * 15 * 6
    for (n, start), part in table.groupby(["n", "start"]):
        alone = lct_lab.probe(int(n), 32, init=start, inits=15, seed=3)
        assert part[list(alone)].reset_index(drop=True).equals(alone)
    tied = run(tmp_path, tied=True, inits=5)
    assert set(tied["group"]) == {"a1", "a2", "a3", "a4", "w1"}
    assert set(tied["start"]) == {"random, tied", "shuffled, tied"}


def test_blocks_of_any_size_give_the_same_table(tmp_path):
    many = run(tmp_path / "seven", block=7, inits=105)
    assert many.equals(run(tmp_path / "hundred", block=100, inits=105))
    shared = {"seed": 3, "signal": "uniform", "batch": 1, "versions": tables.provenance()}
    assert shared.items() <= many.attrs.items() and "first" not in many.attrs


class Elsewhere(Executor):
    """An executor whose worker has a current folder of its own."""

    def __init__(self, folder):
        self.folder = folder

    def submit(self, function, *given):
        future = Future()
        with contextlib.chdir(self.folder):
            future.set_result(function(*given))
        return future


def test_shards_are_in_the_drivers_folder_wherever_its_workers_are(tmp_path, monkeypatch):
    there, here = tmp_path / "there", tmp_path / "here"
    for folder in (there, here):
        folder.mkdir()
    monkeypatch.chdir(here)
    table = run("swept", **SMALL, executor=Elsewhere(there))
    assert not list(there.iterdir()) and len(shards(here / "swept")) == 1
    assert table.equals(run(tmp_path / "alone", **SMALL))


def test_a_table_of_ones_own_in_batches_is_probes(tmp_path):
    rows = np.random.default_rng(0).standard_normal((7, 40))
    settings = dict(signal=rows, batch=2, amplitudes=(1, 1.2, 0.8, 1.1))
    table = run(tmp_path, **SMALL, **settings)
    alone = lct_lab.probe(40, 32, inits=5, seed=3, **settings)
    assert table[list(alone)].equals(alone)
    run(tmp_path, **SMALL, **settings | {"signal": rows[::-1]})
    assert len(shards(tmp_path)) == 2, "another signal is another shard"


def test_numbers_of_numpy_and_repeated_sizes_are_as_good(undisturbed, tmp_path):
    table, made = undisturbed
    given = dict(n=np.array([40, 64, 40]), m=np.int64(32), batch=np.int64(1), tied=np.bool_(False))
    assert run(tmp_path, **given).equals(table) and shards(tmp_path) == made


def test_threads_share_a_sweep_and_leave_torch_as_it_was(undisturbed, tmp_path):
    table, made = undisturbed
    torch.set_num_threads(2)
    with ThreadPoolExecutor(2) as pool:
        assert run(tmp_path, executor=pool).equals(table) and shards(tmp_path) == made
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"n": []}, "n must have at least one entry"),
        ({"n": 0}, "n must be at least 1, got 0"),
        ({"n": np.array(40)}, "n must be one value or a flat list of values"),
        ({"n": [[40]]}, "n must be one value or a flat list of values"),
        ({"m": [4, 0]}, "m must be at least 1, got 0"),
        ({"init": ["sorted"]}, "init must be one of"),
        ({"init": np.timedelta64(3)}, "init must be one value or a flat list"),
        ({"n": np.timedelta64(3)}, "n must be one value or a flat list"),
        ({"init": [["random"]]}, "init must be one value or a flat list"),
        ({"block": 0}, "block must be at least 1"),
        ({"inits": 10**12}, "inits and block must make at most 1000000 blocks, got "),
        ({"executor": 3}, "executor must be a concurrent.futures.Executor or None, got 3"),
        ({"executor": ProcessPoolExecutor}, "executor must be a concurrent.futures.Executor"),
        ({"signal": "ecg", "n": 2000}, "n must be between 2 and 1024"),
        ({"signal": np.full(40, np.nan), "n": 40}, "signal must be finite"),
        ({"signal": np.ones((0, 40)), "n": 40}, "signal must have shape"),
        ({"amplitudes": (1, 1, 1, np.inf)}, "amplitudes must be four finite numbers"),
    ],
)
def test_bad_input_is_one_sentence_and_writes_nothing(tmp_path, change, words):
    with pytest.raises((ValueError, TypeError), match=words):
        run(tmp_path / "x", **change)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("directory", ["", "a\0b", b"bytes", None, 3])
def test_what_is_no_directory_is_refused(tmp_path, monkeypatch, directory):
    monkeypatch.chdir(tmp_path)
    for call in (lambda: run(directory), lambda: sweeps.status(directory)):
        with pytest.raises((ValueError, TypeError), match="directory must be "):
            call()
    assert not list(tmp_path.iterdir())


def test_a_directory_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("file", "file/below", "link", "x" * 300):
        with pytest.raises(OSError, match=f"directory must be a folder.*got .*{name}: "):
            run(tmp_path / name)


def test_an_executor_that_is_shut_down_is_one_sentence(tmp_path):
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    with pytest.raises(RuntimeError, match="executor takes no more tasks: .*after shutdown"):
        run(tmp_path, executor=pool)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("huge", [{"amplitudes": [1e200] * 4}, {"signal": np.full(40, 1e200)}])
def test_what_overflows_is_a_failed_block_and_never_infinite_rows(tmp_path, huge):
    with pytest.raises(RuntimeError, match=r'1 of 1 blocks failed(.|\n)*"n": 40(.|\n)*rror: '):
        run(tmp_path, **SMALL, **huge)
    assert not shards(tmp_path) and counts(tmp_path)["failed"] == 1


def test_blocks_that_fail_leave_the_rest_and_are_listed(undisturbed, tmp_path, monkeypatch):
    table, made = undisturbed
    rows = probes.probe_rows

    def sometimes(n, m, first, count, **settings):
        found = rows(n, m, first, count, **settings)
        if n == 40 and first == 10:
            found["max_abs"][0] = float("inf")
        return found

    monkeypatch.setattr(probes, "probe_rows", sometimes)
    listed = r'2 of 12 blocks failed(.|\n)*"n": 40, "m": 32(.|\n)*"seed": 3(.|\n)*not finite'
    with pytest.raises(RuntimeError, match=listed):
        run(tmp_path)
    assert len(shards(tmp_path)) == 10
    assert counts(tmp_path) == {"done": 10, "left": 0, "failed": 2, "damaged": 0}
    failed = sweeps.status(tmp_path)["failed"]
    assert failed[0].startswith("40x32-random-00000010")
    assert failed[1].startswith("40x32-shuffled-00000010")
    with pytest.raises(ValueError, match="must hold all .*got 0 left, 2 failed, 0 damaged"):
        sweeps.collect(tmp_path)
    monkeypatch.undo()
    assert run(tmp_path).equals(table) and shards(tmp_path) == made


def test_a_shard_has_the_bytes_of_its_data_frame(undisturbed, tmp_path):
    _, made = undisturbed
    for data in made.values():
        (tmp_path / "shard").write_bytes(data)
        tables.write_raw(tables.read(tmp_path / "shard"), tmp_path / "frame")
        assert (tmp_path / "frame").read_bytes() == data


@pytest.mark.parametrize("seconds, written", [(0, range(12)), (1000, [0] * 12)])
def test_rows_wait_to_be_written_for_a_stated_time(tmp_path, monkeypatch, seconds, written):
    rows, found = probes.probe_rows, []

    def noted(**block):
        found.append(len(shards(tmp_path)))
        return rows(**block)

    monkeypatch.setattr(probes, "probe_rows", noted)
    monkeypatch.setattr(sweeps.driver, "WAITS", seconds)
    run(tmp_path)
    assert found == list(written)


def test_an_interrupt_keeps_the_rows_that_wait(undisturbed, tmp_path, monkeypatch):
    table, made = undisturbed
    rows, left = probes.probe_rows, iter(range(3))

    def interrupted(**block):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return rows(**block)

    monkeypatch.setattr(probes, "probe_rows", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path)
    logged = {entry["shard"]: entry["bytes"] for entry in log.entries(tmp_path) if "shard" in entry}
    assert logged == {name: len(data) for name, data in list(made.items())[:3]}
    assert shards(tmp_path).keys() == logged.keys()
    monkeypatch.undo()
    assert run(tmp_path).equals(table) and shards(tmp_path) == made


def test_a_thousand_failures_are_not_a_thousand_lines(tmp_path, monkeypatch):
    monkeypatch.setattr(probes, "probe_rows", lambda *place, **settings: 1 / 0)
    with pytest.raises(RuntimeError, match="60 of 60 blocks failed") as raised:
        run(tmp_path, block=1)
    assert len(str(raised.value).splitlines()) == 22
    assert str(raised.value).endswith("and 40 more, in log.jsonl")


def test_a_worker_with_other_versions_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(sweeps.shards, "shard_name", lambda block: "another.parquet")
    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(RuntimeError, match="worker has other code or other versions"):
            run(tmp_path, **SMALL, executor=pool)
    assert not shards(tmp_path)


def imported(path):
    """The files of the package that `path` imports, at the top or inside its functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{name.name}" for name in node.names] + [node.module]
        elif isinstance(node, ast.Import):
            names = [name.name for name in node.names]
        else:
            names = []
        for name in names:
            file = PACKAGE.parent / (name.replace(".", "/") + ".py")
            if name.startswith("lct_lab.") and file.is_file():
                yield file


def test_a_shards_name_covers_all_the_code_that_its_content_depends_on():
    found, waiting = set(), [PACKAGE / "sweeps" / "shards.py"]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting.extend(imported(path))
    assert {str(path.relative_to(PACKAGE)) for path in found} == set(plan.CODE)


GARBLED = [
    b"",
    b"\xff\xfe\x00garbage",
    b'{"shard": "NAME", "fai',
    b"[1, 2]",
    b"null",
    b'"text"',
    b"7",
    b'{"bytes": 7}',
    b'{"shard": ["NAME"], "bytes": 7}',
    b'{"shard": "NAME", "bytes": "many"}',
    b'{"shard": "NAME", "bytes": 7}',
    b"[" * 100_000,
    b"1" * 5000,
]


@pytest.mark.parametrize("garbled", GARBLED, ids=range(len(GARBLED)))
def test_garbled_lines_of_the_log_do_not_matter(undisturbed, tmp_path, garbled):
    _, made = undisturbed
    run(tmp_path, inits=5)
    path = tmp_path / "log.jsonl"
    first, *rest = path.read_bytes().splitlines(keepends=True)
    line = garbled.replace(b"NAME", next(iter(shards(tmp_path))).encode())
    path.write_bytes(line + b"\n" + first + line + b"\n" + b"".join(rest) + line)
    assert counts(tmp_path) == {"done": 4, "left": 0, "failed": 0, "damaged": 0}
    run(tmp_path, inits=15)
    assert shards(tmp_path) == made and counts(tmp_path)["done"] == 12
    begun = [entry for entry in log.entries(tmp_path) if "sweep" in entry]
    assert len(begun) == 2, "what follows half a line is on a line of its own"


@given(st.lists(st.binary(max_size=30)))
def test_no_log_stops_status(tmp_path_factory, lines):
    directory = tmp_path_factory.mktemp("log")
    (directory / "plan-0.json").write_text('["a.parquet"]')
    (directory / "log.jsonl").write_bytes(b"\n".join(lines))
    assert sweeps.status(directory)["left"] == ["a.parquet"]


def test_pipes_with_the_names_of_a_sweeps_files_are_not_waited_for(tmp_path):
    (tmp_path / "plan-0.json").write_text('["a.parquet"]')
    for name in ("plan-1.json", "log.jsonl"):
        os.mkfifo(tmp_path / name)
    assert sweeps.status(tmp_path)["left"] == ["a.parquet"]


@pytest.mark.parametrize("garbled", [b"", b"[", b"3", b'{"a": 1}', b"[1]", b"\xff", b"[" * 10**5])
def test_a_garbled_plan_is_named_and_the_next_call_repairs_it(tmp_path, garbled):
    for n in (40, 48):
        run(tmp_path, **SMALL | {"n": n})
    assert counts(tmp_path)["done"] == 2, "sweeps in one directory keep both plans"
    path = min(tmp_path.glob("plan-*.json"))
    whole = path.read_bytes()
    path.write_bytes(garbled)
    with pytest.raises(ValueError, match="plan-.*json is damaged"):
        sweeps.status(tmp_path)
    run(tmp_path, **SMALL)
    run(tmp_path, **SMALL | {"n": 48})
    assert path.read_bytes() == whole and counts(tmp_path)["done"] == 2


def test_a_sweep_is_collected_from_its_files(undisturbed, tmp_path):
    table, _ = undisturbed
    run(tmp_path, block=7)
    assert sweeps.collect(tmp_path).equals(table)
    run(tmp_path, block=5)
    assert sweeps.collect(tmp_path).equals(table), "blocks of two sizes share their inits"
    assert sweeps.collect(tmp_path).attrs["seed"] == 3
    run(tmp_path, **SMALL | {"seed": 4})
    with pytest.raises(ValueError, match="disagree on seed: "):
        sweeps.collect(tmp_path)


def git(folder, *command):
    name = ["-c", "user.name=x", "-c", "user.email=x@x"]
    done = subprocess.run(["git", *name, *command], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def installed(folder):
    """log.py as a package installed below `folder` has it."""
    place = folder / "venv" / "lct_lab" / "sweeps" / "log.py"
    place.parent.mkdir(parents=True)
    place.write_text(Path(log.__file__).read_text())
    module = importlib.util.spec_from_file_location("installed", place)
    found = importlib.util.module_from_spec(module)
    module.loader.exec_module(found)
    return found


def test_the_commit_is_ours_or_unknown(tmp_path, monkeypatch):
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "another project")
    theirs = git(tmp_path, "rev-parse", "--short", "HEAD")
    copy = installed(tmp_path)
    assert copy.commit() == "unknown", "a repository around the package is not the package's"
    git(tmp_path, "add", "venv")
    git(tmp_path, "commit", "-q", "-m", "the package itself")
    copy.commit.cache_clear()
    ours = git(tmp_path, "rev-parse", "--short", "HEAD")
    assert copy.commit() == ours != theirs
    monkeypatch.setenv("GIT_DIR", os.devnull)  # as a hook of another repository has it
    copy.commit.cache_clear()
    assert copy.commit() == ours


def test_without_git_the_commit_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    log.commit.cache_clear()
    run(tmp_path, **SMALL)
    log.commit.cache_clear()
    assert '"commit": "unknown"' in (tmp_path / "log.jsonl").read_text()


def test_tables_that_disagree_are_not_mixed(tmp_path):
    for name, code in (("one", "a"), ("two", "b")):
        table = pd.DataFrame({"init": [0]})
        table.attrs = {"code": code, "seed": 1}
        tables.write_raw(table, tmp_path / name)
    with pytest.raises(ValueError, match="two and .*one disagree on code: b and a"):
        tables.read(tmp_path / "one", tmp_path / "two")
    assert tables.read(tmp_path / "one", tmp_path / "one").attrs["seed"] == 1
    for key in ("seed", "signal", "batch"):
        table.attrs = {"code": "a", "seed": 1, key: 2}
        tables.write_raw(table, tmp_path / "three")
        with pytest.raises(ValueError, match=f"disagree on {key}"):
            tables.read(tmp_path / "one", tmp_path / "three")
    with pytest.raises(ValueError, match="paths must name at least one file"):
        tables.read()
    with pytest.raises(FileNotFoundError, match="nowhere"):
        tables.read(tmp_path / "nowhere")
