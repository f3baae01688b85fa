"""The page in headless Chromium: functions, snapshots, latencies, the token, hostile names."""

from __future__ import annotations

import asyncio
import os
import pathlib
import shutil
from collections.abc import AsyncIterator, Callable, Iterator

import aiohttp
import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from orchestrator.function import Function
from orchestrator.gateway.gateway import Gateway
from orchestrator.gateway.metrics import Metrics
from orchestrator.platform.platform import Platform
from orchestrator.platform.registry import Deployment
from snapshot_store import PAGE_SIZE, Block, Depth, Draft, Level, PageSet
from tests.unit.orchestrator.platform.fakes import echo

TOKEN = "a token of some length"
HOSTILE = "<img src=x onerror=document.title='owned'>"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """Chromium without a display, with a profile of its own."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    assert program and driver, "chromium and chromium-driver are missing: run make setup"
    options = Options()
    options.binary_location = program
    profile = tmp_path_factory.mktemp("chromium")
    for option in (
        *("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"),
        *("--window-size=1280,900", "--no-first-run", "--disable-background-networking"),
        f"--user-data-dir={profile}",
    ):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    opened = webdriver.Chrome(options=options, service=Service(driver))
    yield opened
    opened.quit()


async def shown(browser: webdriver.Chrome, condition: Callable[[], bool]) -> None:
    for _ in range(300):
        if await asyncio.to_thread(condition):
            return
        await asyncio.sleep(0.05)
    text = await asyncio.to_thread(lambda: browser.find_element(By.TAG_NAME, "body").text)
    raise AssertionError(f"not shown; the page has:\n{text}")


def complaints(browser: webdriver.Chrome) -> list[str]:
    entries: list[dict[str, str]] = browser.get_log("browser")  # type: ignore[no-untyped-call]
    told = [entry["message"] for entry in entries if entry["level"] in ("WARNING", "SEVERE")]
    return [message for message in told if "favicon" not in message]


def draft(label: str, parent: str | None, pages: int) -> Draft:
    return Draft(
        depth=Depth.UC,
        level=Level.BASE if parent is None else Level.FUNCTION,
        image="0" * 64,
        runtime="python",
        blocks=(Block("uc", 4096 * PAGE_SIZE, 0),),
        pages=PageSet(np.arange(pages, dtype=np.uint64), np.ones((pages, PAGE_SIZE), np.uint8)),
        state=label.encode(),
        parent=parent,
        function=None if parent is None else "1" * 64,
        label=label,
        facts={},
    )


@pytest.fixture
async def gateway(platform: Platform, metrics: Metrics) -> AsyncIterator[Gateway]:
    """A gateway with its usual bounds."""
    async with Gateway(platform, metrics, port=0) as running:
        yield running


async def test_it_shows_functions_snapshots_and_latencies(
    browser: webdriver.Chrome, gateway: Gateway, platform: Platform
) -> None:
    base = await asyncio.to_thread(platform.store.commit, draft("base", None, 40))
    await asyncio.to_thread(platform.store.commit, draft(HOSTILE, base.id, 3))
    platform.registry.put(echo("greet"))
    code = platform.registry.get("greet").deployment.function.code
    reach = Function("reach", "source", code, network=("a.example:80", "b.example:443"))
    platform.registry.put(Deployment(reach))
    async with aiohttp.ClientSession(gateway.url) as client:
        for name in ("echo", "greet", "greet"):
            async with client.post(f"/functions/{name}/invoke", json={"n": 1}) as answer:
                assert answer.status == 200
        async with client.post("/functions/greet/invoke", json={"fail": "timeout"}):
            pass
    await asyncio.to_thread(browser.get, gateway.url)

    def dots() -> int:
        return len(browser.find_elements(By.CSS_SELECTOR, "#chart circle"))

    await shown(browser, lambda: dots() == 4)
    found = browser.find_elements(By.CSS_SELECTOR, "#functions tbody tr")
    rows = [row.text.split() for row in found]
    assert rows == [
        ["echo", "1", "uc", "-", "1", "1.5", "1.5", "0"],
        ["greet", "1", "uc", "-", "3", "1.5", "1.5", "1"],
        ["reach", "1", "uc", "a.example:80", "+1", "0", "-", "-", "0"],
    ]
    tree = browser.find_element(By.ID, "tree").text
    assert "base" in tree and HOSTILE in tree and "base, uc" in tree and "function, uc" in tree
    assert len(browser.find_elements(By.CSS_SELECTOR, "#tree ul ul li")) == 1
    state = browser.find_element(By.ID, "state").text
    assert "2 snapshots" in state and "uc on fake" in state
    # What comes later shows without a reload.
    async with (
        aiohttp.ClientSession(gateway.url) as client,
        client.post("/functions/echo/invoke", json={}),
    ):
        pass
    await shown(browser, lambda: dots() == 5)
    assert browser.title == "SEUSS" and complaints(browser) == []
    picture = os.environ.get("SEUSS_SCREENSHOT")
    if picture:
        await asyncio.to_thread(browser.save_screenshot, str(pathlib.Path(picture)))


async def test_it_asks_for_the_token(
    browser: webdriver.Chrome, platform: Platform, metrics: Metrics
) -> None:
    async with Gateway(platform, metrics, port=0, token=TOKEN) as gateway:
        await asyncio.to_thread(browser.get, gateway.url)
        field = browser.find_element(By.ID, "token")
        await shown(browser, field.is_displayed)
        assert "token is needed" in browser.find_element(By.ID, "state").text

        def enter() -> None:
            field.send_keys(TOKEN)
            browser.find_element(By.ID, "enter").click()

        await asyncio.to_thread(enter)
        await shown(browser, lambda: "echo" in browser.find_element(By.ID, "functions").text)
        assert not field.is_displayed()
        await asyncio.to_thread(browser.get, "about:blank")
