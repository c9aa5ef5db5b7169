import pytest

from engine.errors import ConfigError
from engine.remote.address import read_address
from engine.remote.connection import Connection


@pytest.mark.parametrize(
    ("url", "base", "host", "way"),
    [
        ("https://gpu.example", "https://gpu.example", "gpu.example", None),
        (" http://127.0.0.1:8012/ ", "http://127.0.0.1:8012", "127.0.0.1:8012", None),
        ("http://[::1]:8012/infill", "http://[::1]:8012", "[::1]:8012", "infill"),
        ("https://gpu.example/team/v1", "https://gpu.example/team", "gpu.example", None),
        ("https://gpu.example/v1/completions", "https://gpu.example", "gpu.example", "completions"),
    ],
)
def test_an_address_may_end_with_its_interface(url: str, base: str, host: str, way: str | None) -> None:
    address = read_address(url)

    assert (address.base, address.host, address.way) == (base, host, way)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "gpu.example",
        "gpu.example:8000",
        "ftp://gpu.example",
        "https://",
        "http://[::1",
        "http://a:x",
        "http://a?b=c",
    ],
)
def test_what_is_no_address_is_told_with_one_that_is(url: str) -> None:
    with pytest.raises(
        ConfigError, match=r"^The setting greenCode\.remote\.url is no address.*write it as https://HOST:"
    ):
        read_address(url)


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigError, match="Set Remote Token") as raised:
        read_address("https://me:secret@gpu.example")

    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "is_here"),
    [("http://localhost:1", True), ("http://[::1]:1", True), ("http://127.9.9.9", True), ("http://10.0.0.1", False)],
)
def test_this_machine_is_known(url: str, is_here: bool) -> None:  # noqa: FBT001 - a case
    assert read_address(url).is_here is is_here


def test_a_token_never_travels_for_anybody_to_read() -> None:
    with pytest.raises(ConfigError, match=r"for anybody to read; use https://") as raised:
        Connection(read_address("http://gpu.example"), "secret")

    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("token", ["two words", "line\nend", "é", "\x00"])
def test_a_token_that_no_header_can_hold_is_refused_and_not_repeated(token: str) -> None:
    with pytest.raises(ConfigError, match="set it anew") as raised:
        Connection(read_address("https://gpu.example"), token)

    assert token not in str(raised.value)
