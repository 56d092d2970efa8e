"""The requests of docs/latent-studio.md work as they are written."""

import io
import re
import shlex

from ganvas.gallery.inverter import ImageInverter, PreparingError
from projects import ROOT

PAGE = ROOT / "docs/latent-studio.md"
HOST = "http://127.0.0.1:8000"


def read_command(line):
    """The URL, options by name, and forms of a curl command."""
    words = shlex.split(line)[1:]
    options: dict[str, list[str]] = {}
    (url,) = [word for word in words if word.startswith(HOST)]
    rest = iter(word for word in words if word != url)
    for name in rest:
        options.setdefault(name, []).append(next(rest))
    return url.removeprefix(HOST), options


def send(client, line, files):
    """Send the request of a curl command, whose files are those of earlier ones."""
    path, options = read_command(line)
    if "--json" in options:
        (body,) = options["--json"]
        response = client.post(path, data=body, content_type="application/json")
    elif "--form" in options:
        pairs = [form.split("=", 1) for form in options["--form"]]
        data = {
            name: (io.BytesIO(files[value[1:]]), value[1:]) if value.startswith("@") else value
            for name, value in pairs
        }
        response = client.post(path, data=data, content_type="multipart/form-data")
    else:
        response = client.get(path)
    for name in options.get("--output", []):
        files[name] = response.data
    return path, response


def test_the_documented_requests_work(pretrained_app, monkeypatch):
    def prepare(_self, model):
        raise PreparingError(model.saved.name)

    # It takes many seconds, and tests/gallery/test_inverter.py waits for it.
    monkeypatch.setattr(ImageInverter, "_prepare", prepare)
    lines = re.findall(r"^curl .+$", PAGE.read_text(), re.MULTILINE)
    files: dict[str, bytes] = {}
    answers = [send(pretrained_app.test_client(), line, files) for line in lines]
    paths = {path.partition("?")[0] for path, _ in answers}
    routes = pretrained_app.url_map.iter_rules()
    studio = {str(rule) for rule in routes if rule.endpoint.startswith("studio_api.")}
    assert studio <= paths
    for path, response in answers:
        assert response.status_code == (429 if path == "/api/invert" else 200), response.text
    assert files["film.webp"][8:12] == b"WEBP"
