"""`Address`: where a completion server is, read from what the user wrote. It opens no connection."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from engine.errors import ConfigError
from engine.sentences import Sentence

Way = Literal["infill", "completions"]
_ENDS: dict[str, Way | None] = {"/infill": "infill", "/v1/completions": "completions", "/v1": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a server is.

    Attributes:
        base: What paths are put behind, such as "https://gpu.example:8000".
        host: The server, for people.
        way: How the user wants it asked; None for whatever it offers.
        is_encrypted: Whether what is sent there is.
        is_here: Whether it is this machine.
    """

    base: str
    host: str
    way: Way | None
    is_encrypted: bool
    is_here: bool


def read_address(url: str) -> Address:
    """Reads an address such as "https://gpu.example", with or without the path of its interface.

    Raises:
        ConfigError: It is none, or has a password in it.
    """
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    if parts.scheme not in {"http", "https"} or not host or parts.query or parts.fragment:
        raise ConfigError(
            Sentence(
                "The setting greenCode.remote.url is no address of a completion server; write it as "
                "https://HOST:PORT, or http://127.0.0.1:8012 for one on this machine."
            )
        )
    if parts.username is not None or parts.password is not None:
        raise ConfigError(
            Sentence(
                "The setting greenCode.remote.url must hold no name and no password; use the command Green "
                "Code: Set Remote Token, or the environment variable GREEN_CODE_REMOTE_TOKEN."
            )
        )
    path, way = parts.path.rstrip("/"), None
    for end, meant in _ENDS.items():
        if path.endswith(end):
            path, way = path.removesuffix(end), meant
            break
    place = f"[{host}]" if ":" in host else host
    where = place if port is None else f"{place}:{port}"
    return Address(
        base=f"{parts.scheme}://{where}{path}",
        host=where,
        way=way,
        is_encrypted=parts.scheme == "https",
        is_here=_is_here(host),
    )


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
