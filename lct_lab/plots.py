"""The look of every figure, the pictures that recur, and how they are saved. A table comes in, an Axes goes out."""

from lct_lab.init import GROUPS
from lct_lab.tables import output

# Okabe and Ito's colours, told apart with any colour vision; each group keeps one colour and marker everywhere.
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
    "legend.fontsize": 9.5,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "svg.fonttype": "none",
    "svg.hashsalt": "lct_lab",
    "mathtext.fontset": "dejavusans",
}


def use_style():
    """Give this session's figures the lab's look: notebooks call it once, importing changes nothing."""
    import matplotlib.pyplot as plt
    from cycler import cycler

    plt.rcParams.update({**STYLE, "axes.prop_cycle": cycler(color=COLOURS)})


def figure(rows=1, columns=1, *, width=9.0, height=3.6, **options):
    """A figure and its axes: (Figure, Axes or array of Axes), as plt.subplots returns them; sizes in inches."""
    import matplotlib.pyplot as plt

    return plt.subplots(rows, columns, figsize=(width, height), **options)


def save_figure(figure, name, alt):
    """Write figures/NAME.svg and .png, the same bytes for the same picture, and show it with its alternative text.

    Returns an object that a notebook displays as the PNG with `alt`, a sentence for readers who cannot see it.
    """
    import matplotlib.pyplot as plt

    with plt.rc_context(
        {"svg.hashsalt": STYLE["svg.hashsalt"], "svg.fonttype": STYLE["svg.fonttype"]}
    ):
        for suffix, metadata in (
            (".svg", {"Date": None, "Creator": None}),
            (".png", {"Software": None}),
        ):
            path = output("figures", name + suffix)
            part = path.with_name(path.name + ".part")
            figure.savefig(part, format=suffix[1:], metadata=metadata)
            part.replace(path)
    plt.close(figure)
    return Picture(path.read_bytes(), alt)


class Picture:
    """A PNG with its alternative text, which notebooks show and exported pages keep."""

    def __init__(self, png, alt):
        self.png, self.alt = png, alt

    def _repr_mimebundle_(self, include=None, exclude=None):
        import base64

        data = {"image/png": base64.b64encode(self.png).decode(), "text/plain": self.alt}
        return data, {"image/png": {"alt": self.alt}}


def _axes(ax, **options):
    return figure(**options)[1] if ax is None else ax


def matrix(values, *, ax=None, title=None, limit=None):
    """A matrix as an image, blue negative, red positive, the colour scale symmetric about zero."""
    ax = _axes(ax, width=4.5)
    limit = abs(values).max() if limit is None else limit
    image = ax.imshow(
        values, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest", aspect="auto"
    )
    ax.grid(False)
    ax.figure.colorbar(image, ax=ax, shrink=0.9)
    ax.set_title(title)
    return ax


def strips(table, *, value="mean_abs", by="group", ax=None):
    """One dot per init and group on a log axis, with the median as a bar: the spread of a gradient over inits."""
    import numpy as np

    ax = _axes(ax)
    rng = np.random.default_rng(0)
    names = list(dict.fromkeys(table[by]))
    for place, name in enumerate(names):
        values = table.loc[table[by] == name, value].to_numpy()
        colour = LOOK.get(name, {"color": COLOURS[place % len(COLOURS)]})["color"]
        dots = {
            "color": colour,
            "alpha": 0.35,
            "ms": 4,
            "mew": 0,
            "rasterized": True,
        }  # vectors would weigh megabytes
        ax.plot(place + rng.uniform(-0.28, 0.28, len(values)), values, ".", **dots)
        ax.plot([place - 0.36, place + 0.36], [np.median(values)] * 2, color=INK, lw=2)
    ax.set_yscale("log")
    ax.set_xticks(range(len(names)), [SYMBOLS.get(name, name) for name in names])
    ax.grid(False, axis="x")
    return ax


def scales(table, *, x, measured, predicted=None, by="group", ax=None):
    """Measured against predicted scale on log axes: the prediction a wide band underneath, the measurement markers.

    `table` has one row per point with columns `x`, `by`, `measured` and, unless None, `predicted`.
    """
    ax = _axes(ax)
    for place, (name, rows) in enumerate(table.groupby(by, sort=False)):
        look = LOOK.get(
            name, {"color": COLOURS[place % len(COLOURS)], "marker": MARKERS[place % len(MARKERS)]}
        )
        if predicted is not None:
            ax.plot(
                rows[x],
                rows[predicted],
                color=look["color"],
                lw=7,
                alpha=0.28,
                solid_capstyle="round",
            )
        ax.plot(rows[x], rows[measured], ls="none", label=SYMBOLS.get(name, name), **look)
    ax.set_xscale("log")
    ax.set_yscale("log")
    return ax


def measured(table, *, ax=None):
    """Measured statistics of every group on a log axis, the prediction a wide band underneath.

    table : one row per statistic and group, with columns statistic, group, measured, low, high and
    predicted (NaN where there is none). The first statistic's markers are filled, others hollow.
    """
    ax = _axes(ax)
    for place, look, row in _places(table):
        if row.predicted > 0:
            ends = [place - 0.16, place + 0.16]
            ax.plot(ends, [row.predicted] * 2, color=look["color"], lw=7, alpha=0.28)
        _marker(ax, place, row.measured, row.low, row.high, look)
    ax.set_yscale("log")
    _groups_below(ax, table)
    return ax


def residuals(table, *, ax=None):
    """Measured over predicted, less one, of every group, on the band within which the law promises it.

    table : as in `measured`, with the columns ratio and band besides.
    """
    ax = _axes(ax)
    shown = table[table["ratio"].notna()]
    for place, look, row in _places(shown):
        ax.add_patch(_band(place, row.band, look["color"]))
        ends = (end / row.predicted - 1 for end in (row.low, row.high))
        _marker(ax, place, row.ratio - 1, *ends, look)
    ax.axhline(0, color=INK, lw=0.8)
    reach = 1.25 * max([0.05, *shown["band"], *(shown["ratio"] - 1).abs()])
    ax.set_ylim(max(-reach, -1.05), reach)
    ax.set_ylabel("measured / predicted - 1")
    _groups_below(ax, table)
    return ax


def _places(table):
    """(place on the axis, look, row) of each row: groups side by side, statistics within a group."""
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
    errors = [[value - low], [high - value]]
    ax.errorbar([place], [value], yerr=errors, ls="none", elinewidth=1.4, capsize=2.5, **look)


def _groups_below(ax, table):
    groups = [group for group in GROUPS if group in set(table["group"])]
    ax.set_xticks(range(len(groups)), [SYMBOLS[group] for group in groups])
    ax.set_xlim(-0.6, len(groups) - 0.4)
    ax.grid(False, axis="x")


def slope(ax, power, anchor, label=None, span=None):
    """A dashed reference line y = y0 (x/x0)^power through `anchor` = (x0, y0) across `span`, with its label."""
    import numpy as np

    ends = np.array(ax.get_xlim() if span is None else span, dtype=float)
    ax.plot(
        ends,
        anchor[1] * (ends / anchor[0]) ** power,
        "--",
        color=GREY,
        lw=1.1,
        label=label,
        scalex=False,
    )
    return ax
