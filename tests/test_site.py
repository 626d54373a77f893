"""The pages: whole without a network, and as a browser shows them, wide, narrow, light and dark."""

import fcntl
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
from browser import SHOTS, chromium  # noqa: F401
from bs4 import BeautifulSoup
from runner import processes

ROOT = Path(__file__).resolve().parent.parent
RENDERED = sorted((ROOT / "notebooks" / "rendered").glob("*.ipynb"))
PAGES = ["index", *(path.stem for path in RENDERED)]
LOOKED_AT = ("index", "05-gradients-follow-derived-laws", "11-from-random-to-the-dct")
LIGHT = ("index", "11-from-random-to-the-dct")  # the light colours are the same on all pages
VIOLATIONS = {"resultTypes": ["violations"]}  # to describe what is right takes as long again


def build(project, *arguments):
    command = [sys.executable, "tools/build_site.py", *arguments]
    return subprocess.run(command, cwd=project, capture_output=True, text=True)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the notebooks and tables, with its site and the shared page of notebook 11.

    One for all processes that share the tests: the first builds it, and the others wait.
    """
    base = tmp_path_factory.getbasetemp()
    project = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "site"
    project.mkdir(exist_ok=True)
    with open(project / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (project / "built").exists():
            build_all(project)
            (project / "built").touch()
    return project


def build_all(project):
    left_out = shutil.ignore_patterns("sweeps", "__pycache__")
    for folder in ("notebooks", "data", "tools"):
        shutil.copytree(ROOT / folder, project / folder, ignore=left_out, dirs_exist_ok=True)
    for arguments in ((), ("--share", "11")):
        result = build(project, *arguments)
        assert result.returncode == 0, result.stderr


def soup(path):
    return BeautifulSoup(path.read_text(), "html.parser")


def test_every_page_is_there_and_every_link_resolves(project):
    site = project / "build" / "site"
    assert {path.stem for path in site.glob("*.html")} == set(PAGES)
    linked = set()
    for name in PAGES:
        page = soup(site / f"{name}.html")
        assert len(page.select("h1")) == 1 and page.title.string
        for element in page.select("[src], [href]"):
            link = element.get("src") or element.get("href")
            assert not re.match("https?:|//|/", link), f"{name} needs {link[:80]}"
            assert link.startswith(("data:", "#")) or (site / link).exists(), (
                f"{name} links to {link}"
            )
            linked.add(link)
        assert all(image["alt"].strip() for image in page.select("img")), (
            f"a figure of {name} has no words"
        )
    assert {f"{name}.html" for name in PAGES} <= linked
    assert {path.name for path in (ROOT / "data").glob("[0-9]*.csv")} <= linked


@pytest.mark.parametrize("path", RENDERED, ids=lambda path: path.stem)
def test_every_page_says_what_made_it(project, path):
    made = json.loads(path.read_text())["metadata"]["lct_lab"]
    said = soup(project / "build" / "site" / f"{path.stem}.html").footer.get_text()
    for name, value in made["parameters"].items():
        assert f"{name}={value}" in said
    assert all(
        word in said
        for word in (made["notebook"], made["package"], f"torch {made['versions']['torch']}")
    )


def test_a_shared_page_is_one_file_with_all_in_it(project):
    (path,) = (project / "build" / "share").iterdir()
    page = soup(path)
    links = [e.get("src") or e.get("href") for e in page.select("[src], [href]")]
    assert links and all(link.startswith(("data:", "#")) for link in links)
    assert {a["download"] for a in page.select("a[download]")} >= {
        "11-from-random-to-the-dct.ipynb",
        "11-cases.csv",
    }
    assert path.stat().st_size < 5e6


def test_pages_are_built_without_the_package_that_computes():
    heavy = "{'torch', 'lct_lab.explore'} & set(sys.modules)"
    code = f"import sys, build_site; build_site.exporter(); print({heavy})"
    command = [sys.executable, "-c", code]
    said = subprocess.run(command, cwd=ROOT / "tools", capture_output=True, text=True)
    assert said.stdout.strip() == "set()", said.stderr


def test_an_unknown_number_is_one_sentence_and_writes_nothing(project):
    before = sorted((project / "build").rglob("*"))
    result = build(project, "--share", "77")
    assert (
        result.returncode == 1
        and "NB must be the number of an executed notebook, 00, 01" in result.stderr
    )
    assert sorted((project / "build").rglob("*")) == before


def open_page(browser, address, **options):
    """The page with no network, and what went wrong on the way."""
    context, wrong = browser.new_context(offline=True, **options), []
    page = context.new_page()
    page.on(
        "console",
        lambda message: (
            wrong.append(message.text) if message.type in ("error", "warning") else None
        ),
    )
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("requestfailed", lambda request: wrong.append(request.url[:200]))
    page.goto(address.as_uri())
    page.wait_for_function("window.MathJax?.startup?.promise")
    page.evaluate("MathJax.startup.promise")
    return page, wrong


UNTYPESET = """() => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
  while (walker.nextNode()) {
    const text = walker.currentNode.data, place = walker.currentNode.parentElement;
    if (!place.closest("pre, code, script, style, mjx-container") && text.includes("$"))
      found.push(text);
  }
  return found;
}"""


def is_looked_through(name, scheme):
    """Whether axe looks for barriers there: long runs have the text and the code of the others."""
    return "-full-" not in name and (scheme == "dark" or name in LIGHT)


@pytest.mark.parametrize("name", PAGES)
def test_a_browser_shows_it_whole(project, chromium, name):  # noqa: F811
    from axe_playwright_python.sync_playwright import Axe

    page, wrong = open_page(
        chromium, project / "build" / "site" / f"{name}.html", color_scheme="light"
    )
    assert page.evaluate(
        "[...document.images].every((i) => i.loading === 'lazy' || i.naturalWidth > 100)"
    )
    assert page.evaluate(UNTYPESET) == []
    assert page.locator("mjx-merror").count() == 0 and page.locator("mjx-container").count() > 0
    for width, scheme in ((1280, "light"), (390, "dark")):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        if name in LOOKED_AT:
            page.screenshot(path=SHOTS / f"site-{name}-{width}-{scheme}.png")
        page.evaluate(
            "document.querySelectorAll('details').forEach((code) => { code.open = true; })"
        )
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        if is_looked_through(name, scheme):
            found = Axe().run(page, options=VIOLATIONS)
            assert found.violations_count == 0, found.generate_report()
    assert not wrong
    page.context.close()


def test_a_shared_page_opens_alone_with_its_formulas(project, chromium, tmp_path):  # noqa: F811
    (path,) = (project / "build" / "share").iterdir()
    page, wrong = open_page(chromium, shutil.copy(path, tmp_path / "page.html"))
    assert (
        not wrong and page.evaluate(UNTYPESET) == [] and page.locator("mjx-container").count() > 0
    )
    page.context.close()


def test_on_a_phone_wide_things_scroll_and_say_so(project, chromium):  # noqa: F811
    address = project / "build" / "site" / "05-gradients-follow-derived-laws.html"
    page, _ = open_page(chromium, address, viewport={"width": 390, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for wide in (page.locator(".drawn").first, page.locator(".wide:has(table)").first):
        wide.scroll_into_view_if_needed()
        assert wide.evaluate("(e) => e.scrollWidth > 1.2 * e.clientWidth")
        hinted = "(e) => getComputedStyle(e).maskImage.includes('gradient')"
        assert wide.evaluate(hinted)
        wide.evaluate("(e) => { e.scrollLeft = e.scrollWidth; }")
        page.wait_for_timeout(100)
        assert not wide.evaluate(hinted), "the end is in sight"
    page.screenshot(path=SHOTS / "site-phone.png")
    page.context.close()


def test_tables_sort_and_the_theme_turns(project, chromium):  # noqa: F811
    page, _ = open_page(
        chromium, project / "build" / "site" / "05-gradients-follow-derived-laws.html"
    )
    table = page.locator("table").first
    column = [
        cell.strip() for cell in table.locator("thead tr").first.locator("th, td").all_inner_texts()
    ]
    place = next(index for index, name in enumerate(column) if name.startswith("measured"))
    read = f"rows => rows.map((row) => parseFloat(row.cells[{place}].textContent))"
    before = table.locator("tbody tr").evaluate_all(read)
    head = table.get_by_role("button", name="measured")
    for order in ("ascending", "descending"):
        head.press("Enter")
        after = table.locator("tbody tr").evaluate_all(read)
        assert after == sorted(before, reverse=order == "descending") != before
        assert table.locator(f"th[aria-sort={order}]").count() == 1
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    page.get_by_role("button", name="Dark").click()
    assert page.evaluate(paper) != light and page.get_by_role("button", name="Light").is_visible()
    page.get_by_role("button", name="Show code").click()
    assert page.locator("details:not([open])").count() == 0
    page.context.close()


def small_project(folder, name, copy):
    """A project in `folder` whose one executed notebook is called `name` and reads `copy`."""
    tools = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "tools", folder / "tools", ignore=tools)
    (folder / "notebooks" / "rendered").mkdir(parents=True)
    (folder / "notebooks" / "rendered" / name).write_text(copy)
    (folder / "notebooks" / name).write_text("{}")
    return folder / "notebooks" / "rendered" / name


def executed(first, **metadata):
    """The text of an executed notebook with the one cell `first`."""
    made = {"parameters": {"n": 3}, "seed": 0, "versions": {}, "notebook": "a1", "package": "b2"}
    cell = {"cell_type": "markdown", "id": "a", "metadata": {}, "source": first}
    metadata = {"lct_lab": made} | metadata
    return json.dumps({"cells": [cell], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


def test_what_a_notebook_says_of_itself_is_text_in_the_index(tmp_path):
    name = '23-"onmouseover=alert(1) x="<b># 5%41.ipynb'
    title = "T <script>alert(1)</script> & co"
    asks = "Is <img src=x onerror=alert(1)> [it](javascript:alert(1)), $a < b$ or `c < d`, *so*?"
    small_project(tmp_path, name, executed(f"# {title}\n\n**Question.** {asks}"))
    result = build(tmp_path)
    assert result.returncode == 0, result.stderr
    site = tmp_path / "build" / "site"
    pages = [soup(site / page) for page in ("index.html", name.replace("ipynb", "html"))]
    index = pages[0].main
    assert index.h2.get_text() == title and pages[1].title.get_text() == f"{title} | lct_lab"
    assert not [e for e in pages[0].find_all() if any(key.startswith("on") for key in e.attrs)]
    assert not index.select("script, b, [src=x], [href^=javascript]")
    assert "$a < b$" in index.p.find_next("p").get_text()
    assert index.code.get_text() == "c < d" and index.em.get_text() == "so"
    links = [e["href"] for page in (index, pages[1].footer) for e in page.select("[href]")]
    beside = [unquote(link) for link in links if not link.startswith("#harmful")]
    assert len(beside) == 3 and all((site / link).exists() for link in beside)
    assert pages[1].footer.a["download"] == name


@pytest.mark.parametrize("others", ((), ("01-a.ipynb",), ("01-a.ipynb", "25-f.ipynb")))
def test_a_long_run_is_listed_with_its_notebook_or_alone(tmp_path, others):
    copies = small_project(tmp_path, "25-f.ipynb", executed("# 25 F")).parent
    (copies / "25-f.ipynb").rename(copies / "25-full-f.ipynb")
    for name in others:
        (copies / name).write_text(executed(f"# {name[:2]}"))
        (tmp_path / "notebooks" / name).write_text("{}")
    result = build(tmp_path)
    assert result.returncode == 0, result.stderr
    found = {}
    for item in soup(tmp_path / "build" / "site" / "index.html").select("li"):
        found[item.h2.get_text()] = {link["href"] for link in item.select("a")}
    long = {"25": {"25-f.html", "25-full-f.html"}}
    if "25-f.ipynb" not in others:
        long = {"25 F (the long run)": {"25-full-f.html"}}
    assert found == long | ({"01": {"01-a.html"}} if others else {})


def test_a_copy_that_does_not_say_what_made_it_is_named(tmp_path):
    path = small_project(tmp_path, "01-a.ipynb", executed("# A", lct_lab={"parameters": []}))
    said = build(tmp_path).stderr
    assert said.startswith(f"{path} must be a copy that make notebooks executed")
    assert said.endswith("it lacks parameters, versions, notebook, package\n")
    assert not list((tmp_path / "build").iterdir())


def test_pages_take_the_place_of_no_link_and_no_file(tmp_path):
    small_project(tmp_path, "01-a.ipynb", executed("# A"))
    (tmp_path / "build").mkdir()
    (tmp_path / "mine").mkdir()
    site = tmp_path / "build" / "site"
    for make, kind in (
        (lambda: site.symlink_to("../mine"), "a link to ../mine"),
        (site.touch, "a file"),
    ):
        make()
        wanted = "build/site must be a folder, for it is replaced whole, and is"
        assert build(tmp_path).stderr == f"{wanted} {kind}: remove it\n"
        assert [path.name for path in (tmp_path / "build").iterdir()] == ["site"]
        site.unlink()


def test_an_interrupt_is_one_sentence_and_leaves_the_pages_as_they_were(tmp_path):
    small_project(tmp_path, "01-a.ipynb", executed("# A"))
    (tmp_path / "build" / "site").mkdir(parents=True)
    (tmp_path / "build" / "site" / "index.html").write_text("the last one")
    stops = "import os, sys, build_site\nbuild_site.mathjax = lambda: os.kill(os.getpid(), 2)\n"
    command = [sys.executable, "-c", stops + "sys.exit(build_site.main())"]
    paths = {"PYTHONPATH": f"{tmp_path}/tools:{ROOT}"}
    stopped = subprocess.run(command, cwd=tmp_path, env=paths, capture_output=True, text=True)
    assert stopped.returncode == 130
    assert stopped.stderr == "stopped by SIGINT: the pages are as they were\n"
    (left,) = (path for path in (tmp_path / "build").rglob("*") if path.is_file())
    assert left.read_text() == "the last one"


def test_a_killed_build_leaves_nothing_to_the_next_and_other_folders_stay(tmp_path):
    name = RENDERED[-1].name
    small_project(tmp_path, name, RENDERED[-1].read_text())
    shutil.copy(ROOT / "notebooks" / name, tmp_path / "notebooks")
    dies = "import os, build_site\nbuild_site.mathjax = lambda: os.kill(os.getpid(), 9)\n"
    command = [sys.executable, "-c", dies + "build_site.main()"]
    killed = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": f"{tmp_path}/tools:{ROOT}"})
    assert killed.returncode == -9
    (left,) = (tmp_path / "build").iterdir()
    assert left.name.startswith("site-") and any(left.iterdir())
    alive = [f"site-{processes.OWNER}-of-this-one", "site-mine"]
    for name in alive:
        (tmp_path / "build" / name).mkdir()
    (tmp_path / "build" / "share").mkdir()
    part = f".01-a.html.{platform.node()}.{left.name.split('-')[-2]}-1.part"
    (tmp_path / "build" / "share" / part).touch()
    assert build(tmp_path, "--share", "77").returncode == 1
    assert sorted(path.name for path in (tmp_path / "build").iterdir()) == sorted([*alive, "share"])
    assert not list((tmp_path / "build" / "share").iterdir())


@pytest.mark.parametrize("text", ["{", "[]", '{"cells": []}', '{"nbformat": 4, "cells": 3}'])
@pytest.mark.parametrize("arguments", [(), ("--share", "01")])
def test_a_damaged_copy_is_named_and_nothing_half_built(tmp_path, arguments, text):
    damaged = small_project(tmp_path, "01-a.ipynb", text)
    result = build(tmp_path, *arguments)
    assert result.returncode == 1 and len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith(f"{damaged} must be ")
    assert not [path for path in tmp_path.glob("build/*") if any(path.iterdir())]


ODD_CELLS = {
    "an unknown kind": {"cell_type": "odd"},
    "words that are a list": {"outputs": [{"data": {"text/markdown": [1, 2]}}]},
    "a picture that is a list": {"outputs": [{"data": {"image/png": [3]}}]},
}


@pytest.mark.parametrize("odd", ODD_CELLS.values(), ids=ODD_CELLS)
@pytest.mark.parametrize("arguments", [(), ("--share", "01")])
def test_a_copy_with_contents_that_no_notebook_has_is_named(tmp_path, arguments, odd):
    copy = json.loads(executed("# A"))
    cell = {"cell_type": "code", "id": "b", "metadata": {}, "source": "", "execution_count": 1}
    outputs = [{"output_type": "display_data", "metadata": {}, **o} for o in odd.get("outputs", ())]
    copy["cells"].append(cell | odd | {"outputs": outputs})
    path = small_project(tmp_path, "01-a.ipynb", json.dumps(copy))
    said = build(tmp_path, *arguments).stderr
    assert said.startswith(f"{path} must be an executed notebook, and cannot be read as one: ")
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments, name", [((), "mathjax.js"), (("--share", "01"), "build/share/01-a.html")]
)
def test_a_full_disk_names_what_could_not_be_written(tmp_path, arguments, name):
    """Files may not grow beyond 1 MB, which fails as a full disk does."""
    small_project(tmp_path, "01-a.ipynb", executed("# A"))
    limited = "import resource, sys, build_site\nlimits = 1_000_000, resource.RLIM_INFINITY\n"
    limited += "resource.setrlimit(resource.RLIMIT_FSIZE, limits)\nsys.exit(build_site.main())\n"
    (tmp_path / "tools" / "limited.py").write_text(limited)
    command = [sys.executable, "tools/limited.py", *arguments]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 1 and len(result.stderr.splitlines()) == 1
    assert re.match(rf"cannot write \S+/{name}: .*File too large", result.stderr), result.stderr


def test_a_signal_between_the_two_renames_of_a_site_comes_after_both(tmp_path):
    small_project(tmp_path, "01-a.ipynb", executed("# A"))
    (tmp_path / "build" / "site").mkdir(parents=True)
    (tmp_path / "build" / "site" / "index.html").write_text("the last one")
    stops = """import os, signal, sys, build_site
real = os.replace
def replace(a, b):
    real(a, b)
    if str(b).endswith("/old"):
        os.kill(os.getpid(), signal.SIGTERM)
os.replace = replace
"""
    command = [sys.executable, "-c", stops + "sys.exit(build_site.main())"]
    paths = {"PYTHONPATH": f"{tmp_path}/tools:{ROOT}"}
    stopped = subprocess.run(command, cwd=tmp_path, env=paths, capture_output=True, text=True)
    assert stopped.returncode == 143
    assert stopped.stderr == "stopped by SIGTERM: the pages are new\n"
    assert "A" in (tmp_path / "build" / "site" / "01-a.html").read_text()
    assert [path.name for path in (tmp_path / "build").iterdir()] == ["site"]


def test_a_site_that_cannot_be_put_in_place_leaves_the_last_one(tmp_path):
    small_project(tmp_path, "01-a.ipynb", executed("# A"))
    (tmp_path / "build" / "site").mkdir(parents=True)
    (tmp_path / "build" / "site" / "index.html").write_text("the last one")
    fails = """import os, sys, build_site
real = os.replace
def replace(a, b):
    if str(a).endswith("/new"):
        raise OSError(5, "Input/output error", str(b))
    real(a, b)
os.replace = replace
"""
    command = [sys.executable, "-c", fails + "sys.exit(build_site.main())"]
    paths = {"PYTHONPATH": f"{tmp_path}/tools:{ROOT}"}
    failed = subprocess.run(command, cwd=tmp_path, env=paths, capture_output=True, text=True)
    assert failed.returncode == 1 and failed.stderr.count("\n") == 1, failed.stderr
    (left,) = (path for path in (tmp_path / "build").rglob("*") if path.is_file())
    assert left.read_text() == "the last one"
