# `make demo` and `make test` are all a newcomer needs. Everything else is for people who work on daogou.
SHELL := /usr/bin/env bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# The engines that `make bench` compares with, away from what daogou needs itself.
PEERS ?= .venv-peers
SERVE ?= 1
PORT ?= 8080
STORE ?= .demo/store
FEED ?=
# Tests run in so many processes, a file of tests in one.
WORKERS ?= 2

.PHONY: demo test lint types bench peers crash fuzz clean browser

# torch first and exact: a range would let pip take a build with several gigabytes of CUDA.
$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "daogou needs Python 3.11 or newer; set PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/tested: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(VENV)/installed
	@$(BIN)/daogou index examples/demo/catalogue.tsv --store $(STORE)
	@echo; echo '$$ daogou search "防水登山外套 500元以内" --explain'
	@$(BIN)/daogou search '防水登山外套 500元以内' --store $(STORE) --per-page 3 --explain
	@echo; echo '$$ daogou search "waterproof hiking jacket under $$80" --explain'
	@$(BIN)/daogou search 'waterproof hiking jacket under $$80' --store $(STORE) --per-page 3 --explain
	@if [ '$(SERVE)' != 0 ]; then $(BIN)/daogou serve --store $(STORE) --port $(PORT); fi

browser:
	@bash .ci/browser

test: $(VENV)/tested browser
	$(BIN)/ruff check
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder

lint: $(VENV)/tested
	$(BIN)/ruff check

types: $(VENV)/tested
	$(BIN)/mypy

# Other engines are compared with where `make peers` has installed them; what is not there is named in the result.
bench: $(VENV)/tested browser
	$(BIN)/python -m benchmarks.bench_service $(if $(FEED),--feed $(FEED))
	$(if $(wildcard $(PEERS)/installed),$(PEERS)/bin/,$(BIN)/)python -m benchmarks.bench_peers $(if $(FEED),--feed $(FEED))

peers: $(PEERS)/installed

$(PEERS)/installed: pyproject.toml constraints.txt benchmarks/peers.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e . -r benchmarks/peers.txt
	@touch $@

# Half an hour on one core. SCENES= chooses, such as SCENES="events erase".
crash: $(VENV)/tested browser
	OMP_NUM_THREADS=1 PYTHONPATH=.:tests $(BIN)/python -m crashing $(SCENES)

# A minute for each target, TARGETS= chooses, such as TARGETS="query feed"; inputs go to .fuzzing.
SECONDS_EACH ?= 60
fuzz: $(VENV)/tested
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'atheris>=3,<4'
	OMP_NUM_THREADS=1 PYTHONPATH=.:tests $(BIN)/python -m fuzzing $(TARGETS) --seconds $(SECONDS_EACH) --corpus .fuzzing

clean:
	rm -rf $(VENV) $(PEERS) .fuzzing .demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
