"""Local servers with the parts of the APIs of Kaggle and Hugging Face that the clients use."""

import functools
import io
import json
import re
import socket
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

# kagglesdk first: without both packages, tests/datasets would be imported as datasets.
kaggle_env = pytest.importorskip("kagglesdk.kaggle_env")
datasets = pytest.importorskip("datasets")
huggingface_hub = pytest.importorskip("huggingface_hub")

ARTWORKS = "ikarus777/best-artworks-of-all-time"
CELEBA = "jessicali9530/celeba-dataset"
WIKIART = "huggan/wikiart"
SHA = "a" * 40
STYLES, ARTISTS = ["Cubism", "Pop_Art"], ["Unknown Artist", "claude-monet", "m.c._escher"]
GENRES = ["portrait", "landscape", "Unknown Genre"]


@functools.cache
def image(number: int) -> bytes:
    file = io.BytesIO()
    gray = Image.linear_gradient("L").resize((40, 48)).rotate(number * 11)
    gray.convert("RGB").save(file, "JPEG", comment=str(number))
    return file.getvalue()


@functools.cache
def artworks_archive() -> bytes:
    header = "id,name,years,genre,nationality,bio,wikipedia,paintings\n"
    monet = "0,Claude Monet,1840 - 1926,Impressionism,French,b,w,12\n"
    files = {"artists.csv": f"{header}{monet}".encode()}
    for number in range(12):
        name = f"Claude_Monet_{number}.jpg"
        files[f"images/images/Claude_Monet/{name}"] = image(number)
        files[f"resized/resized/{name}"] = image(number)
    return archive(files)


@functools.cache
def celeba_archive() -> bytes:
    names = [f"{number:06d}.jpg" for number in range(1, 7)]
    files = {f"img_align_celeba/img_align_celeba/{name}": image(int(name[:6])) for name in names}
    smiles = "".join(f"{name},1\n" for name in names)
    splits = "".join(f"{name},0\n" for name in names)
    files["list_attr_celeba.csv"] = f"image_id,Smiling\n{smiles}".encode()
    files["list_eval_partition.csv"] = f"image_id,partition\n{splits}".encode()
    return archive(files)


def archive(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for name, content in files.items():
            file.writestr(name, content)
    return packed.getvalue()


@functools.cache
def wikiart_shards() -> dict[str, bytes]:
    """Return three parquet files of ten rows with the columns of the real dataset."""
    labels = {"artist": ARTISTS, "genre": GENRES, "style": STYLES}
    classes = {key: datasets.ClassLabel(names=names) for key, names in labels.items()}
    features = datasets.Features(image=datasets.Image(), **classes)
    shards = {}
    for shard in range(3):
        rows = range(shard * 10, shard * 10 + 10)
        columns = {key: [row % len(names) for row in rows] for key, names in labels.items()}
        columns["image"] = [{"bytes": image(row), "path": None} for row in rows]
        file = io.BytesIO()
        table = datasets.Dataset.from_dict(columns, features=features)
        table.to_parquet(file, batch_size=4)
        shards[f"data/train-{shard:05d}-of-00003.parquet"] = file.getvalue()
    return shards


class Hub(ThreadingHTTPServer):
    """Server of both APIs.

    Attributes:
        requests: Requests so far, as "METHOD path" and the range, if any.
        archives: Datasets of Kaggle.
        shards: Files of the dataset of Hugging Face.
        stop_after: Bytes after which the download of an archive is cut off, or None.
        token: The only valid token; None: no authentication.
        lost: The answer for this shard and later ones is 403, or None.
        status: Status of all answers, or None.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[str] = []
        self.archives = {ARTWORKS: artworks_archive(), CELEBA: celeba_archive()}
        self.shards = wikiart_shards()
        self.stop_after: int | None = None
        self.token: str | None = None
        self.lost: str | None = None
        self.status: int | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(size) or b"{}")
        self.log_request_line()
        if self.reject():
            return
        if "DatasetApiService" in self.path:
            self.answer_kaggle(f"{body['ownerSlug']}/{body['datasetSlug']}")
        elif self.path.startswith(f"/api/datasets/{WIKIART}/paths-info"):
            self.send_body(
                200, [self.entry(path) for path in body["paths"] if path in self.server.shards]
            )
        else:
            self.send_body(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.log_request_line()
        if self.path.startswith("/storage/"):
            self.send_archive(self.server.archives[self.path.removeprefix("/storage/")])
        elif self.reject():
            return
        elif not re.match(rf"/(api/)?datasets/{WIKIART}(/|$)", self.path):
            self.send_body(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        elif "/tree/" in self.path:
            self.answer_tree()
        elif self.path.startswith("/api/"):
            self.send_body(200, {"id": WIKIART, "sha": SHA, "siblings": []})
        else:
            self.answer_file(re.sub(r".*/resolve/[^/]+/", "", self.path))

    def log_request_line(self) -> None:
        byte_range = self.headers.get("Range", "")
        self.server.requests.append(f"{self.command} {self.path} {byte_range}".strip())

    def reject(self) -> bool:
        token = self.headers.get("Authorization", "")
        if self.server.status:
            self.send_body(self.server.status, {"code": self.server.status, "message": "no"})
            return True
        if self.server.token in (None, token.removeprefix("Bearer ")):
            return False
        self.send_body(
            401, {"code": 401, "message": "Unauthenticated", "error": "Invalid credentials"}
        )
        return True

    def answer_kaggle(self, handle: str) -> None:
        if handle not in self.server.archives:
            self.send_body(404, {"code": 404, "message": "Not found"})
        elif self.path.endswith("/GetDataset"):
            self.send_body(200, {"ref": handle, "currentVersionNumber": 7})
        else:
            self.send_body(302, {}, {"Location": f"{self.server.url}/storage/{handle}"})

    def send_archive(self, content: bytes) -> None:
        start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        self.send_response(206 if start else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start : self.server.stop_after])
        self.close_connection = True

    def entry(self, path: str) -> dict:
        content = self.server.shards[path]
        return {"type": "file", "path": path, "size": len(content), "oid": f"{len(content):040x}"}

    def answer_tree(self) -> None:
        below = re.sub(r".*/tree/[^/?]+/?([^?]*).*", r"\1", self.path)
        entries = [self.entry(path) for path in self.server.shards if path.startswith(below)]
        folder = {"type": "directory", "path": "data", "size": 0, "oid": "0" * 40}
        self.send_body(200, entries if below or "recursive=true" in self.path.lower() else [folder])

    def answer_file(self, path: str) -> None:
        path = path.partition("?")[0]
        if path not in self.server.shards:
            self.send_body(404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound"})
            return
        if self.server.lost is not None and path >= self.server.lost:
            self.send_body(403, {"error": "no more"})
            return
        content = self.server.shards[path]
        requested = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        start = int(requested[1]) if requested else 0
        end = int(requested[2]) + 1 if requested and requested[2] else len(content)
        part = content[start:end]
        headers = {"ETag": f'"{len(content):040x}"', "Accept-Ranges": "bytes"}
        if requested:
            headers["Content-Range"] = f"bytes {start}-{start + len(part) - 1}/{len(content)}"
        self.send_body(206 if requested else 200, part, headers)

    def send_body(self, status: int, body: object, headers: dict[str, str] | None = None) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        self.send_response(status)
        fixed = {"Content-Type": kind, "Content-Length": str(len(content)), "X-Repo-Commit": SHA}
        for name, value in (fixed | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def files(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def point_clients(url: str, home: Path, patch: pytest.MonkeyPatch) -> None:
    """Point both clients to an address; caches and configuration files are in `home`."""
    patch.setenv("HOME", str(home))
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "KAGGLE_API_TOKEN", "KAGGLE_KEY"):
        patch.delenv(name, raising=False)
    for name in (
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
    ):
        patch.delenv(name, raising=False)
    patch.setenv("KAGGLE_API_ENVIRONMENT", "LOCALHOST")
    patch.setenv("KAGGLE_CONFIG_DIR", str(home / ".kaggle"))
    patch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.LOCAL, url)
    patch.setattr(datasets.config, "HF_ENDPOINT", url)
    patch.setattr(
        datasets.config, "HUB_DATASETS_URL", url + "/datasets/{repo_id}/resolve/{revision}/{path}"
    )
    patch.setattr(datasets.config, "HF_DATASETS_CACHE", str(home / "datasets"))
    patch.setattr(datasets.config, "DOWNLOADED_DATASETS_PATH", str(home / "downloads"))
    patch.setattr(huggingface_hub.constants, "ENDPOINT", url)
    template = url + "/{repo_id}/resolve/{revision}/{filename}"
    patch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    patch.setattr(socket, "getaddrinfo", _only_localhost(socket.getaddrinfo))
    patch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(home / "hub"))
    patch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(home / "token"))


def _only_localhost(resolve: Callable[..., Any]) -> Callable[..., Any]:
    """Resolve localhost alone, so that no test can reach the internet."""

    def resolve_localhost(host: object, *args: Any, **kwargs: Any) -> Any:
        if host not in ("127.0.0.1", b"127.0.0.1"):
            raise socket.gaierror(f"A test resolved {host}.")
        return resolve(host, *args, **kwargs)

    return resolve_localhost


@contextmanager
def running_hub() -> Iterator[Hub]:
    hub = Hub()
    thread = threading.Thread(target=hub.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()
