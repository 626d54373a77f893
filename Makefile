# make help lists the targets. PYTHON chooses the interpreter, TORCH_INDEX an extra package index for torch alone.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.complete
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
export JUPYTER_PREFER_ENV_PATH := 1
# The first would switch off every check, and the second hides the tools from one another.
unexport PYTHONOPTIMIZE PYTHONSAFEPATH

# What a user gives goes to the recipes through the environment, as it came: neither make nor the
# shell reads it. So "$$P" in a recipe, never $(P).
GIVEN := P NB FULL SCHEDULER JOBS LAB T PYTHON TORCH_INDEX
$(foreach name,$(GIVEN),$(eval override $(name) := $$(value $(name))))
export $(GIVEN)

# The set-up holds absolute paths. The stamp says for which folder it was made: in a clone that was
# moved or copied it is made anew.
ifneq ($(shell cat $(STAMP) 2>/dev/null),$(CURDIR))
.PHONY: $(STAMP)
endif

.PHONY: help venv notebooks test lab site share new bench clean
help:
	@echo "make venv        set up $(VENV)"
	@echo "make notebooks   run every notebook whose text or package changed; tables to data/, figures to figures/"
	@echo "                 NB=03 one of them, P=\"inits=500 n=2000\" with other parameters (to build/runs/; values"
	@echo "                 with spaces in quotes, P=\"signal='my file'\"), FULL=1 the long versions (to NN-full-*),"
	@echo "                 SCHEDULER=tcp://... sweeps on a Dask cluster, JOBS=2 so many at once"
	@echo "make test        run the tests; T=\"tests/test_init.py -k seed\" some of them"
	@echo "make lab         open JupyterLab at the explorer, on copies in build/lab/; LAB=\"--port=9999\" its options"
	@echo "make site        turn the executed notebooks into pages that open without a network: build/site/index.html"
	@echo "make share NB=05 one of them as one HTML file, to send: build/share/"
	@echo "make new NB=20-my-question   start a notebook from the template"
	@echo "make bench       measure the claims about speed; writes data/bench*.csv"
	@echo "make clean       remove build/, runs with P= too (data/, figures/ and what you saved in the lab stay);"
	@echo "                 rm -r $(VENV) removes the set-up"

venv: $(STAMP)
$(STAMP): pyproject.toml constraints.txt
	@"$$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "lct_lab needs Python 3.11 or newer, and '$$PYTHON' is $$("$$PYTHON" --version 2>&1); name another with make PYTHON=..."; exit 1; }
	@"$$PYTHON" -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "'$$PYTHON' comes without the venv module; install it (Debian and Ubuntu: the package python3-venv)"; exit 1; }
	@if test -s $@ && test "$$(cat $@)" != "$$(pwd -P)"; then \
	  echo "$(VENV) was set up in another folder, $$(cat $@): making it anew for this one"; rm -rf $(VENV); fi
	@test -x $(PY) || "$$PYTHON" -m venv $(VENV)
	@echo "setting up $(VENV): some minutes the first time"
	@$(PY) -m pip install -q --disable-pip-version-check -c constraints.txt torch \
	  $${TORCH_INDEX:+--extra-index-url "$$TORCH_INDEX"}
	@$(PY) -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[test,cluster,bench,fast]"
	@pwd -P > $@

notebooks: $(STAMP)
	@$(PY) tools/run_notebook.py

test: $(STAMP)
	@$(ONE_THREAD) PYTEST_ADDOPTS="$$PYTEST_ADDOPTS $$T" $(PY) -m pytest -n 2 --dist worksteal

lab: $(STAMP)
	@$(PY) tools/lab.py

site: $(STAMP)
	@$(PY) tools/build_site.py

share: $(STAMP)
	@$(PY) tools/build_site.py --share "$$NB"

new: $(STAMP)
	@$(PY) tools/new_notebook.py

bench: $(STAMP)
	@LCT_LAB_OUT=. $(PY) benchmarks/bench.py
	@LCT_LAB_OUT=. $(PY) benchmarks/sweep.py

# What was changed, made or saved in the lab is someone's work, and the one thing that no command makes
# again. Its notebooks are in build/lab; tables and figures, the explorer's too, in build/interactive.
# Nor may the folder of a run that goes on vanish: it has the process's number in its name.
clean:
	@saved="$$(find build/interactive ! -type d 2>/dev/null | \
	  while IFS= read -r file; do printf ', %s' "$${file#build/interactive/}"; done)"; \
	own="$$(find build/lab ! -type d ! -path build/lab/.copied.json 2>/dev/null | \
	  while IFS= read -r file; do name="$${file#build/lab/}"; \
	    cmp -s "$$file" "notebooks/$$name" || printf ', %s' "$$name"; done)"; \
	kept="$$saved$$own"; host="$$(uname -n)"; \
	for place in build/* .pytest_cache .ruff_cache .hypothesis; do \
	  runner="$${place#build/*-$$host-}"; runner="$${runner%-????????}"; \
	  if test "$$runner" != "$$place" && kill -0 "$$runner" 2>/dev/null; then \
	    kept="$$place"; echo "keeping $$place, where process $$runner is at work"; \
	  elif test "$$place" = build/lab && test "$$own"; then \
	    echo "keeping build/lab, with your own: $${own#, } (rm -r build/lab removes it)"; \
	  elif test "$$place" = build/interactive && test "$$saved"; then \
	    echo "keeping build/interactive, saved from the lab: $${saved#, } (rm -r build/interactive removes it)"; \
	  elif test -e "$$place"; then \
	    echo "removing $$place, $$(du -sh "$$place" | cut -f1)"; rm -rf "$$place"; fi; done; \
	test "$$kept" || rm -rf build
