"""`kedro import-stylegan2`, and what uses the model that it makes."""

import logging

import keras
import numpy as np
import pytest
from click.testing import CliRunner, Result
from kedro.framework.cli.cli import KedroCLI

from ganvas.gallery.model_store import ModelStore
from ganvas.import_command import LICENSE, _read_class_names
from ganvas.networks.stylegan2_import import original_name
from ganvas.networks.stylegan2_transfer import list_weights
from projects import error_sentence, run_kedro
from stylegan2_exports import make_networks, make_weight, write_export


@pytest.fixture
def run(cli):
    def run(*arguments: str) -> Result:
        return CliRunner().invoke(cli, ["import-stylegan2", *arguments])

    return run


def test_wrong_arguments_are_one_sentence(shared_project, run, tmp_path):
    assert "There is no file missing.npz: make it by" in error_sentence(run("missing.npz"))
    assert "--name can't be 'a/b'" in error_sentence(run("a.npz", "--name=a/b"))
    (shared_project / "data/06_models/old/stylegan2").mkdir(parents=True)
    assert "There is a model old/stylegan2 already" in error_sentence(run("a.npz", "--name=old"))
    names = tmp_path / "names.txt"
    assert "can't be read" in error_sentence(run("a.npz", f"--classes={names}"))
    names.write_text("cat\ncat\n")
    assert "has a name twice" in error_sentence(run("a.npz", f"--classes={names}"))
    broken = tmp_path / "broken.npz"
    broken.write_bytes(write_export(tmp_path / "good.npz").read_bytes()[:9000])
    assert "is no complete .npz file" in error_sentence(run(str(broken)))
    assert not (shared_project / "data/06_models/broken").exists()


def test_class_names_of_a_file_from_windows_have_no_byte_order_mark(tmp_path):
    file = tmp_path / "names.txt"
    file.write_bytes(b"\xef\xbb\xbfcat\r\nsea lion\r\n")
    assert _read_class_names(file) == ["cat", "sea lion"]


@pytest.mark.slow
def test_a_model_with_classes_can_be_used_and_names_its_license(shared_project, run, tmp_path):
    file = write_export(tmp_path / "zoo 1.npz", make_networks(3))
    names = tmp_path / "names.txt"
    names.write_text("cat\ndog\n")
    assert "--classes has 2 names, and" in error_sentence(run(str(file), f"--classes={names}"))
    folder = shared_project / "data/06_models/zoo_1"
    assert not folder.exists() or not any(folder.iterdir())

    names.write_text("cat\ndog\n\nsea lion\n")
    result = run(str(file), f"--classes={names}")
    assert result.exit_code == 0, result.output
    assert LICENSE in result.output
    folder = folder / "stylegan2_by_class"
    assert sorted(path.name for path in folder.iterdir()) == [
        *("class_list.json", "discriminator.keras", "generator.keras", "model_card.md"),
    ]
    card = (folder / "model_card.md").read_text()
    assert LICENSE in card and "was not trained by Ganvas" in card and "`formula.pkl`" in card
    model = ModelStore(shared_project / "data/06_models").load()
    assert model.saved.name == "zoo_1/stylegan2_by_class"
    assert model.class_names == ["cat", "dog", "sea lion"] and model.label_column == "class"
    assert model.image(7, 1, "dog").shape == (32, 32, 3)
    assert "There is a model zoo_1/stylegan2_by_class already" in error_sentence(run(str(file)))


def read_options(output: str, start: str) -> dict[str, str]:
    """Return the parameters of a printed command."""
    (line,) = [line for line in output.splitlines() if line.strip().startswith(start)]
    return dict(item.split("=", 1) for item in line.partition("--params=")[2].split(","))


@pytest.mark.slow
def test_images_are_generated_and_training_starts_from_it(project, caplog):
    file = write_export(project / "face.npz")
    command = ["import-stylegan2", str(file)]
    result = CliRunner().invoke(KedroCLI(project_path=project), command)
    assert result.exit_code == 0, result.output
    sample = read_options(result.output, "kedro run --pipelines=sample")
    training = read_options(result.output, "kedro run --env=stylegan2")
    assert training["train.weights_from"] == "data/06_models/face/stylegan2"
    assert sample["network.label"] == "null"
    result = run_kedro(project, "--pipelines=sample", **{**sample, "sample.count": 4})
    assert result.exit_code == 0, result.output
    images = project / "data/07_model_output/face/stylegan2/samples"
    assert len(list(images.glob("seed*.png"))) == 4
    frozen = {"network.stylegan2.freeze_layers": 4, "train.max_steps": 1}
    with caplog.at_level(logging.INFO):
        result = run_kedro(project, "--pipelines=train", **training, **frozen)
    assert result.exit_code == 0, result.output
    assert "generator.keras: mapping network, mean style, blocks 4 to 32." in caplog.text
    # After a step, frozen layers are those of the file, and others are not.
    (trained,) = (project / "data/06_models/sample/stylegan2").glob("discriminator.keras/*/*")
    weights = list_weights(keras.saving.load_model(trained))
    for name, is_frozen in (("b32_skip_weight", True), ("b16_conv0_weight", False)):
        original = make_weight(f"discriminator/{original_name(name, False)}", (16, 8, 1, 1))
        if not is_frozen:
            original = make_weight(f"discriminator/{original_name(name, False)}", (16, 16, 3, 3))
        equal = np.array_equal(weights[name][0], original.transpose(2, 3, 1, 0))
        assert equal is is_frozen
    # Evaluation needs the record of a training, and says so.
    message = error_sentence(run_kedro(project, "--pipelines=evaluate", **sample))
    assert "face" in message
