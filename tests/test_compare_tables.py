"""Tables made anew against the committed ones: what passes, what does not, what is counted."""

import subprocess
import sys

import compare_tables
import pandas as pd
import pytest
from projects import ROOT

TABLE = pd.DataFrame(
    {
        "name": ["a", "b"],
        "scale": [1.0, 1000.0],
        "count": [3, 4],
        "gap": [float("nan"), 1.0],
        "time_s": [1.0, 2.0],
    }
)


def differs(table, /, **changed):
    return compare_tables.difference(table, TABLE, TABLE.assign(**changed))


def test_the_last_digits_of_a_number_may_differ():
    assert differs("03-t.csv") is None
    assert differs("03-t.csv", scale=[1.00005, 1000.05]) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"scale": [1.01, 1000.0]},
        {"scale": [1.0, 1001.0]},
        {"count": [3, 5]},
        {"name": ["a", "c"]},
        {"gap": [float("nan")] * 2},
        {"gap": [1.0, 1.0]},
        {"time_s": [1.0, 9.0]},
    ],
)
def test_what_differs_is_named_with_both_values(changed):
    (column,) = changed
    words = differs("03-t.csv", **changed)
    assert "03-t.csv" in words and f'column name="{column}"' in words
    assert "[left]" in words and "[right]" in words


def test_trained_tables_have_room_and_their_times_are_exempt():
    assert differs("11-cases.csv", scale=[1.2, 900.0], time_s=[7.0, 9.0]) is None
    assert differs("12-codes.csv", scale=[1.2, 900.0]) is None
    assert "scale" in differs("11-cases.csv", scale=[1.4, 1000.0])
    assert "time_s" in differs("12-codes.csv", time_s=[7.0, 9.0])


def test_the_steps_of_a_slow_training_have_room_and_those_of_a_fast_one_none():
    assert differs("09-steps.csv", scale=[1.0, 1024.0]) is None
    assert "scale" in differs("09-steps.csv", scale=[1.0, 1200.0])
    assert "count" in differs("09-steps.csv", count=[3, 5])
    assert "gap" in differs("09-steps.csv", gap=[1.0, 1.0])


def test_rows_and_columns_must_be_the_same():
    assert compare_tables.difference("t.csv", TABLE, TABLE.iloc[:1])
    assert compare_tables.difference("t.csv", TABLE, TABLE.rename(columns={"gap": "gaps"}))
    assert compare_tables.difference("11-cases.csv", TABLE, TABLE.drop(columns="time_s"))


def test_every_tolerance_is_of_some_table_and_says_why():
    names = list(compare_tables.committed_tables())
    used = {compare_tables.tolerance_of(name).tables for name in names}
    for rule in compare_tables.TOLERANCES:
        assert rule.tables in used, f"no table needs the tolerance of {rule.tables}"
        assert rule.why or rule == compare_tables.Tolerance("*")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A repository with three committed tables, one of them of times."""
    monkeypatch.setattr(compare_tables, "ROOT", tmp_path)
    (tmp_path / "data").mkdir()
    for name in ("03-a.csv", "04-b.csv", "14-times.csv"):
        TABLE.to_csv(tmp_path / "data" / name, index=False)
    author = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "."], [*author, "commit", "-qm", "tables"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    return tmp_path


def test_the_report_counts_what_it_compared_and_what_it_did_not(project, capsys):
    TABLE.assign(scale=5.0).to_csv(project / "data" / "14-times.csv", index=False)
    assert compare_tables.main() == 0
    said = capsys.readouterr().out
    assert "2 tables compared, 0 differences; 1 exempt" in said
    assert "1 14-*: times, memory and rounding errors of one machine" in said


def test_missing_changed_and_uncommitted_tables_fail(project, capsys):
    (project / "data" / "03-a.csv").unlink()
    TABLE.assign(scale=5.0).to_csv(project / "data" / "04-b.csv", index=False)
    TABLE.to_csv(project / "data" / "05-new.csv", index=False)
    assert compare_tables.main() == 1
    said = capsys.readouterr().out
    assert "03-a.csv: no longer made" in said and "05-new.csv: made, and never committed" in said
    assert "04-b.csv" in said and 'column name="scale"' in said
    assert "2 tables compared, 3 differences; 1 exempt" in said


def test_the_tables_are_compared_with_those_of_their_own_repository(project, monkeypatch, capsys):
    monkeypatch.setenv("GIT_DIR", str(project / "nowhere"))
    assert compare_tables.main() == 0
    assert "2 tables compared, 0 differences; 1 exempt" in capsys.readouterr().out


def test_where_there_is_no_repository_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(compare_tables, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(SystemExit, match="must be a git repository with a commit") as ended:
        compare_tables.main()
    assert ended.value.code.startswith(str(tmp_path)) and "\n" not in ended.value.code


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2,3\n1\n1,2,3,4\n", b"\xff\xfe\xfa"])
def test_a_table_that_is_none_is_a_difference(project, capsys, content):
    (project / "data" / "04-b.csv").write_bytes(content)
    assert compare_tables.main() == 1
    said = capsys.readouterr().out
    assert "04-b.csv: as made or as committed, it cannot be read as a table: " in said
    assert "2 tables compared, 1 differences" in said


def test_a_reader_who_has_seen_enough_is_no_error():
    command = f"{sys.executable} tools/compare_tables.py | true"
    found = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True)
    assert found.stderr == ""
