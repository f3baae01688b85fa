"""IO-bound: one HTTP call, which is waited for."""

import http.client


def main(args: dict[str, str]) -> dict[str, object]:
    """Return status and text that `http://args["server"]/` (HOST:PORT) answers."""
    connection = http.client.HTTPConnection(args["server"], timeout=30)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        return {"status": answer.status, "text": answer.read().decode()}
    finally:
        connection.close()
