"""The four panels of the explorer: artists that are made once and moved ever after."""

import io
import textwrap

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lct_lab import init, plots
from lct_lab.explore.measure import BINS, Settings, measure

SAMPLES = 120  # of a signal that are shown


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
            ax.yaxis.set_label_coords(-0.135, 0.5)

    def draw(self, found, settings):
        """Move the artists to what `measure(settings)` found."""
        self.spectrum.draw(found, settings)
        self.scales.draw(found)
        self.basin.draw(found)
        self.signal.draw(found, settings)

    def png(self):
        """The picture, as bytes."""
        target = io.BytesIO()
        self.canvas.print_png(target, pil_kwargs={"compress_level": 1})
        return target.getvalue()


def _title(ax, text):
    ax.set_title(text, y=1.0)  # a place given costs half as much as one that is looked for


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
    """A bar for each group's measured gradient, a tick where its law is, the verdict in words."""

    def __init__(self, ax):
        places, heights = range(len(init.GROUPS)), [1.0] * len(init.GROUPS)
        self.ax = ax
        look = {"color": plots.COLOURS, "edgecolor": plots.COLOURS}
        self.bars = ax.bar(places, heights, width=0.55, bottom=0, **look)
        self.ticks = ax.plot(places, heights, "_", color=plots.INK, ms=46, mew=3)[0]
        self.words = [
            ax.text(place, 1.0, "", ha="center", va="bottom", fontsize=8.5) for place in places
        ]
        self.note = ax.text(
            0.5, 0.97, "", ha="center", va="top", transform=ax.transAxes, fontsize=9
        )
        ax.set(yscale="log", ylabel="rms gradient", xlim=(-0.6, 5.6))
        ax.set_xticks(places, [plots.SYMBOLS[group] for group in init.GROUPS])
        ax.grid(False, axis="x")
        ax.yaxis.minorticks_off()
        line = Line2D([], [], color=plots.INK, lw=3)
        self.legend = ax.legend([line], ["predicted"], loc="upper left")
        _title(ax, "Gradients: measured and predicted")

    def draw(self, found):
        table = found["scales"].set_index("group").reindex(init.GROUPS)
        both = table[["measured", "predicted"]].to_numpy()
        good = both[np.isfinite(both) & (both > 0)]
        low, high = (good.min() / 3, good.max() * 12) if good.size else (0.1, 10)
        for bar, word, (_, row) in zip(self.bars, self.words, table.iterrows(), strict=True):
            height = row["measured"] if row["measured"] > 0 else low
            bar.set(y=low, height=height - low, visible=row["measured"] > 0)
            word.set_y(max(height, row["predicted"] if row["predicted"] > 0 else 0) * 1.25)
            ratio = f"×{row['ratio']:.2f}\n" if np.isfinite(row["ratio"]) else ""
            word.set_text(ratio + row["verdict"] if isinstance(row["verdict"], str) else "tied")
        self.ticks.set_ydata(np.where(table["predicted"] > 0, table["predicted"], np.nan))
        self.note.set_text(textwrap.fill(found["sentence"], 66))
        self.legend.set_visible(not found["sentence"])
        self.ax.set_ylim(low, high)


class Basin:
    """The loss along one frequency, its basins, and where the start is."""

    def __init__(self, ax):
        self.ax = ax
        self.curve = ax.plot([], [], color=plots.COLOURS[0])[0]
        self.minima = ax.plot([], [], "o", color=plots.COLOURS[2], label="basins")[0]
        self.here = ax.plot([], [], "D", color=plots.COLOURS[1], label="where it starts")[0]
        shift = r"shift of the frequency, in bins $\pi/N$"
        ax.set(xlabel=shift, ylabel="loss", xlim=(-BINS, BINS))
        ax.legend(loc="upper right", ncols=2)

    def draw(self, found):
        losses, near = found["losses"], found["near"]
        inner = losses[1:-1]
        lowest = np.flatnonzero((inner < losses[:-2]) & (inner < losses[2:])) + 1
        self.curve.set_data(near, losses)
        self.minima.set_data(near[lowest], losses[lowest])
        self.here.set_data([0], [losses[len(losses) // 2]])
        spread = np.ptp(losses) or 1.0
        self.ax.set_ylim(losses.min() - 0.08 * spread, losses.max() + 0.25 * spread)
        basins = f"{len(lowest)} basins in {2 * BINS} bins"
        _title(self.ax, f"Loss along frequency number {found['k']}: {basins}")


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


def draw(settings=None):
    """The picture of `Settings` as a matplotlib Figure, for a page without widgets.

    Raises as `measure` does.
    """
    panels, settings = Panels(), settings or Settings()
    panels.draw(measure(settings), settings)
    return panels.figure
