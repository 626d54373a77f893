"""The explorer without a browser: what it computes and draws, how it answers to its controls."""

import shlex

import numpy as np
import pytest
import torch
from run_notebook import ROOT, known_parameters, parse

from lct_lab import LCT, explore, laws, probe
from lct_lab.explore import Settings

WAIT = 60


def wait(shown):
    shown.thread.join(WAIT)
    assert not shown.thread.is_alive()


@pytest.fixture
def shown():
    explorer = explore.Explorer(Settings(n=64, m=48, inits=3))
    wait(explorer)
    return explorer


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("n, m", [(1, 1), (2, 5), (60, 31), (2000, 700)])
def test_loss_along_a_frequency_is_the_models(n, m, tied):
    found = explore.measure(Settings(n, m, "shuffled", tied, inits=1, seed=4))
    for place in (0, 99, 320, 500):
        model = LCT(n, m, init="shuffled", tied=tied, seed=4, dtype=torch.float64, engine="dense")
        with torch.no_grad():
            model.w1[found["k"]] += found["near"][place] * np.pi / n
        expected = model.loss(torch.as_tensor(found["x"])).item()
        assert found["losses"][place] == pytest.approx(expected, rel=1e-8, abs=1e-10)


def test_scales_are_probes():
    found = explore.measure(Settings(200, 100, inits=5, seed=2, batch=2, signal="normal"))["scales"]
    squares = probe(200, 100, inits=5, seed=2, batch=2, signal="normal").assign(
        square=lambda t: t["rms"] ** 2
    )
    expected = squares.groupby("group")["square"].mean() ** 0.5
    assert found.set_index("group")["measured"].to_dict() == pytest.approx(expected.to_dict())
    assert (
        set(found["verdict"]) <= {"within", "outside", "undecided"}
        and (found["predicted"] > 0).all()
    )


def test_a_wrong_law_is_outside(monkeypatch):
    right = laws.predict
    monkeypatch.setattr(laws, "predict", lambda *a, **k: right(*a, **k)[["rms"]] * 1.5)
    found = explore.measure(Settings(300, 300, "shuffled", inits=150, amplitudes="1,1,1,1"))[
        "scales"
    ]
    assert (found.set_index("group").loc[["a2", "a4", "w1", "w2"], "verdict"] == "outside").all()


def test_without_a_law_the_measurement_stays():
    found = explore.measure(Settings(320, 32, "orthogonal", inits=2))
    assert "no law here: n must be at most 8 m" in found["sentence"]
    assert (found["scales"]["verdict"] == "no law").all() and (
        found["scales"]["measured"] > 0
    ).all()
    assert explore.draw(Settings(320, 32, "orthogonal", inits=2)).axes


@pytest.mark.parametrize(
    "settings, words",
    [
        (Settings(900, 64, signal="eeg"), "n must be between 2 and 800"),
        (Settings(amplitudes="1,2"), "amplitudes must be four finite numbers"),
        (
            Settings(amplitudes="one"),
            "amplitudes must be four numbers with commas between them, got 'one'",
        ),
        (Settings(start="sorted"), "init must be one of random"),
        (Settings(seed=-1), "seed must be at least 0"),
        (Settings(inits=0), "inits must be at least 1"),
    ],
)
def test_bad_settings_are_one_sentence(settings, words):
    with pytest.raises(ValueError, match=words):
        explore.measure(settings)


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


def test_a_bad_combination_shows_its_sentence_and_keeps_the_picture(shown):
    before = shown.picture.value
    shown.controls["amplitudes"].value = "1,<b>"
    wait(shown)
    assert "amplitudes must be four numbers" in shown.says.value and "&lt;b&gt;" in shown.says.value
    assert shown.picture.value == before
    shown.controls["amplitudes"].value = "1,1,1,1"
    wait(shown)
    assert shown.says.value == "" and shown.picture.value != before


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


def test_the_command_makes_the_same_settings(shown):
    shown.controls["amplitudes"].value = "1,1.5,1,1.5"
    wait(shown)
    settings = explore.settings_of(shown)
    *_, number, values = shlex.split(settings.command())
    notebook = ROOT / "notebooks" / "00-explore.ipynb"
    assert number == "NB=00"
    parsed = parse(values.removeprefix("P="), known_parameters(notebook), notebook)
    assert Settings(**{**known_parameters(notebook), **parsed}) == settings


def test_the_figure_is_saved(shown, tmp_path, monkeypatch):
    monkeypatch.setenv("LCT_LAB_OUT", str(tmp_path))
    shown.save()
    assert {path.suffix for path in (tmp_path / "figures").iterdir()} == {".png", ".svg"}
    assert "saved as" in shown.line.value


def test_contents_name_the_notebooks():
    text = explore.contents().data
    assert (
        "](04-gradients-follow-derived-laws.ipynb).** " not in text
        and "](04-gradients-follow-derived-laws.ipynb)." in text
    )
    assert "](00-" not in text and len(text.splitlines()) >= 11
