"""MkDocs hook that generates the reference page of all parameters.

Types and bounds come from the Pydantic models, defaults and meanings from conf/base. A parameter's
meaning is written once: as the comment after its value and, if longer, also directly above its key.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from ganvas.base_params import Schema, describe_allowed, resolve_field
from ganvas.project_params import ProjectParams

CONF = Path(__file__).parents[1] / "conf" / "base"
INTRODUCTION = """# Parameters

Every parameter can be changed in `conf/base`, in a preset of `conf/`, in `conf/local`, or for one
run:

```sh
kedro run --params=train.epochs=20,network.name=dcgan
```

Each of these overrides those before it: `--params` overrides `conf/local`, which overrides the
presets of `--env`, of which there may be [several](own-images.md#combine-presets).

A wrong key or value stops the run before any work, with an error that names it. The defaults are
those of `conf/base`. If there are two, the first is for a CPU and the second for a GPU (`profile`).
"""

HEAD = "| key | allowed | default | meaning |\n|---|---|---|---|"


class Row(NamedTuple):
    """A parameter or a group of parameters.

    Attributes:
        key: Dotted key as `--params` takes it.
        allowed: Type and bounds in words; empty for a group.
        default: YAML text of the value in conf/base; empty for a group.
        meaning: Its comment in conf/base.
    """

    key: str
    allowed: str
    default: str
    meaning: str


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Put the generated page in the place of the one that readers of the repository see."""
    if stand_in := files.get_file_from_path("parameters.md"):
        files.remove(stand_in)
    files.append(File.generated(config, "parameters.md", content=render()))
    return files


def render() -> str:
    """Render the page as Markdown, with one table per stage."""
    parts = [INTRODUCTION]
    for path in sorted(CONF.glob("parameters_*.yml"), key=_order):
        rows = list(read_rows(path.read_text()))
        for stage in dict.fromkeys(row.key.partition(".")[0] for row in rows):
            parts.append(
                _render_stage(stage, [row for row in rows if row.key.partition(".")[0] == stage])
            )
    return "\n".join(parts)


def read_rows(text: str) -> Iterator[Row]:
    """Read the rows of a file of conf/base in its order, groups before their members."""
    schema = ProjectParams.model_json_schema()
    yield from _walk(yaml.compose(text), schema, schema["$defs"], text, "")


def _walk(
    node: yaml.MappingNode, schema: Schema, groups: Schema, text: str, prefix: str
) -> Iterator[Row]:
    for name, value in node.value:
        key, field = prefix + name.value, resolve_field(schema["properties"][name.value], groups)
        if "properties" in field:
            yield Row(key, "", "", _comment(text, name, name.end_mark))
            yield from _walk(value, field, groups, text, f"{key}.")
        else:
            default = text[value.start_mark.index : value.end_mark.index]
            yield Row(
                key,
                describe_allowed(field, groups, "`"),
                default,
                _comment(text, name, value.end_mark),
            )


def _comment(text: str, name: yaml.Node, end: yaml.Mark) -> str:
    """Join the comment lines above a key and the comment after its value."""
    lines = text.splitlines()
    above: list[str] = []
    for line in reversed(lines[: name.start_mark.line]):
        if not line.lstrip().startswith("#"):
            break
        above.insert(0, line.strip(" #"))
    after = lines[end.line][end.column :].partition("#")[2].strip()
    return " ".join(filter(None, [*above, after]))


def _order(path: Path) -> int:
    """Return the position of a file's stage in ProjectParams, or the last one."""
    stages, stage = list(ProjectParams.model_fields), path.stem.removeprefix("parameters_")
    return stages.index(stage) if stage in stages else len(stages)


def _render_stage(stage: str, rows: list[Row]) -> str:
    lines = [f"## {stage} {{#{stage}}}", ""]
    # A stage is a group, whose comment introduces its table; the profile is a single parameter.
    if not rows[0].allowed:
        meaning = _escape(rows[0].meaning.rstrip("."))
        lines += [f"{meaning[:1].upper()}{meaning[1:]}.", ""]
        rows = rows[1:]
    lines += ['<div class="parameters" markdown>', "", HEAD]
    for row in rows:
        key = f"`{row.key}`{{#{row.key}}}"
        key = key if row.allowed else f"**{key}**"
        default = f"`{_default(row.default)}`" if row.default else ""
        lines.append(f"| {key} | {row.allowed} | {default} | {_escape(row.meaning)} |")
    return "\n".join([*lines, "", "</div>", ""])


def _default(text: str) -> str:
    """Turn `${by_profile:16,64}` into `16; 64`."""
    if "$" not in text:
        return text
    return text.removeprefix("${by_profile:").rstrip("}").replace(",", "; ")


def _escape(text: str) -> str:
    """Escape a comment for a Markdown table, and link the pages of docs that it mentions."""
    for mark, escaped in (("&", "&amp;"), ("<", "&lt;"), ("|", r"\|"), ("{", r"\{"), ("*", r"\*")):
        text = text.replace(mark, escaped)
    return re.sub(r"docs/([\w-]+\.md)", r"[\1](\1)", text)
