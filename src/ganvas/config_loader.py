"""Kedro's configuration loader, with parameters checked and catalog paths that follow them."""

import contextlib
import json
import shlex
from pathlib import Path
from typing import Any

import yaml
from kedro.config import MissingConfigException, OmegaConfigLoader
from kedro.utils import find_kedro_project
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ganvas.base_params import check_params, flatten
from ganvas.project_params import ProjectParams
from ganvas.training.gathering import has_gpu

# Entries of credentials.yml that the catalog names; Kedro stops at a name that is missing.
CREDENTIALS = ("kaggle", "huggingface", "object_store")
BY_PROFILE = "_by_profile"


def by_profile(cpu: Any, gpu: Any) -> dict[str, list[Any]]:
    """Keep both values of `${by_profile:16,64}` until the profile is known.

    Kedro resolves conf/base before it reads the environment, which may choose another profile.
    """
    return {BY_PROFILE: [cpu, gpu]}


def choose_by_profile(tree: Any, gpu: bool) -> Any:
    """Give a tree of parameters with one value wherever `by_profile` has left two."""
    if not isinstance(tree, dict):
        return tree
    if tree.keys() == {BY_PROFILE}:
        return tree[BY_PROFILE][gpu]
    return {key: choose_by_profile(value, gpu) for key, value in tree.items()}


def _tell_value(value: Any) -> str:
    """Write a value so that Kedro reads it from the command line as what it is."""
    # A text may look like a number or a reference that nothing can be made of.
    with contextlib.suppress(yaml.YAMLError, ValueError, OmegaConfBaseException):
        if isinstance(value, str) and OmegaConf.from_dotlist([f"value={value}"]).value == value:
            return value
    return json.dumps(value, ensure_ascii=False)


class GanvasConfigLoader(OmegaConfigLoader):
    """Fills `${chosen:dataset}`, `${chosen:network}` and the like into the catalog.

    They follow the parameters, wherever these come from: conf/base, an environment or --params. So
    do the sizes that conf/base gives for either profile.
    Kedro asks for the catalog before it does anything else, so a wrong parameter ends a run there.
    Credentials that nobody has written down are empty.
    """

    def __getitem__(self, key: str) -> dict[str, Any]:
        if key == "catalog":
            choices = check_params(ProjectParams, self["parameters"]).choices()
            choices["command"] = self._tell_command()
            OmegaConf.register_new_resolver("chosen", choices.__getitem__, replace=True)
        if key == "credentials":
            return dict.fromkeys(CREDENTIALS) | self._read_credentials()
        found = super().__getitem__(key)
        if key == "parameters":
            profile = found.get("profile", "auto")
            return choose_by_profile(found, profile == "gpu" or (profile == "auto" and has_gpu()))
        return found

    def _tell_command(self) -> str:
        """Give the command that runs everything with the same environment and parameters."""
        project = find_kedro_project(Path.cwd())
        words = ["kedro", "run"] if project else ["ganvas"]
        if project is None or Path(self.conf_source).resolve() != (project / "conf").resolve():
            words.append(f"--conf-source={self.conf_source}")
        if self.env and self.env != self.default_run_env:
            words.append(f"--env={self.env}")
        if self.runtime_params:
            given = flatten(self.runtime_params).items()
            told = (f"{key}={_tell_value(value)}" for key, value in given)
            words.append("--params=" + ",".join(told))
        return shlex.join(words)

    def _read_credentials(self) -> dict[str, Any]:
        """Read conf/local with any --env: Kedro leaves it out as soon as there is one."""
        chosen, found = self.env, dict[str, Any]()
        try:
            for env in (self.default_run_env, chosen):
                self.env = env
                with contextlib.suppress(MissingConfigException):
                    found |= super().__getitem__("credentials")
        finally:
            self.env = chosen
        return found
