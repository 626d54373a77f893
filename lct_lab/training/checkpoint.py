"""What a training writes along the way, and how another goes on from it to the same result.

A file is a line that says what it is, the SHA-256 of the rest, and the rest: tensors and plain
values in torch's format, so that nothing in it is executed and nothing damaged is read.
"""

import contextlib
import hashlib
import io
import os
import re
import secrets
import stat
from importlib.metadata import version
from pathlib import Path
from reprlib import repr as short
from types import NoneType

import torch

from lct_lab.training.schedules import CoarseToFine, Constant, LookBack
from lct_lab.training.settings import AMPLITUDES

MAGIC = b"lct_lab checkpoint 6\n"  # its number changes when older files give other numbers
ENTRIES = {
    "settings": dict,
    "start": str,
    "model": dict,
    "frozen": dict,
    "optimizer": dict,
    "generator": dict,
    "step": int,
    "history": list,
    "trace": list,
    "best": (dict, NoneType),
    "last_good": (dict, NoneType),
}  # and of what kind each is
REMEMBERED = {  # of each parameter, by the optimizers
    "adam": {"step", "exp_avg", "exp_avg_sq"},
    "sgd": {"momentum_buffer"},
    "newton": set(),
}
LEAST = {"step": 1, "exp_avg_sq": 0}  # of what Adam remembers: counts, and means of squares
LOCK = re.compile(rb"lct_lab training, process (\d+)\n")  # what a file that is our lock says
PLAIN = (str, int, float, NoneType)
ROW = {"step": int, "size": int, "loss": float, "filled": int}  # what each row of a history has
LIBRARIES = ("torch", "numpy", "finufft")  # the last bits depend on their versions


def require_path(path, schedule):
    """Return `path` as a Path, None for None, or raise where no checkpoint can be written."""
    if path is None:
        return None
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"checkpoint must be a path, got {path!r}")
    found = _place(path)
    if found is None:
        raise ValueError(f"checkpoint must be a file in a folder that exists, got {short(path)}")
    if type(schedule) not in (CoarseToFine, Constant, LookBack):
        raise TypeError(
            "checkpoint must go with CoarseToFine, Constant or LookBack, whose numbers can be "
            "stored, "
            f"got a schedule {type(schedule).__name__}"
        )
    return found


def _place(path):
    """The Path of a file that is there or can be made, with others beside it; or None."""
    try:
        found = Path(os.fsdecode(os.path.realpath(path)))
        free = os.fspath(path) and not found.exists() and not _lock_of(found).is_dir()
        usable = found.is_file() or free and found.parent.is_dir()
    except (OSError, ValueError):  # a name too long, or with a NUL
        return None
    return found if usable else None


# Reading and writing


def save(path, training, step):
    """Write the state of `training`, whose next step is `step`, whole or not at all.

    Raises OSError with the path where it cannot be written; the file is then as it was.
    """
    state = {
        "settings": _settings(training) | {"every": training.settings.every},
        "start": training.start,
        "model": training.copy(),
        "frozen": training.frozen,
        "optimizer": training.optimizer.state_dict()["state"],  # its groups go by the settings
        "generator": training.generator.bit_generator.state,
        "step": step,
        "history": training.history,
        "trace": [torch.from_numpy(w) for w in training.trace],
        "best": training.best and training.best._asdict(),
        "last_good": training.last_good,
    }
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()
    _require_readable(content)
    _write(path, MAGIC + hashlib.sha256(content).hexdigest().encode() + b"\n" + content)


def _require_readable(content):
    """Raise TypeError where `load` would refuse what is about to replace the last checkpoint."""
    try:
        _require_entries(torch.load(io.BytesIO(content), weights_only=True))
    except Exception as error:
        raise TypeError(
            f"checkpoint must be of plain values, got others, and is left as it was: {error}"
        ) from error


def _write(path, data):
    """Replace the file by `data` in one go, or leave it as it was.

    What is written first is a new file, whose name nobody can have taken or foreseen; it is for the
    eyes of whom the file before was for.
    """
    part = path.with_name(f"{_stem_of_parts(path)}{secrets.token_hex(8)}.part")
    try:
        with open(part, "xb") as file:  # x: O_EXCL, which follows no link either
            try:
                if path.exists():
                    os.fchmod(file.fileno(), stat.S_IMODE(path.stat().st_mode))
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                os.replace(part, path)
            except BaseException:
                with contextlib.suppress(OSError):
                    part.unlink(missing_ok=True)
                raise
    except OSError as error:
        reason = f"checkpoint could not be written, {error.strerror}; the last one is as it was"
        raise OSError(error.errno, reason, str(path)) from error


def _stem_of_parts(path):
    return f".lct_lab-{_digest(os.fsencode(path.name))}-"


def _sweep(path):
    """Remove the parts of trainings that were killed while they wrote `path`.

    For who has the sole use of `path`: nobody else writes its parts. One is a file, and no link, of
    the name that `_write` gives, and holds the beginning of a checkpoint.
    """
    for part in path.parent.glob(f"{_stem_of_parts(path)}{'[0-9a-f]' * 16}.part"):
        with contextlib.suppress(OSError):  # removed meanwhile, or not to be read: it stays
            if stat.S_ISREG(part.lstat().st_mode) and _begins_as_ours(part):
                part.unlink()


def _begins_as_ours(part):
    with open(part, "rb") as file:
        start = file.read(len(MAGIC))
    return start == MAGIC[: len(start)]


def load(path, training):
    """Put the state at `path` into `training`; returns the next step, 0 where there is no file.

    Raises ValueError for a file that is damaged or no checkpoint, and for one of a training that
    differs in anything that determines its result, naming both values.
    """
    if not path.exists():
        return 0
    state = _read(path)
    _require_same(path, state, training)
    with _of_fit(path):
        _require_parameters(state, training)
        _require_remembered(state["optimizer"], training)
    _require_start(path, state, training)
    before = training.copy()
    with _of_fit(path):
        try:
            training.generator.bit_generator.state = state["generator"]
            own = training.optimizer.state_dict()
            training.optimizer.load_state_dict(own | {"state": state["optimizer"]})
            training.restore(state["model"])
            training.recall(state["start"], state["best"], state["last_good"])
            _keep_rows(training, state)
        except Exception:
            training.restore(before)
            raise
    return state["step"]


@contextlib.contextmanager
def _of_fit(path):
    """Turn whatever goes wrong with what a file holds into the sentence about the file."""
    try:
        yield
    except Exception as error:
        raise ValueError(
            f"checkpoint must be one that fit wrote, got {path}, which holds something else"
        ) from error


def _read(path):
    """The state in a file, or the sentence about what the file is instead."""
    data = path.read_bytes()
    if not data.startswith(MAGIC):
        raise ValueError(
            f"checkpoint must be a file of this version of lct_lab, got {path}, which is "
            + ("empty" if not data else "another kind of file")
        )
    digest, _, content = data[len(MAGIC) :].partition(b"\n")
    if digest != hashlib.sha256(content).hexdigest().encode():
        raise ValueError(f"checkpoint must be whole, got {path}, which is cut short or damaged")
    with _of_fit(path):
        state = torch.load(io.BytesIO(content), weights_only=True)
        _require_entries(state)
    return state


def _require_entries(state):
    """Raise unless a state has the entries that `save` writes, each of its kind."""
    if set(state) != set(ENTRIES):
        raise ValueError("other entries")
    for name, kind in ENTRIES.items():
        if not isinstance(state[name], kind):
            raise TypeError(f"{name} is of {type(state[name])}")
    if not all(isinstance(value, PLAIN) for value in state["settings"].values()):
        raise TypeError("a setting is no plain value")
    best = state["best"]
    if best is not None:
        _require_row(best, {"loss": float, "values": dict, "step": int, "mark": float})
    _require_row(state, {"step": int})
    _require_history(state)
    if state["generator"]["state"]["inc"] % 2 == 0:
        raise ValueError("numpy's generators have odd increments")


def _require_history(state):
    """Raise unless the rows are of steps that were done, in their order from the first on."""
    for row in state["history"]:
        _require_row(row, ROW)
    steps = [row["step"] for row in state["history"]]
    if not steps or steps[0] != 0 or steps[-1] >= state["step"] or steps != sorted(set(steps)):
        raise ValueError("rows of other steps")


def _require_row(row, kinds):
    """Raise unless a dict has these entries, of just these types."""
    for name, kind in kinds.items():
        if type(row[name]) is not kind:
            raise TypeError(f"{name} is of {type(row[name])}")


def _require_parameters(state, training):
    """Raise unless all that is kept of parameters is of those that the training has."""
    own = training.parameters
    best = state["best"]
    for kept in (state["model"], state["last_good"], best and best["values"]):
        if kept is not None and list(kept) != list(own):
            raise ValueError("other parameters")
    if list(state["frozen"]) != list(training.frozen):
        raise ValueError("other parameters are frozen")
    named = [state["model"], state["last_good"] or {}, best["values"] if best else {}]
    for kept in (*named, state["frozen"]):
        for name, value in kept.items():
            _require_alike(value, own[name])
    for w in state["trace"]:
        _require_alike(w, own["w1"])


def _require_alike(value, like):
    """Raise unless `value` is a finite tensor of the shape and the kind of `like`.

    Its numbers lie side by side in memory of their own, as fused optimizers take for granted.
    """
    kinds = [(v.shape, v.dtype, v.layout, v.device) for v in (value, like)]
    if kinds[0] != kinds[1] or value.requires_grad or not torch.isfinite(value).all():
        raise ValueError("a parameter of another kind")
    size = value.numel() * value.element_size()
    if not value.is_contiguous() or value.is_neg() or value.untyped_storage().nbytes() != size:
        raise ValueError("a parameter whose memory is not its own")


def _require_remembered(state, training):
    """Raise unless an optimizer's state is one that the training's own may have.

    torch would take moments of any shape, and write beyond their ends.
    """
    kinds = REMEMBERED[training.settings.optimizer]
    trained = list(training.trained.values()) if kinds else []
    if list(state) != list(range(len(trained))):
        raise ValueError("other parameters are remembered")
    for parameter, kept in zip(trained, state.values(), strict=True):
        if set(kept) != kinds:
            raise ValueError("other numbers are remembered of a parameter")
        count = parameter.new_zeros((), dtype=torch.float32)  # whatever torch's default is
        for name, value in kept.items():
            _require_alike(value, count if name == "step" else parameter)
            if name in LEAST and (value < LEAST[name]).any():
                raise ValueError(f"{name} is below {LEAST[name]}")


def _keep_rows(training, state):
    """Give the training all stored rows of the history, but the one that closed a shorter training.

    That is the row of its last step, where neither its own `every` nor this training writes one;
    without it the history reads as if there had been no break.
    """
    history, trace = state["history"], state["trace"] or [None] * len(state["history"])
    last, every = history[-1]["step"], state["settings"].get("every", 1)  # not in older files
    closing = last % every != 0 and not training.writes(last)
    for row, w in zip(history, trace, strict=True):
        if not (closing and row is history[-1]):
            training.history.append(row)
            if training.settings.paths:
                training.trace.append(w.numpy())


# What must be the same


def _settings(training):
    """All that determines the result, beside the start, in plain values."""
    model, settings = training.model, training.settings
    objective = settings.objective
    sampled = objective is not None
    if sampled and not isinstance(objective, str):
        objective = f"array {objective.shape} of SHA-256 {_digest(objective.tobytes())}"
    return {
        "n": model.n,
        "m": model.m,
        "tied": model.tied,
        "dtype": str(model.w1.dtype),
        "trained": ", ".join(training.trained),
        "optimizer": settings.optimizer,
        "rule": settings.rule,
        "lr": settings.lr,
        "pace": settings.pace,
        "schedule": _description(settings.schedule),
        "seed": settings.seed,
        "objective": objective if sampled else "expected",
        "batch": settings.batch if sampled else None,
        "patience": settings.patience,
    } | {name: version(name) for name in LIBRARIES}


def _description(schedule):
    """Its name and numbers: CoarseToFine(n=64, steps=100, start=4, share=0.7, noise=0.01)."""
    numbers = ", ".join(f"{name}={value!s}" for name, value in vars(schedule).items())
    return f"{type(schedule).__name__}({numbers})"


def _require_same(path, state, training):
    """Raise unless `training`, from some start and with another history, could have written it."""
    stored = state["settings"]
    for name, value in _settings(training).items():
        if stored.get(name) != value:
            raise ValueError(
                f"checkpoint must be of a training with {name} {value}, "
                f"got {stored.get(name)} in {path}"
            )
    if state["step"] > training.settings.steps:
        raise ValueError(
            f"steps must be at least {state['step']}, those done in {path}, "
            f"got {training.settings.steps}"
        )
    if training.settings.paths and len(state["trace"]) < len(state["history"]):
        raise ValueError(f"paths must be False as in {path}, whose rows have none, got True")


def _require_start(path, state, training):
    """Raise unless the model is the one that the training in the file began with, or has left."""
    own, first = training.start, state["start"]
    if own == first or _LEFT.get(own) == first or own in _ends(state, training):
        return
    raise ValueError(
        "checkpoint must be of a training from the model's own numbers, of SHA-256 "
        f"{own}, or its result; got {first} in {path}"
    )


_LEFT = {}  # of each model that a training has left in this process, the start of the training


def leave(training):
    """Remember whose model it is that `training` leaves, finished or broken off."""
    _LEFT[digest(training.parameters)] = training.start


def _ends(state, training):
    """The digests of the models that a training may have left at this very checkpoint."""
    for values in (state["model"], state["last_good"], state["best"] and state["best"]["values"]):
        if values:
            ended = {
                name: value * training.stretch if name in AMPLITUDES else value
                for name, value in values.items()
            }
            yield digest(ended | state["frozen"])


def digest(parameters):
    """Of all parameters, by name: the first 16 characters of their SHA-256."""
    return _digest(
        b"".join(
            name.encode() + value.detach().numpy().tobytes() for name, value in parameters.items()
        )
    )


def _digest(data):
    return hashlib.sha256(data).hexdigest()[:16]


# One training at a time


@contextlib.contextmanager
def sole_use(path):
    """Keep other trainings off `path` meanwhile, by a locked file that names this process.

    The system gives the lock up when its process ends, however it ends. None is nobody's.
    """
    if path is None:
        yield
        return
    lock = _lock_of(path)
    descriptor = _locked(lock, path)
    try:
        with contextlib.suppress(OSError):  # on a full disk the lock is nameless
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"lct_lab training, process {os.getpid()}\n".encode(), 0)
        _sweep(path)
        yield
    finally:
        if _is_file(descriptor, lock):
            lock.unlink(missing_ok=True)
        os.close(descriptor)


def _lock_of(path):
    return path.with_name(f".{path.name}.lock")


def _locked(lock, path):
    """A descriptor that holds the lock of the file `lock`, or the sentence about who does."""
    import fcntl  # where there is none, everything works but checkpoints

    while True:
        descriptor = _opened(lock, path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            said = LOCK.fullmatch(os.pread(descriptor, 100, 0))
            owner = said[1].decode() if said else "unknown"
            os.close(descriptor)
            raise ValueError(
                f"checkpoint must not be in use, got {path}, where process {owner} is training"
            ) from None
        if _is_file(descriptor, lock):
            return descriptor
        os.close(descriptor)  # its owner has removed it between the two calls: once more


def _opened(lock, path):
    """A descriptor of the file `lock`, made where there is none, or raise where it is not ours.

    Ours is a file that says so, or an empty one, of a training killed before it wrote that. Links
    are not followed, and pipes not waited for.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(lock, flags, 0o644)
    except OSError as error:
        if lock.is_symlink():
            raise _foreign(lock, path) from error
        reason = f"checkpoint could not be written, {error.strerror}"
        raise OSError(error.errno, reason, str(path)) from error
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        content = os.pread(descriptor, 100, 0)
        if not content or LOCK.fullmatch(content):
            return descriptor
    os.close(descriptor)
    raise _foreign(lock, path)


def _foreign(lock, path):
    return ValueError(
        f"checkpoint must be a file whose lock {lock.name} is lct_lab's own, got {path}, "
        "where that is another file; move it away or name another checkpoint"
    )


def _is_file(descriptor, path):
    """Whether `path` itself, and no link, is the open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False
