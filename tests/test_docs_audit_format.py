"""docs/audit-format.md is enough: a verifier written from it alone agrees with TaskFlow's own."""

import json
import re
from hashlib import sha256
from pathlib import Path

import pytest

from streams.domain.audit_chain import Counts, Fault
from streams.domain.audit_file import UnreadableError, check_lines

PAGE = Path("docs/audit-format.md").read_text()
(EXAMPLE,) = re.findall(r"^```jsonl\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def is_sound(export: str) -> bool:
    """Verify an export by what the page says, and by nothing of TaskFlow's code."""
    *entries, last = [json.loads(line) for line in export.splitlines()]
    if "head" not in last or any("head" in entry for entry in entries):
        return False
    head = last["head"]
    user, sound = head["user_id"], []
    previous = sha256(b"taskflow.audit.v1.start\n" + user.encode()).digest()
    for position, entry in enumerate(entries, 1):
        content = entry["content"]
        sound.append((entry["user_id"], entry["position"]) == (user, position))
        sound.append((content is None) == head["erased"])
        if content is not None:
            text, inside = b"taskflow.audit.v1.content\n" + content.encode(), json.loads(content)
            sound.append(sha256(text).hexdigest() == entry["content_hash"])
            sound.append((inside["id"], inside["user_id"]) == (entry["entry_id"], user))
        link = b"taskflow.audit.v1.link\n" + previous + bytes.fromhex(entry["content_hash"])
        previous = sha256(link).digest()
        sound.append(previous.hex() == entry["hash"])
    return all(sound) and (head["position"], head["hash"]) == (len(entries), previous.hex())


def is_sound_for_taskflow(export: str) -> bool:
    try:
        return not list(check_lines(iter(export.encode().splitlines(keepends=True)), Counts()))
    except UnreadableError:
        return False


def without(export: str, index: int) -> str:
    lines = export.splitlines(keepends=True)
    del lines[index]
    return "".join(lines)


def erased(export: str) -> str:
    lines = [json.loads(line) for line in export.splitlines()]
    return "".join(
        json.dumps(
            {"head": line["head"] | {"erased": True}}
            if "head" in line
            else line | {"content": None},
            separators=(",", ":"),
        )
        + "\n"
        for line in lines
    )


def test_the_example_is_sound_by_the_page_and_by_taskflow() -> None:
    """As it is, with its contents erased, and of a user who has no entries."""
    user = "018f0000-0000-7000-8000-000000000001"
    start = sha256(f"taskflow.audit.v1.start\n{user}".encode()).hexdigest()
    none = f'{{"head":{{"user_id":"{user}","position":0,"hash":"{start}","erased":false}}}}\n'
    for export in (EXAMPLE, erased(EXAMPLE), none):
        assert is_sound(export)
        assert is_sound_for_taskflow(export)


@pytest.mark.parametrize(
    "broken",
    [
        EXAMPLE.replace("Pay rent", "Pay Rent"),
        EXAMPLE.replace("08:05", "08:06"),
        EXAMPLE.replace('"position":2', '"position":4'),
        EXAMPLE.replace('"erased":false', '"erased":true'),
        EXAMPLE.replace(
            '"entry_id":"018f0000-0000-7000-8000-0000000000a2"', '"entry_id":"' + "1" * 36 + '"'
        ),
        EXAMPLE.replace('"position":3,"hash"', '"position":2,"hash"'),
        EXAMPLE + EXAMPLE.splitlines(keepends=True)[0],
        EXAMPLE + EXAMPLE,
        "".join(EXAMPLE.splitlines(keepends=True)[place] for place in (1, 0, 2, 3)),
        *(without(EXAMPLE, index) for index in range(4)),
        *(
            EXAMPLE.replace(digits, digits[::-1])
            for digits in set(re.findall(r"[0-9a-f]{64}", EXAMPLE))
        ),
        erased(EXAMPLE).replace("true", "false"),
    ],
)
def test_what_was_changed_is_found_by_the_page_and_by_taskflow(broken: str) -> None:
    assert broken != EXAMPLE
    assert not is_sound(broken)
    assert not is_sound_for_taskflow(broken)


def test_every_fault_is_on_the_page_and_no_other() -> None:
    assert re.findall(r"^\| `([a-z]+)` \|", PAGE, re.MULTILINE) == [fault.value for fault in Fault]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"", "line 1: /head: missing, the file was cut off"),
        (b"{}\n", "line 1: /user_id: missing"),
        (b"what\n", "line 1: /: json_invalid"),
        (b'{"head":{"user_id":"x"}}\n', "line 1: /head/user_id: uuid_parsing"),
    ],
)
def test_a_line_that_is_none_names_its_number_the_field_and_the_rule(
    line: bytes, message: str
) -> None:
    lines = iter([line]) if line else iter([])
    with pytest.raises(UnreadableError) as raised:
        list(check_lines(lines, Counts()))
    assert str(raised.value) == message
