"""The chosen images are packed, also when they are gone since they were packed."""

import shutil

import pandas as pd
import pytest
from PIL import Image

from ganvas.errors import GanvasError
from ganvas.ingestion import pack_worker, packing
from ganvas.ingestion.artworks import COLUMNS
from ganvas.ingestion.collection import read_manifest
from ganvas.pipelines.ingest.nodes import list_source, pack_images
from ganvas.pipelines.ingest.params import IngestParams


def run(raw, folder, **params):
    given = IngestParams(**{"size": 32, "source": {"name": "artworks"}} | params)
    listing = list_source(raw, folder, given)
    return listing, pack_images(*listing, raw, folder, given)


def draw(raw, artists=("Ada",)):
    """Draw six images for each artist, with a file that is none."""
    rows = []
    for artist, name in enumerate(artists):
        (raw / "images" / name).mkdir(parents=True)
        for number in range(6):
            image = Image.new("RGB", (40, 40), (number * 20, artist * 40, 0))
            image.save(raw / "images" / name / f"{name}{number}.png")
        genre = ("Cubism", "Realism")[artist % 2]
        rows.append((str(artist), name, "1815 - 1852", genre, "British", "", "", "6"))
    (raw / "images" / artists[0] / "a.txt").touch()
    pd.DataFrame(rows, columns=COLUMNS).to_csv(raw / "artists.csv", index=False)


def test_the_packed_collection_is_used_with_a_warning(tmp_path, caplog):
    raw, folder = tmp_path / "raw", tmp_path / "packed"
    draw(raw)
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


def test_the_chosen_images_are_packed_and_others_are_no_rejected_files(tmp_path, monkeypatch):
    raw, folder = tmp_path / "raw", tmp_path / "packed"
    draw(raw, ("Ada", "Ben", "Cid"))
    all_images = run(raw, folder)[1]
    assert "choice" not in read_manifest(folder)
    choice = {"only": {"genre": ["Cubism"]}, "most": {"artist": 4}}
    listing, chosen = run(raw, folder, **choice)
    assert chosen.index["artist"].value_counts().to_dict() == {"Ada": 4, "Cid": 4}
    # They keep their splits, and only the file that is no image is rejected.
    splits = all_images.index.set_index("path")["split"]
    assert chosen.index["split"].tolist() == splits[chosen.index["path"]].tolist()
    assert chosen.rejected["path"].tolist() == ["images/Ada/a.txt"]
    assert listing.artists[["name", "files"]].to_numpy().tolist() == [["Ada", 4], ["Cid", 4]]
    manifest = read_manifest(folder)["choice"]
    assert (manifest["listed"], manifest["chosen"]) == (18, 8)
    assert manifest["left_out"] == {"only": 6, "most": 4}
    # The same choice packs nothing again, with the images and without them.
    with monkeypatch.context() as patch:
        patch.setattr(pack_worker, "decode_image", lambda *_: pytest.fail("decoded again"))
        assert run(raw, folder, **choice)[1].index.equals(chosen.index)
        raw.rename(tmp_path / "unplugged")
        assert run(raw, folder, **choice)[1].index.equals(chosen.index)
        with pytest.raises(GanvasError, match="does not exist"):
            run(raw, folder)
        (tmp_path / "unplugged").rename(raw)
    assert run(raw, folder)[1].index.equals(all_images.index)
    assert "choice" not in read_manifest(folder)


def test_a_choice_of_all_images_packs_nothing_again(tmp_path, monkeypatch):
    raw, folder = tmp_path / "raw", tmp_path / "packed"
    draw(raw)
    run(raw, folder)
    monkeypatch.setattr(pack_worker, "decode_image", lambda *_: pytest.fail("decoded again"))
    run(raw, folder, most={"artist": 100})
    assert read_manifest(folder)["choice"]["left_out"] == {"most": 0}
    run(raw, folder)
    assert "choice" not in read_manifest(folder)


def test_without_a_choice_collections_of_earlier_versions_are_used():
    """Their manifests have these hashes of default parameters."""
    records = pd.DataFrame({"path": ["a.png"], "bytes": [1], "modified_ns": [2]})
    records = records.astype({"path": "str"})
    params = IngestParams()
    assert packing._hash_parameters(params) == "0d6ac580dcedd30dac4e819bbab04167"
    assert packing._fingerprint(records, params) == "a90c07f205ee6265eacbb1fb5066a4b1"
