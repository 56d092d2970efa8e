import pytest

from ganvas.atomic_files import atomic_path, atomic_write, replace_folder


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("shared", [False, True])
def test_a_file_appears_when_it_is_complete(tmp_path, shared):
    file = tmp_path / "new" / "a.txt"
    for text in ("one", "another"):
        with atomic_path(file, shared) as partial:
            partial.write_text(text)
            assert not file.exists() or file.read_text() == "one"
        assert file.read_text() == text and names(file.parent) == ["a.txt"]


@pytest.mark.parametrize("shared", [False, True])
def test_an_error_keeps_the_old_file_and_leaves_no_temporary_one(tmp_path, shared):
    file = tmp_path / "a.txt"
    atomic_write(file, b"old")
    with pytest.raises(ZeroDivisionError), atomic_path(file, shared) as partial:
        partial.write_text("ne")
        1 / 0  # noqa: B018 - it fails
    assert file.read_text() == "old" and names(tmp_path) == ["a.txt"]


def test_temporary_files_of_killed_processes_are_overwritten(tmp_path):
    (tmp_path / ".a.txt.partial").write_text("left by it")
    atomic_write(tmp_path / "a.txt", b"new")
    assert (tmp_path / "a.txt").read_text() == "new" and names(tmp_path) == ["a.txt"]


def test_processes_may_write_a_shared_file_at_once(tmp_path):
    file = tmp_path / "a.txt"
    with atomic_path(file, shared=True) as slow:
        slow.write_text("sl")
        with atomic_path(file, shared=True) as fast:
            fast.write_text("fast")
        slow.write_text("slow")
    assert file.read_text() == "slow" and names(tmp_path) == ["a.txt"]


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    folder, new = tmp_path / "a", tmp_path / "new"
    for text in ("one", "another"):
        new.mkdir()
        (new / f"{text}.txt").touch()
        replace_folder(folder, new)
        assert names(folder) == [f"{text}.txt"] and names(tmp_path) == ["a"]


def test_a_replacement_killed_while_it_deletes_the_old_folder_leaves_the_new_one(
    tmp_path, monkeypatch
):
    folder, new = tmp_path / "a", tmp_path / "new"
    for place in (folder, new):
        place.mkdir()
        (place / place.name).touch()

    def kill(path, **_):
        if path.exists():
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("ganvas.atomic_files.shutil.rmtree", kill)
        with pytest.raises(KeyboardInterrupt):
            replace_folder(folder, new)
    assert names(folder) == ["new"] and names(tmp_path) == [".a.old", "a"]
    new.mkdir()
    replace_folder(folder, new)
    assert names(folder) == [] and names(tmp_path) == ["a"]
