"""The options of `kedro run`, read and checked before any work."""

import copy
import difflib
import functools
import inspect
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import yaml
from kedro.framework.project import pipelines, settings
from kedro.runner import AbstractRunner
from kedro.utils import find_kedro_project, load_obj
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ganvas.base_params import check_params, find_text_keys, find_text_mappings
from ganvas.command_errors import in_one_sentence
from ganvas.config_files import TextLoader, find_problem
from ganvas.errors import GanvasError
from ganvas.names import suggest_names
from ganvas.project_params import ProjectParams

# A parameter whose value is quoted, a list or a group may hold commas; others end at a comma.
GROUP = r"\{(?:[^{}]|\{[^{}]*\})*\}"
PARAMETER = re.compile(
    rf"""([^=,]*=\s*(?:"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|\[[^\[\]]*\]|{GROUP})\s*|[^,]*)(?:,|$)"""
)
KEY = re.compile(r"[\w-]+(\.[\w-]+)*")
# What YAML reads as None, which is no text.
NULL = ("", "~", "null", "Null", "NULL")
UNUSABLE_RUNNERS = {
    "ParallelRunner": "nodes pass images in memory",
    # Python runs handlers of signals in the main thread alone.
    "ThreadRunner": "Ctrl-C and SIGTERM can't end training in a thread",
}


def replace_callbacks(options: list[click.Parameter]) -> list[click.Parameter]:
    """Return copies of the options of a command of Kedro that are read by this module."""
    readers = {
        "params": read_params,
        "runner_params": read_params,
        "config": read_config_file,
        "load_versions": read_versions,
    }
    replaced = list[click.Parameter]()
    for option in options:
        copied = copy.copy(option)
        reader = readers.get(option.name or "", option.callback)
        if isinstance(option, click.Option) and not option.is_flag:
            copied.callback = in_one_sentence(refuse_empty(reader))
        replaced.append(copied)
    return replaced


def refuse_empty(reader: Callable[..., Any] | None) -> Callable[..., Any]:
    """Return a callback of an option that refuses empty text, which is mostly a mistake.

    `--params=$PARAMS` with a variable that isn't set would start the whole default run.
    """

    def read(context: click.Context, option: click.Parameter, value: Any) -> Any:
        source = context.get_parameter_source(option.name or "")
        given = source is click.core.ParameterSource.COMMANDLINE and isinstance(value, str)
        named = isinstance(option, click.Option)
        name = option.opts[0] if named else option.human_readable_name
        if given and not value.strip(" ,"):
            raise GanvasError(
                f"{name} is empty, perhaps because a variable of the shell is not set: write a "
                f"value{', or leave it out' * named}."
            )
        result = reader(context, option, value) if reader else value
        if given and result == []:
            raise GanvasError(f"{name} can't have '{value}': it has a bracket that is not closed.")
        return result

    return read


def read_params(context: click.Context, option: click.Parameter, value: Any) -> dict[str, Any]:
    """Read `--params=KEY=VALUE,…`; what a parameter of text is set to stays text, as 007.

    Raises:
        GanvasError: A part is no parameter with a value.
    """
    if isinstance(value, dict):
        return value
    name, items = option.opts[0], split_params(value or "")
    is_project = option.name == "params"
    text_keys = find_text_keys(ProjectParams) if is_project else set()
    mappings = find_text_mappings(ProjectParams) if is_project else set()
    pairs = []
    for item in items:
        key, equals, text = (part.strip() for part in item.partition("="))
        if not equals or not KEY.fullmatch(key) or text == "???":
            raise GanvasError(
                f"{name} can't have '{item}': write KEY=VALUE,KEY=VALUE, such as "
                f"{'train.epochs=3' if is_project else 'max_workers=2'}."
            )
        if any(f"{key}.".startswith(f"{name}.") for name in mappings):
            text = _quote_mapping(text)
        elif key in text_keys:
            text = _quote_text(text)
        pair = f"{key}={text}"
        _read_pairs([pair], name, item)
        pairs.append(pair)
    return _read_pairs(pairs, name, ",".join(items))


def split_params(text: str) -> list[str]:
    """Split an option of parameters at commas, but not in lists or quoted text.

    Example:
        >>> split_params("train.augment.policy=[color, cutout],train.epochs=3")
        ['train.augment.policy=[color, cutout]', 'train.epochs=3']
    """
    items = [match[1].strip() for match in PARAMETER.finditer(text)]
    return [item for item in items if item]


def _quote_text(text: str) -> str:
    """Write the value of a parameter of text so that YAML reads it as text."""
    if text in NULL or text[:1] in ("'", '"'):
        return text
    # Lists are written with a line for each item, too, as by `join_params`.
    if text.startswith("- ") or (text.startswith("[") and text.endswith("]")):
        try:
            return json.dumps(yaml.load(text, yaml.BaseLoader), ensure_ascii=False)
        except yaml.YAMLError:
            return text
    return json.dumps(text, ensure_ascii=False)


def _quote_mapping(text: str) -> str:
    """Write a mapping of texts, or a value in it, so that YAML reads them as text."""
    if not (text.startswith("{") and text.endswith("}")):
        return _quote_text(text)
    try:
        return json.dumps(yaml.load(text, TextLoader), ensure_ascii=False)
    except (yaml.YAMLError, TypeError):
        return text


def _read_pairs(pairs: list[str], name: str, item: str) -> dict[str, Any]:
    try:
        config = OmegaConf.to_container(OmegaConf.from_dotlist(pairs))
    except (OmegaConfBaseException, yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise GanvasError(
            f"{name} can't have '{item[:80]}': a value is no YAML, such as 3, true, null or text; "
            "put text with special characters in quotation marks."
        ) from error
    assert isinstance(config, dict)
    return {str(key): value for key, value in config.items()}


def read_config_file(context: click.Context, option: click.Parameter, value: Any) -> Any:
    """Read the options of a run from a YAML file, as `run: {pipelines: train, params: …}`.

    Options of the command line override those of the file.

    Raises:
        GanvasError: The file is none of options.
    """
    if not value:
        return value
    path = click.format_filename(value)
    if problem := find_problem(Path(value)):
        raise GanvasError(f"--config={path} {problem}.")
    config = yaml.safe_load(Path(value).read_bytes().decode("utf-8-sig")) or {}
    section = context.info_name or "run"
    if not isinstance(config.get(section), dict):
        raise GanvasError(
            f"--config={path} has no options below '{section}:': write them there, such as "
            f"'{section}: {{pipelines: train, params: {{train.epochs: 3}}}}'. Parameters alone "
            "belong in a file of conf/local."
        )
    options = {other.name: other for other in context.command.params if other.name != option.name}
    defaults = {}
    for name, given in config[section].items():
        if name not in options:
            hint = suggest_names(str(name), [other for other in options if other])
            raise GanvasError(
                f"--config={path} has '{name}'{hint}, which is no option of {section}: see "
                f"kedro {section} --help, and write _ for each -."
            )
        defaults[name] = _read_option(options[name], given, path)
    context.default_map = {**(context.default_map or {}), **defaults}
    return value


def _read_option(option: click.Parameter, given: Any, path: str) -> Any:
    """Return a value of a file of options as click takes it from the command line."""
    if given in (None, "", [], {}):
        raise GanvasError(
            f"--config={path} has {option.name} without a value: write one, or leave it out."
        )
    if getattr(option, "is_flag", False):
        if isinstance(given, bool):
            return given
        raise GanvasError(
            f"--config={path} has {option.name}: {given}, which must be true or false."
        )
    if isinstance(given, dict):
        if option.name in ("params", "runner_params"):
            return _nest(given)
        return ",".join(f"{key}:{value}" for key, value in given.items())
    items = given if isinstance(given, list) else [given]
    return ",".join("" if item is None else str(item) for item in items)


def _nest(params: dict[Any, Any]) -> dict[str, Any]:
    """Nest parameters with dotted keys, whose values may be groups themselves."""
    tree: dict[str, Any] = {}
    for key, value in params.items():
        *groups, last = str(key).split(".")
        place = tree
        for group in groups:
            inner = place.setdefault(group, {})
            if not isinstance(inner, dict):
                raise GanvasError(
                    f"Parameter '{key}' is set, and its group '{group}' too: leave one."
                )
            place = inner
        value = _nest(value) if isinstance(value, dict) else value
        both = isinstance(value, dict) and isinstance(place.get(last), dict)
        place[last] = place[last] | value if both else value
    return tree


def read_versions(context: click.Context, option: click.Parameter, value: Any) -> dict[str, str]:
    """Read `--load-versions=DATASET:VERSION,…`.

    Raises:
        GanvasError: A part is no dataset with a version.
    """
    versions = {}
    for item in filter(None, (part.strip() for part in (value or "").split(","))):
        name, _, version = (part.strip() for part in item.partition(":"))
        if not name or not version or version.startswith(".") or re.search(r"[/\\\0]", version):
            raise GanvasError(
                f"--load-versions can't have '{item}': write DATASET:VERSION, such as "
                "generator:2026-01-31T12.00.00.000Z."
            )
        versions[name] = version
    return versions


def check_options(callback: Callable[..., Any]) -> Callable[..., Any]:
    """Check the runner, and the names of pipelines, namespaces, nodes, tags and datasets.

    Raises:
        GanvasError: One of them is wrong.
    """

    @functools.wraps(callback)
    def wrapped(**options: Any) -> Any:
        _check_runner(options["runner"], options["runner_params"], options["is_async"])
        if options["pipeline"] and options["pipelines"]:
            raise GanvasError("--pipeline and --pipelines can't be set both: leave --pipeline out.")
        chosen = sorted({options["pipeline"], *options["pipelines"]} - {None} or {"__default__"})
        for name in chosen:
            check_pipeline(name)
        if "select" in chosen and {"train", "__default__"} & set(chosen):
            raise GanvasError(
                "--pipelines can't have select and train at once, since both save the models: "
                "train first, then select an epoch in a second command."
            )
        if "evaluate_images" in chosen and {"evaluate", "__default__"} & set(chosen):
            raise GanvasError(
                "One run can't evaluate both a generator and other images: run evaluate_images by "
                "a command of its own."
            )
        nodes = [node for name in chosen for node in pipelines[name].nodes]
        place = ", ".join(chosen)
        _check_names("namespace", options["namespaces"], {node.namespace for node in nodes}, place)
        node_names = sorted(node.name for node in nodes)
        for name in [*options["node_names"], *options["from_nodes"], *options["to_nodes"]]:
            _check_node(name, node_names, place)
        _check_names("tag", options["tags"], {tag for node in nodes for tag in node.tags}, place)
        datasets = {name for node in nodes for name in (*node.inputs, *node.outputs)}
        for name in [*options["from_inputs"], *options["to_outputs"]]:
            if name not in datasets:
                similar = difflib.get_close_matches(name, datasets) or sorted(datasets)[:3]
                raise GanvasError(
                    f"There is no dataset '{name}' in {place}: perhaps you mean "
                    f"{' or '.join(similar)}; kedro catalog describe-datasets lists all."
                )
        return callback(**options)

    return wrapped


def check_pipeline(name: str) -> None:
    """Check that there is a pipeline of a name.

    Raises:
        GanvasError: There is none.
    """
    if name not in pipelines:
        known = ", ".join(sorted(set(pipelines) - {"__default__"}))
        hint = suggest_names(name, pipelines)
        raise GanvasError(f"There is no pipeline '{name}'{hint}: --pipelines takes {known}.")


def _check_names(kind: str, names: list[str], known: set[str | None], place: str) -> None:
    allowed = sorted(name for name in known if name)
    for name in names:
        if name not in allowed:
            hint = suggest_names(name, allowed)
            raise GanvasError(
                f"There is no {kind} '{name}' in {place}{hint}: there are {', '.join(allowed)}."
            )


def _check_node(name: str, known: list[str], place: str) -> None:
    if name in known:
        return
    similar = [other for other in known if other.endswith(f".{name}")]
    similar = similar or difflib.get_close_matches(name, known) or known[:1]
    raise GanvasError(
        f"There is no node '{name}' in {place}: names of nodes begin with their stage, such as "
        f"{', '.join(similar)}."
    )


def _check_runner(name: str | None, params: dict[str, Any], is_async: bool) -> None:
    name = name or "SequentialRunner"
    if reason := UNUSABLE_RUNNERS.get(name.rpartition(".")[2]):
        raise GanvasError(
            f"--runner={name} can't be used, since {reason}: use SequentialRunner, the default."
        )
    try:
        runner = load_obj(name, "kedro.runner")
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise GanvasError(_describe_runner(name)) from error
    if not (isinstance(runner, type) and issubclass(runner, AbstractRunner)):
        raise GanvasError(_describe_runner(name))
    if is_async and params.get("is_async") is False:
        raise GanvasError("--async and --runner-params=is_async=false contradict: leave out one.")
    try:
        runner(**params)
    except (TypeError, ValueError) as error:
        allowed = [key for key in inspect.signature(runner.__init__).parameters if key != "self"]
        given = ",".join(f"{key}={value}" for key, value in params.items())
        raise GanvasError(
            f"--runner-params can't be {given}: {name} takes {', '.join(allowed)}, a number of "
            "workers from 1 and true or false."
        ) from error


def _describe_runner(name: str) -> str:
    hint = suggest_names(name, ["SequentialRunner"])
    return f"There is no runner '{name}'{hint}: use SequentialRunner, the default."


def make_config_loader(
    env: str | None = None,
    params: dict[str, Any] | None = None,
    conf_source: str | None = None,
) -> Any:
    """Return the configuration loader that a run with these options has.

    Raises:
        GanvasError: The folder of the configuration or a preset is wrong.
    """
    project = find_kedro_project(Path.cwd()) or Path.cwd()
    return settings.CONFIG_LOADER_CLASS(
        conf_source or str(project / settings.CONF_SOURCE),
        env=env or os.environ.get("KEDRO_ENV"),
        runtime_params=params,
        **settings.CONFIG_LOADER_ARGS,
    )


def load_catalog(
    env: str | None = None,
    params: dict[str, Any] | None = None,
    conf_source: str | None = None,
) -> dict[str, Any]:
    """Load the catalog's configuration, for which all parameters are checked.

    Raises:
        GanvasError: A preset, a file or a parameter is wrong.
    """
    return load_run(env, params, conf_source)[0]


def load_run(
    env: str | None = None,
    params: dict[str, Any] | None = None,
    conf_source: str | None = None,
) -> tuple[dict[str, Any], ProjectParams]:
    """Load the catalog's configuration, and all parameters.

    Args:
        env: Presets, as of `kedro run --env`.
        params: Parameters, nested.
        conf_source: Folder or archive of the configuration.

    Raises:
        GanvasError: A preset, a file or a parameter is wrong.
    """
    loader = make_config_loader(env, params, conf_source)
    return dict(loader["catalog"]), check_params(ProjectParams, loader["parameters"])
