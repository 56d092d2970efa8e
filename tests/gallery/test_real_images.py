"""The collection of real images behind a model."""

import os

from ganvas.gallery.model_store import ModelStore
from ganvas.gallery.real_images import find_collection
from ganvas.ingestion.collection import MANIFEST
from projects import PLAIN


def test_a_collection_is_opened_once_until_it_is_packed_again(trained):
    data = trained / "data"
    model = ModelStore(data / "06_models").load(PLAIN)
    collection = find_collection(data, model)
    assert find_collection(data, model) is collection
    manifest = data / "03_primary/sample/collection" / MANIFEST
    later = manifest.stat().st_mtime_ns + 1_000_000_000
    os.utime(manifest, ns=(later, later))
    assert find_collection(data, model) is not collection
