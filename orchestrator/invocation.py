"""What comes back from an invocation: the answer or the error, and where the time went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from orchestrator.paths import Path
from orchestrator.settings import Isolation


@dataclass(frozen=True)
class Phases:
    """Milliseconds on the request path, by phase; None where the path has no such phase."""

    wait: float | None = None
    """Until the node's memory had room for the call (isolation uc)."""
    spawn: float | None = None
    """Starting the QEMU process; 0 when the pool had started it ahead."""
    restore: float | None = None
    """Finding the snapshot, and from its stream to a guest that runs and is synchronised; for
    booted: the boot."""
    deploy: float | None = None
    """Making a context from a snapshot, by the guest's clock (isolation uc); not part of the next
    phase."""
    import_: float | None = None
    """Loading the function: unpack, compile, import."""
    capture: float | None = None
    """Taking the function's snapshot; it goes to the disk after the answer."""
    run: float | None = None
    """From sending the arguments to the whole answer."""

    def to_json(self) -> dict[str, float | None]:
        """Return the phases by their names in JSON, where `import_` is `import`."""
        return {entry.name.rstrip("_"): getattr(self, entry.name) for entry in fields(self)}


@dataclass(frozen=True)
class InvocationError:
    """Why a function gave no result: a kind of the wire contract, a message, a traceback."""

    kind: str
    message: str
    traceback: str | None = None

    def to_json(self) -> dict[str, str | None]:
        """Return the error as the object that `seuss invoke --json` prints."""
        return {"kind": self.kind, "message": self.message, "traceback": self.traceback}


@dataclass(frozen=True)
class Invocation:
    """One invocation's outcome: exactly one of `result` and `error` is set.

    `latency_ms` runs from the call to the answer on the request path. What the pool did ahead is
    not in it: `pooled` says so, and `phases.spawn` is then 0.
    """

    path: Path
    latency_ms: float
    phases: Phases
    accelerator: str
    result: dict[str, Any] | None = None
    error: InvocationError | None = None
    stdout: str = ""
    stderr: str = ""
    stdout_truncated: bool = False
    stderr_truncated: bool = False
    snapshot: str | None = None
    """The snapshot it started from or, when cold, the function's own: that may still be on its way
    to the disk, and is None if the answer was ready before its name. In isolation uc None until the
    function's is stored: its id is made of its pages, and these are read out of the node in a pause
    after the answer."""
    pooled: bool = False
    isolation: Isolation = "vm"

    def __post_init__(self) -> None:
        if (self.result is None) == (self.error is None):
            raise ValueError("an invocation has either a result or an error")

    @property
    def ok(self) -> bool:
        """Whether the function gave a result."""
        return self.error is None

    def to_json(self) -> dict[str, Any]:
        """Return the invocation as the object that `seuss invoke --json` prints, one a line."""
        answer: dict[str, Any] = {"path": self.path.value, "isolation": self.isolation}
        if self.error is None:
            answer["result"] = self.result
        else:
            answer["error"] = self.error.to_json()
        return answer | {
            "stdout": self.stdout,
            "stderr": self.stderr,
            "stdout_truncated": self.stdout_truncated,
            "stderr_truncated": self.stderr_truncated,
            "latency_ms": self.latency_ms,
            "phases": self.phases.to_json(),
            "pooled": self.pooled,
            "snapshot": self.snapshot,
            "accelerator": self.accelerator,
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Invocation:
        """Read what `to_json` returned. Raises KeyError, TypeError or ValueError."""
        values = dict(told)
        phases = dict(values.pop("phases"))
        error = values.pop("error", None)
        return cls(
            path=Path(values.pop("path")),
            phases=Phases(import_=phases.pop("import"), **phases),
            error=None if error is None else InvocationError(**error),
            **values,
        )
