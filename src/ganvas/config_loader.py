"""Kedro's configuration loader, with validated parameters and catalog paths that depend on them."""

import contextlib
import shlex
from pathlib import Path
from typing import Any

from kedro.config import MissingConfigException, OmegaConfigLoader
from kedro.utils import find_kedro_project
from omegaconf import OmegaConf

from ganvas.base_params import check_params, flatten
from ganvas.command_line import escape_references, join_params
from ganvas.errors import GanvasError
from ganvas.project_params import ProjectParams
from ganvas.redaction import redact
from ganvas.training.gpu import has_gpu

# Credentials that the catalog refers to; Kedro fails if one of them is missing.
CREDENTIALS = ("kaggle", "huggingface", "object_store")
BY_PROFILE = "_by_profile"


def by_profile(cpu: Any, gpu: Any) -> dict[str, list[Any]]:
    """Resolve `${by_profile:16,64}` to both values, until the profile is known.

    Kedro resolves conf/base before it reads the environment, which may set another profile.
    """
    return {BY_PROFILE: [cpu, gpu]}


def by_device(*sizes: Any) -> None:
    """Refuse the old name of `by_profile`.

    Raises:
        GanvasError: Always.
    """
    values = ",".join(map(str, sizes))
    raise GanvasError(f"${{by_device:{values}}} in conf is now called ${{by_profile:{values}}}.")


def choose_by_profile(tree: Any, gpu: bool) -> Any:
    """Replace both values that `by_profile` has left in a tree by the one of the profile.

    Example:
        >>> choose_by_profile({"batch_size": by_profile(16, 64)}, gpu=True)
        {'batch_size': 64}
    """
    if not isinstance(tree, dict):
        return tree
    if tree.keys() == {BY_PROFILE}:
        return tree[BY_PROFILE][gpu]
    return {key: choose_by_profile(value, gpu) for key, value in tree.items()}


class GanvasConfigLoader(OmegaConfigLoader):
    """OmegaConfigLoader with these differences.

    - `${chosen:dataset}`, `${chosen:network}` and the like in the catalog are filled in from the
      parameters, whether these come from conf/base, an environment or --params.
    - Parameters are validated when the catalog is loaded, which Kedro does before anything else.
    - `${by_profile:…}` in the parameters becomes the value of the CPU or the GPU profile.
    - conf/local's credentials are read with any --env; missing ones are empty.
    """

    def __getitem__(self, key: str) -> dict[str, Any]:
        if key == "catalog":
            choices = check_params(ProjectParams, self["parameters"]).choices()
            choices["command"] = self._command()
            OmegaConf.register_new_resolver("chosen", choices.__getitem__, replace=True)
        if key == "credentials":
            return dict.fromkeys(CREDENTIALS) | self._credentials()
        config = super().__getitem__(key)
        return choose_by_profile(config, _is_gpu(config)) if key == "parameters" else config

    def _command(self) -> str:
        """Return the command that runs everything with the same environment and parameters.

        What conf/local sets is part of it. Passwords and keys are replaced by `***`.
        """
        project = find_kedro_project(Path.cwd())
        words = ["kedro", "run"] if project else ["ganvas"]
        if project is None or Path(self.conf_source).resolve() != (project / "conf").resolve():
            words.append(f"--conf-source={redact(str(self.conf_source))}")
        if self.env and self.env != self.default_run_env:
            words.append(f"--env={self.env}")
        params = self._local_parameters() | flatten(self.runtime_params or {})
        if params:
            words.append(join_params(redact(params)))
        return shlex.join(words)

    def _local_parameters(self) -> dict[str, Any]:
        """Return what conf/local sets, with dotted keys; with another --env it isn't read."""
        env = self.env
        if env and env != self.default_run_env:
            return {}
        config = super().__getitem__("parameters")
        try:
            self.env = self.base_env
            base = super().__getitem__("parameters")
        finally:
            self.env = env
        gpu = _is_gpu(config)
        params, defaults = (flatten(choose_by_profile(tree, gpu)) for tree in (config, base))
        return {
            key: escape_references(value)
            for key, value in params.items()
            if key not in defaults or defaults[key] != value
        }

    def _credentials(self) -> dict[str, Any]:
        env, credentials = self.env, dict[str, Any]()
        try:
            for chosen in (self.default_run_env, env):
                self.env = chosen
                with contextlib.suppress(MissingConfigException):
                    credentials |= super().__getitem__("credentials")
        finally:
            self.env = env
        return credentials


def _is_gpu(config: dict[str, Any]) -> bool:
    """Return whether the profile of parameters is that of a GPU."""
    profile = config.get("profile", "auto")
    return bool(profile == "gpu" or (profile == "auto" and has_gpu()))
