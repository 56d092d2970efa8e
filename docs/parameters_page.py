"""The page of all parameters: a hook for MkDocs, which makes it whenever the site is built.

Types and bounds come from the Pydantic models, defaults and meanings from conf/base: a parameter's
meaning is the comment behind it and, where there is more to say, those right above it.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from ganvas.project_params import ProjectParams

CONF = Path(__file__).parents[1] / "conf" / "base"
INTRODUCTION = """# Parameters

Every parameter can be changed in `conf/base`, in a preset of `conf/`, in `conf/local`, which runs
without `--env` read, or for one run:

```sh
kedro run --params=train.epochs=20,network.name=dcgan
```

A wrong key or value stops the run before any work, with a sentence that names it. Defaults are
those of `conf/base`; where there are two, the second is for a GPU.
"""

HEAD = "| key | allowed | default | meaning |\n|---|---|---|---|"


class Row(NamedTuple):
    """A parameter or a group of some.

    Attributes:
        key: Its name as `--params` takes it.
        allowed: Type and bounds in words; empty for a group.
        default: The YAML text in conf/base; empty for a group.
        meaning: The comment beside it.
    """

    key: str
    allowed: str
    default: str
    meaning: str


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page to those that are built."""
    files.append(File.generated(config, "parameters.md", content=render()))
    return files


def render() -> str:
    """The page in Markdown, one table a stage."""
    parts = [INTRODUCTION]
    for path in sorted(CONF.glob("parameters_*.yml"), key=_rank):
        rows = list(read_rows(path.read_text()))
        for stage in dict.fromkeys(row.key.partition(".")[0] for row in rows):
            parts.append(_render_stage(stage, [row for row in rows if _is_in(row, stage)]))
    return "\n".join(parts)


def read_rows(text: str) -> Iterator[Row]:
    """Rows of one file of conf/base, in its order, groups before their members."""
    schema = ProjectParams.model_json_schema()
    yield from _walk(yaml.compose(text), schema, schema["$defs"], text, "")


def _walk(
    node: yaml.MappingNode, schema: dict[str, Any], groups: dict[str, Any], text: str, prefix: str
) -> Iterator[Row]:
    for name, value in node.value:
        key, field = prefix + name.value, _resolve(schema["properties"][name.value], groups)
        if "properties" in field:
            yield Row(key, "", "", _comment(text, name, name.end_mark))
            yield from _walk(value, field, groups, text, f"{key}.")
        else:
            shown = text[value.start_mark.index : value.end_mark.index]
            yield Row(key, _allow(field, groups), shown, _comment(text, name, value.end_mark))


def _comment(text: str, name: yaml.Node, end: yaml.Mark) -> str:
    """What is said right above a key, and behind its value."""
    lines = text.splitlines()
    above: list[str] = []
    for line in reversed(lines[: name.start_mark.line]):
        if not line.lstrip().startswith("#"):
            break
        above.insert(0, line.strip(" #"))
    behind = lines[end.line][end.column :].partition("#")[2].strip()
    return " ".join(filter(None, [*above, behind]))


def _resolve(field: dict[str, Any], groups: dict[str, Any]) -> dict[str, Any]:
    """The schema that a field refers to, if it does."""
    return groups[field["$ref"].rpartition("/")[2]] if "$ref" in field else field


def _allow(field: dict[str, Any], groups: dict[str, Any]) -> str:
    """Type and bounds of a JSON schema in words."""
    field = _resolve(field, groups)
    if "anyOf" in field:
        return " or ".join(_allow(choice, groups) for choice in field["anyOf"])
    if "enum" in field or "const" in field:
        return ", ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
    match field["type"]:
        case "null":
            return "`null`"
        case "boolean":
            return "`true`, `false`"
        case "array":
            return f"list of {_allow(field['items'], groups)}"
        case "object":
            return ", ".join(f"`{name}`" for name in field.get("properties", ())) or "a mapping"
        case "string":
            return f"text that matches `{field['pattern']}`" if "pattern" in field else "text"
    kind = {"integer": "whole number", "number": "number"}[field["type"]]
    words = {
        "minimum": "from {}",
        "exclusiveMinimum": "above {}",
        "maximum": "to {}",
        "exclusiveMaximum": "to below {}",
        "multipleOf": "in steps of {}",
    }
    bounds = [form.format(field[word]) for word, form in words.items() if word in field]
    return " ".join([kind, *bounds])


def _rank(path: Path) -> int:
    """The place of a file: that of its stage in the configuration, or the last."""
    order, stage = list(ProjectParams.model_fields), path.stem.removeprefix("parameters_")
    return order.index(stage) if stage in order else len(order)


def _is_in(row: Row, stage: str) -> bool:
    return row.key == stage or row.key.startswith(f"{stage}.")


def _render_stage(stage: str, rows: list[Row]) -> str:
    head = rows[0]
    lines = [f"## {stage} {{#{stage}}}", ""]
    if not head.allowed:
        told = _escape(head.meaning.rstrip("."))
        lines += [f"{told[:1].upper()}{told[1:]}.", ""]
        rows = rows[1:]
    lines += ['<div class="parameters" markdown>', "", HEAD]
    for row in rows:
        key = f"`{row.key}`{{#{row.key}}}"
        key = key if row.allowed else f"**{key}**"
        default = f"`{_tell_default(row.default)}`" if row.default else ""
        lines.append(f"| {key} | {row.allowed} | {default} | {_escape(row.meaning)} |")
    return "\n".join([*lines, "", "</div>", ""])


def _tell_default(text: str) -> str:
    """`16; 64` for `${by_profile:16,64}`."""
    return (
        text.removeprefix("${by_profile:").rstrip("}").replace(",", "; ") if "$" in text else text
    )


def _escape(text: str) -> str:
    """A comment as text of a Markdown table."""
    for mark, escaped in (("&", "&amp;"), ("<", "&lt;"), ("|", r"\|"), ("{", r"\{"), ("*", r"\*")):
        text = text.replace(mark, escaped)
    return re.sub(r"docs/([\w-]+\.md)", r"[\1](\1)", text)
