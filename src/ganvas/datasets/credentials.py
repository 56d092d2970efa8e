"""Credentials in the catalog, for nodes that call on a service."""

from typing import Any, NoReturn

from kedro.io import AbstractDataset, DatasetError


class CredentialsDataset(AbstractDataset[None, dict[str, str]]):
    """Loads as one entry of credentials.yml, empty where there is none; it can't be saved.

    Args:
        credentials: The entry, put in by Kedro.
        metadata: For plugins such as kedro-viz.
    """

    def __init__(self, *, credentials: Any = None, metadata: dict[str, Any] | None = None) -> None:
        self._credentials = {} if credentials is None else credentials
        self.metadata = metadata

    def load(self) -> dict[str, str]:
        """Give the entry as it stands in the file."""
        return self._credentials

    def save(self, data: None) -> NoReturn:
        """Refuse: credentials are written by hand."""
        raise DatasetError("Credentials can't be saved: write them into conf/local by hand.")

    def _exists(self) -> bool:
        # It can be loaded at any time.
        return True

    def _describe(self) -> dict[str, Any]:
        # Descriptions are printed and logged.
        return {}
