"""A key's partition is Kafka's own: murmur2 of the key, so that every client agrees on it."""

_SEED = 0x9747B28C
_MIX = 0x5BD1E995
_WORD = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """Hash as org.apache.kafka.common.utils.Utils.murmur2 does; 32 bits, unsigned."""
    length = len(data)
    h = (_SEED ^ length) & _WORD
    for start in range(0, length - length % 4, 4):
        k = int.from_bytes(data[start : start + 4], "little") * _MIX & _WORD
        k = (k ^ (k >> 24)) * _MIX & _WORD
        h = h * _MIX & _WORD ^ k
    tail = data[length - length % 4 :]
    if tail:
        h = (h ^ int.from_bytes(tail, "little")) * _MIX & _WORD
    h = (h ^ (h >> 13)) * _MIX & _WORD
    return h ^ (h >> 15)


def partition_of(key: bytes, partitions: int) -> int:
    """Choose the partition of a key as Kafka's default partitioner does (KIP-480 left it so)."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
