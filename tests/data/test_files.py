"""JSON from a data set is bounded: :mod:`vjepa_sim.data.files`."""

import pytest

from vjepa_sim.data.files import MAX_JSON, read_json_object
from vjepa_sim.envs.errors import UserError


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[" * 200_000, "not readable as JSON"),
        (b'{"a": ' + b"[" * 100 + b"]" * 100 + b"}", "nested more than 64 levels"),
        (b'{"a": ' + b"9" * 6000 + b"}", "not readable as JSON"),
        (b'{"a": ' + b"9" * 65 + b"}", "a whole number of 65 digits"),
        (b'{"a": "' + b"x" * MAX_JSON + b'"}', "more than 16 MiB"),
        (b"\xff\xfe{", "not readable as JSON"),
        (b"[1]", "expected a JSON object, found list"),
    ],
    ids=["depth", "levels", "digits", "number", "size", "encoding", "list"],
)
def test_what_is_too_large_or_too_deep_is_refused(tmp_path, content, message):
    path = tmp_path / "file.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        read_json_object(path)
    assert str(path) in str(error.value) and len(str(error.value)) < 400


def test_a_byte_order_mark_is_accepted(tmp_path):
    (tmp_path / "file.json").write_bytes(b'\xef\xbb\xbf{"a": [1, {"b": 2.5}]}')
    assert read_json_object(tmp_path / "file.json") == {"a": [1, {"b": 2.5}]}
