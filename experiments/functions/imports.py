"""Import-heavy: little work, behind a good part of the standard library."""

import asyncio
import decimal
import http.client
import json
import re


async def _double(number: decimal.Decimal) -> decimal.Decimal:
    await asyncio.sleep(0)
    return number * 2


def main(args: dict[str, str]) -> dict[str, str]:
    """Use each of the five modules once on `args["number"]`, a decimal number as text."""
    found = re.fullmatch(r"\s*([0-9.]+)\s*", args["number"])
    number = decimal.Decimal(found.group(1) if found else "0")
    doubled = asyncio.run(_double(number))
    return {"status": http.client.responses[200], "doubled": json.dumps(str(doubled))}
