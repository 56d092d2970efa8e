"""Archives of images as a source."""

import io
import os
import shutil
import stat
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from ganvas.datasets.folder import MirroredFolderDataset
from ganvas.errors import GanvasError
from ganvas.ingestion import SourceParams, archives, list_images
from ganvas.ingestion.archives import find_images, is_archive, unpack


def png(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (12, 10), (number, 100, 50)).save(buffer, "PNG")
    return buffer.getvalue()


FILES = {"art/cats/a.png": png(1), "art/cats/ü.png": png(2), "art/dogs/b.png": png(3)}
HIDDEN = {"art/.DS_Store": b"x", "__MACOSX/art/cats/._a.png": b"x"}


def make_zip(file: Path, files: dict[str, bytes], **options) -> Path:
    with zipfile.ZipFile(file, "w", **options) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2020, 2, 3, 4, 5, 6)), content)
    return file


def make_tar(file: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(file, mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(content), 1_600_000_000
            archive.addfile(info, io.BytesIO(content))
    return file


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name[0] != "."]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize(
    ("name", "make", "options"),
    [
        ("art.zip", make_zip, {}),
        ("art.data", make_zip, {"compression": zipfile.ZIP_LZMA}),
        ("art.tar", make_tar, {}),
        ("art.tar.gz", make_tar, {"mode": "w:gz"}),
        ("art.tgz", make_tar, {"mode": "w:gz"}),
        ("art.tar.bz2", make_tar, {"mode": "w:bz2"}),
        ("art.tar.xz", make_tar, {"mode": "w:xz"}),
    ],
)
def test_archives_are_read_as_their_folders(tmp_path, name, make, options):
    archive = make(tmp_path / name, FILES | HIDDEN, **options)
    assert is_archive(archive)
    dataset = MirroredFolderDataset(filepath=str(archive), path=str(tmp_path / "raw/art"))
    records = list_images(dataset.load(), SourceParams(name="folder")).records
    assert records[["path", "class"]].values.tolist() == [
        ["cats/a.png", "cats"],
        ["cats/ü.png", "cats"],
        ["dogs/b.png", "dogs"],
    ]
    assert contents(unpack(archive, tmp_path / "raw" / archives.UNPACKED)) == FILES
    # Unpacked again, files have the same times.
    shutil.rmtree(tmp_path / "raw")
    dataset = MirroredFolderDataset(filepath=str(archive), path=str(tmp_path / "raw/art"))
    again = list_images(dataset.load(), SourceParams(name="folder")).records
    assert dataset.load() == dataset.load() and again.equals(records)


def test_a_changed_archive_is_unpacked_again_and_one_that_is_gone_is_kept(tmp_path, caplog):
    archive = make_zip(tmp_path / "art.zip", FILES)
    folder = unpack(archive, tmp_path / "cache")
    assert folder.name == "art" and find_images(folder) == folder / "art"
    marker = (folder / archives.MARKER).stat().st_mtime_ns
    assert unpack(archive, tmp_path / "cache") == folder
    assert (folder / archives.MARKER).stat().st_mtime_ns == marker
    make_zip(archive, {"new.png": png(9)})
    assert contents(unpack(archive, tmp_path / "cache")) == {"new.png": png(9)}
    archive.unlink()
    assert contents(unpack(archive, tmp_path / "cache")) == {"new.png": png(9)}
    assert f"{archive} is not there" in caplog.text
    with pytest.raises(GanvasError, match=r"art\.zip can't be read \(No such file"):
        unpack(archive, tmp_path / "other")


def test_the_folder_of_celeba_is_kept(tmp_path):
    archive = make_zip(tmp_path / "faces.zip", {"img_align_celeba/000001.jpg": png(1)})
    folder = find_images(unpack(archive, tmp_path / "cache"))
    assert list_images(folder, SourceParams(name="celeba")).records.shape[0] == 1


def test_labels_of_stylegan_in_an_archive(tmp_path):
    labels = b'{"labels": [["00000/img0.png", 1], ["00000/img1.png", 0]]}'
    files = {"00000/img0.png": png(1), "00000/img1.png": png(2), "dataset.json": labels}
    folder = find_images(unpack(make_zip(tmp_path / "s.zip", files), tmp_path / "cache"))
    params = SourceParams(name="folder", folder={"labels": "csv"})
    assert list_images(folder, params).records["class"].tolist() == ["1", "0"]


def test_names_that_are_utf8_without_a_flag_are_decoded(tmp_path):
    archive = make_zip(tmp_path / "a.zip", {"ü.png": b"x"})
    raw = archive.read_bytes()
    # Clears the flag in the local and in the central header.
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = raw.index(mark) + offset
        raw = raw[:at] + struct.pack("<H", 0) + raw[at + 2 :]
    archive.write_bytes(raw)
    assert contents(unpack(archive, tmp_path / "cache")) == {"ü.png": b"x"}


def test_links_in_an_archive_are_copies_of_its_own_files(tmp_path):
    archive = make_tar(tmp_path / "a.tar", {"art/a.png": b"image"})
    with tarfile.open(archive, "a") as opened:
        for name, kind, target in (
            ("art/hard.png", tarfile.LNKTYPE, "art/a.png"),
            ("art/soft.png", tarfile.SYMTYPE, "../art/a.png"),
            ("art/out.png", tarfile.SYMTYPE, "/etc/passwd"),
            ("art/up.png", tarfile.SYMTYPE, "../../../../../../../etc/passwd"),
            ("art/pipe", tarfile.FIFOTYPE, ""),
            ("art/device", tarfile.CHRTYPE, ""),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            opened.addfile(info)
    folder = unpack(archive, tmp_path / "cache")
    assert contents(folder) == dict.fromkeys(
        ("art/a.png", "art/hard.png", "art/soft.png"), b"image"
    )
    assert not any(path.is_symlink() for path in folder.rglob("*"))


@pytest.mark.parametrize("name", ["../evil.png", "a/../../evil.png", "..\\evil.png"])
@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_files_outside_of_the_folder_are_refused(tmp_path, make, name):
    archive = make(tmp_path / "a.zip", {"good.png": b"x", name: b"evil"})
    with pytest.raises(GanvasError, match=r"which would lie outside of the folder"):
        unpack(archive, tmp_path / "x" / "cache")
    assert not list(tmp_path.rglob("evil.png")) and not list(tmp_path.rglob("good.png"))


def test_absolute_names_are_put_below_the_folder(tmp_path):
    names = {"/home/ada/a.png": b"a", "C:\\art\\b.png": b"b"}
    expected = {"home/ada/a.png": b"a", "art/b.png": b"b"}
    assert contents(unpack(make_tar(tmp_path / "a.tar", names), tmp_path / "c")) == expected


def encrypt(file: Path) -> None:
    raw = make_zip(file, FILES).read_bytes()
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        parts = raw.split(mark)
        raw = parts[0] + b"".join(
            mark + part[: offset - 4] + bytes([part[offset - 4] | 1]) + part[offset - 3 :]
            for part in parts[1:]
        )
    file.write_bytes(raw)


def cut(file: Path, make, share: float, **options) -> None:
    # Random bytes, since these do not compress.
    files = {f"{number}.png": os.urandom(20_000) for number in range(9)}
    raw = make(file, files, **options).read_bytes()
    file.write_bytes(raw[: int(len(raw) * share)])


def damage(file: Path) -> None:
    raw = bytearray(make_zip(file, {"a.png": bytes(1000)}).read_bytes())
    raw[200] ^= 1
    file.write_bytes(raw)


@pytest.mark.parametrize(
    ("name", "make", "sentence"),
    [
        ("a.zip", encrypt, "is encrypted: unpack it with its password"),
        ("a.zip", lambda file: cut(file, make_zip, 0.5), "is damaged or incomplete: copy or"),
        ("a.tar", lambda file: cut(file, make_tar, 0.5), "is damaged or incomplete: copy or"),
        ("a.tgz", lambda file: cut(file, make_tar, 0.5, mode="w:gz"), "is damaged or incomplete"),
        ("a.tbz2", lambda file: cut(file, make_tar, 0.5, mode="w:bz2"), "is damaged or incompl"),
        ("a.txz", lambda file: cut(file, make_tar, 0.5, mode="w:xz"), "is damaged or incomplete"),
        ("a.zip", damage, "is damaged or incomplete: copy or .*CRC"),
        ("a.zip", Path.touch, "is damaged or incomplete"),
        ("a.tar.gz", lambda file: file.write_bytes(b"text"), "is damaged or incomplete"),
        ("a.7z", lambda file: file.write_bytes(b"7z\xbc\xaf"), "is neither a ZIP nor a TAR"),
    ],
)
def test_archives_that_can_not_be_read_are_refused_in_a_sentence(tmp_path, name, make, sentence):
    make(tmp_path / name)
    assert is_archive(tmp_path / name)
    with pytest.raises(GanvasError, match=sentence):
        unpack(tmp_path / name, tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_bombs_and_files_that_do_not_fit_are_refused(tmp_path, monkeypatch):
    options = {"compression": zipfile.ZIP_DEFLATED}
    with zipfile.ZipFile(tmp_path / "a.zip", "w", **options) as archive:
        for number in range(4):
            archive.writestr(f"{number}.bmp", bytes(10**6))
    assert len(contents(unpack(tmp_path / "a.zip", tmp_path / "cache"))) == 4
    monkeypatch.setattr(archives, "MAX_BYTES", 10**6)
    with pytest.raises(GanvasError, match="unpacks to more than 200 times its size"):
        unpack(tmp_path / "a.zip", tmp_path / "other")
    monkeypatch.setattr(archives, "RESERVE", 2**62)
    with pytest.raises(GanvasError, match="has no space for the files of"):
        unpack(tmp_path / "a.zip", tmp_path / "third")


def link_in_zip(name: str, target: str) -> tuple[zipfile.ZipInfo, str]:
    info = zipfile.ZipInfo(name, (2020, 2, 3, 4, 5, 6))
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info, target


def link_in_tar(name: str, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info


def test_links_become_files_also_through_others_and_the_rest_is_named(tmp_path, caplog):
    links = {
        "cats/second.png": "first.png",
        "cats/first.png": "../all/a.png",
        "cats/circle.png": "circle.png",
        "cats/out.png": "/etc/passwd",
        "dogs": "cats",
    }
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, target in links.items():
            archive.writestr(*link_in_zip(name, target))
        archive.writestr("all/a.png", b"a")
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, target in links.items():
            archive.addfile(link_in_tar(name, target))
        info = tarfile.TarInfo("all/a.png")
        info.size = 1
        archive.addfile(info, io.BytesIO(b"a"))
    for file in (tmp_path / "a.zip", tmp_path / "a.tar"):
        caplog.clear()
        unpacked = contents(unpack(file, tmp_path / "cache"))
        assert unpacked == dict.fromkeys(["all/a.png", "cats/first.png", "cats/second.png"], b"a")
        assert "'cats/circle.png', since it is a link to what is no file of" in caplog.text
        assert "3 in all" in caplog.text


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a/" + "x" * 300 + ".png", "its name is too long"),
        ("art", "that of a file and of a folder"),
        ("art/cats/a.png/b.png", "that of a file and of a folder"),
        ("d/" * 1500 + "a.png", "in more than 64 folders within each other"),
    ],
)
@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_files_with_names_that_can_not_be_are_left_out(tmp_path, caplog, make, name, reason):
    archive = make(tmp_path / "a.zip", {**FILES, name: b"x"})
    assert contents(unpack(archive, tmp_path / "cache")) == FILES
    assert reason in caplog.text and "1 in all" in caplog.text


@pytest.mark.parametrize("time", ["1e300", "inf", "nan", "-1"])
def test_impossible_times_are_replaced(tmp_path, time):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        info = tarfile.TarInfo("a.png")
        info.pax_headers = {"mtime": time}
        archive.addfile(info)
    assert contents(unpack(tmp_path / "a.tar", tmp_path / "cache")) == {"a.png": b""}


def test_archives_with_a_name_of_dots_keep_within_their_own_folder(tmp_path):
    for number, name in enumerate(["..zip", "...zip", ".zip"]):
        files = {"a.png": b"%d" % number}
        folder = unpack(make_zip(tmp_path / name, files), tmp_path / "cache")
        assert contents(folder) == files and folder.parent.parent == tmp_path / "cache"


def test_tar_archives_cut_between_files_do_not_pass_as_complete(tmp_path, caplog):
    raw = make_tar(tmp_path / "a.tar", {"first.png": b"x", "second.png": b"y"}).read_bytes()
    second = raw.index(b"second.png")
    (tmp_path / "half.tar").write_bytes(raw[: second + 100])
    damaged = raw[: second + 150] + b"XXXX" + raw[second + 154 :]
    (tmp_path / "damaged.tar").write_bytes(damaged)
    for name in ("half.tar", "damaged.tar"):
        with pytest.raises(GanvasError, match="is damaged or incomplete"):
            unpack(tmp_path / name, tmp_path / "cache")
    assert not caplog.text
    # At the end of a file: programs may leave out the end, so that it is a warning.
    (tmp_path / "cut.tar").write_bytes(raw[:second])
    assert len(contents(unpack(tmp_path / "cut.tar", tmp_path / "cache"))) == 1
    assert "cut.tar is missing: files may be missing too" in caplog.text


def test_names_that_the_zip_module_can_not_read_are_one_sentence(tmp_path):
    raw = make_zip(tmp_path / "a.zip", FILES).read_bytes()
    # The first name in the directory begins with a zero, so that nothing of it is left.
    at = raw.index(b"PK\x01\x02") + 46
    (tmp_path / "a.zip").write_bytes(raw[:at] + b"\0" + raw[at + 1 :])
    with pytest.raises(GanvasError, match="is damaged or incomplete"):
        unpack(tmp_path / "a.zip", tmp_path / "cache")


def test_paths_that_can_not_be_are_no_archives():
    assert not is_archive(Path("/tmp/" + "x" * 300 + ".zip"))
