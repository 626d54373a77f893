"""Summaries against loops, intervals against scipy, and files whole or not at all."""

import os
import resource
from contextlib import contextmanager
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import scipy.stats

import lct_lab
from lct_lab import tables
from lct_lab.tables import fit_exponents


@pytest.fixture
def out(tmp_path, monkeypatch):
    monkeypatch.setenv("LCT_LAB_OUT", str(tmp_path))
    return tmp_path


def test_summaries_and_ratios_against_loops():
    measured = lct_lab.probe(20, 15, inits=7)
    summary = tables.summarise(measured).set_index("group")
    for group in summary.index:
        rows = measured[measured["group"] == group]
        assert summary.loc[group, "rms_median"] == np.median(rows["rms"])
        assert summary.loc[group, "scale"] == pytest.approx(np.sqrt(np.mean(rows["rms"] ** 2)))
        assert summary.loc[group, "mean_abs_mean"] == pytest.approx(sum(rows["mean_abs"]) / 7)
    wide = tables.ratios(measured, to="a4", column="rms")
    picked = measured[measured["init"] == 3].set_index("group")["rms"]
    assert wide.loc[3, "w1"] == picked["w1"] / picked["a4"] and (wide["a4"] == 1).all()
    with pytest.raises(
        ValueError, match="to must be one of the groups a1, a2, a3, a4, w1, w2, got 'w3'"
    ):
        tables.ratios(measured, to="w3")
    numbers = {group: number for number, group in enumerate(wide)}
    numbered = measured.assign(group=measured["group"].map(numbers))
    by_number = tables.ratios(numbered, to=numbers["a4"], column="rms")
    assert (by_number.to_numpy() == wide.to_numpy()).all()


def test_bootstrap_is_scipys():
    values = np.random.default_rng(0).exponential(size=200)
    theirs = scipy.stats.bootstrap(
        (values,), np.median, n_resamples=5000, method="percentile", rng=1
    ).confidence_interval
    assert tables.bootstrap(values, draws=5000) == pytest.approx(
        (theirs.low, theirs.high), abs=0.02
    )


def test_scale_is_the_rms_over_starts_with_its_error():
    """The error is the spread of the rms over repetitions, here of normal values with 50 a
    start."""
    rng = np.random.default_rng(0)
    rms = np.sqrt(np.mean(rng.standard_normal((400, 30, 50)) ** 2, axis=-1))
    places = [{"repetition": i, "group": "a1"} for i in range(400) for _ in range(30)]
    found = tables.scale(pd.DataFrame(places).assign(rms=rms.ravel()), by="repetition")
    assert found["measured"].std() == pytest.approx(found["error"].mean(), rel=0.1)
    assert found["measured"].mean() == pytest.approx(1, rel=0.01)


def test_columns_of_any_name_tell_starts_apart():
    raw = lct_lab.probe(20, 15, inits=6)
    even = raw.assign(square=raw["init"] % 2 == 0)
    halves = tables.scale(even, by="square")
    assert halves["measured"].to_dict() == {
        half: pytest.approx(np.sqrt(np.mean(rows["rms"] ** 2)))
        for half, rows in even.groupby("square")
    }
    found = tables.summarise(even, by=iter(["group", "square"]))
    assert found["scale"].to_list() == tables.scale(even, ["group", "square"])["measured"].to_list()
    assert len(found) == 12 and set(found["inits"]) == {3}


def test_a_written_table_has_nine_digits_and_is_returned(out):
    table = pd.DataFrame({"n": [1], "scale": [1 / 3]})
    assert tables.write(table, "03-x") is table
    assert (out / "data" / "03-x.csv").read_text() == "n,scale\n1,0.333333333\n"
    tables.write(table.rename_axis("row"), "03-y")
    assert (out / "data" / "03-y.csv").read_text() == "row,n,scale\n0,1,0.333333333\n"


@contextmanager
def full_disk():
    """Files of this process end at a hundred bytes, as on a disk that is nearly full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_names_the_path_and_leaves_the_old_file_and_nothing_else(out):
    small, large = pd.DataFrame({"n": [1]}), pd.DataFrame({"n": range(500)})
    path = out / "raw" / "rows.parquet"
    tables.write(small, "03-x")
    with pytest.raises(OSError, match=r"cannot write .*03-x.csv: .*File too large"), full_disk():
        tables.write(large, "03-x")
    with pytest.raises(OSError, match=r"cannot write .*rows.parquet: .*too large"), full_disk():
        tables.write_raw(large, path)
    files = [found for found in out.rglob("*") if found.is_file()]
    assert [found.name for found in files] == ["03-x.csv"] and files[0].read_text() == "n\n1\n"


@pytest.mark.parametrize("ended_by", (KeyboardInterrupt, MemoryError))
def test_what_ends_in_the_middle_leaves_nothing(tmp_path, ended_by):
    path = tmp_path / "new" / "file"
    with pytest.raises(ended_by), tables.whole(path) as part:
        part.write_text("half")
        assert part.parent == path.parent, "beside the target, on the same disk"
        raise ended_by
    assert not list(path.parent.iterdir())
    with tables.whole(path) as part:
        part.write_text("all")
        assert not path.exists()
    assert path.read_text() == "all" and len(list(path.parent.iterdir())) == 1


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "rows.parquet"
    with pytest.raises(OSError, match=f"cannot write {path}: "):
        tables.write_raw(pd.DataFrame({"n": [1]}), path)


NAMES = ("", ".", "..", "a/b", "../a", "a\\b", "/tmp/a", ".hidden", "a\nb", "a\0", None, 3)


@pytest.mark.parametrize("name", NAMES)
def test_names_that_leave_the_folder_are_refused(out, name):
    for write in (
        lambda: tables.write(pd.DataFrame({"n": [1]}), name),
        lambda: tables.output("figures", name),
    ):
        with pytest.raises(ValueError, match="name must be a plain file name such as 03-scales"):
            write()
    assert not list(out.rglob("*.csv"))


@pytest.mark.parametrize(
    "index, first",
    [
        (pd.MultiIndex.from_product([["rms"], ["a1"]], names=["statistic", "group"]), "rms,a1,1"),
        (pd.Index(["a1"]), "a1,1"),
        (pd.Index(["a1"], name="group"), "a1,1"),
        (pd.Index([7], name="n"), "7,1"),
        (pd.Index([7]), "1"),
    ],
)
def test_an_index_that_says_something_is_written(out, index, first):
    tables.write(pd.DataFrame({"scale": [1]}, index=index), "03-x")
    assert (out / "data" / "03-x.csv").read_text().splitlines()[1] == first


def test_an_interactive_session_is_told_where_a_table_went(out, monkeypatch, capsys):
    table = pd.DataFrame({"n": [1]})
    tables.write(table, "03-x")
    assert capsys.readouterr().out == "", "executed notebooks carry no paths"
    monkeypatch.delenv("LCT_LAB_OUT")
    monkeypatch.setattr(tables, "root", lambda: out)
    monkeypatch.chdir(out)
    tables.write(table, "03-x")
    assert capsys.readouterr().out == "written to build/interactive/data/03-x.csv\n"
    assert (out / "build/interactive/data/03-x.csv").exists()


def test_names_and_folders(out, monkeypatch):
    monkeypatch.setenv("LCT_LAB_PREFIX", "full-")
    assert tables.output("figures", "03-x.svg") == out / "figures" / "03-full-x.svg"
    with pytest.raises(ValueError, match="kind must be one of data, figures, got 'tables'"):
        tables.output("tables", "x")
    monkeypatch.delenv("LCT_LAB_OUT")
    assert tables.output("data", "x").is_relative_to(tables.root() / "build" / "interactive")


def test_raw_rows_are_exact_and_carry_their_provenance(tmp_path):
    measured = lct_lab.probe(20, 15, inits=3, seed=4)
    for name in ("one", "two"):
        tables.write_raw(measured, tmp_path / f"{name}.parquet")
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()
    read = pd.read_parquet(tmp_path / "one.parquet")
    assert read.equals(measured)
    assert read.attrs["seed"] == 4 and read.attrs["versions"]["numpy"] == np.__version__


def power_table(noise=0.0, seed=0):
    rng = np.random.default_rng(seed)
    sizes = [(n, m) for n in (64, 128, 256, 512) for m in (64, 256, 1024)]
    rows = [{"group": "w1", "n": n, "m": m, "predicted": 3 * n**1.5 * m**-0.5} for n, m in sizes]
    table = pd.DataFrame(rows)
    return table.assign(
        measured=table["predicted"] * np.exp(noise * rng.standard_normal(len(table)))
    )


def test_exact_powers_are_found_and_wrong_ones_rejected():
    table = power_table()
    fit = fit_exponents(table, asymptotic={"w1": (1.5, -0.5)}, draws=50)
    np.testing.assert_allclose(fit["exponent"], [1.5, -0.5], atol=1e-10)
    np.testing.assert_allclose(fit["asymptotic"], [1.5, -0.5])
    assert list(fit["verdict"]) == ["agrees", "agrees"]
    wrong = fit_exponents(table.assign(predicted=table["n"] / table["m"] ** 0.5), draws=50)
    assert list(wrong["verdict"]) == ["differs", "agrees"]


def test_powers_are_found_where_nothing_is_predicted():
    table = power_table()
    bare = fit_exponents(table.drop(columns="predicted"), draws=50)
    named = fit_exponents(table, predicted=None, draws=50)
    assert bare.equals(named) and set(bare["verdict"]) == {"no law"}
    assert bare["predicted"].isna().all() and bare["asymptotic"].isna().all()
    both = fit_exponents(table, draws=50)
    columns = ["exponent", "low", "high"]
    assert bare[columns].equals(both[columns]), "the interval is of the measured values alone"


def test_asymptotic_powers_may_be_given_for_some_groups():
    two = pd.concat([power_table(), power_table().assign(group="w2")])
    found = fit_exponents(two, asymptotic={"w2": (1.5, -0.5)}, draws=20)
    assert found["asymptotic"].to_list()[2:] == [1.5, -0.5]
    assert found["asymptotic"].isna().to_list() == [True, True, False, False]


def test_interval_covers_the_power_of_noisy_data():
    fits = [fit_exponents(power_table(0.1, seed), draws=100).iloc[0] for seed in range(20)]
    assert sum(fit["low"] < 1.5 < fit["high"] for fit in fits) >= 14
    assert all(fit["high"] - fit["low"] < 0.3 for fit in fits)


@pytest.mark.parametrize(
    "change, word",
    (
        (lambda t: t.drop(columns="m"), r"table must have the columns .* none called \['m'\]"),
        (lambda t: t.assign(measured=-1.0), "n, m, measured, predicted must be positive"),
        (lambda t: t.assign(measured=np.inf), "finite numbers in measured, got a NaN or an inf"),
        (lambda t: t.assign(n=0), "must be positive and finite"),
        (
            lambda t: t.query("n == m"),
            r"group w1 must be .* 4 different sizes \(n, m\) or .* got 2",
        ),
        (lambda t: t.query("m == 64"), "not all of one n, m or ratio of these, got 4"),
        (lambda t: t.assign(group=[None, *t["group"][1:]]), "have a group in every row, got rows"),
        (lambda t: t.iloc[:0], "table must have at least one row, got none"),
        (lambda t: pd.concat([t, t["n"]], axis=1), "have each column once, got n several times"),
    ),
)
def test_fit_exponents_names_what_is_wrong(change, word):
    with pytest.raises(ValueError, match=word):
        fit_exponents(change(power_table()), draws=10)


def test_sizes_that_every_resampling_needs_are_too_few():
    """Four powers through four sizes leave no choice, however often these were measured."""
    few = pd.DataFrame({"n": [8, 16, 8, 8], "m": [8, 8, 16, 8], "batch": [1, 1, 1, 2]})
    few = few.assign(group="w1", measured=[1.0, 2.0, 3.0, 4.0])
    words = r"at 5 different sizes \(n, m, batch\) or more, .* got 4"
    for table in (few, pd.concat([few, few])):
        with pytest.raises(ValueError, match=words):
            fit_exponents(table, sizes=("n", "m", "batch"), draws=10)
    fifth = few.iloc[:1].assign(n=32, m=32, measured=9.0)
    fitted = fit_exponents(pd.concat([few, fifth]), sizes=("n", "m", "batch"), draws=50)
    assert (fitted["low"] < fitted["high"]).any()


def test_a_predicted_column_that_is_asked_for_must_be_there():
    with pytest.raises(ValueError, match=r"none called \['law'\]"):
        fit_exponents(power_table(), predicted="law", draws=10)


@pytest.mark.parametrize(
    "change, error, words",
    [
        ({"draws": 0}, ValueError, "draws must be at least 1, got 0"),
        ({"level": 2}, ValueError, "level must be between 0 and 1, got 2"),
        ({"level": "95"}, TypeError, "level must be a real number, got '95'"),
        ({"seed": -1}, ValueError, "seed must be at least 0, got -1"),
        ({"sizes": ()}, TypeError, "sizes must be the name of a column or a list of such"),
        ({"value": 3}, TypeError, "value and predicted must be the name of a column or a list"),
        ({"value": "group"}, TypeError, "table must have real numbers in group, got "),
        ({"asymptotic": 3}, TypeError, "asymptotic must be {group: one power for each of n, m}"),
        ({"asymptotic": {"w3": (1, 2)}}, ValueError, "of the table's groups, got 'w3'"),
        ({"asymptotic": {"w1": (1,)}}, ValueError, r"each of n, m}, got \(1,\) for w1"),
        ({"asymptotic": {"w1": "1 2"}}, TypeError, "asymptotic of w1 must be a list of at least"),
        ({"table": [1, 2]}, TypeError, "table must be a DataFrame, got list"),
    ],
)
def test_what_fit_exponents_cannot_take_is_a_sentence(change, error, words):
    with pytest.raises(error, match=words):
        fit_exponents(**{"table": power_table(), "draws": 10, **change})


def test_sizes_of_few_bits_give_the_same_powers():
    table = power_table(0.1)
    small = table.assign(n=table["n"] // 8, m=table["m"] // 16)
    few = small.astype({"n": np.int8, "m": np.uint8})
    assert fit_exponents(few, draws=20).equals(fit_exponents(small, draws=20))


def test_rows_that_cannot_be_summarised_are_named():
    rows = lct_lab.probe(20, 15, inits=3)
    twice = pd.concat([rows, rows])
    words = "table must have one row for each of .*, got several for "
    for summary in (tables.summarise, tables.ratios):
        with pytest.raises(ValueError, match=words):
            summary(twice)
        with pytest.raises(ValueError, match=r"none called \['init'\]"):
            summary(rows.drop(columns="init"))
        with pytest.raises(TypeError, match="table must be a DataFrame, got dict"):
            summary({"init": [1]})
    for bad, word in ((np.nan, "finite numbers in rms"), ("1", "real numbers in rms, got ")):
        with pytest.raises((TypeError, ValueError), match=word):
            tables.scale(rows.assign(rms=bad))
    with pytest.raises(ValueError, match="to must be a group whose median_abs is not zero, got a2"):
        tables.ratios(rows.assign(median_abs=0.0))
    assert tables.summarise(rows, by="group", columns="rms").equals(
        tables.summarise(rows, by=["group"], columns=["rms"])
    )


@pytest.mark.parametrize(
    "values, options, words",
    [
        ([], {}, "values must be a list of at least one real number, got float64 of shape"),
        (3, {}, "values must be a list of at least one real number, got int"),
        ([[1.0, 2.0]], {}, r"values must be a list .* of shape \(1, 2\)"),
        (["a"], {}, "values must be a list of at least one real number"),
        ([np.nan], {}, "values must be finite"),
        ([1.0], {"draws": 0}, "draws must be at least 1"),
        ([1.0], {"level": 1}, "level must be between 0 and 1, got 1"),
        ([1.0], {"statistic": "median"}, "statistic must be a function such as np.median"),
    ],
)
def test_a_bootstrap_of_nothing_is_a_sentence(values, options, words):
    with pytest.raises((TypeError, ValueError), match=words):
        tables.bootstrap(values, **options)


def test_raw_rows_keep_the_versions_that_made_them(tmp_path):
    rows = lct_lab.probe(20, 15, inits=2)
    made = {**tables.provenance(), "torch": "1.0"}
    rows.attrs["versions"] = made
    tables.write_raw(rows, tmp_path / "rows.parquet")
    assert tables.read(tmp_path / "rows.parquet").attrs["versions"] == made


def test_an_index_that_says_something_is_kept_with_raw_rows(tmp_path):
    rows = pd.DataFrame({"rms": [1.0, 2.0]}, index=pd.Index(["a1", "a2"], name="group"))
    tables.write_raw(rows, tmp_path / "rows.parquet")
    assert tables.read(tmp_path / "rows.parquet").equals(rows.reset_index())


def test_columns_of_many_kinds_come_back_as_they_were(tmp_path):
    rows = pd.DataFrame(
        {
            "init": np.arange(2, dtype=np.int8),
            "group": ["a1", None],
            "kind": pd.Categorical(["x", "y"]),
            "day": pd.date_range("2020", periods=2),
            "count": pd.array([1, None], dtype="Int64"),
        }
    )
    tables.write_raw(rows, tmp_path / "rows.parquet")
    assert tables.read(tmp_path / "rows.parquet").equals(rows)


@pytest.mark.filterwarnings("error")
def test_what_cannot_be_saved_is_a_sentence_and_leaves_nothing(out):
    path = out / "rows.parquet"
    mixed = pd.DataFrame({"scale": [1, "a", {}]}, dtype=object)
    strange = pd.DataFrame({"scale": [1.0]})
    strange.attrs["signal"] = object()
    lists = pd.DataFrame({"scale": [[1, 2], [3]]})
    for table, words in (
        (mixed, "columns of one type each"),
        (strange, "attrs of plain values"),
        (lists, "scale would not be read as written"),
        (pd.DataFrame({"scale": [1j]}), "columns of one type each"),
        (pd.DataFrame({"seed": [2**70], "rms": [1.0]}), "columns of one type each, .*: .* large"),
        (pd.DataFrame({"kind": pd.Categorical([])}), "kind would not be read as written"),
    ):
        with pytest.raises(TypeError, match=words):
            tables.write_raw(table, path)
    for place, error in (("a\0", ValueError), ("", ValueError), (3, TypeError), (None, TypeError)):
        with pytest.raises(error, match="path must be that of a file, got"):
            tables.write_raw(pd.DataFrame({"scale": [1.0]}), place)
    for write in (lambda: tables.write([1], "03-x"), lambda: tables.write_raw(3, path)):
        with pytest.raises(TypeError, match="table must be a DataFrame, got"):
            write()
    assert not [found for found in out.rglob("*") if found.is_file()]


@pytest.mark.parametrize("entries", ([[1], [2]], [["a"]], [[1.5], None]))
def test_lists_of_one_are_refused_too(tmp_path, entries):
    with pytest.raises(TypeError, match="x would not be read as written"):
        tables.write_raw(pd.DataFrame({"x": entries}), tmp_path / "rows.parquet")
    assert not list(tmp_path.iterdir())


def test_rows_without_a_column_are_refused(tmp_path):
    path = tmp_path / "rows.parquet"
    with pytest.raises(ValueError, match="table must have a column where it has rows, got 3 with"):
        tables.write_raw(pd.DataFrame(index=range(3)), path)
    assert not path.exists()
    tables.write_raw(pd.DataFrame(), path)
    assert tables.read(path).empty


def test_a_file_that_is_replaced_hands_its_permissions_on(tmp_path):
    path = tmp_path / "rows.parquet"
    for _ in range(2):
        tables.write_raw(pd.DataFrame({"n": [1]}), path)
        path.chmod(0o600)
    tables.write_raw(pd.DataFrame({"n": [2]}), path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_attrs_come_back_as_they_were_or_are_refused(tmp_path):
    path = tmp_path / "rows.parquet"
    rows = pd.DataFrame({"rms": [1.0]})
    rows.attrs = {"temperature": np.nan, "sizes": {64: 1}, "pair": (1, 2), 3: None, "n": 64}
    words = "attrs of plain values, .*: attrs temperature, sizes, pair, 3 would not be read"
    with pytest.raises(TypeError, match=words):
        tables.write_raw(rows, path)
    assert not path.exists()
    assert np.isnan(tables.joined([rows], ["rows"]).attrs["temperature"]), "as of older files"
    rows.attrs = {"temperature": np.inf, "sizes": {"64": 1}, "pair": [1, 2], "n": 64, "none": None}
    tables.write_raw(rows, path)
    assert rows.attrs.items() <= tables.read(path).attrs.items()
    measured = lct_lab.probe(8, 8, inits=1, amplitudes=(1, 2, 3, 4))
    tables.write_raw(measured, path)
    assert measured.attrs.items() <= tables.read(path).attrs.items()


def test_a_folder_that_was_removed_leaves_the_project_that_holds_the_package(
    tmp_path, monkeypatch, capsys
):
    project, gone = tmp_path / "project", tmp_path / "gone"
    for folder in (project / "lct_lab", project / "notebooks", gone):
        folder.mkdir(parents=True)
    monkeypatch.delenv("LCT_LAB_OUT", raising=False)
    monkeypatch.chdir(gone)
    gone.rmdir()
    monkeypatch.setattr(tables, "__file__", str(project / "lct_lab" / "tables.py"))
    tables.write(pd.DataFrame({"n": [1]}), "03-x")
    written = project / "build" / "interactive" / "data" / "03-x.csv"
    assert written.exists() and capsys.readouterr().out == f"written to {written}\n"
    (project / "notebooks").rmdir()
    with pytest.raises(FileNotFoundError, match="^the working directory must be there, got one"):
        tables.output("data", "03-x")


def test_a_nan_of_either_sign_is_read_as_written(tmp_path):
    table = pd.DataFrame({"x": [np.nan, -np.nan, np.inf - np.inf, 1.0]})
    tables.write_raw(table, tmp_path / "nan.parquet")
    assert tables.read(tmp_path / "nan.parquet")["x"].isna().sum() == 3


def test_columns_that_are_not_all_named_alike_are_refused(tmp_path):
    with pytest.raises(TypeError, match="table must have columns of one type each"):
        tables.write_raw(pd.DataFrame({1: [1.0], "a": [2.0]}), tmp_path / "mixed.parquet")
    assert not list(tmp_path.iterdir())


def test_names_that_come_twice_are_refused_and_those_of_categories_kept(out):
    table = pd.DataFrame({"x": [1.0, 2.0], "level_0": 3, "index": 4})
    for twice, name in (
        (table.rename_axis("x"), "x"),
        (table.set_axis(["a", "a", "b"], axis=1), "a"),
        (table.set_index([[1, 2], [3, 4]]).rename_axis(["g", "g"]), "g"),
    ):
        for write in (tables.write, tables.write_raw):
            with pytest.raises(ValueError, match=f"must have each column once, .* got {name} twi"):
                write(twice, "03-x")
    with pytest.raises(TypeError, match="table must have columns of .* cannot insert level_0"):
        tables.write_raw(table.set_index(pd.Index(["p", "q"])), out / "x.parquet")
    wide = table.set_axis(pd.CategoricalIndex(["p", "q", "r"]), axis=1)
    tables.write_raw(wide, out / "x.parquet")
    assert tables.read(out / "x.parquet").to_dict() == wide.to_dict()


def test_what_is_asked_for_by_no_name_is_a_sentence():
    raw = lct_lab.probe(20, 15, inits=3)
    for call, words in (
        (lambda: tables.ratios(raw, to=["a2"]), "to must be one of the groups a1, .* got ..a2"),
        (lambda: tables.scale(raw, by=np.array(3)), "by must be the name of a column or a list"),
        (lambda: tables.fit_exponents(None), "table must be a DataFrame, got NoneType"),
        (lambda: tables.fit_exponents(raw, predicted=np.zeros(0)), "value and predicted must be"),
        (lambda: tables.bootstrap(np.ma.masked_less([1, 2], 2)), "values must be a list without"),
    ):
        with pytest.raises((TypeError, ValueError), match=words):
            call()
    exact = tables.bootstrap([1.0, 2.0], level=Fraction(1, 2))
    assert exact == tables.bootstrap([1.0, 2.0], level=0.5)


@pytest.mark.parametrize("by", [("group", "group"), ("scale",), "rms_median"])
def test_a_summary_by_what_it_makes_itself_is_refused(by):
    raw = lct_lab.probe(8, 8, inits=2).assign(scale=1.0, rms_median=1.0)
    with pytest.raises(ValueError, match="by must be columns, each once"):
        tables.summarise(raw, by=by)


@pytest.mark.parametrize("statistic", [lambda values: 0.0, lambda values, axis: "x", np.abs])
def test_a_statistic_that_is_none_is_named(statistic):
    with pytest.raises(TypeError, match="statistic must be as numpy's"):
        tables.bootstrap([1.0, 2.0, 3.0], statistic, draws=10)


@pytest.mark.filterwarnings("ignore:.*future.infer_string")
@pytest.mark.parametrize(
    "make",
    (
        lambda: pd.DataFrame({"group": ["a1", "w1"], "rms": [1.0, 2.0]}).iloc[:0],
        lambda: pd.DataFrame({"group": pd.Categorical(["a1", None, "w1"])}),
        lambda: pd.DataFrame({"group": pd.Categorical(["a", "b"], ["b", "a"], ordered=True)}),
        lambda: pd.DataFrame({"group": pd.array(["a1", None], dtype="string")}),
        lambda: pd.DataFrame({"group": pd.array(["a1", None], dtype="string[python]")}),
        lambda: pd.DataFrame({"rms": [1.0]}, index=pd.CategoricalIndex(["a1"], name="group")),
    ),
)
def test_text_of_any_kind_is_the_same_whatever_pandas_makes_of_it(tmp_path, make):
    saved = []
    for infers in (True, False):
        with pd.option_context("future.infer_string", infers):
            rows = tables.write_raw(make(), tmp_path / "rows.parquet")
            saved.append((tmp_path / "rows.parquet").read_bytes())
            read = tables.read(tmp_path / "rows.parquet")
            assert read.equals(rows) and (read.dtypes == rows.dtypes).all()
    assert saved[0] == saved[1]


@pytest.mark.filterwarnings("ignore:.*future.infer_string")
def test_raw_rows_are_the_same_whatever_pandas_makes_of_text(tmp_path):
    saved = []
    for infers in (True, False):
        with pd.option_context("future.infer_string", infers):
            rows = pd.DataFrame({"group": ["a1", "w1"], "rms": [1.0, 2.0]})
            tables.write_raw(rows, tmp_path / "rows.parquet")
            saved.append((tmp_path / "rows.parquet").read_bytes())
            assert tables.read(tmp_path / "rows.parquet")["group"].tolist() == ["a1", "w1"]
    assert saved[0] == saved[1]
    with pd.option_context("future.infer_string", False):
        with pytest.raises(TypeError, match="table must have columns of one type each"):
            mixed = pd.DataFrame({"group": ["a1", ("w1",)]})
            tables.write_raw(mixed, tmp_path / "mixed.parquet")


def test_a_pipe_stays_a_pipe_and_a_link_a_link(tmp_path):
    pipe, link, target = (tmp_path / name for name in ("pipe", "link", "target"))
    (tmp_path / "folder").mkdir()
    (tmp_path / "to-folder").symlink_to(tmp_path / "folder")
    for name in ("folder", "to-folder"):
        with pytest.raises(OSError, match=f"cannot write .*{name}: .*Is a directory"):
            tables.write_raw(pd.DataFrame({"x": [1.0]}), tmp_path / name)
    assert (tmp_path / "to-folder").is_symlink()
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="cannot write .*pipe: .*no regular file"):
        tables.write_raw(pd.DataFrame({"x": [1.0]}), pipe)
    assert pipe.is_fifo()
    target.write_bytes(b"before")
    link.symlink_to(target)
    tables.write_raw(pd.DataFrame({"x": [1.0]}), link)
    assert link.is_symlink() and target.read_bytes() != b"before"
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["folder", "link", "pipe", "target", "to-folder"]
