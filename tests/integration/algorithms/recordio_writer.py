"""Writes RecordIO files of protobuf records, independently of the code that reads them."""

import struct


def recordio(records):
    frames = []
    for content in records:
        padding = b"\0" * (-len(content) % 4)
        frames.append(struct.pack("<II", 0xCED7230A, len(content)) + content + padding)
    return b"".join(frames)


def record(values, keys=None, columns=None, *, label=None):
    message = _field(1, _entry(_tensor(values, keys, columns)))
    if label is not None:
        message += _field(2, _entry(_tensor([label])))
    return message


def _entry(tensor):
    return _field(1, b"values") + _field(2, tensor)


def _tensor(values, keys=None, columns=None):
    content = _field(1, struct.pack(f"<{len(values)}f", *values))
    if keys is not None:
        content += _field(2, bytes(keys))
        content += _field(3, bytes([columns]))
    return _field(2, content)


def _field(number, content):
    assert len(content) < 128
    return bytes([number << 3 | 2, len(content)]) + content
