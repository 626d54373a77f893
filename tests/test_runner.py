"""The runner of notebooks, each of its promises with a real notebook in a project of its own."""

import json
import re
import sys

import pytest
import run_notebook
from projects import GIVEN, TABLE, make_project, outputs, publish_before, run, write
from runner.notebook import parameters, parse
from test_publish import LIMITED

NOISY = 'import sys; print("progress", file=sys.stderr)'


@pytest.fixture
def project(tmp_path):
    return make_project(tmp_path, TABLE, NOISY)


def test_a_run_repeats_to_the_byte_and_a_second_call_does_nothing(project):
    first = run(project)
    said = first.stdout + first.stderr
    assert first.returncode == 0 and re.search(r"ok +[\d.]+ s +90-sizes", first.stdout), said
    made = outputs(project)
    assert set(made) == {"data/90-sizes.csv", "notebooks/rendered/90-sizes.ipynb"}
    book = json.loads(made["notebooks/rendered/90-sizes.ipynb"])
    assert book["metadata"]["lct_lab"]["parameters"] == {"n": 3, "rate": 0.5, "name": "eeg"}
    assert "progress" not in str(book["cells"][2]["outputs"]) and "papermill" not in str(book)
    again = run(project)
    assert again.returncode == 0 and "nothing to do: 1 notebooks are up to date" in again.stdout
    (project / "data" / "90-sizes.csv").unlink()
    assert "ok" in run(project).stdout, "a table that is gone is made again"
    assert outputs(project) == made


def test_other_parameters_leave_the_committed_results_alone(project):
    made = publish_before(project)
    result = run(project, NB="90", P="n=7 rate=1e-3 name='my files/`x` $(y).npy'")
    assert result.returncode == 0, result.stdout
    now = outputs(project)
    assert {name: now[name] for name in made} == made
    (table,) = [name for name in now if name.startswith("build/runs/90-") and name.endswith(".csv")]
    assert now[table] == b"n\n7\n" and table.split("/data")[0] in result.stdout
    (book,) = [name for name in now if name.startswith("build/runs/90-") and "ipynb" in name]
    assert b"7 0.001 my files/`x` $(y).npy" in now[book]


def test_failures_fail_the_build_and_leave_the_last_good_output(project):
    made = publish_before(project)
    write(project, TABLE.replace("{n}", "{n + 1}"), "assert n == 4, 'the claim is false'")
    write(project, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)", name="91-killed")
    write(project, "print('x' * 1_200_000)", name="92-large")
    result = run(project, JOBS="3")
    assert result.returncode == 1 and result.stdout.count("FAILED") == 3, result.stdout
    for words in ("the claim is false", "Kernel died: out of memory", "more than 1000000"):
        assert words in result.stdout, result.stdout
    assert "0 of 3 notebooks" in result.stdout and outputs(project) == made
    kept = project / "build" / "failed" / "90-sizes"
    assert (kept / "90-sizes.failed.ipynb").exists() and (kept / "data" / "90-sizes.csv").exists()
    assert not (project / "build" / "stamps").exists(), "a failure is not up to date"


@pytest.mark.parametrize("given", [{"PYTHONOPTIMIZE": "1"}, {"PYTHONOPTIMIZE": "2"}])
def test_checks_are_made_whatever_python_is_told(project, given):
    write(project, TABLE, "assert n == 4")
    result = run(project, **given)
    assert result.returncode == 1 and "a check in cell 3 does not hold" in result.stdout
    assert outputs(project) == {}


def test_checks_are_made_by_a_runner_that_makes_none(project):
    write(project, TABLE, "assert n == 4")
    result = run(project, python=[sys.executable, "-O"])
    assert result.returncode == 1 and "a check in cell 3 does not hold" in result.stdout


def test_a_long_name_of_the_folder_for_temporary_files_is_no_matter(project):
    folder = project / ("long" * 30)
    folder.mkdir()
    result = run(project, TMPDIR=str(folder))
    assert result.returncode == 0, result.stdout


def test_nothing_is_left_open_that_python_would_warn_of(project):
    result = run(project, PYTHONWARNINGS="error::ResourceWarning")
    assert result.returncode == 0 and result.stderr == "", result.stderr


def test_results_whose_folder_was_removed_meanwhile_are_not_published(project):
    made = publish_before(project)
    other = TABLE.replace("90-sizes", "90-other")
    write(project, other, "import os, shutil; shutil.rmtree(os.environ['LCT_LAB_OUT'])", TABLE)
    result = run(project)
    assert result.returncode == 1 and outputs(project) == made
    assert re.search(r"its folder build/90-\S+ was removed while it ran", result.stdout)


def test_tables_of_another_number_are_not_published(project):
    made = publish_before(project)
    write(project, TABLE.replace("90-sizes", "91-other"), TABLE)
    result = run(project)
    assert result.returncode == 1 and outputs(project) == made
    assert "what it makes must begin with 90-, got 91-other.csv" in result.stdout


def test_a_name_that_the_output_cannot_show_is_shown_in_numbers(project):
    write(project, TABLE.replace("90-sizes", "91-x"), name="91-café")
    result = run(project, NB="91", PYTHONIOENCODING="ascii")
    assert (result.returncode, result.stderr) == (0, "")
    assert "91-caf\\xe9" in result.stdout


def test_a_name_that_is_not_text_is_one_sentence(project):
    write(project, name="91-caf\udce9")
    result = run(project)
    wanted = "notebooks must have names that can be printed, got '91-caf\\udce9.ipynb'\n"
    assert (result.returncode, result.stderr) == (1, wanted)


def test_a_path_with_braces_and_a_users_style_change_nothing(tmp_path):
    folder = tmp_path / "a{b}c"
    folder.mkdir()
    (tmp_path / "matplotlibrc").write_text("lines.linewidth: 7\n")
    style = "import matplotlib; assert matplotlib.rcParams['lines.linewidth'] == 1.5"
    project = make_project(folder, TABLE, style)
    result = run(project, MATPLOTLIBRC=str(tmp_path / "matplotlibrc"))
    assert result.returncode == 0, result.stdout + result.stderr


def test_only_what_was_kept_of_a_failed_run_is_said_to_be_there(project):
    write(
        project,
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))",
        TABLE.replace("{n}", "{n:200000}"),
        "assert n == 4",
    )
    (project / "tools" / "limited.py").write_text(LIMITED)
    result = run(project, tool="limited.py")
    assert result.returncode == 1 and "a check in cell 4 does not hold" in result.stdout
    assert "what it made is in" not in result.stdout


@pytest.mark.parametrize("end, status", [(">&-", 0), ("| true", 0), (">/dev/full", 1)])
def test_a_runner_that_nobody_hears_ends_in_words(project, end, status):
    command = f"{sys.executable} tools/run_notebook.py {end}"
    result = run(project, "-c", command, tool="", python=["bash"])
    wanted = "standard output: No space left on device\n" if status else ""
    assert (result.returncode, result.stderr) == (status, wanted)
    assert "data/90-sizes.csv" in outputs(project)


def test_a_time_limit_ends_a_notebook(project):
    write(project, "import time; time.sleep(60)")
    result = run(project, "--timeout", "3")
    assert result.returncode == 1 and "stopped after 3 s, its time limit" in result.stdout
    assert outputs(project) == {} and not list((project / "build").glob("90-*"))


def test_a_failed_check_with_other_parameters_says_its_numbers_and_keeps_the_tables(project):
    write(project, TABLE, "predicted = 2 * rate\nassert abs(n - predicted) < 0.1 * predicted")
    result = run(project, NB="90", P="n=7")
    assert result.returncode == 1
    assert "a check in cell 4 does not hold" in result.stdout, result.stdout
    assert "AssertionError: abs(n - predicted) < 0.1 * predicted" in result.stdout
    assert "abs(n - predicted) = 6.0" in result.stdout
    assert "0.1 * predicted = 0.1" in result.stdout
    (kept,) = (project / "build" / "failed").iterdir()
    assert f"what it made is in build/failed/{kept.name}" in result.stdout
    assert (kept / "data" / "90-sizes.csv").read_text() == "n\n7\n"
    assert (kept / "90-sizes.failed.ipynb").exists()


def test_a_failed_run_leaves_a_good_one_with_the_same_parameters_alone(project):
    unless = "import pathlib; assert not pathlib.Path('../fails').exists()"
    write(
        project,
        "import pathlib",
        TABLE.replace("{n}", "{pathlib.Path('../fails').exists()}"),
        unless,
    )
    assert run(project, NB="90", P="n=7").returncode == 0
    made = outputs(project)
    (project / "fails").touch()
    result = run(project, NB="90", P="n=7")
    assert result.returncode == 1 and outputs(project) == made
    (kept,) = (project / "build" / "failed").iterdir()
    assert f"what it made is in build/failed/{kept.name}" in result.stdout
    assert (kept / "data" / "90-sizes.csv").read_text() == "n\nTrue\n"
    (project / "fails").unlink()
    assert run(project, NB="90", P="n=7").returncode == 0 and not kept.exists()


@pytest.mark.parametrize("ends", ("import sys; sys.exit()", "raise SystemExit(0)", "exit()"))
def test_a_notebook_that_a_cell_ends_early_fails(project, ends):
    write(project, TABLE, f"n\n{ends}", "assert n == 4")
    result = run(project)
    assert result.returncode == 1 and outputs(project) == {}
    said = "cell 3 ended the notebook with SystemExit, and all cells must run:"
    assert f"{said}\n       n\n       {ends}" in result.stdout, result.stdout


def test_a_cell_that_is_not_run_fails(project):
    path = project / "notebooks" / "90-sizes.ipynb"
    book = json.loads(path.read_text())
    book["cells"][2]["metadata"]["tags"] = ["skip-execution"]
    path.write_text(json.dumps(book))
    result = run(project)
    assert result.returncode == 1 and "cell 3 has not run, and all cells must run" in result.stdout


def test_a_users_environment_changes_nothing(project, tmp_path):
    startup = tmp_path / "startup.py"
    startup.write_text("n_of_the_user = 7")
    write(
        project,
        TABLE,
        "import os, sys, warnings\nassert 'n_of_the_user' not in globals()",
        "warnings.warn('no error')\nassert not sys.flags.inspect and not sys.flags.optimize",
        "assert open(os.devnull).encoding.lower() == 'utf-8'",
        "assert 'inline' in os.environ['MPLBACKEND'] and sys.flags.dont_write_bytecode",
    )
    result = run(
        project,
        PYTHONSTARTUP=str(startup),
        PYTHONWARNINGS="error::UserWarning",
        PYTHONUTF8="0",
        LC_ALL="en_US.ISO-8859-1",
        MPLBACKEND="Agg",
        PYTHONDONTWRITEBYTECODE="1",
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_notebook_that_names_no_language_takes_parameters(project):
    path = project / "notebooks" / "90-sizes.ipynb"
    path.write_text(json.dumps({**json.loads(path.read_text()), "metadata": {}}))
    result = run(project, NB="90", P="n=7")
    assert result.returncode == 0, result.stdout
    assert b"n\n7\n" in outputs(project).values()


@pytest.mark.parametrize("given", ({"P": "name=\udcff"}, {"SCHEDULER": "\udcff", "P": ""}))
def test_values_that_are_not_text_are_one_sentence(project, given):
    write(project, TABLE, parameters="scheduler: str = ''\nname: str = ''")
    result = run(project, NB="90", **given)
    wanted = r"(P|SCHEDULER) must be text in UTF-8, got '(name=)?\\udcff'\n"
    assert result.returncode == 1 and re.fullmatch(wanted, result.stderr), result.stderr


def test_what_is_published_is_said_to_be_where_it_cannot_be_noted_as_done(project):
    (project / "build").mkdir()
    (project / "build" / "stamps").write_text("no folder")
    for _ in range(2):
        result = run(project)
        assert result.returncode == 0 and re.search(r"ok +[\d.]+ s +90-sizes", result.stdout)
        assert "all is in place, but it will run again next time: cannot write" in result.stdout
        assert "data/90-sizes.csv" in outputs(project)


def test_two_notebooks_of_one_number_are_refused(project):
    write(project, TABLE, name="90-copy")
    write(project, TABLE, name="91-other")
    wanted = (
        "notebooks must have numbers of their own, and 90-copy.ipynb and 90-sizes.ipynb share 90\n"
    )
    for given in ({}, {"NB": "90"}, {"NB": "90-copy"}):
        result = run(project, **given)
        assert (result.returncode, result.stderr, outputs(project)) == (1, wanted, {})


def test_long_and_short_runs_leave_the_tables_of_each_other_alone(project):
    own = "import os, pathlib\nfolder = pathlib.Path(os.environ['LCT_LAB_OUT'], 'data')"
    other = "(folder / ('90-sizes.csv' if full else '90-full-sizes.csv')).write_text('other')"
    write(
        project, TABLE, f"{own}\n{other}", parameters="full = False\nn = 1\nrate = 2.0\nname = ''"
    )
    short, long = run(project), run(project, FULL="1")
    said = "only what a long run makes may begin with 90-full-, got 90-full-sizes.csv"
    assert short.returncode == 1 and said in short.stdout
    said = "the names of what it makes must begin with 90-full-, got 90-sizes.csv"
    assert long.returncode == 1 and said in long.stdout
    assert outputs(project) == {}


@pytest.mark.parametrize("word", ("no", "False", "0", "off", " "))
def test_no_is_no(project, word):
    result = run(project, FULL=word)
    assert result.returncode == 0 and "data/90-sizes.csv" in outputs(project), result.stderr


@pytest.mark.parametrize("name", ("90-\udcff.csv", "90-a\nb.csv"))
def test_what_a_notebook_makes_may_have_any_name(project, name):
    own = "import os, pathlib\nfolder = pathlib.Path(os.environ['LCT_LAB_OUT'], 'data')"
    write(project, f"{own}\nfolder.mkdir(exist_ok=True)\n(folder / {name!r}).write_text('a')")
    first = run(project)
    assert first.returncode == 0, first.stderr
    assert (project / "data" / name).read_text() == "a"
    assert "up to date" in run(project).stdout
    (project / "data" / name).unlink()
    assert "1 of 1 notebooks" in run(project).stdout


@pytest.mark.parametrize("limit", ("0", "-1", "nan"))
def test_a_time_limit_is_a_time(project, limit):
    result = run(project, "--timeout", limit)
    wanted = f"--timeout must be a number of seconds above 0, got {limit}"
    assert result.returncode == 1 and result.stderr.startswith(wanted)


def test_full_runs_those_that_have_it_under_their_own_name(project):
    assert "FULL runs the long version" in run(project, FULL="1").stderr
    write(project, TABLE, parameters="full = False\nn = 1\nrate = 2.0\nname = ''")
    write(project, TABLE, name="91-short")
    result = run(project, FULL="1")
    assert result.returncode == 0 and "1 of 1 notebooks" in result.stdout
    assert set(outputs(project)) == {
        "data/90-full-sizes.csv",
        "notebooks/rendered/90-full-sizes.ipynb",
    }


@pytest.mark.parametrize(
    "given, words",
    [
        (
            {"P": "inits=3"},
            "the parameters of 90-sizes: n=3, rate=0.5, name='eeg'; got 'inits=3'",
        ),
        ({"P": "n"}, "got 'n'"),
        ({"P": "n=2.5"}, "n of 90-sizes must be of type int, like its default 3; got '2.5'"),
        ({"P": "rate=fast"}, "rate of 90-sizes must be of type float"),
        (
            {"P": "rate=1e999"},
            "rate of 90-sizes must be of type float, like its default 0.5; got '1e999'",
        ),
        ({"P": "name='my file"}, "quoted as in a shell: No closing quotation"),
        ({"NB": "77"}, "NB must be the number or name of a notebook, 90, 91; got '77'"),
        ({"NB": "90", "FULL": "1"}, "FULL runs the long version of a notebook, and 90-sizes has"),
        ({"NB": "90", "SCHEDULER": "tcp://x:1"}, "90-sizes has none; those that have: 91"),
        ({"FULL": "maybe"}, "FULL must be 1, yes, true or on, or 0, no, false or off; got 'maybe'"),
        ({"JOBS": "two"}, "JOBS must be the number of notebooks that run at once"),
        ({"JOBS": "9" * 5000}, "JOBS must be the number of notebooks that run at once"),
    ],
)
def test_bad_requests_are_one_sentence_and_write_nothing(project, monkeypatch, given, words):
    write(project, TABLE, name="91-sweep", parameters="scheduler: str = ''  # a = b")
    monkeypatch.setattr(run_notebook, "ROOT", project)
    monkeypatch.setattr(run_notebook.processes, "stop_on_signals", lambda: None)  # of the tests
    monkeypatch.setattr("sys.argv", ["run_notebook.py"])
    for name in GIVEN:
        monkeypatch.setenv(name, ({"NB": "90"} | given).get(name, ""))
    with pytest.raises(SystemExit, match=re.escape(words)) as ended:
        run_notebook.main()
    assert "\n" not in ended.value.code and outputs(project) == {}


def test_what_is_no_notebook_is_named(project):
    (project / "notebooks" / "90-sizes.ipynb").write_text("{}")
    result = run(project)
    assert result.returncode == 1 and "90-sizes.ipynb must be a notebook" in result.stderr
    write(project, TABLE, parameters="n: int = 2 + x")
    assert "must be lines `name: type = literal`" in run(project).stderr


@pytest.mark.parametrize(
    "odd",
    (
        lambda book: book.pop("metadata"),
        lambda book: book.pop("nbformat"),
        lambda book: book["cells"][1]["metadata"].update(tags=3),
        lambda book: book["cells"][1].update(source="x = '\udcff'"),
    ),
)
def test_what_a_notebook_must_have_is_one_sentence(project, odd):
    path = project / "notebooks" / "90-sizes.ipynb"
    book = json.loads(path.read_text())
    odd(book)
    path.write_text(json.dumps(book))
    with pytest.raises(SystemExit, match="90-sizes.ipynb must be a notebook, and cannot be read"):
        parameters(path)


def test_values_keep_the_types_of_their_defaults():
    known = {"n": 3, "rate": 0.5, "full": False, "name": "x"}
    parsed = parse("n=7 rate=2 full=true name='1e-3 of it'", known, "90-sizes")
    assert parsed == {"n": 7, "rate": 2.0, "full": True, "name": "1e-3 of it"}
    assert type(parsed["rate"]) is float


def test_values_that_no_run_can_be_given_are_refused(project):
    known = {"sizes": [1, 2]}
    words = "P: sizes of 90-a must be of values that JSON has; got "
    for value in ("[(1+2j)]", "[{1}]", "[b'a']"):
        with pytest.raises(SystemExit, match=re.escape(words + value)):
            parse(f'sizes="{value}"', known, "90-a")
    write(project, TABLE, parameters="n = 3\nz = 1 + 2j")
    with pytest.raises(SystemExit, match="the parameters of 90-sizes must be lines"):
        parameters(project / "notebooks" / "90-sizes.ipynb")


def test_a_parameter_given_twice_is_refused():
    with pytest.raises(SystemExit, match="P must give each parameter once, got n twice"):
        parse("n=7 n=8", {"n": 1}, "90-sizes")


def test_a_parameter_may_have_an_equals_sign_in_its_comment(project):
    write(project, parameters="n: int = 3  # N = M\nfull: bool = (\n    False  # long = slow\n)")
    assert parameters(project / "notebooks" / "90-sizes.ipynb") == {"n": 3, "full": False}


@pytest.mark.parametrize("given", ["[(1,)]", "[1e999]", "(1, 2)"])
def test_a_value_that_a_run_would_get_as_another_is_refused(tmp_path, given):
    project = make_project(tmp_path, TABLE)
    write(project, TABLE, parameters="sizes: list = [1]")
    result = run(project, NB="90", P=f"sizes={given}")
    assert result.returncode and "sizes" in result.stdout + result.stderr
    assert not (project / "build" / "runs").exists()


def test_a_notebook_that_was_edited_while_it_waited_or_ran_is_not_up_to_date(tmp_path):
    edits = """
from pathlib import Path
from lct_lab import tables
path = Path("{place}")
path.write_text(path.read_text().replace("'first'", "'second'"))
tables.output("data", "90-sizes.csv").write_text('first')
"""
    project = make_project(tmp_path, TABLE)
    write(project, edits.format(place=project / "notebooks" / "90-sizes.ipynb"))
    result = run(project)
    assert result.returncode == 0 and "edited while it ran" in result.stdout, result.stdout
    assert "up to date" not in run(project).stdout
    assert (project / "data" / "90-sizes.csv").read_text() == "second"
    assert "up to date" in run(project).stdout
