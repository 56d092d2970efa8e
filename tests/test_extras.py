"""Messages name a command that installs an extra from where Ganvas comes from."""

import json

import pytest

from ganvas.extras import install_command


@pytest.mark.parametrize(
    ("origin", "command"),
    [
        ({"url": "file:///clone", "dir_info": {"editable": True}}, 'pip install -e ".[faces]"'),
        (
            {"url": "file:///a/ganvas-0.1.0-py3-none-any.whl", "archive_info": {}},
            'pip install "ganvas[faces] @ file:///a/ganvas-0.1.0-py3-none-any.whl"',
        ),
        (None, 'pip install -e ".[faces]"'),
    ],
)
def test_the_command_names_the_clone_or_the_wheel(tmp_path, monkeypatch, origin, command):
    package = tmp_path / "ganvas-0.1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: ganvas\nVersion: 0.1.0\n")
    if origin is not None:
        (package / "direct_url.json").write_text(json.dumps(origin))
    monkeypatch.syspath_prepend(tmp_path)
    assert install_command("faces") == command
