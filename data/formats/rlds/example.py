"""``tf.train.Example`` messages, read without TensorFlow: named lists of numbers or bytes."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from vjepa_sim.envs.errors import UserError

Features = dict[str, np.ndarray | list[bytes]]

# Tags of the wire format: number of a field, shifted by 3, and 2 for "length and bytes".
FIRST, SECOND = 0x0A, 0x12
LONGEST_HEAD = 512  # most bytes from the start of an entry to that of its value; names are much shorter


def parse_example(data: bytes) -> Features:
    """The features of a message: numbers as float64 or int64 [N], bytes as a list.

    Raises:
        UserError: The bytes are not such a message.
    """
    from google.protobuf.message import DecodeError

    try:
        example = _message("Example").FromString(data)
    except (DecodeError, ValueError, MemoryError) as error:
        raise UserError(f"not a tf.train.Example ({error})") from error
    return {name: _values(feature) for name, feature in example.features.feature.items()}


def peek_example(path: Path, start: int, length: int, wanted: Callable[[str], bool]) -> dict[str, Any]:
    """Like :func:`parse_example`, but reads only wanted features: images make up most of a message.

    Args:
        path: Path of the file.
        start, length: Position and length of the message in the file, bytes.
        wanted: Function from a feature's name to whether it is read.

    Returns:
        Every feature by name; for those that aren't wanted, the bytes that it takes.

    Raises:
        UserError: The bytes are not such a message, or the file can't be read.
    """
    from google.protobuf.message import DecodeError

    try:
        with open(path, "rb", buffering=0) as file:
            return _walk(file.fileno(), start, length, wanted)
    except (OSError, DecodeError, ValueError, IndexError, MemoryError) as error:
        raise UserError(f"not a tf.train.Example ({error})") from error


def _walk(file: int, start: int, length: int, wanted: Callable[[str], bool]) -> dict[str, Any]:
    """Go through the entries of Example.features.feature."""
    found: dict[str, Any] = {}
    head = os.pread(file, LONGEST_HEAD, start)
    size, place = _field(head, 0, FIRST)
    if place + size != length:
        raise ValueError("its features have another length than the message")
    place, end = start + place, start + length
    while place < end:
        head = os.pread(file, LONGEST_HEAD, place)
        size, inside = _field(head, 0, FIRST)
        following = place + inside + size
        name_size, inside = _field(head, inside, FIRST)
        name = head[inside : inside + name_size].decode()
        value_size, inside = _field(head, inside + name_size, SECOND)
        if place + inside + value_size != following or following > end:
            raise ValueError(f"its feature {name!r} has another length than its entry")
        found[name] = value_size
        if wanted(name):
            found[name] = _values(_message("Feature").FromString(os.pread(file, value_size, place + inside)))
        place = following
    return found


def _field(head: bytes, place: int, tag: int) -> tuple[int, int]:
    """Length of the field at a position, and the position of its bytes."""
    if head[place] != tag:
        raise ValueError(f"field {head[place]} where {tag} was expected")
    value = shift = 0
    for offset in range(1, 11):
        byte = head[place + offset]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place + offset + 1
        shift += 7
    raise ValueError("a length of more than 10 bytes")


def _values(feature: Any) -> np.ndarray | list[bytes]:
    kind = feature.WhichOneof("kind")
    if kind == "float_list":
        return np.array(feature.float_list.value, np.float64)
    if kind == "int64_list":
        return np.array(feature.int64_list.value, np.int64)
    return list(feature.bytes_list.value)


@lru_cache(maxsize=8)
def _message(name: str) -> Any:
    """The class of a message in TensorFlow's example.proto or feature.proto."""
    from google.protobuf import descriptor_pool, message_factory
    from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto

    field = FieldDescriptorProto
    file = FileDescriptorProto(name="vjepa_sim_example.proto", package="tensorflow", syntax="proto3")
    for list_name, kind in (
        ("BytesList", field.TYPE_BYTES),
        ("FloatList", field.TYPE_FLOAT),
        ("Int64List", field.TYPE_INT64),
    ):
        file.message_type.add(name=list_name).field.add(name="value", number=1, type=kind, label=field.LABEL_REPEATED)

    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, list_name in enumerate(("BytesList", "FloatList", "Int64List"), 1):
        name_ = list_name.removesuffix("List").lower() + "_list"
        feature.field.add(
            name=name_, number=number, type=field.TYPE_MESSAGE, type_name=f".tensorflow.{list_name}",
            label=field.LABEL_OPTIONAL, oneof_index=0,
        )  # fmt: skip

    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    entry.field.add(
        name="value", number=2, type=field.TYPE_MESSAGE, type_name=".tensorflow.Feature", label=field.LABEL_OPTIONAL
    )
    features.field.add(
        name="feature", number=1, type=field.TYPE_MESSAGE, type_name=".tensorflow.Features.FeatureEntry",
        label=field.LABEL_REPEATED,
    )  # fmt: skip

    example = file.message_type.add(name="Example")
    example.field.add(
        name="features", number=1, type=field.TYPE_MESSAGE, type_name=".tensorflow.Features", label=field.LABEL_OPTIONAL
    )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"tensorflow.{name}"))
