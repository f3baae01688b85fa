"""What Prometheus reads: times by path, outcomes, and how full the platform is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from orchestrator.platform.log import Entry
from orchestrator.platform.platform import Outcome, Platform

SECONDS: Final = (
    *(0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0),
    *(10.0, 30.0, 60.0),
)
KINDS: Final = frozenset(
    {
        *("syntax-error", "import-error", "no-main", "exception", "bad-result", "exit"),
        *("result-too-large", "bad-request", "timeout", "memory-limit", "fault", "bad-call"),
        *("node-died", "args-too-large", "protocol", "platform", "cancelled"),
    }
)
"""Kinds of error with a count of their own; a guest can say anything, so all others share one."""
CONTENT_TYPE: Final = CONTENT_TYPE_LATEST


class Metrics:
    """The gateway's metrics; `invocation` is what a platform's listener calls."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._latency = Histogram(
            "seuss_invocation_seconds",
            "From the dispatcher's call to its answer, by path.",
            ("path", "isolation"),
            buckets=SECONDS,
            registry=self._registry,
        )
        self._outcomes = Counter(
            "seuss_invocations",
            "Invocations by how they ended: ok, or the kind of error.",
            ("path", "isolation", "outcome"),
            registry=self._registry,
        )
        self._overhead = Histogram(
            "seuss_gateway_overhead_seconds",
            "A request's time in the gateway without the waiting and the dispatcher's.",
            buckets=SECONDS,
            registry=self._registry,
        )
        self._requests = Counter(
            "seuss_http_requests",
            "Requests by route and status.",
            ("method", "route", "status"),
            registry=self._registry,
        )

    def watch(self, platform: Platform) -> None:
        """Tell of a platform's fill too."""
        self._registry.register(_Fill(platform))

    def invocation(self, entry: Entry) -> None:
        """Count an invocation that ended."""
        invocation, error = entry.invocation, entry.invocation.error
        outcome = "ok"
        if error is not None:
            outcome = error.kind if error.kind in KINDS else "other"
        self._outcomes.labels(invocation.path.value, entry.isolation, outcome).inc()
        if error is None or error.kind not in ("platform", "cancelled"):
            self._latency.labels(invocation.path.value, entry.isolation).observe(
                invocation.latency_ms / 1000
            )

    def request(
        self, method: str, route: str, status: int, seconds: float, outcome: Outcome | None
    ) -> None:
        """Count a request that was answered after `seconds`."""
        self._requests.labels(method, route, str(status)).inc()
        if outcome is not None:
            elsewhere = (outcome.waited_ms + outcome.dispatched_ms) / 1000
            self._overhead.observe(max(0.0, seconds - elsewhere))

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)


class _Fill(Collector):
    """Reads the platform when it is asked."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges."""
        fill = self._platform.fill()
        for name, text in (
            ("running", "Invocations that run."),
            ("waiting", "Invocations that wait for their turn."),
        ):
            gauge = GaugeMetricFamily(f"seuss_{name}", text, labels=("isolation",))
            for isolation, counts in fill.items():
                gauge.add_metric((isolation,), counts[name])
            yield gauge
