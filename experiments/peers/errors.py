"""The error of all peers."""

from __future__ import annotations

from snapshot_store.errors import SeussError


class PeerError(SeussError):
    """A peer cannot run on this machine, or did not give the answer."""
