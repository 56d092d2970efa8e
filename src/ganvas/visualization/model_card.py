"""The model card saved with a generator, in the format of Hugging Face."""

from typing import Any

import yaml

from ganvas.visualization.report import TEMPLATES, list_parameters, reproduction_notes

TASK = "unconditional-image-generation"


def render_card(
    metrics: dict[str, dict[str, Any]],
    training: dict[str, Any],
    shape: tuple[int, int],
    latent: int,
) -> str:
    """Render a model card as described by huggingface.co/docs/hub/model-cards.

    Args:
        metrics: Metrics by name, as in metrics.json.
        training: The training summary, as in training.json.
        shape: Height and width of the generated images.
        latent: Length of the latent vector.

    Returns:
        Markdown with YAML front matter.
    """
    height, width = shape
    front_matter = _describe(metrics, training["dataset"], training["network"])
    return TEMPLATES.get_template("model_card.md.j2").render(
        front=yaml.safe_dump(front_matter, sort_keys=False, allow_unicode=True),
        metrics=metrics,
        training=training,
        names=training["classes"]["names"],
        parameters=list_parameters(training["parameters"]),
        notes=reproduction_notes(training),
        height=height,
        width=width,
        latent=latent,
    )


def _describe(metrics: dict[str, dict[str, Any]], dataset: str, network: str) -> dict[str, Any]:
    results = [
        {
            "type": name,
            "name": f"{metric['title']} of {metric['of']}" if metric["of"] else metric["title"],
            "value": metric["value"],
        }
        for name, metric in metrics.items()
    ]
    result = {
        "task": {"type": TASK},
        "dataset": {"type": dataset, "name": dataset},
        "metrics": results,
    }
    return {
        "library_name": "keras",
        "pipeline_tag": TASK,
        "tags": ["gan", "image-generation", "kedro", "ganvas", network],
        "model-index": [{"name": f"{dataset}-{network}", "results": [result]}],
    }
