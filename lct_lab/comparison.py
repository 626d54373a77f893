"""Measured against predicted: the one place where probes and laws meet.

`compare` does all of it in one call. Its pieces serve whoever has raw rows already: `scale` (an rms
over starts and its standard error), `judged` (raw rows against a law), `judge` and `by_errors` (the
two policies of a verdict).

The module is not called compare, because the package's attribute of that name is the function:
which of the two `lct_lab.compare` were would depend on what had been imported before.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from reprlib import repr as short

import numpy as np
import pandas as pd
import torch

from lct_lab import checks, intervals, probes, signals
from lct_lab import init as starts
from lct_lab.tables import scale as scale  # one of the pieces

# of each statistic the law's column, the one that its band is relative to, and the band
LAW_COLUMNS = {
    "rms": ("rms", "rms", "band"),
    "mean": ("mean", "rms", "band"),
    "median": ("median_abs", "median_abs", "median_band"),
}
LAW = ("mean", "rms", "median_abs", "band", "median_band")
STATISTICS = tuple(LAW_COLUMNS)
VERDICTS = ("within", "undecided", "outside")
CONFIDENCE = 0.95  # of all the verdicts of one table together
MOST = 1e15  # starts: what more of them would decide, none will
WINDOWS = 64  # the fewest windows by which a recording is described
DRAWN = 1 << 22  # samples of the windows drawn of it, beyond which starts share them
# a gradient that cancels is measured as rounding: at most this share of its size if nothing cancels
ROUNDING = {torch.float64: 1e-9, torch.float32: 1e-4}


def compare(
    n,
    m,
    *,
    init="random",
    tied=False,
    inits=200,
    amplitudes=None,
    signal="uniform",
    batch=1,
    seed=0,
    confidence=CONFIDENCE,
    engine="auto",
    dtype=torch.float64,
    device="cpu",
):
    """Measure the gradients of many random starts, predict them, and say whether they agree.

    Returns a `Comparison`. Arguments as in `probe` and `predict`. The law is asked about what was
    measured: of a table of windows about those rows that the starts draw, and a recording's name
    stands for one table of windows, drawn once. confidence : of all the verdicts together, between
    0 and 1.

    Raises ValueError where no law covers the settings, with the sentence of `predict`, before
    anything is measured, and TypeError or ValueError naming an argument as `probe` does.
    """
    confidence = require_confidence(confidence)
    inits = probes.require_inits(inits)
    shared = dict(init=init, tied=tied, amplitudes=amplitudes, batch=batch)
    where = dict(engine=engine, dtype=dtype, device=device)
    asked = probes.Settings.checked(n, m, **shared, **where, signal=signal, seed=seed)
    n, m, batch = asked.n, asked.m, asked.batch
    table = windows(signal, n, m, init=init, inits=inits, batch=batch, seed=seed)
    seen = signals.seen(signals.check(table, n, batch), inits, batch)
    law = predicted(n, m, **shared, signal=seen, dtype=dtype)
    raw = probes.probe(n, m, **shared, **where, signal=table, inits=inits, seed=seed)
    if isinstance(signal, str):
        raw.attrs["signal"] = signal
    return Comparison(judged(raw, law, confidence=confidence), _loss(raw, law), raw, law)


def windows(signal, n, m, *, init, inits, batch, seed):
    """A recording as a table of windows, for law and starts alike; any other signal as it is."""
    if not isinstance(signal, str) or signal not in signals.RECORDINGS:
        return signal
    n, inits, batch = (
        checks.require_size(name, size)
        for name, size in (("n", n), ("inits", inits), ("batch", batch))
    )
    rng = starts.generator(seed, n, m, init, 0, "windows")
    wanted = min(inits * batch, max(batch, DRAWN // n))
    return signals.draw(signal, n, rng, batch=max(WINDOWS, wanted))


def predicted(n, m, *, init, tied, amplitudes, signal, batch, dtype=torch.float64):
    """The law of `predict`, and a column rounding: a gradient of that size may be measured as zero.

    Starts that reconstruct exactly have no gradient; what is measured there is the rounding of sums
    that cancel. It is small against the gradient of independent frequencies, where nothing cancels.
    Raises as `predict` does.
    """
    from lct_lab import laws

    settings = dict(tied=tied, amplitudes=amplitudes, signal=signal, batch=batch)
    law = laws.predict(n, m, init=init, **settings)
    on_grid = starts.INITS[init].jitter is not None
    apart = laws.predict(n, m, init="shuffled", **settings) if on_grid else law
    return law.assign(rounding=ROUNDING[dtype] * apart["rms"])


def _loss(raw, law):
    losses = raw.groupby("init")["loss"].first()
    error = losses.std() / len(losses) ** 0.5
    found = {"measured": losses.mean(), "error": error}
    found |= {"predicted": law.attrs["loss"], "band": law.attrs["loss_band"]}
    return pd.Series(found, name="loss")


@dataclass(frozen=True, repr=False)
class Comparison:
    """What `compare` found.

    table : indexed by (statistic, group), as `judged` makes it. loss : measured (mean over starts),
    its standard error, predicted, and band. raw : the rows of `probe`. law : the table of
    `predict`.
    """

    table: pd.DataFrame
    loss: pd.Series
    raw: pd.DataFrame
    law: pd.DataFrame

    @property
    def rms(self):
        """The rows of the rms over starts, by group."""
        return self.table.loc["rms"]

    @property
    def mean(self):
        """The rows of the signed mean over starts, by group; band is relative to the rms."""
        return self.table.loc["mean"]

    @property
    def median(self):
        """The rows of the median over starts of the median over a group's entries, by group."""
        return self.table.loc["median"]

    def __repr__(self):
        return f"{self.title()}\n{summary(self.table)}\n{self.table.to_string()}"

    def _repr_html_(self):
        table = self.table.to_html(float_format="{:.4g}".format, na_rep="")
        return f"<p><b>{self.title()}.</b> {summary(self.table)}</p>{table}"

    def title(self):
        """What was compared, in words."""
        about = self.raw.attrs
        start = f"{'tied' if about['tied'] else 'untied'} {about['init']} starts"
        return f"{about['inits']} {start}, N = {about['n']:,}, M = {about['m']:,}"

    def plot(self, axes=None):
        """The scales beside the residual measured/predicted - 1 on the band of the verdict.

        Returns an array of two Axes. Of every group the rms (filled) and the median (hollow), with
        the intervals that the verdicts use. axes : two, to draw on, in a list or an array of any
        shape, which is returned; None makes a figure. Raises TypeError for anything else.
        """
        from lct_lab import plots

        if axes is None:
            axes = plots.figure(1, 2, width=10, height=4.2)[1]
        left, right = _two_axes(axes)
        shown = self.table.loc[["rms", "median"]].reset_index()
        plots.measured(shown, ax=left).set_title(self.title(), fontsize=10)
        plots.residuals(shown, ax=right).set_title("On the band of the verdict", fontsize=10)
        return axes


def _two_axes(axes):
    """Two matplotlib Axes of an array of any shape, or raise."""
    from matplotlib.axes import Axes

    found = np.asarray(axes, dtype=object).ravel().tolist()
    if len(found) != 2 or not all(isinstance(each, Axes) for each in found):
        raise TypeError(f"axes must be two matplotlib Axes, got {short(axes)}")
    return found


def summary(table):
    """The verdicts of a table of `judged` in a sentence, and how many starts would decide more."""
    counts = table["verdict"].value_counts()
    confidence = table.attrs["confidence"]
    rows = len(table) - counts.get("no law", 0)
    if rows == 0:
        return "No law here."
    found = [f"{counts[word]} {word}" for word in VERDICTS if word in counts]
    sentence = f"Of {rows} rows {', '.join(found)}, at {confidence:.0%} confidence for all of them."
    if table["starts"].notna().any():
        sentence += f" About {table['starts'].max():,} starts would decide."
    return sentence


def judged(raw, law, *, confidence=CONFIDENCE, statistics=STATISTICS):
    """Raw rows of one size against a law: a DataFrame indexed by (statistic, group).

    Columns measured, error (standard error), low, high (the interval that the verdict uses),
    predicted, ratio, band, verdict, and starts: how many starts would decide an undecided row if
    the law is right (see `_starts`). The band is relative to the predicted rms for rms and mean, to
    the predicted median for the median. attrs: confidence.

    raw : a table of rows of `probe`, or a list of dicts, one a row. law : of `predicted` or
    `predict`, by group, or None where no law covers the settings: then predicted is NaN and the
    verdict "no law". statistics : rms, mean or median, or several of them. Raises ValueError or
    TypeError naming what is missing, or comes twice.
    """
    confidence = require_confidence(confidence)
    statistics = _require_statistics(statistics)
    raw = _as_table(raw) if isinstance(raw, list) else raw
    checks.require_table("raw", raw, ["init", "group"], once=True)
    if law is None:
        law = pd.DataFrame(columns=LAW, index=raw["group"].unique(), dtype=float)
    else:
        checks.require_table("law", law, numbers=LAW)
        if not law.index.is_unique:
            twice = law.index[law.index.duplicated()][0]
            raise ValueError(f"law must have one row for each group, got several for {twice}")
    level = 1 - (1 - confidence) / (len(statistics) * len(law))
    parts = {name: _measured(raw, level, name) for name in statistics}
    found = pd.concat(parts, names=["statistic", "group"])
    wanted = _law_of(statistics, law).reindex(found.index)
    table = judge(
        found["measured"],
        found["error"],
        wanted["predicted"],
        wanted["band"],
        confidence=confidence,
        interval=(found["low"], found["high"]),
        unit=wanted["unit"],
    )
    table["ratio"] = table["ratio"].where(table["predicted"].abs() > wanted["rounding"])
    table["starts"] = _starts(table, wanted["band"] * wanted["unit"], found["inits"], level)
    table.insert(2, "low", found["low"])
    table.insert(3, "high", found["high"])
    table.attrs = {"confidence": confidence}
    return table


def _require_statistics(names):
    """Return one name or several as a list, or raise unless each is of STATISTICS, and once."""
    names = checks.require_names("statistics", names)
    found = [checks.require_choice("statistics", name, STATISTICS) for name in names]
    for name in found:
        if found.count(name) > 1:
            raise ValueError(f"statistics must be named once each, got {name} several times")
    return found


def _as_table(rows):
    for row in rows:
        if not isinstance(row, Mapping):
            kind = type(row).__name__
            raise TypeError(f"raw must be a DataFrame or a list of dicts, one a row, got a {kind}")
    return pd.DataFrame(rows)


def _law_of(statistics, law):
    """What a law says of each (statistic, group): predicted, band, rounding, and the band's unit.

    The unit is such that band · unit is the band of the law and the rounding.
    """
    rounding = law["rounding"] if "rounding" in law else 0.0
    parts = {}
    for name in statistics:
        column, of, band = LAW_COLUMNS[name]
        parts[name] = pd.DataFrame(
            {
                "predicted": law[column],
                "band": law[band],
                "rounding": rounding,
                "unit": law[of] + rounding / law[band],
            }
        )
    return pd.concat(parts)


def _starts(table, width, inits, level):
    """How many starts would decide an undecided row, to two digits, from its present error.

    A right law is found within as soon as z errors, and one for its own chance, fit in the half
    width of the band: inits ((z + 1) error / width)². With as many starts or more, a measurement
    near the edge of the band needs that its z errors fit between it and the edge.
    """
    z, error = intervals.normal_quantile(level), table["error"]
    gap = (table["measured"] - table["predicted"]).abs()
    of_right_law = inits * ((z + 1) * error / width) ** 2
    to_the_edge = inits * (z * error / (gap - width)) ** 2
    needed = of_right_law.where(of_right_law > inits, to_the_edge)
    wanted = needed.where((table["verdict"] == "undecided") & (needed < MOST))
    digit = 10.0 ** (np.floor(np.log10(wanted)) - 1)
    return (np.ceil(wanted / digit) * digit).round().astype("Int64")


def require_confidence(value):
    """Return `value` as a float, or raise unless it is between 0 and 1, the ends excluded."""
    number = checks.require_number("confidence", value)
    if not 0 < number < 1:
        raise ValueError(f"confidence must be between 0 and 1, got {value!r}")
    return number


def _measured(raw, confidence, statistic):
    """One statistic of every group with its interval: measured, error, low, high, inits, by group.

    rms, mean : over starts, of the group's rms and of its signed mean. median : over starts, of the
    median over the group's entries. confidence : of each interval by itself.
    """
    column, of = {
        "rms": ("rms", intervals.of_rms),
        "mean": ("mean", intervals.of_mean),
        "median": ("median_abs", intervals.of_median),
    }[statistic]
    checks.require_table("raw", raw, ["init", "group"], [column], once=True)
    order = list(raw["group"].unique())
    wide = raw.pivot(index="init", columns="group", values=column)[order]
    if (missing := wide.isna()).any(axis=None):
        start, group = missing.stack().idxmax()
        raise ValueError(f"raw must have every group in every init, got no {group} in init {start}")
    found = of(wide.to_numpy(dtype=float), confidence)._asdict()
    return pd.DataFrame(found, index=wide.columns).assign(inits=len(wide))


def judge(measured, error, predicted, band, *, confidence=CONFIDENCE, interval=None, unit=None):
    """Verdicts by confidence interval.

    Returns a table of measured, error, predicted, ratio, band and verdict. "within" where the
    interval lies in predicted ± band · unit, "outside" where the two do not meet, "undecided" where
    they overlap, and "no law" where predicted is NaN. `confidence` is that of all the rows
    together: each row's is 1 - (1 - confidence) / rows.

    measured, error, predicted, band : numbers, or columns of one length, Series on one index; band
    is relative, error a standard error. interval : (low, high), two such; None: measured ± the
    normal quantile · error. unit : what band is relative to, None for |predicted|. Raises
    ValueError or TypeError naming the argument.
    """
    confidence = require_confidence(confidence)
    table = _beside(measured, error, predicted, band)
    known = table["predicted"].notna()
    if interval is None:
        level = 1 - (1 - confidence) / max(known.sum(), 1)
        margin = intervals.normal_quantile(level) * table["error"]
        interval = table["measured"] - margin, table["measured"] + margin
    low, high = _require_interval(interval, table)
    unit = table["predicted"].abs() if unit is None else _require_column("unit", unit, table)
    width = table["band"] * unit
    least = table["predicted"] - width
    most = table["predicted"] + width
    within = (low >= least) & (high <= most)
    outside = (low > most) | (high < least)
    return table.assign(verdict=_words(within, outside).where(known, "no law"))


def by_errors(measured, predicted, band, error=None):
    """Verdicts by standard errors, row by row.

    Returns a table of measured, error, predicted, ratio, band and verdict. "outside" where
    |measured - predicted| > band · |predicted| + 2 errors, "undecided" where it is not but the
    error exceeds a third of the band, so that a measurement too rough proves nothing, else
    "within". Where a number is NaN, which is what is not known, the row is "undecided". For single
    rows with many starts behind them; of many rows some are outside by chance, which `judge` allows
    for.

    measured, predicted, error : numbers, or columns of one length, Series on one index; error, of
    the mean, is 0 when None. band : relative. Raises ValueError or TypeError naming the argument.
    """
    table = _beside(measured, 0.0 if error is None else error, predicted, band)
    width = table["band"] * table["predicted"].abs()
    gap = (table["measured"] - table["predicted"]).abs()
    reach = width + 2 * table["error"]
    rough = table["error"] > width / 3
    return table.assign(verdict=_words((gap <= reach) & ~rough, gap > reach))


def _beside(measured, error, predicted, band):
    given = {"measured": measured, "error": error, "predicted": predicted, "band": band}
    for name, value in given.items():
        _require_reals(name, value)
    lengths = {name: len(value) for name, value in given.items() if np.ndim(value)}
    if len(set(lengths.values())) > 1:
        wanted, got = (", ".join(map(str, words)) for words in (lengths, lengths.values()))
        raise ValueError(f"{wanted} must be of one length, got {got}")
    widths, errors = np.ravel(band), np.ravel(error)
    if (strange := widths[widths <= 0]).size:
        raise ValueError(f"band must be a positive relative width, got {strange[0]:g}")
    if (strange := errors[errors < 0]).size:
        raise ValueError(f"error must be a standard error of at least 0, got {strange[0]:g}")
    alone = all(np.ndim(value) == 0 for value in given.values())
    table = pd.DataFrame(given, index=[0] if alone else None)
    table.insert(3, "ratio", table["measured"] / table["predicted"])
    return table


def _require_reals(name, value):
    """Raise unless `value` is a real number, or a column of such; NaN is what is not known."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    column = isinstance(value, (pd.Series, np.ndarray)) and value.ndim < 2
    if not number and not (column and pd.api.types.is_any_real_numeric_dtype(value)):
        raise TypeError(f"{name} must be a real number or a column of such, got {short(value)}")


def _require_interval(interval, table):
    """Return the two ends of an interval as columns beside `table`, or raise."""
    try:
        low, high = interval
    except (TypeError, ValueError):
        raise TypeError(f"interval must be two, (low, high), got {short(interval)}") from None
    return [_require_column("interval", end, table) for end in (low, high)]


def _require_column(name, value, table):
    """Return a real number or a column of such as a Series beside `table`, or raise."""
    _require_reals(name, value)
    if np.ndim(value) and len(value) != len(table):
        raise ValueError(
            f"{name} must be of one length with measured, {len(table)}, got {len(value)}"
        )
    return pd.Series(value, table.index)


def _words(within, outside):
    words = np.select([outside, within], ["outside", "within"], "undecided")
    return pd.Series(words, within.index)
