"""Chromium without a window, driven by Selenium, and what the checks ask of it."""

import functools
import shutil
import time

__all__ = ["Browser", "missing"]


@functools.cache
def missing():
    """Why there is no browser here, in words; an empty string where there is one."""
    if not (chromium() and shutil.which("chromedriver")):
        return "chromium and chromedriver are not installed (apt-get install chromium chromium-driver)"
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "selenium is not installed (tox -e browser has it)"
    return ""


def chromium():
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Browser:
    """A page in Chromium, at some width and in some theme; a context manager."""

    def __init__(self):
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        options = webdriver.ChromeOptions()
        options.binary_location = chromium()
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--lang=en"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        self.driver.set_script_timeout(20)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.driver.quit()

    def open(self, path, view="", *, width=1280, height=900, dark=False, forget=True):
        """Open a view of the page afresh, the logs emptied and, unless told otherwise, its storage too."""
        self.size(width, height)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
        self.driver.get("about:blank")
        for log in ("browser", "performance"):
            self.driver.get_log(log)
        self.driver.get(f"file://{path}{view}")
        if forget and self.js("return localStorage.length"):
            self.js("localStorage.clear()")
            self.driver.refresh()

    def size(self, width, height):
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def js(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def find(self, selector):
        return self.driver.find_element("css selector", selector)

    def all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def texts(self, selector):
        """The texts of all elements, read at once."""
        return self.js("return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent.trim())", selector)

    def click(self, selector):
        self.js("arguments[0].scrollIntoView({block: 'center'})", self.find(selector))
        self.find(selector).click()

    def choose(self, selector, value):
        from selenium.webdriver.support.ui import Select

        Select(self.find(selector)).select_by_value(value)

    def press(self, *keys):
        """Keys to whatever has the focus."""
        from selenium.webdriver import ActionChains

        chain = ActionChains(self.driver)
        for key in keys:
            chain.send_keys(key)
        chain.perform()

    def focused(self, what="textContent"):
        return self.js(f"return document.activeElement.{what}")

    def until(self, script, words):
        """Wait until the script gives something true; AssertionError with the words after three seconds."""
        end = time.monotonic() + 3.0
        while not (found := self.js(script)):
            assert time.monotonic() < end, words
            time.sleep(0.03)
        return found

    def rows(self):
        """Names of the operations in the heat map, in order."""
        return self.texts("#heat tbody th")

    def complaints(self):
        """What the console says, errors and warnings."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]

    def requests(self):
        """Addresses that were asked for, but for the page itself and what its own policy forbade."""
        import json

        found = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        forbidden = {m["params"]["requestId"] for m in found if m["params"].get("blockedReason") == "csp"}
        sent = [m["params"] for m in found if m["method"] == "Network.requestWillBeSent"]
        asked = [request["request"]["url"] for request in sent if request["requestId"] not in forbidden]
        return [url for url in asked if not url.startswith(("file://", "data:", "about:"))]

    def screenshot(self, path):
        height = self.js("return Math.min(document.documentElement.scrollHeight, 4000)")
        self.size(self.js("return innerWidth"), height)
        self.driver.save_screenshot(str(path))
