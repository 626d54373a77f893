"""The learnable cosine transform as a torch module, tied (one frequency vector) or untied (two)."""

import torch

from lct_lab import init as inits
from lct_lab import transform
from lct_lab.checks import require_choice, require_place


class LCT(torch.nn.Module):
    """Analysis at w1 followed by synthesis at w2 (tied: at w1).

    X = analyze(x, a1, a2, w1),    y = synthesize(X, n, a3, a4, w2),    L = Σ_n (y_n - x_n)²

    Parameters
    ----------
    n, m : number of samples and of frequencies, at least 1.
    init : a name in `init.INITS`; `seed` makes it reproducible (None: a seed from torch's global generator).
    tied : one frequency vector for both sides; the model then has no `w2`.
    engine : as in `transform.analyze`.
    dtype, device : of the parameters; torch's defaults when None.

    The parameters are a1, a2, a3, a4 (scalars) and w1, w2 (shape (m,), radians per sample).
    Raises TypeError or ValueError naming the argument that is out of range.
    """

    def __init__(
        self, n, m, *, init="random", tied=False, engine="auto", seed=None, dtype=None, device=None
    ):
        super().__init__()
        require_choice("engine", engine, transform.ENGINES)
        dtype = torch.get_default_dtype() if dtype is None else dtype
        require_place(dtype, "cpu" if device is None else device)
        seed = torch.randint(2**62, ()).item() if seed is None else seed
        amplitudes, *frequencies = inits.draw(n, m, init=init, tied=tied, seed=seed)
        self.n, self.m, self.tied, self.engine = int(n), int(m), bool(tied), engine
        for name, value in zip(
            ("a1", "a2", "a3", "a4", "w1", "w2"), (*amplitudes, *frequencies), strict=True
        ):
            if value is not None:
                setattr(
                    self,
                    name,
                    torch.nn.Parameter(torch.as_tensor(value, dtype=dtype, device=device)),
                )

    def analyze(self, x):
        """X of shape (..., m) from x of shape (..., n)."""
        if isinstance(x, torch.Tensor) and x.ndim and x.shape[-1] != self.n:
            raise ValueError(f"x must have {self.n} samples along its last axis, got {x.shape[-1]}")
        return transform.analyze(x, self.a1, self.a2, self.w1, engine=self.engine)

    def synthesize(self, X):
        """y of shape (..., n) from X of shape (..., m)."""
        w = self.w1 if self.tied else self.w2
        return transform.synthesize(X, self.n, self.a3, self.a4, w, engine=self.engine)

    def forward(self, x):
        """The reconstruction y of shape (..., n)."""
        return self.synthesize(self.analyze(x))

    def loss(self, x):
        """L = Σ_n (y_n - x_n)², summed over the samples, averaged over the batch: a scalar; of an empty batch, nan."""
        return (self(x) - x).square().sum(-1).mean()

    def extra_repr(self):
        return f"n={self.n}, m={self.m}, tied={self.tied}, engine={self.engine!r}"
