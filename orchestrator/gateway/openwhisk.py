"""Actions and activations in the shape of OpenWhisk's REST, so that its clients work."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from orchestrator.gateway.bodies import (
    ARGUMENTS_LIMIT,
    FUNCTION_LIMIT,
    Bodies,
    parse_object,
    parsed,
)
from orchestrator.gateway.errors import RequestError, json_response
from orchestrator.gateway.events import event
from orchestrator.gateway.functions import code_of, deployment_of, truth, typed, whole
from orchestrator.gateway.outcomes import remember
from orchestrator.network import Reach
from orchestrator.platform.platform import Platform
from orchestrator.platform.registry import Deployed, Deployment, Entry

PREFIX: Final = "/api/v1/namespaces/{namespace}"
NAMESPACES: Final = ("_", "guest")
"""The caller's own namespace, and what OpenWhisk calls it where there are no accounts."""
KINDS: Final = {
    "python:3": "python",
    "python:default": "python",
    "python": "python",
    "nodejs:20": "js",
    "nodejs:default": "js",
    "nodejs": "js",
}
"""What OpenWhisk calls the runtimes; the first name of each is told back."""
NETWORK: Final = "network"
"""The annotation with the places that an action may reach: a list of HOST:PORT."""
STATUS: Final = {0: "success", 1: "application error", 2: "action developer error"}
DEVELOPERS: Final = frozenset({"syntax-error", "import-error", "no-main", "bad-result"})
MOST_LISTED: Final = 200


class OpenWhisk:
    """Handlers under /api/v1/namespaces."""

    def __init__(self, platform: Platform, bodies: Bodies, reach: Reach) -> None:
        self._platform = platform
        self._bodies = bodies
        self._reach = reach

    def routes(self) -> list[web.RouteDef]:
        """Return what answers which request."""
        return [
            web.get(f"{PREFIX}/actions", self.list, allow_head=False),
            web.put(f"{PREFIX}/actions/{{name}}", self.put),
            web.get(f"{PREFIX}/actions/{{name}}", self.get, allow_head=False),
            web.delete(f"{PREFIX}/actions/{{name}}", self.delete),
            web.post(f"{PREFIX}/actions/{{name}}", self.invoke),
            web.get(f"{PREFIX}/activations", self.activations, allow_head=False),
            web.get(f"{PREFIX}/activations/{{id}}", self.activation, allow_head=False),
            web.get(f"{PREFIX}/activations/{{id}}/logs", self.logs, allow_head=False),
            web.get(f"{PREFIX}/activations/{{id}}/result", self.result, allow_head=False),
        ]

    async def list(self, request: web.Request) -> web.Response:
        """All actions, without their code."""
        _check_namespace(request)
        entries = await asyncio.to_thread(self._platform.registry.list)
        skip, limit = whole(request, "skip"), whole(request, "limit")
        chosen = entries[max(0, skip) :][: max(0, limit) or MOST_LISTED]
        return json_response([_action(entry) for entry in chosen])

    async def put(self, request: web.Request) -> web.Response:
        """Make an action, or replace it with ?overwrite=true."""
        _check_namespace(request)
        async with self._bodies.read(request, FUNCTION_LIMIT) as body:
            told = await asyncio.to_thread(parse_object, body)
            name = request.match_info["name"]
            deployment = await asyncio.to_thread(_deployment, name, told, self._reach)
        entry = await asyncio.to_thread(
            self._platform.registry.put, deployment, truth(request, "overwrite")
        )
        event("deployed", function=entry.name, version=entry.version, code=entry.id)
        return json_response(_action(entry))

    async def get(self, request: web.Request) -> web.Response:
        """One action, with its code unless ?code=false."""
        deployed = self._found(request)
        told = _action(deployed.entry)
        if request.query.get("code") != "false":
            told["exec"]["code"] = code_of(deployed.deployment.function)
        return json_response(told)

    async def delete(self, request: web.Request) -> web.Response:
        """Forget an action."""
        deployed = self._found(request)
        await asyncio.to_thread(self._platform.registry.delete, deployed.name)
        event("deleted", function=deployed.name)
        return json_response(_action(deployed.entry))

    async def invoke(self, request: web.Request) -> web.Response:
        """Invoke an action; ?blocking=true waits for it, ?result=true answers with that alone."""
        _check_namespace(request)
        name = request.match_info["name"]
        async with self._bodies.read(request, ARGUMENTS_LIMIT) as body:
            args = await parsed(body)
            if not truth(request, "blocking"):
                return json_response({"activationId": self._begin(name, args, len(body))}, 202)
            outcome = await self._platform.invoke(name, args)
        remember(request, outcome)
        told = _activation(outcome.entry.to_json())
        status = 200 if outcome.invocation.ok else 502
        return json_response(
            told["response"]["result"] if truth(request, "result") else told,
            status,
            {"X-OpenWhisk-Activation-Id": outcome.id},
        )

    async def activations(self, request: web.Request) -> web.Response:
        """The last activations, newest first."""
        _check_namespace(request)
        await self._platform.write_log()
        limit = whole(request, "limit") or 30
        skip = whole(request, "skip")
        found = await asyncio.to_thread(
            self._platform.log.list,
            request.query.get("name"),
            max(0, min(limit, MOST_LISTED)) + max(0, min(skip, MOST_LISTED)),
        )
        newest = [_activation(record) for _, record in reversed(found)]
        return json_response(newest[max(0, skip) :])

    async def activation(self, request: web.Request) -> web.Response:
        """One activation."""
        return json_response(await self._logged(request))

    async def logs(self, request: web.Request) -> web.Response:
        """What an activation printed."""
        return json_response({"logs": (await self._logged(request))["logs"]})

    async def result(self, request: web.Request) -> web.Response:
        """What an activation gave."""
        return json_response((await self._logged(request))["response"])

    def _begin(self, name: str, args: Mapping[str, Any], size: int) -> str:
        """Invoke without waiting; while that waits for its turn its arguments take memory."""
        release = self._bodies.hold(size)
        try:
            return self._platform.begin(name, args, release)
        except BaseException:
            release()
            raise

    def _found(self, request: web.Request) -> Deployed:
        _check_namespace(request)
        return self._platform.registry.get(request.match_info["name"])

    async def _logged(self, request: web.Request) -> dict[str, Any]:
        _check_namespace(request)
        await self._platform.write_log()
        record = await asyncio.to_thread(self._platform.log.get, request.match_info["id"])
        return _activation(record)


def openwhisk_error(error: RequestError, code: str) -> web.Response:
    """Return an error as OpenWhisk's clients expect it."""
    return json_response({"error": error.message, "code": code}, error.status, error.headers())


def _check_namespace(request: web.Request) -> None:
    namespace = request.match_info["namespace"]
    if namespace not in NAMESPACES:
        raise RequestError(
            404,
            "unknown-namespace",
            f"There is no namespace {namespace[:80]!r}. Use one of: {', '.join(NAMESPACES)}.",
        )


def _deployment(name: str, told: Mapping[str, Any], reach: Reach) -> Deployment:
    """Return the deployment that an action's object describes. Raises as `deployment_of`."""
    how = told.get("exec")
    limits = told.get("limits") or {}
    if not isinstance(how, dict) or not isinstance(limits, dict):
        raise RequestError(
            400, "bad-request", f"{name}: the action has no exec. Send exec with kind and code."
        )
    kind = how.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise RequestError(
            400,
            "bad-request",
            f"{name}: the kind {str(kind)[:80]!r} does not exist. "
            f"Choose one of: {', '.join(KINDS)}.",
        )
    wanted = {
        "code": how.get("code"),
        "format": "zip" if how.get("binary") is True else "source",
        "main": how.get("main"),
        "runtime": KINDS[kind],
    }
    timeout_ms, memory = limits.get("timeout"), limits.get("memory")
    if timeout_ms is not None:
        wanted["timeout_s"] = typed("limits.timeout", timeout_ms, float) / 1000
    if memory is not None:
        # An action's memory is that of its own machine.
        wanted |= {"memory_mib": memory, "isolation": "vm"}
    return deployment_of(name, wanted | {"network": _annotated(name, told)}, reach)


def _annotated(name: str, told: Mapping[str, Any]) -> object:
    """Return what the annotation `network` says, None without one."""
    annotations = told.get("annotations") or []
    if not isinstance(annotations, list) or not all(isinstance(each, dict) for each in annotations):
        raise RequestError(
            400,
            "bad-request",
            f"{name}: the annotations are no list of objects. Send each as "
            '{"key": "network", "value": ["example.org:443"]}.',
        )
    return next((each.get("value") for each in annotations if each.get("key") == NETWORK), None)


def _kind_of(runtime: str) -> str:
    return next(kind for kind, named in KINDS.items() if named == runtime)


def _action(entry: Entry) -> dict[str, Any]:
    return {
        "namespace": "guest",
        "name": entry.name,
        "version": f"0.0.{entry.version}",
        "publish": False,
        "exec": {
            "kind": _kind_of(entry.runtime),
            "binary": entry.format == "zip",
            "main": entry.main,
        },
        "limits": {
            "timeout": round(entry.timeout_s * 1000),
            **({} if entry.memory_mib is None else {"memory": entry.memory_mib}),
        },
        "annotations": [
            {"key": "isolation", "value": entry.isolation},
            *([{"key": NETWORK, "value": list(entry.network)}] if entry.network else []),
        ],
        "parameters": [],
        "updated": round(entry.changed * 1000),
    }


def _activation(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return an invocation, as the log has it, as an activation."""
    error = record.get("error")
    code = 0
    result = record.get("result")
    if error is not None:
        code = 2 if error["kind"] in DEVELOPERS else 1
        result = {"error": f"{error['kind']}: {error['message']}"}
    start = round(record["time"] * 1000)
    duration = round(record["latency_ms"])
    return {
        "activationId": record["id"],
        "namespace": "guest",
        "subject": "guest",
        "name": record["function"],
        "version": f"0.0.{record['version']}",
        "publish": False,
        "start": start,
        "end": start + duration,
        "duration": duration,
        "response": {
            "status": STATUS[code],
            "statusCode": code,
            "success": error is None,
            "result": result,
            "size": len(json.dumps(result)),
        },
        "logs": [
            f"{stream}: {line}"
            for stream in ("stdout", "stderr")
            for line in record[stream].splitlines()
        ],
        "annotations": [
            {"key": "path", "value": f"guest/{record['function']}"},
            {"key": "start", "value": record["path"]},
            {"key": "latency_ms", "value": record["latency_ms"]},
        ],
    }
