"""`taskflow register` and `taskflow watch`: one user and one websocket, to see an event arrive."""

import argparse
import os
import secrets
import subprocess
import sys
import urllib.error
import urllib.request
from typing import Any

from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import ClientConnection, connect

from schemas import codec
from schemas.settings import Settings, load_settings
from streams.cli.commands import Commands, add
from streams.embedded.ports import address

ANSWER_S_MAX = 15.0


class DemoError(RuntimeError):
    """The API or the gateway did not do what was asked; the message says what to do."""


def add_commands(commands: Commands) -> None:
    """Add `register` and `watch`."""
    add(
        commands,
        "register",
        _register,
        "Make an account with a random name, and print TOKEN, USER_ID and API_URL for a shell.",
    )
    watch = add(commands, "watch", _watch, "Print the events of the user of TOKEN as they come.")
    watch.add_argument("--count", type=int, metavar="N", help="end after N events")
    watch.add_argument(
        "--background", action="store_true", help="return once the websocket is open, and go on"
    )


def _register(_: argparse.Namespace) -> int:
    settings = load_settings()
    url = f"http://{address(settings.api_host, settings.api_port)}"
    body = {
        "email": f"demo-{secrets.token_hex(6)}@example.org",
        "password": secrets.token_urlsafe(24),
    }
    session = _post(f"{url}/api/auth/register", codec.encode(body))
    print(f"export API_URL={url}")
    print(f"export USER_ID={session['user']['id']}")
    print(f"export TOKEN={session['access_token']}")
    return 0


def _post(url: str, body: bytes) -> dict[str, Any]:
    """Post JSON and give the JSON that is answered, whose shape the caller knows."""
    request = urllib.request.Request(  # noqa: S310 - the scheme is ours
        url, body, {"Content-Type": "application/json"}, method="POST"
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=ANSWER_S_MAX) as answer:
            found = codec.decode(answer.read())
    except urllib.error.HTTPError as error:
        raise DemoError(f"The API answered {error.code}: {error.read().decode()}") from error
    except OSError as error:
        raise DemoError(f"The API does not answer at {url}: is `make up` running?") from error
    if not isinstance(found, dict):
        raise DemoError(f"{url} is not TaskFlow's API.")
    return found


def _watch(arguments: argparse.Namespace) -> int:
    if arguments.background:
        return _watch_in_background(arguments.count)
    token = os.environ.get("TOKEN")
    if not token:
        raise DemoError('TOKEN is not set: run eval "$(.venv/bin/taskflow register)" first.')
    with _open(load_settings(), token) as websocket:
        try:
            _print_events(websocket, arguments.count)
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd else "no close frame"
            raise DemoError(f"The gateway closed the connection: {code}.") from closed
    return 0


def _watch_in_background(count: int | None) -> int:
    """Run `watch` as a process of its own, and return when its hello has come."""
    command = [sys.executable, "-m", "streams.cli", "watch"]
    if count is not None:
        command += ["--count", str(count)]
    reading, writing = os.pipe()
    with os.fdopen(reading) as opened:
        child = subprocess.Popen(  # noqa: S603 - our own command, and no shell
            command,
            pass_fds=(writing,),
            env={**os.environ, "TASKFLOW_READY_FD": str(writing)},
        )
        os.close(writing)
        if opened.read(1):
            return 0
    return child.wait()


def _open(settings: Settings, token: str) -> ClientConnection:
    url = f"ws://{address(settings.gateway_host, settings.gateway_port)}/ws"
    try:
        return connect(
            url,
            additional_headers={"Authorization": f"Bearer {token}"},
            proxy=None,
            open_timeout=ANSWER_S_MAX,
        )
    except (OSError, WebSocketException) as error:
        raise DemoError(f"{url} did not take the websocket: {error}.") from error


def _print_events(websocket: ClientConnection, count: int | None) -> None:
    hello = websocket.recv(timeout=ANSWER_S_MAX)
    _tell_ready()
    print(f"<- {hello!r}" if isinstance(hello, bytes) else f"<- {hello}", flush=True)
    seen = 0
    while count is None or seen < count:
        frame = websocket.recv()
        print(f"<- {frame!r}" if isinstance(frame, bytes) else f"<- {frame}", flush=True)
        seen += 1


def _tell_ready() -> None:
    """Tell the process that started this one in the background."""
    descriptor = os.environ.get("TASKFLOW_READY_FD")
    if descriptor:
        os.write(int(descriptor), b".")
        os.close(int(descriptor))
