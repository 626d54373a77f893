"""Synthetic noise, recordings that ship with well-kept packages, and the user's own arrays."""

from collections.abc import Mapping, Set
from functools import cache
from reprlib import repr as short

import numpy as np

from lct_lab import scaling
from lct_lab.checks import require_choice, require_memory, require_samples, require_size

NOISES = ("uniform", "normal")

RECORDINGS = {
    "eeg": "electroencephalogram, 4 channels of 800 samples; sample_data/eeg.dat of matplotlib "
    "(Matplotlib licence)",
    "ecg": "electrocardiogram, 1024 samples, sampling rate not documented; PyWavelets, "
    "pywt.data.ecg (MIT licence)",
    "sunspots": "yearly sunspot numbers 1700-2008, 309 samples; statsmodels, from the US National "
    "Geophysical Data Center (public domain)",
}

SIGNALS = (*NOISES, *RECORDINGS)
ROUNDS = 10  # through a table, from which on all its rows count as drawn alike
ROUNDED = 1e-12  # of a mean: what sums of ordinary numbers leave


def recording(name):
    """A recording as an array (channels, samples); RECORDINGS[name] has its source and licence.

    The array is the same at every call, and read-only.
    """
    return _recorded(require_choice("name", name, RECORDINGS))


@cache
def _recorded(name):
    samples = _loaded(name)
    samples.flags.writeable = False
    return samples


def _loaded(name):
    if name == "eeg":
        from matplotlib import cbook

        with cbook.get_sample_data("eeg.dat") as file:
            return np.frombuffer(file.read(), dtype=float).reshape(800, 4).T.copy()
    if name == "ecg":
        from pywt import data

        return np.array(data.ecg(), dtype=float)[None]
    from statsmodels.datasets import sunspots

    return np.array(sunspots.load_pandas().data["SUNACTIVITY"], dtype=float)[None]


def windows(signal, n, starts, channels=None):
    """Windows of n samples, each with its mean removed and scaled to unit variance: (count, n).

    Parameters
    ----------
    signal : the name of a recording, or an array of your own, (samples,) or (channels, samples).
    n : samples of a window, at least 2.
    starts : the first sample of each window; channels : its channel, not needed where there is one.

    Raises ValueError or TypeError naming the argument, also for a window that is constant.
    """
    n = require_size("n", n)
    if isinstance(signal, str):
        source = recording(check(require_choice("signal", signal, RECORDINGS), n))
    else:
        source = _channels(signal, n)
    starts, channels = _places(source.shape, n, starts, channels)
    cut = np.stack([source[c, s : s + n] for c, s in zip(channels, starts, strict=True)])
    name = f"signal {signal!r}" if isinstance(signal, str) else "signal"
    if (cut == cut[:, :1]).all(1).any():
        raise ValueError(
            f"{name} has a constant window of {n} samples, which cannot have unit variance"
        )
    return _standardised(cut / scaling.unit(cut, axis=1))


def _standardised(cut):
    """Windows (count, n), none of them constant, less their mean and over their spread."""
    centred = cut - cut.mean(-1, keepdims=True)
    centred /= scaling.unit(centred, axis=1)
    # of values far from zero the mean is rounded to their digits, and not to those of the spread
    rest = centred.mean(-1, keepdims=True)
    centred -= np.where(np.abs(rest) > ROUNDED, rest, 0.0)
    return centred / centred.std(-1, keepdims=True)


def _channels(signal, n):
    """The user's array as (channels, samples), or the sentence about what does not fit."""
    array = require_samples(signal)
    if array.ndim not in (1, 2) or not array.size:
        raise ValueError(
            f"signal must have shape (samples,) or (channels, samples), got {array.shape}"
        )
    _require_finite(array)
    if not 2 <= n <= array.shape[-1]:
        raise ValueError(
            f"n must be between 2 and {array.shape[-1]}, the samples of the signal, got {n}"
        )
    return np.atleast_2d(array)


def _places(shape, n, starts, channels):
    """Starts and channels as lists of one length, each window of n samples within `shape`."""
    starts = _integers("starts", starts)
    if channels is None and shape[0] > 1:
        raise ValueError(f"channels must be given for a signal of {shape[0]} channels, got None")
    channels = [0] * len(starts) if channels is None else _integers("channels", channels)
    if not len(starts) == len(channels) > 0:
        raise ValueError(
            "starts and channels must have one entry a window, at least one, "
            f"got {len(starts)} and {len(channels)}"
        )
    for channel, start in zip(channels, starts, strict=True):
        if channel >= shape[0] or start > shape[1] - n:
            raise ValueError(
                f"channels and starts must be of {n} samples within {shape}, "
                f"got {channel} and {start}"
            )
    return starts, channels


def _integers(name, values):
    flat = getattr(values, "ndim", 1) == 1
    unordered = isinstance(values, (str, bytes, Mapping, Set))
    if unordered or not hasattr(values, "__iter__") or not flat:
        raise TypeError(f"{name} must be a list of integers, got {short(values)}")
    return [require_size(name, value, 0) for value in values]


def check(signal, n, batch=1):
    """Return `signal` as a name or a finite float64 array of windows (count, n).

    A 1-D array is one window that all inits share. Raises ValueError or TypeError naming what does
    not fit n or `batch`.
    """
    n, batch = require_size("n", n), require_size("batch", batch)
    if isinstance(signal, str):
        return _check_name(signal, n)
    array = require_samples(signal)
    if array.ndim not in (1, 2) or array.shape[-1] != n or not array.size:
        raise ValueError(f"signal must have shape ({n},) or (windows, {n}), got {array.shape}")
    _require_finite(array)
    if array.ndim == 1 and batch > 1:
        raise ValueError(
            f"batch must be 1 when one signal is shared by all inits, got {batch}; "
            "pass a table of windows"
        )
    return np.atleast_2d(array)


def _check_name(name, n):
    if name not in SIGNALS:
        raise ValueError(f"signal must be an array or one of {', '.join(SIGNALS)}, got {name!r}")
    if name in RECORDINGS:
        longest = recording(name).shape[1]
        if not 2 <= n <= longest:
            raise ValueError(
                f"n must be between 2 and {longest}, the length of the recording {name!r}, got {n}"
            )
    return name


def _require_finite(array):
    if not np.isfinite(array).all():
        raise ValueError("signal must be finite, got a NaN or an infinity")


def draw(signal, n, rng, *, index=0, batch=1):
    """`batch` signals of n samples for init number `index`: an array (batch, n).

    Parameters
    ----------
    signal : "uniform" is U(-1, 1) (σ² = 1/3), "normal" N(0, 1); a recording's name gives random
        windows of it, standardised. A 1-D array is shared by all inits. Of a 2-D array of windows,
        init i takes rows i·batch … i·batch + batch - 1, modulo its rows.
    rng : the numpy Generator of all that is random.
    index : the init's number; None for rows of a table drawn at random, each as likely as another.

    Raises TypeError or ValueError naming the argument, also for a window longer than the recording.
    """
    n, batch = require_size("n", n), require_size("batch", batch)
    signal = check(signal, n, batch)
    require_memory(n * batch, n=n, batch=batch)
    index = None if index is None else require_size("index", index, 0)
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a numpy Generator, got {rng!r}")
    return _drawn(signal, n, rng, index, batch)


def _drawn(signal, n, rng, index, batch):
    """`draw` of a signal in the form that `check` returns."""
    if not isinstance(signal, str):
        return signal[_rows(len(signal), rng, index, batch)]
    if signal == "uniform":
        return from_uniforms(rng.random((batch, n)))
    if signal == "normal":
        return rng.standard_normal((batch, n))
    channels, length = recording(signal).shape
    starts = rng.integers(length - n + 1, size=batch)
    return windows(signal, n, starts, rng.integers(channels, size=batch))


def from_uniforms(numbers):
    """U(-1, 1) from numbers between 0 and 1."""
    return numbers * 2 - 1


def draw_block(signal, n, indices, generator, batch):
    """`draw` of several inits, (inits, batch, n), for a signal in the form that `check` returns.

    generator : the function from the number of an init to the Generator of its signals.
    """
    if isinstance(signal, str):
        drawn = [_drawn(signal, n, generator(index), index, batch) for index in indices]
    else:
        drawn = [signal[_rows(len(signal), None, index, batch)] for index in indices]
    return np.array(drawn)


def seen(signal, inits, batch=1):
    """What inits 0 … inits - 1 see of a signal: of a table the rows that `draw` gives them.

    signal : as `check` returns it. Each row comes as often as they draw it, until all have been
    drawn so often that once more or less does not matter. A name, and a table that they go through
    in whole rounds, stay as they are.
    """
    if isinstance(signal, str):
        return signal
    drawn = require_size("inits", inits) * require_size("batch", batch)
    rounds, rest = divmod(drawn, len(signal))
    if rest == 0 or rounds >= ROUNDS:
        return signal
    return signal[_rows(len(signal), None, 0, drawn)]


def _rows(count, rng, index, batch):
    """Which of `count` rows of a table: those of init `index` in turn, or random ones."""
    if index is None:
        return rng.integers(count, size=batch)
    return (index * batch % count + np.arange(batch)) % count
