"""Keys are changed without a channel being lost: a new one is put first, and all is resealed."""

from uuid import UUID

import pytest

from schemas.settings import Settings, load_settings
from streams.cli import channels
from streams.cli.main import main
from streams.store.channels import Hook, find_channel, open_hook, reseal_all, seal_hook
from streams.store.vault import SealedError, make_vault
from tests.integration.notifications.sending_world import KEYS, World

NEW = "n" * 32
OWNER = UUID(int=1)


async def test_a_new_key_is_put_first_and_the_old_one_is_needed_no_more(world: World) -> None:
    hooked = [await world.hook(f"https://hook.example/{n}") for n in range(7)]
    both, new = make_vault([NEW, *KEYS]), make_vault([NEW])
    assert both is not None
    assert new is not None
    assert await reseal_all(world.database, both, rows_max=3) == 7
    for number, one in enumerate(hooked):
        channel = await find_channel(world.database, one.user_id, one.channel_id)
        assert channel is not None
        hook = open_hook(new, channel.id, channel.sealed or "")
        assert (hook.url, hook.secret) == (f"https://hook.example/{number}", one.secret)
        with pytest.raises(SealedError):
            open_hook(world.vault, channel.id, channel.sealed or "")


def test_what_is_sealed_shows_nothing_and_opens_for_its_row_alone() -> None:
    vault = make_vault(KEYS)
    assert vault is not None
    hook = Hook("https://hook.example/token", "whsec_c2VjcmV0")
    sealed = seal_hook(vault, OWNER, hook)
    assert open_hook(vault, OWNER, sealed) == hook
    assert sealed != seal_hook(vault, OWNER, hook)
    with pytest.raises(SealedError):
        open_hook(vault, UUID(int=2), sealed)
    for text in (sealed, repr(hook), repr(vault)):
        assert "token" not in text
        assert "whsec" not in text
        assert KEYS[0] not in text


def test_without_keys_there_is_no_vault() -> None:
    assert make_vault([]) is None


async def test_the_command_says_what_to_do_without_keys(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(channels, "load_settings", lambda: Settings(_env_file=None))
    load_settings.cache_clear()
    assert main(["channels", "reseal"]) == 1
    assert "put the new key before the old ones" in capsys.readouterr().err
