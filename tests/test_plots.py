"""Pictures repeat to the byte, carry their alternative text, and draw what the table says."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import pytest  # noqa: E402

from lct_lab import plots, probe  # noqa: E402


@pytest.fixture(autouse=True)
def clean(tmp_path, monkeypatch):
    monkeypatch.setenv("LCT_LAB_OUT", str(tmp_path))
    yield
    plt.close("all")


def draw(name):
    figure, ax = plots.figure()
    plots.strips(probe(20, 15, inits=5), ax=ax)
    return plots.save_figure(figure, name, alt="Six strips.")


def test_the_same_picture_is_the_same_bytes(tmp_path):
    draw("one")
    picture = draw("two")
    for suffix in ("svg", "png"):
        one, two = (
            (tmp_path / "figures" / f"{name}.{suffix}").read_bytes() for name in ("one", "two")
        )
        assert one == two and len(one) > 1000
    data, metadata = picture._repr_mimebundle_()
    assert metadata["image/png"]["alt"] == data["text/plain"] == "Six strips."
    assert not plt.get_fignums() and not list((tmp_path / "figures").glob("*.part"))


def test_every_picture_is_drawn_on_the_axes_given_or_its_own():
    points = pd.DataFrame(
        {"n": [1, 10] * 2, "group": ["a1"] * 2 + ["w1"] * 2, "rms": [1.0, 2.0, 3.0, 4.0]}
    )
    points["law"] = points["rms"] * 1.1
    measured = probe(20, 15, inits=5)
    for plot in (
        lambda ax: plots.matrix(np.eye(3), ax=ax),
        lambda ax: plots.strips(measured, ax=ax),
        lambda ax: plots.scales(points, x="n", measured="rms", predicted="law", ax=ax),
    ):
        ax = plots.figure()[1]
        assert plot(ax) is ax
        assert plot(None) is not ax
    medians = [line.get_ydata()[0] for line in plots.strips(measured).lines[1::2]]
    assert medians == list(measured.groupby("group", sort=False)["mean_abs"].median())
    ax = plots.scales(points, x="n", measured="rms", predicted="law")
    assert [line.get_ydata().tolist() for line in ax.lines[:2]] == [[1.1, 2.2], [1.0, 2.0]]
    (line,) = plots.slope(ax, 2, (2, 3), span=(2, 4)).lines[-1:]
    assert line.get_ydata().tolist() == [3, 12]


def test_style_is_set_only_when_asked():
    before = dict(plt.rcParams)
    plots.figure()
    assert dict(plt.rcParams) == before
    with plt.rc_context():
        plots.use_style()
        assert plt.rcParams["svg.hashsalt"] == "lct_lab"
