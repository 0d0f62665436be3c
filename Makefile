# Each target does all its own set-up: python 3.11 or newer and make are enough. `make` alone lists the targets.
#
# Everything is installed into .venv in this folder, once, and again only when pyproject.toml changes.

PYTHON ?= python3
CLAIM  ?=
ARGS   ?=

VENV   := .venv
PY     := $(VENV)/bin/python
say     = printf '• %s\n'

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

# Two pips in one environment would trip over each other, so `make -j` is not taken up.
.NOTPARALLEL:
.PHONY: help demo test bench lint clean

help:
	@echo "make demo                the tour: what Penstock does, on real pictures"
	@echo "make test [ARGS=…]       lint, types, import rules, tests, every example in the documents"
	@echo "make bench [CLAIM=name]  each claim about speed or memory, beside its peers"
	@echo "make lint                only the first three of 'make test'"
	@echo "make clean               remove .venv, .cache and what the tools left"

demo: $(VENV)/.demo
	@$(say) "the demo"
	@$(PY) examples/demo.py </dev/null

test: lint
	@$(say) "tests, and the examples in the documents"
	@$(PY) -m pytest -n 2 --dist worksteal $(ARGS) </dev/null

bench: $(VENV)/.bench
	@$(say) "benchmarks: $(or $(CLAIM),all)"
	@$(PY) -m benchmarks $(CLAIM) </dev/null

lint: $(VENV)/.dev
	@$(say) "ruff: style"
	@$(PY) -m ruff check --quiet .
	@$(say) "mypy: types"
	@$(PY) -m mypy --no-error-summary
	@$(say) "import-linter: who may import whom"
	@$(VENV)/bin/lint-imports >$(VENV)/imports.log 2>&1 </dev/null || { cat $(VENV)/imports.log; exit 1; }

clean:
	@$(say) "removing .venv, .cache and what the tools left"
	@rm -rf $(VENV) .cache build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is touched when its extras are installed. The reasons for each package stand in pyproject.toml.

$(VENV)/.dev:   EXTRAS := dev,demo
$(VENV)/.demo:  EXTRAS := demo
$(VENV)/.bench: EXTRAS := bench
$(VENV)/.dev $(VENV)/.demo $(VENV)/.bench: pyproject.toml $(VENV)/.made
	@$(say) "installing penstock[$(EXTRAS)] (once; the first time takes minutes)"
	@$(PY) -m pip install -qq -e ".[$(EXTRAS)]" </dev/null
	@touch $@

$(VENV)/.made:
	@$(say) "making $(VENV) with $(PYTHON)"
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else \
	  "Penstock needs Python 3.11 or newer and this is %s. Say which to use: make PYTHON=python3.11" % sys.version.split()[0])'
	@$(PYTHON) -m venv $(VENV)
	@touch $@
