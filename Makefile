# Every target first makes .venv if it is missing or older than the pins.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
READY := .venv/.installed

.PHONY: setup run test test-fast cover lint format viz site gallery bench bench-quality

setup: $(READY)

$(READY): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

# make run IMAGES=~/art trains on the images of a folder; make run IMAGES=~/art OPTIONS="--size 128"
run: $(READY)
	$(BIN)/kedro $(if $(IMAGES),train "$$IMAGES",run) $(OPTIONS)

test: $(READY)
	$(BIN)/pytest --numprocesses=auto --dist=worksteal

# Most tests in under a minute: none that trains for long, runs Kedro, a server or a browser.
test-fast: $(READY)
	$(BIN)/pytest --numprocesses=auto --dist=worksteal -m "not slow"

# The same, a quarter slower, with the lines that no test runs.
cover: $(READY)
	$(BIN)/pytest --numprocesses=auto --dist=worksteal --cov=ganvas --cov-report=term-missing:skip-covered

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

# The documentation, with the flow in site/viz/, whose page would ask a foreign host for a font. A link
# or an anchor that leads nowhere is an error; make site EXTERNAL=--external asks other hosts too.
site: $(READY)
	rm -rf build site
	$(BIN)/mkdocs build --strict
	$(BIN)/kedro viz build
	mv build site/viz
	sed -i.bak '/fonts\.g/d' site/viz/index.html site/viz/404.html && rm site/viz/*.bak
	$(BIN)/python docs/check_links.py site $(EXTERNAL)

gallery: $(READY)
	$(BIN)/kedro gallery

# make bench PEERS="--peer NAME=COMMAND": any command that prints its img/s
bench: $(READY)
	$(BIN)/python benchmarks/train_step.py $(PEERS)

# make bench-quality IMAGES="FOLDER FOLDER" CONTEST="--minutes 10 --peer NAME=COMMAND": see the file
bench-quality: $(READY)
	$(BIN)/python benchmarks/quality.py $(IMAGES) $(CONTEST)
