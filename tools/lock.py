"""Write requirements.lock and requirements-dev.lock from what .venv has installed.

    .venv/bin/python tools/lock.py

requirements-dev.lock has everything; requirements.lock what running needs, in the same versions.
"""

import re
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
# Extras that presets and commands of the README need: kedro viz; finding faces, which the presets
# of faces evaluate; downloading collections.
RUN_EXTRAS = ("viz", "faces", "fetch")
# What tools/install.py brings, and Ganvas itself.
LEFT_OUT = {"pip", "uv", "ganvas"}


def run_names() -> set[str]:
    """Return the normalized names of all packages that running needs, directly or not."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    waiting = project["dependencies"] + [line for name in RUN_EXTRAS for line in extras[name]]
    # For each package the extras that have been followed; "" is the package without any.
    followed: dict[str, set[str]] = {}
    while waiting:
        requirement = Requirement(waiting.pop())
        name = normalize(requirement.name)
        new = {"", *requirement.extras} - followed.get(name, set())
        followed[name] = followed.get(name, set()) | new
        for line in metadata.requires(name) or []:
            marker = Requirement(line).marker
            if any(marker is None or marker.evaluate({"extra": extra}) for extra in new):
                waiting.append(line)
    return set(followed)


def normalize(name: str) -> str:
    """Return a package's name as indexes spell it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> None:
    """Write both files."""
    pins = {
        normalize(package.name): f"{package.name}=={package.version}\n"
        for package in metadata.distributions()
        if package.name not in LEFT_OUT
    }
    names = sorted(pins, key=lambda name: pins[name].lower())
    run = run_names()
    (ROOT / "requirements-dev.lock").write_text("".join(pins[name] for name in names))
    (ROOT / "requirements.lock").write_text("".join(pins[name] for name in names if name in run))


if __name__ == "__main__":
    main()
