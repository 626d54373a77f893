"""Pictures repeat to the byte, carry their alternative text, and draw what the table says."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402

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
    assert picture.path == tmp_path / "figures" / "two.png"
    assert not plt.get_fignums() and not list((tmp_path / "figures").glob("*.part"))


def test_a_figure_that_cannot_be_written_leaves_neither_of_its_files(tmp_path, monkeypatch):
    def broken(self, path, format, **options):
        path.write_text("half")
        if format == "png":
            raise OSError("disk full")

    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", broken)
    with pytest.raises(OSError, match=r"cannot write .*one.png: disk full"):
        draw("one")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", ("", "..", "a/b"))
def test_names_that_leave_the_folder_are_refused(name):
    with pytest.raises(ValueError, match="name must be a plain file name such as 03-scales, got"):
        draw(name)


def test_an_interactive_session_is_told_where_a_figure_went(tmp_path, monkeypatch, capsys):
    draw("one")
    assert capsys.readouterr().out == ""
    monkeypatch.delenv("LCT_LAB_OUT")
    monkeypatch.setattr(plots.tables, "root", lambda: tmp_path)
    monkeypatch.chdir(tmp_path)
    draw("one")
    assert capsys.readouterr().out == "written to build/interactive/figures/one.png\n"


def test_every_picture_is_drawn_on_the_axes_given_or_its_own():
    points = pd.DataFrame(
        {"n": [1, 10] * 2, "group": ["a1"] * 2 + ["w1"] * 2, "rms": [1.0, 2.0, 3.0, 4.0]}
    )
    points["law"] = points["rms"] * 1.1
    measured = probe(20, 15, inits=5)
    for plot in (
        lambda ax: plots.matrix(np.eye(3), ax=ax),
        lambda ax: plots.matrix([[True, False]], ax=ax),
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


def test_bars_show_two_standard_errors_and_only_when_asked():
    points = pd.DataFrame({"n": [1, 10], "group": "w1", "rms": [3.0, 4.0], "error": [0.1, 0.2]})
    ax = plots.scales(points, x="n", measured="rms", error="error")
    ends = [segment[:, 1].tolist() for segment in ax.collections[0].get_segments()]
    assert np.allclose(ends, [[2.8, 3.2], [3.6, 4.4]])
    assert not plots.scales(points, x="n", measured="rms").collections
    with pytest.raises(ValueError, match="got none called .*spread"):
        plots.scales(points, x="n", measured="rms", error="spread")


def test_a_colour_scale_has_its_name():
    named, bare = (plots.matrix(np.eye(3), name=name) for name in ("entry", None))
    assert [ax.figure.axes[1].get_ylabel() for ax in (named, bare)] == ["entry", ""]


def test_a_png_has_a_palette_that_keeps_its_colours(tmp_path):
    from PIL import Image

    figure, ax = plots.figure()
    ax.fill_between([0, 1], 0, 1, color=plots.COLOURS[1], lw=0)
    picture = plots.save_figure(figure, "one", alt="A square.")
    image = Image.open(picture.path)
    assert image.mode == "P"
    seen = {pixel for _, pixel in image.convert("RGB").getcolors()}
    assert {(255, 255, 255), (0xD5, 0x5E, 0x00)} <= seen


@pytest.mark.parametrize("colour, seen", [((0, 0, 1, 0.1), (229, 229, 255)), ("none", (255,) * 3)])
def test_what_is_transparent_lies_on_white(colour, seen):
    from PIL import Image

    figure, ax = plots.figure()
    for part in (figure.patch, ax.patch):
        part.set_facecolor(colour if part is figure.patch else "none")
    ax.axis("off")
    ax.plot([0, 1], [0, 1], color="black", lw=1)
    picture = plots.save_figure(figure, "one", alt="A line.")
    image = Image.open(picture.path).convert("RGB")
    assert image.getpixel((2, 2)) == seen
    assert len(image.getcolors()) > 5, "the line's edges are smooth"


@pytest.mark.parametrize("taken, other", [("svg", "png"), ("png", "svg")])
def test_a_folder_in_the_place_of_one_file_leaves_the_other(tmp_path, taken, other):
    folder = tmp_path / "figures"
    (folder / f"one.{taken}").mkdir(parents=True)
    (folder / f"one.{other}").write_text("the last one")
    with pytest.raises(OSError, match=f"cannot write .*one.{taken}: .*Is a directory"):
        draw("one")
    assert (folder / f"one.{other}").read_text() == "the last one"
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("names", [{"by": None}, {"value": 3}])
def test_a_column_that_is_not_there_is_named_whatever_its_name_is(names):
    with pytest.raises(
        ValueError, match="table must have the columns .*, got none called .(None|3)"
    ):
        plots.strips(probe(8, 8, inits=2), **names)


def judged_table():
    """Two groups and statistics, one of them outside, one without a law."""
    rows = [
        ("rms", "a1", 1.0, 0.9, 1.2, 1.01, "within"),
        ("rms", "w1", 1.0, 0.95, 1.05, 2.0, "outside"),
        ("median", "a1", 0.5, 0.0, np.inf, 0.6, "undecided"),
        ("median", "w1", 0.5, 0.4, 0.6, np.nan, "no law"),
    ]
    columns = ["statistic", "group", "measured", "low", "high", "predicted", "verdict"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(ratio=table["measured"] / table["predicted"], band=0.02)


def test_measured_statistics_stand_on_what_is_predicted():
    ax = plots.measured(judged_table())
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "rms",
        "median",
        "predicted",
    ]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["$a_1$", "$w$"]
    bands = [line for line in ax.lines if line.get_linewidth() == plots.BAND["lw"]]
    assert [line.get_ydata()[0] for line in bands] == [1.01, 2.0, 0.6]
    filled = [line.get_markerfacecolor() for line in ax.lines if line.get_marker() in "ov"]
    assert filled[0] == plots.LOOK["a1"]["color"] and filled[-1] == plots.PAPER


def test_residuals_stand_on_the_band_and_an_outside_is_named():
    ax = plots.residuals(judged_table())
    assert [patch.get_height() for patch in ax.patches] == [0.04] * 3
    assert [text.get_text() for text in ax.texts] == ["outside"]
    markers = [line.get_ydata()[0] for line in ax.lines if line.get_marker() in "ov"]
    assert markers == pytest.approx([1 / 1.01 - 1, -0.5, 0.5 / 0.6 - 1])
    assert ax.get_ylim()[0] < -0.5
    nothing = plots.residuals(judged_table().assign(ratio=np.nan))
    assert "no law" in nothing.texts[0].get_text() and not nothing.patches


def test_style_is_set_only_when_asked():
    before = dict(plt.rcParams)
    plots.figure()
    assert dict(plt.rcParams) == before
    with plt.rc_context():
        plots.use_style()
        assert plt.rcParams["svg.hashsalt"] == "lct_lab"


@pytest.mark.parametrize(
    "given, alt, words",
    [
        (3, "A figure.", "figure must be a matplotlib Figure, got int"),
        ("part", "A figure.", "figure must be a matplotlib Figure, got SubFigure"),
        (None, None, "alt must be a sentence for readers who cannot see the figure, got None"),
        (None, " ", "alt must be a sentence for readers who cannot see the figure, got ' '"),
    ],
)
def test_what_is_no_figure_or_has_no_words_is_not_written(tmp_path, given, alt, words):
    own = plots.figure()[0]
    figure = {None: own, "part": own.subfigures(1, 2)[0]}.get(given, given)
    with pytest.raises((TypeError, ValueError), match=words):
        plots.save_figure(figure, "03-x", alt)
    assert not list(tmp_path.rglob("03-x*"))


@pytest.mark.parametrize(
    "draw, words",
    [
        (lambda rows: plots.strips(rows, value="x"), "must have the columns group, x, got none"),
        (lambda rows: plots.scales(rows, x="n", measured="rms"), "got none called .'n'."),
        (lambda rows: plots.measured(rows), "table must have the columns statistic, group, "),
        (lambda rows: plots.residuals([rows]), "table must be a DataFrame, got list"),
        (lambda rows: plots.matrix(np.zeros((0, 2))), "values must be a matrix of real numbers"),
        (lambda rows: plots.matrix([[1, 2], [3]]), "values must be a matrix of real numbers, got"),
        (
            lambda rows: plots.matrix(torch.ones(2, 2, requires_grad=True)),
            "values must be a matrix of real numbers, got Tensor: Can't call numpy",
        ),
        (lambda rows: plots.matrix(np.ma.masked_less(np.eye(2), 1)), "numbers, got masked entr"),
        (lambda rows: plots.matrix([[np.nan, 1]]), "values must be finite, got a NaN or an inf"),
        (
            lambda rows: plots.matrix(np.eye(2), limit=-1),
            "limit must be between 0 and 1e.300, got -1",
        ),
        (lambda rows: plots.matrix(np.eye(2), limit=1e308), "limit must be .*300, got 1e.308"),
        (lambda rows: plots.matrix(np.full((2, 2), -1e308)), "values must be at most 1e.300 in"),
        (
            lambda rows: plots.strips(rows, value=["rms"]),
            "table must be asked for columns by their",
        ),
        (
            lambda rows: plots.strips(rows, value="group"),
            "must have real numbers in group, got str",
        ),
        (lambda rows: plots.scales(rows, x="group", measured="rms"), "real numbers in group, got"),
        (lambda rows: plots.slope(3, 1, (1, 1)), "ax must be a matplotlib Axes, got int"),
        (lambda rows: plots.slope(None, 1, 3), "anchor must be two numbers, got 3"),
        (lambda rows: plots.slope(None, "a", (1, 1)), "power must be a real number, got 'a'"),
        (lambda rows: plots.slope(None, 1, (1, 1), span=(1, np.inf)), "span must be finite in dou"),
        (lambda rows: plots.strips(rows, ax=[3]), "ax must be a matplotlib Axes, got list"),
    ],
)
def test_what_cannot_be_drawn_is_a_sentence(draw, words):
    with pytest.raises((TypeError, ValueError), match=words):
        draw(probe(20, 15, inits=2))


POINTS = pd.DataFrame({"n": [1, 10], "group": "w1", "rms": [-3.0, 0.0], "mean_abs": np.nan})


STATISTICS = pd.DataFrame(
    {
        "statistic": ["rms"],
        "group": ["a1"],
        "measured": [1.0],
        "low": [0.5],
        "high": [1.5],
        "predicted": [1.0],
        "ratio": [1.0],
        "band": [0.1],
        "verdict": ["within"],
    }
)


def drawn(ax):
    """The numbers of all lines and bars on an Axes."""
    lines = [line.get_xydata() for line in ax.lines]
    bars = [segment for bars in ax.collections for segment in bars.get_segments()]
    ax.figure.canvas.draw()
    return np.concatenate([np.ravel(points) for points in (*lines, *bars)])


@pytest.mark.parametrize("missing", [[], ["measured"], ["error"], ["predicted"], ["n"]])
def test_what_is_missing_from_nullable_columns_is_left_out_as_a_nan_is(missing):
    table = pd.DataFrame({"n": [1.5, 2.5, 4.5], "group": "w1", "measured": [1.5, 2.5, 3.5]})
    table = table.assign(error=[0.1, 0.2, 0.3], predicted=[1.1, 2.1, 3.1])
    table.loc[1, missing] = np.nan
    options = dict(x="n", measured="measured", error="error", predicted="predicted")
    plain, nullable = (plots.scales(t, **options) for t in (table, table.convert_dtypes()))
    np.testing.assert_array_equal(drawn(plain), drawn(nullable))


@pytest.mark.parametrize("draw", [plots.measured, plots.residuals])
def test_a_law_that_is_missing_from_nullable_columns_is_as_a_nan(draw):
    second = STATISTICS.assign(group="a2", predicted=np.nan, ratio=np.nan, band=np.nan)
    table = pd.concat([STATISTICS, second], ignore_index=True)
    plain, nullable = (draw(t) for t in (table, table.convert_dtypes()))
    np.testing.assert_array_equal(drawn(plain), drawn(nullable))


@pytest.mark.parametrize(
    "draws, words",
    [
        (lambda: plots.figure(0), "rows must be at least 1, got 0"),
        (lambda: plots.figure(width=0), "width must be above 0, got 0"),
        (lambda: plots.figure(height=np.nan), "height must be finite in double precision, got nan"),
        (lambda: plots.scales(POINTS, x="n", measured="rms"), "number above 0 in rms, for a log"),
        (lambda: plots.scales(POINTS, x="rms", measured="n"), "number above 0 in rms, for a log"),
        (lambda: plots.strips(POINTS), "number above 0 in mean_abs, for a log axis, got none"),
        (
            lambda: plots.scales(POINTS.assign(e=-1.0), x="n", measured="n", error="e"),
            "standard errors of at least 0 in e, got less",
        ),
        (
            lambda: plots.measured(STATISTICS.assign(low=2.0)),
            "measured between low and high, got one outside",
        ),
        (
            lambda: plots.residuals(STATISTICS.assign(predicted=0.0)),
            "table must have no ratio where predicted is 0 or missing, got one",
        ),
        (lambda: plots.slope(None, 1, (0, 1)), r"anchor must have its x0 above 0, got \(0, 1\)"),
    ],
)
def test_a_picture_that_would_be_empty_is_a_sentence(draws, words):
    with pytest.raises(ValueError, match=words):
        draws()
