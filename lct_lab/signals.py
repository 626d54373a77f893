"""Synthetic noise, recordings that ship with well-kept packages, and the user's own arrays."""

from functools import cache

import numpy as np

from lct_lab.checks import require_choice, require_samples, require_size

NOISES = ("uniform", "normal")

RECORDINGS = {
    "eeg": "electroencephalogram, 4 channels of 800 samples; sample_data/eeg.dat of matplotlib (Matplotlib licence)",
    "ecg": "electrocardiogram, 1024 samples, sampling rate not documented; PyWavelets, pywt.data.ecg (MIT licence)",
    "sunspots": "yearly sunspot numbers 1700-2008, 309 samples; statsmodels, from the US National Geophysical Data "
    "Center (public domain)",
}

SIGNALS = (*NOISES, *RECORDINGS)


@cache
def recording(name):
    """A recording as an array (channels, samples); its source and licence are in RECORDINGS[name]."""
    require_choice("name", name, RECORDINGS)
    if name == "eeg":
        from matplotlib import cbook

        with cbook.get_sample_data("eeg.dat") as file:
            return np.frombuffer(file.read(), dtype=float).reshape(800, 4).T.copy()
    if name == "ecg":
        from pywt import data

        return np.asarray(data.ecg(), dtype=float)[None]
    from statsmodels.datasets import sunspots

    return np.array(sunspots.load_pandas().data["SUNACTIVITY"], dtype=float)[None]


def windows(name, n, starts, channels):
    """Windows of length n of a recording, each with its mean removed and scaled to unit variance: (count, n)."""
    source, _ = recording(name), check(name, n)
    for c, s in zip(channels, starts, strict=True):
        if (
            require_size("channels", c, 0) >= len(source)
            or require_size("starts", s, 0) > source.shape[1] - n
        ):
            raise ValueError(
                f"channels and starts must be of {n} samples within {source.shape}, got {c} and {s}"
            )
    cut = np.stack([source[c, s : s + n] for c, s in zip(channels, starts, strict=True)])
    cut = cut - cut.mean(-1, keepdims=True)
    spread = cut.std(-1, keepdims=True)
    if (spread == 0).any():
        raise ValueError(
            f"signal {name!r} has a constant window of {n} samples, which cannot have unit variance"
        )
    return cut / spread


def check(signal, n, batch=1):
    """Return `signal` as a name or a finite 2-D float64 array of windows, or raise naming what does not fit."""
    n, batch = require_size("n", n), require_size("batch", batch)
    if isinstance(signal, str):
        if signal in RECORDINGS:
            longest = recording(signal).shape[1]
            if not 2 <= n <= longest:
                raise ValueError(
                    f"n must be between 2 and {longest}, the length of the recording {signal!r}, got {n}"
                )
        elif signal not in NOISES:
            raise ValueError(
                f"signal must be an array or one of {', '.join(SIGNALS)}, got {signal!r}"
            )
        return signal
    array = require_samples(signal)
    if array.ndim not in (1, 2) or array.shape[-1] != n or not array.size:
        raise ValueError(f"signal must have shape ({n},) or (windows, {n}), got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError("signal must be finite, got a NaN or an infinity")
    if array.ndim == 1 and batch > 1:
        raise ValueError(
            f"batch must be 1 when one signal is shared by all inits, got {batch}; pass a table of windows"
        )
    return np.atleast_2d(array)


def draw(signal, n, rng, *, index=0, batch=1):
    """`batch` signals of n samples for init number `index`: an array (batch, n).

    "uniform" is U(-1, 1) (σ² = 1/3), "normal" N(0, 1), a recording's name gives random windows of it, standardised.
    A 1-D array is shared by all inits; of a 2-D array of windows, init i takes rows i·batch … i·batch + batch - 1,
    modulo its rows. Raises TypeError or ValueError naming the argument, also for a window longer than the recording.
    """
    signal, index = check(signal, n, batch), require_size("index", index, 0)
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a numpy Generator, got {rng!r}")
    if not isinstance(signal, str):
        return signal[(index * batch + np.arange(batch)) % len(signal)]
    if signal == "uniform":
        return rng.random((batch, n)) * 2 - 1
    if signal == "normal":
        return rng.standard_normal((batch, n))
    channels, length = recording(signal).shape
    return windows(
        signal, n, rng.integers(length - n + 1, size=batch), rng.integers(channels, size=batch)
    )
