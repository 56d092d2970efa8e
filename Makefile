# Every target first makes .venv if it is missing or older than the pins.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
READY := .venv/.installed

.PHONY: setup run test test-s3 lint format viz gallery bench bench-quality

setup: $(READY)

$(READY): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

run: $(READY)
	$(BIN)/kedro run

test: $(READY)
	$(BIN)/pytest --numprocesses=auto --dist=worksteal

# On packages of its own before the others: botocore wants an older python-dateutil than the pins.
test-s3: .venv/s3/.installed
	PYTHONPATH=.venv/s3 $(BIN)/pytest --no-cov tests/test_objects.py

.venv/s3/.installed: requirements-s3.lock $(READY)
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target .venv/s3 --requirement requirements-s3.lock
	touch $@

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/vulture
	$(BIN)/deptry src
	$(BIN)/mypy
	$(BIN)/hadolint Dockerfile

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

viz: $(READY)
	$(BIN)/kedro viz run

gallery: $(READY)
	$(BIN)/kedro gallery

# make bench PEERS="--peer NAME=COMMAND": any command that prints its img/s
bench: $(READY)
	$(BIN)/python benchmarks/train_step.py $(PEERS)

# make bench-quality PICTURES="FOLDER FOLDER" CONTEST="--minutes 10 --peer NAME=COMMAND": see the file
bench-quality: $(READY)
	$(BIN)/python benchmarks/quality.py $(PICTURES) $(CONTEST)
