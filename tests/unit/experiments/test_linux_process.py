"""The peer "Linux process", for real: it needs nothing but Python."""

from __future__ import annotations

import pytest

from experiments.peers.errors import PeerError
from experiments.peers.linux_process import measure
from experiments.workloads import WORKLOADS, Workload


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_right_answer(workload: Workload) -> None:
    answer = measure(workload.source, workload.arguments)
    assert answer.result == workload.expected()
    assert answer.latency_ms > 0


def test_work_takes_time() -> None:
    source = b"def main(args):\n    n = 0\n    while n < args['n']: n += 1\n    return {}\n"
    assert measure(source, {"n": 3_000_000}).latency_ms > measure(source, {"n": 1}).latency_ms


def test_failing_function_is_told() -> None:
    with pytest.raises(PeerError, match="status 1") as caught:
        measure(b"def main(args):\n    raise ValueError('no luck')\n", {})
    assert "no luck" in caught.value.log_tail
