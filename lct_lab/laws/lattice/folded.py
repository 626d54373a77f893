"""The exact grid with N > M at finite sizes: sums over the classes of samples it cannot tell apart.

On the grid cos(w_k n) is, up to one sign for all k, that of the place of n: its distance from the
nearest 2Mq. All samples of one place are a class. With C samples in the class, and t_n the sum of
n' over them, with the sign that n' sin(w_k n') has beside sin(w_k n), `around.Local` is made of

    place            E cos²   E sin²   (cos(w_k ·) A)_n   (n sin(w_k ·) A)_n
    0 (n = 2Mq)      1        0        2C cos             0
    between          1/2      1/2      C cos              t_n sin
    M                0        1        0                  0

Near N = M, or where α C is nearly 1, what one sample does is all there is: a limit N → ∞ has it
wrong.
"""

from dataclasses import replace

import numpy as np


def folded(near, n, m, alpha, tied):
    """A `Local` of the exact grid, with what sums over n < N alone at this size."""
    sample, count = np.arange(1, n), classes(n, m)[1]
    of_cosine, gain, cosine, slope = errors(n, m, alpha)
    energy = np.sum(sample.astype(float) ** 2)  # 2 Σ n² E sin²
    own = 2 * np.mean(of_cosine * cosine)
    first = 2 * np.mean(of_cosine * cosine**2)
    second = 2 * np.sum((1 - of_cosine) * slope**2) / energy / 3
    pull = 2 * np.sum((1 - of_cosine) * slope * sample) / energy / 3
    eigenvalue = alpha**2 * gain**2 - alpha * gain
    of_squares = (
        _tied(first, second, own * pull) if tied else dict(square_w1=first / 3, square_w2=second)
    )
    return replace(
        near,
        second=second,
        pull=pull,
        own=own,
        wobble=np.sum(eigenvalue**2 / count) / n,
        diagonal=np.sum((eigenvalue / count) ** 2) / n,
        **of_squares,
    )


def errors(n, m, alpha):
    """Of each sample: E cos², 2C or C, and the errors α C - 1 of a cosine, α t_n - n of a sine."""
    place, count, signed = classes(n, m)
    at_first, at_last = place == 0, place == m
    of_cosine = np.where(at_first, 1.0, np.where(at_last, 0.0, 0.5))
    gain = np.where(at_first, 2 * count, np.where(at_last, 0, count))
    returned = np.where(at_first | at_last, 0, signed)
    return of_cosine, gain, alpha * gain - 1, alpha * returned - np.arange(1, n)


def alone(n, m, alpha):
    """How far one class of samples makes all of the error of a cosine, or of n times a sine.

    Σ_c s_c² / (Σ_c s_c)² of what each class c adds to its square: 1 where one makes all of it.
    """
    of_cosine, _, cosine, slope = errors(n, m, alpha)
    place = classes(n, m)[0]
    squares = of_cosine * cosine**2, (1 - of_cosine) * slope**2
    added = [np.bincount(place, square) for square in squares]
    return max(float(each @ each / each.sum() ** 2) for each in added if each.sum())


def _tied(first, second, joint):
    return dict(square_w1=first / 3 + second + 2 * joint, square_w2=0.0)


def classes(n, m):
    """(place, C, t) of each sample 1 <= n' < n."""
    sample = np.arange(1, n)
    rest = sample % (2 * m)
    place = np.minimum(rest, 2 * m - rest)
    count = np.bincount(place, minlength=m + 1)[place]
    signed = np.bincount(rest, sample, 2 * m)
    return place, count, signed[rest] - signed[-rest % (2 * m)]
