"""README and docs/: a number that comes from a table is that table's, and every link resolves."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from projects import PUBLISHED

from lct_lab import laws
from lct_lab.init import GROUPS

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def table(name):
    return pd.read_csv(ROOT / "data" / f"{name}.csv")


def text_of(name):
    return (ROOT / name).read_text()


def span(values, form="{:.2f} to {:.2f}"):
    return form.format(values.min(), values.max())


# --- what the tables say, as the documents word it ------------------------------------------------


def of_limits():
    """Sentences and table rows of docs/limits.md."""
    rows = []
    medians = table("07-medians").set_index("start")
    for start in medians.index.unique():
        part = medians.loc[start]
        of_w = part[["w1 / predicted", "w2 / predicted"]].stack()
        of_a = part[["a2 / predicted", "a4 / predicted"]].stack()
        rows.append(f"| {span(of_w)} | {span(of_a)} |")
    misses = table("08-misses")
    cancelling = misses.set_index("of")["ratio"] - 1
    rows.append(
        f"a4 comes out {cancelling['rms a4']:.0%} above its law and a2 {cancelling['rms a2']:.0%}"
    )
    rows.append(f"all {len(table('08-laws'))} rows")
    return [row.replace("%", " %") for row in rows] + of_coloured() + of_rules()


def of_coloured():
    off = table("05-coloured").set_index("start").filter(regex="^loss$| / law$")
    off = (off - 1).abs().groupby(level=0).max()
    rows = []
    for start in ("shuffled", "sorted", "tied", "jittered"):
        row = off.loc[start]
        parts = [["loss"], ["a2 / law", "a4 / law"], ["w1 / law", "w2 / law"]]
        parts += [["median w1 / law", "median w2 / law"]]
        words = " | ".join(f"{np.ceil(100 * row[names].max()):.0f} % off" for names in parts)
        rows.append(f"| {start} | {words} |")
    return rows


def of_rules():
    rules = table("05-rules").set_index("rule")
    power, by_rms = (
        rules["N=M=1e5"],
        rules.loc[["a2 root", "a4 root", "a4 decimal", "a4 cosine"], "rms"],
    )
    reach = table("13-reach")
    a4 = reach[reach["rule"].str.startswith("a4") & (reach["N"] >= 256)]
    factor = a4.loc[a4["N/M"].between(0.25, 4), "factor"]
    return [
        f"a factor {max(factor.max(), 1 / factor.min()):.2f}, from N = 256 on",
        f"N/√M is {1 / power['w1 mean']:.0f} times too small at 10⁵",
        f"√N for a1 is {power['a1 root']:.0f} times too large",
        f"N/√M is {rules.loc['w1 mean', 'mean']:.0f} times too small.",
        f"{1 / by_rms.max():.1f} to {1 / by_rms.min():.1f} times too large",
    ]


def of_speed():
    bench = table("bench").set_index("what")
    sweep = table("bench-sweep").set_index("what")["figure"]

    def row(start):
        (found,) = [name for name in bench.index if name.startswith(start)]
        return bench.loc[found]

    def figures(start, form):
        return ", ".join(form.format(v) for v in bench[bench.index.str.startswith(start)]["figure"])

    small, large = (
        row("loss and six gradients, N = M = 1000"),
        row("loss and six gradients, N = M = 4000"),
    )
    probe, cores = row("probe, 10,000"), row("the same, one core")
    thousand, at_4000 = row("probe, 1,000"), row("probe, 500")
    return [
        f"{small.theirs:.1f} ms dense loop, {small.ours:.2f} ms here: {small.figure:.0f}×",
        f"{large.theirs:.0f} ms dense loop, {large.ours:.2f} ms here: {large.figure:.0f}×",
        *(f"{found.ours:.3f} ms: {found.figure:.0f}×" for found in (probe, thousand, at_4000)),
        f"| {cores.figure:.2f}× |",
        f"{row('N = M = 10^6, double: time').ours:.2f} s, "
        f"{row('N = M = 10^6, double: memory').ours:.2f} GB",
        figures("gradients / three bare", "{:.2f}×"),
        figures("forward and backward", "{:.1f}×"),
        f"{row('explorer').ours:.0f} ms",
        f"{sweep['default grid: two processes against one']:.2f}×",
        f"{sweep['blocks of 100, N = M = 1000: sweep / probe, less one']:.0%} longer".replace(
            "%", " %"
        ),
    ]


def of_sweeps():
    sweep = table("bench-sweep").set_index("what")["figure"]
    return [
        f"{sweep['one init, N = M = 1000']:.2f} ms of one core",
        f"{sweep['one init' + chr(39) + 's share of a shard of 100']:.0f} bytes of shard",
        f"as many in {sweep['status of 100,000 shards, as a command']:.2f} s",
    ]


def of_training():
    rows = []
    for row in table("11-full-cases").to_dict("records"):
        filled = f"{row['all bins']} of {row['starts']}"
        filled = "no single grid" if row["M"] < row["N"] else filled
        seconds = row["longest time_s"]
        time = f"{seconds:.0f} s" if seconds > 100 else f"{seconds:.1f} s"
        rows.append(
            f"| {row['kind']} | {row['N']:,} | {filled} | {row['median steps']:.0f} "
            f"| {row['worst error']:.0e} | {time} |"
        )
    moves = table("10-full-drift").set_index(["optimizer", "rule"])["moves by a factor"]
    names = {"raw": "raw", "original": "the original's divisors", "equal": "equal gradients"}
    for rule, name in (names | {"curvature": "curvature"}).items():
        cells = (f"{moves[o, rule]:.0f}×" if (o, rule) in moves else "" for o in ("sgd", "adam"))
        rows.append(" ".join(f"| {name} | {' | '.join(cells)} |".split()))
    return rows


CLAIMS = {
    "docs/limits.md": of_limits,
    "docs/speed.md": of_speed,
    "docs/sweeps.md": of_sweeps,
    "docs/training.md": of_training,
}


@pytest.mark.parametrize("name", CLAIMS)
def test_a_number_is_its_tables(name):
    text = " ".join(text_of(name).split())
    missing = [claim for claim in CLAIMS[name]() if " ".join(claim.split()) not in text]
    assert not missing, f"{name} does not say: {missing}"


# Numbers that no table holds: bands that the laws promise, sizes, versions, the worked example.
STATED = {
    "README.md": {"2 %", "3 %", "3.11"},
    "docs/limits.md": {"1 %", "2 %", "3 %", "4 %", "6 %", "8 %", "20 %"},
    "docs/sweeps.md": set(),
    "docs/training.md": set(),
    "docs/speed.md": set(),
    "docs/your-data.md": set(),
}
MEASURED = re.compile(r"\d[\d,]*\.\d+|\d+ %|\d+(?:\.\d+)?×|\d+e-\d+")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_measured_number_is_checked_against_a_table(path):
    name = str(path.relative_to(ROOT))
    text = re.sub(
        r"```.*?```|`[^`]*`|^ {4}.*$|\(([^)]*)\)", " ", path.read_text(), flags=re.S | re.M
    )
    text = " ".join(text.split())
    for claim in CLAIMS.get(name, list)():
        text = text.replace(" ".join(claim.split()), " ")
    assert set(MEASURED.findall(text)) <= STATED[name]


def test_the_long_run_of_notebook_04_has_nothing_outside():
    verdicts, pooled = table("05-full-verdicts"), table("05-full-pooled")
    assert (verdicts["verdict"] != "outside").all()
    assert ((pooled["ratio"] - 1).abs() - 2 * pooled["error"] < 0.02).all()
    assert (table("08-laws")["verdict"] == "within").all()


def test_the_laws_of_the_readme_are_those_of_the_package():
    """Each cell of the table is the formula of the line that is tested against predict."""
    columns = {"shuffled": ("shuffled", False), "sorted": ("random", False)}
    columns |= {"tied": ("random", True), "grid": ("orthogonal", False)}
    ones = np.ones(1)
    s = laws.Setting(64, 64, ones, ones, ones, ones, signal=laws.describe("uniform"))
    symbols = dict(zip(GROUPS, ("a1", "a2", "a3", "a4", "w", "w̃"), strict=True))
    rows = {
        line.split("|")[1].strip(): line
        for line in text_of("README.md").splitlines()
        if line.startswith("| ") and "σ²" in line
    }
    for group, symbol in symbols.items():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", rows[symbol])[2:-1]]
        for cell, (init, tied) in zip(cells, columns.values(), strict=True):
            lines = laws.COUPLINGS[init, tied].lines(s)
            if group not in lines:
                assert cell == ""
                continue
            formula = laws.formula(lines[group]).replace("|", r"\|")
            shuffled = laws.COUPLINGS["shuffled", False].lines(s)[group]
            assert f"`{formula}`" in cell or (cell == "the same" and lines[group] is shuffled)


def test_links_resolve():
    for path in DOCUMENTS:
        for link in re.findall(r"\]\(([^)]+)\)", path.read_text()):
            if "://" not in link:
                assert (path.parent / link.partition("#")[0]).exists(), f"{path.name}: {link}"


def test_the_readme_lists_every_notebook():
    links = set(re.findall(r"\]\(([^)]+)\)", text_of("README.md")))
    assert {f"notebooks/rendered/{path.name}" for path in PUBLISHED} <= links


def test_the_readmes_python_runs():
    """The names that it calls are there; what takes long is run elsewhere."""
    import lct_lab

    (code,) = re.findall(r"```python\n(.*?)```", text_of("README.md"), flags=re.S)
    assert {name for name in re.findall(r"lct_lab\.(\w+)\(", code)} <= set(lct_lab.__all__)
    scope = {}
    for line in code.splitlines():
        if "recover" not in line:
            exec(line.replace("1024, 512", "64, 48").replace("512, 512", "16, 16"), scope)


def test_the_quoted_start_of_the_original_is_whole():
    """A thousand samples and two sorted vectors of as many frequencies, of four decimals each."""
    lines = text_of("data/original-start.csv").splitlines()
    assert lines[0].startswith("# ") and "41fe483" in lines[1] and lines[2] == "x,w1,w2"
    start = pd.read_csv(ROOT / "data" / "original-start.csv", comment="#")
    assert start.shape == (1000, 3) and start["x"].abs().max() <= 1
    for side in ("w1", "w2"):
        assert start[side].is_monotonic_increasing and start[side].between(0, np.pi).all()
    assert all(len(number.partition(".")[2]) == 4 for row in lines[3:] for number in row.split(","))
