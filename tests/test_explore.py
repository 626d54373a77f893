"""The explorer without a browser: what it computes and draws, how it answers to its controls."""

import functools
import io
import itertools
import shlex
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.text import Text
from PIL import Image
from runner import ROOT
from runner.notebook import parameters, parse

from lct_lab import LCT, comparison, explore, laws, probe, probes
from lct_lab.explore import Settings

WAIT = 60
NOTEBOOK = ROOT / "notebooks" / "00-explore.ipynb"


def wait(shown):
    shown.thread.join(WAIT)
    assert not shown.thread.is_alive()


@pytest.fixture(scope="module")
def panels():
    return explore.Panels()


@pytest.fixture(scope="module")
def found():
    return functools.cache(explore.measure)


@pytest.fixture
def shown():
    explorer = explore.Explorer(Settings(n=64, m=48, inits=3))
    wait(explorer)
    return explorer


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("n, m", [(1, 1), (2, 5), (60, 31), (2000, 700)])
def test_loss_along_a_frequency_is_the_models(n, m, tied):
    with torch.device("meta"):  # whatever torch's default device is
        found = explore.measure(Settings(n, m, "shuffled", tied, inits=1, seed=4))
    for place in (0, 99, 320, 500):
        model = LCT(n, m, init="shuffled", tied=tied, seed=4, dtype=torch.float64, engine="dense")
        with torch.no_grad():
            model.w1[found["k"]] += found["near"][place] * np.pi / n
        expected = model.loss(torch.as_tensor(found["x"])).item()
        assert found["losses"][place] == pytest.approx(expected, rel=1e-8, abs=1e-10)


def test_scales_are_probes():
    found = explore.measure(Settings(200, 100, inits=5, seed=2, batch=2, signal="normal"))["scales"]
    rows = probe(200, 100, inits=5, seed=2, batch=2, signal="normal")
    for group, measured in zip(found["group"], found["measured"], strict=True):
        squares = rows.loc[rows["group"] == group, "rms"] ** 2
        assert measured == pytest.approx(squares.mean() ** 0.5)
    assert set(found["verdict"]) <= {"within", "outside", "undecided"}
    assert (found["predicted"] > 0).all()


def test_verdicts_are_those_of_compare():
    found = explore.measure(Settings(100, 100, "shuffled", inits=8))
    rows = probe(100, 100, init="shuffled", inits=8)
    law = laws.predict(100, 100, init="shuffled")
    expected = comparison.judged(rows, law, statistics=("rms", "median"))
    for statistic, name in (("rms", "scales"), ("median", "medians")):
        table, wanted = found[name].set_index("group"), expected.loc[statistic]
        pd.testing.assert_frame_equal(table, wanted, check_names=False)
    assert not np.allclose(found["scales"]["measured"], found["medians"]["measured"], rtol=0.2)


@pytest.mark.parametrize("column, table", [("rms", "scales"), ("median_abs", "medians")])
def test_a_wrong_law_is_outside(monkeypatch, column, table):
    right = laws.predict
    monkeypatch.setattr(laws, "predict", lambda *a, **k: right(*a, **k).assign(**{column: 1e4}))
    found = explore.measure(Settings(300, 300, "shuffled", inits=20))
    assert (found[table]["verdict"] == "outside").all()
    (other,) = {"scales", "medians"} - {table}
    assert not (found[other]["verdict"] == "outside").any()


def test_right_laws_are_hardly_ever_outside():
    """Each pair of pictures holds at 95 %: of 24 at most 5 may fail (chance of more: 0.1 %)."""
    failed = 0
    for start in ("random", "shuffled", "orthogonal", "jittered"):
        for seed in range(6):
            found = explore.measure(Settings(96, 64, start, seed=seed))
            verdicts = pd.concat([found["scales"], found["medians"]])["verdict"]
            failed += (verdicts == "outside").any()
    assert failed <= 5


def test_without_a_law_the_measurement_stays():
    found = explore.measure(Settings(320, 32, "orthogonal", inits=2))
    assert "no law here: n must be at most 8 m" in found["sentence"]
    for table in ("scales", "medians"):
        assert (found[table]["verdict"] == "no law").all()
        assert (found[table]["measured"] > 0).all()


@pytest.mark.parametrize(
    "settings, words",
    [
        (Settings(900, 64, signal="eeg"), "n must be between 2 and 800"),
        (Settings(amplitudes="1,2"), "amplitudes must be four finite numbers"),
        (Settings(amplitudes="one"), "four numbers with commas between them, got 'one'"),
        (Settings(amplitudes="1e200,1,1,1"), "0 or between 1e-10 and 1e.10 in size, got '1e200"),
        (Settings(amplitudes="1,1e-200,1,1"), "0 or between 1e-10 and 1e.10 in size"),
        (Settings(amplitudes="nan,1,1,1"), "amplitudes must be four finite numbers"),
        (Settings(amplitudes=(1, 1, 1, 1)), "amplitudes must be text such as"),
        (Settings(start="sorted"), "init must be one of random"),
        (Settings(seed=-1), "seed must be at least 0"),
        (Settings(inits=0), "inits must be at least 1"),
    ],
)
def test_bad_settings_are_one_sentence(settings, words):
    with pytest.raises((ValueError, TypeError), match=words):
        explore.measure(settings)


@pytest.mark.parametrize("settings", [{"n": 64}, [64, 64], (), {}, 0, (8, 8, *Settings()[2:])])
def test_what_is_no_settings_is_a_sentence(settings):
    for make in (explore.measure, explore.draw, explore.explorer):
        with pytest.raises(TypeError, match="settings must be Settings, got (dict|list|tuple|int)"):
            make(settings)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("amplitudes", ["1e10,1e10,-1e10,1e10", "1e-10,1,-1,1e10", "0,0,0,0"])
def test_extreme_amplitudes_are_measured(amplitudes):
    found = explore.measure(Settings(64, 64, amplitudes=amplitudes, inits=3))
    assert np.isfinite(found["scales"]["measured"]).all() and np.isfinite(found["losses"]).all()


def shown_words(ax):
    """Every text of a panel that is on the picture: ticks beyond the ends of an axis are not."""
    legend, ticks = ax.get_legend(), {}
    for axis in (ax.xaxis, ax.yaxis):
        low, high = sorted(axis.get_view_interval())
        ticks |= {tick.label1: low <= tick.get_loc() <= high for tick in axis.get_major_ticks()}
    hidden = [] if not legend or legend.get_visible() else legend.get_texts()
    for text in ax.findobj(Text):
        if text.get_text() and text.get_visible() and ticks.get(text, True) and text not in hidden:
            yield text


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(100_000, 100_000, inits=2),
        Settings(64, 64, amplitudes="1e10,1,-1,1e10", inits=3),
        Settings(320, 32, "orthogonal", inits=2),
        Settings(256, 300, "shuffled", True, inits=10),
        Settings(1, 1, inits=1),
    ],
    ids=["defaults", "large", "extreme", "no law", "tied", "one sample"],
)
@pytest.mark.parametrize("statistic", ["rms", "median"])
def test_no_words_overlap_or_leave_the_picture(settings, statistic, panels, found):
    panels.draw(found(settings), settings, statistic)
    panels.canvas.draw()
    boxes = [
        (text.get_text(), text.get_window_extent().padded(-1))
        for ax in panels.figure.axes
        for text in shown_words(ax)
    ]
    assert len(boxes) > 40
    for (one, box), (other, around) in itertools.combinations(boxes, 2):
        assert not box.overlaps(around), f"{one!r} and {other!r} overlap"
    for text, box in boxes:
        assert panels.figure.bbox.contains(box.x0, box.y0), text
        assert panels.figure.bbox.contains(box.x1, box.y1), text


def test_words_say_the_verdict_and_how_many_starts_would_decide(panels):
    settings = Settings(64, 48, tied=True, inits=3)
    found = explore.measure(settings)
    panels.draw(found, settings)
    words = [word.get_text() for word in panels.scales.words]
    assert words.pop() == "tied to $w$"
    for word, row in zip(words, found["scales"].itertuples(), strict=True):
        assert row.verdict == "undecided"
        holds = row.low <= row.predicted <= row.high
        verdict = "agrees so far" if holds else "undecided"
        assert word == f"×{row.ratio:.2f}  {verdict}, {row.starts:,} to decide"
    assert panels.scales.ax.get_title(loc="left") == "Gradients: none outside the law"


def test_every_bar_carries_the_interval_of_its_verdict(panels):
    settings = Settings(64, 48, "shuffled", inits=300)
    found = explore.measure(settings)
    panels.draw(found, settings)
    segments = panels.scales.intervals.get_segments()
    for segment, row in zip(segments, found["scales"].itertuples(), strict=True):
        assert segment[:, 0] == pytest.approx([row.low, row.high])
    wrong = found["scales"].assign(verdict="outside")
    panels.draw(found | {"scales": wrong}, settings)
    assert panels.scales.ax.get_title(loc="left") == "Gradients: 6 outside the law"
    assert all("  outside" in word.get_text() for word in panels.scales.words)


def test_a_control_changes_the_picture_and_keeps_the_artists(shown):
    before, artists = shown.picture.value, [id(a) for a in shown.panels.figure.findobj()]
    for name, value in (
        ("n", 300),
        ("m", 300),
        ("tied", True),
        ("signal", "ecg"),
        ("start", "jittered"),
        ("batch", 3),
    ):
        shown.controls[name].value = value
        wait(shown)
        assert shown.picture.value != before and shown.says.value == ""
        before = shown.picture.value
    kept = {id(a) for a in shown.panels.figure.findobj()}
    drawn = [
        shown.panels.basin.curve,
        shown.panels.spectrum.lines,
        shown.panels.spectrum.image,
        *shown.panels.scales.bars,
        *shown.panels.scales.words,
    ]
    assert {id(a) for a in drawn} <= kept & set(artists)


def test_the_bars_turn_to_medians_without_a_measurement(shown, monkeypatch, tmp_path):
    before, number = shown.picture.value, shown.newest
    monkeypatch.setenv("LCT_LAB_OUT", str(tmp_path))
    shown.statistic.value = "median"
    assert shown.picture.value != before and shown.newest == number
    assert shown.panels.scales.ax.get_xlabel() == "median |gradient|"
    lengths = [bar.get_x() + bar.get_width() for bar in shown.panels.scales.bars]
    np.testing.assert_allclose(lengths, shown.found["medians"]["measured"])
    shown.save()
    assert (
        tmp_path / "figures" / "00-explore-64-48-random-False-uniform-1-3-0-median.svg"
    ).exists()
    shown.controls["seed"].value = 1
    wait(shown)
    assert shown.panels.scales.ax.get_xlabel() == "median |gradient|"
    shown.controls["amplitudes"].value = "1,<b>"
    wait(shown)
    shown.statistic.value = "rms"
    assert shown.picture.layout.visibility == "hidden" and "four numbers" in shown.says.value


def test_a_picture_of_another_statistic_is_refused():
    with pytest.raises(ValueError, match="statistic must be one of rms, median, got 'mean'"):
        explore.draw(Settings(64, 48, inits=3), "mean")


def test_an_error_stands_in_the_place_of_the_picture(shown):
    before = shown.picture.value
    shown.write.click()
    assert "make notebooks" in shown.line.value
    shown.controls["amplitudes"].value = "1,<b>"
    wait(shown)
    assert "amplitudes must be four numbers" in shown.says.value and "&lt;b&gt;" in shown.says.value
    assert shown.picture.layout.visibility == "hidden" and shown.line.value == ""
    assert shown.write.disabled and shown.keep.disabled
    shown.save()
    assert "no picture to save" in shown.line.value
    shown.controls["amplitudes"].value = "1,1,1,1"
    wait(shown)
    assert shown.says.value == "" and shown.line.value == "" and shown.picture.value != before
    assert shown.picture.layout.visibility == "visible"
    assert not shown.write.disabled and not shown.keep.disabled


def test_an_error_that_nobody_expected_is_shown_too(shown, monkeypatch):
    monkeypatch.setattr(laws, "predict", lambda *a, **k: {}["rms"])
    shown.controls["n"].value = 128
    wait(shown)
    assert "KeyError: " in shown.says.value and shown.picture.layout.visibility == "hidden"


def test_a_newer_picture_cancels_the_one_under_way(shown, monkeypatch):
    said = []
    shown.busy.observe(lambda change: said.append(change["new"]), "value")
    shown.controls["inits"].value = 200
    wait(shown)
    shown.controls["n"].value = 100_000
    slow, number = shown.thread, shown.newest
    while not said:
        assert slow.is_alive()
        slow.join(0.05)
    shown.controls["n"].value = 128
    slow.join(5)
    assert not slow.is_alive(), "given up"
    wait(shown)
    assert "computing" in said[0] and shown.busy.value == "" and shown.newest == number + 1
    assert "128" in shown.panels.signal.ax.get_xlabel()


def test_a_picture_is_given_up_between_two_blocks(monkeypatch):
    begun = []
    real = probes._columns
    monkeypatch.setattr(probes, "WORTH", 0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(probes, "_columns", lambda *block: begun.append(block) or real(*block))
    asked = iter([True, True, False])
    with pytest.raises(explore.Cancelled):
        explore.measure(Settings(n=3000, m=3000, inits=4000), lambda: next(asked))
    assert 2 <= len(begun) < 60  # of 190


def test_the_bytes_are_a_png_of_the_canvas():
    panels, settings = explore.Panels(), Settings(n=64, m=48, inits=3)
    panels.draw(explore.measure(settings), settings)
    with Image.open(io.BytesIO(panels.png())) as image:
        assert image.format == "PNG" and image.mode == "RGB"
        assert np.array_equal(image, np.asarray(panels.canvas.buffer_rgba())[..., :3])


def test_controls_stand_at_any_settings():
    settings = Settings(7, 11, inits=33, batch=99, seed=2**40)
    explorer = explore.Explorer(settings)
    explorer.controls["n"].value = 11
    wait(explorer)
    assert explore.settings_of(explorer) == settings._replace(n=11)


def test_the_command_makes_the_same_settings(shown):
    shown.controls["amplitudes"].value = "1, 1.5,  1, 1.5"
    wait(shown)
    settings = explore.settings_of(shown)
    *_, number, values = shlex.split(settings.command())
    assert number == "NB=00"
    defaults = parameters(NOTEBOOK)
    parsed = parse(values.removeprefix("P="), defaults, NOTEBOOK.stem)
    assert Settings(**{**defaults, **parsed}) == settings._replace(amplitudes="1,1.5,1,1.5")


def test_the_figure_is_saved_under_the_settings_that_it_shows(shown, tmp_path, monkeypatch):
    monkeypatch.setenv("LCT_LAB_OUT", str(tmp_path))
    shown.save()
    name = "00-explore-64-48-random-False-uniform-1-3-0"
    saved = {path.name for path in (tmp_path / "figures").iterdir()}
    assert saved == {f"{name}.png", f"{name}.svg"} and f"{name}.svg" in shown.line.value
    shown.controls["seed"].value = 1
    wait(shown)
    assert shown.line.value == ""


def test_a_script_ends_while_a_picture_is_made():
    """The thread ends before the interpreter does, which would abort with one in the middle."""
    code = """
        import sys, torch
        from lct_lab import explore

        def busy(settings, wanted):
            matrix = torch.ones(400, 400)
            for _ in range(2000):
                if not wanted():
                    raise explore.Cancelled
                matrix @ matrix
            print("went on to the end")

        sys.modules["lct_lab.explore.widgets"].measure = busy
        explorer = explore.explorer()
    """
    said = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, cwd=ROOT
    )
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")


@pytest.mark.parametrize(
    "settings, error, words",
    [
        (3, TypeError, "settings must be Settings, got int"),
        (Settings(n=0), ValueError, "n must be at least 1, got 0"),
        (Settings(m="a"), TypeError, "m must be an integer of at least 1, got 'a'"),
        (Settings(seed=-1), ValueError, "seed must be at least 0, got -1"),
        (Settings(start="sorted"), ValueError, "start must be one of random, .* got 'sorted'"),
        (Settings(signal=3), ValueError, "signal must be one of uniform, .* got 3"),
        (Settings(tied="no"), TypeError, "tied must be True or False, got 'no'"),
        (Settings(amplitudes=3), TypeError, "amplitudes must be text, got 3"),
    ],
)
def test_settings_that_no_control_can_stand_at_are_a_sentence(settings, error, words):
    with pytest.raises(error, match=words):
        explore.explorer(settings)


def test_a_figure_that_cannot_be_saved_is_a_sentence(shown, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("LCT_LAB_OUT", str(tmp_path / "file"))
    shown.keep.click()
    assert "not saved: " in shown.line.value and "file" in shown.line.value


def test_settings_that_differ_have_figures_of_different_names():
    of = [Settings(amplitudes=text).slug() for text in ("1_1,1,1,1", "1,1_1,1,1", "1,1,1_1,1")]
    assert len(set(of)) == 3 and Settings(amplitudes="1,1,1,1").slug().endswith("-1_1_1_1-200-0")


def test_the_name_of_a_figure_is_of_bounded_length():
    first, second = (Settings(amplitudes=f"1,1,1,1.{0:0300}{last}").slug() for last in (1, 2))
    assert first != second and len(first) == len(second) == 120
