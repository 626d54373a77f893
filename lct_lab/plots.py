"""The look of every figure, the pictures that recur, and how they are saved.

A table comes in, an Axes goes out.
"""

import math
from contextlib import ExitStack

from lct_lab import tables
from lct_lab.checks import require_columns, require_number, require_numeric, require_size
from lct_lab.init import GROUPS

# Okabe and Ito's colours, told apart with any colour vision; each group keeps one colour and marker
INK, GREY, PAPER = "#222222", "#8a8a8a", "#ffffff"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P")
LOOK = {
    group: {"color": c, "marker": m} for group, c, m in zip(GROUPS, COLOURS, MARKERS, strict=True)
}
SYMBOLS = {
    "a1": "$a_1$",
    "a2": "$a_2$",
    "a3": "$a_3$",
    "a4": "$a_4$",
    "w1": r"$w$",
    "w2": r"$\tilde w$",
}

LARGEST = 1e300  # of a matrix: matplotlib finds a colour by products of its entries with 256
BAND = {"lw": 4, "alpha": 0.35}  # of a prediction: a wide line underneath the markers

STYLE = {
    "figure.constrained_layout.use": True,
    "figure.facecolor": PAPER,
    "figure.dpi": 110,
    "savefig.dpi": 160,
    "font.size": 10.5,
    "axes.titlesize": 11.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "svg.fonttype": "none",
    "svg.hashsalt": "lct_lab",
    "mathtext.fontset": "dejavusans",
}


def use_style():
    """Give this session's figures the lab's look; importing alone changes nothing."""
    import matplotlib.pyplot as plt
    from cycler import cycler

    plt.rcParams.update({**STYLE, "axes.prop_cycle": cycler(color=COLOURS)})


def figure(rows=1, columns=1, *, width=9.0, height=3.6, **options):
    """A figure and its axes, as plt.subplots returns them: (Figure, Axes or array). In inches.

    Raises TypeError or ValueError naming the argument.
    """
    import matplotlib.pyplot as plt

    rows, columns = require_size("rows", rows), require_size("columns", columns)
    for name, inches in (("width", width), ("height", height)):
        if require_number(name, inches) <= 0:
            raise ValueError(f"{name} must be above 0, got {inches!r}")
    return plt.subplots(rows, columns, figsize=(width, height), **options)


# of each format what would differ between two runs of the same picture, left out
FORMATS = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}


def save_figure(figure, name, alt):
    """Write figures/NAME.svg and .png, whole or not at all, and show it with its alternative text.

    The same picture gives the same bytes; what is transparent lies on white in the PNG. Returns a
    `Picture`, which a notebook displays as the PNG with `alt`, a sentence for readers who cannot
    see it; its `path` is that of the PNG. In an interactive session it also prints where that is.
    Raises ValueError for a name that is not a plain one or an alt without words, TypeError for what
    is no figure or text, OSError naming the path.
    """
    import matplotlib.pyplot as plt

    tables.require_name(name)
    _require_picture(figure, alt)
    same = {key: STYLE[key] for key in ("svg.hashsalt", "svg.fonttype")}
    with ExitStack() as files, plt.rc_context(same):
        for suffix, metadata in FORMATS.items():
            path = tables.output("figures", f"{name}.{suffix}")
            part = files.enter_context(tables.whole(path))
            figure.savefig(part, format=suffix, metadata=metadata)
            if suffix == "png":
                _with_a_palette(part)
    plt.close(figure)
    tables.tell(path)
    return Picture(path.read_bytes(), alt, path)


def _with_a_palette(path):
    """Rewrite a PNG with 256 colours, enough for lines and flat areas: a third of its bytes.

    A palette without transparency: the picture is laid on paper first.
    """
    from PIL import Image

    with Image.open(path) as image:
        paper = Image.new("RGBA", image.size, PAPER)
        paper.alpha_composite(image.convert("RGBA"))
    few = paper.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    few.save(path, format="PNG", optimize=True)


def _require_picture(figure, alt):
    from matplotlib.figure import Figure

    if not isinstance(figure, Figure):
        raise TypeError(f"figure must be a matplotlib Figure, got {type(figure).__name__}")
    wanted = "alt must be a sentence for readers who cannot see the figure"
    if not isinstance(alt, str):
        raise TypeError(f"{wanted}, got {alt!r}")
    if not alt.strip():
        raise ValueError(f"{wanted}, got {alt!r}")


class Picture:
    """A PNG with its alternative text, which notebooks show and exported pages keep.

    png : bytes. alt : a sentence. path : where it was written, or None.
    """

    def __init__(self, png, alt, path=None):
        self.png, self.alt, self.path = png, alt, path

    def _repr_mimebundle_(self, include=None, exclude=None):
        import base64

        data = {"image/png": base64.b64encode(self.png).decode(), "text/plain": self.alt}
        return data, {"image/png": {"alt": self.alt}}


def _axes(ax, **options):
    from matplotlib.axes import Axes

    if ax is None:
        return figure(**options)[1]
    if not isinstance(ax, Axes):
        raise TypeError(f"ax must be a matplotlib Axes, got {type(ax).__name__}")
    return ax


def matrix(values, *, ax=None, title=None, limit=None, name=None):
    """A matrix as an image, blue negative, red positive, the colour scale symmetric about zero.

    limit : the value at either end of the scale; None, the largest of the matrix. name : what an
    entry is, written beside the colour scale. Raises TypeError or ValueError naming the argument.
    """
    values = _require_matrix(values)
    ends = abs(values).max() if limit is None else require_number("limit", limit)
    if not 0 <= ends <= LARGEST:
        raise ValueError(f"limit must be between 0 and {LARGEST:g}, got {limit!r}")
    ax = _axes(ax, width=4.5)
    image = ax.imshow(
        values, cmap="RdBu_r", vmin=-ends, vmax=ends, interpolation="nearest", aspect="auto"
    )
    ax.grid(False)
    ax.figure.colorbar(image, ax=ax, shrink=0.9, label=name or "")
    ax.set_title(title)
    return ax


def _require_matrix(values):
    """Return `values` as a float array of two axes, or raise."""
    import numpy as np

    wanted = "values must be a matrix of real numbers"
    if np.ma.is_masked(values):
        raise TypeError(f"{wanted}, got masked entries")
    try:
        found = np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:  # ragged, or a tensor with a graph
        raise TypeError(f"{wanted}, got {type(values).__name__}: {error}") from None
    if found.ndim != 2 or not found.size or found.dtype.kind not in "biuf":
        raise TypeError(f"{wanted}, got {found.dtype} of shape {found.shape}")
    if not np.isfinite(found).all():
        raise ValueError("values must be finite, got a NaN or an infinity")
    numbers = found.astype(float)
    if (largest := abs(numbers).max()) > LARGEST:
        raise ValueError(f"values must be at most {LARGEST:g} in size, got {largest:.3g}")
    return numbers


def strips(table, *, value="mean_abs", by="group", ax=None):
    """The spread of a gradient over inits: on a log axis a dot each, and their median as a bar.

    table : columns `by` and `value`. Raises TypeError or ValueError naming what does not fit.
    """
    import numpy as np

    table = _require_numbers(table, [value], beside=[by])
    _require_a_logarithm(table, value)
    ax = _axes(ax)
    rng = np.random.default_rng(0)
    names = list(dict.fromkeys(table[by]))
    for place, name in enumerate(names):
        values = table.loc[table[by] == name, value].to_numpy()
        beside = place + rng.uniform(-0.28, 0.28, len(values))
        colour = _look(name, place)["color"]
        # as vectors the dots would weigh megabytes
        ax.plot(beside, values, ".", color=colour, alpha=0.35, ms=4, mew=0, rasterized=True)
        ax.plot([place - 0.36, place + 0.36], [np.median(values)] * 2, color=INK, lw=2)
    ax.set_yscale("log")
    ax.set_xticks(range(len(names)), [SYMBOLS.get(name, name) for name in names])
    ax.grid(False, axis="x")
    return ax


def _require_numbers(table, columns, beside=()):
    """The table with these columns as floats, NaN where one is missing, or raise.

    It must have those `beside` them, too.
    """
    require_columns("table", table, [*beside, *columns])
    found = table.copy(deep=False)
    for column in columns:
        require_numeric("table", table, column)
        found[column] = table[column].to_numpy(dtype=float, na_value=math.nan)
    return found


def _require_a_logarithm(table, column):
    """Raise where a log axis of a column would be empty."""
    if len(table) and not (table[column] > 0).any():
        raise ValueError(f"table must have a number above 0 in {column}, for a log axis, got none")


def _look(name, place):
    """Colour and marker of a group, or of whatever else is drawn at `place`."""
    colour, marker = COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)]
    return LOOK.get(name, {"color": colour, "marker": marker})


def scales(table, *, x, measured, predicted=None, error=None, by="group", ax=None):
    """Measured scale as markers on log axes, the predicted one a wide line underneath.

    `table` has one row per point with columns `x`, `by`, `measured` and, unless None, `predicted`
    and `error`, a standard error: bars show two of them either way. Raises TypeError or ValueError
    naming what does not fit.
    """
    wanted = [x, measured, *(name for name in (predicted, error) if name is not None)]
    table = _require_numbers(table, wanted, beside=[by])
    if error is not None and (table[error] < 0).any():
        raise ValueError(f"table must have standard errors of at least 0 in {error}, got less")
    for column in (x, measured):
        _require_a_logarithm(table, column)
    ax = _axes(ax)
    for place, (name, rows) in enumerate(table.groupby(by, sort=False)):
        look = _look(name, place)
        if predicted is not None:
            ax.plot(rows[x], rows[predicted], color=look["color"], solid_capstyle="round", **BAND)
        bars = {} if error is None else {"yerr": 2 * rows[error], "elinewidth": 1.2, "capsize": 2.5}
        label = SYMBOLS.get(name, name)
        ax.errorbar(rows[x], rows[measured], ls="none", label=label, **bars, **look)
    ax.set_xscale("log")
    ax.set_yscale("log")
    return ax


def measured(table, *, ax=None):
    """Measured statistics of every group on a log axis, the prediction a wide line underneath.

    table : one row per statistic and group, with columns statistic, group, measured, low, high and
    predicted (NaN where there is none). The first statistic's markers are filled, others hollow.
    Raises ValueError or TypeError naming what the table lacks.
    """
    table = _require_statistics(table, ["measured", "low", "high", "predicted"])
    ax = _axes(ax)
    for place, look, row in _places(table):
        if row.predicted > 0:
            ends = [place - 0.16, place + 0.16]
            ax.plot(ends, [row.predicted] * 2, color=look["color"], **BAND)
        _marker(ax, place, row.measured, row.low, row.high, look)
    ax.set_yscale("log")
    ax.set_ylabel("|gradient|")
    _groups_below(ax, table)
    _statistics_beside(ax, table)
    return ax


def residuals(table, *, ax=None):
    """Measured over predicted, less one, of every group, on the band that its law promises.

    table : as in `measured`, with the columns ratio, band and verdict besides; ratio is NaN where
    predicted is 0. Where the verdict is "outside", it is written beside the marker.
    """
    numbers = ["measured", "low", "high", "predicted", "ratio", "band"]
    table = _require_statistics(table, numbers, beside=["verdict"])
    if (table["ratio"].notna() & ~(table["predicted"].abs() > 0)).any():
        raise ValueError("table must have no ratio where predicted is 0 or missing, got one")
    ax = _axes(ax)
    shown = table[table["ratio"].notna()]
    for place, look, row in _places(shown):
        ax.add_patch(_band(place, row.band, look["color"]))
        ends = (end / row.predicted - 1 for end in (row.low, row.high))
        _marker(ax, place, row.ratio - 1, *ends, look)
        if row.verdict == "outside":
            note = {"rotation": 90, "ha": "right", "va": "center", "fontsize": 10}
            ax.annotate("outside", (place - 0.06, row.ratio - 1), **note)
    if shown.empty:
        note = {"ha": "center", "va": "bottom", "transform": ax.transAxes}
        ax.text(0.5, 0.52, "no ratio: no law, or a gradient of zero", **note)
    ax.axhline(0, color=INK, lw=0.8)
    reach = 1.25 * max([0.05, *shown["band"], *(shown["ratio"] - 1).abs()])
    ax.set_ylim(max(-reach, -1.05), reach)
    ax.set_ylabel("measured / predicted − 1")
    _groups_below(ax, table)
    return ax


def _require_statistics(table, columns, beside=()):
    """`_require_numbers` of a table of groups, each measured between its ends."""
    table = _require_numbers(table, columns, beside=["statistic", "group", *beside])
    if ((table["low"] > table["measured"]) | (table["measured"] > table["high"])).any():
        raise ValueError("table must have measured between low and high, got one outside")
    if strange := sorted(set(map(str, table["group"])) - set(GROUPS)):
        raise ValueError(f"table must have groups of {', '.join(GROUPS)}, got {strange[0]}")
    return table


def _places(table):
    """(place on the axis, look, row) of each row; the statistics of a group are side by side."""
    statistics = list(dict.fromkeys(table["statistic"]))
    for row in table.itertuples():
        order = statistics.index(row.statistic)
        shift = 0.4 * (order - (len(statistics) - 1) / 2)
        look = LOOK[row.group] | ({"markerfacecolor": PAPER} if order else {})
        yield GROUPS.index(row.group) + shift, look, row


def _band(place, band, colour):
    from matplotlib.patches import Rectangle

    return Rectangle((place - 0.16, -band), 0.32, 2 * band, color=colour, alpha=0.22, lw=0)


def _marker(ax, place, value, low, high, look):
    """A marker with its interval, an end that is infinite left out."""
    import numpy as np

    errors = [[value - low], [high - value]]
    if np.isfinite(errors).all():
        ax.errorbar([place], [value], yerr=errors, elinewidth=1.4, capsize=2.5, ls="none", **look)
    else:
        ax.plot([place], [value], ls="none", **look)


def _groups_below(ax, table):
    groups = [group for group in GROUPS if group in set(table["group"])]
    ax.set_xticks(range(len(groups)), [SYMBOLS[group] for group in groups])
    ax.set_xlim(-0.6, len(groups) - 0.4)
    ax.grid(False, axis="x")


def _statistics_beside(ax, table):
    """A legend of which markers are filled, in grey because each group has its own colour."""
    from matplotlib.lines import Line2D

    names = list(dict.fromkeys(table["statistic"]))
    grey = {"color": GREY, "marker": "o", "ls": "none"}
    handles = [
        Line2D([], [], **grey, markerfacecolor=PAPER if name != names[0] else GREY)
        for name in names
    ]
    if (table["predicted"] > 0).any():
        handles.append(Line2D([], [], color=GREY, **BAND))
        names.append("predicted")
    ax.legend(handles, names, loc="best")


def slope(ax, power, anchor, label=None, span=None):
    """A dashed line y = y0 (x/x0)^power through `anchor` = (x0, y0) across `span`, labelled.

    Raises TypeError or ValueError naming the argument.
    """
    import numpy as np

    drawn = _axes(ax)
    exponent = require_number("power", power)
    x0, y0 = _pair("anchor", anchor)
    if x0 <= 0:
        raise ValueError(f"anchor must have its x0 above 0, got {anchor!r}")
    ends = np.array(_pair("span", drawn.get_xlim() if span is None else span))
    line = y0 * (ends / x0) ** exponent
    drawn.plot(ends, line, "--", color=GREY, lw=1.1, label=label, scalex=False)
    return drawn


def _pair(name, values):
    """Return two finite numbers, or raise."""
    if not hasattr(values, "__len__") or isinstance(values, (str, bytes)) or len(values) != 2:
        raise TypeError(f"{name} must be two numbers, got {values!r}")
    return [require_number(name, value) for value in values]
