# Every target first makes .venv if it is missing or older than the pins.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
READY := .venv/.installed

# On Linux a training step asks for the same memory again and again. Without this glibc hands much
# of it back to the system each time, and getting it again costs up to half of the step.
export GLIBC_TUNABLES ?= glibc.malloc.mmap_threshold=33554432:glibc.malloc.trim_threshold=8589934592:glibc.malloc.top_pad=67108864

.PHONY: setup run test lint format viz bench

setup: $(READY)

$(READY): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

run: $(READY)
	$(BIN)/kedro run

test: $(READY)
	$(BIN)/pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

viz: $(READY)
	$(BIN)/kedro viz run

# make bench PEERS="--peer NAME=COMMAND": any command that prints its img/s
bench: $(READY)
	$(BIN)/python benchmarks/train_step.py $(PEERS)
