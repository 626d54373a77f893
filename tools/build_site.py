"""Turn the executed notebooks into pages that open from a disk with no network: nbconvert, templates in tools/site/.

python tools/build_site.py              (`make site`)         build/site/: an index and one page a notebook
python tools/build_site.py --share 04   (`make share NB=04`)  build/share/: one file with everything in it
"""

import argparse
import base64
import importlib.resources
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import nbformat
from jupyterlab_pygments import JupyterStyle
from nbconvert import HTMLExporter
from traitlets.config import Config

from lct_lab import explore

ROOT, HERE = Path.cwd(), Path(__file__).resolve().parent
LINK = re.compile(r"\[([^]]+)\]\((\d\d-[^)/]+)\.ipynb\)")  # to another notebook, in markdown
TITLE = "Gradient scale laws of the learnable cosine transform"
CLAIM = (
    "How large is the gradient of each parameter, how does it grow with the size of the model, and what step makes "
    "training work at every size? Laws derived and measured; and used, so that training from random frequencies finds "
    "the DCT."
)


def rendered():
    """The executed copies in order, each notebook followed by its long run."""
    found = (ROOT / "notebooks" / "rendered").glob("[0-9][0-9]-*.ipynb")
    return sorted(found, key=lambda path: (path.name[:2], "-full-" in path.name))


def files_of(path):
    """The source notebook and the tables behind a page: two dicts {name: path}."""
    name = path.name.replace("-full-", "-")
    prefix = path.name[:8] if name != path.name else path.name[:3]
    tables = (
        p
        for p in sorted((ROOT / "data").glob(f"{prefix}*.csv"))
        if ("-full-" in p.name) == (name != path.name)
    )
    return {name: ROOT / "notebooks" / name}, {p.name: p for p in tables}


def title_of(path):
    return explore.abstract(path)[0] + (" (the long run)" if "-full-" in path.name else "")


def exporter():
    colours = Config({"CSSHTMLHeaderPreprocessor": {"enabled": True, "style": JupyterStyle}})
    make = HTMLExporter(config=colours, template_name="site", extra_template_basedirs=[str(HERE)])
    make.exclude_input_prompt = make.exclude_output_prompt = True
    return make


def write(make, path, page, target, address, link):
    """The page of the executed notebook `path`; `address` makes a link of a file, `link` replaces one to a notebook."""
    book = nbformat.read(path, 4)
    for cell in book.cells:
        if cell.cell_type == "markdown":
            cell.source = LINK.sub(link, cell.source)
        for output in cell.get("outputs", ()):
            if "text/markdown" in output.get("data", {}):
                output.data["text/markdown"] = LINK.sub(link, output.data["text/markdown"])
    sources, data = (
        {name: address(file) for name, file in part.items()} for part in files_of(path)
    )
    page = look() | page | {"title": title_of(path), "sources": sources, "data": data}
    target.write_text(make.from_notebook_node(book, resources={"page": page})[0])


def look():
    return {
        "style": (HERE / "site" / "style.css").read_text(),
        "script": (HERE / "site" / "page.js").read_text(),
    }


def mathjax():
    """One script with every font and extension in it, from a package."""
    return (importlib.resources.files("mathjax") / "static/mathjax/es5/tex-svg-full.js").read_text()


def picture(path):
    """The first picture of an executed notebook: (base64, alternative text)."""
    for cell in nbformat.read(path, 4).cells:
        for output in cell.get("outputs", ()):
            if "image/png" in output.get("data", {}):
                return output.data["image/png"], output.metadata["image/png"]["alt"]
    return "", ""


def site():
    """Build build/site/ whole, then put it in the place of the last one."""
    target, pages, make = ROOT / "build" / "site", rendered(), exporter()
    target.parent.mkdir(exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix="site-", dir=target.parent))
    try:
        for place, path in enumerate(pages):
            links = {}
            for word, other in (("Previous", place - 1), ("Next", place + 1)):
                if 0 <= other < len(pages):
                    number = pages[other].name[:2] + (
                        ", long run" if "-full-" in pages[other].name else ""
                    )
                    links[f"{word}: {number}"] = f"{pages[other].stem}.html"
            write(
                make,
                path,
                {"links": links},
                staging / f"{path.stem}.html",
                lambda file: file.name,
                r"[\1](\2.html)",
            )
            for part in files_of(path):
                for file in part.values():
                    shutil.copyfile(file, staging / file.name)
        entries = []
        for path in pages:
            if "-full-" in path.name:
                entries[-1]["full"] = f"{path.stem}.html"
                continue
            png, alt = picture(path)
            title, question = explore.abstract(path)
            entries.append(
                {
                    "title": title,
                    "question": question,
                    "png": png,
                    "alt": alt,
                    "link": f"{path.stem}.html",
                }
            )
        page = look() | {"title": TITLE, "claim": CLAIM}
        contents = make.environment.get_template("contents.html.j2")
        text = contents.render(page=page, entries=entries, resources={"inlining": {"css": []}})
        (staging / "index.html").write_text(text)
        (staging / "mathjax.js").write_text(mathjax())
        shutil.rmtree(target, ignore_errors=True)
        os.replace(staging, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    print(f"{len(pages)} pages: open {target.relative_to(ROOT)}/index.html")


def share(number):
    """One page with its tables, its source and MathJax inside, that opens anywhere."""
    names = {path.stem[:7] if "-full-" in path.name else path.stem[:2]: path for path in rendered()}
    if number not in names:
        sys.exit(
            f"NB must be the number of an executed notebook, {', '.join(names)}; got {number!r}"
        )
    target = ROOT / "build" / "share" / f"{names[number].stem}.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    script = mathjax().replace("</script", r"<\/script")
    write(exporter(), names[number], {"mathjax": script}, target, inside, r"\1")
    print(f"one file, {target.stat().st_size / 1e6:.1f} MB: {target.relative_to(ROOT)}")


def inside(file):
    return f"data:application/octet-stream;base64,{base64.b64encode(file.read_bytes()).decode()}"


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument(
        "--share", metavar="NB", help="number of a notebook, or 04-full for its long run"
    )
    given = arguments.parse_args()
    return site() if given.share is None else share(given.share)


if __name__ == "__main__":
    main()
