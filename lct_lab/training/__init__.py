"""Training to reconstruct: the exact expected loss, scale rules, schedules, a loop to resume.

loss.py        the expected loss over white input, exactly, and the bins filled
rates.py       param_groups: the scale rules as groups for any torch optimizer
curvature.py   the curvature of the expected loss at the DCT, a spectrum of sine waves
newton.py      SineNewton: Newton's method in these waves, as a torch optimizer
schedules.py   how many samples are in use at each step, at what rate
fit.py         fit: the loop
settings.py    what it is asked for, checked
checkpoint.py  what is written along the way, and how a training goes on from it
recover.py     recover: the DCT from a random start
"""

from lct_lab.training.fit import Result, fit
from lct_lab.training.loss import expected_loss, filled_bins
from lct_lab.training.newton import SineNewton
from lct_lab.training.rates import param_groups
from lct_lab.training.recover import recover
from lct_lab.training.schedules import CoarseToFine, Constant, LookBack

__all__ = [
    "CoarseToFine",
    "Constant",
    "LookBack",
    "Result",
    "SineNewton",
    "expected_loss",
    "filled_bins",
    "fit",
    "param_groups",
    "recover",
]
