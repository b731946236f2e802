"""The frame around every chart, with an island that the test builds itself."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.e2e
HERE = Path(__file__).parent
FRONTEND = HERE.parents[2] / "platform/frontend"


@pytest.fixture(scope="module")
def island(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of chart_island.ts."""
    esbuild = FRONTEND / "node_modules/.bin/esbuild"
    if shutil.which("node") is None or not esbuild.exists():
        pytest.skip("no Node, or `npm ci` was not run in platform/frontend")
    bundle = tmp_path_factory.mktemp("island") / "island.js"
    subprocess.run(
        [str(esbuild), str(HERE / "chart_island.ts"), "--bundle", "--format=esm",
         "--minify", f"--outfile={bundle}", "--log-level=error"],
        env={"PATH": f"{Path(shutil.which('node') or '').parent}:/usr/bin:/bin",
             "NODE_PATH": str(FRONTEND / "node_modules")},
        check=True,
    )  # fmt: skip
    return bundle


@pytest.fixture
def chart(open_page: Callable[..., Any], island: Path) -> Any:
    """The gallery with its chart drawn."""
    page = open_page("/components/", color_scheme="light", accept_downloads=True)
    page.route(
        "**/static/dist/chart-island.js",
        lambda route: route.fulfill(
            body=island.read_text(encoding="utf-8"), content_type="text/javascript"
        ),
    )
    page.add_script_tag(url="/static/dist/chart-island.js", type="module")
    page.locator("#trend canvas").wait_for()
    return page


def test_a_chart_says_what_it_shows(chart: Any) -> None:
    says = chart.locator("#trend .chart-says").inner_text()
    assert "stayed between 4 and 12" in says
    assert chart.locator("#trend .chart-plot").get_attribute("aria-label") == says


def test_a_chart_is_also_a_table(chart: Any) -> None:
    button = chart.locator("#trend [data-chart=table]")
    button.focus()
    chart.keyboard.press("Enter")
    table = chart.locator("#trend table")
    assert table.locator("thead th").all_inner_texts()[:3] == ["Time", "Headlines", "Negative"]
    assert table.locator("tbody tr").count() == 48
    assert not chart.locator("#trend .chart-plot").is_visible()
    chart.keyboard.press("Enter")
    assert chart.locator("#trend .chart-plot").is_visible()


def test_a_chart_downloads_as_a_csv_that_spreadsheets_read_safely(chart: Any) -> None:
    with chart.expect_download() as download:
        chart.locator("#trend [data-chart=csv]").click()
    text = Path(download.value.path()).read_bytes().decode("utf-8-sig")
    lines = text.split("\r\n")
    assert lines[0] == "Time,Headlines,Negative,Note"
    assert len(lines) == 50
    assert lines[1].endswith(''',"'=1+1 ""quoted"", cell"''')
    assert "T" in lines[1].split(",")[0], "times are ISO"


def test_a_chart_follows_the_theme_and_the_width(chart: Any) -> None:
    pixels = "() => document.querySelector('#trend canvas').toDataURL()"
    chart.wait_for_timeout(500)
    light = chart.evaluate(pixels)
    chart.locator("[popovertarget=theme-menu]").click()
    chart.locator("#theme-menu [data-theme-choice=dark]").click()
    chart.wait_for_timeout(500)
    assert chart.evaluate(pixels) != light
    chart.set_viewport_size({"width": 400, "height": 700})
    chart.wait_for_timeout(300)
    assert chart.evaluate("() => document.querySelector('#trend canvas').clientWidth") < 400
