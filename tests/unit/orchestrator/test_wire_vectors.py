"""The frames that both sides agree on: the guest's C++ is tested against the same file."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import pytest

from orchestrator.errors import ProtocolError
from orchestrator.wire import Decoder, Frame, MessageType

VECTORS = json.loads(
    (pathlib.Path(__file__).parents[2] / "vectors" / "frames.json").read_text(encoding="utf-8")
)


def name_of(vector: dict[str, Any]) -> str:
    return str(vector["name"])


def frame_of(vector: dict[str, Any]) -> Frame:
    kind = MessageType(vector["type"])
    return Frame(
        type=kind,
        payload=bytes.fromhex(vector["payload"]),
        id=vector["id"],
        context=vector["context"],
        **{"deploy_ns" if kind.from_guest else "limit_ms": vector["time"]},
    )


@pytest.mark.parametrize("vector", VECTORS["frames"], ids=name_of)
def test_frame(vector: dict[str, Any]) -> None:
    encoded = bytes.fromhex(vector["frame"])
    assert frame_of(vector).encode() == encoded
    assert list(Decoder().feed(encoded)) == [frame_of(vector)]


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=name_of)
def test_refused_header(vector: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError, match=vector["error"]):
        list(Decoder().feed(bytes.fromhex(vector["frame"])))


def test_vectors_cover_every_type() -> None:
    covered = {vector["type"]: vector["type_name"] for vector in VECTORS["frames"]}
    assert covered == {kind.value: kind.name for kind in MessageType}
