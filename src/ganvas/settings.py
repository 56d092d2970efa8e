"""Kedro's settings for this project."""

from ganvas.stop_signals import hide_interrupted_imports

hide_interrupted_imports()

from ganvas.config_loader import GanvasConfigLoader, by_device, by_profile  # noqa: E402
from ganvas.datasets.catalog import GanvasCatalog  # noqa: E402
from ganvas.hooks import GanvasHooks, LockHooks, StageHooks, TrackingHooks  # noqa: E402

HOOKS = (GanvasHooks(), LockHooks(), StageHooks(), TrackingHooks())
DISABLE_HOOKS_FOR_PLUGINS = ("kedro-telemetry",)

DATA_CATALOG_CLASS = GanvasCatalog
CONFIG_LOADER_CLASS = GanvasConfigLoader
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    # An environment that sets one training parameter keeps the others of base.
    "merge_strategy": {"parameters": "soft"},
    "custom_resolvers": {"by_profile": by_profile, "by_device": by_device},
}
