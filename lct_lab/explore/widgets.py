"""The explorer itself: widgets over the panels, a picture for every change of a setting."""

import html
import threading

import ipywidgets as w

from lct_lab import init, plots, signals, tables
from lct_lab.explore.measure import Cancelled, Settings, measure
from lct_lab.explore.panels import Panels

ROUND = {digit * 10**power for digit in (1, 2, 3, 5, 8) for power in range(5)} | {100_000}
BINARY = {2**power for power in range(5, 17)}
LATE = 0.2  # seconds after which a picture that is not there yet is announced
WIDE = {"layout": {"width": "100%", "min_width": "0"}, "style": {"description_width": "76px"}}


class Explorer:
    """Widgets over `Panels`: a picture for every change of a setting.

    It is computed in a thread, and given up as soon as a newer one is wanted.
    """

    def __init__(self, settings):
        self.controls = _controls(settings)
        self.picture = w.Image(format="png", layout={"width": "100%"})
        self.busy, self.says, self.line = w.HTML(), w.HTML(), w.HTML()
        self.panels, self.lock, self.newest = Panels(), threading.Lock(), 0
        for control in self.controls.values():
            control.observe(lambda _: self.refresh(), "value")
        self.widget = self._laid_out()
        self.refresh()

    def _laid_out(self):
        write = w.Button(description="Write the command", layout={"width": "auto"})
        save = w.Button(description="Save the figure", layout={"width": "auto"})
        write.on_click(lambda _: self._say(self.line, settings_of(self).command(), "code"))
        save.on_click(lambda _: self.save())
        columns = {
            "grid_template_columns": "repeat(auto-fit, minmax(260px, 1fr))",
            "grid_gap": "2px 18px",
        }
        grid = w.GridBox([*self.controls.values()], layout=columns)
        buttons = w.HBox([write, save, self.busy])
        return w.VBox([grid, buttons, self.line, self.says, self.picture])

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
        """Save the picture as figures/00-explore-… of a run, as `plots.save_figure` does."""
        given = [str(value).replace(",", "_") for value in settings_of(self) if value != ""]
        name = "-".join(["00-explore", *given])
        with self.lock:
            plots.save_figure(self.panels.figure, name, alt="the explorer's four panels")
        self._say(self.line, f"saved as {tables.output('figures', name)}.svg and .png", "span")

    @staticmethod
    def _say(place, text, tag):
        place.value = f"<{tag}>{html.escape(text)}</{tag}>"


def _controls(settings):
    """A widget for each of `Settings`, in their order."""
    return {
        "n": _slider_of_sizes("samples N", settings.n, settings),
        "m": _slider_of_sizes("freq. M", settings.m, settings),
        "start": _dropdown("start", [*init.INITS], settings.start),
        "tied": w.Checkbox(
            description="one frequency vector (tied)", value=settings.tied, indent=False
        ),
        "signal": _dropdown("signal", signals.SIGNALS, settings.signal),
        "batch": _slider("batch", 1, 64, settings.batch),
        "amplitudes": w.Text(
            description="a1 … a4",
            value=settings.amplitudes,
            placeholder="the start's own, or four: 1,1.41,1,1.41",
            continuous_update=False,
            **WIDE,
        ),
        "inits": _slider("inits", 2, 200, settings.inits),
        "seed": w.BoundedIntText(
            description="seed", min=0, max=2**31 - 1, value=settings.seed, **WIDE
        ),
    }


def _slider_of_sizes(name, value, settings):
    sizes = sorted(ROUND | BINARY | {settings.n, settings.m})
    return w.SelectionSlider(
        description=name, options=sizes, value=value, continuous_update=False, **WIDE
    )


def _slider(name, least, most, value):
    return w.IntSlider(
        description=name, min=least, max=most, value=value, continuous_update=False, **WIDE
    )


def _dropdown(name, options, value):
    return w.Dropdown(description=name, options=options, value=value, **WIDE)


def settings_of(explorer):
    """The `Settings` that the controls of an `Explorer` stand at."""
    return Settings(*(control.value for control in explorer.controls.values()))


def explorer(settings=None):
    """The explorer as an ipywidgets box, for the last line of a cell; it starts at `settings`."""
    return Explorer(settings or Settings()).widget
