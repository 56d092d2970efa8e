"""Every command and every parameter in the documentation is valid."""

import re
import shlex
from pathlib import Path

import pytest

from ganvas.base_params import Params, check_params
from ganvas.errors import GanvasError
from ganvas.pipeline_registry import register_pipelines
from ganvas.project_params import ProjectParams
from projects import ROOT, load_config, read_option

pytestmark = pytest.mark.slow

PAGES = [
    ROOT / "README.md",
    *sorted(page for page in (ROOT / "docs").glob("*.md") if page.stem != "adding-a-network"),
]
CODE = re.compile(r"```(?:sh|bash)\n(.*?)```|`([^`\n]+)`", re.DOTALL)
RUN = re.compile(r"\bkedro run\b[^#\n]*")
STAGES = "|".join(ProjectParams.model_fields)
KEY = re.compile(rf"(?:{STAGES})(?:\.[a-z_0-9]+)+")
# Names of files and nodes, which look like keys.
NOT_KEYS = re.compile(r".*\.(?:html|json|npz|py|train_gan|webp)")
PIPELINES = register_pipelines()
NODE_OPTIONS = {"nodes", "from-nodes", "to-nodes"}


def code_snippets(page: Path) -> list[str]:
    return [block or inline for block, inline in CODE.findall(page.read_text())]


def check(env: str | None, params: dict) -> None:
    """Validate parameters, with the default network or else with DCGAN."""
    errors = []
    for network in ({}, {"network": {"name": "dcgan"}}):
        try:
            check_params(ProjectParams, load_config("parameters", env, network | params))
        except GanvasError as error:
            errors.append(str(error))
        else:
            return
    raise AssertionError(errors[0])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_kedro_run_command_is_valid(page):
    for command in (run for snippet in code_snippets(page) for run in RUN.findall(snippet)):
        words = shlex.split(command.split("&&")[0])[2:]
        options = dict(word.removeprefix("--").split("=", 1) for word in words if "=" in word)
        assert set(options) <= {"env", "params", "pipelines", "namespaces", *NODE_OPTIONS}, command
        presets = options.get("env", "base").split(",")
        assert all((ROOT / "conf" / name).is_dir() for name in presets), command
        chosen = options.get("pipelines", "__default__").split(",")
        assert set(chosen) <= set(PIPELINES), command
        nodes = {node.name for name in chosen for node in PIPELINES[name].nodes}
        named = {
            name for option in NODE_OPTIONS & set(options) for name in options[option].split(",")
        }
        assert named <= nodes, command
        if "namespaces" in options:
            assert options["namespaces"] in {name.partition(".")[0] for name in nodes}, command
        check(options.get("env"), read_option(options.get("params", "")))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_parameter_is_valid(page):
    for snippet in code_snippets(page):
        if KEY.match(snippet) and "=" in snippet and "\n" not in snippet:
            check(None, read_option(snippet))
        elif KEY.fullmatch(snippet) and not NOT_KEYS.fullmatch(snippet):
            model: type[Params] = ProjectParams
            for name in snippet.split("."):
                assert name in model.model_fields, snippet
                model = model.model_fields[name].annotation
