"""Every command and every parameter that the documentation names can be typed as it stands."""

import re
import shlex
from pathlib import Path

import pytest
from kedro.framework.cli.utils import _split_params

from ganvas import settings
from ganvas.base_params import Params, check_params
from ganvas.errors import GanvasError
from ganvas.pipeline_registry import register_pipelines
from ganvas.project_params import ProjectParams

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted(page for page in (ROOT / "docs").glob("*.md") if page.stem != "adding-a-network"),
]
CODE = re.compile(r"```(?:sh|bash)\n(.*?)```|`([^`\n]+)`", re.DOTALL)
RUN = re.compile(r"\bkedro run\b[^#\n]*")
STAGES = "|".join(ProjectParams.model_fields)
KEY = re.compile(rf"(?:{STAGES})(?:\.[a-z_0-9]+)+")
# Names of files and nodes, which look like keys.
OTHERS = re.compile(r".*\.(?:html|json|py|train_gan)")
PIPELINES = register_pipelines()
NODES = {"nodes", "from-nodes", "to-nodes"}


def pieces(page: Path) -> list[str]:
    return [block or inline for block, inline in CODE.findall(page.read_text())]


def check(env: str | None, params: dict) -> None:
    """Raise what a run with these parameters would; with another network if not the default."""
    errors = []
    for choice in ({}, {"network": {"name": "dcgan"}}):
        loader = settings.CONFIG_LOADER_CLASS(
            str(ROOT / "conf"),
            env=env,
            runtime_params=choice | params,
            **settings.CONFIG_LOADER_ARGS,
        )
        try:
            check_params(ProjectParams, loader["parameters"])
        except GanvasError as error:
            errors.append(str(error))
        else:
            return
    raise AssertionError(errors[0])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_run_that_a_page_names_is_one(page):
    for command in (found for piece in pieces(page) for found in RUN.findall(piece)):
        words = shlex.split(command.split("&&")[0])[2:]
        options = dict(word.removeprefix("--").split("=", 1) for word in words if "=" in word)
        assert set(options) <= {"env", "params", "pipelines", "namespaces", *NODES}, command
        assert "env" not in options or (ROOT / "conf" / options["env"]).is_dir(), command
        chosen = options.get("pipelines", "__default__").split(",")
        assert set(chosen) <= set(PIPELINES), command
        nodes = {node.name for name in chosen for node in PIPELINES[name].nodes}
        asked = {name for option in NODES & set(options) for name in options[option].split(",")}
        assert asked <= nodes, command
        if "namespaces" in options:
            assert options["namespaces"] in {name.partition(".")[0] for name in nodes}, command
        check(options.get("env"), _split_params(None, None, options.get("params", "")))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_parameter_that_a_page_names_is_one(page):
    for piece in pieces(page):
        if KEY.match(piece) and "=" in piece and "\n" not in piece:
            check(None, _split_params(None, None, piece))
        elif KEY.fullmatch(piece) and not OTHERS.fullmatch(piece):
            model: type[Params] = ProjectParams
            for name in piece.split("."):
                assert name in model.model_fields, piece
                model = model.model_fields[name].annotation
