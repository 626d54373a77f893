"""The rows of a block as columns, and the bytes of their shard: `tables.write_raw`'s, but sooner.

A block takes some milliseconds to measure. A data frame of its rows, looked through by pandas for
what its columns may hold, would take a fifth of that.
"""

import json
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from lct_lab import tables

NO_ATTRS = b'"attributes": {}'  # in what pandas says of a data frame that has none


class Rows(NamedTuple):
    """columns : {name: array (rows,)} of numbers or of words. attrs : what they share."""

    columns: dict
    attrs: dict


def write(rows, path):
    """Save rows at `path` as `tables.write_raw` does; returns them with the attrs as saved.

    Its folder must be there: one that was moved while a sweep ran is not made anew beside it.
    """
    kinds, schema = _as_pandas_has(*_described(rows.columns))
    attrs = {"versions": tables.provenance(), **rows.attrs}
    listed = [(name, kinds[name], values) for name, values in rows.columns.items()]
    attrs["content"] = tables.content(listed, attrs)
    saved = Rows(rows.columns, attrs)
    with tables.whole(path, into_new_folder=False) as part:
        part.write_bytes(_encoded(saved, schema))
    return saved


def _encoded(rows, schema):
    """The bytes that pandas writes of a data frame of these columns, with these attrs."""
    import pyarrow as pa
    from pyarrow import parquet

    attrs = json.dumps(rows.attrs).encode()
    described = schema.metadata[b"pandas"].replace(NO_ATTRS, NO_ATTRS[:-2] + attrs)
    own = {b"pandas": described, b"PANDAS_ATTRS": attrs}
    arrays = [pa.array(rows.columns[field.name], type=field.type) for field in schema]
    table = pa.Table.from_arrays(arrays, schema=schema.with_metadata(own))
    target = pa.BufferOutputStream()
    parquet.write_table(table, target, compression="snappy")
    return target.getvalue()


def _described(columns):
    """The names and dtypes of columns, and the number of rows."""
    dtypes = tuple((name, values.dtype) for name, values in columns.items())
    return dtypes, len(next(iter(columns.values())))


@lru_cache(maxsize=16)
def _as_pandas_has(dtypes, count):
    """What pandas makes of columns of `count` rows: its dtypes {name: text}, and arrow's schema."""
    import pandas as pd
    import pyarrow as pa

    alike = {name: np.full(count, "" if dtype.kind == "O" else 0, dtype) for name, dtype in dtypes}
    with tables.text_as_str():
        frame = pd.DataFrame(alike)
    kinds = {name: str(dtype) for name, dtype in frame.dtypes.items()}
    return kinds, pa.Table.from_pandas(frame).schema


def of_table(table):
    """The rows of a data frame."""
    bare = tables.without_attrs(table)
    return Rows({name: column.to_numpy() for name, column in bare.items()}, table.attrs)


def as_table(parts):
    """The rows of one block after another's as one data frame; its attrs are those of all."""
    import pandas as pd

    names = parts[0].columns
    table = pd.DataFrame(
        {name: np.concatenate([part.columns[name] for part in parts]) for name in names}
    )
    table.attrs = tables.shared_attrs(parts)
    return table
