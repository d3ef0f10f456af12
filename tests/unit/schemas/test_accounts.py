"""Accounts: what is taken to make one, and that no password or token gets into a text."""

import sys
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.accounts import LoginBody, RegisterBody, Session, User

PASSWORD = "correct horse"
NOW = datetime(2027, 1, 1, tzinfo=UTC)


def register(**given_: object) -> RegisterBody:
    return RegisterBody.model_validate({"email": "ada@example.org", "password": PASSWORD} | given_)


def test_an_address_and_a_password_are_enough() -> None:
    body = register()
    assert (body.email, body.name, body.timezone) == ("ada@example.org", None, "UTC")
    assert body.password.get_secret_value() == PASSWORD


@pytest.mark.parametrize(
    "email",
    [
        "a@b.co",
        " Ada.Lovelace+x@Example.ORG\n",
        "用户@例子.测试",
        "o'brien@sub.example.org",
        "a" * 64 + "@example.org",
    ],
)
def test_an_address_is_taken_without_what_is_around_it(email: str) -> None:
    assert register(email=email).email == email.strip()


@pytest.mark.parametrize(
    "email",
    [
        "",
        "ada",
        "@example.org",
        "ada@",
        "ada@example",
        "ada@example.",
        "ada@.org",
        "ada@a..org",
        "a b@example.org",
        "ada@exam ple.org",
        "ada@b@example.org",
        "ada\0@example.org",
        "ada@example.org\r\nBcc: x@example.org",
        "a" * 65 + "@example.org",
        "a@" + "b" * 250 + ".org",
        None,
        5,
    ],
)
def test_what_is_no_address_is_refused(email: object) -> None:
    with pytest.raises(ValidationError, match="email"):
        register(email=email)


@pytest.mark.parametrize("letter", ["a", "ä", "\U0001f600", " "])
def test_a_password_has_10_to_128_code_points_and_is_not_trimmed(letter: str) -> None:
    for count in (10, 128):
        secret = register(password=letter * count).password
        assert secret.get_secret_value() == letter * count
    for count in (0, 9, 129):
        with pytest.raises(ValidationError, match="password"):
            register(password=letter * count)


@pytest.mark.parametrize(
    "zone", ["UTC", "Europe/Berlin", "America/Argentina/Ushuaia", "Etc/GMT+12"]
)
def test_an_iana_zone_is_taken(zone: str) -> None:
    assert register(timezone=zone).timezone == zone


@pytest.mark.parametrize(
    "zone",
    [
        "",
        "utc",
        "europe/berlin",
        "Berlin",
        "America",
        "+01:00",
        "localtime",
        "/etc/localtime",
        "../Europe/Berlin",
        "Europe/Berlin\0",
        "posixrules",
        "right/UTC",
        "x" * 65,
        None,
    ],
)
def test_what_is_no_iana_zone_is_refused(zone: object) -> None:
    with pytest.raises(ValidationError, match="timezone"):
        register(timezone=zone)


def test_zones_are_looked_for_on_the_disk_only_once() -> None:
    """Reading the list takes some 13 ms, during which an event loop would serve nobody."""
    register(timezone="Europe/Berlin")
    asked: list[str] = []
    watching = True

    def watch(event: str, _: object) -> None:
        if watching and event in {"open", "os.listdir", "os.scandir"}:
            asked.append(event)

    sys.addaudithook(watch)
    register(timezone="Europe/Paris")
    watching = False  # A hook cannot be taken away again.
    assert asked == []


@pytest.mark.parametrize("name", ["", "  ", "x" * 201, 5])
def test_a_name_has_1_to_200_code_points(name: object) -> None:
    with pytest.raises(ValidationError, match="name"):
        register(name=name)
    assert register(name=f" {'ä' * 200} ").name == "ä" * 200


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(ValidationError, match="admin"):
        register(admin=True)
    with pytest.raises(ValidationError, match="remember"):
        LoginBody.model_validate({"email": "a@b.co", "password": "x", "remember": True})


@pytest.mark.parametrize("password", ["", "x", "x" * 1_000])
def test_a_login_takes_a_password_of_any_length_that_could_be_wrong(password: str) -> None:
    body = LoginBody.model_validate({"email": " a@b.co ", "password": password})
    assert (body.email, body.password.get_secret_value()) == ("a@b.co", password)


@given(st.text("!#$%", min_size=4, max_size=300))
def test_a_password_is_in_no_text_be_it_taken_or_refused(password: str) -> None:
    for model in (RegisterBody, LoginBody):
        for extra in ({}, {"x": password}, {"email": 5}):
            given_: dict[str, object] = {"email": "a@b.co", "password": password, **extra}
            try:
                text = repr(model.model_validate(given_))
            except ValidationError as error:
                text = str(error)
            assert password not in text


def test_a_sessions_tokens_are_answered_and_in_no_text() -> None:
    user = User(
        id=UUID(int=1), email="a@b.co", name=None, timezone="UTC", created_at=NOW, updated_at=NOW
    )
    session = Session(user=user, access_token="ac-cess", expires_in=900, refresh_token="re-fresh")
    assert session.model_dump(mode="json") == {
        "user": {
            "id": str(UUID(int=1)),
            "email": "a@b.co",
            "name": None,
            "timezone": "UTC",
            "created_at": "2027-01-01T00:00:00Z",
            "updated_at": "2027-01-01T00:00:00Z",
        },
        "access_token": "ac-cess",
        "token_type": "Bearer",
        "expires_in": 900,
        "refresh_token": "re-fresh",
    }
    assert "ac-cess" not in repr(session)
    assert "re-fresh" not in repr(session)
