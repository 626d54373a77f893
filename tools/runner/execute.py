"""One notebook in a process of its own: run it, and make a copy with outputs, the same each time.

papermill writes its target while it runs, and a killed kernel leaves it looking whole: only the
exit status of this process tells. What it prints last is the sentence for the user.
"""

import json
import os
import sys
from pathlib import Path

import nbformat
import papermill
from nbclient.exceptions import DeadKernelError
from traitlets.config import Config

from lct_lab import tables
from runner import processes

POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
KERNEL = {**dict.fromkeys(POOLS, "1"), "PYTHONHASHSEED": "0"}  # the last bits of a sum need it
LIMIT = 1_000_000  # bytes of an executed copy
WIDGET = "application/vnd.jupyter.widget-view+json"


def execute(notebook, target, values):
    """Run `notebook` with the parameters `values`; exits with a sentence where it fails.

    So it does where a cell ended it early, of which papermill and the kernel make a success.
    """
    folder = os.environ["JUPYTER_RUNTIME_DIR"]
    sockets = {"transport": "ipc", "ip": f"{folder}/k"}  # files: ports would be raced for
    config = Config(
        KernelManager={**sockets, "connection_file": f"{folder}/kernel.json"},
        NotebookClient={"extra_arguments": ["--IPKernelApp.extra_extensions=runner.explain"]},
    )
    try:
        book = papermill.execute_notebook(
            _literal(notebook),
            _literal(target),
            parameters=values,
            kernel_name="python3",
            language="python",  # which a notebook need not say
            progress_bar=False,
            cwd=str(Path(notebook).parent),
            config=config,
        )
    except papermill.exceptions.PapermillExecutionError as error:
        sys.exit(_failure(error))
    except DeadKernelError as error:
        sys.exit(f"{error}: out of memory, or killed from outside")
    require_all_run(book)


def require_all_run(book):
    """Exit with a sentence unless every cell of an executed notebook has run to its end."""
    for number, cell in enumerate(_with_code(book), start=1):
        ended = [out for out in cell.outputs if out.output_type == "error"]
        if ended or cell.execution_count is None:
            what = f"ended the notebook with {ended[0].ename}" if ended else "has not run"
            sys.exit(f"cell {number} {what}, and all cells must run:\n{cell.source.rstrip()}")


def _with_code(book):
    return [cell for cell in book.cells if cell.cell_type == "code" and cell.source.strip()]


def _literal(path):
    """A path as papermill takes it, which fills in what is between braces."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _failure(error):
    """What went wrong in a cell; a check has named itself (runner.explain), other code is shown."""
    said = f"{error.ename}: {error.evalue}"
    if error.ename == "AssertionError" and error.evalue:
        return f"a check in cell {error.exec_count} does not hold\n{said}"
    return f"in cell {error.exec_count}:\n{error.source.rstrip()}\n{said}"


def tidy(target, made):
    """Keep of an executed copy what repeats, and say in it what made it; exits if it is large."""
    book = nbformat.read(target, 4)
    for index, cell in enumerate(book.cells):
        tags = cell.metadata.get("tags", [])
        if "injected-parameters" in tags:
            cell.id = "injected-parameters"
        cell.metadata = {"tags": tags} if "tags" in cell.metadata else {}
        if cell.cell_type == "code":
            replaced = "parameters" in tags and index + 1 < len(book.cells)
            cell.outputs = [] if replaced else [o for o in cell.outputs if _repeats(o)]
    book.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "lct_lab": {**made, "versions": tables.provenance()},
    }
    nbformat.write(book, target)
    size = Path(target).stat().st_size
    if size > LIMIT:
        sys.exit(f"the executed copy has {size} bytes, more than {LIMIT}")


def _repeats(output):
    return output.get("name") != "stderr" and WIDGET not in output.get("data", {})


def main():
    notebook, target, values, made = sys.argv[1:]
    processes.end_with_runner(os.environ["LCT_LAB_OUT"], os.environ["JUPYTER_RUNTIME_DIR"])
    os.environ.update(KERNEL)
    try:
        execute(notebook, target, json.loads(values))
        tidy(target, json.loads(made))
    except OSError as error:
        sys.exit(f"{error.filename or target} cannot be written: {error.strerror or error}")


if __name__ == "__main__":
    main()
