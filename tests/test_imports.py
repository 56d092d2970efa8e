"""Imports point one way: docs/architecture.md draws what is checked here."""

import ast
from graphlib import CycleError, TopologicalSorter

import pytest

from projects import ROOT

SRC = ROOT / "src"
# From top to bottom; a package or module imports only from layers below its own, and, within a
# layer, only what WITHIN_LAYER names.
LAYERS = [
    {"__main__", "settings", "pipeline_registry", "cli"},
    {"kedro_commands", "disk_command", "epochs_command", "import_command", "sweeps"},
    {"run_options"},
    {"config_loader", "hooks", "own_images", "command_errors"},
    {"log_lines"},
    {"project_params"},
    {"pipelines", "gallery"},
    {"datasets", "exporting", "tracking"},
    {"latents"},
    {"ingestion", "sample_collection", "training", "metrics", "visualization"},
    {"networks"},
    {"backbones"},
    {"record_schemas", "disk", "class_requests"},
    {
        "table_schemas",
        "model_versions",
        "progress",
        "base_params",
        "command_line",
        "config_files",
        "presets",
        "names",
        "atomic_files",
        "disk_space",
        "saved_arrays",
        "saved_json",
        "file_lock",
        "arrays",
        "augment_names",
        "channels",
        "grid_layout",
        "image_shape",
        "label_columns",
    },
    {"errors", "extras", "malloc", "keras_types", "quiet_tensorflow", "stop_signals"}
    | {"cpu_count", "memory_limit"},
    {"redaction", "project_folder", "plain_text", "recorded_command", "cgroups"},
]
WITHIN_LAYER = {"__main__": {"cli"}, "ingestion": {"sample_collection"}}
# The glue between Kedro and everything else, which is plain functions of arrays and tables.
KEDRO = {"pipelines", "datasets", "config_loader", "hooks", "cli", "settings", "pipeline_registry"}
KEDRO |= {
    "__main__",
    "command_errors",
    "command_line",
    "kedro_commands",
    "run_options",
    "disk_command",
    "epochs_command",
    "import_command",
    "sweeps",
}


def modules() -> dict[str, ast.Module]:
    """Every module of the package, by its dotted name."""
    found = {}
    for file in sorted((SRC / "ganvas").rglob("*.py")):
        name = ".".join(file.relative_to(SRC).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = ast.parse(file.read_text())
    return found


MODULES = modules()


def imports(tree: ast.AST) -> set[str]:
    """Modules that a piece of code imports, with the names imported from them."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def area(module: str) -> str:
    """The package or module directly below ganvas."""
    return module.split(".")[1]


def layer(name: str) -> int:
    (number,) = [i for i, names in enumerate(LAYERS) if name in names]
    return number


def test_every_package_has_one_layer():
    areas = {area(module) for module in MODULES if module != "ganvas"}
    assert areas == set().union(*LAYERS)
    assert len(areas) == sum(map(len, LAYERS))


@pytest.mark.parametrize("name", sorted(set(MODULES) - {"ganvas"}))
def test_imports_point_downward(name):
    here = area(name)
    below = {other for names in LAYERS[layer(here) + 1 :] for other in names}
    allowed = below | {here} | WITHIN_LAYER.get(here, set())
    # The package itself has the version alone.
    modules = (imports(MODULES[name]) & set(MODULES)) - {"ganvas"}
    used = {area(module) for module in modules}
    assert used <= allowed


def test_no_module_imports_itself_in_a_circle():
    graph = {
        name: {module for module in imports(tree) if module in MODULES and module != name}
        for name, tree in MODULES.items()
    }
    # A package's __init__ is imported with each of its modules, which it may import itself.
    for name, used in graph.items():
        used -= {package for package in MODULES if name.startswith(f"{package}.")}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"circular import: {' -> '.join(error.args[1])}")


def test_only_the_glue_imports_kedro():
    users = {
        area(name)
        for name, tree in MODULES.items()
        if any(module.partition(".")[0].startswith("kedro") for module in imports(tree))
    }
    assert users <= KEDRO


def test_only_training_and_inversion_import_tensorflow():
    users = {
        "training" if area(name) == "training" else name
        for name, tree in MODULES.items()
        if any(module.partition(".")[0] == "tensorflow" for module in imports(tree))
    }
    assert users <= {"training", "ganvas.latents.inversion"}
