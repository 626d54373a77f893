"""The explorer of notebook 00: one size at a time, four pictures of it, with widgets or without.

`measure` computes what a picture shows, `Panels` draws it with artists that are kept, `explorer` joins both to widgets.
"""

import json
import textwrap
import threading
from typing import NamedTuple

import numpy as np
import torch

from lct_lab import init, plots, probes, signals, tables, theory, transform
from lct_lab.checks import require_size

SIZES = [
    1,
    2,
    5,
    10,
    20,
    32,
    50,
    64,
    100,
    128,
    200,
    256,
    300,
    400,
    500,
    512,
    700,
    800,
    1000,
    1024,
    1500,
    2000,
    2048,
    3000,
    4096,
    5000,
    7000,
    10_000,
    16_384,
    20_000,
    30_000,
    50_000,
    65_536,
    100_000,
]
MATRIX = 128  # the largest size whose analysis matrix is drawn
ASKS = "**Question.**"  # how the question of a notebook begins
LATE = 0.2  # seconds after which a picture that is not there yet is announced


class Settings(NamedTuple):
    """What a picture is of: the arguments of `probe`, amplitudes as text ("1,1.4,1,1.4", or "" for the start's own)."""

    n: int = 500
    m: int = 500
    start: str = "random"
    tied: bool = False
    signal: str = "uniform"
    batch: int = 1
    amplitudes: str = ""
    inits: int = 20
    seed: int = 0

    def command(self):
        """The line that makes this picture without a browser."""
        given = [f"{name}={value}" for name, value in self._asdict().items() if value != ""]
        return f'make notebooks NB=00 P="{" ".join(given)}"'


class Cancelled(Exception):
    """A newer picture is wanted."""


def _amplitudes(text):
    if not text.strip():
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(
            f"amplitudes must be four numbers with commas between them, got {text!r}"
        ) from None


def measure(settings, wanted=lambda: True):
    """What the four panels show, as a dict of arrays and one table, `scales`: group, measured, predicted, verdict.

    Scales are rms gradients over `inits` inits, with the standard error of an rms; the other panels show the first
    init. Where no law covers the settings, `sentence` says why. Raises ValueError or TypeError as `probe` does, and
    `Cancelled` as soon as `wanted()` is false.
    """
    n, m, start, tied, signal, batch, text, inits, seed = settings
    inits, amplitudes = require_size("inits", inits), _amplitudes(text)
    options = dict(init=start, tied=tied, amplitudes=amplitudes, seed=seed)
    amplitudes, _ = probes.require_settings(
        n, m, start, tied, seed, signal, batch, amplitudes, "auto"
    )
    if (
        signal in signals.RECORDINGS
    ):  # one table of windows, so that the law knows what it is asked about
        signal = signals.draw(
            signal, n, init.generator(seed, n, m, start, 0, "windows"), batch=max(64, inits * batch)
        )
    rows = []
    for index in range(inits):
        if not wanted():
            raise Cancelled
        rows += probes.probe_rows(
            n,
            m,
            index,
            1,
            signal=signal,
            batch=batch,
            engine="auto",
            dtype=torch.float64,
            device="cpu",
            **options,
        )
    scales, sentence = _scales(rows, settings, signal, amplitudes)
    a, w1, w2 = init.draw(n, m, index=0, **options)
    x = signals.draw(signal, n, init.generator(seed, n, m, start, 0, "signal"), batch=batch)[0]
    model = [torch.as_tensor(w1), torch.as_tensor(w1 if tied else w2)]
    X = transform.analyze(torch.as_tensor(x), a[0], a[1], model[0])
    y = transform.synthesize(X, n, a[2], a[3], model[1]).numpy()
    k = m // 2
    near = np.linspace(-8, 8, 641) * np.pi / n + w1[k]
    small = max(n, m) <= MATRIX
    return {
        "scales": scales,
        "sentence": sentence,
        "x": x,
        "y": y,
        "w": np.abs((w1 + np.pi) % (2 * np.pi) - np.pi),
        "X": np.abs(X.numpy()),
        "k": k,
        "near": (near - w1[k]) * n / np.pi,
        "losses": loss_along(x, a, w1, w1 if tied else w2, k, near, tied),
        "matrix": np.cos(np.outer(w1, np.arange(n))) * [a[0], *[a[1]] * (n - 1)] / n**0.5
        if small
        else None,
    }


def _scales(rows, settings, signal, amplitudes):
    import pandas as pd

    measured = pd.DataFrame(rows)
    squares = measured.assign(square=measured["rms"] ** 2).groupby("group", sort=False)["square"]
    scale = squares.mean() ** 0.5
    error = (squares.std() / settings.inits**0.5 / (2 * scale)).fillna(np.inf)
    try:
        predicted, sentence = (
            theory.predict(
                settings.n,
                settings.m,
                init=settings.start,
                tied=settings.tied,
                amplitudes=amplitudes,
                signal=signal,
                batch=settings.batch,
            )["rms"],
            "",
        )
    except ValueError as uncovered:
        predicted, sentence = scale * np.nan, f"no law here: {uncovered}"
    band = pd.Series(
        np.where(scale.index.str.startswith("w") & (settings.start == "random"), 0.03, 0.02),
        scale.index,
    )
    table = tables.compare(scale, predicted.reindex(scale.index), band, error)
    table.loc[table["predicted"].isna(), "verdict"] = "no law"
    return table.rename_axis("group").reset_index(), sentence


def loss_along(x, amplitudes, w1, w2, k, near, tied):
    """The loss where w_k takes each value of `near` and all else stays: one transform over the values.

    With v(w) = (a3, a4 cos w, a4 cos 2w, …)/√M and X(w) the coefficient of x at w, y - x = r + X(w) v: tied, v moves
    with w; untied, it stays at w̃_k.
    """
    n, m = len(x), len(w1)
    a1, a2, a3, a4 = amplitudes
    x, w1, w2, near = (torch.as_tensor(v) for v in (x, w1, w2, near))
    X = transform.analyze(x, a1, a2, w1)
    rest = X.clone()
    rest[k] = 0
    r = transform.synthesize(rest, n, a3, a4, w2) - x
    along = transform.analyze(x, a1, a2, near)
    place = near if tied else w2[k : k + 1]
    cross = transform.analyze(r, a3, a4, place) * (n / m) ** 0.5
    norm = (a3**2 + a4**2 * (n - 1 + theory.cosine_sum(2 * place.numpy(), n)) / 2) / m
    return ((r**2).sum() + 2 * along * cross + along**2 * torch.as_tensor(norm)).numpy()


class Panels:
    """Four panels whose artists are made once and moved ever after."""

    def __init__(self):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.lines import Line2D

        self.figure = Figure(
            figsize=(11.5, 7.4), dpi=90, layout="none"
        )  # laying out anew costs more than all the rest
        self.canvas = FigureCanvasAgg(self.figure)  # kept, and with it the shapes of all words
        axes = self.figure.subplots(2, 2)
        self.figure.subplots_adjust(
            left=0.083, right=0.985, top=0.955, bottom=0.075, wspace=0.2, hspace=0.3
        )
        (self.spectrum, self.scales), (self.basin, self.signal) = axes
        self.image = self.spectrum.imshow(
            [[0.0]], cmap="RdBu_r", aspect="auto", interpolation="nearest"
        )
        self.lines = self.spectrum.plot([], [], ".", color=plots.COLOURS[0], ms=3)[0]
        self.bars = self.scales.bar(range(6), [1.0] * 6, width=0.55, color=plots.COLOURS, bottom=0)
        self.ticks = self.scales.plot(range(6), [1.0] * 6, "_", color=plots.INK, ms=46, mew=3)[0]
        self.words = [
            self.scales.text(g, 1.0, "", ha="center", va="bottom", fontsize=8.5) for g in range(6)
        ]
        self.note = self.scales.text(
            0.5, 0.97, "", ha="center", va="top", transform=self.scales.transAxes, fontsize=9
        )
        self.scales.set(yscale="log", ylabel="rms gradient", xlim=(-0.6, 5.6))
        self.scales.set_xticks(range(6), [plots.SYMBOLS[g] for g in plots.GROUPS])
        self.scales.grid(False, axis="x")
        self.legend = self.scales.legend(
            [Line2D([], [], color=plots.INK, lw=3)], ["predicted"], loc="upper left"
        )
        self.curve = self.basin.plot([], [], color=plots.COLOURS[0])[0]
        self.minima = self.basin.plot([], [], "o", color=plots.COLOURS[2], label="basins")[0]
        self.here = self.basin.plot([], [], "D", color=plots.COLOURS[1], label="where it starts")[0]
        self.basin.set(
            xlabel=r"shift of the frequency, in bins $\pi/N$", ylabel="loss", xlim=(-8, 8)
        )
        self.basin.legend(loc="upper right", ncols=2)
        self.input = self.signal.plot([], [], color=plots.GREY, lw=2.6, label="input $x$")[0]
        self.output = self.signal.plot(
            [], [], color=plots.COLOURS[1], lw=1.3, label="reconstruction $y$"
        )[0]
        self.signal.legend(loc="upper right", ncols=2)
        self.scales.yaxis.minorticks_off()
        for ax in (
            axes.flat
        ):  # places given, not found: half the time of a picture goes into looking for them
            ax.set_title("", y=1.0, pad=5)
            ax.xaxis.set_label_coords(0.5, -0.115)
            ax.yaxis.set_label_coords(-0.135, 0.5)
        self.scales.set_title("Gradients: measured and predicted", y=1.0)

    def draw(self, found, settings):
        n, m = settings.n, settings.m
        small = found["matrix"] is not None
        self.image.set_visible(small)
        self.lines.set_visible(not small)
        self.spectrum.grid(not small)
        if small:
            limit = np.abs(found["matrix"]).max()
            self.image.set(
                data=found["matrix"], extent=(-0.5, n - 0.5, m - 0.5, -0.5), clim=(-limit, limit)
            )
            self.spectrum.set(xlim=(-0.5, n - 0.5), ylim=(m - 0.5, -0.5))
            self.spectrum.set(xlabel="sample", ylabel="frequency's number")
            self.spectrum.set_title(f"Analysis matrix, {m} × {n}", y=1.0)
        else:
            self.lines.set_data(found["w"], found["X"])
            top = found["X"].max() or 1.0
            self.spectrum.set(
                xlim=(0, np.pi),
                ylim=(0, 1.08 * top),
                xlabel="frequency, rad per sample",
                ylabel="|X|",
            )
            self.spectrum.set_title(f"Coefficients at {m:,} frequencies", y=1.0)
        self._draw_scales(found)
        losses, near = found["losses"], found["near"]
        inner = losses[1:-1]
        lowest = np.flatnonzero((inner < losses[:-2]) & (inner < losses[2:])) + 1
        self.curve.set_data(near, losses)
        self.minima.set_data(near[lowest], losses[lowest])
        self.here.set_data([0], [losses[len(losses) // 2]])
        spread = np.ptp(losses) or 1.0
        self.basin.set(ylim=(losses.min() - 0.08 * spread, losses.max() + 0.25 * spread))
        self.basin.set_title(
            y=1.0,
            label=f"Loss along frequency number {found['k']}: {len(lowest)} basins in 16 bins",
        )
        shown = min(n, 120)
        self.input.set_data(range(shown), found["x"][:shown])
        self.output.set_data(range(shown), found["y"][:shown])
        high = 1.35 * max(np.abs(found["x"][:shown]).max(), np.abs(found["y"][:shown]).max(), 1e-12)
        share = np.sum((found["y"] - found["x"]) ** 2) / max(np.sum(found["x"] ** 2), 1e-300)
        self.signal.set(xlim=(-0.5, max(shown - 0.5, 0.5)), ylim=(-high, high))
        self.signal.set(xlabel=f"sample, first {shown} of {n:,}" if shown < n else "sample")
        self.signal.set_title(f"Reconstruction: error {share:.3g} of the energy", y=1.0)

    def _draw_scales(self, found):
        table = found["scales"].set_index("group").reindex(plots.GROUPS)
        both = table[["measured", "predicted"]].to_numpy()
        good = both[np.isfinite(both) & (both > 0)]
        low, high = (good.min() / 3, good.max() * 12) if good.size else (0.1, 10)
        for bar, word, (group, row) in zip(self.bars, self.words, table.iterrows(), strict=True):
            height = row["measured"] if row["measured"] > 0 else low
            bar.set(
                y=low,
                height=height - low,
                color=plots.LOOK[group]["color"],
                visible=row["measured"] > 0,
            )
            word.set_y(max(height, row["predicted"] if row["predicted"] > 0 else 0) * 1.25)
            ratio = f"×{row['ratio']:.2f}\n" if np.isfinite(row["ratio"]) else ""
            word.set_text(ratio + row["verdict"] if isinstance(row["verdict"], str) else "tied")
        self.ticks.set_ydata(np.where(table["predicted"] > 0, table["predicted"], np.nan))
        self.note.set_text(textwrap.fill(found["sentence"], 66))
        self.legend.set_visible(not found["sentence"])
        self.scales.set_ylim(low, high)

    def png(self):
        import io

        target = io.BytesIO()
        self.canvas.print_png(target, pil_kwargs={"compress_level": 1})
        return target.getvalue()


def draw(settings=None):
    """The picture of `Settings` as a matplotlib Figure, for a page without widgets. Raises as `measure` does."""
    panels, settings = Panels(), settings or Settings()
    panels.draw(measure(settings), settings)
    return panels.figure


class Explorer:
    """Widgets over `Panels`; a picture is computed in a thread, and given up as soon as a newer one is wanted."""

    def __init__(self, settings):
        import ipywidgets as w

        wide = {
            "layout": w.Layout(width="100%", min_width="0"),
            "style": {"description_width": "76px"},
        }
        late = {"continuous_update": False, **wide}
        size = {"options": sorted({*SIZES, settings.n, settings.m}), **late}
        own = "the start's own, or four: 1,1.41,1,1.41"
        self.controls = {
            "n": w.SelectionSlider(description="samples N", value=settings.n, **size),
            "m": w.SelectionSlider(description="freq. M", value=settings.m, **size),
            "start": w.Dropdown(
                description="start", options=list(init.INITS), value=settings.start, **wide
            ),
            "tied": w.Checkbox(
                description="one frequency vector (tied)", value=settings.tied, indent=False
            ),
            "signal": w.Dropdown(
                description="signal", options=signals.SIGNALS, value=settings.signal, **wide
            ),
            "batch": w.IntSlider(description="batch", min=1, max=64, value=settings.batch, **late),
            "amplitudes": w.Text(
                description="a1 … a4", value=settings.amplitudes, placeholder=own, **late
            ),
            "inits": w.IntSlider(description="inits", min=2, max=200, value=settings.inits, **late),
            "seed": w.BoundedIntText(
                description="seed", min=0, max=2**31 - 1, value=settings.seed, **wide
            ),
        }
        self.picture, self.busy = w.Image(format="png", layout=w.Layout(width="100%")), w.HTML()
        self.says, self.line = w.HTML(), w.HTML()
        names, fit = ("Write the command", "Save the figure"), w.Layout(width="auto")
        write, save = (w.Button(description=name, layout=fit) for name in names)
        write.on_click(lambda _: self._say(self.line, settings_of(self).command(), "code"))
        save.on_click(lambda _: self.save())
        self.panels, self.lock, self.newest = Panels(), threading.Lock(), 0
        for control in self.controls.values():
            control.observe(lambda _: self.refresh(), "value")
        grid = w.GridBox(
            [*self.controls.values()],
            layout=w.Layout(
                grid_template_columns="repeat(auto-fit, minmax(260px, 1fr))", grid_gap="2px 18px"
            ),
        )
        self.widget = w.VBox(
            [grid, w.HBox([write, save, self.busy]), self.line, self.says, self.picture]
        )
        self.refresh()

    def refresh(self):
        """Start on the picture of the current settings; returns the thread that makes it."""
        self.newest += 1
        self.thread = threading.Thread(
            target=self._show, args=(self.newest, settings_of(self)), daemon=True
        )
        self.thread.start()
        return self.thread

    def _show(self, number, settings):
        late = threading.Timer(LATE, self._say, (self.busy, "computing …", "em"))
        late.start()
        try:
            found = measure(settings, lambda: number == self.newest)
            with self.lock:
                if number == self.newest:
                    self.panels.draw(found, settings)
                    self.picture.value, self.says.value = self.panels.png(), ""
        except Cancelled:
            pass
        except (ValueError, TypeError, MemoryError) as error:
            if number == self.newest:
                self._say(self.says, str(error), "b")
        finally:
            late.cancel()
            if number == self.newest:
                self.busy.value = ""

    def save(self):
        name = "00-explore-" + "-".join(
            str(v).replace(",", "_") for v in settings_of(self) if v != ""
        )
        with self.lock:
            plots.save_figure(self.panels.figure, name, alt="the explorer's four panels")
        self._say(self.line, f"saved as {tables.output('figures', name)}.svg and .png", "span")

    @staticmethod
    def _say(place, text, tag):
        import html

        place.value = f"<{tag}>{html.escape(text)}</{tag}>"


def settings_of(explorer):
    return Settings(*(control.value for control in explorer.controls.values()))


def explorer(settings=None):
    """The explorer as an ipywidgets box, for the last line of a cell; it starts at `settings`."""
    return Explorer(settings or Settings()).widget


def abstract(path):
    """Title and question of a notebook, from its first cell."""
    first = "".join(json.loads(path.read_text())["cells"][0]["source"]).splitlines()
    question = next((line for line in first if line.startswith(ASKS)), "")
    return first[0].lstrip("# "), question.removeprefix(ASKS).strip()


def contents():
    """The project's other notebooks, each a link, its title and its question, for display."""
    from IPython.display import Markdown

    found = sorted((tables.root() / "notebooks").glob("[0-9][0-9]-*.ipynb"))
    titles = {path.name: abstract(path) for path in found if not path.name.startswith("00-")}
    return Markdown(
        "\n".join(f"* [{title}]({name}). {question}" for name, (title, question) in titles.items())
    )
