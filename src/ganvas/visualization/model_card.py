"""The model card: what Hugging Face and people want to know of a saved generator."""

from typing import Any

import yaml

from ganvas.visualization.report import TEMPLATES, list_parameters

TASK = "unconditional-image-generation"


def render_card(
    metrics: dict[str, dict[str, Any]],
    training: dict[str, Any],
    shape: tuple[int, int],
    latent: int,
) -> str:
    """Render the card, as huggingface.co/docs/hub/model-cards describes it.

    Args:
        metrics: Figures by name, as in metrics.json.
        training: The facts of the training run.
        shape: Height and width of the images.
        latent: Length of the latent vector.

    Returns:
        Markdown behind a head of YAML.
    """
    height, width = shape
    return TEMPLATES.get_template("model_card.md.j2").render(
        front=yaml.safe_dump(_describe(metrics, training), sort_keys=False, allow_unicode=True),
        metrics=metrics,
        training=training,
        names=training["classes"]["names"],
        parameters=list_parameters(training["parameters"]),
        height=height,
        width=width,
        latent=latent,
    )


def _describe(metrics: dict[str, dict[str, Any]], training: dict[str, Any]) -> dict[str, Any]:
    dataset, network = training["dataset"], training["network"]
    results = [
        {
            "type": name,
            "name": f"{figure['title']} of {figure['of']}" if figure["of"] else figure["title"],
            "value": figure["value"],
        }
        for name, figure in metrics.items()
    ]
    return {
        "library_name": "keras",
        "pipeline_tag": TASK,
        "tags": ["gan", "image-generation", "kedro", "ganvas", network],
        "model-index": [
            {
                "name": f"{dataset}-{network}",
                "results": [
                    {
                        "task": {"type": TASK},
                        "dataset": {"type": dataset, "name": dataset},
                        "metrics": results,
                    }
                ],
            }
        ],
    }
