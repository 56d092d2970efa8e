import pytest

from ganvas.errors import GanvasError
from ganvas.saved_json import read_json


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "it is no complete JSON"),
        ('{"a": 1', "it is no complete JSON"),
        ("[1]", r"its content can't be \[1\]"),
        ('{"a": []}', r"its a can't be \[\]"),
        ('{"a": "' + "x" * 99 + '"}', r"its a can't be 'x{59}…"),
    ],
)
def test_a_damaged_file_is_one_sentence(tmp_path, content, reason):
    file = tmp_path / "marker.json"
    file.write_text('{"a": 5}')
    assert read_json(file, dict[str, int], "delete it") == {"a": 5}
    file.write_text(content)
    with pytest.raises(GanvasError, match=rf"^{file} is damaged \({reason}\): delete it\.$"):
        read_json(file, dict[str, int], "delete it")
