# make help lists the targets. PYTHON chooses the interpreter, TORCH_INDEX an extra package index for torch alone.
PYTHON ?= python3
TORCH_INDEX ?=
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.complete
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
export JUPYTER_PREFER_ENV_PATH := 1

.PHONY: help venv notebooks test lab site share new bench clean
help:
	@echo "make venv        set up $(VENV)"
	@echo "make notebooks   run every notebook whose code or package changed; tables to data/, figures to figures/"
	@echo "                 NB=03 one of them, P=\"inits=500 n=2000\" with other parameters (to build/runs/),"
	@echo "                 FULL=1 the long versions (to NN-full-*), SCHEDULER=tcp://... sweeps on a Dask cluster"
	@echo "make test        run the tests"
	@echo "make lab         open JupyterLab at the explorer, which lists the other notebooks"
	@echo "make site        turn the executed notebooks into pages that open without a network: build/site/index.html"
	@echo "make share NB=04 one of them as one HTML file, to send: build/share/"
	@echo "make new NB=12-my-question   start a notebook from the template"
	@echo "make bench       measure the claims about speed; writes data/bench.csv and figures/bench.*"
	@echo "make clean       remove build/ (results stay); rm -r $(VENV) removes the set-up"

venv: $(STAMP)
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "lct_lab needs Python 3.11 or newer, and '$(PYTHON)' is $$($(PYTHON) --version 2>&1); name another with make PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "'$(PYTHON)' comes without the venv module; install it (Debian and Ubuntu: the package python3-venv)"; exit 1; }
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@echo "setting up $(VENV): some minutes the first time"
	@$(PY) -m pip install -q --disable-pip-version-check -c constraints.txt torch $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
	@$(PY) -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[test,cluster,bench]"
	@touch $@

notebooks: $(STAMP)
	@$(PY) tools/run_notebook.py $(if $(NB),--only "$(NB)") $(if $(P),--parameters "$(P)") $(if $(FULL),--full) \
	  $(if $(SCHEDULER),--scheduler "$(SCHEDULER)") $(if $(JOBS),--jobs $(JOBS))

test: $(STAMP)
	@$(ONE_THREAD) $(PY) -m pytest -n 2 --dist worksteal $(T)

lab: $(STAMP)
	@$(PY) -m jupyterlab notebooks/00-explore.ipynb

site: $(STAMP)
	@$(PY) tools/build_site.py

share: $(STAMP)
	@$(PY) tools/build_site.py --share "$(NB)"

new: $(STAMP)
	@$(PY) tools/run_notebook.py --new "$(NB)"

bench: $(STAMP)
	@LCT_LAB_OUT=. $(PY) benchmarks/bench.py
	@LCT_LAB_OUT=. $(PY) benchmarks/sweep.py

clean:
	@rm -rf build .pytest_cache .ruff_cache .hypothesis
