# Needs Python >= 3.11 and make; everything else is installed into .venv from constraints.txt.
PYTHON ?= python3
BIN := .venv/bin
# uv if it is on the PATH (seconds), else the standard library's venv and pip (minutes).
UV := $(shell command -v uv 2>/dev/null)
VENV = $(if $(UV),uv venv --quiet --allow-existing --python $(PYTHON),$(PYTHON) -m venv) .venv
INSTALL = $(if $(UV),uv pip install --python $(BIN)/python,$(BIN)/python -m pip install --disable-pip-version-check) \
  --quiet --constraint constraints.txt --editable
# What the demo is about: complete_journey, a real grocery chain, or simulated, a shop that is made up.
DATA ?= complete_journey

.PHONY: help demo up test lint bench soak clean
.DEFAULT_GOAL := help

help:  ## Show what each target does
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: .venv/installed  ## Segment a real grocery chain's households, the last days through a real Airflow (about 3 minutes); DATA=simulated: a made-up shop
	@$(BIN)/python examples/demo.py $(DATA)

up: .venv/installed  ## Airflow on http://localhost:8080 with the demo's store; Ctrl-C stops it
	@$(BIN)/python examples/airflow_local.py $(DATA)

test: .venv/installed  ## Run all tests
	@$(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist loadfile

lint: .venv/installed  ## Check style, types and import contracts
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

bench: .venv/peers  ## Measure speed and quality, each figure beside a peer measured in the same run (hours)
	@for file in benchmarks/bench_*.py; do $(BIN)/python $$file || exit 1; done
	@$(BIN)/python benchmarks/adjustment.py --seeds 3 --first-seed 10

soak: .venv/installed  ## Hours of random histories with faults, thirty days backwards through Airflow, twenty simulated shops of each kind
	@$(BIN)/python -m pytest -q -m soak --timeout=0
	@$(BIN)/python benchmarks/adjustment.py --part 3 --seeds 20 --first-seed 10

clean:  ## Remove the virtual environment and the demo's files
	rm -rf .venv .demo build *.egg-info

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; this is " + sys.version)'
	@echo "Installing into .venv (once) ..." >&2
	@$(VENV) && $(INSTALL) '.[airflow,demo,dev]'
	@touch $@

# A peer of the benchmarks that is compiled where it is installed.
.venv/peers: .venv/installed
	@$(INSTALL) '.[peers]' || echo "pyfim needs a C compiler; the benchmarks go on without it" >&2
	@touch $@
