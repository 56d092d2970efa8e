"""The model card saved with a generator, in the format of Hugging Face."""

from typing import Any

import yaml

from ganvas.label_columns import read_class_list
from ganvas.plain_text import escape_controls
from ganvas.visualization.markdown import code_fence, code_span, escape_markdown
from ganvas.visualization.metric_table import (
    DISTANCE,
    DIVERSITY,
    common_protocol,
    group_metrics,
    style_metric,
)
from ganvas.visualization.report import (
    TEMPLATES,
    describe_presets,
    describe_run,
    list_parameters,
    reproduction_command,
    reproduction_notes,
    used_parameters,
)

# The Hub's tasks include generation without conditions alone; classes are named by a tag.
TASK, TASK_WITH_CLASSES = "unconditional-image-generation", "class-conditional-image-generation"
# Names of metrics on the Hub, where the feature extractor is the one that they stand for.
HUB_METRICS = {"(FID)": "fid", "(KID)": "kid", "(Inception Score)": "inception_score"}
IMAGE_FILE = "samples.png"
# What the channels of images hold, by their number.
CHANNELS = {1: "gray levels", 3: "RGB", 4: "RGB and straight (unmultiplied) alpha"}

TEMPLATES.filters["markdown"] = escape_markdown
TEMPLATES.filters["code"] = code_span


def render_card(
    metrics: dict[str, dict[str, Any]],
    verdict: dict[str, Any],
    training: dict[str, Any],
    shape: tuple[int, int, int],
    latent: int,
) -> str:
    """Render a model card as described by huggingface.co/docs/hub/model-cards.

    Args:
        metrics: Metrics by name, as in metrics.json.
        verdict: What the metrics mean: summary and sentences.
        training: The training summary, as in training.json.
        shape: Height, width and channels of the generated images.
        latent: Length of the latent vector.

    Returns:
        Markdown with YAML front matter, which shows the image `IMAGE_FILE` beside it.
    """
    height, width, channels = shape
    # Runs of earlier versions may lack the source.
    source = training["parameters"].get("ingest", {}).get("source", {}).get("name")
    is_sample = source == "sample"
    front_matter = _describe(metrics, training, is_sample)
    command = escape_controls(reproduction_command(training) or "", kept="\n")
    return TEMPLATES.get_template("model_card.md.j2").render(
        front=yaml.safe_dump(front_matter, sort_keys=False, allow_unicode=True),
        title=describe_run(training, (height, width)),
        image=IMAGE_FILE,
        is_sample=is_sample,
        weights_from=training["parameters"].get("train", {}).get("weights_from"),
        verdict=verdict,
        groups=group_metrics(metrics),
        protocol=common_protocol(metrics),
        training=training,
        names=training["classes"]["names"],
        classes=read_class_list(training["classes"]),
        parameters=list_parameters(used_parameters(training["parameters"])),
        command=command,
        fence=code_fence(command),
        presets=describe_presets(training),
        notes=reproduction_notes(training),
        height=height,
        width=width,
        channels=channels,
        channel_text=CHANNELS[channels],
        latent=latent,
    )


def _describe(
    metrics: dict[str, dict[str, Any]], training: dict[str, Any], is_sample: bool
) -> dict[str, Any]:
    dataset, network = training["dataset"], training["network"]
    has_classes = bool(training["classes"]["names"])
    result = {
        "task": {"type": TASK_WITH_CLASSES if has_classes else TASK},
        "dataset": {"type": dataset, "name": dataset},
        "metrics": [
            {"type": _hub_metric(name, metric), "name": metric["title"], "value": metric["value"]}
            for name, metric in metrics.items()
            # Neither single classes nor what compares nothing with real images.
            if not metric.get("of") and _compares(name)
        ],
    }
    front: dict[str, Any] = {
        "library_name": "keras",
        "license": "other",
        "license_name": "no-third-party-rights" if is_sample else "unknown",
        "tags": ["gan", "image-generation", "kedro", "ganvas", network],
    }
    if has_classes:
        front["tags"].append(TASK_WITH_CLASSES)
    else:
        front["pipeline_tag"] = TASK
    # The Hub refuses results without metrics.
    if result["metrics"]:
        front["model-index"] = [{"name": f"{dataset}-{network}", "results": [result]}]
    return front


def _compares(name: str) -> bool:
    return style_metric(name).group in (DISTANCE, DIVERSITY)


def _hub_metric(name: str, metric: dict[str, Any]) -> str:
    return next((hub for mark, hub in HUB_METRICS.items() if mark in metric["title"]), name)
