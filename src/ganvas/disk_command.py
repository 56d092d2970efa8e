"""The command `disk`: what takes space below data/, and what of it goes by which rules."""

import json
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import click
from kedro.framework.startup import ProjectMetadata
from kedro.utils import find_kedro_project

from ganvas.command_errors import in_one_sentence
from ganvas.command_line import write_command
from ganvas.disk.items import OTHER, Item
from ganvas.disk.pruning import (
    LATEST,
    Plan,
    Removal,
    Rules,
    choose_removals,
    delete,
    is_named,
    parse_age,
)
from ganvas.disk.references import mark_version
from ganvas.disk.usage import Usage, measure_usage
from ganvas.disk_space import format_bytes
from ganvas.errors import GanvasError
from ganvas.plain_text import one_line
from ganvas.run_options import refuse_empty

# Items of a kind are listed one by one up to this number, and then the largest ones.
MAX_LISTED = 30

# A variable of the shell that is not set must not widen what goes.
_filled = in_one_sentence(refuse_empty(None))


@click.command(short_help="List what takes space below data/, and delete what may go.")
@click.option("--versions-keep", type=click.IntRange(1), help="Keep the newest N versions only.")
@click.option(
    "--checkpoints",
    multiple=True,
    type=click.Choice([LATEST, "finished", "set-aside", "unfinished"]),
    help="Checkpoints of runs in this state, or of all runs those before the latest; repeatable.",
)
@click.option(
    "--snapshots",
    type=click.Choice(["thin"]),
    help="Of earlier runs, keep the snapshots of epochs 1, 2, 4, 8, … and the last.",
)
@click.option(
    "--collections",
    type=click.Choice(["unused"]),
    help="Packed images that no model refers to.",
)
@click.option("--unpacked", is_flag=True, help="Files of archives that are still there.")
@click.option("--temporary", is_flag=True, help="What killed processes have left.")
@click.option(
    "--older-than",
    metavar="AGE",
    callback=_filled,
    help="Only what was not changed for 30d, 12h or 8w.",
)
@click.option(
    "--only",
    metavar="PATTERN",
    callback=_filled,
    help="Only of this dataset or dataset/network: 'sample/*'.",
)
@click.option("--delete", "deletes", is_flag=True, help="Delete it; else it is only listed.")
@click.option(
    "--mark", metavar="MODEL/VERSION", callback=_filled, help="Mark a version, so that it is kept."
)
@click.option(
    "--unmark", metavar="MODEL/VERSION", callback=_filled, help="Remove the mark of a version."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
@in_one_sentence
def disk(
    context: click.Context,
    versions_keep: int | None,
    checkpoints: tuple[str, ...],
    snapshots: str | None,
    collections: str | None,
    unpacked: bool,
    temporary: bool,
    older_than: str | None,
    only: str | None,
    deletes: bool,
    mark: str | None,
    unmark: str | None,
    as_json: bool,
) -> None:
    """List what takes space below data/, and delete what may go.

    Without options, everything is listed. --versions-keep, --checkpoints, --snapshots,
    --collections, --unpacked and --temporary are rules: what any of them names goes, if
    --older-than and --only name it too. Nothing is deleted without --delete.

    Always kept: raw images, the newest version of each model, versions that the leaderboard or a
    mark names, runs with marked epochs, and whatever a run uses now.
    """
    metadata: ProjectMetadata | None = context.obj
    root = metadata.project_path if metadata else find_kedro_project(Path.cwd()) or Path.cwd()
    for title, is_marked in ((mark, True), (unmark, False)):
        if title is not None:
            click.echo(mark_version(root / "data" / "06_models", title, is_marked))
    rules = Rules(
        versions_keep,
        frozenset(checkpoints),
        snapshots is not None,
        collections is not None,
        unpacked,
        temporary,
        parse_age(older_than) if older_than is not None else 0.0,
        only or "*",
    )
    has_rule = any(rules[:6])
    if not has_rule and (deletes or older_than is not None):
        raise GanvasError(
            "No option says what may go: add --versions-keep=3, --checkpoints=set-aside, "
            "--snapshots=thin, --collections=unused, --unpacked or --temporary."
        )
    if (mark or unmark) and not has_rule:
        return
    usage = measure_usage(root / "data")
    plan = choose_removals(usage, rules)
    failures = _delete_all(plan, usage) if deletes else {}
    if as_json:
        click.echo(json.dumps(_to_json(usage, plan, rules, deletes, failures), indent=2))
    elif has_rule:
        options = _write_options(context)
        click.echo("\n".join(_describe_plan(usage, plan, deletes, failures, options)))
    else:
        click.echo("\n".join(_describe_usage(usage, rules)))
    if failures:
        raise GanvasError(
            f"{len(failures)} of {len(plan.removals)} could not be deleted. "
            + " ".join(failures.values())
        )


def _delete_all(plan: Plan, usage: Usage) -> dict[int, str]:
    """Delete what a plan names; return the reasons of what can't be, by their positions."""
    failures = {}
    for number, removal in enumerate(plan.removals):
        try:
            delete(removal, usage)
        except GanvasError as error:
            failures[number] = str(error)
    return failures


def _describe_usage(usage: Usage, rules: Rules) -> list[str]:
    lines = [_describe_total(usage)]
    items = [item for item in usage.items if _is_shown(item, rules.only)]
    kinds = list(dict.fromkeys(item.kind for item in items))
    items.sort(key=lambda item: (item.owner == "", item.owner, kinds.index(item.kind)))
    for owner, of_owner in groupby(items, key=lambda item: item.owner):
        lines += ["", f"{one_line(owner) or 'all datasets'}"]
        for kind, group in groupby(of_owner, key=lambda item: item.kind):
            lines += _describe_kind(kind, list(group))
    if usage.links:
        lines += ["", "Not followed, since they are links:"]
        lines += [f"  {_relative(path, usage)}" for path in usage.links[:MAX_LISTED]]
    command = write_command("disk", "--versions-keep=3", "--checkpoints=set-aside", "--temporary")
    lines += ["", f"What may go, for example: {command}"]
    return lines


def _describe_total(usage: Usage) -> str:
    free = "" if usage.free is None else f", and {format_bytes(usage.free)} are free on its disk"
    return f"{usage.folder} has {format_bytes(usage.size)} in {usage.files:,} files{free}."


def _is_shown(item: Item, pattern: str) -> bool:
    return (item.owner == "" and pattern == "*") or is_named(item.owner, pattern)


def _describe_kind(kind: str, items: list[Item]) -> list[str]:
    total = sum(item.size for item in items)
    if len(items) == 1 and not items[0].name:
        words = items[0].details if kind != OTHER else ""
        return [_line(total, kind, items[0].used, words)]
    lines = [_line(total, f"{kind} ({len(items)})", max(item.used for item in items), "")]
    shown = items
    if len(items) > MAX_LISTED:
        largest = sorted(items, key=lambda item: item.size, reverse=True)[:MAX_LISTED]
        shown = [item for item in items if item in largest]
    for item in shown:
        words = ", ".join(filter(None, (item.details, item.kept and f"kept: {item.kept}")))
        lines.append(_line(item.size, f"  {one_line(item.name)}", item.used, words))
    if len(shown) < len(items):
        lines.append(f"{'':13}  … {len(items) - len(shown)} more; --json lists all")
    return lines


def _line(size: int, title: str, used: float, words: str) -> str:
    return f"  {format_bytes(size):>10}  {title:<30} {_date(used)}  {one_line(words)}".rstrip()


def _date(used: float) -> str:
    return f"{datetime.fromtimestamp(used):%Y-%m-%d}"


def _write_options(context: click.Context) -> list[str]:
    """Return the options that choose what goes, as they were passed."""
    names = [
        *("versions_keep", "checkpoints", "snapshots", "collections", "unpacked"),
        *("temporary", "older_than", "only"),
    ]
    options = []
    for name in names:
        value = context.params[name]
        flag = f"--{name.replace('_', '-')}"
        if value is True:
            options.append(flag)
        elif value not in (None, False):
            values = value if isinstance(value, tuple) else (value,)
            options += [f"{flag}={one}" for one in values]
    return options


def _describe_plan(
    usage: Usage, plan: Plan, deletes: bool, failures: dict[int, str], options: list[str]
) -> list[str]:
    lines = []
    for number, removal in enumerate(plan.removals):
        state = "  NOT DELETED" if number in failures else ""
        title = " ".join(filter(None, (removal.item.owner, removal.item.kind, removal.item.name)))
        lines.append(f"  {format_bytes(removal.size):>10}  {one_line(title)}: {removal.why}{state}")
    done = [removal for number, removal in enumerate(plan.removals) if number not in failures]
    if plan.kept:
        lines += ["", "A rule names these too, but they stay:"]
        lines += [
            f"  {format_bytes(item.size):>10}  "
            f"{one_line(f'{item.owner} {item.kind} {item.name}'.strip())}: {item.kept}"
            for item in plan.kept
        ]
    total = f"{len(done)} of {len(usage.items)} things, {format_bytes(_sum(done))}"
    left = f"{format_bytes(usage.size - _sum(done))} of {format_bytes(usage.size)} stay"
    if deletes:
        return [*lines, "", f"Deleted: {total}; {left}."]
    if not plan.removals:
        return [*lines, "", "Nothing goes by these rules."]
    return [
        "These would go; nothing is deleted yet:",
        *lines,
        "",
        f"Together {total}; {left}. To delete them:",
        "",
        f"  {write_command('disk', *options, '--delete')}",
    ]


def _sum(removals: list[Removal]) -> int:
    return sum(removal.size for removal in removals)


def _relative(path: Path, usage: Usage) -> str:
    return one_line(path.relative_to(usage.folder.parent).as_posix())


def _to_json(
    usage: Usage, plan: Plan, rules: Rules, deletes: bool, failures: dict[int, str]
) -> dict[str, Any]:
    return {
        "folder": str(usage.folder),
        "bytes": usage.size,
        "files": usage.files,
        "free": usage.free,
        "items": [
            _item_to_json(item, usage) for item in usage.items if _is_shown(item, rules.only)
        ],
        "chosen": [
            {
                "kind": removal.item.kind,
                "owner": removal.item.owner,
                "name": removal.item.name,
                "paths": [_relative(path, usage) for path in removal.paths],
                "bytes": removal.size,
                "why": removal.why,
                "deleted": deletes and number not in failures,
                "error": failures.get(number),
            }
            for number, removal in enumerate(plan.removals)
        ],
    }


def _item_to_json(item: Item, usage: Usage) -> dict[str, Any]:
    return {
        "kind": item.kind,
        "owner": item.owner,
        "name": item.name,
        "paths": [_relative(path, usage) for path in item.paths],
        "bytes": item.size,
        "files": item.files,
        "used": datetime.fromtimestamp(item.used, UTC).isoformat(timespec="seconds"),
        "details": item.details,
        "kept": item.kept or None,
        "state": item.state or None,
    }
