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


class DeploymentError(OrchestratorError):
    """A function cannot be deployed as it was asked for."""


class AlreadyDeployedError(DeploymentError):
    """A function of that name is there, and was not to be replaced."""


class UnknownInvocationError(OrchestratorError):
    """The log has no invocation of that id."""

    def __init__(self, id: str) -> None:
        super().__init__(
            f"No invocation {id[:80]!r} is in the log, which keeps the newest. "
            "seuss logs shows them."
        )


class UnknownFunctionError(OrchestratorError):
    """No function of that name is deployed."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"No function {name[:80]!r} is deployed. Deploy it with seuss deploy FILE --name NAME; "
            "seuss functions list shows those there are."
        )


class BusyError(OrchestratorError):
    """No more invocations are taken now; `retry_s` is a guess at when one more fits."""

    def __init__(self, message: str, retry_s: int) -> None:
        super().__init__(message)
        self.retry_s = retry_s


class NodeFullError(BusyError):
    """A call could not begin for want of memory in a node; nothing of it was done."""


class GatewayError(OrchestratorError):
    """The HTTP gateway cannot be started."""


class DatabaseError(OrchestratorError):
    """The platform's own file cannot be read or written."""


class ImageError(OrchestratorError):
    """The guest image is missing or is no image."""


class NetworkError(OrchestratorError):
    """A place that a function should reach cannot be; the message names it and says why."""

    def __init__(self, destination: str, fault: str) -> None:
        super().__init__(f"{destination!r} cannot be opened to a function: {fault}")


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
