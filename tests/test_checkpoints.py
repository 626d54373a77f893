"""A training that is broken off goes on to the same bytes, or says what does not fit."""

import io
import os
import pickle
import signal
import subprocess
import sys
from hashlib import sha256

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import lct_lab
from lct_lab import models, signals, training
from lct_lab.training import checkpoint

TABLE = np.random.default_rng(0).normal(size=(50, 16))


def lct(n=16, m=12, *, seed=5, tied=True, dtype=torch.float64):
    return models.LCT(n, m, tied=tied, seed=seed, dtype=dtype)


def train(path=None, model=None, **options):
    defaults = dict(steps=40, lr=0.04, schedule=training.CoarseToFine(16, 40), every=10, seed=2)
    return training.fit(model or lct(), **defaults | options, checkpoint=path)


def same(first, second):
    parameters = zip(first.model.parameters(), second.model.parameters(), strict=True)
    return (
        all(torch.equal(a, b) for a, b in parameters)
        and first.history.equals(second.history)
        and np.array_equal(first.paths, second.paths)
        and (first.loss, first.stopped) == (second.loss, second.stopped)
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.pt"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"optimizer": "sgd", "lr": 0.4},
        {"objective": "uniform", "batch": 5},
        {"objective": TABLE, "batch": 5, "paths": True},
        {"schedule": None, "rule": "raw", "lr": 1e-3},
        dict(optimizer="newton", lr=1.0, schedule=training.LookBack(16, octave=3), patience=9),
    ],
)
@pytest.mark.parametrize("tied", [True, False])
def test_it_goes_on_to_the_same_bytes(path, tied, options):
    m = 16 if options.get("optimizer") == "newton" else 12
    whole = train(model=lct(m=m, tied=tied), **options)
    for steps in (1, 7, 25, 40, 40):  # of which 7 and 25 have a last row that the whole has not
        again = train(path, lct(m=m, tied=tied), **options | {"steps": steps})
    assert same(again, whole)
    assert os.listdir(path.parent) == ["state.pt"]


def test_a_model_that_was_just_trained_goes_on_too(path):
    model = lct()
    model.a1.requires_grad_(False)
    whole = train(model=model)
    again = lct()
    again.a1.requires_grad_(False)
    train(path, again, steps=20)
    assert same(train(path, again), whole)


def test_an_early_stop_is_gone_on_with(path):
    options = dict(steps=400, target=1e-2, every=5, paths=True, optimizer="adam")
    whole = lct_lab.recover(10, **options)
    for target in (0.5, 1e-2, 1e-2):  # stopped early, gone on with, and asked for once more
        again = lct_lab.recover(10, **options | {"target": target}, checkpoint=path)
    assert same(again, whole) and whole.stopped.startswith("reached 0.01 at step")


def test_all_steps_done_with_patience_is_asked_for_once_more(path):
    options = dict(steps=30, patience=5, schedule=None)
    first = train(path, **options)
    assert same(train(path, **options), first)


def test_a_fall_of_a_hundredth_may_take_as_many_steps_as_there_is_patience():
    model = lct_lab.LCT(64, 64, tied=True, seed=0, dtype=torch.float64)
    options = dict(optimizer="sgd", lr=0.005, steps=60, every=1, schedule=None, patience=8)
    found = training.fit(model, **options)
    losses = found.history["loss"].to_numpy()
    alone, together = losses[1:] / losses[:-1], losses[8:] / losses[:-8]
    assert np.median(alone) > 0.99 > together.max(), "most steps fall by less, any eight by more"
    assert found.stopped == "all steps done"


@pytest.mark.parametrize(
    "options, words",
    [
        (dict(steps=300, patience=5, every=50, schedule=None), "no lower loss in 5 steps"),
        (dict(lr=1e290, rule="raw", optimizer="sgd", schedule=None), "the loss is not finite"),
        (dict(lr=1e200, rule="raw", optimizer="sgd", schedule=None, steps=1), "would not be fin"),
    ],
)
def test_what_ended_early_ends_as_before_wherever_it_goes_on(path, options, words):
    model = lct()
    whole = train(path, model, **options)
    assert words in whole.stopped and np.isfinite(whole.loss)
    before = [p.detach().clone() for p in model.parameters()]
    for again in (model, lct(), model):  # in memory, and as if anew
        found = train(path, again, **options)
        assert all(map(torch.equal, found.model.parameters(), before))
        assert found.stopped == whole.stopped and found.history.equals(whole.history)


def test_an_interrupted_training_goes_on_with_the_very_model(path, monkeypatch):
    whole, model = train(objective="uniform", batch=5), lct()
    plain, drawn = signals.draw, []

    def interrupting(*given, **options):
        drawn.append(1)
        if len(drawn) in (13, 18):  # some steps after the last checkpoint
            signal.raise_signal(signal.SIGINT)
        return plain(*given, **options)

    monkeypatch.setattr(signals, "draw", interrupting)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            train(path, model, objective="uniform", batch=5)
    assert same(train(path, model, objective="uniform", batch=5), whole)
    assert os.listdir(path.parent) == ["state.pt"]


KILLED = """
import os, signal, sys
import test_checkpoints as tests
plain, written = os.fsync, []
def fsync(descriptor):
    written.append(1)
    if len(written) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    plain(descriptor)
os.fsync = fsync
tests.train(sys.argv[1], objective="uniform", batch=5)
"""


def test_a_training_killed_in_mid_write_goes_on_to_the_same_bytes(path):
    command = [sys.executable, "-c", KILLED, str(path)]
    process = subprocess.run(command, cwd=os.path.dirname(__file__))
    assert process.returncode == -signal.SIGKILL and path.exists()
    assert len(os.listdir(path.parent)) == 3  # the last checkpoint, a lock and a part
    options = dict(objective="uniform", batch=5)
    assert same(train(path, **options), train(**options))
    assert os.listdir(path.parent) == ["state.pt"]


def test_a_model_that_went_on_in_memory_goes_on_from_its_start_too(path):
    model = lct()
    train(path, model, steps=20)
    whole = train(path, model)
    assert same(train(path), whole)


def test_a_model_with_numbers_of_its_own_goes_on_too(path):
    class Noted(models.LCT):
        def __init__(self):
            super().__init__(16, 12, tied=True, seed=5, dtype=torch.float64)
            self.register_buffer("note", torch.tensor(torch.inf))

    whole = train(model=Noted())
    train(path, Noted(), steps=20)
    assert same(train(path, Noted()), whole)


def test_a_rate_of_numpy_s_numbers_can_be_gone_on_with(path):
    schedule = training.CoarseToFine(32, np.int64(40), start=32, share=np.float64(0.5))
    options = dict(lr=np.float64(0.01), rule="equal", optimizer="sgd", schedule=schedule)
    whole = train(model=lct(32, 32), **options)
    train(path, lct(32, 32), **options | {"steps": 9})
    assert same(train(path, lct(32, 32), **options), whole)


@pytest.fixture(params=[torch.float64, torch.float16])
def default(request):
    before = torch.get_default_dtype()
    torch.set_default_dtype(request.param)
    yield
    torch.set_default_dtype(before)


def test_it_goes_on_whatever_torch_s_default_dtype_is(path, default):
    whole = train()
    train(path, steps=20)
    assert same(train(path), whole)


def test_more_steps_and_finer_rows_read_as_if_there_had_been_no_break(path):
    train(path, steps=31, schedule=None)
    found = train(path, steps=50, schedule=None, every=5)
    assert found.history["step"].tolist() == [0, 10, 20, 30, 35, 40, 45, 49]
    whole = train(steps=50, schedule=None, every=5)
    assert (
        whole.history.set_index("step")
        .loc[found.history["step"]]
        .reset_index()
        .equals(found.history)
    )


def test_rows_that_were_written_stay_whatever_is_asked_for_next(path):
    train(path, steps=21, schedule=None, every=3, paths=True)  # which has a row of step 20, too
    train(path, steps=33, schedule=None, every=8, paths=True)
    found = train(path, steps=40, schedule=None, every=20, paths=True)
    steps = [0, 3, 6, 9, 12, 15, 18, 24, 32, 39]
    assert found.history["step"].tolist() == steps
    whole = train(steps=40, schedule=None, every=1, paths=True)
    assert np.array_equal(found.paths, whole.paths[steps])


def test_names_that_are_not_of_text_can_be_used(path):
    odd = os.fsdecode(os.fsencode(path.parent) + b"/\xff[*]?")
    whole = train()
    train(odd, steps=20)
    assert same(train(odd), whole) and os.listdir(os.fsencode(path.parent)) == [b"\xff[*]?"]


def test_a_private_checkpoint_stays_private(path):
    train(path, steps=20)
    path.chmod(0o600)
    train(path)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "change, words",
    [
        ({"lr": 0.05}, "with lr 0.05, got 0.04 in"),
        ({"pace": 2.0}, "with pace 2.0, got 1.0 in"),
        ({"seed": 3}, "with seed 3, got 2 in"),
        ({"rule": "raw"}, "with rule raw, got curvature in"),
        ({"optimizer": "sgd"}, "with optimizer sgd, got adam in"),
        ({"batch": 6}, "with batch 6, got 5 in"),
        ({"objective": "normal"}, r"with objective normal, got array \(50, 16\) of SHA-256"),
        ({"objective": TABLE[::-1]}, r"with objective array .*, got array \(50, 16\) of SHA-256"),
        ({"objective": "expected"}, "with objective expected, got array"),
        (
            {"schedule": training.CoarseToFine(16, 41)},
            r"with schedule CoarseToFine\(n=16, steps=41, .*, got CoarseToFine\(n=16, steps=40,",
        ),
        ({"schedule": None}, r"with schedule Constant\(n=16\), got CoarseToFine\(n=16, steps=40,"),
        ({"model": lct(16, 13)}, "with m 13, got 12 in"),
        ({"model": lct(tied=False)}, "with tied False, got True in"),
        ({"model": lct(dtype=torch.float32)}, "with dtype torch.float32, got torch.float64 in"),
        ({"model": lct(seed=6)}, "from the model's own numbers, of SHA-256 .*, or its result; got"),
        ({"steps": 9}, "steps must be at least 10, those done in .*, got 9"),
        ({"paths": True}, "paths must be False as in .*, whose rows have none, got True"),
    ],
)
def test_another_training_is_refused_with_both_values(path, change, words):
    options = dict(objective=TABLE, batch=5)
    train(path, **options | {"steps": 10})
    before = path.read_bytes()
    model = change.get("model", lct())
    untouched = [p.detach().clone() for p in model.parameters()]
    with pytest.raises(ValueError, match=words):
        train(path, **options | {"model": model} | change)
    assert path.read_bytes() == before
    assert all(map(torch.equal, untouched, model.parameters()))


def test_another_start_or_library_is_refused(path, monkeypatch):
    lct_lab.recover(8, seed=1, steps=20, objective="normal", checkpoint=path)
    with pytest.raises(ValueError, match="with seed 2, got 1 in"):
        lct_lab.recover(8, seed=2, steps=20, objective="normal", checkpoint=path)
    monkeypatch.setattr(checkpoint, "version", lambda name: "9.9")
    with pytest.raises(ValueError, match="with torch 9.9, got 2"):
        lct_lab.recover(8, seed=1, steps=20, objective="normal", checkpoint=path)


class Executed:
    def __reduce__(self):
        return os.mkdir, (str(Executed.target),)


def test_nothing_in_a_file_is_executed(path):
    Executed.target = path.parent / "executed"
    torch.save({"model": Executed()}, path)
    crafted = [pickle.dumps(Executed(), protocol=2), path.read_bytes()]
    signed = [
        checkpoint.MAGIC + sha256(data).hexdigest().encode() + b"\n" + data for data in crafted
    ]
    for data in crafted + signed:
        path.write_bytes(data)
        with pytest.raises(ValueError, match=f"checkpoint must be .*, got {path}"):
            train(path)
    assert not Executed.target.exists()


EXPANDED = torch.zeros(1, dtype=torch.float64).expand(12)  # twelve numbers in the room of one


def remembering(known, **moments):
    """What Adam remembers, with these of the frequencies."""
    return known | {4: known[4] | moments}


@pytest.mark.parametrize(
    "change",
    [
        {"settings": ["n", 16]},
        {"best": {"values": 3}},
        {"best": {"values": {"a1": 1}, "loss": 1.0, "step": 1}},
        {"model": {}},
        {"step": "3"},
        {"step": -3},
        {"history": [3]},
        {"history": [{"loss": 1.0}]},
        {"trace": [torch.zeros(3)]},
        {"frozen": {"a1": 1}},
        {"generator": {}},
        {"optimizer": {}},
        {"optimizer": lambda known: known | {4: {"exp_avg": torch.zeros(3)}}},
        {"optimizer": lambda known: known | {4: known[4] | {"exp_avg": torch.zeros(3).double()}}},
        {"optimizer": lambda known: known | {4: known[4] | {"step": 3}}},
        {"model": lambda known: known | {"w1": known["w1"].bfloat16()}},
        {"model": lambda known: known | {"w1": known["w1"] * np.nan}},
        {"model": lambda known: {3: known["w1"]}},
        {"last_good": lambda known: {"w1": known["w1"]}},
        {"settings": lambda known: known | {"n": torch.zeros(3)}},
        {"start": 3},
        {"history": [{"step": 0}]},
        {"history": []},
        {"history": lambda rows: [rows[0] | {"step": 7}]},
        {"history": lambda rows: rows * 2},
        {"optimizer": lambda known: remembering(known, step=torch.tensor(-1.0))},
        {"optimizer": lambda known: remembering(known, exp_avg=EXPANDED)},
        {"optimizer": lambda known: remembering(known, exp_avg_sq=EXPANDED)},
        {"optimizer": lambda known: remembering(known, exp_avg_sq=-torch.ones(12).double())},
        {"optimizer": lambda known: remembering(known, exp_avg=torch.zeros(24).double()[::2])},
        {"optimizer": lambda known: remembering(known, exp_avg=torch.zeros(24).double()[:12])},
        {"model": lambda known: known | {"w1": EXPANDED}},
        {"generator": lambda known: known | {"state": {"state": 1, "inc": 2}}},
    ],
)
def test_entries_of_another_kind_are_a_sentence_and_touch_no_model(path, change):
    train(path, steps=5, seed=2)
    content = path.read_bytes().split(b"\n", 2)[2]
    state = torch.load(io.BytesIO(content), weights_only=True)
    for name, value in change.items():
        state[name] = value(state[name]) if callable(value) else value
    forge(path, state)
    model = lct()
    untouched = [p.detach().clone() for p in model.parameters()]
    with pytest.raises(ValueError, match=f"checkpoint must be one that fit wrote, got {path}"):
        train(path, model)
    assert all(map(torch.equal, untouched, model.parameters()))


def test_a_momentum_in_too_little_room_is_a_sentence(path):
    options = {"steps": 5, "optimizer": "sgd", "lr": 0.4}
    train(path, **options)
    state = torch.load(io.BytesIO(path.read_bytes().split(b"\n", 2)[2]), weights_only=True)
    state["optimizer"] = remembering(state["optimizer"], momentum_buffer=EXPANDED)
    forge(path, state)
    with pytest.raises(ValueError, match=f"checkpoint must be one that fit wrote, got {path}"):
        train(path, **options)


def test_a_missing_entry_is_a_sentence(path):
    train(path, steps=5)
    content = path.read_bytes().split(b"\n", 2)[2]
    state = torch.load(io.BytesIO(content), weights_only=True)
    for name in state:
        forge(path, {key: value for key, value in state.items() if key != name})
        with pytest.raises(ValueError, match=f"must be one that fit wrote, got {path}, which hol"):
            train(path)


def forge(path, state):
    """Write a checkpoint of any state, with the right hash."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    data = buffer.getvalue()
    path.write_bytes(checkpoint.MAGIC + sha256(data).hexdigest().encode() + b"\n" + data)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("written") / "state.pt"
    train(path, steps=5)
    return path, path.read_bytes()


@settings(max_examples=60)
@given(place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_a_flipped_byte_is_found(written, place, flip):
    path, good = written
    data = bytearray(good)
    data[int(place * len(data))] ^= flip
    path.write_bytes(data)
    with pytest.raises(ValueError, match=f"checkpoint must be .* got {path}, which is"):
        train(path)


@settings(max_examples=30)
@given(kept=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_short_is_found(written, kept):
    path, good = written
    path.write_bytes(good[: int(kept * len(good))])
    with pytest.raises(ValueError, match=f"checkpoint must be .* got {path}, which is"):
        train(path)


@pytest.mark.parametrize(
    "data, words",
    [(b"", "which is empty"), (b"n,m\n3,4\n", "which is another kind of file")],
)
def test_foreign_files_are_named(path, data, words):
    path.write_bytes(data)
    with pytest.raises(ValueError, match=f"got {path}, {words}"):
        train(path)
    assert path.read_bytes() == data


def test_a_full_disk_leaves_the_last_checkpoint_and_no_part(path, monkeypatch):
    train(path, steps=10)
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    words = "could not be written, No space left on device; the last one is as it was.*state.pt"
    with pytest.raises(OSError, match=words):
        train(path, steps=30)
    assert path.read_bytes() == before and os.listdir(path.parent) == ["state.pt"]


def test_the_second_training_on_a_path_says_so(path):
    with checkpoint.sole_use(path):
        with pytest.raises(ValueError, match=f"got {path}, where process {os.getpid()} is train"):
            train(path)
    train(path, steps=5)


HOLD = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
file.write("lct_lab training, process 4711\\n")
file.flush()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_what_a_killed_training_held_is_taken_over(path, end):
    arguments = [sys.executable, "-c", HOLD, str(path.with_name(f".{path.name}.lock"))]
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(ValueError, match="where process 4711 is training"):
            train(path)
        other.send_signal(end)
    assert os.listdir(path.parent) == [".state.pt.lock"]
    train(path, steps=5)
    assert os.listdir(path.parent) == ["state.pt"]


@pytest.mark.parametrize("kind", ["file", "numbers", "link", "dangling", "hard link", "pipe"])
def test_a_file_in_the_lock_s_place_is_left_as_it_is(path, kind):
    lock, target = path.with_name(".state.pt.lock"), path.with_name("mine.txt")
    target.write_text("4711" if kind == "numbers" else "made by the user")
    make = {
        "file": lambda: lock.write_text(target.read_text()),
        "numbers": lambda: lock.write_text(target.read_text()),
        "link": lambda: lock.symlink_to(target),
        "dangling": lambda: lock.symlink_to(path.with_name("not there")),
        "hard link": lambda: lock.hardlink_to(target),
        "pipe": lambda: os.mkfifo(lock),
    }
    make[kind]()
    before = (lock.lstat().st_ino, target.read_text())
    with pytest.raises(ValueError, match=f"whose lock .state.pt.lock is lct_lab's own, got {path}"):
        train(path, steps=5)
    assert (lock.lstat().st_ino, target.read_text()) == before
    assert sorted(os.listdir(path.parent)) == [".state.pt.lock", "mine.txt"]


def test_files_named_as_parts_are_no_business_of_a_training(path):
    own, target = path.with_name(".state.pt.part"), path.with_name("mine.txt")
    target.write_text("made by the user")
    own.symlink_to(target)
    train(path, steps=5)
    assert own.is_symlink() and target.read_text() == "made by the user"
    assert path.is_file() and not path.is_symlink()
    assert sorted(os.listdir(path.parent)) == [".state.pt.part", "mine.txt", "state.pt"]


def test_a_part_that_was_foreseen_is_not_written_through(path, monkeypatch):
    target = path.with_name("mine.txt")
    target.write_text("made by the user")
    monkeypatch.setattr(checkpoint.secrets, "token_hex", lambda size: "foreseen")
    part = part_of(path, "foreseen")
    part.symlink_to(target)
    with pytest.raises(OSError, match="could not be written, File exists"):
        train(path, steps=5)
    assert target.read_text() == "made by the user"
    assert sorted(os.listdir(path.parent)) == [part.name, "mine.txt"]


def part_of(path, token):
    """The file that a training writes first, with such a token for its random one."""
    digest = sha256(path.name.encode()).hexdigest()[:16]
    return path.with_name(f".lct_lab-{digest}-{token}.part")


def test_only_parts_of_this_very_checkpoint_are_swept(path):
    token = "0123456789abcdef"
    part_of(path, token).write_bytes(checkpoint.MAGIC[:5])
    part_of(path, token[::-1]).write_bytes(b"")
    others = {
        part_of(path.with_name("other.pt"), token): checkpoint.MAGIC,
        part_of(path, "mine"): checkpoint.MAGIC,
        part_of(path, "0" * 16): b"made by the user",
        path.with_name(f".lct_lab-{token}.part"): checkpoint.MAGIC,
    }
    for other, data in others.items():
        other.write_bytes(data)
    linked = part_of(path, "1" * 16)
    linked.symlink_to(path.with_name("other.pt"))
    train(path, steps=5)
    assert {file.name for file in path.parent.iterdir()} == {
        "state.pt",
        linked.name,
        *(other.name for other in others),
    }
    assert all(other.read_bytes() == data for other, data in others.items())


def test_a_file_put_in_the_lock_s_place_meanwhile_stays(path):
    lock = path.with_name(".state.pt.lock")
    with checkpoint.sole_use(path):
        lock.unlink()
        lock.write_text("made by the user")
    assert lock.read_text() == "made by the user"


class Own(training.Constant):
    pass


@pytest.mark.parametrize(
    "where, options, error, words",
    [
        (3, {}, TypeError, "checkpoint must be a path, got 3"),
        ("", {}, ValueError, "checkpoint must be a file in a folder that exists, got ''"),
        ("a\0b", {}, ValueError, r"must be a file in a folder that exists, got 'a\\x00b'"),
        ("a" * 250, {}, ValueError, "checkpoint must be a file in a folder that exists, got 'aaa"),
        ("a/" * 5000, {}, ValueError, "checkpoint must be a file in a folder that exists, got 'a/"),
        ("/dev/null", {}, ValueError, "checkpoint must be a file in a folder that exists, got '/d"),
        ("/", {}, ValueError, "checkpoint must be a file in a folder that exists, got '/'"),
        ("/nowhere/state.pt", {}, ValueError, "must be a file in a folder that exists, got '/now"),
        (
            "state.pt",
            {"schedule": Own(16)},
            TypeError,
            "checkpoint must go with CoarseToFine, Constant or LookBack, .* got a schedule Own",
        ),
    ],
)
def test_paths_that_cannot_be(where, options, error, words):
    with pytest.raises(error, match=words):
        train(where, **options)


def test_numpy_s_strings_are_stored_as_plain_ones(path):
    named = dict(
        zip(("optimizer", "rule", "objective"), np.array(["sgd", "raw", "uniform"]), strict=True)
    )
    train(path, steps=6, batch=5, schedule=None, **named)
    gone_on = train(path, steps=9, batch=5, schedule=None, **named)
    plain = {name: str(value) for name, value in named.items()}
    assert same(gone_on, train(steps=9, batch=5, schedule=None, **plain))


def test_what_could_not_be_read_does_not_replace_the_last(path, monkeypatch):
    train(path, schedule=None)
    before = path.read_bytes()
    real = checkpoint.version
    monkeypatch.setattr(checkpoint, "version", lambda name: np.str_(real(name)))
    with pytest.raises(TypeError, match="checkpoint must be of plain values"):
        train(path, steps=50, schedule=None)
    assert path.read_bytes() == before
