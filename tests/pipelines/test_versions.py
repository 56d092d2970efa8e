"""A run loads the models of the last training, whatever other versions there are."""

import json
import shutil

import pytest

from projects import error_sentence

MODELS, REPORTING = "data/06_models/sample/dcgan", "data/08_reporting/sample/dcgan"
FUTURE = "2099-01-01T00.00.00.000Z"


@pytest.mark.exhaustive
def test_the_last_training_is_loaded_and_told_where_it_is_not_there(project, kedro_run, caplog):
    uri = "http://ann:hunter2@localhost:9"
    result = kedro_run("--pipelines=train", train__epochs=1, tracking__uri=uri)
    assert result.exit_code == 0, result.output
    summary = json.loads((project / REPORTING / "training.json").read_text())
    assert "tracking.uri=http://***@localhost:9" in summary["command"]
    (first,) = (project / MODELS / "generator.keras").iterdir()
    assert summary["version"] == first.name

    # Models of a clock that is ahead, which no run can read.
    for name in ("generator.keras", "discriminator.keras", "class_list.json"):
        shutil.copytree(project / MODELS / name / first.name, project / MODELS / name / FUTURE)
        (project / MODELS / name / FUTURE / name).write_text("")
    result = kedro_run("--pipelines=train,evaluate,report,sample", sample__count=2)
    assert result.exit_code == 0, result.output
    told = [message for message in caplog.messages if FUTURE in message]
    assert [message.partition(" is not used")[0] for message in told] == [
        str(project / MODELS / "generator.keras" / FUTURE)
    ]
    summary = json.loads((project / REPORTING / "training.json").read_text())
    second = project / MODELS / "generator.keras" / summary["version"]
    assert second.is_dir() and second.name not in (first.name, FUTURE)
    assert f'"{second.name}" in file.parts' in (project / MODELS / "model_card.md").read_text()
    assert kedro_run("--pipelines=sample", sample__count=2).exit_code == 0

    older = f"--load-versions=generator:{first.name},class_list:{first.name}"
    assert kedro_run("--pipelines=sample", older, sample__count=2).exit_code == 0
    missing = error_sentence(kedro_run("--pipelines=sample", older.replace(first.name, "2020")))
    assert missing.startswith("Error: There is no version '2020' of ")
    assert missing.endswith(f": there are {FUTURE}, {second.name}, {first.name}.")
    assert "has nothing, but" in error_sentence(kedro_run("--load-versions=nothing:2020"))

    generator = second / "generator.keras"
    generator.write_bytes(generator.read_bytes()[:9000])
    damaged = error_sentence(kedro_run("--pipelines=sample"))
    assert damaged.startswith(f"Error: {generator} can't be read (")
    assert "create it again by `kedro run --pipelines=train`" in damaged
    generator.unlink()
    gone = error_sentence(kedro_run("--pipelines=evaluate"))
    assert gone.startswith(f"Error: There is no version '{second.name}' of generator in ")
