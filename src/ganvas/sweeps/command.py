"""The command `sweep`: many runs, for several values or seeds, or for a search of the best."""

import click

from ganvas.command_errors import in_one_sentence
from ganvas.run_options import read_params, refuse_empty

_filled = in_one_sentence(refuse_empty(None))


@click.command(short_help="Train for several seeds or values, or search for the best.")
@click.argument("values", nargs=-1, required=True)
@click.option("--env", "-e", callback=_filled, help="Preset of conf/, as for kedro run.")
@click.option(
    "--params",
    default="",
    callback=in_one_sentence(refuse_empty(read_params)),
    help="Parameters of all runs: KEY=VALUE,…",
)
@click.option("--conf-source", callback=_filled, help="Folder or archive of the configuration.")
@click.option(
    "--trials",
    type=click.IntRange(min=1),
    help="Search for the best among the values with so many runs, by Optuna.",
)
@click.option(
    "--metric",
    callback=_filled,
    help="Metric of metrics.json that the search optimizes.  [default: kernel_distance]",
)
@click.option("--jobs", type=click.IntRange(1, 64), help="Runs at the same time.  [default: 1]")
@click.option(
    "--scheduler",
    callback=_filled,
    help="Address of a Dask scheduler whose workers run, such as tcp://10.0.0.1:8786.",
)
@click.option(
    "--name",
    callback=_filled,
    help="Name of the folder of results.  [default: made of the parameters]",
)
@click.option("--dry-run", is_flag=True, help="Print the plan and the commands, and run nothing.")
@in_one_sentence
def sweep(**options: object) -> None:
    """Train and evaluate for all combinations of VALUES, and compare the results.

    \b
    kedro sweep train.seed=0..2
    kedro sweep train.seed=[0,1,2] network.name=[projected,dcgan]
    kedro sweep train.generator_learning_rate=0.0001..0.01 train.batch_size=[8,16] --trials=8

    Each of VALUES is KEY=[VALUE,…] or KEY=LOW..HIGH. Runs that are done are skipped, and
    interrupted ones resume, so the same command continues an interrupted sweep. With --trials,
    runs search for the best values, and hopeless ones are ended early.
    """
    # Kedro imports this module for every command, and pandas takes a second to import.
    from ganvas.sweeps.run import run_sweep

    run_sweep(**options)  # type: ignore[arg-type]  # click has checked their types
