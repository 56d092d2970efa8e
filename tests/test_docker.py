"""The Dockerfile runs the README's commands as an unprivileged user, with data in a volume."""

import json
import re

from projects import ROOT

LINES = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text()).splitlines()
STEPS = [tuple(line.split(" ", 1)) for line in LINES if line and not line.startswith("#")]


def find(instruction: str) -> list[str]:
    return [arguments for name, arguments in STEPS if name == instruction]


def test_its_commands_are_those_of_the_readme():
    readme = (ROOT / "README.md").read_text()
    (setup,) = [step for step in find("RUN") if step.startswith("make ")]
    (start,) = map(json.loads, find("CMD"))
    assert setup == "make setup" and f"`{setup}`" in readme
    # Not `make run`, which would be process 1 itself; it runs the same.
    assert start == ["kedro", "run"] and "```sh\nmake run\n```" in readme
    targets = (ROOT / "Makefile").read_text()
    assert "\nsetup: " in targets
    recipe = r"\nrun: .*\n\teval 'exec \$\(BIN\)/kedro \$\(if \$\(IMAGES\),train .*,run\)' "
    assert re.search(recipe, targets)
    python = re.search(r"python:(3\.\d+)-", find("ARG")[0])
    assert python and f"Python {python[1]}" in readme


def test_only_system_packages_are_installed_as_root():
    names = [name for name, _ in STEPS]
    assert find("USER") == ["1000"]
    assert names[: names.index("USER")] == ["ARG", "FROM", "RUN"]
    assert "useradd --uid 1000" in find("RUN")[0]
    assert all(arguments.startswith("--chown=1000:1000 ") for arguments in find("COPY"))
    assert find("VOLUME") == [f"{find('WORKDIR')[0]}/data"]


def test_setup_has_the_files_it_needs_and_secrets_are_not_copied():
    *before_setup, project = [arguments.split()[1:-1] for arguments in find("COPY")]
    assert project == ["."]
    names = {name for step in before_setup for name in step}
    assert all((ROOT / name).is_file() for name in names)
    assert {"Makefile", "pyproject.toml", "requirements.lock", "tools/install.py"} <= names
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert {".git", ".venv", "conf/local/*", "data/*/*"} <= set(ignored)
    assert not {"src", "conf", *names} & set(ignored)
