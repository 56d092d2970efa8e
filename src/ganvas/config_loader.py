"""Kedro's configuration loader, with parameters checked and catalog paths that follow them."""

import contextlib
from typing import Any

from kedro.config import MissingConfigException, OmegaConfigLoader
from omegaconf import OmegaConf

from ganvas.configuration import Configuration
from ganvas.params import check_params

# Entries of credentials.yml that the catalog names; Kedro stops at a name that is missing.
CREDENTIALS = ("kaggle", "huggingface")


class GanvasConfigLoader(OmegaConfigLoader):
    """Fills `${chosen:dataset}`, `${chosen:network}` and `${chosen:source}` into the catalog.

    They follow the parameters, wherever these come from: conf/base, an environment or --params.
    Kedro asks for the catalog before it does anything else, so a wrong parameter ends a run there.
    Credentials that nobody has written down are empty.
    """

    def __getitem__(self, key: str) -> dict[str, Any]:
        if key == "catalog":
            choices = check_params(Configuration, self["parameters"]).choices()
            OmegaConf.register_new_resolver("chosen", choices.__getitem__, replace=True)
        if key == "credentials":
            return dict.fromkeys(CREDENTIALS) | self._read_credentials()
        return super().__getitem__(key)

    def _read_credentials(self) -> dict[str, Any]:
        """Read conf/local with any --env: Kedro leaves it out as soon as there is one."""
        chosen, found = self.env, dict[str, Any]()
        try:
            for env in (self.default_run_env, chosen):
                self.env = env
                with contextlib.suppress(MissingConfigException):
                    found |= super().__getitem__("credentials")
        finally:
            self.env = chosen
        return found
