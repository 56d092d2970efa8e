"""The Dockerfile: the README's commands, as nobody in particular, with data outside."""

import json
import re

from projects import ROOT

LINES = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text()).splitlines()
STEPS = [tuple(line.split(" ", 1)) for line in LINES if line and not line.startswith("#")]


def find(instruction: str) -> list[str]:
    return [rest for name, rest in STEPS if name == instruction]


def test_its_steps_are_the_readmes():
    readme = (ROOT / "README.md").read_text()
    (setup,) = [step for step in find("RUN") if step.startswith("make ")]
    (start,) = map(json.loads, find("CMD"))
    assert setup == "make setup" and f"`{setup}`" in readme
    assert f"```sh\n{' '.join(start)}\n```" in readme
    targets = (ROOT / "Makefile").read_text()
    assert "\nsetup: " in targets and "\nrun: " in targets
    python = re.search(r"python:(3\.\d+)-", find("ARG")[0])
    assert python and f"Python {python[1]}" in readme


def test_nothing_runs_as_root_but_the_systems_packages():
    names = [name for name, _ in STEPS]
    assert find("USER") == ["1000"]
    assert names[: names.index("USER")] == ["ARG", "FROM", "RUN"]
    assert "useradd --uid 1000" in find("RUN")[0]
    assert all(rest.startswith("--chown=1000:1000 ") for rest in find("COPY"))
    assert find("VOLUME") == [f"{find('WORKDIR')[0]}/data"]


def test_setting_up_finds_what_it_needs_and_secrets_stay_outside():
    *named, everything = [rest.split()[1:-1] for rest in find("COPY")]
    assert everything == ["."]
    before = [name for step in named for name in step]
    assert all((ROOT / name).is_file() for name in before)
    assert {"Makefile", "pyproject.toml", "requirements.lock"} <= set(before)
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert {".git", ".venv", "conf/local/*", "data/*/*"} <= set(ignored)
    assert not {"src", "conf", *before} & set(ignored)
