"""Draws docs/lineage.png, the pipeline as Dagster's UI shows it: `make lineage`, after a run."""

import os
import select
import shutil
import socket
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SIYU = (sys.executable, "-c", "from pipelines.cli import main; main()")
_START_SECONDS = 120.0
_STOP_SECONDS = 30.0
_PATIENCE_MILLISECONDS = 30_000
_SETTLED_MILLISECONDS = 1500
# 1,800 pixels wide, drawn large enough to be read at half that width.
_VIEWPORT_PIXELS = (1200, 910)
_SCALE = 1.5


def browser_path() -> str | None:
    """The machine's Chromium or Chrome, if it has one."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def started_ui(
    environment: Mapping[str, str], port: int, *options: str
) -> Generator[subprocess.Popen[str]]:
    """`siyu ui`, once it says that it is ready; asked to stop at the end.

    Raises:
        RuntimeError: it ended, or said nothing for two minutes.
    """
    process = subprocess.Popen(
        [*SIYU, "ui", "--port", str(port), *options],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout and process.stderr
        heard, _, _ = select.select([process.stdout], [], [], _START_SECONDS)
        if not heard or str(port) not in process.stdout.readline():
            process.terminate()
            raise RuntimeError(f"siyu ui did not start: {process.stderr.read().strip()}")
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=_STOP_SECONDS)


@contextmanager
def opened_browser(executable: str) -> Generator[Browser]:
    """The machine's browser, without a window; what is expected of a page may take a while."""
    expect.set_options(timeout=_PATIENCE_MILLISECONDS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable)
        try:
            yield browser
        finally:
            browser.close()


def groups_shown(page: Page) -> Locator:
    """The names of the asset groups that the graph on a lineage page shows."""
    return page.locator("foreignObject.group [data-tooltip]")


def draw_lineage(browser: Browser, address: str, picture: Path) -> None:
    """Saves the global lineage, groups closed and from top to bottom, as a PNG."""
    width, height = _VIEWPORT_PIXELS
    page = browser.new_page(viewport={"width": width, "height": height}, device_scale_factor=_SCALE)
    page.goto(f"{address}/asset-groups/")
    groups_shown(page).first.wait_for()
    page.get_by_text("Hide navigation").click()
    _button(page, "panel_show_right").last.click()
    _button(page, "settings").last.click()
    page.get_by_role("menuitem", name="vertical").click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("menuitem")).to_have_count(0)
    page.mouse.dblclick(width / 2, height - 10)  # fits the graph to the window, by and by
    page.wait_for_timeout(_SETTLED_MILLISECONDS)
    expect(page.get_by_text("fetching statuses")).to_have_count(0)
    page.wait_for_load_state("networkidle")
    page.screenshot(path=picture, animations="disabled")
    page.close()


def _button(page: Page, icon: str) -> Locator:
    return page.get_by_role("button").filter(has=page.get_by_role("img", name=icon, exact=True))


def main() -> None:
    """Draws the picture for the shop and home of SIYU_CONFIG and SIYU_HOME."""
    executable = browser_path()
    if executable is None:
        sys.exit(f"the picture needs a browser: one of {', '.join(BROWSERS)}")
    port = free_port()
    picture = ROOT / "docs" / "lineage.png"
    with started_ui({}, port, "--read-only"), opened_browser(executable) as browser:
        draw_lineage(browser, f"http://127.0.0.1:{port}", picture)
    print(picture.relative_to(ROOT))


if __name__ == "__main__":
    main()
