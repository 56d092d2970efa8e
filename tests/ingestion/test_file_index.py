"""Lists of the files of a source."""

from pathlib import Path

from ganvas.ingestion import file_index
from ganvas.ingestion.file_index import scan

AGAIN = "a link to a folder that is listed already"


def put(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"bytes")


def paths(folder: Path, subfolder: str = "") -> tuple[list[str], dict[str, str]]:
    files, skipped = scan(folder, subfolder)
    return files["path"].tolist(), dict(skipped[["path", "reason"]].values.tolist())


def test_links_to_class_folders_and_to_files_are_followed(tmp_path):
    pool, folder = tmp_path / "pool", tmp_path / "art"
    put(pool / "c1/a.png", pool / "c1/deep/b.png", pool / "c2/c.png", folder / "own/d.png")
    (folder / "cats").symlink_to(pool / "c1")
    (folder / "dogs").symlink_to(Path("../pool/c2"))
    (folder / "own" / "e.png").symlink_to(pool / "c1/a.png")
    files, skipped = paths(folder)
    assert files == ["cats/a.png", "cats/deep/b.png", "dogs/c.png", "own/d.png", "own/e.png"]
    assert skipped == {}
    sizes, _ = scan(folder)
    assert set(sizes["bytes"]) == {5}


def test_circles_of_links_end(tmp_path):
    folder, other = tmp_path / "art", tmp_path / "other"
    put(folder / "cats/a.png", other / "b.png")
    links = {
        folder / "self": folder / "self",
        folder / "loop": folder / "pool",
        folder / "pool": folder / "loop",
        folder / "cats/here": folder / "cats",
        folder / "cats/top": folder,
        folder / "cats/above": tmp_path,
        folder / "root": Path("/"),
        folder / "other": other,
        other / "back": folder / "cats",
        other / "mutual": other,
        folder / "gone": tmp_path / "gone",
    }
    for link, target in links.items():
        link.symlink_to(target)
    files, skipped = paths(folder)
    # Links that lead nowhere are files, which decoding rejects.
    assert files == ["cats/a.png", "gone", "loop", "other/b.png", "pool", "self"]
    again = ["cats/above", "cats/here", "cats/top", "other/back", "other/mutual", "root"]
    assert skipped == dict.fromkeys(again, AGAIN)


def test_each_folder_is_listed_once_at_its_own_path_or_at_the_first_link(tmp_path):
    folder, pool = tmp_path / "art", tmp_path / "pool"
    put(folder / "z/a.png", pool / "x/sub/b.png")
    (folder / "a").symlink_to(folder / "z")
    (folder / "b").symlink_to(pool / "x/sub")
    (folder / "c").symlink_to(pool / "x")
    files, skipped = paths(folder)
    assert files == ["b/b.png", "z/a.png"] and skipped == {"a": AGAIN, "c/sub": AGAIN}


def test_links_are_followed_below_a_folder_that_is_a_link(tmp_path):
    put(tmp_path / "real/images/Ada/a.png", tmp_path / "pool/b.png")
    (tmp_path / "real/images/Ben").symlink_to(tmp_path / "pool")
    (tmp_path / "real/images/top").symlink_to(tmp_path / "link")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    files, skipped = paths(tmp_path / "link", "images")
    assert files == ["images/Ada/a.png", "images/Ben/b.png"] and skipped == {"images/top": AGAIN}


def test_files_that_vanish_while_their_folder_is_read_are_left_out(tmp_path, monkeypatch):
    put(tmp_path / "a.png", tmp_path / "b.png")
    read_stat = file_index._read_stat

    def remove_first(entry):
        (tmp_path / "a.png").unlink(missing_ok=True)
        return read_stat(entry)

    monkeypatch.setattr(file_index, "_read_stat", remove_first)
    assert paths(tmp_path)[0] == ["b.png"]
