"""The orchestrator's errors. All are SeussErrors: the message names input, cause and next step.

A function's own failure (an exception, a timeout, a bad result) is no exception here: it is the
`error` of an `Invocation`.
"""

from __future__ import annotations

from snapshot_store.errors import SeussError


class OrchestratorError(SeussError):
    """Something on the host's side stopped the work."""


class SettingsError(OrchestratorError):
    """A setting has a value that cannot work."""


class FunctionFileError(OrchestratorError):
    """A function's file cannot be read, or cannot be a function.

    Args:
        subject: the function's name, or its file.
        fault: what is wrong with it and what to do, without the subject.
    """

    def __init__(self, subject: str, fault: str) -> None:
        super().__init__(f"{subject}: {fault}")
        self.fault = fault


class ImageError(OrchestratorError):
    """The guest image is missing or is no image."""


class ProtocolError(OrchestratorError):
    """A stream of frames, or a payload in it, breaks the wire format."""


class MachineError(OrchestratorError):
    """A QEMU process could not be started, stopped answering, or ended by itself."""


class PoolClosedError(OrchestratorError):
    """A machine was asked for while the node is being closed."""


class AcceleratorError(OrchestratorError):
    """The accelerator that was asked for does not work on this machine."""


class MigrationError(OrchestratorError):
    """A migration stream cannot be read or written, or QEMU refused it."""


class RestoreError(OrchestratorError):
    """A snapshot could not be turned into a running guest."""


class RegionFullError(RestoreError):
    """The memory that nodes share has no room for a snapshot."""


class CaptureError(OrchestratorError):
    """A guest's state could not be captured."""


class NodeError(OrchestratorError):
    """A node that runs in the background cannot be started or reached, or it ended."""


class MicroError(OrchestratorError):
    """The workers of the isolation language cannot be built, started or reached."""


class DebuggerError(OrchestratorError):
    """A debugger's command cannot be understood, or cannot be carried out on this machine."""
