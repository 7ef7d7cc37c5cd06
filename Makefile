# Every target bootstraps .venv by itself; a stamp per set of extras makes a second call instant.
# PYTHON chooses the interpreter of a new .venv; ARGS goes to the command; JOBS is the number of test processes.

JOBS ?= 2
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps
CANDIDATES := python3 python3.14 python3.13 python3.12 python3.11 python
SUPPORTED := import sys; sys.exit(sys.version_info < (3, 11))

ifndef PYTHON
PYTHON = $(shell for p in $(CANDIDATES); do "$$p" -c '$(SUPPORTED)' 2>/dev/null && echo "$$p" && break; done)
endif

.DEFAULT_GOAL := help
.PHONY: help install study studies results test check docs notebooks slow nightly gpu exhaustive hdl vectors bench dist clean

help:  ## list the targets
	@awk -F':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# A Python without ensurepip (Debian splits it off) can still make the environment when it has a pip of its own.
$(STAMPS)/venv:
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 or newer found; install one or set PYTHON=/path/to/python" >&2; exit 1; }
	@"$(PYTHON)" -c '$(SUPPORTED)' || { echo "make: $(PYTHON) is not Python 3.11 or newer; set PYTHON=/path/to/python" >&2; exit 1; }
	@"$(PYTHON)" -m venv $(VENV) \
		|| { "$(PYTHON)" -m venv --clear --without-pip $(VENV) && "$(PYTHON)" -m pip --python $(BIN)/python install --quiet pip; } \
		|| { echo "make: $(PYTHON) makes no virtual environments; install its venv package (Debian: python3-venv)" >&2; exit 1; }
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/studies: $(STAMPS)/venv pyproject.toml halfsim/_version.py
	$(BIN)/python -m pip install --quiet --editable '.[studies]'
	@touch $@

$(STAMPS)/test: $(STAMPS)/studies
	$(BIN)/python -m pip install --quiet --editable '.[studies,test]'
	@touch $@

$(STAMPS)/oracles: $(STAMPS)/test
	$(BIN)/python -m pip install --quiet --editable '.[studies,test,oracles]'
	@touch $@

$(STAMPS)/dev: $(STAMPS)/studies
	$(BIN)/python -m pip install --quiet --editable '.[studies,dev]'
	@touch $@

$(STAMPS)/docs: $(STAMPS)/studies
	$(BIN)/python -m pip install --quiet --editable '.[studies,docs]'
	@touch $@

install: $(STAMPS)/studies  ## make .venv and install halfsim with what the studies need

study: $(STAMPS)/studies  ## run the main job: mixed-precision training on real data
	$(BIN)/halfsim study run quickstart $(ARGS)

studies: $(STAMPS)/studies  ## run every study at its full size (under 45 minutes on two cores; goes on after a kill)
	@failed=0; for name in $$($(BIN)/python -c 'from halfsim.studies import STUDIES; print(*STUDIES)'); do \
		$(BIN)/halfsim study run "$$name" $(ARGS) || failed=1; \
	done; exit $$failed

results: $(STAMPS)/studies  ## copy what make studies found into docs/results
	$(BIN)/python docs/results/collect.py runs docs/results

# Each process begins with files of its own, so that what a file prepares and compiles is made once; then it takes over.
test: $(STAMPS)/test  ## run the tests
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(ARGS)

check: $(STAMPS)/dev  ## lint, format, types, layers, docstrings, spelling, metadata
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/numpydoc lint $$(find halfsim -name '*.py')
	$(BIN)/codespell
	$(BIN)/validate-pyproject pyproject.toml

docs: $(STAMPS)/docs  ## build the site, offline; a warning is an error
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html $(ARGS)
	$(BIN)/python -m docs._ext.built docs/_build/html

notebooks: $(STAMPS)/docs $(STAMPS)/test  ## execute the notebooks
	$(BIN)/python -m pytest -n 0 --nbmake docs/notebooks/*.ipynb

slow: $(STAMPS)/test  ## run the tests that take minutes
	$(BIN)/python -m pytest -n $(JOBS) -m slow $(ARGS)

nightly: $(STAMPS)/oracles  ## compare every matrix unit with another simulator on 100,000 outputs
	$(BIN)/python -m pytest -n $(JOBS) -m nightly $(ARGS)

gpu: $(STAMPS)/test  ## run the tests that need an NVIDIA GPU, and time it beside the processor
	$(BIN)/python -m pip install --quiet --editable '.[studies,test,cuda]'
	$(BIN)/python -m pytest -m gpu $(ARGS)
	$(BIN)/python benchmarks/bench_cuda.py

exhaustive: $(STAMPS)/studies  ## verify every pair of binary16 operands, binary32 converted, random triples of fma (resumable; hours)
	$(BIN)/halfsim verify exhaustive --op all --digests vectors/digests/exhaustive.toml $(ARGS)

hdl: $(STAMPS)/studies  ## simulate the hardware designs against vectors, and their mutants (needs iverilog)
	$(BIN)/python -m hdl.verify $(ARGS)

vectors: $(STAMPS)/studies  ## make the shipped test vectors again, byte for byte
	$(BIN)/python -m halfsim.testvectors.shipped vectors

bench: $(STAMPS)/test  ## time the simulator beside its peers
	$(BIN)/halfsim bench $(ARGS)

dist: $(STAMPS)/test  ## build wheel and source archive in dist/, check them, and try the wheel in empty environments
	$(BIN)/python -m pip install --quiet build twine
	@"$(BIN)/python" -m venv $(VENV)/cff && $(VENV)/cff/bin/python -m pip install --quiet cffconvert  # it pins old libraries
	$(VENV)/cff/bin/cffconvert --validate
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/python -m twine check --strict dist/*
	$(BIN)/python -m pytest -m "slow or not slow" $(ARGS) tests/test_release.py

clean:  ## remove .venv and tool caches
	rm -rf $(VENV) docs/_build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis dist
