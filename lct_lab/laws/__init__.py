"""The sizes of the gradients, derived: numbers in, numbers out, without torch and without a draw.

One file a coupling, written to be read: `shuffled`, `sorted`, `tied`, and `grid` with `grid_tied`
for orthogonal and jittered starts. A law is a sum of named terms (`scalars.Law`) of one `Setting`;
`predict` adds them. `exact` is the oracle, `original` has the rules of the notebook that asked.

Notation, as in the notebooks: γ = N/M, σ² = E x², b = (a2 a4/2)², α = √(b/γ), U = (a2 a4 σ²)² N³/M.
x_0 has amplitudes a1 and a3 of its own, and a variance of its own, σ_0² = E x_0², which is σ² of
noise; of a table σ² is that of the samples after it. What it meets are the mean cosines of a
sample, P_n of w and P̃_n of w̃.
"""

from lct_lab.laws import lattice
from lct_lab.laws.chain import chain, chain_sums
from lct_lab.laws.cosines import cosine_sum, sine_moment
from lct_lab.laws.couplings import COUPLINGS, coupling_of
from lct_lab.laws.exact import conditional
from lct_lab.laws.original import RULES, Rule
from lct_lab.laws.prediction import formula, predict
from lct_lab.laws.setting import Moments, Setting, describe
from lct_lab.laws.sorted import pairing, sorted_profile, sorting

__all__ = [
    "COUPLINGS",
    "RULES",
    "Moments",
    "Rule",
    "Setting",
    "chain",
    "chain_sums",
    "conditional",
    "cosine_sum",
    "coupling_of",
    "describe",
    "formula",
    "lattice",
    "pairing",
    "predict",
    "sine_moment",
    "sorted_profile",
    "sorting",
]
