"""Recognize file formats by their first bytes, whatever the names of the files say."""

import importlib
import re
from contextlib import suppress
from functools import cache
from typing import NamedTuple

from PIL import Image, TiffImagePlugin

from ganvas.extras import install_command
from ganvas.ingestion.rejection import Rejection

# Bytes in which formats are recognized.
START = 4096
# Formats that Pillow registers although it can only write them, reads them by external programs
# or reads nothing but their size.
NON_IMAGE_FORMATS = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "PALM", "PDF", "WMF"}
# Suffixes of raw photographs, most of which begin like TIFF files and hold a small preview.
RAW_SUFFIXES = {
    *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".iiq", ".kdc", ".mef"),
    *(".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2"),
    *(".srf", ".srw", ".x3f"),
}
# Tags of a TIFF file: a reduced image of another in the same file, and the version of DNG.
NEW_SUBFILE_TYPE, DNG_VERSION = 254, 50706

UNSUPPORTED = "which can't be read"
CONVERT = "convert it to JPEG or PNG"
DEVELOP = "convert it to JPEG or TIFF with a program for raw photographs"
DOWNLOAD = "download the file again"
EXTRACT = "unpack it"


class FileFormat(NamedTuple):
    """A format of files.

    Attributes:
        name: Its name, with an article.
        pattern: Regular expression that matches the start of its files.
        is_image: Whether its files are images.
        pillow: Pillow's name of the format; "" if Pillow never reads it.
        remedy: What to do with a file that can't be read.
    """

    name: str
    pattern: bytes
    is_image: bool
    pillow: str
    remedy: str

    @property
    def is_readable(self) -> bool:
        """Whether the installed packages read the format."""
        return self.pillow in supported_formats()


def _image(name: str, pattern: bytes, pillow: str = "", remedy: str = CONVERT) -> FileFormat:
    return FileFormat(name, pattern, True, pillow, remedy)


def _other(name: str, pattern: bytes, remedy: str) -> FileFormat:
    return FileFormat(name, pattern, False, "", remedy)


RAW = _image("a raw photograph", rb"(?!)", remedy=DEVELOP)
# The first match counts.
FORMATS = [
    _image("a JPEG XL image", rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n"),
    _image("a JPEG-LS image", rb"\xff\xd8\xff\xf7"),
    _image("a JPEG", rb"\xff\xd8\xff", "JPEG"),
    _image("a PNG", rb"\x89PNG\r\n\x1a\n", "PNG"),
    _image("a GIF", rb"GIF8[79]a", "GIF"),
    _image("a WebP image", rb"RIFF....WEBP", "WEBP"),
    _image("an AVIF image", rb"....ftypavi[fs]|....ftypmi[fa]1.{4}(?:....){0,8}?avif", "AVIF"),
    _image("a HEIC image", rb"....ftyp(?:he[iv][cmsx]|m[is]f1)", "HEIF"),
    _image("a raw photograph", rb"....ftypcrx |II\*\0....CR|II\x1a\0\0\0HEAPCCDR", remedy=DEVELOP),
    _image("a raw photograph", rb"II(?:RO|RS|U\0)|MMOR|FUJIFILMCCD-RAW|FOVb|\0MRM", remedy=DEVELOP),
    _image("a JPEG XR image", rb"II\xbc[\0\x01]"),
    _image("a TIFF", rb"II[*+]\0|MM\0[*+]", "TIFF"),
    _image("a JPEG 2000 image", rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51", "JPEG2000"),
    _image("a Photoshop document", rb"8BPS", "PSD", "save it as PNG"),
    _image("a BMP", rb"BM.{8}....[\x0c-\x7c]\0\0\0", "BMP"),
    _image("a DDS image", rb"DDS \x7c\0\0\0", "DDS"),
    _image("a QOI image", rb"qoif", "QOI"),
    _image("a PNM image", rb"P[1-7fFyz]\s", "PPM"),
    _image("a FITS image", rb"SIMPLE  =", "FITS"),
    _image("an icon", rb"\0\0\x01\0[^\0]\0", "ICO"),
    _image("an SGI image", rb"\x01\xda[\0\x01][\x01\x02]", "SGI"),
    _image("an OpenEXR image", rb"v/1\x01", remedy="convert it to PNG"),
    _image("a Radiance HDR image", rb"#\?R(?:ADIANCE|GBE)", remedy="convert it to PNG"),
    _image("a DICOM image", rb".{128}DICM", remedy="convert it to PNG"),
    _image("a GIMP image", rb"gimp xcf", remedy="export it as PNG"),
    _image("a Clip Studio document", rb"CSFCHUNK", remedy="export it as PNG"),
    _image("a BPG image", rb"BPG\xfb"),
    _image("a FLIF image", rb"FLIF"),
    _image(
        "an SVG drawing",
        rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml.*?)?(?:<!--.*?-->\s*)*(?:<!DOCTYPE svg.*?)?<svg[\s>]",
        remedy="export it as PNG",
    ),
    _other("a PDF document", rb"\s*%PDF-", "export its pages or images as PNG"),
    _other("a PostScript file", rb"%!PS|\xc5\xd0\xd3\xc6", "export it as PNG"),
    _other("a Windows metafile", rb"\xd7\xcd\xc6\x9a|\x01\0\0\0.{36} EMF", "export it as PNG"),
    _other(
        "a video",
        rb"....ftyp|....(?:moov|mdat|wide)|\x1aE\xdf\xa3|RIFF....AVI |\0\0\x01[\xba\xb3]|FLV\x01"
        rb"|\x30\x26\xb2\x75\x8e\x66\xcf\x11|OggS|G.{187}G",
        "extract frames from it, for example by ffmpeg",
    ),
    _other("a sound", rb"ID3|fLaC|RIFF....WAVE|FORM....AIF|#!AMR", "remove it"),
    _other(
        "a Git LFS pointer",
        rb"version https://git-lfs\.github\.com/spec/",
        "run 'git lfs pull' in its repository",
    ),
    _other("a git-annex pointer", rb"/annex/objects/", "run 'git annex get' in its repository"),
    _other("an HTML page", rb"(?i)(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html|head|body)", DOWNLOAD),
    _other("an XML document, such as a server's error", rb"(?:\xef\xbb\xbf)?\s*<\?xml", DOWNLOAD),
    _other("a server's answer", rb"HTTP/[12]", DOWNLOAD),
    _other(
        "an archive", rb"PK\x03\x04|PK\x05\x06|\x1f\x8b|Rar!|7z\xbc\xaf|BZh|\xfd7zXZ\0", EXTRACT
    ),
    _other("an archive", rb".{257}ustar", EXTRACT),
    _other("a NumPy array", rb"\x93NUMPY", "save it as PNG"),
    _other("an HDF5 file", rb"\x89HDF\r\n", "save its images as PNG"),
    _other(
        "an image that was transferred as text",
        rb"\xc2\x89PNG|\xc3\xbf\xc3\x98|\xef\xbf\xbd(?:PNG|\xef\xbf\xbd)|\x89PNG\r?\r?\n\r?\x1a",
        "transfer it again, as a binary file",
    ),
    _other("a base64 text", rb"data:image/|/9j/4|iVBORw0KGgo", "decode it from base64"),
    _other("metadata of macOS", rb"\0\x05\x16[\0\x07]", "remove it"),
    _other("a link of Windows", rb"L\0\0\0\x01\x14\x02\0", "copy the file that it links to"),
    _other("a link of macOS", rb"book\0\0\0\0mark", "copy the file that it links to"),
    _other("zeros alone", rb"\0+\Z", "its copy or download is incomplete, so repeat it"),
]


@cache
def supported_formats() -> tuple[str, ...]:
    """Return Pillow's names of the image formats that are read, HEIF among them if installed."""
    with suppress(ImportError):  # an extra
        importlib.import_module("pillow_heif").register_heif_opener()
    Image.init()
    return tuple(name for name in Image.ID if name not in NON_IMAGE_FORMATS)


@cache
def image_suffixes() -> frozenset[str]:
    """Return the suffixes of the image formats that are read, in lower case with their dots."""
    supported_formats()
    names = Image.registered_extensions()
    return frozenset(suffix for suffix, name in names.items() if name not in NON_IMAGE_FORMATS)


def recognize(start: bytes) -> FileFormat | None:
    """Return the format of a file, if it is one of `FORMATS`.

    Args:
        start: The file's first `START` bytes, or all that it has.

    Example:
        >>> recognize(b"%PDF-1.7").name
        'a PDF document'
    """
    start = start[:START]
    matches = (form for form in FORMATS if re.match(form.pattern, start, re.DOTALL))
    return next(matches, None)


def explain_unreadable(content: bytes) -> Rejection:
    """Return why a file, in which Pillow recognizes no image, is rejected."""
    form = recognize(content)
    if form is None:
        return Rejection("not an image")
    if not form.is_image:
        return Rejection(f"not an image but {form.name}: {form.remedy}")
    if form.is_readable:
        return Rejection(
            f"{form.name}, {UNSUPPORTED}: it is damaged, or has unusual samples, channels or "
            "compression; save it with 8 bits per sample"
        )
    return explain_format(form)


def explain_format(form: FileFormat) -> Rejection:
    """Return why images of a format that is not read are rejected."""
    hint = ""
    if form.pillow == "HEIF":
        hint = f"to read it, install pillow-heif by {install_command('heif')}"
    return Rejection(f"{form.name}, {UNSUPPORTED}: {form.remedy}", hint)


def check_whole_image(image: Image.Image) -> None:
    """Check that an image is not the small preview in a raw photograph.

    Raises:
        Rejection: It is the preview.
    """
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        kind = image.tag_v2.get(NEW_SUBFILE_TYPE)
        if (isinstance(kind, int) and kind & 1) or DNG_VERSION in image.tag_v2:
            raise explain_format(RAW)
