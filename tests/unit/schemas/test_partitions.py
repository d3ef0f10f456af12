"""A key goes where every Kafka client would send it."""

import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from schemas.partitions import murmur2, partition_of


@pytest.mark.parametrize(
    ("text", "signed"),
    [
        # From UtilsTest.testMurmur2 of Apache Kafka, where the hash is a Java int.
        ("21", -973932308),
        ("foobar", -790332482),
        ("a-little-bit-long-string", -985981536),
        ("a-little-bit-longer-string", -1486304829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        ("abc", 479470107),
    ],
)
def test_murmur2_is_kafkas(text: str, signed: int) -> None:
    assert murmur2(text.encode()) == signed % 2**32


@given(st.binary(max_size=64), st.integers(1, 1_000))
def test_a_key_has_the_partition_that_the_client_library_gives_it(key: bytes, count: int) -> None:
    everyone = list(range(count))
    assert partition_of(key, count) == DefaultPartitioner()(key, everyone, everyone)


@given(st.uuids(), st.integers(1, 50))
def test_a_partition_is_one_of_those_that_there_are(user: object, count: int) -> None:
    assert 0 <= partition_of(str(user).encode(), count) < count
