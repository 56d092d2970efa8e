"""Kedro's configuration loader, with parameters checked and catalog paths that follow them."""

from typing import Any

from kedro.config import OmegaConfigLoader
from omegaconf import OmegaConf

from ganvas.configuration import Configuration
from ganvas.params import check_params


class GanvasConfigLoader(OmegaConfigLoader):
    """Fills `${chosen:dataset}`, `${chosen:network}` and `${chosen:source}` into the catalog.

    They follow the parameters, wherever these come from: conf/base, an environment or --params.
    Kedro asks for the catalog before it does anything else, so a wrong parameter ends a run there.
    """

    def __getitem__(self, key: str) -> dict[str, Any]:
        if key == "catalog":
            choices = check_params(Configuration, self["parameters"]).choices()
            OmegaConf.register_new_resolver("chosen", choices.__getitem__, replace=True)
        return super().__getitem__(key)
