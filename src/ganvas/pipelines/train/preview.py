"""The preview of the training node in kedro-viz: a diagram of the chosen networks."""

from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline.preview_contract import MermaidPreview, TextPreview

from ganvas.errors import GanvasError
from ganvas.ingestion.class_labels import read_classes
from ganvas.networks import NETWORKS, NetworkParams, build
from ganvas.pipelines.ingest.params import IngestParams
from ganvas.pipelines.train.nodes import choose_column

# Options of Mermaid: the natural width, since kedro-viz would reduce it to 300 pixels, and spacing
# between boxes in pixels.
LAYOUT: dict[str, Any] = {
    "flowchart": {"useMaxWidth": False, "nodeSpacing": 15, "rankSpacing": 25, "padding": 8}
}
NOT_PACKED = (
    "This network is class-conditional, and the number of classes is known once the images are "
    "packed: kedro run --pipelines=ingest"
)


def preview_network() -> MermaidPreview | TextPreview:
    """Draw the chosen network; kedro-viz calls this without arguments, but has the catalog."""
    from kedro_viz.data_access import data_access_manager

    return draw_network(data_access_manager.catalog.get_catalog())


def draw_network(catalog: CatalogProtocol[Any, Any]) -> MermaidPreview | TextPreview:
    """Draw the network that a catalog's parameters choose, or return the reason why not."""
    # Keras takes seconds to import, and Kedro imports this module for every command.
    import keras

    from ganvas.visualization.network_diagram import draw_networks

    ingest = IngestParams.model_validate(catalog.load("params:ingest"))
    network = NetworkParams.model_validate(catalog.load("params:network"))
    network = network.resolve_label(ingest.classes)
    try:
        classes = _count_classes(catalog, network)
        if classes is None:
            return TextPreview(NOT_PACKED)
        # On the CPU, so that no GPU memory is taken from a run that trains there.
        with keras.device("cpu"):
            networks = build(network, ingest.image_shape, classes)
    except GanvasError as error:
        return TextPreview(str(error))
    return MermaidPreview(draw_networks(networks), meta=LAYOUT)


def _count_classes(catalog: CatalogProtocol[Any, Any], network: NetworkParams) -> int | None:
    """Count the classes of the network; None if only a missing collection could determine them."""
    if network.label is None and not NETWORKS[network.name].always_conditional:
        return 0
    if not catalog.exists("collection"):
        return None
    collection = catalog.load("collection")
    classes = read_classes(collection.index, choose_column(network, collection))
    return classes.table.num_weights
