import pytest

from ganvas.errors import GanvasError
from ganvas.saved_json import check_training, read_json

NAMES = {"dataset": "my art", "network": "dcgan", "started": "2026-01-01T00.00.00"}
SUMMARY = NAMES | {"snapshots": "2026-01-01T00.00.00", "steps": 5}


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


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"snapshots": "../../.."}, r"its snapshots can't be '\.\./\.\./\.\.'"),
        ({"started": "/etc"}, "its started can't be '/etc'"),
        ({"network": ".."}, r"its network can't be '\.\.'"),
        ({"dataset": ["a"]}, r"its dataset can't be \['a'\]"),
        ({"dataset": ""}, "its dataset can't be ''"),
    ],
)
def test_names_in_training_json_lead_nowhere_else(change, reason):
    check_training(SUMMARY)
    with pytest.raises(GanvasError, match=rf"^training.json is damaged \({reason}\): run `kedro"):
        check_training(SUMMARY | change)


@pytest.mark.parametrize("summary", [[SUMMARY], None, "text", {}])
def test_another_content_of_training_json_is_one_sentence(summary):
    with pytest.raises(GanvasError, match=r"^training.json is damaged \(it"):
        check_training(summary)
