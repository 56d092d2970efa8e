"""`kedro epochs`: the kept epochs of a run as a table, and their marks."""

from pathlib import Path
from typing import Any

import click

from ganvas.command_errors import in_one_sentence
from ganvas.run_options import make_config_loader, read_params, refuse_empty

_filled = in_one_sentence(refuse_empty(None))


@click.command(short_help="List which epochs of a run are kept, and mark others.")
@click.option(
    "--mark", multiple=True, type=click.IntRange(min=1), help="Epoch to keep for good; repeatable."
)
@click.option(
    "--unmark", multiple=True, type=click.IntRange(min=1), help="Epoch to keep no longer."
)
@click.option("--env", "-e", callback=_filled, help="Preset of conf/, as for kedro run.")
@click.option(
    "--params",
    default="",
    callback=in_one_sentence(refuse_empty(read_params)),
    help="Parameters of the run, as for kedro run: KEY=VALUE,…",
)
@click.option("--conf-source", callback=_filled, help="Folder or archive of the configuration.")
@in_one_sentence
def epochs(
    mark: tuple[int, ...],
    unmark: tuple[int, ...],
    env: str | None,
    params: dict[str, Any],
    conf_source: str | None,
) -> None:
    """List the kept epochs of the run that --env and --params identify, as for kedro run.

    Their models are made the newest by the pipeline `select`. Marked epochs are kept by every
    rule; after --unmark, an epoch that no rule keeps is removed when the run saves its next one.
    """
    # pandas takes a second to import, and Kedro imports this module for every command.
    from kedro.utils import find_kedro_project

    from ganvas.base_params import check_params, flatten
    from ganvas.datasets.packed_collection import CollectionDataset
    from ganvas.errors import GanvasError
    from ganvas.pipelines.select.nodes import find_run
    from ganvas.project_params import ProjectParams
    from ganvas.redaction import redact
    from ganvas.training.kept_epochs import mark_epoch, unmark_epoch, write_select_command

    if both := sorted(set(mark) & set(unmark)):
        raise GanvasError(f"Epoch {both[0]} can't be marked and unmarked at once: choose one.")
    config = make_config_loader(env, params, conf_source)
    catalog = config["catalog"]
    root = find_kedro_project(Path.cwd()) or Path.cwd()
    collection = CollectionDataset(filepath=str(root / catalog["collection"]["filepath"]))
    if not collection.exists():
        raise GanvasError(
            f"There is no collection at {catalog['collection']['filepath']}, and so no run of it: "
            "set the --env and --params of a run that was trained."
        )
    chosen = check_params(ProjectParams, config["parameters"])
    checkpoints = root / catalog["checkpoints"]["filepath"]
    images = collection.load()

    def find() -> Any:
        return find_run(images, chosen.ingest, chosen.network, chosen.train, checkpoints)

    for change, numbers in ((mark_epoch, mark), (unmark_epoch, unmark)):
        for number in numbers:
            change(find(), number)
    run = find()
    click.echo(describe_run(run))
    if run.epochs:
        options = [f"--conf-source={conf_source}"] if conf_source else []
        options += [f"--env={env}"] if env else []
        command = write_select_command("N", redact(flatten(params)), *options)
        click.echo(f"\nTo use the models of epoch N:\n\n  {command}")


def describe_run(run: Any) -> str:
    """Return the kept epochs of a run as a table of text.

    Args:
        run: The kept epochs, as of `ganvas.training.kept_epochs.read_kept`.
    """
    from ganvas.disk_space import format_bytes

    measures = run.measures
    table = [["epoch", "kept as", *measures, "size"]]
    for kept in run.epochs:
        values = [kept.measure(name) for name in measures]
        texts = ["" if value is None else f"{value:.4g}" for value in values]
        reasons = ", ".join(kept.reasons) or "nothing, until the next is saved"
        table.append([str(kept.epoch), reasons, *texts, format_bytes(kept.size)])
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = []
    for first, reasons, *others in table:
        cells = [first.rjust(widths[0]), reasons.ljust(widths[1])]
        cells += [text.rjust(width) for text, width in zip(others, widths[2:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    epoch, step = run.position
    end = f"epoch {epoch}" + (f" and {step} steps" if step else "")
    total = format_bytes(sum(kept.size for kept in run.epochs))
    head = f"Run of {run.started}, up to {end}: {total} in {run.folder}"
    return "\n".join([head, "", *lines])
