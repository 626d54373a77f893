"""The explorer of notebook 00: one size at a time, four pictures of it, with widgets or without.

`measure` computes what a picture shows, `panels` draws it with artists that are kept, `widgets`
joins both to controls.
"""

import json

from lct_lab import tables
from lct_lab.explore.measure import Cancelled, Settings, loss_along, measure
from lct_lab.explore.panels import Panels, draw
from lct_lab.explore.widgets import Explorer, explorer, settings_of

__all__ = [
    "Cancelled",
    "Explorer",
    "Panels",
    "Settings",
    "abstract",
    "contents",
    "draw",
    "explorer",
    "loss_along",
    "measure",
    "settings_of",
]

ASKS = "**Question.**"  # how the question of a notebook begins


def abstract(path):
    """Title and question of a notebook, from its first cell."""
    first = "".join(json.loads(path.read_text())["cells"][0]["source"]).splitlines()
    question = next((line for line in first if line.startswith(ASKS)), "")
    return first[0].lstrip("# "), question.removeprefix(ASKS).strip()


def contents():
    """The project's other notebooks, each a link, its title and its question, for display."""
    from IPython.display import Markdown

    found = sorted((tables.root() / "notebooks").glob("[0-9][0-9]-*.ipynb"))
    titles = {path.name: abstract(path) for path in found if not path.name.startswith("00-")}
    return Markdown(
        "\n".join(f"* [{title}]({name}). {question}" for name, (title, question) in titles.items())
    )
