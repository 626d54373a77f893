"""The explorer in a real JupyterLab, in a real browser: run, moved by the keyboard, looked at."""

import json
import shlex
import shutil
import subprocess
import sys
import time
import urllib.request

import pytest
from browser import SHOTS, chromium  # noqa: F401
from projects import ROOT, environment

PORT, TOKEN = 8917, "lab"
ADDRESS = f"http://127.0.0.1:{PORT}"
IDLE = (
    "globalThis.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
)
NAME = "00-explore.ipynb"
OPTIONS = (
    "--no-browser",
    "--ip=127.0.0.1",
    f"--port={PORT}",
    "--allow-root",
    "--ServerApp.port_retries=0",
    f"--IdentityProvider.token={TOKEN}",
    "--LabApp.expose_app_in_browser=True",
    "--LabApp.news_url=None",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
)


@pytest.fixture
def project(tmp_path_factory):
    """A project with the explorer alone."""
    home = tmp_path_factory.mktemp("home")
    (home / "notebooks").mkdir()
    (home / "lct_lab").symlink_to(ROOT / "lct_lab")
    shutil.copytree(ROOT / "tools", home / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "notebooks" / NAME, home / "notebooks")
    return home


def folders(home):
    """Settings of its own for JupyterLab, and another project's kernel of the same name."""
    other = home / "data_dir" / "kernels" / "python3"
    other.mkdir(parents=True)
    spec = {"argv": ["false"], "display_name": "another", "language": "python"}
    (other / "kernel.json").write_text(json.dumps(spec))
    jupyter = ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")
    lab = ("SETTINGS_DIR", "WORKSPACES_DIR")
    found = {f"JUPYTER_{name}": str(home / name.lower()) for name in jupyter}
    return found | {f"JUPYTERLAB_{name}": str(home / name.lower()) for name in lab}


@pytest.fixture
def lab(project):
    """The address of the explorer in a server that `make lab` would start."""
    given = environment(
        LAB=shlex.join(OPTIONS),
        JUPYTER_PREFER_ENV_PATH="1",
        PYTHONPATH=str(project),
        **folders(project),
    )
    command = [sys.executable, "tools/lab.py"]
    with (project / "log.txt").open("w") as log:
        server = subprocess.Popen(command, cwd=project, env=given, stdout=log, stderr=log)
    try:
        wait_for(server, project / "log.txt")
        yield f"{ADDRESS}/lab/tree/{NAME}?token={TOKEN}&reset"
    finally:
        server.terminate()
        server.wait(20)


def wait_for(server, log):
    for _ in range(300):
        time.sleep(0.2)
        assert server.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(f"{ADDRESS}/api/status?token={TOKEN}", timeout=5)
            return
        except OSError:
            pass


@pytest.fixture
def page(lab, chromium):  # noqa: F811
    """The explorer, all its cells run."""
    page = chromium.new_page(viewport={"width": 1280, "height": 1500})
    page.complaints = []
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("console", lambda said: said.type == "error" and page.complaints.append(said.text))
    page.goto(lab)
    page.wait_for_function(IDLE, timeout=60_000)
    page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")
    page.locator(".widget-image").first.wait_for(timeout=60_000)
    page.locator(".jp-RenderedImage img").wait_for(timeout=60_000)
    page.wait_for_function(IDLE, timeout=60_000)
    yield page
    page.close()


def test_the_explorer_answers_explains_and_is_saved_as_a_copy(page, project):
    answers_to_the_keyboard(page)
    says_what_cannot_be(page)
    nothing_went_wrong(page)
    is_saved_as_a_copy(page, project)


def answers_to_the_keyboard(page):
    picture = page.locator(".widget-image").first
    picture.scroll_into_view_if_needed()
    image = picture.element_handle()
    for place in range(3):  # the sliders of N, of M and of the batch
        before = picture.get_attribute("src")
        page.locator(".noUi-handle").nth(place).press("ArrowRight")
        changed = "([image, before]) => image.src !== before"
        page.wait_for_function(changed, arg=[image, before], timeout=20_000)
        assert page.evaluate("image => image.naturalWidth", image) > 500
    page.get_by_role("button", name="Write the command").click()
    command = 'make notebooks NB=00 P="n=512 m=512 start=random tied=False signal=uniform batch=2'
    page.get_by_text(command).wait_for()


def says_what_cannot_be(page):
    signal = page.locator(".widget-dropdown select").nth(1)
    signal.select_option("eeg")
    page.wait_for_timeout(1500)
    page.screenshot(path=SHOTS / "explorer.png")
    signal.select_option("sunspots")
    page.get_by_text(
        "n must be between 2 and 309, the length of the recording 'sunspots', got 512"
    ).wait_for()
    page.screenshot(path=SHOTS / "explorer-sentence.png")
    page.set_viewport_size({"width": 700, "height": 1400})
    page.screenshot(path=SHOTS / "explorer-narrow.png")


def nothing_went_wrong(page):
    model = "jupyterapp.shell.currentWidget.content.model.sharedModel.toJSON()"
    saved = json.dumps(page.evaluate(model))
    assert "Traceback" not in page.content() and '"output_type": "error"' not in saved
    assert not page.complaints


def is_saved_as_a_copy(page, project):
    page.evaluate("jupyterapp.commands.execute('docmanager:save')")
    copy = project / "build" / "lab" / NAME
    for _ in range(100):
        time.sleep(0.1)
        if '"outputs": []' not in copy.read_text() or '"image/png"' in copy.read_text():
            break
    assert '"image/png"' in copy.read_text(), "it was saved with its pictures"
    source = project / "notebooks" / NAME
    assert source.read_bytes() == (ROOT / "notebooks" / NAME).read_bytes()
