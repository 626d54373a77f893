"""Summaries of measurements, and tables on disk with their provenance."""

import hashlib
import io
import json
import os
import sys
from functools import cache
from pathlib import Path

import numpy as np

from lct_lab.checks import require_choice

PACKAGES = ("lct_lab", "torch", "numpy", "pandas", "pyarrow", "finufft")


def root():
    """The project's top folder: the nearest one at or above the working directory, else above this file."""
    for folder in (Path.cwd(), *Path.cwd().parents, Path(__file__).resolve().parent.parent):
        if (folder / "lct_lab").is_dir() and (folder / "notebooks").is_dir():
            return folder
    return Path.cwd()


def output(kind, name):
    """The path of a run's output, its folder made: `kind` is "data" or "figures".

    LCT_LAB_OUT names the folder of a run and LCT_LAB_PREFIX what goes after the notebook's number in file names
    ("full-"). Without them, as in an interactive session, everything goes to build/interactive/.
    """
    require_choice("kind", kind, ("data", "figures"))
    folder = Path(os.environ.get("LCT_LAB_OUT") or root() / "build" / "interactive") / kind
    folder.mkdir(parents=True, exist_ok=True)
    number, _, rest = name.partition("-")
    return (
        folder / f"{number}-{os.environ.get('LCT_LAB_PREFIX', '')}{rest}" if rest else folder / name
    )


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
    """Save a summary as data/NAME.csv, nine significant digits, whole or not at all; returns `table` to display it."""
    path = output("data", f"{name}.csv")
    part = path.with_suffix(".csv.part")
    table.to_csv(part, index=table.index.name is not None, float_format="%.9g", lineterminator="\n")
    part.replace(path)
    return table


def write_raw(table, path, part=None):
    """Save raw rows as parquet: exact, with `table.attrs` and the versions inside; whole or not at all.

    `part` is the temporary name. The rows' hash goes in as well. Returns the table as it was saved.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    saved, part = table.copy(deep=False), Path(part or path.with_name(path.name + ".part"))
    saved.attrs = {**table.attrs, "versions": provenance()}
    saved.attrs |= {"content": _content(saved)}
    part.write_bytes(_encoded(saved))
    part.replace(path)
    return saved


def _encoded(table):
    target = io.BytesIO()
    table.to_parquet(target)
    return target.getvalue()


def _content(table):
    """A hash of rows, columns and attrs: parquet's own checks do not cover every byte."""
    attrs = {key: value for key, value in table.attrs.items() if key != "content"}
    shape = json.dumps(
        [list(table.columns), [str(kind) for kind in table.dtypes], attrs],
        sort_keys=True,
        default=str,
    )
    content = hashlib.sha256(shape.encode())
    bare = table.copy(deep=False)
    bare.attrs = {}  # pandas copies them deeply with every column
    for column in bare:
        values = bare[column].to_numpy()
        content.update(
            values.tobytes()
            if values.dtype.kind in "biuf"
            else "\0".join(map(str, values)).encode()
        )
    return content.hexdigest()[:16]


def read(*paths):
    """Raw rows of one or more files, checked against their hash: a DataFrame, its attrs what all files share.

    Raises ValueError for a file that is truncated or changed, by a single byte, and where files were made by different
    code, versions or settings, naming both: rows that disagree on what made them do not belong in one table.
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
    # the hash is of rows and attrs; the rest of the file is what the same versions would write again
    if not good or (table.attrs.get("versions") == provenance() and _encoded(table) != data):
        raise ValueError(f"{path} is damaged: it is not what was written")
    return table


def joined(parts, names):
    """Raw tables as one, its attrs what all share; ValueError naming the two that disagree on what made them."""
    import pandas as pd

    first = parts[0].attrs
    for part, name in zip(parts, names, strict=True):
        for key in ("code", "versions", "dtype", "seed", "signal", "batch", "amplitudes", "engine"):
            if part.attrs.get(key) != first.get(key):
                found = f"{part.attrs.get(key)} and {first.get(key)}"
                raise ValueError(f"{name} and {names[0]} disagree on {key}: {found}")
    bare = [pd.DataFrame(part) for part in parts]
    for part in bare:
        part.attrs = {}  # compared by concat, two by two
    table = pd.concat(bare, ignore_index=True)
    table.attrs = {
        key: value
        for key, value in first.items()
        if all(part.attrs.get(key) == value for part in parts)
    }
    return table


def summarise(table, by=("group",), columns=("mean_abs", "median_abs", "rms")):
    """Median and mean over inits of each column, and the rms over inits of rms: one row per `by`, in order seen."""
    grouped = table.groupby(list(by), sort=False, observed=True)
    summary = {}
    for column in columns:
        summary[f"{column}_median"] = grouped[column].median()
        summary[f"{column}_mean"] = grouped[column].mean()
    summary["scale"] = grouped["rms"].agg(lambda values: np.sqrt(np.mean(np.square(values))))
    summary["inits"] = grouped["init"].nunique()
    import pandas as pd

    return pd.DataFrame(summary).reset_index()


def ratios(table, to="a2", column="median_abs"):
    """|gradient| of each group over that of group `to` in the same init: one row per init, one column per group."""
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
    """The powers of N and M in log(value) = c + A log N + B log M, group by group, and whether a prediction has them.

    Ordinary least squares over the rows of each group, with a percentile bootstrap over rows. The same regression on
    `predicted` over the same rows is what the interval is held against: over a finite grid even an exact law does
    not have its asymptotic power.

    Parameters
    ----------
    table : columns group, n, m (or those that `sizes` names), `value` and `predicted`; at least four sizes per group,
    of which not all share n, m or n/m. asymptotic : {group: (power of N, power of M)}, or None.

    Returns one row per group and size (n, m): group, size, exponent, low, high, predicted, asymptotic, verdict
    ("agrees" where `predicted` lies in the interval widened by 0.01). Raises ValueError naming a column or a group.
    """
    import pandas as pd

    expected = ("group", *sizes, value, predicted)
    if missing := set(expected) - set(table):
        raise ValueError(
            f"table must have the columns {', '.join(expected)}, got none called {missing}"
        )
    if not (table[[value, predicted]] > 0).all(axis=None):
        raise ValueError(f"{value} and {predicted} must be positive to have a logarithm")
    rng, rows = np.random.default_rng(seed), []
    for group, part in table.groupby("group", sort=False):
        if np.linalg.matrix_rank(_design(part, sizes)) <= len(sizes) or len(part) < 4:
            raise ValueError(
                f"group {group} must be measured at four sizes or more, not all of one n, m or n/m"
            )
        fitted, wanted = _slopes(part, value, sizes), _slopes(part, predicted, sizes)
        resampled = []
        while len(resampled) < draws:
            again = part.iloc[rng.integers(len(part), size=len(part))]
            if np.linalg.matrix_rank(_design(again, sizes)) > len(sizes):
                resampled.append(_slopes(again, value, sizes))
        bounds = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2], axis=0)
        for place, size in enumerate(sizes):
            low, high = bounds[:, place]
            agrees = low - 0.01 <= wanted[place] <= high + 0.01
            rows.append(
                {
                    "group": group,
                    "size": size,
                    "exponent": fitted[place],
                    "low": low,
                    "high": high,
                    "predicted": wanted[place],
                    "asymptotic": asymptotic[group][place] if asymptotic else np.nan,
                    "verdict": "agrees" if agrees else "differs",
                }
            )
    return pd.DataFrame(rows)


def _design(part, sizes):
    return np.column_stack([*(np.log(part[size]) for size in sizes), np.ones(len(part))])


def _slopes(part, column, sizes):
    from statsmodels.regression.linear_model import OLS

    return OLS(np.log(part[column].to_numpy()), _design(part, sizes)).fit().params[: len(sizes)]


def compare(measured, predicted, band, error=None):
    """Measured against predicted scales: a table of measured, error, predicted, ratio, band and verdict.

    The verdict is "within" where |measured - predicted| <= band · |predicted| + 2 errors, "outside" where not, and
    "undecided" where the standard error exceeds a third of the band, so that a measurement too rough proves nothing.

    measured, predicted, error : numbers or Series on one index; error, of the mean, is 0 when None. band : relative.
    """
    import pandas as pd

    if not np.all(np.asarray(band) > 0):
        raise ValueError(f"band must be a positive relative width, got {band!r}")
    table = pd.DataFrame(
        {"measured": measured, "error": 0.0 if error is None else error, "predicted": predicted}
    )
    table["ratio"], table["band"] = table["measured"] / table["predicted"], band
    width = band * table["predicted"].abs()
    within = (table["measured"] - table["predicted"]).abs() <= width + 2 * table["error"]
    table["verdict"] = np.where(within, "within", "outside")
    table.loc[within & (table["error"] > width / 3), "verdict"] = "undecided"
    return table
