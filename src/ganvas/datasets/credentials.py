"""Credentials as a catalog entry, for nodes that call a service."""

from typing import Any, NoReturn

from kedro.io import AbstractDataset, DatasetError


class CredentialsDataset(AbstractDataset[None, dict[str, str]]):
    """One entry of credentials.yml, or an empty dictionary; read-only.

    Args:
        credentials: The entry, which Kedro substitutes for its name.
        metadata: For plugins such as Kedro-Viz.
    """

    def __init__(self, *, credentials: Any = None, metadata: dict[str, Any] | None = None) -> None:
        self._credentials = {} if credentials is None else credentials
        self.metadata = metadata

    def load(self) -> dict[str, str]:
        """Return the entry."""
        return self._credentials

    def save(self, data: None) -> NoReturn:
        """Raise a DatasetError."""
        raise DatasetError("Credentials can't be saved: write them into conf/local by hand.")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        # Empty, since descriptions are printed and logged.
        return {}
