# Every target first makes .venv if it is missing or older than the pins: with what running needs
# (RUN), or with tests, lint, documentation and every extra besides (DEV).
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
BIN := .venv/bin
RUN := .venv/.installed
DEV := .venv/.installed-dev

.PHONY: setup dev lock run test test-all test-fast cover lint format viz site gallery bench bench-quality

setup: $(RUN)

dev: $(DEV)

$(RUN): requirements.lock pyproject.toml tools/install.py
	$(PYTHON) tools/install.py requirements.lock
	touch $@

# This set has all of the other, in the same versions.
$(DEV): requirements-dev.lock pyproject.toml tools/install.py
	$(PYTHON) tools/install.py requirements-dev.lock
	touch $(RUN) $@

# Both sets, from what is installed: after a dependency was added to pyproject.toml and .venv.
lock: $(DEV)
	$(BIN)/python tools/lock.py

# make run IMAGES=~/art trains on the images of a folder; make run IMAGES=~/art OPTIONS="--size 128"
# The shell reads OPTIONS from its environment, since a list in --params has several lines.
run: $(RUN)
	eval 'exec $(BIN)/kedro $(if $(IMAGES),train "$$IMAGES",run)' "$$OPTIONS"

# All but the longest tests, which repeat on more machines or in more steps what others show.
test: $(DEV)
	$(BIN)/pytest --numprocesses=auto --dist=worksteal -m "not exhaustive"

test-all: $(DEV)
	$(BIN)/pytest --numprocesses=auto --dist=worksteal

# Most tests in under a minute: none that trains for long, runs Kedro, a server or a browser.
test-fast: $(DEV)
	$(BIN)/pytest --numprocesses=auto --dist=worksteal -m "not slow and not exhaustive"

# The same, a quarter slower, with the lines that no test runs.
cover: $(DEV)
	$(BIN)/pytest --numprocesses=auto --dist=worksteal --cov=ganvas --cov-report=term-missing:skip-covered

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/vulture
	$(BIN)/deptry src
	$(BIN)/mypy
	$(BIN)/hadolint Dockerfile

format: $(DEV)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

viz: $(RUN)
	$(BIN)/kedro viz run

# The documentation, with the flow in site/viz/, whose page would ask a foreign host for a font. A link
# or an anchor that leads nowhere is an error; make site EXTERNAL=--external asks other hosts too.
site: $(DEV)
	rm -rf build site
	$(BIN)/mkdocs build --strict
	$(BIN)/kedro viz build
	mv build site/viz
	sed -i.bak '/fonts\.g/d' site/viz/index.html site/viz/404.html && rm site/viz/*.bak
	$(BIN)/python docs/check_links.py site $(EXTERNAL)

gallery: $(RUN)
	$(BIN)/kedro gallery

# make bench PEERS="--peer NAME=COMMAND": any command that prints its img/s
bench: $(RUN)
	$(BIN)/python benchmarks/train_step.py $(PEERS)

# make bench-quality IMAGES="FOLDER FOLDER" CONTEST="--minutes 10 --peer NAME=COMMAND": see the file
bench-quality: $(RUN)
	$(BIN)/python benchmarks/quality.py $(IMAGES) $(CONTEST)
