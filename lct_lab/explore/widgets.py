"""The explorer itself: widgets over the panels, a picture for every change of a setting."""

import html
import threading
import time

import ipywidgets as w

from lct_lab import init, plots, signals, tables
from lct_lab.checks import require_choice, require_flag, require_size
from lct_lab.explore.measure import STATISTICS, Cancelled, Settings, measure, require_settings
from lct_lab.explore.panels import Panels

ROUND = {digit * 10**power for digit in (1, 2, 3, 5, 8) for power in range(5)} | {100_000}
SIZES = ROUND | {2**power for power in range(5, 17)}
INITS = {digit * 10**power for digit in (1, 2, 5) for power in range(4)} | {10_000}
BATCHES = range(1, 65)
SEEDS = 2**31 - 1  # the largest to be typed
LATE = 0.2  # seconds after which a picture that is not there yet is announced
WIDE = {"layout": {"width": "100%", "min_width": "0"}, "style": {"description_width": "76px"}}


class Explorer:
    """Widgets over `Panels`: a picture for every change of a setting.

    It is computed in a thread, and given up as soon as a newer one is wanted or the interpreter
    ends: a thread that lives longer would abort it. `drawn` are the settings of the picture that is
    shown, `found` what was measured for it; after an error there is none, and nothing to save.
    `statistic` says which of the statistics found the bars show; another is drawn, not measured.
    """

    def __init__(self, settings):
        self.controls = _controls(_shown(settings))
        self.picture = w.Image(format="png", layout={"width": "100%"})
        self.busy, self.says, self.line = w.HTML(), w.HTML(), w.HTML()
        self.write = w.Button(description="Write the command", layout={"width": "auto"})
        self.keep = w.Button(description="Save the figure", layout={"width": "auto"})
        self.statistic = _dropdown("bars", [*STATISTICS], "rms")
        self.widget = self._laid_out()
        self.panels, self.drawn, self.found = Panels(), None, None
        self.lock, self.newest = threading.Lock(), 0
        self.write.on_click(lambda _: self._say(self.line, settings_of(self).command(), "code"))
        self.keep.on_click(lambda _: self.save())
        for control in self.controls.values():
            control.observe(lambda _: self.refresh(), "value")
        self.statistic.observe(lambda _: self.turn(), "value")
        self.refresh()

    def _laid_out(self):
        columns = {
            "grid_template_columns": "repeat(auto-fit, minmax(260px, 1fr))",
            "grid_gap": "2px 18px",
        }
        grid = w.GridBox([*self.controls.values(), self.statistic], layout=columns)
        buttons = w.HBox([self.write, self.keep, self.busy])
        return w.VBox([grid, buttons, self.line, self.says, self.picture])

    def refresh(self):
        """Start on the picture of the current settings; returns the thread that makes it."""
        self.newest += 1
        self.line.value = ""  # a command or a file of other settings
        self.thread = threading.Thread(target=self._show, args=(self.newest, settings_of(self)))
        self.thread.start()
        return self.thread

    def _show(self, number, settings):
        started = time.monotonic()
        try:
            found = measure(settings, lambda: self._wanted(number, started))
            with self.lock:
                if self._wanted(number, started):
                    self._draw(found, settings)
        except Cancelled:
            pass
        except Exception as error:  # whatever it is, the reader sees it and not an old picture
            if number == self.newest:
                self._fail(error)
        finally:
            if number == self.newest:
                self.busy.value = ""

    def _wanted(self, number, started):
        """Whether picture `number` is still to be made; where it is late, that is announced."""
        if number != self.newest or not threading.main_thread().is_alive():
            return False
        if time.monotonic() - started > LATE:
            self._say(self.busy, "computing …", "em")
        return True

    def turn(self):
        """Draw what was found once more, its bars of the statistic that is wanted now."""
        self.line.value = ""
        with self.lock:
            if self.drawn is not None:
                self._draw(self.found, self.drawn)

    def _draw(self, found, settings):
        self.panels.draw(found, settings, self.statistic.value)
        self.picture.value = self.panels.png()
        self.drawn, self.found, self.says.value = settings, found, ""
        self._show_picture(True)

    def _fail(self, error):
        """The sentence of an error in the place of the picture, which is of other settings."""
        expected = isinstance(error, (ValueError, TypeError))
        self._say(self.says, str(error) if expected else f"{type(error).__name__}: {error}", "b")
        self.drawn = None
        self._show_picture(False)

    def _show_picture(self, there):
        self.picture.layout.visibility = "visible" if there else "hidden"
        self.write.disabled = self.keep.disabled = not there

    def save(self):
        """Save the picture as figures/00-explore-… of a run, as `plots.save_figure` does."""
        with self.lock:
            if self.drawn is None:
                return self._say(self.line, "there is no picture to save", "span")
            kind = {"rms": "", "median": "-median"}[self.statistic.value]
            name = f"00-explore-{self.drawn.slug()}{kind}"
            try:
                plots.save_figure(self.panels.figure, name, alt="the explorer's four panels")
                said = f"saved as {tables.output('figures', name)}.svg and .png"
            except Exception as error:  # which the button would show nowhere
                said = f"not saved: {error}"
        self._say(self.line, said, "span")

    @staticmethod
    def _say(place, text, tag):
        place.value = f"<{tag}>{html.escape(text)}</{tag}>"


def _shown(settings):
    """Return `settings`, or raise where no control can stand at them."""
    require_settings(settings)
    sizes = {
        name: require_size(name, getattr(settings, name), 0 if name == "seed" else 1)
        for name in ("n", "m", "batch", "inits", "seed")
    }
    require_choice("start", settings.start, init.INITS)
    require_flag("tied", settings.tied)
    require_choice("signal", settings.signal, signals.SIGNALS)
    if not isinstance(settings.amplitudes, str):
        raise TypeError(f"amplitudes must be text, got {settings.amplitudes!r}")
    return settings._replace(**sizes)


def _controls(settings):
    """A widget for each of `Settings`, in their order."""
    return {
        "n": _steps("samples N", SIZES | {settings.m}, settings.n),
        "m": _steps("freq. M", SIZES | {settings.n}, settings.m),
        "start": _dropdown("start", [*init.INITS], settings.start),
        "tied": w.Checkbox(
            description="one frequency vector (tied)", value=settings.tied, indent=False
        ),
        "signal": _dropdown("signal", signals.SIGNALS, settings.signal),
        "batch": _steps("batch", BATCHES, settings.batch),
        "amplitudes": w.Text(
            description="a1 … a4",
            value=settings.amplitudes,
            placeholder="the start's own, or four: 1,1.41,1,1.41",
            continuous_update=False,
            **WIDE,
        ),
        "inits": _steps("inits", INITS, settings.inits),
        "seed": w.BoundedIntText(
            description="seed", min=0, max=max(SEEDS, settings.seed), value=settings.seed, **WIDE
        ),
    }


def _steps(name, steps, value):
    """A slider of numbers, `value` among them: a range would cut off what lies beyond its ends."""
    return w.SelectionSlider(
        description=name,
        options=sorted({*steps, value}),
        value=value,
        continuous_update=False,
        **WIDE,
    )


def _dropdown(name, options, value):
    return w.Dropdown(description=name, options=options, value=value, **WIDE)


def settings_of(explorer):
    """The `Settings` that the controls of an `Explorer` stand at."""
    return Settings(*(control.value for control in explorer.controls.values()))


def explorer(settings=None):
    """The explorer as an ipywidgets box, for the last line of a cell; it starts at `settings`.

    Raises TypeError or ValueError naming a setting that no control can stand at.
    """
    return Explorer(Settings() if settings is None else settings).widget
