"""Kedro's configuration loader, with validated parameters and catalog paths that depend on them."""

import contextlib
import shlex
from pathlib import Path
from typing import Any

from kedro.config import MissingConfigException, OmegaConfigLoader
from kedro.utils import find_kedro_project
from omegaconf import OmegaConf

from ganvas.base_params import check_params, find_text_keys, flatten
from ganvas.command_line import escape_references, join_params
from ganvas.config_files import (
    REFERENCE_ERRORS,
    explain_reference,
    find_files,
    find_problem,
    find_repeated_keys,
    has_aliases,
    read_text,
)
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
    - Text that looks like a number or like true is text where a parameter is text: 007, on.
    - What is wrong with a file or an environment is a GanvasError, in one sentence.
    """

    def __init__(self, conf_source: str | Path, *args: Any, **kwargs: Any):
        try:
            super().__init__(conf_source, *args, **kwargs)
        except (GanvasError, TypeError):
            raise
        except Exception as error:
            # An archive that is damaged, or a protocol whose package is not installed.
            raise GanvasError(
                f"The configuration {conf_source} can't be read: set --conf-source to a folder, or "
                "to a .tar.gz or .zip archive of one."
            ) from error

    def __getitem__(self, key: str) -> dict[str, Any]:
        if key == "catalog":
            # Kedro does this before anything else.
            choices = check_params(ProjectParams, self["parameters"]).choices()
            choices["command"] = self._command()
            OmegaConf.register_new_resolver("chosen", choices.__getitem__, replace=True)
        if key == "credentials":
            return dict.fromkeys(CREDENTIALS) | self._credentials()
        config = self._load(key)
        if key == "catalog":
            _check_catalog(config)
        return choose_by_profile(config, _is_gpu(config)) if key == "parameters" else config

    def _load(self, key: str) -> dict[str, Any]:
        """Return a kind of configuration as Kedro loads it, with text as it is written.

        Raises:
            GanvasError: There is no such environment, or a file can't be read.
        """
        if key in self or key not in self.config_patterns:
            return super().__getitem__(key)
        self._check_environment()
        # Reading what aliases stand for may take forever.
        for file in filter(has_aliases, self._find_files(key)):
            if problem := find_problem(file):
                raise GanvasError(f"{file} {problem}.")
        try:
            config = super().__getitem__(key)
        except GanvasError:
            raise
        except MissingConfigException as error:
            # Kedro expects this error of credentials and globals, which a project may not have.
            if key not in ("parameters", "catalog"):
                raise
            raise GanvasError(
                f"{self.conf_source} has no {key} for the environment "
                f"'{self.env or self.default_run_env}': check --conf-source and --env."
            ) from error
        except Exception as error:
            raise GanvasError(self._explain(key, error)) from error
        if key == "parameters":
            self._restore_text(config)
        return config

    def _check_environment(self) -> None:
        """Check that conf, conf/base and the environment's folder exist."""
        conf, env = Path(self.conf_source), self.env or self.default_run_env
        if self._protocol != "file":
            return
        if not conf.is_dir():
            raise GanvasError(
                f"There is no folder {conf} of configuration: run the command in the folder of the "
                "project, or set --conf-source to a folder or an archive of one."
            )
        known = sorted(folder.name for folder in conf.glob("[!.]*/") if folder.is_dir())
        if self.base_env not in known:
            raise GanvasError(
                f"{conf} has no folder {self.base_env}, which holds all parameters and the "
                "catalog: restore it, or set --conf-source to a folder that has it."
            )
        if env in known:
            return
        if env == self.default_run_env:
            raise GanvasError(
                f"There is no folder {conf / env}, which holds your own parameters: create it; it "
                "may be empty."
            )
        raise GanvasError(
            f"There is no environment '{env}' in {conf}: --env takes {', '.join(known)}."
        )

    def _find_files(self, key: str) -> list[Path]:
        """Return the files of a kind of configuration, those of the environment first."""
        if self._protocol != "file":
            return []
        environments = dict.fromkeys([self.env or self.default_run_env, self.base_env])
        return find_files(Path(self.conf_source), list(environments), key)

    def _explain(self, key: str, error: Exception) -> str:
        """Return what is wrong with a kind of configuration that can't be loaded."""
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, GanvasError):
                return str(cause)
            cause = cause.__cause__ or cause.__context__
        files = self._find_files(key)
        for file in files:
            if problem := find_problem(file):
                return f"{file} {problem}."
        for env in {Path(self.conf_source) / name for name in (self.base_env, self.env or "local")}:
            within = [file for file in files if file.is_relative_to(env)]
            if repeated := find_repeated_keys(within, key):
                return repeated
        if isinstance(error, REFERENCE_ERRORS):
            return explain_reference(error)
        return (
            f"The {key} in {self.conf_source} can't be read: check the files {key}*.yml in its "
            "folders base and that of --env, and what --params sets."
        )

    def _restore_text(self, config: dict[str, Any]) -> None:
        """Replace what YAML reads as numbers or booleans by their text, where text is meant."""
        given = flatten(self.runtime_params or {})
        for key in find_text_keys(ProjectParams):
            *parents, last = key.split(".")
            group: Any = config
            for name in parents:
                group = group.get(name) if isinstance(group, dict) else None
            if not isinstance(group, dict) or key in given or _is_text(group.get(last)):
                continue
            text = read_text(self._find_files("parameters"), key)
            if text is not None and _is_text(text) and "${" not in str(text):
                group[last] = text

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
        config = self._load("parameters")
        try:
            self.env = self.base_env
            base = self._load("parameters")
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
                    credentials |= self._load("credentials")
        finally:
            self.env = env
        return credentials


def _check_catalog(config: dict[str, Any]) -> None:
    """Check that entries have a type, and a path that is text.

    Raises:
        GanvasError: An entry has none.
    """
    for name, entry in config.items():
        where = f"The entry '{name}' of the catalog in conf"
        if not isinstance(entry, dict):
            raise GanvasError(
                f"{where} must have a type, and most types need a filepath: indent them below it, "
                "or begin its name with _ if it is only referred to."
            )
        if not isinstance(entry.get("type"), str):
            raise GanvasError(f"{where} must have a type that is text, such as json.JSONDataset.")
        if not isinstance(entry.get("filepath", ""), str):
            raise GanvasError(f"{where} must have a filepath that is text: quote it.")


def _is_text(value: Any) -> bool:
    items = value if isinstance(value, list) else [value]
    return all(isinstance(item, str) for item in items) or value is None


def _is_gpu(config: dict[str, Any]) -> bool:
    """Return whether the profile of parameters is that of a GPU."""
    profile = config.get("profile", "auto")
    return bool(profile == "gpu" or (profile == "auto" and has_gpu()))
