"""Someone who looks at the explorer's page in a real browser, with mouse and keyboard."""

import os
import shutil
import time

import pytest
from selenium import webdriver
from selenium.webdriver import ActionChains
from selenium.webdriver.support.ui import Select


def chromium():
    """Paths of a browser and its driver; skips the test, or fails it, where there is none."""
    browser = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")
    driver = shutil.which("chromedriver")
    if browser and driver:
        return browser, driver
    reason = "needs chromium and chromedriver on the PATH"
    if os.environ.get("GROKJAX_REQUIRE_BROWSER"):
        pytest.fail(reason)
    pytest.skip(reason)


class Reader:
    """Someone who looks at the page, with mouse and keyboard."""

    def __init__(self, driver):
        self.driver = driver

    def open(self, path):
        self.driver.get(path.as_uri())
        self.wait("document.documentElement.dataset.ready === 'yes'")

    def js(self, expression):
        return self.driver.execute_script(f"return {expression}")

    def wait(self, condition, seconds=10):
        deadline = time.monotonic() + seconds
        while not self.js(condition):
            assert time.monotonic() < deadline, f"never: {condition}"
            time.sleep(0.02)

    def all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def one(self, selector):
        return self.driver.find_element("css selector", selector)

    def text(self, selector):
        return self.one(selector).text

    def pick(self, selector, index):
        Select(self.one(selector)).select_by_index(index)

    def keys(self, *keys):
        ActionChains(self.driver).send_keys(*keys).perform()

    def focus(self, selector):
        self.driver.execute_script("arguments[0].focus()", self.one(selector))

    def click_cell(self, column, row):
        """A mouse click in the middle of a cell, where plotly has drawn it."""
        script = """
          const map = document.getElementById("map"), [i, j] = arguments;
          map.scrollIntoView({block: "center"});
          const {xaxis, yaxis} = map._fullLayout, {x, y} = map.data[0];
          const middle = (edges, k) => (edges[k] + edges[k + 1]) / 2;
          return [
            xaxis._offset + xaxis.d2p(middle(x, i)) - map.clientWidth / 2,
            yaxis._offset + yaxis.d2p(middle(y, j)) - map.clientHeight / 2,
          ];"""
        across, down = (round(part) for part in self.driver.execute_script(script, column, row))
        mouse = ActionChains(self.driver, duration=20)
        mouse.move_to_element_with_offset(self.one("#map"), across, down).click().perform()

    def drag_axis(self, column, start, end):
        """Drags along an axis of the parallel coordinates between two shares of its height."""
        handles = self.all(".axis-handle")
        handle = next(h for h in handles if h.get_attribute("data-column") == column)
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", handle)
        height = handle.rect["height"]
        mouse = ActionChains(self.driver, duration=20)
        mouse.move_to_element_with_offset(handle, 0, round((start - 0.5) * height)).click_and_hold()
        mouse.move_by_offset(0, round((end - start) * height)).release().perform()

    def rows(self):
        return [row.text for row in self.all("#table tbody th")]

    def drawn_steps(self):
        """Which runs the faint and the strong curves are of."""
        return self.js(
            "document.getElementById('curves').data.map((t) => [...new Set(t.customdata)])"
        )


def start_browser(folder):
    browser, driver = chromium()
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    flags = "headless=new no-sandbox disable-gpu disable-quic no-first-run disable-sync"
    flags += " disable-background-networking disable-component-update window-size=1280,900"
    for flag in [*flags.split(), f"user-data-dir={folder}"]:
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
