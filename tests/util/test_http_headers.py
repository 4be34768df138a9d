import hashlib
from email.message import Message

import pytest
from raw_server import answer, raw_server

from fgbench.util import download
from fgbench.util.download import fetch
from fgbench.util.errors import FgbenchError
from fgbench.util.http_headers import content_length, retry_after_s, validator

CONTENT = bytes(range(256)) * 20
SHA256 = hashlib.sha256(CONTENT).hexdigest()
IMPOSSIBLE = {
    "a word": ("Content-Length: abc",),
    "negative": ("Content-Length: -5",),
    "doubled": (f"Content-Length: {len(CONTENT)}", "Content-Length: 7"),
    "a list": ("Content-Length: 5120, 7",),
    "5,000 digits": ("Content-Length: " + "9" * 5000,),
    "underscore": ("Content-Length: 5_120",),
    "other digits": ("Content-Length: \xb2",),
}


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(download, "BACKOFF_S", 0.0)
    monkeypatch.setattr(download, "MAX_WAIT_S", 0.0)
    with raw_server() as server:
        yield server


@pytest.mark.parametrize("headers", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_an_impossible_length_is_followed_by_another_attempt_and_then_an_error(server, tmp_path, headers):
    server.answers = [answer(CONTENT, *headers), answer(CONTENT)]
    assert fetch(server.url, tmp_path / "file", sha256=SHA256).read_bytes() == CONTENT
    server.answers = [answer(CONTENT, *headers)]
    with pytest.raises(FgbenchError, match="the server announces an impossible length") as caught:
        fetch(server.url, tmp_path / "other", sha256=SHA256)
    assert server.requests == 2 + download.ATTEMPTS
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("headers", [("X: y",), (f"Content-Length: {len(CONTENT)}",) * 2], ids=["none", "equal"])
def test_a_missing_or_repeated_length_is_accepted(server, tmp_path, headers):
    server.answers = [answer(CONTENT, *headers)]
    assert fetch(server.url, tmp_path / "file", sha256=SHA256).read_bytes() == CONTENT
    assert server.requests == 1


def message(**fields):
    headers = Message()
    for name, value in fields.items():
        headers[name.replace("_", "-")] = value
    return headers


def test_fields_are_read():
    assert content_length(message(Content_Length=" 12 ")) == 12
    assert content_length(message()) is None
    assert [retry_after_s(message(Retry_After=wait)) for wait in ("7", "-7", "soon", "9" * 5000)] == [7, 0, 0, 0]
    assert validator(message(ETag='"a"', Last_Modified="today")) == '"a"'
    assert validator(message(ETag='W/"a"', Last_Modified="today")) == "today"
    assert validator(message(ETag='"\xe4"')) == validator(message(ETag='"a\x07"')) == ""
