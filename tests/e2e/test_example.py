"""The example of the README, and how long an event takes from a POST to a websocket."""

import asyncio
import os
import re
import shutil
import statistics
import subprocess
from pathlib import Path
from time import perf_counter

import httpx
import pytest
from websockets.asyncio.client import connect

from schemas import codec
from streams.cli.example import EXAMPLE
from tests.e2e.instance import Up
from tests.waiting import eventually

POSTS = 200
MEDIAN_MS_MAX = 25.0


def test_the_readme_shows_what_make_up_prints() -> None:
    """To the letter, so that what is tested is what is read."""
    readme = Path("README.md").read_text()
    (shown,) = re.findall(r"<!-- example -->\n```sh\n(.*?)```", readme, re.DOTALL)
    assert shown == EXAMPLE


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.skipif(not Path(".venv").exists(), reason="the example runs what is in .venv")
async def test_the_example_runs_as_it_is_printed(instance: Up) -> None:
    """The task's event arrives on the websocket, and is in the audit log."""
    assert EXAMPLE in instance.output
    done = await asyncio.to_thread(
        subprocess.run,
        ["sh", "-ec", EXAMPLE + 'echo; echo "account $USER_ID $TOKEN"'],
        env=dict(instance.environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    frames = [line[3:] for line in done.stdout.splitlines() if line.startswith("<- ")]
    hello, event = (codec.decode(frame) for frame in frames)
    assert hello["type"] == "hello"
    assert event["event"]["type"] == "taskflow.task.created"
    assert event["event"]["data"]["task"]["title"] == "Pay rent"
    user_id, token = done.stdout.partition("\naccount ")[2].split()[:2]
    async with client(instance, token) as http:

        async def audited() -> bool:
            items = (await http.get(f"/api/{user_id}/audit")).json()["items"]
            return [item["event_id"] for item in items] == [event["event"]["id"]]

        await eventually(audited, 10, "the event is in the audit log")


@pytest.mark.alone
@pytest.mark.parametrize(
    "p99_ms_max",
    [
        # Beside other tests and whoever shares the machine, only the median says something.
        pytest.param(float("inf"), id="short"),
        pytest.param(100.0, id="long", marks=pytest.mark.long),
    ],
)
async def test_an_event_reaches_a_websocket_within_milliseconds(
    instance: Up, p99_ms_max: float
) -> None:
    """200 posts in a row, from POST sent to frame received: median < 25 ms, p99 < 100 ms."""
    async with client(instance) as http:
        body = {"email": f"{os.urandom(8).hex()}@example.org", "password": "correct horse battery"}
        session = (await http.post("/api/auth/register", json=body)).json()
        headers = {"Authorization": f"Bearer {session['access_token']}"}
        path = f"/api/{session['user']['id']}/tasks"
        url = f"ws://127.0.0.1:{instance.environment['GATEWAY_PORT']}/ws"
        async with connect(url, additional_headers=headers, proxy=None) as websocket:
            assert codec.decode(await websocket.recv())["type"] == "hello"
            took_ms = []
            for number in range(POSTS):
                sent_at = perf_counter()
                posting = asyncio.create_task(
                    http.post(path, json={"title": f"task {number}"}, headers=headers)
                )
                frame = codec.decode(await asyncio.wait_for(websocket.recv(), 10))
                took_ms.append((perf_counter() - sent_at) * 1_000)
                task = (await posting).json()
                assert frame["event"]["data"]["task"] == task
    median, p99 = statistics.median(took_ms), statistics.quantiles(took_ms, n=100)[98]
    print(
        f"\nPOST to frame, {POSTS} in a row: median {median:.1f} ms, p99 {p99:.1f} ms,"
        f" worst {max(took_ms):.1f} ms"
    )
    assert median < MEDIAN_MS_MAX
    assert p99 < p99_ms_max


def client(instance: Up, token: str | None = None) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = f"http://127.0.0.1:{instance.environment['API_PORT']}"
    return httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=10)
