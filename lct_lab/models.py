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
    init : a name in `init.INITS`; `seed` makes it reproducible (None: a seed from torch's global
        generator).
    tied : one frequency vector for both sides; the model then has no `w2`.
    engine : as in `transform.analyze`.
    dtype, device : of the parameters; torch's defaults when None.

    The parameters are a1, a2, a3, a4 (scalars) and w1, w2 (shape (m,), radians per sample).
    Raises TypeError or ValueError naming the argument that is out of range.
    """

    def __init__(
        self,
        n,
        m,
        *,
        init="random",
        tied=False,
        engine="auto",
        seed=None,
        dtype=None,
        device=None,
    ):
        super().__init__()
        self.engine = require_choice("engine", engine, transform.ENGINES)
        wanted = torch.get_default_dtype() if dtype is None else dtype
        require_place(wanted, "cpu" if device is None else device)
        if seed is None:  # on the processor, whatever the default device, which may have no numbers
            seed = torch.randint(2**62, (), device="cpu").item()
        amplitudes, w1, w2 = inits.draw(n, m, init=init, tied=tied, seed=seed)
        self.n = int(n)
        self.m = int(m)
        self.tied = bool(tied)
        for name, value in zip(inits.GROUPS, (*amplitudes, w1, w2), strict=True):
            if value is not None:
                start = torch.as_tensor(value, dtype=wanted, device=device)
                setattr(self, name, torch.nn.Parameter(start))

    def analyze(self, x):
        """X of shape (..., m) from x of shape (..., n)."""
        self._check("x", x)
        if isinstance(x, torch.Tensor) and x.ndim and x.shape[-1] != self.n:
            raise ValueError(f"x must have {self.n} samples along its last axis, got {x.shape[-1]}")
        return transform.analyze(x, self.a1, self.a2, self.w1, engine=self.engine)

    def synthesize(self, X):
        """y of shape (..., n) from X of shape (..., m)."""
        self._check("X", X)
        w = self.w1 if self.tied else self.w2
        return transform.synthesize(X, self.n, self.a3, self.a4, w, engine=self.engine)

    def forward(self, x):
        """The reconstruction y of shape (..., n)."""
        return self.synthesize(self.analyze(x))

    def loss(self, x):
        """L = Σ_n (y_n - x_n)², summed over the samples, averaged over the batch.

        A scalar; of an empty batch, nan.
        """
        return (self(x) - x).square().sum(-1).mean()

    def state_dict(self, *args, prefix="", **options):
        """torch's, which has n in its metadata: no parameter's shape tells it."""
        found = super().state_dict(*args, prefix=prefix, **options)
        about = getattr(found, "_metadata", {}).get(prefix[:-1])
        if about is not None:
            about["n"] = self.n
        return found

    def _load_from_state_dict(self, state, prefix, about, strict, missing, unexpected, errors):
        """torch's, and refuse what another n has written; without metadata any n is taken."""
        n = about.get("n", self.n)
        if n != self.n:
            errors.append(f"state_dict must be of an LCT with n = {self.n}, got n = {n}")
            return  # errors are raised when all modules have loaded: this one stays as it is
        super()._load_from_state_dict(state, prefix, about, strict, missing, unexpected, errors)

    def extra_repr(self):
        return f"n={self.n}, m={self.m}, tied={self.tied}, engine={self.engine!r}"

    def _check(self, name, values):
        """Raise unless the model is of single or double precision, and `values` of the same.

        A module can be converted to others, by `half()` or `to(dtype)`.
        """
        dtype = self.w1.dtype
        if dtype not in (torch.float32, torch.float64):
            raise TypeError(f"model must be of torch.float32 or torch.float64, got {dtype}")
        if isinstance(values, torch.Tensor) and values.dtype != dtype:
            raise TypeError(f"{name} must have the dtype of the model, {dtype}, got {values.dtype}")
