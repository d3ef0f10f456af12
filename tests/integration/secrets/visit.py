"""A client that uses all doors, well and badly, and keeps each secret that it is given."""

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from secrets import token_hex, token_urlsafe
from typing import Any
from uuid import UUID, uuid4

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from schemas.tokens import TokenKey
from tests.integration.notifications.receivers import Mailbox
from tests.integration.secrets.hoard import Hoard
from tests.stack import Stack
from tests.waiting import eventually

WAIT_S = 30.0


@dataclass
class Visit:
    """A client that uses all doors, well and badly, and keeps each secret that it is given."""

    stack: Stack
    hoard: Hoard
    mailbox: Mailbox
    hook_url: str
    client: httpx.AsyncClient
    user_id: str = ""
    token: str = ""

    async def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Ask, and keep the answer of an error for the search."""
        mine = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        headers = mine | options.pop("headers", {})
        answer = await self.client.request(method, path, headers=headers, **options)
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400:
            shown = f"{dict(answer.headers)} {answer.text}"
            self.hoard.look_at("answers of errors", shown.encode())
        return answer

    def own(self, below: str) -> str:
        return f"/api/{self.user_id}{below}"

    async def register(self) -> None:
        password = self.hoard.keep("a password", f"right {token_urlsafe(16)}")
        body = {"email": "ada@example.org", "password": password}
        answer = await self.ask("POST", "/api/auth/register", json=body)
        self.enter(answer)
        assert (await self.ask("POST", "/api/auth/register", json=body)).status_code == 409
        self.enter(await self.ask("POST", "/api/auth/login", json=body))
        wrong = self.hoard.keep("a wrong password", f"wrong {token_urlsafe(16)}")
        for bad in (
            body | {"password": wrong},
            body | {"password": [wrong]},
            body | {"password": wrong, "also": wrong},
            body | {"email": "x", "password": wrong},
            body | {"password": wrong * 50},
            body | {"password": wrong, "name": "\0"},
        ):
            for path in ("/api/auth/login", "/api/auth/register"):
                assert (await self.ask("POST", path, json=bad)).status_code >= 400
        raw = json.dumps(body | {"password": wrong})
        for odd in (raw[:-2], raw + "}", raw.replace('"email"', '"password"'), f"password={wrong}"):
            for path in ("/api/auth/login", "/api/auth/register"):
                assert (await self.ask("POST", path, content=odd)).status_code >= 400

    def enter(self, answer: httpx.Response) -> None:
        assert answer.status_code in {200, 201}, answer.text
        session = answer.json()
        count = len(self.hoard.secrets)
        self.user_id = session["user"]["id"]
        self.token = self.hoard.keep(f"access token {count}", session["access_token"])
        self.hoard.keep(f"refresh token {count}", session["refresh_token"])

    async def mail_token(self, name: str, count: int) -> str:
        async def arrived() -> bool:
            return len(self.mailbox.mails) >= count

        await eventually(arrived, WAIT_S, f"{count} mails arrive")
        body = self.mailbox.mails[count - 1].get_body(("plain",))
        assert body is not None
        return self.hoard.keep(name, max(body.get_content().split(), key=len))

    async def use_mails(self) -> None:
        assert (await self.ask("POST", self.own("/email/verification"))).status_code == 202
        token = await self.mail_token("verification token", 1)
        for bad in (f"{token}x", token[:-1] + "\0", [token], "x" * 300 + token):
            refused = await self.ask("POST", "/api/auth/verify", json={"token": bad})
            assert refused.status_code >= 400
        done = await self.ask("POST", "/api/auth/verify", json={"token": token})
        assert done.status_code == 200
        await self.ask("POST", "/api/auth/verify", json={"token": token, "more": token})
        body = {"email": "ada@example.org"}
        assert (await self.ask("POST", "/api/auth/password/forgot", json=body)).status_code == 202
        reset = await self.mail_token("reset token", 2)
        new = self.hoard.keep("a new password", f"new {token_urlsafe(16)}")
        for bad_body in ({"token": reset}, {"token": reset, "password": new[:5]}, {"token": [new]}):
            await self.ask("POST", "/api/auth/password/reset", json=bad_body)
        answer = await self.ask(
            "POST", "/api/auth/password/reset", json={"token": reset, "password": new}
        )
        assert answer.status_code < 300, answer.text
        again = {"email": "ada@example.org", "password": new}
        self.enter(await self.ask("POST", "/api/auth/login", json=again))

    async def use_channels(self) -> None:
        path = self.hoard.keep("a webhook's path", token_hex(12))
        url = f"{self.hook_url}/{path}"
        types = ["taskflow.reminder.due", "taskflow.task.created"]
        hook = {"kind": "webhook", "url": url, "event_types": types}
        made = await self.ask("POST", self.own("/channels"), json=hook)
        assert made.status_code == 201, made.text
        channel = self.own(f"/channels/{made.json()['id']}")
        self.hoard.keep("webhook secret", made.json()["secret"].removeprefix("whsec_"))
        rotated = await self.ask("POST", channel + "/rotate")
        self.hoard.keep("a new webhook secret", rotated.json()["secret"].removeprefix("whsec_"))
        bad_password = self.hoard.keep("a password in a URL", token_hex(12))
        for bad_url in (
            f"http://user:{bad_password}@example.org/",
            f"ftp://example.org/{bad_password}",
            f"http://10.0.0.1/{bad_password}",
            f"http://[{bad_password}",
            f"http://example.org/#{bad_password}",
        ):
            bad = await self.ask("POST", self.own("/channels"), json=hook | {"url": bad_url})
            assert bad.status_code == 422, bad_url
        closed = hook | {"url": f"http://127.0.0.1:1/{path}", "name": "nobody listens"}
        dead = (await self.ask("POST", self.own("/channels"), json=closed)).json()
        self.hoard.keep("a dead webhook's secret", dead["secret"].removeprefix("whsec_"))
        mail = await self.ask("POST", self.own("/channels"), json={"kind": "email"})
        assert mail.status_code == 201, mail.text
        for id_ in (made.json()["id"], dead["id"], mail.json()["id"]):
            assert (await self.ask("POST", self.own(f"/channels/{id_}/test"))).status_code == 202

    async def use_tasks(self) -> None:
        soon = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
        fields = {"title": "Pay rent", "due_date": "2027-01-31", "recurrence_pattern": "daily"}
        task = await self.ask("POST", self.own("/tasks"), json=fields | {"remind_at": soon})
        assert task.status_code == 201, task.text
        await self.ask("POST", self.own(f"/tasks/{task.json()['id']}/complete"))
        again = await self.ask("POST", self.own("/tasks"), json={"title": "x", "remind_at": soon})
        assert again.status_code == 201

        async def told() -> bool:
            return len(self.mailbox.mails) >= 4

        await eventually(told, WAIT_S, "the reminder and the test are mailed")

    async def show_bad_tokens(self) -> None:
        secret = self.stack.settings.required_jwt_secret()
        old = TokenKey(secret).issue(UUID(self.user_id), uuid4(), datetime.now(UTC) - timedelta(1))
        bad_tokens = {
            "an expired token": old,
            "a forged token": TokenKey("f" * 32).issue(uuid4(), uuid4(), datetime.now(UTC)),
            "no token": token_urlsafe(40),
        }
        for name, token in bad_tokens.items():
            self.hoard.keep(name, token)
            for path in (self.own("/tasks"), "/api/auth/me", f"/api/{token}/tasks"):
                headers = {"Authorization": f"Bearer {token}"}
                assert (await self.ask("GET", path, headers=headers)).status_code in {401, 404}
            await self.show_socket(token)
        for odd in (f"Basic {self.token}", f"Bearer {self.token} x", self.token, "Bearer"):
            await self.ask("GET", self.own("/tasks"), headers={"Authorization": odd})
        await self.ask("GET", self.own(f"/tasks?token={self.token}"))
        await self.ask("GET", self.own(f"/tasks?cursor={self.token}"))
        await self.ask("GET", self.own("/tasks"), headers={"X-Request-ID": self.token})

    async def show_socket(self, token: str) -> None:
        """Show a token to the gateway in each way there is, and in some that there are not."""
        url, host = self.stack.ws_url, f"127.0.0.1:{self.stack.gateway_port}"
        bearer = {"Authorization": f"Bearer {token}"}
        for target, options in (
            (url, {"additional_headers": bearer}),
            (url, {"additional_headers": {"Authorization": f"Basic {token}"}}),
            (url, {"additional_headers": bearer, "origin": "https://evil.example"}),
            (url, {"subprotocols": ["taskflow.v1", f"bearer.{token}"]}),
            (f"{url}?token={token}", {}),
            (f"{url}?position={token}", {"additional_headers": bearer}),
            (f"{url}?types={token}", {"additional_headers": bearer}),
        ):
            with suppress(WebSocketException, OSError):
                async with connect(target, **options, proxy=None) as socket:
                    await socket.send(json.dumps({"type": "auth", "token": token, "odd": token}))
                    async for _ in socket:
                        pass
        usual = (
            *(f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade"),
            *("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"),
        )
        for odd in (
            f"Sec-WebSocket-Protocol: taskflow.v1,, bearer .{token}",
            f"Sec-WebSocket-Protocol: bearer.{token}/",
            f"Sec-WebSocket-Extensions: ;{token}",
            f"Sec-WebSocket-Version: {token}",
            f"Sec-WebSocket-Key: {token}",
            f"Authorization Bearer {token}",
            f"Connection: {token}",
            f"Connection: Upgrade, ;{token}",
            f"Upgrade: {token}",
            f"Authorization: Bearer {token}\x00",
            f"X: {token * 60}",
        ):
            name = odd.partition(":")[0]
            lines = [odd, *(line for line in usual if not line.startswith(f"{name}:"))]
            head = "\r\n".join(("GET /ws HTTP/1.1", *lines, "", ""))
            reader, writer = await asyncio.open_connection("127.0.0.1", self.stack.gateway_port)
            writer.write(head.encode())
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(1):
                    self.hoard.look_at("answers of the gateway", await reader.read(4_000))
            writer.transport.abort()

    async def use_sockets(self) -> None:
        bearer = {"Authorization": f"Bearer {self.token}"}
        async with connect(self.stack.ws_url, additional_headers=bearer, proxy=None) as socket:
            await self.ask("POST", self.own("/tasks"), json={"title": "one more"})
            for name in ("a position", "the next position"):
                frame = json.loads(await socket.recv())
                position = self.hoard.keep(name, frame["position"])
            for bad in (f'{{"type":"auth","token":"{self.token}"', self.token):
                with suppress(WebSocketException):
                    await socket.send(bad)
            self.hoard.look_at("errors of the gateway", await _rest(socket))
        for odd in (position, position[:-1] + "A", position * 2):
            target = f"{self.stack.ws_url}?position={odd}"
            async with connect(target, additional_headers=bearer, proxy=None) as socket:
                await socket.recv()
        await self.show_socket(self.token)


async def _rest(socket: Any) -> bytes:
    found = b""
    with suppress(WebSocketException, TimeoutError):
        async with asyncio.timeout(5):
            async for message in socket:
                if json.loads(message)["type"] == "error":
                    found += message.encode()
    return found
