"""Summaries of measurements, and tables on disk with their provenance."""

import hashlib
import io
import json
import os
import socket
import sys
import threading
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np

from lct_lab import scaling
from lct_lab.checks import require_choice

PACKAGES = ("lct_lab", "torch", "numpy", "pandas", "pyarrow", "finufft")
# what rows must share to belong in one table
MADE_BY = ("code", "versions", "dtype", "seed", "signal", "batch", "amplitudes", "engine")


def root():
    """The project's top folder: the nearest one at or above the working directory or this file."""
    above_this_file = Path(__file__).resolve().parent.parent
    for folder in (Path.cwd(), *Path.cwd().parents, above_this_file):
        if (folder / "lct_lab").is_dir() and (folder / "notebooks").is_dir():
            return folder
    return Path.cwd()


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
    plain = isinstance(name, str) and name and not name.startswith(".")
    if not plain or any(mark in name for mark in "/\\\0"):
        raise ValueError(f"name must be a plain file name such as 03-scales, got {name!r}")
    return name


def tell(path):
    """Print where something was written, in an interactive session; a run knows its own folder."""
    if not os.environ.get("LCT_LAB_OUT"):
        print(f"written to {os.path.relpath(path)}")


@contextmanager
def whole(path):
    """A temporary path beside `path`, which takes its name when the block ends: all or nothing.

        with whole(path) as part:
            part.write_text("...")

    The folder is made. Whatever ends the block early leaves `path` as it was and no temporary file.
    Its name is one that no other thread, process or host uses. Raises OSError naming `path` where
    it cannot be written.
    """
    path = Path(path)
    writer = f"{socket.gethostname()}.{os.getpid()}-{threading.get_ident()}"
    part = path.with_name(f".{path.name}.{writer}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
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


@cache
def provenance():
    """Versions of what determines a number or the bytes it is saved as: python and PACKAGES."""
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
    Raises ValueError for a name that is not a plain one, OSError naming the path.
    """
    path = output("data", f"{require_name(name)}.csv")
    index = table.index
    says = any(name is not None for name in index.names) or index.dtype.kind not in "iuf"
    with whole(path) as part:
        table.to_csv(part, index=says, float_format="%.9g", lineterminator="\n")
    tell(path)
    return table


def write_raw(table, path):
    """Save raw rows as parquet: exact, with `table.attrs` and the versions, whole or not at all.

    The rows' hash goes in as well. Returns the table as it was saved.
    """
    saved = table.copy(deep=False)
    saved.attrs = {**table.attrs, "versions": provenance()}
    saved.attrs |= {"content": _content(saved)}
    with whole(path) as unfinished:
        unfinished.write_bytes(_encoded(saved))
    return saved


def _encoded(table):
    target = io.BytesIO()
    table.to_parquet(target)
    return target.getvalue()


def _content(table):
    """A hash of rows, columns and attrs: parquet's own checks do not cover every byte."""
    attrs = {key: value for key, value in table.attrs.items() if key != "content"}
    described = [list(table.columns), [str(kind) for kind in table.dtypes], attrs]
    shape = json.dumps(described, sort_keys=True, default=str)
    content = hashlib.sha256(shape.encode())
    for _, column in _without_attrs(table).items():
        values = column.to_numpy()
        exact = values.dtype.kind in "biuf"
        content.update(values.tobytes() if exact else "\0".join(map(str, values)).encode())
    return content.hexdigest()[:16]


def _without_attrs(table):
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


def _read(path):
    import pandas as pd

    data = Path(path).read_bytes()
    try:
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
    table = pd.concat([_without_attrs(part) for part in parts], ignore_index=True)
    table.attrs = {
        key: value
        for key, value in first.items()
        if all(part.attrs.get(key) == value for part in parts)
    }
    return table


def scale(raw, by="group"):
    """Rms over starts of each group's gradient, and its standard error.

        measured = √S,   S = mean of s,   s = rms²        error = sd(s) / √inits / 2 / √S

    raw : rows of `probe`, with columns rms and `by`, a name or a list of names in whose order the
    result is indexed, as first seen. The error is NaN where there is one start alone. Returns a
    DataFrame with the columns measured and error. Raises ValueError naming a missing column.
    """
    import pandas as pd

    keys = [by] if isinstance(by, str) else list(by)
    require_columns("raw", raw, (*keys, "rms"))
    unit = scaling.unit(raw["rms"].to_numpy(dtype=float))[0]
    squared = raw.assign(square=(raw["rms"] / unit) ** 2)
    squares = squared.groupby(by, sort=False, observed=True)["square"]
    error_of_mean = squares.std() / squares.count() ** 0.5
    measured, error = root_of_mean(squares.mean(), error_of_mean)
    return pd.DataFrame({"measured": measured * unit, "error": error * unit})


def root_of_mean(mean, error):
    """√mean of a mean that has a standard error, and that of the root, error / (2 √mean)."""
    measured = mean**0.5
    return measured, error / 2 / measured


def require_columns(name, table, columns):
    """Raise ValueError naming the columns that `table` lacks."""
    if missing := [column for column in columns if column not in table]:
        expected = ", ".join(columns)
        raise ValueError(f"{name} must have the columns {expected}, got none called {missing}")


def summarise(table, by=("group",), columns=("mean_abs", "median_abs", "rms")):
    """Median and mean over inits of each column, and the rms over inits of rms (`scale`).

    One row per `by`, in the order seen.
    """
    import pandas as pd

    grouped = table.groupby(list(by), sort=False, observed=True)
    summary = {}
    for column in columns:
        summary[f"{column}_median"] = grouped[column].median()
        summary[f"{column}_mean"] = grouped[column].mean()
    summary["scale"] = scale(table, list(by))["measured"]
    summary["inits"] = grouped["init"].nunique()
    return pd.DataFrame(summary).reset_index()


def ratios(table, to="a2", column="median_abs"):
    """|gradient| of each group over that of group `to` in the same init.

    One row per init, one column per group.
    """
    wide = table.pivot(index="init", columns="group", values=column)
    if to not in wide:
        raise ValueError(f"to must be one of the groups {', '.join(wide)}, got {to!r}")
    return wide.div(wide[to], axis=0)


def bootstrap(values, statistic=np.median, draws=2000, level=0.95, seed=0):
    """Percentile bootstrap interval of `statistic` over the entries of `values`: (low, high)."""
    values = np.asarray(values, dtype=float)
    rng = np.random.default_rng(seed)
    resampled = statistic(values[rng.integers(len(values), size=(draws, len(values)))], axis=-1)
    return tuple(np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2]))


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
    `predicted`; at least four sizes per group, of which not all share n, m or n/m.
    predicted : a column; None, or left as it is for a table without it, where nothing is predicted.
    asymptotic : {group: (power of N, power of M)}, or None.

    Returns one row per group and size (n, m): group, size, exponent, low, high, predicted,
    asymptotic (NaN where not given), verdict: "agrees" where `predicted` lies in the interval
    widened by 0.01, "differs" where not, "no law" where nothing is predicted. Raises ValueError
    naming a column or a group.
    """
    import pandas as pd

    if predicted == "predicted" and predicted not in table:
        predicted = None
    columns = [value] if predicted is None else [value, predicted]
    _require_positive(table, columns, sizes)
    rng, rows = np.random.default_rng(seed), []
    for group, part in table.groupby("group", sort=False):
        _require_powers(group, part, sizes)
        fitted = _slopes(part, value, sizes)
        wanted = [np.nan] * len(sizes) if predicted is None else _slopes(part, predicted, sizes)
        low, high = _bootstrap_slopes(part, value, sizes, draws, level, rng)
        limits = (asymptotic or {}).get(group, [np.nan] * len(sizes))
        for place, size in enumerate(sizes):
            rows.append(
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
            )
    return pd.DataFrame(rows)


def _require_positive(table, columns, sizes):
    """Raise unless the table has all that a regression of logarithms needs, all of it positive."""
    require_columns("table", table, ("group", *sizes, *columns))
    numbers = table[[*sizes, *columns]]
    if not ((numbers > 0) & np.isfinite(numbers)).all(axis=None):
        names = ", ".join(numbers)
        raise ValueError(f"{names} must be positive and finite to have a logarithm")


def _require_powers(group, part, sizes):
    if len(part) < 4 or not _spans(part, sizes):
        raise ValueError(
            f"group {group} must be measured at four sizes or more, not all of one n, m or n/m"
        )


def _spans(part, sizes):
    """Whether the rows tell the power of every size from those of the others."""
    return np.linalg.matrix_rank(_design(part, sizes)) > len(sizes)


def _bootstrap_slopes(part, value, sizes, draws, level, rng):
    """Low and high of every slope over resampled rows; samples that do not span are drawn again."""
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
