"""Small drawn starts, twins of a large one, from which `medians` takes how gradients scatter.

A mean square needs averages that can be derived. A median needs the whole distribution, and that
depends on the inner products of the vectors that a gradient is made of (`starts`), frequency by
frequency. So a few starts are drawn, always the same, of at most as many samples as is quick and
of the same N/M. What is still random then is the signal:

    white noise            only inner products matter: `White`
    a table, small batch   its own windows, added up one by one: `Windows`
    a table, large batch   normal signals of its windows' second moments: `Batches`

A twin has its size `n`, `m`, and

    median(vectors, share, batch) -> `Median`

vectors : u, v of a product (u·x)(v·x), or u, v, u', v' of a sum of two; each {name: factor}, by the
names in `starts`. share : how many of the twin's chance meetings of w_k and w̃_k are left at the
size that it stands for (notebook 07, "The median").
"""

from lct_lab.laws.twins.batches import on_batches, small
from lct_lab.laws.twins.starts import keeps_ratio
from lct_lab.laws.twins.white import on_white
from lct_lab.laws.twins.windows import ONE_BY_ONE, on_windows

__all__ = ["ONE_BY_ONE", "keeps_ratio", "on_batches", "small", "twin_of"]


def twin_of(s, init, tied, batch):
    """The twin of a `Setting`."""
    if s.signal.windows is None:
        return on_white(s.n, s.m, init, tied)
    if batch > ONE_BY_ONE:
        return on_batches(s.n, s.m, init, tied, s.signal.windows)
    return on_windows(s.n, s.m, init, tied, s.signal.windows, batch)
