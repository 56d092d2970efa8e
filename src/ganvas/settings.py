"""Kedro's settings for this project."""

from kedro.config import OmegaConfigLoader

from ganvas.hooks import GanvasHooks

HOOKS = (GanvasHooks(),)
DISABLE_HOOKS_FOR_PLUGINS = ("kedro-telemetry",)

CONFIG_LOADER_CLASS = OmegaConfigLoader
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    # An environment that changes one training parameter keeps all the others of base.
    "merge_strategy": {"parameters": "soft"},
}
