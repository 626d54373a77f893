"""Compare the tables in data/ with the committed ones: what `make notebooks` makes here must be what was published.

Numbers may differ by 1e-4 of themselves, 1e-6 of their column's largest and 1e-9. Those that come out of training
(09 to 11), where a rounding error grows with every step, may differ by a quarter of themselves and 0.05; what they
must hold, the notebooks assert. Tables and columns of timings, memory and rounding errors are exempt, and so are the
single trials of 09 and the long runs, NN-full-*, which are not made anew.
"""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

EXEMPT_TABLES = ("06-", "09-trials", "bench")
TRAINED = ("09-", "10-", "11-")
EXEMPT_COLUMNS = ("_s", "_ms", "_MB", "time", "seconds", "memory", "difference")


def differences(name, committed, made):
    if list(committed.columns) != list(made.columns) or len(committed) != len(made):
        yield f"{name}: {committed.shape} with columns {list(committed)} became {made.shape} with {list(made)}"
        return
    for column in committed:
        if column.endswith(EXEMPT_COLUMNS):
            continue
        old, new = committed[column], made[column]
        if pd.api.types.is_numeric_dtype(old) and pd.api.types.is_numeric_dtype(new):
            old, new = old.to_numpy(float), new.to_numpy(float)
            allowed = 1e-9 + 1e-4 * np.abs(old) + 1e-6 * np.nanmax(np.abs(old), initial=0)
            if name.startswith(TRAINED):
                allowed = 0.05 + 0.25 * np.abs(old)
            same = (np.abs(old - new) <= allowed) | (np.isnan(old) & np.isnan(new)) | (old == new)
        else:
            same = (old.fillna("") == new.fillna("")).to_numpy()
        for row in np.flatnonzero(~same)[:3]:
            yield f"{name}, row {row}, {column}: {committed[column].iloc[row]} became {made[column].iloc[row]}"


def main():
    listed = subprocess.run(
        ["git", "ls-files", "data"], capture_output=True, text=True, check=True
    ).stdout.split()
    found = []
    for path in map(Path, listed):
        if path.suffix != ".csv" or path.name.startswith(EXEMPT_TABLES) or "-full-" in path.name:
            continue
        if not path.exists():
            found.append(f"{path.name}: no longer made")
            continue
        committed = subprocess.run(
            ["git", "show", f"HEAD:{path}"], capture_output=True, text=True, check=True
        ).stdout
        found += differences(path.name, pd.read_csv(io.StringIO(committed)), pd.read_csv(path))
    print("\n".join(found) or f"{len(listed)} tables are as committed")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
