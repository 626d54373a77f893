"""Summaries of measurements, and tables on disk with their provenance."""

import errno
import hashlib
import io
import json
import os
import socket
import stat
import sys
import threading
import warnings
from collections.abc import Hashable, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from reprlib import repr as short

import numpy as np

from lct_lab import compiled, scaling
from lct_lab.checks import (
    require_choice,
    require_columns,
    require_memory,
    require_names,
    require_number,
    require_size,
    require_table,
)
from lct_lab.init import GROUPS

PACKAGES = ("lct_lab", "torch", "numpy", "scipy", "pandas", "pyarrow", "finufft", "numba")
# what rows must share to belong in one table
MADE_BY = ("code", "versions", "dtype", "seed", "signal", "batch", "amplitudes", "engine")


def root():
    """The project's top folder: the nearest one at or above the working directory or this file.

    Where there is none, the working directory; raises FileNotFoundError where that is gone.
    """
    working = _working_folder()
    around = [] if working is None else [working, *working.parents]
    above_this_file = Path(__file__).resolve().parent.parent
    for folder in (*around, above_this_file):
        if (folder / "lct_lab").is_dir() and (folder / "notebooks").is_dir():
            return folder
    if working is None:
        raise FileNotFoundError("the working directory must be there, got one that was removed")
    return working


def _working_folder():
    """The working directory, or None where it was removed."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return None


def output(kind, name):
    """The path of a run's output, its folder made: `kind` is "data" or "figures".

    LCT_LAB_OUT names the folder of a run and LCT_LAB_PREFIX what goes after the notebook's number
    in file names ("full-"). Without them, as in an interactive session, everything goes to
    build/interactive/. Raises ValueError for another kind, or a name that is not a plain one.
    """
    require_choice("kind", kind, ("data", "figures"))
    require_name(name)
    folder = Path(os.environ.get("LCT_LAB_OUT") or root() / "build" / "interactive") / kind
    folder.mkdir(parents=True, exist_ok=True)
    number, _, rest = name.partition("-")
    prefix = os.environ.get("LCT_LAB_PREFIX", "")
    return folder / (f"{number}-{prefix}{rest}" if rest else name)


def require_name(name):
    """Return `name`, or raise unless it can name a file in a given folder, and in no other."""
    plain = isinstance(name, str) and name and not name.startswith(".") and name.isprintable()
    if not plain or any(mark in name for mark in "/\\"):
        raise ValueError(f"name must be a plain file name such as 03-scales, got {name!r}")
    return name


def tell(path):
    """Print where something was written, in an interactive session; a run knows its own folder."""
    if not os.environ.get("LCT_LAB_OUT"):
        print(f"written to {path if _working_folder() is None else os.path.relpath(path)}")


def require_path(name, value):
    """Return `value` as a Path, or raise unless it can be that of a file."""
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"{name} must be that of a file, got {short(value)}")
    path = Path(os.fsdecode(value))
    if not path.name or "\0" in str(path):
        raise ValueError(f"{name} must be that of a file, got {str(value)!r}")
    return path


@contextmanager
def whole(path, *, into_new_folder=True):
    """A temporary path beside `path`, which takes its name when the block ends: all or nothing.

        with whole(path) as part:
            part.write_text("...")

    The folder is made, or with `into_new_folder` False must be there. Whatever ends the block early
    leaves `path` as it was and no temporary file. Its name is one that no other thread, process or
    host uses. A file that was there hands its permissions on, and a link stays one: its target is
    written. Raises OSError naming `path` where it cannot be written, before the block where a
    folder, a link to one, a pipe or a device has its name.
    """
    path = require_path("path", path)
    path = path.resolve() if path.is_symlink() and path.is_file() else path
    writer = f"{socket.gethostname()}.{os.getpid()}-{threading.get_ident()}"
    part = path.with_name(f".{path.name}.{writer}.part")
    try:
        if into_new_folder:
            path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if path.exists() and not path.is_file():
            raise OSError(errno.EINVAL, "it is no regular file")
        yield part
        if path.is_file():
            part.chmod(stat.S_IMODE(path.stat().st_mode))
        part.replace(path)
    except OSError as error:
        raise OSError(f"cannot write {path}: {error}") from error
    finally:
        _remove(part)


def _remove(part):
    try:
        part.unlink(missing_ok=True)
    except OSError:  # no folder, or one that cannot be written: nothing was left there
        pass


def provenance():
    """Versions of what determines a number or the bytes it is saved as: python and PACKAGES.

    numba is "unused" where it is installed and could not be used.
    """
    return _installed() | ({"numba": "unused"} if compiled.failed() else {})


@cache
def _installed():
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "missing"
    return found


def write(table, name):
    """Save a summary as data/NAME.csv, nine significant digits, whole or not at all.

    The index goes in where it says something: where it has a name, or is not of numbers. Returns
    `table` to display it; in an interactive session it also prints where it was written.
    Raises ValueError for a name that is not a plain one, TypeError for what is no DataFrame,
    OSError naming the path.
    """
    path = output("data", f"{require_name(name)}.csv")
    _require_frame(table)
    with whole(path) as part:
        table.to_csv(part, index=_says(table.index), float_format="%.9g", lineterminator="\n")
    tell(path)
    return table


def _says(index):
    """Whether an index says something that the columns do not."""
    return any(name is not None for name in index.names) or index.dtype.kind not in "iuf"


def write_raw(table, path):
    """Save raw rows as parquet: exact, with `table.attrs` and the versions, whole or not at all.

    An index that says something becomes columns, names that are categories plain ones, and text
    pandas' str. The versions are those that `table.attrs` has already, as of rows that were read,
    else the present ones. The rows' hash goes in as well. Returns the table as it was saved. Raises
    ValueError for a name that comes twice or rows without a column, TypeError for what parquet does
    not hold or would give back changed, OSError naming the path.
    """
    _require_frame(table)
    if len(table) and table.columns.empty and not _says(table.index):
        raise ValueError(f"table must have a column where it has rows, got {len(table)} without")
    try:
        saved = table.reset_index() if _says(table.index) else table.copy(deep=False)
        if saved.columns.dtype == "category":  # which parquet does not have of columns' names
            saved.columns = list(saved.columns)
        saved = _with_text_as_str(saved)
        saved.attrs = {"versions": provenance(), **table.attrs}
        _require_plain(saved.attrs)
        saved.attrs |= {"content": _content(saved)}
        data = _encoded(saved)
        _require_the_same_back(saved, data)
    except (TypeError, ValueError, OverflowError, NotImplementedError) as error:
        wanted = "table must have columns of one type each, and attrs of plain values"
        raise TypeError(f"{wanted}, to be saved as parquet: {error}") from None
    with whole(path) as unfinished:
        unfinished.write_bytes(data)
    return saved


def _with_text_as_str(table):
    """Text columns, and the names of columns, as pandas' str.

    With future.infer_string off they would be objects, and the hash, which includes dtypes,
    another.
    """
    changed = table.copy(deep=False)
    for name, column in table.items():
        changed[name] = _as_str(column)
    changed.columns = _as_str(changed.columns)
    return changed


def _as_str(values):
    """A column or an index, of pandas' str if it is text: objects without rows count as such."""
    import pandas as pd

    if isinstance(values.dtype, pd.CategoricalDtype):
        return values.cat.rename_categories(_as_str(values.cat.categories))
    empty = values.dtype == object and not len(values)
    text = empty or pd.api.types.infer_dtype(values) == "string"
    return values.astype(pd.StringDtype(na_value=np.nan)) if text else values


def _infers_objects():
    import pandas as pd

    return pd.Series([""]).dtype == object


def _require_frame(table):
    import pandas as pd

    if not isinstance(table, pd.DataFrame):
        raise TypeError(f"table must be a DataFrame, got {type(table).__name__}")
    index = [*table.index.names] if _says(table.index) else []
    names = [name for name in index if name is not None] + list(table.columns)
    if again := [name for place, name in enumerate(names) if name in names[:place]]:
        raise ValueError(
            f"table must have each column once, and none named as its index, got {again[0]} twice"
        )


def _require_plain(attrs):
    """Raise for attrs that JSON has not, or gives back as something else: a tuple, a NaN."""
    back = json.loads(json.dumps(attrs))
    if changed := [str(key) for key in attrs if key not in back or back[key] != attrs[key]]:
        raise TypeError(f"attrs {', '.join(changed)} would not be read as written")


def _require_the_same_back(table, data):
    """Raise where a column comes back as something else, as one of lists does."""
    import pandas as pd

    strange = [
        str(name)
        for name, kind in table.dtypes.items()
        if not isinstance(name, str) or not (kind.kind in "biuf" or kind == "str")
    ]
    if not strange:
        return
    with text_as_str():
        back = pd.read_parquet(io.BytesIO(data))
    same = _content(back) == table.attrs["content"] and _types(back) == _types(table)
    if not same or _encoded(back) != data:
        raise TypeError(f"{', '.join(strange)} would not be read as written")


def _types(table):
    """Of every entry of the columns of objects: a list of one may print as an array of one does."""
    objects = [column for _, column in table.items() if column.dtype == object]
    return [list(map(type, column)) for column in objects]


def _encoded(table):
    target = io.BytesIO()
    table.to_parquet(target)
    return target.getvalue()


def _content(table):
    bare = without_attrs(table)
    columns = [(name, str(column.dtype), column.to_numpy()) for name, column in bare.items()]
    return content(columns, table.attrs)


def content(columns, attrs):
    """A hash of rows, columns and attrs: parquet's own checks do not cover every byte.

    columns : the name, the dtype by pandas's name, and the values of each.
    """
    described = {key: value for key, value in attrs.items() if key != "content"}
    names = [name for name, _, _ in columns]
    kinds = [kind for _, kind, _ in columns]
    shape = json.dumps([names, kinds, described], sort_keys=True, default=str)
    found = hashlib.sha256(shape.encode())
    for _, _, values in columns:
        found.update(_bytes_of(values))
    return found.hexdigest()[:16]


def _bytes_of(values):
    """What a column holds; every NaN counts as the same, also one with a sign."""
    if values.dtype.kind not in "biuf":
        return "\0".join(map(str, values)).encode()
    if values.dtype.kind == "f" and np.isnan(values).any():
        return np.where(np.isnan(values), np.nan, values).astype(values.dtype).tobytes()
    return values.tobytes()


def without_attrs(table):
    """The same table without attrs, which pandas would copy deeply with every column."""
    bare = table.copy(deep=False)
    bare.attrs = {}
    return bare


def read(*paths):
    """Raw rows of one or more files, checked against their hash; attrs are what all files share.

    Raises ValueError for a file that is truncated or changed, by a single byte, and where files
    were made by different code, versions or settings, naming both: rows that disagree on what made
    them do not belong in one table.
    """
    if not paths:
        raise ValueError("paths must name at least one file, got none")
    return joined([_read(path) for path in paths], paths)


@contextmanager
def text_as_str():
    """Text columns as pandas' str, whatever future.infer_string is.

    With it off they would be objects, and the hash, which includes dtypes, another.
    """
    import pandas as pd

    if not _infers_objects():
        yield
        return
    with warnings.catch_warnings():  # that the option will go, with which this will
        warnings.simplefilter("ignore")
        with pd.option_context("future.infer_string", True):
            yield


def _read(path):
    import pandas as pd

    data = require_path("paths", path).read_bytes()
    try:
        with text_as_str():
            table = pd.read_parquet(io.BytesIO(data))
        good = table.attrs.get("content") == _content(table)
    except Exception as error:  # whatever a damaged file makes of a parser
        raise ValueError(f"{path} is damaged: {error}") from None
    # the hash is of rows and attrs; the rest of the file is what the same versions write again
    if not good or (table.attrs.get("versions") == provenance() and _encoded(table) != data):
        raise ValueError(f"{path} is damaged: it is not what was written")
    return table


def joined(parts, names):
    """Raw tables as one, its attrs what all share.

    Raises ValueError naming the two that disagree on what made them.
    """
    import pandas as pd

    first = parts[0].attrs
    for part, name in zip(parts, names, strict=True):
        for key in MADE_BY:
            if part.attrs.get(key) != first.get(key):
                found = f"{part.attrs.get(key)} and {first.get(key)}"
                raise ValueError(f"{name} and {names[0]} disagree on {key}: {found}")
    # concat would compare the attrs two by two
    table = pd.concat([without_attrs(part) for part in parts], ignore_index=True)
    table.attrs = shared_attrs(parts)
    return table


def shared_attrs(parts):
    """The attrs that all parts have alike."""
    return {
        key: value
        for key, value in parts[0].attrs.items()
        if all(part.attrs.get(key) == value for part in parts[1:])
    }


def scale(raw, by="group"):
    """Rms over starts of each group's gradient, and its standard error.

        measured = √S,   S = mean of s,   s = rms²        error = sd(s) / √inits / 2 / √S

    raw : rows of `probe`, with columns rms and `by`, a name or a list of names in whose order the
    result is indexed, as first seen. The error is NaN where there is one start alone. Returns a
    DataFrame with the columns measured and error. Raises ValueError or TypeError naming a column.
    """
    import pandas as pd

    by = require_names("by", by)
    require_table("raw", raw, by, ["rms"])
    rms = raw["rms"].astype(float)
    unit = scaling.unit(rms.to_numpy())[0]
    keys = [raw[column] for column in by]
    squares = ((rms / unit) ** 2).groupby(keys, sort=False, observed=True)
    error_of_mean = squares.std() / squares.count() ** 0.5
    measured, error = root_of_mean(squares.mean(), error_of_mean)
    return pd.DataFrame({"measured": measured * unit, "error": error * unit})


def root_of_mean(mean, error):
    """√mean of a mean that has a standard error, and that of the root, error / (2 √mean)."""
    measured = mean**0.5
    return measured, error / 2 / measured


def summarise(table, by=("group",), columns=("mean_abs", "median_abs", "rms")):
    """Median and mean over inits of each column, and the rms over inits of rms (`scale`).

    One row per `by`, in the order seen. Raises ValueError or TypeError naming a column, also where
    an init comes twice.
    """
    import pandas as pd

    by, columns = require_names("by", by), require_names("columns", columns)
    if taken := [name for name in by if by.count(name) > 1 or name in _summaries(columns)]:
        raise ValueError(
            f"by must be columns, each once and none called as a summary, got {taken[0]!r}"
        )
    require_table("table", table, [*by, "init"], [*columns, "rms"], once=True)
    grouped = table.groupby(by, sort=False, observed=True)
    summary = {}
    for column in columns:
        summary[f"{column}_median"] = grouped[column].median()
        summary[f"{column}_mean"] = grouped[column].mean()
    summary["scale"] = scale(table, by)["measured"]
    summary["inits"] = grouped["init"].nunique()
    return pd.DataFrame(summary).reset_index()


def _summaries(columns):
    return {f"{column}_{kind}" for column in columns for kind in ("median", "mean")} | {
        "scale",
        "inits",
    }


def ratios(table, to="a2", column="median_abs"):
    """|gradient| of each group over that of group `to` in the same init.

    One row per init, one column per group. Raises ValueError or TypeError naming a column or `to`,
    also where an init comes twice, or `to` is zero or missing in one.
    """
    (column,) = require_names("column", [column])
    require_table("table", table, ["init", "group"], [column], once=True)
    wide = table.pivot(index="init", columns="group", values=column)
    if not isinstance(to, Hashable) or to not in wide:
        groups = ", ".join(map(str, wide))
        raise ValueError(f"to must be one of the groups {groups}, got {short(to)}")
    if not (known := wide[to].abs() > 0).all():
        raise ValueError(
            f"to must be a group whose {column} is not zero, got {to} in init {known.idxmin()}"
        )
    return wide.div(wide[to], axis=0)


def bootstrap(values, statistic=np.median, draws=2000, level=0.95, seed=0):
    """Percentile bootstrap interval of `statistic` over the entries of `values`: (low, high).

    statistic : as numpy's, (values, axis) -> numbers. Raises ValueError or TypeError naming an
    argument.
    """
    if not callable(statistic):
        raise TypeError(f"statistic must be a function such as np.median, got {statistic!r}")
    draws, level, seed = _require_resampling(draws, level, seed)
    values = _require_list("values", values)
    require_memory(2 * draws * len(values), draws=draws)
    rng = np.random.default_rng(seed)
    drawn = values[rng.integers(len(values), size=(draws, len(values)))]
    wanted = "statistic must be as numpy's, (values, axis) -> one number for each of the others"
    try:
        resampled = np.asarray(statistic(drawn, axis=-1))
    except TypeError as error:
        raise TypeError(f"{wanted}, got {short(statistic)}: {error}") from error
    if resampled.shape != (draws,) or resampled.dtype.kind not in "biuf":
        got = f"{resampled.dtype} of shape {resampled.shape}"
        raise TypeError(f"{wanted}, got {short(statistic)}, which returns {got}")
    return tuple(np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2]))


def _require_resampling(draws, level, seed):
    """Return what a bootstrap is asked for, or raise."""
    number = require_number("level", level)
    if not 0 < number < 1:
        raise ValueError(f"level must be between 0 and 1, got {level!r}")
    return require_size("draws", draws), number, require_size("seed", seed, 0)


def _require_list(name, values):
    """Return `values` as a float array (entries,), finite and not empty, or raise."""
    try:
        array = np.asarray(values)
    except (TypeError, ValueError, RuntimeError):  # ragged, or a tensor with a graph
        array = np.asarray(None)
    if np.ma.is_masked(values):
        raise TypeError(f"{name} must be a list without a mask, got masked entries")
    if array.dtype.kind not in "iuf" or array.ndim != 1 or not array.size:
        got = f"{array.dtype} of shape {array.shape}" if array.ndim else type(values).__name__
        raise TypeError(f"{name} must be a list of at least one real number, got {got}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got a NaN or an infinity")
    return array.astype(float)


def fit_exponents(
    table,
    value="measured",
    predicted="predicted",
    asymptotic=None,
    *,
    sizes=("n", "m"),
    draws=1000,
    level=0.95,
    seed=0,
):
    """The powers of N and M, group by group, and whether a prediction has them.

        log(value) = c + A log N + B log M

    Ordinary least squares over the rows of each group, with a percentile bootstrap over rows. The
    same regression on `predicted` over the same rows is what the interval is held against: over a
    finite grid even an exact law does not have its asymptotic power.

    Parameters
    ----------
    table : columns group, n, m (or those that `sizes` names), `value` and, if there is one,
    `predicted`; at least four different sizes per group, and two more than there are powers, since
    of fewer every resampling has the same fit. Not all may share n, m or n/m.
    predicted : a column; None, or left as it is for a table without it, where nothing is predicted.
    asymptotic : {group: (power of N, power of M)}, or None.
    draws, level, seed : of the bootstrap.

    Returns one row per group and size (n, m): group, size, exponent, low, high, predicted,
    asymptotic (NaN where not given), verdict: "agrees" where `predicted` lies in the interval
    widened by 0.01, "differs" where not, "no law" where nothing is predicted. Raises ValueError or
    TypeError naming an argument, a column or a group.
    """
    import pandas as pd

    sizes = require_names("sizes", sizes)
    require_columns("table", table, ["group"])
    resampling = _require_resampling(draws, level, seed)
    if isinstance(predicted, str) and predicted == "predicted" and predicted not in table:
        predicted = None
    columns = require_names(
        "value and predicted", [value] if predicted is None else [value, predicted]
    )
    table = _require_positive(table, columns, sizes)
    asymptotic = _require_asymptotic(asymptotic, table["group"], sizes)
    rng, rows = np.random.default_rng(seed), []
    for group, part in table.groupby("group", sort=False, observed=True):
        rows += _powers_of(group, part, columns, sizes, asymptotic, resampling, rng)
    return pd.DataFrame(rows)


def _require_positive(table, columns, sizes):
    """The table in double precision, or raise where a regression of logarithms lacks something."""
    numbers = [*sizes, *columns]
    require_table("table", table, ["group"], numbers)
    if not (table[numbers] > 0).all(axis=None):
        raise ValueError(f"{', '.join(numbers)} must be positive and finite to have a logarithm")
    return table.astype(dict.fromkeys(numbers, float))


def _require_asymptotic(asymptotic, groups, sizes):
    """Return {group: powers}, one for each of `sizes`, empty for None, or raise.

    A group that a model may have and the table has not is welcome: tied models have no w2.
    """
    wanted = f"asymptotic must be {{group: one power for each of {', '.join(sizes)}}}"
    if asymptotic is None:
        return {}
    if not isinstance(asymptotic, Mapping):
        raise TypeError(f"{wanted}, got {short(asymptotic)}")
    known = {*groups, *GROUPS}
    if strange := [group for group in asymptotic if group not in known]:
        raise ValueError(f"{wanted} of the table's groups, got {strange[0]!r}")
    for group, powers in asymptotic.items():
        if len(_require_list(f"asymptotic of {group}", powers)) != len(sizes):
            raise ValueError(f"{wanted}, got {short(powers)} for {group}")
    return asymptotic


def _powers_of(group, part, columns, sizes, asymptotic, resampling, rng):
    """The rows of one group, one for each size."""
    _require_powers(group, part, sizes)
    fitted = _slopes(part, columns[0], sizes)
    unknown = [np.nan] * len(sizes)
    wanted = _slopes(part, columns[1], sizes) if columns[1:] else unknown
    low, high = _bootstrap_slopes(part, columns[0], sizes, resampling, rng)
    limits = asymptotic.get(group, unknown)
    return [
        {
            "group": group,
            "size": size,
            "exponent": fitted[place],
            "low": low[place],
            "high": high[place],
            "predicted": wanted[place],
            "asymptotic": limits[place],
            "verdict": _agreement(wanted[place], low[place], high[place]),
        }
        for place, size in enumerate(sizes)
    ]


def _require_powers(group, part, sizes):
    least = max(4, len(sizes) + 2)
    found = len(part[sizes].drop_duplicates())
    if found < least or not _spans(part, sizes):
        raise ValueError(
            f"group {group} must be measured at {least} different sizes ({', '.join(sizes)}) or "
            f"more, not all of one {', '.join(sizes)} or ratio of these, got {found}"
        )


def _spans(part, sizes):
    """Whether the rows tell the power of every size from those of the others."""
    return np.linalg.matrix_rank(_design(part, sizes)) > len(sizes)


def _bootstrap_slopes(part, value, sizes, resampling, rng):
    """Low and high of every slope over resampled rows; samples that do not span are drawn again."""
    draws, level, _ = resampling
    resampled = []
    while len(resampled) < draws:
        again = part.iloc[rng.integers(len(part), size=len(part))]
        if _spans(again, sizes):
            resampled.append(_slopes(again, value, sizes))
    return np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2], axis=0)


def _agreement(wanted, low, high):
    if np.isnan(wanted):
        return "no law"
    return "agrees" if low - 0.01 <= wanted <= high + 0.01 else "differs"


def _design(part, sizes):
    return np.column_stack([*(np.log(part[size]) for size in sizes), np.ones(len(part))])


def _slopes(part, column, sizes):
    """The powers of `sizes` in `column`, by ordinary least squares of logarithms."""
    from statsmodels.regression.linear_model import OLS

    logarithms = np.log(part[column].to_numpy())
    return OLS(logarithms, _design(part, sizes)).fit().params[: len(sizes)]
