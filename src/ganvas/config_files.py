"""Find out what is wrong with a configuration file, and say it in one sentence."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import (
    GrammarParseError,
    InterpolationKeyError,
    InterpolationResolutionError,
    OmegaConfBaseException,
    UnsupportedInterpolationType,
)

# What OmegaConf raises if a value refers to what isn't there.
REFERENCE_ERRORS = (InterpolationResolutionError, UnsupportedInterpolationType, GrammarParseError)
SUFFIXES = (".yml", ".yaml", ".json")
# A file that is nested deeper is none that a person wrote.
TOO_DEEP = "is nested too deeply: a parameter is at most five levels deep"
# Values of a file with all that its aliases stand for, at most.
MAX_VALUES = 100_000
PLAIN_TAGS = ("map", "seq", "str", "int", "float", "bool", "null", "timestamp", "merge", "binary")
# An anchor and an alias, as far as a quick look shows.
ALIASES = (re.compile(rb"&\w"), re.compile(rb"\*\w"))


class TextLoader(yaml.SafeLoader):
    """Reads all values as text, apart from null."""

    yaml_implicit_resolvers = {  # noqa: RUF012  # a class variable of PyYAML
        first: [(tag, form) for tag, form in resolvers if tag == "tag:yaml.org,2002:null"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def find_files(conf: Path, environments: Sequence[str], kind: str) -> list[Path]:
    """Return the files of a kind of configuration, those of the first environment first.

    Args:
        conf: Folder of the configuration.
        environments: Names of folders in it.
        kind: parameters, catalog, credentials or globals.
    """
    files = []
    for environment in environments:
        found = {
            *(conf / environment).rglob(f"{kind}*"),
            *(conf / environment).glob(f"{kind}*/**/*"),
        }
        files += sorted(file for file in found if file.suffix in SUFFIXES and file.is_file())
    return files


def has_aliases(file: Path) -> bool:
    """Return whether a file may have aliases, which can make a short file endless."""
    try:
        content = file.read_bytes()
    except OSError:
        return False
    return all(mark.search(content) for mark in ALIASES)


def find_problem(file: Path) -> str | None:
    """Return what keeps a file from being read, as the rest of a sentence; None if nothing does.

    Example:
        >>> file.write_text("train: {epochs: 3")
        >>> find_problem(file)
        'has a { or [ in line 1 that is not closed, or a comma is missing after a value'
    """
    try:
        text = file.read_bytes().decode("utf-8-sig")
        documents = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
        if len(documents) > 1:
            return "has several documents, separated by ---: leave one of them"
        empty = not documents or documents[0].tag.endswith(":null")
        return None if empty else _find_wrong_node(documents[0])
    except OSError as error:
        return f"can't be read ({error.strerror}): allow your user to read it"
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        return f"is not UTF-8 text in line {line}: save it as UTF-8 in your editor"
    except RecursionError:
        return TOO_DEEP
    except yaml.MarkedYAMLError as error:
        return _explain_syntax(error, text)
    except yaml.YAMLError:
        return "holds characters that are no text: save it again as UTF-8 in your editor"


def _explain_syntax(error: yaml.MarkedYAMLError, text: str) -> str:
    """Return what is wrong with YAML, and in which line."""
    mark = error.problem_mark or error.context_mark
    number = mark.line if mark else 0
    begin = (error.context_mark.line if error.context_mark else number) + 1
    lines, context, problem = text.splitlines(), error.context or "", error.problem or ""
    line = lines[number] if number < len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return f"has a tab at the beginning of line {number + 1}: indent by spaces"
    if "flow" in context:
        return (
            f"has a {{ or [ in line {begin} that is not closed, or a comma is missing after a value"
        )
    if "quoted" in context:
        return f"has a quotation mark in line {begin} that is not closed"
    if "mapping values" in problem:
        return (
            f"has a second colon in line {number + 1}: put text that contains one in quotation "
            "marks, or begin a new line"
        )
    if "alias" in problem:
        return (
            f"refers in line {number + 1} to an anchor that it doesn't have: check the name after *"
        )
    return (
        f"is not valid YAML in line {number + 1}: compare its indentation and its marks with the "
        "lines around it"
    )


def _find_wrong_node(node: yaml.Node) -> str | None:
    """Return what YAML allows and a configuration does not."""
    if not isinstance(node, yaml.MappingNode):
        return "must hold names with values, as in 'train: {epochs: 3}': it holds none"
    if _count_values(node, {}) > MAX_VALUES:
        return f"has anchors and aliases that stand for more than {MAX_VALUES:,} values: write less"
    pending: list[yaml.Node] = [node]
    while pending:
        node = pending.pop()
        line = node.start_mark.line + 1
        tag = node.tag.removeprefix("tag:yaml.org,2002:")
        if tag not in PLAIN_TAGS:
            return f"has the tag {tag} in line {line}: leave it out"
        if isinstance(node, yaml.ScalarNode) and node.value == "???":
            return f"has ??? in line {line}: put a value in its place"
        if isinstance(node, yaml.SequenceNode):
            pending += node.value
        if isinstance(node, yaml.MappingNode):
            problem = _find_wrong_key(node)
            if problem:
                return problem
            pending += [value for _, value in node.value]
    return None


def _count_values(node: yaml.Node, counts: dict[int, float]) -> float:
    """Count the values of a node with its aliases; infinite if it holds itself."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) not in counts:
        counts[id(node)] = float("inf")  # until its values are counted
        is_mapping = isinstance(node, yaml.MappingNode)
        items = [item for pair in node.value for item in pair] if is_mapping else node.value
        counts[id(node)] = 1 + sum(_count_values(item, counts) for item in items)
    return counts[id(node)]


def _find_wrong_key(node: yaml.MappingNode) -> str | None:
    lines: dict[str, int] = {}
    for key, _ in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode) or key.tag.endswith(":null"):
            return f"has a name in line {line} that is no text: put a word before the colon"
        if key.value in lines and key.value != "<<":
            return (
                f"has '{key.value}' in line {lines[key.value]} and again in line {line}: leave one "
                "of them"
            )
        lines[key.value] = line
    return None


def find_repeated_keys(files: Sequence[Path], kind: str) -> str | None:
    """Return a sentence if two files of one environment set the same key; else None.

    Args:
        files: Files of one environment that can be read.
        kind: Of parameters, groups may be divided among files.
    """
    seen: dict[str, Path] = {}
    for file in files:
        for key in _list_keys(_read_texts(file), nested=kind == "parameters"):
            if key in seen and not key.startswith("_"):
                return f"'{key}' is set in {seen[key]} and in {file}: leave it in one of them."
            seen[key] = file
    return None


def read_text(files: Sequence[Path], key: str) -> Any:
    """Return a value as it is written, text or a list of texts; None if no file sets it.

    Args:
        files: Files of parameters, the most important first.
        key: Dotted key.
    """
    for file in files:
        value = _read_texts(file)
        for name in key.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if value is not None:
            return value
    return None


def restore_texts(mapping: Any, files: Sequence[Path], key: str) -> None:
    """Replace what YAML has read as numbers or booleans by its text, in a mapping and its names.

    Args:
        mapping: The mapping, whose values may be mappings and lists; it is changed.
        files: Files of parameters that may set some of its values, the most important first.
        key: Its dotted key.

    Example:
        >>> file.write_text("ingest: {only: {code: [007, on]}}")
        >>> codes = {"code": [7, True]}
        >>> restore_texts(codes, [file], "ingest.only")
        >>> codes
        {'code': ['007', 'on']}
    """
    if isinstance(mapping, dict):
        _restore_mapping(mapping, [read_text([file], key) for file in files])


def _restore_mapping(mapping: dict[Any, Any], written: Sequence[Any]) -> None:
    """Restore the texts of a mapping; `written` has what each file sets it to, all as text."""
    groups = [group for group in written if isinstance(group, dict)]
    names: dict[tuple[type, Any], str] = {}
    for text in (text for group in reversed(groups) for text in group):
        with contextlib.suppress(yaml.YAMLError, ValueError, OmegaConfBaseException):
            value = OmegaConf.from_dotlist([f"value={text}"]).value
            if isinstance(value, bool | int | float):
                names[type(value), value] = text
    # Names that the command line has are texts there, and take precedence.
    items, given = [*mapping.items()], {name for name in mapping if isinstance(name, str)}
    mapping.clear()
    for name, value in items:
        if not isinstance(name, str):
            name = names.get((type(name), name), name)
            if name in given:
                continue
        texts = [group[name] for group in groups if name in group]
        if isinstance(value, dict):
            _restore_mapping(value, texts)
        elif not is_text(value) and texts and is_text(texts[0]):
            value = texts[0]
        mapping[name] = value


def is_text(value: Any) -> bool:
    """Return whether a value is text, a list of texts or None."""
    items = value if isinstance(value, list) else [value]
    return all(isinstance(item, str) for item in items) or value is None


def _read_texts(file: Path) -> Any:
    """Read a file with all values as text, so that 007 and 2024.10 keep their digits."""
    return yaml.load(file.read_bytes().decode("utf-8-sig"), Loader=yaml.BaseLoader)


def _list_keys(tree: Any, nested: bool, prefix: str = "") -> Iterator[str]:
    if not isinstance(tree, dict):
        return
    for name, value in tree.items():
        if nested and isinstance(value, dict):
            yield from _list_keys(value, nested, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def explain_reference(error: OmegaConfBaseException) -> str:
    """Return the sentence for a value with `${…}` that can't be resolved."""
    where = f"'{error.full_key}'" if error.full_key else "A value"
    text = str(error.msg or error).partition("\n")[0]
    if isinstance(error, InterpolationKeyError):
        name = text.partition("'")[2].partition("'")[0]
        reason = f"there is no '{name}' in the same configuration"
    elif isinstance(error, UnsupportedInterpolationType):
        reason = (
            f"there is no resolver '{text.rpartition(' ')[2]}': parameters have by_profile, "
            "globals and runtime_params, the catalog has chosen too, credentials have oc.env"
        )
    elif isinstance(error, GrammarParseError):
        reason = "it is not closed, or holds signs that it can't: text that contains ${ needs \\${"
    elif "Recursive" in text:
        reason = "it refers to itself"
    elif "nvironment variable" in text:
        reason = "the environment variable that it names is not set"
    elif "by_profile" in text:
        reason = "by_profile takes two values, for CPU and GPU, as in ${by_profile:16,64}"
    elif "KeyError" in text:
        name = text.rpartition(": ")[2].partition("\n")[0]
        reason = f"${{chosen:…}} has no {name}, but dataset, network, source, mirror and command"
    else:
        reason = "check its name and its values"
    return f"{where} in conf has a reference ${{…}} that can't be resolved: {reason}."
