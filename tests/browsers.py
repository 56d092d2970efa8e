"""Headless Chromium, for tests of pages."""

import json
import shutil
import time
import urllib.request
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --hide-scrollbars "
    "--disable-background-networking --disable-component-update --disable-sync"
)
PHONE, DESKTOP = 390, 1440

needs_browser = pytest.mark.skipif(
    not (CHROMIUM and DRIVER),
    reason="there is no browser: install Debian's packages chromium and chromium-driver",
)


def start_browser(profile: Path) -> webdriver.Chrome:
    """Start a browser that keeps a log of requests and errors."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in [*FLAGS.split(), f"--user-data-dir={profile}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.get("about:blank")
    return driver


def set_size(browser: webdriver.Chrome, width: int, height: int = 900) -> None:
    """Set the size of the window; a narrow one is a phone's."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


class Visitor:
    """A browser window that checks each page that it opens."""

    def __init__(self, browser, address, width, theme="light"):
        self.browser, self.address = browser, address
        scheme = {"name": "prefers-color-scheme", "value": theme}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        set_size(browser, width)
        browser.get_log("performance"), browser.get_log("browser")

    def open(self, path):
        self.browser.get(self.address + path)
        self.check()

    def check(self):
        """Check that nothing overflows, no other host is contacted and nothing fails to load."""
        overflow = "return document.documentElement.scrollWidth - window.innerWidth"
        assert self.browser.execute_script(overflow) <= 0
        assert self.browser.get_log("browser") == []
        for entry in self.browser.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                url = message["params"]["request"]["url"]
                assert url.startswith((self.address, "data:", "chrome", "about:", "file:")), url
        broken = "return [...document.images].filter(i => i.complete && !i.naturalWidth).length"
        assert self.browser.execute_script(broken) == 0

    def all(self, css):
        return self.browser.find_elements(By.CSS_SELECTOR, css)

    def one(self, css):
        return self.browser.find_element(By.CSS_SELECTOR, css)

    def click(self, css):
        self.press(self.one(css))

    def press(self, element):
        before = self.browser.find_element(By.TAG_NAME, "html")
        submits = element.tag_name == "button" and element.get_attribute("type") == "submit"
        navigates = element.tag_name == "a" or submits
        self.browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()
        if navigates:
            for _ in range(200):
                # While the next page loads, there is no element for a moment.
                if self.all("html") not in ([], [before]):
                    break
                time.sleep(0.05)
        self.check()

    def download(self, address):
        with urllib.request.urlopen(address) as response:
            return response.read()
