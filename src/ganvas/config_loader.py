"""Kedro's configuration loader, with validated parameters and catalog paths that depend on them."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kedro.config import MissingConfigException, OmegaConfigLoader
from kedro.utils import find_kedro_project
from omegaconf import OmegaConf

from ganvas.base_params import check_params, find_text_keys, find_text_mappings, flatten
from ganvas.command_line import escape_references, join_params
from ganvas.config_files import (
    REFERENCE_ERRORS,
    explain_reference,
    find_files,
    find_problem,
    find_repeated_keys,
    has_aliases,
    is_text,
    read_text,
    restore_texts,
)
from ganvas.errors import GanvasError
from ganvas.presets import (
    Preset,
    find_replaced,
    get_value,
    lay_over,
    split_names,
    without_keys,
)
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


class Layer(NamedTuple):
    """What a folder of conf sets of a kind of configuration.

    Attributes:
        name: Name of the folder.
        config: Its configuration, nested, with what `--params` sets of parameters.
        replaced: Dotted keys of groups that a later preset replaces.
    """

    name: str
    config: dict[str, Any]
    replaced: frozenset[str] = frozenset()


class GanvasConfigLoader(OmegaConfigLoader):
    """OmegaConfigLoader with these differences.

    - `--env` may name several presets: conf/base is read first, then they in their order, then
      conf/local, of which each overrides those before it. `--env=base` reads conf/base alone.
    - `${chosen:dataset}`, `${chosen:network}` and the like in the catalog are filled in from the
      parameters, whether these come from conf/base, a preset, conf/local or --params.
    - Parameters are validated when the catalog is loaded, which Kedro does before anything else.
    - `${by_profile:…}` in the parameters becomes the value of the CPU or the GPU profile.
    - conf/local's credentials are read with any --env; missing ones are empty.
    - Text that looks like a number or like true is text where a parameter is text: 007, on.
    - What is wrong with a file or a preset is a GanvasError, in one sentence.

    Attributes:
        replacements: Sentences on presets that replace what earlier ones set, once parameters are
            loaded.
    """

    def __init__(self, conf_source: str | Path, *args: Any, **kwargs: Any):
        self.replacements = list[str]()
        # Of the parameters, as they were loaded last.
        self._layers = list[Layer]()
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
            params = check_params(ProjectParams, self["parameters"])
            chosen = self._local_parameters() | flatten(self.runtime_params or {})
            params.train.augment.check_chosen(chosen)
            choices = params.choices()
            choices["command"] = self._command()
            OmegaConf.register_new_resolver("chosen", choices.__getitem__, replace=True)
        config = self._load(key)
        if key == "credentials":
            return dict.fromkeys(CREDENTIALS) | config
        if key == "catalog":
            _check_catalog(config)
        return choose_by_profile(config, _is_gpu(config)) if key == "parameters" else config

    def presets(self) -> list[str]:
        """Return the names of the presets, the one below all others first.

        Raises:
            GanvasError: One of them is empty, repeated, or conf/base or conf/local.
        """
        reserved = (self.base_env, self.default_run_env)
        names = split_names(self.env, reserved) if self.env else []
        return [name for name in names if name not in reserved]

    def preset_parameters(self) -> dict[str, Any]:
        """Return what the presets set, with dotted keys and without what --params sets.

        Raises:
            GanvasError: A preset can't be read.
        """
        presets = [Preset(name, self._load_own(name)) for name in self.presets()]
        replaced, _ = find_replaced(presets)
        tree: dict[str, Any] = {}
        for preset, keys in zip(presets, replaced, strict=True):
            tree = lay_over(tree, without_keys(preset.own, keys))
        return flatten(choose_by_profile(tree, _is_gpu(tree)))

    def _load(self, key: str) -> dict[str, Any]:
        """Return a kind of configuration from all folders, with text as it is written.

        Raises:
            GanvasError: There is no such preset, or a file can't be read.
        """
        if key in self or key not in self.config_patterns:
            return super().__getitem__(key)
        self._check_folders()
        # Reading what aliases stand for may take forever.
        for file in filter(has_aliases, self._find_files(key, self._folders(key))):
            if problem := find_problem(file):
                raise GanvasError(f"{file} {problem}.")
        try:
            layers = self._read_layers(key)
        except GanvasError:
            raise
        except MissingConfigException as error:
            # Kedro expects this error of globals, which a project may not have.
            if key not in ("parameters", "catalog"):
                raise
            raise GanvasError(self._explain_missing(key)) from error
        except Exception as error:
            raise GanvasError(self._explain(key, error)) from error
        config = self._merge(key, layers)
        if key == "parameters":
            self._layers = layers
        if not config and key in ("parameters", "catalog"):
            raise GanvasError(self._explain_missing(key))
        if not config and key not in ("globals", "credentials"):
            # Kedro's plugins expect this error of their own configuration.
            raise MissingConfigException(f"There is no {key} in {self.conf_source}.")
        return config

    def _folders(self, key: str) -> list[str]:
        """Return the names of the folders to read, each of which overrides those before it."""
        base_alone = self._is_base_alone() and key != "credentials"
        return [self.base_env, *self.presets(), *([] if base_alone else [self.default_run_env])]

    def _is_base_alone(self) -> bool:
        return self.env is not None and self.env.strip() == self.base_env

    def _read_layers(self, key: str) -> list[Layer]:
        """Read a kind of configuration from each folder."""
        layers = []
        for name in self._folders(key):
            try:
                layers.append(Layer(name, self._read_folder(key, name)))
            except MissingConfigException:
                # Your own configuration is not part of an archive.
                if name != self.default_run_env:
                    raise
        presets = self.presets()
        if key != "parameters" or len(presets) < 2:
            return layers
        own = [Preset(name, self._load_own(name)) for name in presets]
        replaced, self.replacements = find_replaced(own)
        keys = dict(zip(presets, replaced, strict=True))
        return [layer._replace(replaced=frozenset(keys.get(layer.name, ()))) for layer in layers]

    def _read_folder(self, key: str, name: str) -> dict[str, Any]:
        """Read a kind of configuration from one folder, as Kedro reads conf/base."""
        env, base = self.env, self.base_env
        try:
            self.env = self.base_env = name
            return super().__getitem__(key)
        finally:
            self.env, self.base_env = env, base

    def _load_own(self, name: str) -> dict[str, Any]:
        """Return the parameters that the files of a preset set, without those of --params."""
        given = self.runtime_params
        try:
            self.runtime_params = {}
            return self._read_folder("parameters", name)
        except REFERENCE_ERRORS:
            # It refers to what --params sets.
            self.runtime_params = given
            return self._read_folder("parameters", name)
        finally:
            self.runtime_params = given

    def _merge(self, key: str, layers: Sequence[Layer]) -> dict[str, Any]:
        """Merge what the folders set: parameters one by one, entries of the catalog as a whole."""
        config: dict[str, Any] = {}
        for layer in layers:
            above = without_keys(layer.config, set(layer.replaced))
            soft = self.merge_strategy.get(key) == "soft"
            config = lay_over(config, above) if soft else config | above
        if key == "parameters":
            self._restore_text(config, layers)
        return config

    def _check_folders(self) -> None:
        """Check that conf, conf/base and the folders of presets exist."""
        conf, known = Path(self.conf_source), self._list_folders()
        if known is None:
            return
        if self.base_env not in known:
            raise GanvasError(
                f"{conf} has no folder {self.base_env}, which holds all parameters and the "
                "catalog: restore it, or set --conf-source to a folder that has it."
            )
        for name in self.presets():
            if name not in known:
                raise GanvasError(
                    f"There is no environment '{name}' in {conf}: --env takes "
                    f"{', '.join(known)}, or several presets separated by commas."
                )

    def _list_folders(self) -> list[str] | None:
        """Return the names of the folders in conf; None if it is on an object store."""
        conf = Path(self.conf_source)
        if self._protocol in ("tar", "zip"):
            root = self._fs.ls("", detail=False)[-1]
            entries = self._fs.ls(root) if self._fs.isdir(root) else []
            names = [entry["name"] for entry in entries if entry["type"] == "directory"]
            return sorted(Path(name).name for name in names)
        if self._protocol != "file":
            return None
        if not conf.is_dir():
            raise GanvasError(
                f"There is no folder {conf} of configuration: run the command in the folder of the "
                "project, or set --conf-source to a folder or an archive of one."
            )
        return sorted(folder.name for folder in conf.glob("[!.]*/") if folder.is_dir())

    def _find_files(self, key: str, folders: Sequence[str]) -> list[Path]:
        """Return the files of a kind of configuration, those of the last folder first."""
        if self._protocol != "file":
            return []
        return find_files(Path(self.conf_source), folders[::-1], key)

    def _explain_missing(self, key: str) -> str:
        return (
            f"{self.conf_source} has no {key} for the environment "
            f"'{self.env or self.default_run_env}': check --conf-source and --env."
        )

    def _explain(self, key: str, error: Exception) -> str:
        """Return what is wrong with a kind of configuration that can't be loaded."""
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, GanvasError):
                return str(cause)
            cause = cause.__cause__ or cause.__context__
        folders = self._folders(key)
        for file in self._find_files(key, folders):
            if problem := find_problem(file):
                return f"{file} {problem}."
        for name in folders:
            if repeated := find_repeated_keys(self._find_files(key, [name]), key):
                return repeated
        if isinstance(error, REFERENCE_ERRORS):
            return explain_reference(error)
        return (
            f"The {key} in {self.conf_source} can't be read: check the files {key}*.yml in its "
            f"folders {', '.join(folders)}, and what --params sets."
        )

    def _restore_text(self, config: dict[str, Any], layers: Sequence[Layer]) -> None:
        """Replace what YAML reads as numbers or booleans by their text, where text is meant."""
        given = flatten(self.runtime_params or {})
        for key in find_text_keys(ProjectParams):
            group_key, _, last = key.rpartition(".")
            group = get_value(config, group_key)
            if not isinstance(group, dict) or key in given or is_text(group.get(last)):
                continue
            text = read_text(self._find_files("parameters", _setting(layers, key)), key)
            if text is not None and is_text(text) and "${" not in str(text):
                group[last] = text
        for key in find_text_mappings(ProjectParams):
            files = self._find_files("parameters", _setting(layers, key))
            restore_texts(get_value(config, key), files, key)

    def _command(self) -> str:
        """Return the command that runs everything with the same presets and parameters.

        What conf/local sets is part of it. Passwords and keys are replaced by `***`.
        """
        project = find_kedro_project(Path.cwd())
        words = ["kedro", "run"] if project else ["ganvas"]
        if project is None or Path(self.conf_source).resolve() != (project / "conf").resolve():
            words.append(f"--conf-source={redact(str(self.conf_source))}")
        presets = self.presets()
        if presets or self._is_base_alone():
            words.append(f"--env={','.join(presets) or self.base_env}")
        params = self._local_parameters() | flatten(self.runtime_params or {})
        if params:
            words.append(join_params(redact(params)))
        return shlex.join(words)

    def _local_parameters(self) -> dict[str, Any]:
        """Return what conf/local changes in the parameters loaded last, with dotted keys."""
        layers = self._layers
        others = [layer for layer in layers if layer.name != self.default_run_env]
        config, default = self._merge("parameters", layers), self._merge("parameters", others)
        gpu = _is_gpu(config)
        params, defaults = (flatten(choose_by_profile(tree, gpu)) for tree in (config, default))
        return {
            key: escape_references(value)
            for key, value in params.items()
            if key not in defaults or defaults[key] != value
        }


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


def _setting(layers: Sequence[Layer], key: str) -> list[str]:
    """Return the names of the folders whose value of a parameter counts."""
    return [
        layer.name
        for layer in layers
        if not any(key.startswith(f"{group}.") for group in layer.replaced)
    ]


def _is_gpu(config: dict[str, Any]) -> bool:
    """Return whether the profile of parameters is that of a GPU."""
    profile = config.get("profile", "auto")
    return bool(profile == "gpu" or (profile == "auto" and has_gpu()))
