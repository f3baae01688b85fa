"""The gateway's own REST: functions, their invocations, and the log."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from orchestrator.function import Function
from orchestrator.gateway.bodies import ARGUMENTS_LIMIT, FUNCTION_LIMIT, Bodies, parse_object
from orchestrator.gateway.errors import RequestError, function_status, json_response, json_text
from orchestrator.gateway.events import event
from orchestrator.gateway.outcomes import remember
from orchestrator.network import Reach, parse_all
from orchestrator.paths import Path
from orchestrator.platform.platform import Platform
from orchestrator.platform.registry import Deployment
from orchestrator.runtimes import DEFAULT_RUNTIME

RAW_FORMATS: Final = {
    "text/x-python": "source",
    "text/plain": "source",
    "application/zip": "zip",
}
"""Types of a body that is the code itself."""
CHOICES: Final[dict[str, type]] = {
    "main": str,
    "runtime": str,
    "isolation": str,
    "timeout_s": float,
    "memory_mib": int,
    "network": list,
}
"""What can be said of a function beside its code."""
MOST_LISTED: Final = 1000
MOST_LISTED_BYTES: Final = 16 << 20


class Functions:
    """Handlers under /functions and /invocations."""

    def __init__(self, platform: Platform, bodies: Bodies, reach: Reach) -> None:
        self._platform = platform
        self._bodies = bodies
        self._reach = reach

    def routes(self) -> list[web.RouteDef]:
        """Return what answers which request."""
        return [
            web.get("/functions", self.list, allow_head=False),
            web.put("/functions/{name}", self.put),
            web.get("/functions/{name}", self.get, allow_head=False),
            web.delete("/functions/{name}", self.delete),
            web.post("/functions/{name}/invoke", self.invoke),
            web.get("/invocations", self.log, allow_head=False),
            web.get("/invocations/{id}", self.logged, allow_head=False),
        ]

    async def list(self, request: web.Request) -> web.Response:
        """All functions."""
        entries = await asyncio.to_thread(self._platform.registry.list)
        return json_response({"functions": [entry.to_json() for entry in entries]})

    async def put(self, request: web.Request) -> web.Response:
        """Deploy the function in the body: its code itself, or an object with code and choices."""
        name = request.match_info["name"]
        raw = RAW_FORMATS.get(request.content_type)
        async with self._bodies.read(request, FUNCTION_LIMIT) as body:
            told = _asked(request) if raw else await asyncio.to_thread(parse_object, body)
            told.pop("new", None)
            if raw:
                told |= {"format": raw, "code": body}
            deployment = await asyncio.to_thread(deployment_of, name, told, self._reach)
        replace = not truth(request, "new")
        entry = await asyncio.to_thread(self._platform.registry.put, deployment, replace)
        event("deployed", function=entry.name, version=entry.version, code=entry.id)
        return json_response(entry.to_json(), 201 if entry.version == 1 else 200)

    async def get(self, request: web.Request) -> web.Response:
        """One function; with ?code=true its code too."""
        deployed = self._platform.registry.get(request.match_info["name"])
        told = deployed.entry.to_json()
        if truth(request, "code"):
            told["code"] = code_of(deployed.deployment.function)
        return json_response(told)

    async def delete(self, request: web.Request) -> web.Response:
        """Forget a function."""
        name = request.match_info["name"]
        await asyncio.to_thread(self._platform.registry.delete, name)
        event("deleted", function=name)
        return web.Response(status=204)

    async def invoke(self, request: web.Request) -> web.Response:
        """Invoke a function with the object in the body; the answer has path, times and output."""
        path, timeout_s = _path(request), number(request, "timeout_s")
        async with self._bodies.read_object(request, ARGUMENTS_LIMIT) as args:
            outcome = await self._platform.invoke(request.match_info["name"], args, path, timeout_s)
        remember(request, outcome)
        error = outcome.invocation.error
        status = 200 if error is None else function_status(error.kind)
        return json_response(outcome.entry.to_json() | {"waited_ms": outcome.waited_ms}, status)

    async def log(self, request: web.Request) -> web.Response:
        """The last invocations; ?function=, ?limit= and ?after= (a serial number) choose.

        ?brief=true leaves out what can be long.
        """
        await self._platform.write_log()
        limit = whole(request, "limit") or 100
        after = whole(request, "after")
        told = await asyncio.to_thread(
            self._platform.log.listed,
            request.query.get("function"),
            max(0, min(limit, MOST_LISTED)),
            after,
            brief=truth(request, "brief"),
            most=MOST_LISTED_BYTES,
        )
        return json_text(f'{{"invocations":{told}}}')

    async def logged(self, request: web.Request) -> web.Response:
        """One invocation."""
        await self._platform.write_log()
        record = await asyncio.to_thread(self._platform.log.get, request.match_info["id"])
        return json_response(record)


def deployment_of(name: str, told: Mapping[str, Any], reach: Reach) -> Deployment:
    """Return the deployment that an object describes; `code` is text, base64 text or bytes.

    Raises RequestError with 400, or 403 for a place beyond `reach`; DeploymentError,
    FunctionFileError, NetworkError, SettingsError.
    """
    unknown = told.keys() - CHOICES.keys() - {"code", "format"}
    if unknown:
        raise RequestError(
            400,
            "bad-request",
            f"{name}: there is no {sorted(unknown)[0][:80]!r} to choose. "
            f"Choose among: code, format, {', '.join(CHOICES)}.",
        )
    chosen: dict[str, Any] = {
        choice: typed(choice, told[choice], wanted)
        for choice, wanted in CHOICES.items()
        if told.get(choice) is not None
    }
    form = told.get("format", "source")
    code = told.get("code")
    if isinstance(code, str):
        code = decoded(code) if form == "zip" else code.encode("utf-8", "surrogatepass")
    if not isinstance(code, bytes):
        raise RequestError(400, "bad-request", f"{name}: the code is missing. Send it as text.")
    runtime = chosen.pop("runtime", DEFAULT_RUNTIME)
    network = _places(chosen.pop("network", []))
    refused = reach.refused(network)
    if refused is not None:
        raise RequestError(
            403,
            "forbidden",
            f"{name}: nobody may give {refused} to a function from here. Have it deployed with "
            "seuss deploy, or the gateway started with another --reach.",
        )
    function = Function(name, form, code, chosen.pop("main", "main"), runtime, network)
    return Deployment(function, **chosen)


def _asked(request: web.Request) -> dict[str, Any]:
    """Return the choices in the query; a place to reach may be given again."""
    told: dict[str, Any] = dict(request.query)
    if "network" in told:
        told["network"] = request.query.getall("network")
    return told


def _places(told: list[object]) -> tuple[str, ...]:
    return parse_all(typed("a place in network", place, str) for place in told)


def decoded(text: str) -> bytes:
    """Return what base64 stands for. Raises RequestError with 400."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestError(
            400, "bad-request", f"The code of a zip is not base64 ({error}). Encode it."
        ) from None


def code_of(function: Function) -> str:
    """Return a function's code as JSON has it: text, or base64 of a zip."""
    if function.format == "zip":
        return base64.b64encode(function.code).decode()
    return function.code.decode()


def truth(request: web.Request, name: str) -> bool:
    """Return a choice in the query, false unless it is there. Raises RequestError with 400."""
    value = request.query.get(name, "false").lower()
    if value not in ("true", "false"):
        raise RequestError(400, "bad-request", f"{name} is true or false, not {value[:80]!r}.")
    return value == "true"


def whole(request: web.Request, name: str, otherwise: int = 0) -> int:
    """Return a whole number of at most 63 bits in the query. Raises RequestError with 400."""
    value = number(request, name)
    if value is None:
        return otherwise
    if abs(value) >= 1 << 63:
        raise RequestError(400, "bad-request", f"{name} is {value:g}. Give a smaller one.")
    return int(value)


def number(request: web.Request, name: str) -> float | None:
    """Return a number in the query, or None. Raises RequestError with 400."""
    value = request.query.get(name)
    return None if value is None else float(typed(name, value, float))


def _path(request: web.Request) -> Path:
    word = request.query.get("path", Path.AUTO.value)
    try:
        return Path(word)
    except ValueError:
        raise RequestError(
            400,
            "bad-request",
            f"There is no path {word[:80]!r}. Choose one of: {', '.join(Path)}.",
        ) from None


def typed(name: str, value: object, wanted: type) -> Any:
    """Return a value of the type that is wanted, also from text. Raises RequestError with 400."""
    try:
        if isinstance(value, str) and wanted in (int, float):
            value = wanted(value)
        elif wanted is float and type(value) is int:
            value = float(value)
    except (ValueError, OverflowError):
        pass  # it is told below
    finite = not isinstance(value, float) or abs(value) < float("inf")
    if type(value) is not wanted or not finite:
        raise RequestError(
            400, "bad-request", f"{name} is {str(value)[:80]!r}. Give it as {wanted.__name__}."
        )
    return value
