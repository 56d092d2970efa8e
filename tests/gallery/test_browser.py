"""The pages in headless Chromium, at the width of a phone and of a desktop."""

import io
import json
import shutil
import time
import urllib.request
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from projects import BY_CLASS, PLAIN

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --hide-scrollbars "
    "--disable-background-networking --disable-component-update --disable-sync"
)
PHONE, DESKTOP = 390, 1440

pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER),
    reason="there is no browser: install Debian's packages chromium and chromium-driver",
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in [*FLAGS.split(), f"--user-data-dir={tmp_path_factory.mktemp('browser')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.get("about:blank")
    yield driver
    driver.quit()


class Visitor:
    """A browser window that checks each page that it opens."""

    def __init__(self, browser, address, width):
        self.browser, self.address = browser, address
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
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
        navigates = element.tag_name == "a" or element.get_attribute("type") == "submit"
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


@pytest.fixture(params=[PHONE, DESKTOP])
def visitor(request, browser, address):
    return Visitor(browser, address, request.param)


def pixels(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def test_generating_a_class_opening_and_downloading_an_image(visitor, client):
    visitor.open("/")
    assert len(visitor.all(".grid img")) == 24
    Select(visitor.one("select[name=model]")).select_by_visible_text(BY_CLASS)
    visitor.click(".controls:has(select[name=model]) button")
    Select(visitor.one("select[name=class]")).select_by_visible_text("Night Skies")
    for name, value in (("count", "5"), ("seed", "11")):
        visitor.one(f"input[type=number][name={name}]").clear()
        visitor.one(f"input[type=number][name={name}]").send_keys(value)
    visitor.click(".controls:has(input[type=number]) button")
    images = visitor.all(".grid img")
    assert len(images) == 5
    assert {image.get_attribute("alt") for image in images} == {
        f"Seed 11, number {number}, Night Skies" for number in range(5)
    }
    # Large enough to see.
    assert images[0].size["width"] >= 100
    visitor.press(visitor.all(".grid a")[3])
    assert visitor.one(".large").size["width"] >= 300
    assert "Night Skies" in visitor.one("h1").text
    link = visitor.one("a[download]")
    assert link.get_attribute("download") == "sample-dcgan_by_genre-seed11-3.png"
    content = visitor.download(link.get_attribute("href"))
    query = {"model": BY_CLASS, "class": "Night Skies", "seed": 11, "number": 3}
    expected = client.get("/api/picture", query_string=query).data
    np.testing.assert_array_equal(pixels(content), pixels(expected))
    assert Image.open(io.BytesIO(content)).text["seed"] == "11"
    exact = visitor.one(".bar a:not(.button)").get_attribute("href")
    assert parse_qs(urlsplit(exact).query)["version"][0].startswith("20")


def test_interpolating_between_two_selected_images(visitor):
    visitor.open(f"/?model={BY_CLASS}&count=6")
    for box in (visitor.all(".pick input")[i] for i in (1, 4)):
        box.click()
    visitor.press(visitor.all(".bar button")[0])
    assert visitor.one("input[name=number_b]").get_attribute("value") == "4"
    strip, slider = visitor.one(".strip"), visitor.one("[data-slides]")
    position = "return arguments[0].getBoundingClientRect().left"
    start = visitor.browser.execute_script(position, strip)
    move = "arguments[0].value = 23; arguments[0].dispatchEvent(new Event('input'))"
    visitor.browser.execute_script(move, slider)
    moved = start - visitor.browser.execute_script(position, strip)
    # The last of 24 images is in the window now.
    assert moved == pytest.approx(strip.size["width"] * 23 / 24, abs=2)
    button = visitor.one("[data-plays]")
    button.click()
    assert button.text == "Stop"
    time.sleep(0.4)
    assert int(slider.get_property("value")) < 23
    button.click()
    animation = visitor.download(visitor.one("a[download='walk.webp']").get_attribute("href"))
    assert Image.open(io.BytesIO(animation)).n_frames > 20


def test_mixing_classes(visitor):
    visitor.open(f"/mix?model={BY_CLASS}")
    Select(visitor.one("select[name=class_b]")).select_by_visible_text("Still Lifes")
    visitor.click(".controls button")
    assert "to Still Lifes" in visitor.one("main .quiet").text
    visitor.open(f"/mix?model={PLAIN}")
    assert "paints without classes" in visitor.one("main").text


def test_scoring_an_image(visitor, tmp_path):
    file = tmp_path / "mine.png"
    noise = np.random.default_rng(0).integers(0, 256, (90, 70, 3), dtype=np.uint8)
    Image.fromarray(noise).save(file)
    visitor.open(f"/judge?model={BY_CLASS}")
    visitor.one("input[type=file]").send_keys(str(file))
    visitor.click(".controls button")
    assert "Score" in visitor.one(".verdict b").text
    assert visitor.all("svg rect.real") and visitor.all("svg rect.generated")
    frame = visitor.one("svg").rect
    for text in visitor.all("svg text"):
        assert text.rect["x"] >= frame["x"] - 1
        assert text.rect["x"] + text.rect["width"] <= frame["x"] + frame["width"] + 1
    file.write_bytes(b"no image")
    visitor.one("input[type=file]").send_keys(str(file))
    visitor.browser.execute_script("document.querySelector('.controls').requestSubmit()")
    for _ in range(100):
        if "did not work" in visitor.one("h1").text:
            break
        time.sleep(0.05)
    assert "not an image" in visitor.one("main").text
    visitor.browser.get_log("browser")


def test_playing_a_game(visitor):
    visitor.open(f"/game?model={PLAIN}")
    assert len(visitor.all(".grid img")) == 10
    for position in range(10):
        visitor.click(f"input[name=answer{position}][value=real]")
    visitor.click("form button")
    assert "of 10" in visitor.one(".points").text
    points = int(visitor.one(".points b").text.split()[0])
    assert points == len(visitor.all("li.right")) and 2 <= points <= 8


def test_about_and_the_report(visitor):
    visitor.open(f"/about?model={PLAIN}")
    assert "Whose pictures are these?" in visitor.one("main").text
    visitor.press(visitor.browser.find_element(By.LINK_TEXT, "The report of its training"))
    assert "painted by dcgan" in visitor.one("h1").text
    # An inline script of the report draws the curves.
    assert len(visitor.all("#curves .scatterlayer path.js-line")) == 4


def test_keyboard_navigation(visitor):
    visitor.open("/")
    visitor.browser.switch_to.active_element.send_keys("\ue004")
    assert visitor.browser.switch_to.active_element.text == "To the content"
    names = set()
    for _ in range(14):
        visitor.browser.switch_to.active_element.send_keys("\ue004")
        element = visitor.browser.switch_to.active_element
        names.add(element.get_attribute("name") or element.text)
    assert {"Walk", "model", "count", "seed", "truncation", "Paint"} <= names
