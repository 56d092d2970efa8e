import inspect

import pytest
from kedro.io import DataCatalog

from ganvas.datasets.preview import empty_until_made
from projects import load_config


def test_what_no_run_has_made_yet_has_an_empty_preview(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    credentials = {name: {} for name in ("kaggle", "huggingface", "object_store")}
    catalog = DataCatalog.from_config(load_config("catalog"), credentials)
    previews = {}
    for name in catalog:
        dataset = catalog.get(name)
        if hasattr(dataset, "preview"):
            metadata = dataset.metadata["kedro-viz"]
            previews[name] = dataset.preview(**metadata.get("preview_args", {}))
            # Kedro-Viz chooses how to show it by this name.
            kind = inspect.signature(dataset.preview).return_annotation
            assert getattr(kind, "__name__", kind).endswith("Preview")
    assert {"collection", "snapshots", "metrics", "curves_plot", "samples", "leaderboard"} <= set(
        previews
    )
    assert set(previews.values()) == {None}


def test_what_can_not_be_read_is_still_an_error():
    class Broken:
        def exists(self) -> bool:
            return True

        @empty_until_made
        def preview(self) -> str:
            raise OSError("disk failure")

    with pytest.raises(OSError, match="disk failure"):
        Broken().preview()
