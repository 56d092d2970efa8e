"""Ingestion when the images are gone since they were packed."""

import shutil

import pandas as pd
import pytest
from PIL import Image

from ganvas.errors import GanvasError
from ganvas.ingestion.artworks import COLUMNS
from ganvas.pipelines.ingest.nodes import list_source, pack_images
from ganvas.pipelines.ingest.params import IngestParams


def run(raw, folder, **params):
    given = IngestParams(**{"size": 32, "source": {"name": "artworks"}} | params)
    listing = list_source(raw, folder, given)
    return listing, pack_images(*listing, raw, folder, given)


def test_the_packed_collection_is_used_with_a_warning(tmp_path, caplog):
    raw, folder = tmp_path / "raw", tmp_path / "packed"
    for number in range(6):
        file = raw / "images" / "Ada" / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40), (number * 20, 0, 0)).save(file)
    (raw / "images" / "Ada" / "a.txt").touch()
    row = ("0", "Ada", "1815 - 1852", "Cubism", "British", "", "", "6")
    pd.DataFrame([row], columns=COLUMNS).to_csv(raw / "artists.csv", index=False)
    before = run(raw, folder)
    assert "not there" not in caplog.text
    raw.rename(tmp_path / "unplugged")
    after = run(raw, folder)
    assert f"The images of {raw} are not there: the collection" in caplog.text
    assert after[1].index.equals(before[1].index)
    assert after[0].skipped["path"].tolist() == ["images/Ada/a.txt"]
    assert after[0].artists["first_year"].tolist() == [1815]
    with pytest.raises(GanvasError, match="does not exist"):
        run(raw, folder, size=64)
    with pytest.raises(GanvasError, match="does not exist"):
        run(raw, folder, source={"name": "folder"})
    # The disk is back.
    (tmp_path / "unplugged").rename(raw)
    caplog.clear()
    assert run(raw, folder)[1].index.equals(before[1].index)
    assert "not there" not in caplog.text
    shutil.rmtree(folder)
    assert len(run(raw, folder)[1].images) == 6
