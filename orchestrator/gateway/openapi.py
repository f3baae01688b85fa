"""The OpenAPI description of what the gateway serves."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Any, Final, get_args

from orchestrator.function import Format
from orchestrator.network import MAX_DESTINATIONS
from orchestrator.paths import Path
from orchestrator.platform.registry import ISOLATIONS, MEMORY_SIZES_MIB, NAME_RULE
from orchestrator.runtimes import RUNTIMES

Json = dict[str, Any]

STRING: Final[Json] = {"type": "string"}
NUMBER: Final[Json] = {"type": "number"}
INTEGER: Final[Json] = {"type": "integer"}
BOOLEAN: Final[Json] = {"type": "boolean"}
OBJECT: Final[Json] = {"type": "object"}
PHASES: Final = ("wait", "spawn", "restore", "deploy", "import", "capture", "run")


@cache
def description() -> Json:
    """Return the description; it is the same for every gateway of this version."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "SEUSS",
            "version": version("seuss"),
            "description": "Deploy Python functions and invoke them from snapshots of unikernels.",
        },
        "security": [{}, {"token": []}, {"openwhisk": []}],
        "paths": {**_own(), **_openwhisk(), **_overview()},
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "openwhisk": {"type": "http", "scheme": "basic"},
            },
            "responses": {
                "Error": _answer("It is refused; the message says why and what to do.", "Error"),
                "Busy": {
                    **_answer("Too much runs and waits.", "Error"),
                    "headers": {"Retry-After": {"schema": INTEGER}},
                },
            },
            "schemas": _schemas(),
        },
    }


def _own() -> Json:
    name = _in_path("name", _ref("Name"))
    return {
        "/functions": {
            "get": _operation(
                "listFunctions",
                "All functions",
                {"200": _answer("The functions, by name.", _list_of("functions", "Function"))},
            )
        },
        "/functions/{name}": {
            "parameters": [name],
            "get": _operation(
                "getFunction",
                "One function",
                {"200": _answer("The function.", "Function")},
                parameters=[_in_query("code", BOOLEAN, "Answer with its code too.")],
            ),
            "put": _operation(
                "deployFunction",
                "Deploy a function",
                {
                    "200": _answer("It replaces another version.", "Function"),
                    "201": _answer("It is new.", "Function"),
                },
                parameters=[
                    _in_query("new", BOOLEAN, "Refuse to replace one (409)."),
                    *(
                        _in_query(choice, schema, "Where the body is the code itself.")
                        for choice, schema in _choices().items()
                    ),
                ],
                body={
                    "application/json": {"schema": _ref("Deployment")},
                    "text/x-python": {"schema": STRING},
                    "application/zip": {"schema": {}},
                },
            ),
            "delete": _operation(
                "deleteFunction", "Forget a function", {"204": {"description": "It is gone."}}
            ),
        },
        "/functions/{name}/invoke": {
            "parameters": [name],
            "post": _operation(
                "invokeFunction",
                "Invoke a function",
                {
                    "200": _answer("It gave a result.", "Invocation"),
                    "502": _answer("The function failed; the invocation says how.", "Invocation"),
                },
                parameters=[
                    _in_query("path", {"enum": list(Path)}, "What to start from."),
                    _in_query("timeout_s", NUMBER, "Seconds the import and the run may take."),
                ],
                body={"application/json": {"schema": OBJECT}},
            ),
        },
        "/invocations": {
            "get": _operation(
                "listInvocations",
                "The last invocations, oldest first",
                {"200": _answer("From the log.", _list_of("invocations", "Invocation"))},
                parameters=[
                    _in_query("function", STRING, "Only this one's."),
                    _in_query("limit", INTEGER, "At most so many."),
                    _in_query("after", INTEGER, "Only those with a higher serial number."),
                    _in_query(
                        "brief", BOOLEAN, "Only id, time, function, path, latency, error_kind."
                    ),
                ],
            )
        },
        "/invocations/{id}": {
            "parameters": [_in_path("id", STRING)],
            "get": _operation(
                "getInvocation", "One invocation", {"200": _answer("From the log.", "Invocation")}
            ),
        },
    }


def _openwhisk() -> Json:
    prefix = "/api/v1/namespaces/{namespace}"
    space = _in_path("namespace", {"enum": ["_", "guest"]})
    name, id = _in_path("name", _ref("Name")), _in_path("id", STRING)
    activation = {"200": _answer("As OpenWhisk has it.", OBJECT)}
    pages = [_in_query("limit", INTEGER, "At most so many."), _in_query("skip", INTEGER, "Leave.")]
    listed = {"200": _answer("As OpenWhisk has them.", {"type": "array", "items": OBJECT})}
    return {
        f"{prefix}/actions": {
            "parameters": [space],
            "get": _operation("listActions", "All actions", listed, parameters=pages),
        },
        f"{prefix}/actions/{{name}}": {
            "parameters": [space, name],
            "get": _operation(
                "getAction",
                "One action",
                activation,
                parameters=[_in_query("code", BOOLEAN, "false leaves the code out.")],
            ),
            "put": _operation(
                "putAction",
                "Make an action",
                activation,
                parameters=[_in_query("overwrite", BOOLEAN, "Replace one that is there.")],
                body={"application/json": {"schema": OBJECT}},
            ),
            "delete": _operation("deleteAction", "Forget an action", activation),
            "post": _operation(
                "invokeAction",
                "Invoke an action",
                {
                    "200": _answer("The activation, or its result.", OBJECT),
                    "202": _answer("The id of an activation that nobody waits for.", OBJECT),
                    "502": _answer("The action failed.", OBJECT),
                },
                parameters=[
                    _in_query("blocking", BOOLEAN, "Wait for its end."),
                    _in_query("result", BOOLEAN, "Answer with the result alone."),
                ],
                body={"application/json": {"schema": OBJECT}},
            ),
        },
        f"{prefix}/activations": {
            "parameters": [space],
            "get": _operation(
                "listActivations",
                "The last activations, newest first",
                listed,
                parameters=[*pages, _in_query("name", STRING, "Only this action's.")],
            ),
        },
        **{
            f"{prefix}/activations/{{id}}{part}": {
                "parameters": [space, id],
                "get": _operation(operation, summary, activation),
            }
            for part, operation, summary in (
                ("", "getActivation", "One activation"),
                ("/logs", "getActivationLogs", "What an activation printed"),
                ("/result", "getActivationResult", "What an activation gave"),
            )
        },
    }


def _overview() -> Json:
    html = {"description": "A page.", "content": {"text/html": {"schema": STRING}}}
    text = {"description": "Prometheus' format.", "content": {"text/plain": {"schema": STRING}}}
    trees = _list_of("snapshots", "Snapshot")
    return {
        "/": {"get": _operation("page", "The page for people", {"200": html})},
        "/healthz": {
            "get": _operation("health", "Whether it serves", {"200": _answer("It does.", OBJECT)})
        },
        "/metrics": {"get": _operation("metrics", "Metrics", {"200": text})},
        "/openapi.json": {
            "get": _operation("openapi", "This text", {"200": _answer("OpenAPI.", OBJECT)})
        },
        "/status": {
            "get": _operation(
                "status", "Policies, and what runs", {"200": _answer("The state.", OBJECT)}
            )
        },
        "/snapshots": {
            "get": _operation("snapshots", "Snapshot trees", {"200": _answer("Trees.", trees)})
        },
    }


def _schemas() -> Json:
    millis = {"type": ["number", "null"]}
    return {
        "Name": {"type": "string", "pattern": f"^{NAME_RULE.pattern}$"},
        "Deployment": {
            "type": "object",
            "required": ["code"],
            "additionalProperties": False,
            "properties": {
                "code": {"type": "string", "description": "Source text, or base64 of a zip."},
                "format": {"enum": list(get_args(Format))},
                **_choices(),
            },
        },
        "Function": {
            "type": "object",
            "required": ["name", "version", "id", "isolation", "timeout_s", "size"],
            "properties": {
                "name": _ref("Name"),
                "version": INTEGER,
                "id": {"type": "string", "description": "Hash that its snapshots are kept by."},
                "format": {"enum": list(get_args(Format))},
                **_choices(),
                "memory_mib": {"type": ["integer", "null"]},
                "size": INTEGER,
                "created": NUMBER,
                "changed": NUMBER,
                "code": STRING,
            },
        },
        "Invocation": {
            "type": "object",
            "required": ["id", "function", "path", "latency_ms", "phases", "stdout", "stderr"],
            "properties": {
                "id": STRING,
                "time": NUMBER,
                "function": _ref("Name"),
                "version": INTEGER,
                "path": {"enum": list(Path)},
                "isolation": {"enum": list(ISOLATIONS)},
                "result": {"type": ["object", "null"]},
                "error": {
                    "type": "object",
                    "required": ["kind", "message"],
                    "properties": {
                        "kind": STRING,
                        "message": STRING,
                        "traceback": {"type": ["string", "null"]},
                    },
                },
                "stdout": STRING,
                "stderr": STRING,
                "stdout_truncated": BOOLEAN,
                "stderr_truncated": BOOLEAN,
                "latency_ms": NUMBER,
                "waited_ms": NUMBER,
                "phases": {"type": "object", "properties": dict.fromkeys(PHASES, millis)},
                "pooled": BOOLEAN,
                "snapshot": {"type": ["string", "null"]},
                "accelerator": STRING,
            },
        },
        "Snapshot": {
            "type": "object",
            "required": ["id", "level", "bytes", "children"],
            "properties": {
                "id": STRING,
                "level": STRING,
                "label": STRING,
                "bytes": INTEGER,
                "children": {"type": "array", "items": _ref("Snapshot")},
            },
        },
        "Error": {
            "type": "object",
            "required": ["error"],
            "properties": {
                "error": {
                    "type": "object",
                    "required": ["kind", "message"],
                    "properties": {"kind": STRING, "message": STRING},
                }
            },
        },
    }


def _choices() -> Json:
    return {
        "main": STRING,
        "runtime": {"enum": list(RUNTIMES)},
        "isolation": {"enum": list(ISOLATIONS)},
        "timeout_s": {"type": "number", "exclusiveMinimum": 0},
        "memory_mib": {"enum": list(MEMORY_SIZES_MIB)},
        "network": {
            "type": "array",
            "items": STRING,
            "maxItems": MAX_DESTINATIONS,
            "description": "Places that it may reach, each HOST:PORT; none without it. Which can "
            "be given is the gateway's choice.",
        },
    }


def _operation(
    id: str,
    summary: str,
    responses: Json,
    parameters: list[Json] | None = None,
    body: Json | None = None,
) -> Json:
    operation: Json = {
        "operationId": id,
        "summary": summary,
        "responses": responses
        | {
            "4XX": {"$ref": "#/components/responses/Error"},
            "429": {"$ref": "#/components/responses/Busy"},
            "500": {"$ref": "#/components/responses/Error"},
        },
    }
    if parameters:
        operation["parameters"] = parameters
    if body is not None:
        operation["requestBody"] = {"content": body}
    return operation


def _ref(schema: str) -> Json:
    return {"$ref": f"#/components/schemas/{schema}"}


def _list_of(name: str, schema: str) -> Json:
    return {"type": "object", "properties": {name: {"type": "array", "items": _ref(schema)}}}


def _answer(text: str, schema: str | Json) -> Json:
    shape = _ref(schema) if isinstance(schema, str) else schema
    return {"description": text, "content": {"application/json": {"schema": shape}}}


def _in_path(name: str, schema: Json) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _in_query(name: str, schema: Json, text: str) -> Json:
    return {"name": name, "in": "query", "schema": schema, "description": text}
