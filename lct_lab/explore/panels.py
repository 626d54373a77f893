"""The four panels of the explorer: artists that are made once and moved ever after."""

import struct
import textwrap
import zlib

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from lct_lab import init, plots
from lct_lab.checks import require_choice
from lct_lab.explore.measure import BINS, STATISTICS, Settings, measure

TICKS = 6  # of an axis at most: words are what takes the time of a picture
SAMPLES = 120  # of a signal that are shown
SHARE = 0.46  # of the width of the scales that bars take, and their words the rest
TELLING = 10  # an interval to more than this factor would fill the axis and tell nothing
BESIDE_THE_TITLE = {"loc": "lower right", "bbox_to_anchor": (1.0, 0.99), "borderaxespad": 0.0}
SAID = {"rms": "rms gradient", "median": "median |gradient|"}
SHORT = {"ncols": 2, "handlelength": 1.0, "handletextpad": 0.5, "columnspacing": 1.0}


class Panels:
    """One figure with four panels; `draw` shows what `measure` found, `png` is the picture."""

    def __init__(self):
        # laying out anew would cost more than all the rest, so places are given, not found
        self.figure = Figure(figsize=(11.5, 7.4), dpi=90, layout="none")
        self.canvas = FigureCanvasAgg(self.figure)  # kept, and with it the shapes of all words
        axes = self.figure.subplots(2, 2)
        self.figure.subplots_adjust(
            left=0.083, right=0.985, top=0.955, bottom=0.075, wspace=0.2, hspace=0.3
        )
        (spectrum, scales), (basin, signal) = axes
        self.spectrum, self.scales = Spectrum(spectrum), Scales(scales)
        self.basin, self.signal = Basin(basin), Signal(signal)
        for ax in axes.flat:
            ax.xaxis.set_label_coords(0.5, -0.115)
            ax.yaxis.set_label_coords(-0.165, 0.5)
        for ax in (spectrum, basin, signal):
            # numbers in full: an offset or a power apart would run into the title
            ax.yaxis.set_major_formatter("{x:.4g}")
            ax.yaxis.get_major_locator().set_params(nbins=TICKS)

    def draw(self, found, settings, statistic="rms"):
        """Move the artists to what `measure(settings)` found; statistic : of the bars."""
        self.spectrum.draw(found, settings)
        self.scales.draw(found, statistic)
        self.basin.draw(found)
        self.signal.draw(found, settings)

    def png(self):
        """The picture, as bytes; without transparency, which would take time and show nothing."""
        self.canvas.draw()
        return _png(np.asarray(self.canvas.buffer_rgba())[..., :3])


def _png(colours):
    """The bytes of a PNG of colours (height, width, 3).

    A library would try five filters on every row, which takes longer than all the rest and makes no
    picture of lines and words smaller. A row begins with the number of its filter, 0 for none
    (Portable Network Graphics Specification, W3C, 2003).
    """
    height, width, _ = colours.shape
    rows = np.zeros((height, 1 + 3 * width), np.uint8)
    rows[:, 1:] = colours.reshape(height, -1)
    bits, kind = 8, 2  # of each of red, green and blue
    chunks = {
        b"IHDR": struct.pack(">2I5B", width, height, bits, kind, 0, 0, 0),
        b"IDAT": zlib.compress(rows, 1),
        b"IEND": b"",
    }
    parts = [b"\x89PNG\r\n\x1a\n"]
    for name, data in chunks.items():
        parts += [struct.pack(">I", len(data)), name, data]
        parts.append(struct.pack(">I", zlib.crc32(name + data)))
    return b"".join(parts)


def _title(ax, text):
    # a place given costs half as much as one that is looked for
    ax.set_title(text, y=1.0, loc="left")


class Spectrum:
    """The analysis matrix of a small size; of a large one, the coefficients over frequency."""

    def __init__(self, ax):
        self.ax = ax
        self.image = ax.imshow([[0.0]], cmap="RdBu_r", aspect="auto", interpolation="nearest")
        self.lines = ax.plot([], [], ".", color=plots.COLOURS[0], ms=3)[0]

    def draw(self, found, settings):
        small = found["matrix"] is not None
        self.image.set_visible(small)
        self.lines.set_visible(not small)
        self.ax.grid(not small)
        if small:
            self._draw_matrix(found["matrix"], settings)
        else:
            self._draw_coefficients(found)

    def _draw_matrix(self, matrix, settings):
        n, m = settings.n, settings.m
        limit = np.abs(matrix).max()
        sides = (-0.5, n - 0.5, m - 0.5, -0.5)
        self.image.set(data=matrix, extent=sides, clim=(-limit, limit))
        self.ax.set(xlim=sides[:2], ylim=sides[2:], xlabel="sample", ylabel="frequency's number")
        _title(self.ax, f"Analysis matrix, {m} × {n}")

    def _draw_coefficients(self, found):
        self.lines.set_data(found["w"], found["X"])
        top = found["X"].max() or 1.0
        self.ax.set(xlim=(0, np.pi), ylim=(0, 1.08 * top))
        self.ax.set(xlabel="frequency, rad per sample", ylabel="|X|")
        _title(self.ax, f"Coefficients at {len(found['X']):,} frequencies")


class Scales:
    """A bar for each group's measured gradient with its interval, a tick where its law is.

    Beside it stand measured over predicted and the verdict, in words.
    """

    def __init__(self, ax):
        places = range(len(init.GROUPS))
        ones = [1.0 for _ in places]
        look = {"color": plots.COLOURS, "edgecolor": plots.COLOURS}
        self.ax = ax
        self.bars = ax.barh(places, ones, height=0.6, left=0, **look)
        self.ticks = ax.plot(ones, places, "|", color=plots.INK, ms=26, mew=3)[0]
        self.intervals = ax.hlines(places, ones, ones, color=plots.GREY, lw=2.2, zorder=3)
        self.words = [_beside(ax, place) for place in places]
        self.note = ax.text(0.01, 0.985, "", va="top", transform=ax.transAxes, fontsize=9)
        ax.set(xscale="log")
        ax.set_yticks(places, [plots.SYMBOLS[group] for group in init.GROUPS])
        ax.grid(False, axis="y")
        ax.xaxis.set_major_locator(LogLocator(numticks=TICKS))
        ax.xaxis.minorticks_off()
        handles, names = [self.ticks, self.intervals], ["predicted", "interval"]
        self.legend = ax.legend(handles, names, **SHORT, **BESIDE_THE_TITLE)
        self.legend.legend_handles[0].set_markersize(11)

    def draw(self, found, statistic):
        """Lengths, ticks and words; where there is no law, its sentence above them."""
        table = found[STATISTICS[statistic]].set_index("group").reindex(init.GROUPS)
        low, high = _limits(table)
        rows = list(table.itertuples())
        for bar, word, row in zip(self.bars, self.words, rows, strict=True):
            ends = [end for end in (row.measured, row.predicted, _end(row)) if end > 0]
            bar.set(x=low, width=row.measured - low, visible=row.measured > 0)
            word.xy = (max(ends, default=low), word.xy[1])
            word.set_text(_verdict(row))
        drawn = [(y, row) for y, row in enumerate(rows) if _end(row) > row.measured]
        spans = [[(max(row.low, low), y), (row.high, y)] for y, row in drawn]
        self.intervals.set_segments(spans)
        _title(self.ax, _in_short(table))
        self.ticks.set_xdata(table["predicted"].where(table["predicted"] > 0))
        sentence = textwrap.wrap(found["sentence"], 66)
        self.note.set_text("\n".join(sentence))
        self.legend.set_visible(not sentence)
        self.ax.set(xlim=(low, high), ylim=(5.6, -0.6 - 0.45 * len(sentence)))
        self.ax.set_xlabel(SAID[statistic])


def _limits(table):
    """The ends of an axis on which the longest bar leaves room for its words."""
    ends = [_end(row) for row in table.itertuples()]
    both = np.column_stack([table[["measured", "predicted"]], ends]).astype(float)
    good = both[np.isfinite(both) & (both > 0)]
    if not good.size:
        return 0.1, 10.0
    low, longest = good.min() / 3, good.max()
    return low, low * (longest / low) ** (1 / SHARE)


def _end(row):
    """The upper end of the interval of a row of scales; the measurement where it tells nothing."""
    return row.high if row.high < TELLING * row.measured else row.measured


def _in_short(table):
    """The verdicts of all bars, as a title."""
    outside = (table["verdict"] == "outside").sum()
    if not table["predicted"].notna().any():
        return "Gradients, measured"
    return f"Gradients: {outside or 'none'} outside the law"


def _beside(ax, place):
    """Words to the right of a point that is set later."""
    look = {"textcoords": "offset points", "va": "center", "fontsize": 8.5}
    return ax.annotate("", (1.0, place), (6, 0), **look)


def _verdict(row):
    """The verdict of a row of scales in words: "×1.03  agrees so far, 4,000 to decide"."""
    if not isinstance(row.verdict, str):
        return "tied to $w$"
    holds = row.verdict == "undecided" and row.low <= row.predicted <= row.high
    verdict = "agrees so far" if holds else row.verdict
    digits = ".2f" if row.ratio < 1000 else ".1e"
    ratio = f"×{row.ratio:{digits}}  " if np.isfinite(row.ratio) else ""
    known = pd.notna(row.starts) and row.starts > 0
    return f"{ratio}{verdict}" + (f", {row.starts:,} to decide" if known else "")


class Basin:
    """The loss along one frequency less that at the start, and its basins."""

    def __init__(self, ax):
        self.ax = ax
        self.curve = ax.plot([], [], color=plots.COLOURS[0])[0]
        self.minima = ax.plot([], [], "o", color=plots.COLOURS[2], label="basins")[0]
        self.here = ax.plot([], [], "D", color=plots.COLOURS[1], label="the start")[0]
        shift = r"shift of the frequency, in bins $\pi/N$"
        ax.set(xlabel=shift, ylabel="change of the loss", xlim=(-BINS, BINS))
        ax.set_xticks(range(-BINS, BINS + 1, 4))
        self.legend = ax.legend(loc="upper right", ncols=2)

    def draw(self, found):
        """Curve, minima and limits; the loss at the start stands in the legend."""
        losses, near = found["losses"], found["near"]
        start = losses[len(losses) // 2]
        change, lowest = losses - start, _minima(losses)
        self.curve.set_data(near, change)
        self.minima.set_data(near[lowest], change[lowest])
        self.here.set_data([0], [0])
        self.legend.get_texts()[1].set_text(f"the start, loss {start:,.5g}")
        spread = np.ptp(losses) or 1.0
        self.ax.set_ylim(change.min() - 0.08 * spread, change.max() + 0.25 * spread)
        basins = f"{len(lowest)} basins in {2 * BINS} bins"
        _title(self.ax, f"Loss along frequency {found['k']:,}: {basins}")


def _minima(values):
    """The places of values that are below both their neighbours."""
    before, inner, after = values[:-2], values[1:-1], values[2:]
    return np.flatnonzero((inner < before) & (inner < after)) + 1


class Signal:
    """The beginning of the first input, and its reconstruction."""

    def __init__(self, ax):
        self.ax = ax
        self.input = ax.plot([], [], color=plots.GREY, lw=2.6, label="input $x$")[0]
        self.output = ax.plot([], [], color=plots.COLOURS[1], lw=1.3, label="reconstruction $y$")[0]
        ax.legend(loc="upper right", ncols=2)

    def draw(self, found, settings):
        x, y = found["x"], found["y"]
        shown = min(settings.n, SAMPLES)
        self.input.set_data(range(shown), x[:shown])
        self.output.set_data(range(shown), y[:shown])
        high = 1.35 * max(np.abs(x[:shown]).max(), np.abs(y[:shown]).max(), 1e-12)
        self.ax.set(xlim=(-0.5, max(shown - 0.5, 0.5)), ylim=(-high, high))
        first = f"sample, first {shown} of {settings.n:,}"
        self.ax.set_xlabel(first if shown < settings.n else "sample")
        share = np.sum((y - x) ** 2) / max(np.sum(x**2), 1e-300)
        _title(self.ax, f"Reconstruction: error {share:.3g} of the energy")


def draw(settings=None, statistic="rms"):
    """The picture of `Settings` as a matplotlib Figure, for a page without widgets.

    statistic : of the bars, "rms" or "median". Raises as `measure` does, and ValueError for another
    statistic.
    """
    require_choice("statistic", statistic, STATISTICS)
    settings = Settings() if settings is None else settings
    panels = Panels()
    panels.draw(measure(settings), settings, statistic)
    return panels.figure
