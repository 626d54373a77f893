"""What a picture of the explorer shows, computed: no widgets, no figures."""

import hashlib
from contextlib import closing
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from lct_lab import comparison, init, laws, probes, signals, transform
from lct_lab.checks import require_size

MATRIX = 128  # the largest size whose analysis matrix is shown
BINS = 8  # to either side of a frequency, in units of π/N: how far its loss is followed
POINTS = 641  # of that loss, 40 a bin
STATISTICS = {"rms": "scales", "median": "medians"}  # of a gradient, and the tables of them
LARGEST = 1e10  # of amplitudes: the spread of squared gradients has their sixteenth power
LONGEST = 120  # characters of a piece of a file's name


class Settings(NamedTuple):
    """What a picture is of: the arguments of `probe`, `init` called start.

    amplitudes : as text, "1,1.4,1,1.4", or "" for the start's own.
    """

    n: int = 500
    m: int = 500
    start: str = "random"
    tied: bool = False
    signal: str = "uniform"
    batch: int = 1
    amplitudes: str = ""
    inits: int = 200
    seed: int = 0

    def command(self):
        """The line that makes this picture without a browser."""
        given = [f"{name}={value}" for name, value in self._given().items()]
        return f'make notebooks NB=00 P="{" ".join(given)}"'

    def slug(self):
        """The settings as a piece of a file's name."""
        slug = "-".join(self._given().values()).replace("_", "__").replace(",", "_")
        if len(slug) <= LONGEST:
            return slug
        # a name that a file cannot have is cut, and told from others by the hash of all of it
        return f"{slug[: LONGEST - 17]}-{hashlib.sha256(slug.encode()).hexdigest()[:16]}"

    def _given(self):
        """The settings as text without blanks, those left to the start out."""
        texts = {name: "".join(str(value).split()) for name, value in self._asdict().items()}
        return {name: text for name, text in texts.items() if text}


class Cancelled(Exception):
    """A newer picture is wanted."""


def measure(settings, wanted=lambda: True):
    """What the four panels show, as a dict.

    scales, medians : of the rms gradient over `inits` starts and of its median, a table of group,
        measured, predicted, verdict, starts, …, one row a group, as `comparison.judged` makes it;
        the verdicts of both tables together hold at its confidence.
    sentence : why no law covers the settings, or "".
    x, y : (n,) the first start's signal and its reconstruction.
    w, X : (m,) its frequencies, folded to 0 … π, and the sizes of their coefficients.
    k, near, losses : the number of the middle frequency, (641,) shifts of it in bins π/N, and
        (641,) the loss at each. matrix : (m, n) of the analysis; None beyond 128.

    Raises ValueError or TypeError as `probe` does, and `Cancelled` as soon as `wanted()` is false.
    """
    settings, options = _checked(settings)
    rows = _rows(settings, options, wanted)
    scales, sentence = _scales(rows, settings, options)
    return {**scales, "sentence": sentence, **_first_start(settings, options)}


def require_settings(value):
    """Return `value`, or raise TypeError unless it is `Settings`."""
    if not isinstance(value, Settings):
        raise TypeError(f"settings must be Settings, got {type(value).__name__}")
    return value


def _amplitudes(text):
    """The numbers of a text such as "1,1.4,1,1.4", None where it is empty."""
    if not isinstance(text, str):
        raise TypeError(f"amplitudes must be text such as '1,1.4,1,1.4', got {text!r}")
    if not text.strip():
        return None
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        wanted = "four numbers with commas between them"
        raise ValueError(f"amplitudes must be {wanted}, got {text!r}") from None
    sizes = [abs(a) for a in found if a != 0 and np.isfinite(a)]
    if any(not 1 / LARGEST <= size <= LARGEST for size in sizes):
        wanted = f"0 or between {1 / LARGEST:g} and {LARGEST:g} in size"
        raise ValueError(f"amplitudes must be {wanted}, got {text!r}")
    return found


def _checked(settings):
    """The settings, and as options of `probe_rows`: there a recording is one table of windows."""
    n, m, start, tied, name, batch, text, inits, seed = require_settings(settings)
    inits = require_size("inits", inits)
    given = {"init": start, "tied": tied, "amplitudes": _amplitudes(text), "signal": name}
    found = probes.Settings.checked(n, m, **given, batch=batch, seed=seed, engine="auto")
    sizes = {size: getattr(found, size) for size in ("n", "m", "batch", "seed")}
    shared = {"init": found.init, "batch": found.batch, "seed": found.seed}
    table = comparison.windows(found.signal, found.n, found.m, inits=inits, **shared)
    options = {**shared, "tied": found.tied, "amplitudes": found.amplitudes, "signal": table}
    return settings._replace(inits=inits, **sizes), options


def _rows(settings, options, wanted):
    """The rows of `probe`, a few starts at a time, so that they can be given up in between."""
    asked = probes.Settings.checked(settings.n, settings.m, engine="auto", **options)
    found = []
    with closing(probes.blocks(asked, settings.inits)) as blocks:
        while wanted():
            block = next(blocks, None)
            if block is None:
                return pd.DataFrame(probes.joined(found))
            found.append(block)
    raise Cancelled


def _scales(rows, settings, options):
    """{name: every group against its law}, and the sentence that says why there is none."""
    asked = {name: value for name, value in options.items() if name != "seed"}
    try:
        law, sentence = comparison.predicted(settings.n, settings.m, **asked), ""
    except ValueError as uncovered:
        law, sentence = None, f"no law here: {uncovered}"
    table = comparison.judged(rows, law, statistics=list(STATISTICS))
    return {name: table.loc[of].reset_index() for of, name in STATISTICS.items()}, sentence


def _first_start(settings, options):
    """Of the first start: its transform, the loss along a frequency, its reconstruction."""
    n, m, start, tied, *_ = settings
    drawn = {name: options[name] for name in ("init", "tied", "amplitudes", "seed")}
    a, w1, own = init.draw(n, m, index=0, **drawn)
    w2 = w1 if tied else own
    rng = init.generator(settings.seed, n, m, start, 0, "signal")
    x = signals.draw(options["signal"], n, rng, batch=settings.batch)[0]
    X = transform.analyze(torch.from_numpy(x), a[0], a[1], torch.from_numpy(w1))
    y = transform.synthesize(X, n, a[2], a[3], torch.from_numpy(w2))
    k = m // 2
    near = np.linspace(-BINS, BINS, POINTS) * np.pi / n + w1[k]
    return {
        "x": x,
        "y": y.numpy(),
        "w": np.abs((w1 + np.pi) % (2 * np.pi) - np.pi),
        "X": np.abs(X.numpy()),
        "k": k,
        "near": (near - w1[k]) * n / np.pi,
        "losses": loss_along(x, a, w1, w2, k, near, tied),
        "matrix": _analysis_matrix(n, a, w1) if max(n, m) <= MATRIX else None,
    }


def _analysis_matrix(n, amplitudes, w):
    """a1 in column 0, a2 cos(w_k n) in the others, over √N: (m, n)."""
    a1, a2, *_ = amplitudes
    return np.cos(np.outer(w, np.arange(n))) * [a1, *[a2] * (n - 1)] / n**0.5


def loss_along(x, amplitudes, w1, w2, k, near, tied):
    """The loss where w_k takes each value of `near` and all else stays: one transform of each side.

        L(w) = |r + X(w) v|² = |r|² + 2 X(w) r·v + X(w)² |v|²

    with X(w) the coefficient of x at w, v = (a3, a4 cos w̃, a4 cos 2w̃, …)/√M the column that it
    multiplies, and r what y - x is without frequency k. Tied, w̃ moves with w; untied, it is w̃_k.
    """
    n, m = len(x), len(w1)
    a1, a2, a3, a4 = amplitudes
    x, w1, w2, near = (torch.from_numpy(v) for v in (x, w1, w2, near))
    X = transform.analyze(x, a1, a2, w1)
    rest = X.clone()
    rest[k] = 0
    r = transform.synthesize(rest, n, a3, a4, w2) - x
    along = transform.analyze(x, a1, a2, near)
    place = near if tied else w2[k : k + 1]
    cross = transform.analyze(r, a3, a4, place) * (n / m) ** 0.5
    norm = (a3**2 + a4**2 * (n - 1 + laws.cosine_sum(2 * place.numpy(), n)) / 2) / m
    return ((r**2).sum() + 2 * along * cross + along**2 * torch.from_numpy(norm)).numpy()
