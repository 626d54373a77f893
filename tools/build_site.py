"""Turn the executed notebooks into pages that open from a disk with no network.

python tools/build_site.py              (`make site`)         build/site/: an index and the pages
python tools/build_site.py --share 05   (`make share NB=05`)  build/share/: one file with all in it

nbconvert does the work, with the templates in tools/site/. It takes a second to import: the
functions that need it do that, when signals are heeded already.
"""

import argparse
import base64
import importlib.resources
import os
import re
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote

from runner import ROOT, processes, speech

from lct_lab import book, tables

HERE = Path(__file__).resolve().parent
LINK = re.compile(r"\[([^]]+)\]\((\d\d-[^)/]+)\.ipynb\)")  # to another notebook, in markdown
MADE = {"parameters": dict, "versions": dict, "notebook": str, "package": str}  # a page
LONG = "-full-"  # in the names of long runs
TITLE = "Gradient scale laws of the learnable cosine transform"
CLAIM = (
    "How large is the gradient of each parameter, how does it grow with the size of the model, "
    "and what step makes training work at every size? Laws derived and measured; and used, "
    "so that training from random frequencies finds the DCT."
)


def rendered():
    """The executed copies in order, each notebook followed by its long run."""
    found = book.notebooks(ROOT / "notebooks" / "rendered")
    return sorted(found, key=lambda path: (path.name[:2], is_long(path)))


def is_long(path):
    return path.name[2:].startswith(LONG)


def notebook_of(path):
    """The name of the notebook that the executed copy is of."""
    return path.name.replace(LONG, "-", 1) if is_long(path) else path.name


def files_of(path):
    """The source notebook and the tables behind a page: two dicts {name: path}."""
    name = notebook_of(path)
    prefix = path.name[:2] + (LONG if is_long(path) else "-")
    tables = sorted((ROOT / "data").glob(f"{prefix}*.csv"))
    mine = {table.name: table for table in tables if is_long(table) == is_long(path)}
    return {name: ROOT / "notebooks" / name}, mine


def title_of(path):
    title, _ = book.abstract(path)
    return title + (" (the long run)" if is_long(path) else "")


def read(path):
    """The executed notebook at `path`, or the end with a sentence where there is none."""
    import nbformat

    try:
        found = nbformat.convert(nbformat.reader.reads(path.read_bytes().decode()), 4)
        nbformat.validate(found)  # which nbformat.read does too, and goes on
        return found
    except (ValueError, AttributeError, KeyError, TypeError, nbformat.ValidationError) as error:
        said = str(error).partition("\n")[0]
        sys.exit(f"{path} must be an executed notebook, and cannot be read as one: {said}")


def require_made(path, copy):
    """End with a sentence unless the notebook `copy`, read from `path`, says what made it."""
    made = copy.metadata.get("lct_lab")
    said = made if isinstance(made, dict) else {}
    missing = [name for name, kind in MADE.items() if not isinstance(said.get(name), kind)]
    if missing:
        sys.exit(
            f"{path} must be a copy that make notebooks executed, whose metadata.lct_lab says "
            f"what made it; it lacks {', '.join(missing)}"
        )


def exporter():
    from jupyterlab_pygments import JupyterStyle
    from nbconvert import HTMLExporter
    from traitlets.config import Config

    colours = Config({"CSSHTMLHeaderPreprocessor": {"enabled": True, "style": JupyterStyle}})
    make = HTMLExporter(config=colours, template_name="site", extra_template_basedirs=[str(HERE)])
    make.exclude_input_prompt = make.exclude_output_prompt = True
    return make


def written(make, path, page, *, address, link):
    """The page of the executed notebook `path`, with what `page` says besides, as bytes.

    `address` makes a link of a file, `link` replaces a link to a notebook.
    """
    copy = read(path)
    require_made(path, copy)
    for cell in copy.cells:
        if cell.cell_type == "markdown":
            cell.source = LINK.sub(link, cell.source)
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if "text/markdown" in data:
                data["text/markdown"] = LINK.sub(link, data["text/markdown"])
    sources, data = (
        {name: address(file) for name, file in part.items()} for part in files_of(path)
    )
    page = look() | page | {"title": title_of(path), "sources": sources, "data": data}
    text, _ = make.from_notebook_node(copy, resources={"page": page})
    return text.encode()


def put(target, content):
    """Write the bytes `content`; an OSError names `target`, also where the disk is full."""
    with tables.whole(target) as part:
        part.write_bytes(content)


def look():
    return {
        "style": (HERE / "site" / "style.css").read_text(encoding="utf-8"),
        "script": (HERE / "site" / "page.js").read_text(encoding="utf-8"),
    }


def mathjax():
    """One script with every font and extension in it, from a package."""
    file = importlib.resources.files("mathjax") / "static/mathjax/es5/tex-svg-full.js"
    return file.read_text(encoding="utf-8")


def picture(path):
    """The first picture of an executed notebook: (base64, alternative text)."""
    for cell in read(path).cells:
        for output in cell.get("outputs", ()):
            if "image/png" in output.get("data", {}):
                return output.data["image/png"], output.metadata.get("image/png", {}).get("alt", "")
    return "", ""


def site():
    """Build build/site/ whole, then put it in the place of the last one."""
    target = ROOT / "build" / "site"
    require_replaceable(target)
    pages, make = rendered(), exporter()
    target.parent.mkdir(exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f"site-{processes.OWNER}-", dir=target.parent))
    new = staging / "new"
    new.mkdir()
    try:
        for place, path in enumerate(pages):
            page = {"links": neighbours(pages, place)}
            found = written(make, path, page, address=beside, link=r"[\1](\2.html)")
            put(new / f"{path.stem}.html", found)
            for part in files_of(path):
                for source in part.values():
                    put(new / source.name, source.read_bytes())
        put(new / "index.html", index(make, pages).encode())
        put(new / "mathjax.js", mathjax().encode())
        put_in_place(new, target, staging / "old")
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    print(f"{len(pages)} pages: open {target.relative_to(ROOT)}/index.html")


def put_in_place(new, target, old):
    """Move the folder `new` to `target`, and what is there to `old`; all or nothing.

    A signal meanwhile comes after both, and says so.
    """
    try:
        with processes.undisturbed():  # between the two there is no site
            if target.exists():
                os.replace(target, old)
            try:
                os.replace(new, target)
            except OSError:
                if old.exists():
                    os.replace(old, target)
                raise
    except processes.Stopped as stopped:
        (number,) = stopped.args
        raise processes.Stopped(number, "the pages are new") from None


def require_replaceable(target):
    """End with a sentence unless `target` is a folder, or nothing: it is replaced whole."""
    if target.is_symlink() or target.exists() and not target.is_dir():
        kind = f"a link to {os.readlink(target)}" if target.is_symlink() else "a file"
        place = target.relative_to(ROOT)
        sys.exit(f"{place} must be a folder, for it is replaced whole, and is {kind}: remove it")


def neighbours(pages, place):
    """{words: address} of the pages before and after."""
    links = {}
    for word, other in (("Previous", place - 1), ("Next", place + 1)):
        if 0 <= other < len(pages):
            path = pages[other]
            number = path.name[:2] + (", long run" if is_long(path) else "")
            links[f"{word}: {number}"] = quote(f"{path.stem}.html")
    return links


def index(make, pages):
    """The page that lists the others: title, question and picture of each, and its long run.

    A long run whose notebook was not run otherwise stands for itself.
    """
    entries = {}
    for path in pages:
        link = quote(f"{path.stem}.html")
        if is_long(path) and notebook_of(path) in entries:
            entries[notebook_of(path)]["full"] = link
        else:
            entries[path.name] = entry(path) | {"link": link}
    page = look() | {"title": TITLE, "claim": CLAIM}
    contents = make.environment.get_template("contents.html.j2")
    return contents.render(
        page=page, entries=[*entries.values()], resources={"inlining": {"css": []}}
    )


def entry(path):
    """What the index says of an executed notebook."""
    _, question = book.abstract(path)
    png, alt = picture(path)
    return {"title": title_of(path), "question": harmless(question), "png": png, "alt": alt}


def harmless(text):
    """Markdown as HTML, formulas as they are; HTML in it is shown as text, and no link is code."""
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    renderer = IPythonRenderer(escape=True, allow_harmful_protocols=False)
    return MarkdownWithMath(renderer=renderer).render(text)


def share(number):
    """One page with its tables, its source and MathJax inside, that opens anywhere."""
    names = {path.name[:7] if is_long(path) else path.name[:2]: path for path in rendered()}
    if number not in names:
        known = ", ".join(names)
        sys.exit(f"NB must be the number of an executed notebook, {known}; got {number!r}")
    target = ROOT / "build" / "share" / f"{names[number].stem}.html"
    page = {"mathjax": mathjax().replace("</script", r"<\/script")}
    put(target, written(exporter(), names[number], page, address=inside, link=r"\1"))
    print(f"one file, {target.stat().st_size / 1e6:.1f} MB: {target.relative_to(ROOT)}")


def beside(file):
    return quote(file.name)


def inside(file):
    return f"data:application/octet-stream;base64,{base64.b64encode(file.read_bytes()).decode()}"


def build(number):
    """The page of the notebook `number` to share, or the whole site where that is None."""
    processes.clear(ROOT)
    return site() if number is None else share(number)


def main():
    arguments = argparse.ArgumentParser(description=__doc__ and __doc__.splitlines()[0])
    arguments.add_argument(
        "--share", metavar="NB", help="number of a notebook, or 05-full for its long run"
    )
    given = arguments.parse_args()
    processes.stop_on_signals()
    try:
        return speech.say_faults(lambda: build(given.share))
    except ValueError as error:  # of a notebook without a title
        sys.exit(str(error))
    except processes.Stopped as stopped:
        number, *new = stopped.args
        pages = new[0] if new else "the pages are as they were"
        said = f"stopped by {signal.Signals(number).name}: {pages}"
        print(said, file=sys.stderr)
        return 128 + number


if __name__ == "__main__":
    sys.exit(main())
