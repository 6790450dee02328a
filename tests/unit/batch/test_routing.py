"""Chunks are a function of the file: every row once, in order, a card in one partition, bounded in rows and bytes."""

from hypothesis import given
from hypothesis import strategies as st

from postrail.batch.routing import CHUNK_BYTES_MAX, cut_into_chunks, partition_of
from postrail.batch.rows import Row

rows_strategy = st.lists(st.tuples(st.binary(min_size=1, max_size=4), st.binary(max_size=20)), max_size=200).map(
    lambda pairs: [(line, token, record) for line, (token, record) in enumerate(pairs, 1)]
)


@given(rows_strategy, st.integers(1, 5), st.integers(1, 30))
def test_every_row_is_in_one_chunk_in_the_order_of_the_file(rows: list[Row], partitions: int, chunk_size: int) -> None:
    chunks = list(cut_into_chunks(rows, partitions=partitions, chunk_size=chunk_size))
    assert chunks == list(cut_into_chunks(iter(rows), partitions=partitions, chunk_size=chunk_size))
    tokens = {line: token for line, token, _ in rows}
    seen = []
    for partition in range(partitions):
        own = [chunk for place, chunk in chunks if place == partition]
        assert [chunk.number for chunk in own] == list(range(len(own)))
        lines = [line for chunk in own for line in chunk.lines]
        assert lines == sorted(lines)
        assert all(partition_of(tokens[line], partitions) == partition for line in lines)
        assert all(len(chunk.lines) == chunk_size for chunk in own[:-1])
        seen += [(line, record) for chunk in own for line, record in zip(chunk.lines, chunk.records, strict=True)]
    assert sorted(seen) == [(line, record) for line, _, record in rows]


def test_long_rows_close_a_chunk_early() -> None:
    record = b"x" * (CHUNK_BYTES_MAX // 3)
    chunks = list(cut_into_chunks([(line, b"1", record) for line in range(1, 8)], partitions=1, chunk_size=1000))
    assert [len(chunk.lines) for _, chunk in chunks] == [4, 3]
