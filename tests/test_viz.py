"""What kedro-viz shows of a small run, as sent to its web page."""

import base64
import io
import json

import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro_viz.api.rest.responses.nodes import get_node_metadata_response
from kedro_viz.api.rest.responses.pipelines import get_pipeline_response
from kedro_viz.api.rest.responses.utils import get_encoded_response
from kedro_viz.data_access import data_access_manager
from kedro_viz.server import load_and_populate_data
from PIL import Image

from ganvas.datasets.packed_collection import CollectionDataset
from ganvas.networks import NETWORKS
from ganvas.pipeline_registry import register_pipelines
from ganvas.pipelines.train.preview import NOT_PACKED, draw_network
from projects import DCGAN, TINY, make_project, run_kedro

pytestmark = pytest.mark.slow

BY_GENRE = {"network.label": "genre"}
STAGES = {"ingest", "train", "evaluate", "report"}


@pytest.fixture(scope="module")
def shown_by_viz(tmp_path_factory):
    """Run a project; return a function that shows a node or dataset as kedro-viz does."""
    project = make_project(tmp_path_factory.mktemp("project"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        for options in ([], ["--pipelines=sample"]):
            result = run_kedro(project, *options, **BY_GENRE)
            assert result.exit_code == 0, result.output
        params = nest(TINY | DCGAN | BY_GENRE)
        data_access_manager.reset_fields()
        load_and_populate_data(project, extra_params=params)
        yield show
        data_access_manager.reset_fields()


def nest(flat: dict) -> dict:
    tree: dict = {}
    for key, value in flat.items():
        *parents, last = key.split(".")
        place = tree
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = {"null": None, "false": False}.get(value, value)
    return tree


def show(name: str) -> dict:
    ids = [node.id for node in data_access_manager.nodes.as_list() if node.name == name]
    # The server's encoder doesn't support NaN.
    return json.loads(get_encoded_response(get_node_metadata_response(ids[0])))


def image(shown: dict) -> Image.Image:
    assert shown["preview_type"] == "ImagePreview"
    return Image.open(io.BytesIO(base64.b64decode(shown["preview"])))


@pytest.mark.parametrize(
    ("name", "columns", "rows"),
    [
        ("artists", {"name", "genres", "first_year"}, 8),
        ("image_index", {"path", "artist", "genre", "split", "hash"}, 20),
        ("rejected", {"path", "reason"}, 0),
        ("history", {"epoch", "loss_g", "loss_d"}, 2),
        ("leaderboard", {"dataset", "network", "started", "diversity"}, 1),
    ],
)
def test_tables_show_their_first_rows(shown_by_viz, name, columns, rows):
    shown = shown_by_viz(name)
    assert shown["preview_type"] == "TablePreview"
    assert columns <= set(shown["preview"]["columns"])
    assert len(shown["preview"]["data"]) == rows


@pytest.mark.parametrize(
    ("name", "size"),
    [
        # 24 images of 32 pixels, 8 in a row, with gaps of 2 between and around.
        ("collection", (8 * 34 + 2, 3 * 34 + 2)),
        ("samples", (8 * 34 + 2, 4 * 34 + 2)),
        # A row a class.
        ("sample_grid", (3 * 34 + 2, 8 * 34 + 2)),
        ("snapshots", (3 * 34 + 2, 8 * 34 + 2)),
    ],
)
def test_image_previews_have_full_size(shown_by_viz, name, size):
    assert image(shown_by_viz(name)).size == size


@pytest.mark.parametrize(
    "name", ["real_grid", "progress_strip", "class_sheets", "curves", "neighbours"]
)
def test_graphics_are_shown(shown_by_viz, name):
    assert min(image(shown_by_viz(name)).size) > 32


def test_curves_are_interactive_and_metrics_are_shown_as_json(shown_by_viz):
    curves = shown_by_viz("curves_plot")
    assert curves["preview_type"] == "PlotlyPreview"
    assert len(curves["preview"]["data"][0]["x"]) == 2
    for name, key in (
        ("metrics", "loss_g"),
        ("class_list", "names"),
        ("training_summary", "epochs"),
    ):
        shown = shown_by_viz(name)
        assert shown["preview_type"] == "JSONPreview" and key in json.loads(shown["preview"])


def test_the_training_node_shows_a_diagram_of_its_network(shown_by_viz):
    shown = shown_by_viz("train_gan")["preview"]
    assert shown["kind"] == "mermaid"
    text = shown["content"].replace("\u00a0", " ")
    assert "latent<br/>6" in text and "classes<br/>8" in text and "<b>16 × 16 × 2</b>" in text


@pytest.mark.parametrize("name", NETWORKS)
def test_before_any_run_the_network_is_drawn_or_the_missing_input_is_named(tmp_path, name):
    shown = draw_network(catalog(tmp_path, {"name": name}))
    if NETWORKS[name].always_conditional:
        assert shown.content == NOT_PACKED
    else:
        assert shown.kind == "mermaid"
        assert "32 × 32 × 3" in shown.content.replace("\u00a0", " ")


def test_an_unknown_label_is_reported_in_place_of_a_diagram(shown_by_viz):
    flow = data_access_manager.catalog.get_catalog()
    other = catalog(None, {"name": "dcgan", "label": "sculptor"})
    other["collection"] = flow.get("collection")
    shown = draw_network(other)
    assert shown.kind == "text" and "network.label is 'sculptor'" in shown.content


def catalog(folder, network: dict) -> DataCatalog:
    """Return the catalog of a project before its first run."""
    params = {"params:network": network, "params:ingest": {"size": 32}}
    datasets = {key: MemoryDataset(value) for key, value in params.items()}
    return DataCatalog(datasets | {"collection": CollectionDataset(filepath=str(folder))})


def test_no_preview_shows_credentials(shown_by_viz):
    shown = [shown_by_viz(name) for name in ("kaggle_credentials", "huggingface_credentials")]
    assert not any(response.get("preview") for response in shown)


def test_stages_are_grouped_and_layers_are_in_order(shown_by_viz):
    flow = json.loads(get_encoded_response(get_pipeline_response("__default__")))
    assert set(flow["modular_pipelines"]) == STAGES | {"__root__"}
    assert flow["layers"] == [
        *("raw", "intermediate", "primary", "models", "model output", "reporting")
    ]


def test_each_node_has_its_stage_as_namespace_and_no_dataset_has():
    pipelines = register_pipelines()
    for name, pipeline in pipelines.items():
        for node in pipeline.nodes:
            stage = node.namespace
            # Images of other programs are measured by the functions of the evaluation.
            allowed = {stage, "evaluate"} if stage == "evaluate_images" else {stage}
            assert node.func.__module__.split(".")[2] in allowed
            assert node.name == f"{stage}.{node._name}"
            assert node in pipelines[stage].nodes
        assert not any("." in dataset for dataset in pipeline.datasets()), name
