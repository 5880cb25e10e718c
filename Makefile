# Two commands do everything on a fresh machine with Python 3.11 and make:  make demo   make test
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: demo test test-all check format bench golden bite docs clean

demo: $(READY)            ## the main job, told as a story
	@$(BIN)/lastgood demo

test: $(READY)            ## unit, contract, golden, property, simulation, and the end-to-end story
	@$(BIN)/pytest -q -m "not slow" -n 2 --dist loadgroup

test-all: $(READY)        ## everything, the slow ones too
	@$(BIN)/pytest -q -n 2 --dist loadgroup

check: $(READY)           ## formatting, lint, types, import contracts, our own rules
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/pytest -q tests/tidy
	@echo "check: all of it holds"

format: $(READY)          ## format and mend what can be mended by itself
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix .

bench: $(READY)           ## figures, as ratios against real peers in one run (docs/benchmarks.md)
	@$(BIN)/python -m benchmarks

golden: $(READY)          ## write the golden files anew; look at the difference before you commit it
	@$(BIN)/python -m tests.gateway.golden
	@$(BIN)/python -m tests.operations.golden

bite: $(READY)            ## break the code in small ways; every invariant's test must notice
	@$(BIN)/python tools/bite.py

docs: $(READY)            ## write the reference pages anew from the code
	@$(BIN)/python tools/reference.py

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || (echo "Python 3.11 or newer is needed: make PYTHON=python3.12 ..."; exit 1)
	@echo "setting up $(VENV) (once) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || (echo "no venv module: apt-get install python3-venv"; exit 1)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)
