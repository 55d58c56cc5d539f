"""Who may use a Ray cluster: found out before Ray is imported, or by a process of its own."""

from __future__ import annotations

import importlib.metadata
import os
import secrets
import socket
import subprocess
import sys
from pathlib import Path

from grokjax.config.cluster import Cluster, engine_name
from grokjax.config.coercion import ConfigError, require

OLDEST = (2, 59)
"""Before this version Ray starts without a token where nobody asks for one."""
REACH_SECONDS = 5.0
"""How long the head of a cluster may take to take a connection."""
HELLO = "import sys; from ray._raylet import GcsClient; GcsClient(address=sys.argv[1])"
"""A client that asks a head for the name of its cluster."""


def check_version(cluster: str) -> None:
    """Refuse a Ray that is too old to ask for tokens by itself."""
    found = importlib.metadata.version("ray")
    remedy = f"Ray {found} starts without a token, pip install -U 'grokjax[ray]'"
    new = tuple(int(part) for part in found.split(".")[:2]) >= OLDEST
    require(new, "cluster", cluster, remedy)


def ask_for_token(options: Cluster) -> None:
    """Have Ray use a token, and refuse where there is none or others can read it."""
    cluster = str(options.cluster)
    if os.environ.setdefault("RAY_AUTH_MODE", "token") != "token":
        remedy = "RAY_AUTH_MODE lets anybody run code as you, unset it or add --insecure"
        require(options.insecure, "cluster", cluster, remedy)
    elif cluster == "local":
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    elif "RAY_AUTH_TOKEN" not in os.environ:
        default = Path.home() / ".ray" / "auth_token"
        path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH", default))
        if path.is_file():
            remedy = f"others can read its token, chmod 600 {path}"
            require(not path.stat().st_mode & 0o077, "cluster", cluster, remedy)
            return
        remedy = f"there is no token in {path}, copy it from a node, or add --insecure"
        require(options.insecure, "cluster", cluster, remedy)
        os.environ["RAY_AUTH_MODE"] = "disabled"


def address(cluster: str) -> str:
    """What Ray is to connect to; refused at once where nobody listens, and Ray would go on trying.

    Like Ray, `auto` takes the environment variable RAY_ADDRESS for the address where it is set.
    """
    found = os.environ.get("RAY_ADDRESS", cluster) if cluster == "auto" else cluster
    if found == "auto":
        return found
    require(engine_name(found) == "ray" and ":" in found, "RAY_ADDRESS", found, "give HOST:PORT")
    host, port = found.rsplit(":", 1)
    try:
        socket.create_connection((host.strip("[]"), int(port)), REACH_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"cluster={found!r}: no head of a Ray cluster is there, {error}."
        ) from None
    return found


def lets_in_anybody(address: str) -> bool:
    """Whether a cluster answers a client without a token."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_AUTH_")}
    ask = [sys.executable, "-c", HELLO, address]
    environment["RAY_AUTH_MODE"] = "disabled"
    answer = subprocess.run(ask, env=environment, capture_output=True, check=False)
    return answer.returncode == 0


def guard(is_open: bool = False) -> str:
    """Whether a token is asked for, in words."""
    asked = os.environ["RAY_AUTH_MODE"] == "token" and not is_open
    return "with a token" if asked else "WITHOUT a token"
