"""The explorer in a real JupyterLab, in a real browser: run, moved by the keyboard, looked at."""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from browser import SHOTS, chromium  # noqa: F401

ROOT = Path(__file__).resolve().parent.parent
PORT, TOKEN = 8917, "lab"
IDLE = "jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A server on a copy of the index notebook, with folders of its own."""
    home = tmp_path_factory.mktemp("home")
    (home / "notebooks").mkdir()
    (home / "lct_lab").symlink_to(ROOT / "lct_lab")
    shutil.copy(ROOT / "notebooks" / "00-explore.ipynb", home / "notebooks")
    folders = {
        f"JUPYTER_{name}": str(home / name.lower())
        for name in ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")
    }
    other = home / "data_dir" / "kernels" / "python3"  # another project's kernel of the same name
    other.mkdir(parents=True)
    (other / "kernel.json").write_text(
        '{"argv": ["false"], "display_name": "another", "language": "python"}'
    )
    folders |= {
        f"JUPYTERLAB_{name}_DIR": str(home / name.lower()) for name in ("SETTINGS", "WORKSPACES")
    }
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        "--ip=127.0.0.1",
        f"--port={PORT}",
        "--allow-root",
        "--ServerApp.port_retries=0",
        f"--IdentityProvider.token={TOKEN}",
        "--LabApp.expose_app_in_browser=True",
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    environment = {**os.environ, **folders, "JUPYTER_PREFER_ENV_PATH": "1", "PYTHONPATH": str(home)}
    with (home / "log.txt").open("w") as log:
        server = subprocess.Popen(
            command, cwd=home / "notebooks", env=environment, stdout=log, stderr=log
        )
    try:
        for _ in range(300):
            time.sleep(0.2)
            assert server.poll() is None, (home / "log.txt").read_text()
            try:
                urllib.request.urlopen(
                    f"http://127.0.0.1:{PORT}/api/status?token={TOKEN}", timeout=5
                )
                break
            except OSError:
                pass
        yield f"http://127.0.0.1:{PORT}/lab/tree/00-explore.ipynb?token={TOKEN}&reset"
    finally:
        server.terminate()
        server.wait(20)


def test_the_explorer_answers_to_the_keyboard(lab, chromium):  # noqa: F811
    page = chromium.new_page(viewport={"width": 1280, "height": 1500})
    complaints = []
    page.on(
        "console",
        lambda message: complaints.append(message.text) if message.type == "error" else None,
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(lab)
    page.wait_for_function(IDLE, timeout=60_000)
    page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")
    picture = page.locator(".widget-image").first
    picture.wait_for(timeout=60_000)
    page.locator(".jp-RenderedImage img").wait_for(timeout=60_000)
    page.wait_for_function(IDLE, timeout=60_000)
    picture.scroll_into_view_if_needed()
    image = picture.element_handle()
    for place in range(3):  # the sliders of N, of M and of the batch
        before = picture.get_attribute("src")
        page.locator(".noUi-handle").nth(place).press("ArrowRight")
        page.wait_for_function(
            "([image, before]) => image.src !== before", arg=[image, before], timeout=20_000
        )
        assert page.evaluate("image => image.naturalWidth", image) > 500
    page.get_by_role("button", name="Write the command").click()
    page.get_by_text(
        'make notebooks NB=00 P="n=512 m=512 start=random tied=False signal=uniform batch=2'
    ).wait_for()
    page.locator(".widget-dropdown select").nth(1).select_option("eeg")
    page.wait_for_timeout(1500)
    page.screenshot(path=SHOTS / "explorer.png")
    page.locator(".widget-dropdown select").nth(1).select_option("sunspots")
    page.get_by_text(
        "n must be between 2 and 309, the length of the recording 'sunspots', got 512"
    ).wait_for()
    page.screenshot(path=SHOTS / "explorer-sentence.png")
    page.set_viewport_size({"width": 700, "height": 1400})
    page.screenshot(path=SHOTS / "explorer-narrow.png")
    saved = json.dumps(
        page.evaluate("jupyterapp.shell.currentWidget.content.model.sharedModel.toJSON()")
    )
    assert "Traceback" not in page.content() and '"output_type": "error"' not in saved
    assert not complaints
    page.close()
