"""The plan of a sweep: which runs are done already, from what a project has saved."""

import json
import shutil

import pytest

from ganvas.base_params import flatten
from ganvas.errors import GanvasError
from ganvas.pipelines.train.params import identifying_network, identifying_parameters
from ganvas.sweeps.plan import (
    Settings,
    _flatten,
    check_parallel,
    find_own_values,
    nest,
    plan_run,
    plan_runs,
)
from projects import DCGAN, TINY, read_option

SEED = {"train.seed": 1}


@pytest.fixture(scope="module")
def params():
    """Flat parameters of tiny runs, as a sweep has them."""
    text = ",".join(f"{key}={value}" for key, value in (TINY | DCGAN).items())
    return flatten(read_option(text))


@pytest.fixture
def settings(cli, shared_project, params):
    yield Settings(shared_project, None, None, params)
    shutil.rmtree(shared_project / "data", ignore_errors=True)


def save_entry(settings, values, name="a", **changed):
    """Save what an evaluation of a run adds to the leaderboard."""
    params = plan_run(settings, values).params
    entry = {"run": name, "dataset": "sample", "network": "dcgan", "extractor": "no network"}
    entry |= {"started": f"2026-01-01T00.00.{name}", "epochs": 2, "images_seen": 16}
    entry |= {"minutes": 1, "seed": 1, "version": "1", "metrics": {}}
    entry |= {"parameters": _flatten(params)} | changed
    folder = settings.root / "data/08_reporting/leaderboard"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(entry))


def test_runs_of_the_leaderboard_are_done(settings):
    assert plan_run(settings, SEED).state == "new"
    save_entry(settings, SEED, "01")
    save_entry(settings, SEED, "02")
    (settings.root / "data/08_reporting/leaderboard/cut.json").write_text("{")
    run = plan_run(settings, SEED)
    assert run.state == "done" and run.entry["run"] == "02"
    # The command of the run has all of its parameters.
    (option,) = [option for option in run.options if option.startswith("--params=")]
    chosen = read_option(option.removeprefix("--params="))
    assert chosen == nest(settings.params | SEED)
    # What a run only writes doesn't matter; what it learns does.
    for values, state in [
        ({"train.tensorboard": True}, "done"),
        ({"train.checkpoint.keep": 5, "ingest.workers": 1}, "done"),
        ({"ingest.storage": "encoded"}, "done"),
        ({"train.kid_validation.interval": 1}, "done"),
        ({"train.kid_validation.interval": 1, "train.kid_validation.keep": "best"}, "new"),
        ({"train.epochs": 3}, "new"),
        ({"ingest.size": 64}, "new"),
        ({"evaluate.extractor": "efficientnet_lite2"}, "new"),
        ({"train.seed": 0}, "new"),
    ]:
        changed = settings._replace(params=settings.params | SEED | values)
        assert plan_run(changed, {}).state == state, values


def test_runs_of_earlier_versions_are_done(settings):
    recorded = _flatten(plan_run(settings, SEED).params)
    for later in ("ingest.channels", "ingest.background", "ingest.storage"):
        del recorded[later]
    save_entry(settings, SEED, parameters=recorded)
    assert plan_run(settings, SEED).state == "done"
    assert plan_run(settings, SEED | {"ingest.channels": "gray"}).state == "new"


def test_what_was_called_ada_is_done_as_adaptive_diffaugment(settings):
    ada, adaptive = ({"train.augment.name": name} for name in ("ada", "adaptive_diffaugment"))
    recorded = _flatten(plan_run(settings, adaptive).params) | ada
    for later in ("train.augment.set", "train.augment.probability"):
        del recorded[later]
    save_entry(settings, adaptive, parameters=recorded)
    assert plan_run(settings, adaptive).state == "done"
    assert plan_run(settings, ada).state == "new"


@pytest.mark.parametrize(
    "changed",
    [
        {"ended_by": "interrupted"},
        {"ended_by": "diverged"},
        {"chosen_epoch": 1},
        {"run": "sample-dcgan-x-no-network-epoch-1"},
        {"dataset": "other"},
        {"network": "r3gan"},
        {"extractor": "efficientnet_lite2"},
    ],
)
def test_other_entries_are_no_result_of_the_run(settings, changed):
    save_entry(settings, SEED, **({"ended_by": "epochs"} | changed))
    assert plan_run(settings, SEED).state == "new"


def test_a_run_with_a_checkpoint_resumes(settings):
    params = plan_run(settings, SEED).params
    identity = {
        "data": {"images": "0", "size": 32, "crop": "center", "align": "none"},
        "network": identifying_network(params.network),
        "train": identifying_parameters(params.train),
    }
    folder = settings.root / "data/06_models/sample/dcgan/checkpoints/0123"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(identity))
    assert plan_run(settings, SEED).state == "new"
    (folder / "epoch-000001-step-0000000.npz").touch()
    assert plan_run(settings, SEED).state == "resumed"
    assert plan_run(settings, {"train.seed": 2}).state == "new"
    assert plan_run(settings, SEED | {"ingest.channels": "gray"}).state == "new"
    # A checkpoint of another learning rate is another run's, unlike outside of a sweep.
    faster = {"train.generator_learning_rate": 0.01}
    assert find_own_values(faster | SEED | {"train.tensorboard": True}, params.train) == faster
    assert plan_run(settings, SEED | faster).state == "new"
    (folder / "run.json").write_text(json.dumps(identity | {"sweep": faster}))
    assert plan_run(settings, SEED | faster).state == "resumed"
    assert plan_run(settings, SEED).state == "new"
    (folder / "run.json").write_text(json.dumps(identity))
    folder.rename(folder.with_name("0123-until-2026"))
    assert plan_run(settings, SEED).state == "new"


@pytest.mark.parametrize(
    ("combinations", "message"),
    [
        ([SEED, {"train.seed": -1}], r"^With train\.seed=-1: Parameter 'train\.seed' can't be -1"),
        ([SEED, SEED], r"train\.seed=1 and train\.seed=1 would be the same run"),
        ([{"evaluate.count": 10}, {"evaluate.count": 20}], "would be the same run"),
        ([{"train.resume": False}], r"can't have train\.resume=false, since a sweep resumes"),
        ([{"train.dry_run": True}], r"can't have train\.dry_run=true, since no run would train"),
        ([{"train.loss": 1}], r"^With train\.loss=1: train\.loss is set twice"),
    ],
)
def test_wrong_combinations_are_refused_before_any_run(settings, combinations, message):
    with pytest.raises(GanvasError, match=message):
        plan_runs(settings, combinations)


def test_runs_at_once_share_their_images(settings):
    runs = plan_runs(settings, [{"train.seed": 0}, {"train.seed": 1}])
    check_parallel(runs)
    sizes = plan_runs(settings, [{"ingest.crop": "center"}, {"ingest.crop": "pad"}])
    with pytest.raises(GanvasError, match="leave out --jobs"):
        check_parallel(sizes)
