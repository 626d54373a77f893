"""The notebooks as a book: where they are, what each is called, and what it asks."""

import json
from pathlib import Path

from lct_lab.tables import root

ASKS = "**Question.**"  # how the question of a notebook begins


def notebooks(folder=None):
    """The numbered notebooks of `folder`, by default the project's, in order: a list of paths."""
    return sorted(Path(folder or root() / "notebooks").glob("[0-9][0-9]-*.ipynb"))


def abstract(path):
    """Title and question of the notebook at `path`, both from its first cell.

    The title is the first line; the question is the paragraph that starts with "**Question.**",
    and "" where there is none. Raises ValueError where `path` is not a notebook with a first cell.
    """
    try:
        first = json.loads(Path(path).read_text(encoding="utf-8"))["cells"][0]
        text = "".join(first["source"])
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise ValueError(
            f"{path} must be a notebook with a title in its first cell: {error!r}"
        ) from None
    title, _, rest = text.partition("\n")
    asked = (part for part in rest.split("\n\n") if part.strip().startswith(ASKS))
    question = next(asked, "").strip().removeprefix(ASKS)
    return title.lstrip("# "), " ".join(question.split())


def contents():
    """The project's notebooks but the explorer, each a link with its question, to be displayed."""
    from IPython.display import Markdown

    lines = []
    for path in notebooks():
        if not path.name.startswith("00-"):
            title, question = abstract(path)
            lines.append(f"* [{title}]({path.name}). {question}")
    return Markdown("\n".join(lines))
