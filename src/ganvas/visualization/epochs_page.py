"""The page of kept epochs: one self-contained HTML file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ganvas.disk_space import format_bytes
from ganvas.visualization.image_cells import CellEncoding, fit_page
from ganvas.visualization.image_grid import FRAME_PIXELS, read_png
from ganvas.visualization.progress_strip import MAX_FRAMES, choose_epochs, list_snapshots
from ganvas.visualization.report import TEMPLATES, describe_run

# Of snapshots, the best one first: a page may have dozens.
ENCODINGS = tuple(CellEncoding(FRAME_PIXELS // 2**k, 80 - 5 * k) for k in range(5))


class EpochRow(NamedTuple):
    """A kept epoch.

    Attributes:
        number: Its number, from 1 on.
        reasons: Why it is kept.
        values: Its measures; None where it has none.
        size: Bytes on disk.
        command: The command that makes its models the newest.
    """

    number: int
    reasons: Sequence[str]
    values: Sequence[float | None]
    size: int
    command: str


def render_epochs(
    rows: list[EpochRow],
    measures: dict[str, bool],
    snapshots: Path,
    training: dict[str, Any],
    shape: tuple[int, int],
) -> str:
    """Render the page of kept epochs, the last one first.

    Args:
        rows: The kept epochs, in order.
        measures: Names of the values of each, and whether higher ones are better.
        snapshots: The run's snapshot grids, which are shown of at most 60 epochs, reduced so that
            the page has at most 15 MB.
        training: The training summary, as in training.json.
        shape: Height and width of a generated image in pixels.

    Returns:
        HTML that loads no other file and nothing from a network.
    """
    best = []
    for k, higher in enumerate(measures.values()):
        values = [value for row in rows if (value := row.values[k]) is not None]
        # Among equal values none is better.
        top = (max if higher else min)(values) if len(set(map(_format, values))) > 1 else None
        best.append(_format(top))
    files = list_snapshots(snapshots)
    numbers = [row.number for row in rows if row.number in files]
    shown = set(choose_epochs(numbers, MAX_FRAMES)) if numbers else set()
    epochs = []
    for row in reversed(rows):
        texts = [_format(value) for value in row.values]
        epochs.append(
            {
                "number": row.number,
                "reasons": ", ".join(row.reasons),
                # Equal as far as it is shown.
                "measures": [
                    (text, text == top != "") for text, top in zip(texts, best, strict=True)
                ],
                "size": format_bytes(row.size),
                "snapshot": files[row.number] if row.number in shown else None,
                "command": row.command,
            }
        )
    return fit_page(
        lambda encoding: TEMPLATES.get_template("epochs.html.j2").render(
            title=describe_run(
                {key: x for key, x in training.items() if key != "chosen_epoch"}, shape
            ),
            headings=[name.replace("_", " ").capitalize() for name in measures],
            epochs=epochs,
            embed=lambda file: encoding.uri(read_png(file)),
            total=format_bytes(sum(row.size for row in rows)),
            chosen=training.get("chosen_epoch"),
            version=training["versions"]["ganvas"],
        ),
        ENCODINGS,
    )


def _format(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
