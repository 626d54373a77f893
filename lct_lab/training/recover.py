"""The DCT from a random start."""

import torch

from lct_lab.checks import require_size
from lct_lab.models import LCT
from lct_lab.training.fit import fit
from lct_lab.training.schedules import CoarseToFine


def recover(
    n,
    m=None,
    *,
    seed=0,
    tied=True,
    steps=None,
    lr=0.02,
    pace=2.0,
    objective="expected",
    init="random",
    **options,
):
    """Find the DCT from a random start: `fit` by Adam, coarse to fine, on `LCT(n, m, seed=seed)`.

    steps : 2500 ∛(n/512) when None. m : n when None.
    pace : as in `fit`; frequencies have further to go than from a start near the DCT.
    Untied models need sorted starts: w_k and w̃_k that are far apart never meet.
    Other options, what is returned and what is raised, as in `fit`.
    """
    if unknown := set(options) - set(fit.__kwdefaults__):
        raise TypeError(f"recover() got an unexpected keyword argument {min(unknown)!r}")
    n = require_size("n", n)
    m = n if m is None else m
    model = LCT(n, m, init=init, tied=tied, seed=seed, dtype=torch.float64)
    steps = round(2500 * (n / 512) ** (1 / 3)) if steps is None else require_size("steps", steps)
    schedule = options.pop("schedule", CoarseToFine(n, steps))
    return fit(
        model,
        steps=steps,
        lr=lr,
        pace=pace,
        schedule=schedule,
        seed=seed,
        objective=objective,
        **options,
    )
