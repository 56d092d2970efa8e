"""The pages in headless Chromium, at the width of a phone and of a desktop."""

import io
import json
import time
import urllib.request
import zipfile
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from browsers import DESKTOP, PHONE, Visitor, needs_browser
from projects import BY_CLASS, PLAIN

pytestmark = needs_browser


@pytest.fixture(params=[PHONE, DESKTOP])
def visitor(request, browser, address):
    return Visitor(browser, address, request.param)


@pytest.fixture
def phone(browser, address):
    """A phone alone: `test_every_page_fits_and_logs_no_error` opens the pages at both widths."""
    return Visitor(browser, address, PHONE)


def pixels(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def test_generating_a_class_opening_and_downloading_an_image(visitor, client):
    visitor.open(f"/?model={PLAIN}")
    assert len(visitor.all(".grid img")) == 24
    Select(visitor.one("select[name=model]")).select_by_visible_text(BY_CLASS)
    visitor.click(".controls:has(select[name=model]) button")
    # The same number, now in rows by class.
    assert len(visitor.all(".row .grid img")) == 24
    Select(visitor.one("select[name=class]")).select_by_visible_text("Night Skies")
    for name, value in (("count", "5"), ("seed", "11")):
        visitor.one(f"input[type=number][name={name}]").clear()
        visitor.one(f"input[type=number][name={name}]").send_keys(value)
    visitor.click(".controls:has(input[type=number]) button")
    images = visitor.all(".grid img")
    assert len(images) == 5
    assert {image.get_attribute("alt") for image in images} == {
        f"Seed 11, image no. {number}, Night Skies" for number in range(5)
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
    exact = visitor.one("[data-copy]").get_attribute("href")
    assert parse_qs(urlsplit(exact).query)["version"][0].startswith("20")


def test_interpolating_between_two_selected_images(visitor):
    visitor.open(f"/?model={BY_CLASS}&count=6")
    boxes, button = visitor.all(".pick input"), visitor.one(".selection button")
    enabled = []
    # Without a selection, nothing covers the images.
    position = "return getComputedStyle(document.querySelector('.selection')).position"
    assert visitor.browser.execute_script(position) == "static"
    for i in (1, 4, 5):
        visitor.press(boxes[i])
        enabled.append(button.is_enabled())
    # With a third image there is nothing to interpolate between, and no selection is lost.
    assert enabled == [False, True, False]
    assert "3 selected" in visitor.one(".selection").text
    assert visitor.browser.execute_script(position) == "sticky"
    visitor.press(boxes[5])
    visitor.press(button)
    assert visitor.one("input[name=number_b]").get_attribute("value") == "4"
    current, slider = visitor.one("[data-current]"), visitor.one("[data-player] input")
    steps = visitor.all(".steps img")
    assert current.get_attribute("src") == steps[0].get_attribute("src") and len(steps) == 24
    move = "arguments[0].value = 23; arguments[0].dispatchEvent(new Event('input'))"
    visitor.browser.execute_script(move, slider)
    assert current.get_attribute("src") == steps[23].get_attribute("src")
    assert visitor.one("[data-player] output").text == "24 of 24"
    visitor.press(steps[7])
    assert current.get_attribute("src") == steps[7].get_attribute("src")
    visitor.browser.execute_script(move, slider)
    button = visitor.one("[data-plays]")
    button.click()
    assert button.text == "Stop"
    time.sleep(0.4)
    assert int(slider.get_property("value")) < 23
    button.click()
    link = visitor.one("a[download='interpolation.webp']")
    animation = visitor.download(link.get_attribute("href"))
    assert Image.open(io.BytesIO(animation)).n_frames > 20


def test_mixing_classes(phone):
    phone.open(f"/mix?model={BY_CLASS}")
    Select(phone.one("select[name=class_b]")).select_by_visible_text("Still Lifes")
    phone.click(".stacked button")
    assert "to Still Lifes" in phone.one("main .quiet").text
    phone.open(f"/mix?model={PLAIN}")
    assert "has no classes to mix" in phone.one("main").text


def test_scoring_an_image(visitor, tmp_path):
    file = tmp_path / "mine.png"
    noise = np.random.default_rng(0).integers(0, 256, (90, 70, 3), dtype=np.uint8)
    Image.fromarray(noise).save(file)
    visitor.open(f"/judge?model={BY_CLASS}")
    visitor.click("button[value=real]")
    assert visitor.one("text.mark").text == "real image"
    visitor.one("input[type=file]").send_keys(str(file))
    visitor.click("form[method=post] button")
    assert "Score" in visitor.one(".scored b").text and visitor.one(".headline").text
    assert visitor.all("svg rect.real") and visitor.all("svg rect.generated")
    frame = visitor.one("svg").rect
    for text in visitor.all("svg text"):
        assert text.rect["x"] >= frame["x"] - 1
        assert text.rect["x"] + text.rect["width"] <= frame["x"] + frame["width"] + 1
    file.write_bytes(b"no image")
    visitor.one("input[type=file]").send_keys(str(file))
    submit = "document.querySelector('form[method=post]').requestSubmit()"
    visitor.browser.execute_script(submit)
    for _ in range(100):
        if "Invalid request" in visitor.one("h1").text:
            break
        time.sleep(0.05)
    assert "not an image" in visitor.one("main").text
    visitor.browser.get_log("browser")


def test_playing_a_game(visitor):
    visitor.open(f"/game?model={PLAIN}")
    assert len(visitor.all(".grid img")) == 10
    images = visitor.all(".tap")
    for image in images:
        visitor.press(image)
    assert len(visitor.all("input[value=real]:checked")) == 10
    # A second tap switches the answer, and so do the buttons below.
    visitor.press(images[0])
    assert len(visitor.all("input[value=generated]:checked")) == 1
    visitor.click(".answers label:has([name=answer0][value=real])")
    assert len(visitor.all("input[value=real]:checked")) == 10
    assert "10 of 10 answered" in visitor.one("[data-answered]").text
    visitor.click("[data-game] button")
    assert "of 10" in visitor.one(".points").text
    points = int(visitor.one(".points b").text.split()[0])
    assert points == len(visitor.all("li.right")) and 2 <= points <= 8


def test_about_and_the_report(phone):
    phone.open(f"/about?model={PLAIN}")
    assert "Model card" in phone.one("main").text
    phone.press(phone.browser.find_element(By.LINK_TEXT, "Open the training report"))
    assert "DCGAN" in phone.one("h1").text
    # An inline script of the report draws the curves.
    assert len(phone.all("#curves .scatterlayer path.js-line")) == 4
    phone.press(phone.browser.find_element(By.LINK_TEXT, "Back to the gallery"))
    assert urlsplit(phone.browser.current_url).path == "/"


def test_keyboard_navigation(phone):
    phone.open("/")
    phone.browser.switch_to.active_element.send_keys("\ue004")
    assert phone.browser.switch_to.active_element.text == "Skip to content"
    names = set()
    for _ in range(21):
        phone.browser.switch_to.active_element.send_keys("\ue004")
        element = phone.browser.switch_to.active_element
        names.add(element.get_attribute("name") or element.text)
    assert {"Interpolate", "model", "count", "seed", "truncation", "Generate"} <= names


PAGES = {
    "/": "Generate",
    "/?count=16": "Generate",
    "/?class=Ink+Waves&count=7": "Generate",
    "/picture?number=3": "Neoplastic Grids",
    "/edit": "Edit",
    "/invert": "My image",
    "/film": "Film",
    "/walk": "Interpolate",
    "/mix": "Mix classes",
    "/judge": "Discriminator",
    "/judge?example=real": "Discriminator",
    "/game": "Real or generated?",
    "/favorites": "Favorites",
    "/about": "About",
    "/docs": "API",
}


@pytest.mark.parametrize(("width", "theme"), [(PHONE, "light"), (DESKTOP, "dark")])
def test_every_page_fits_and_logs_no_error(width, theme, browser, address):
    visitor = Visitor(browser, address, width, theme)
    for path, title in PAGES.items():
        joint = "&" if "?" in path else "?"
        visitor.open(f"{path}{joint}model={BY_CLASS}")
        assert title in visitor.one("h1").text, path
        # Folded parts can overflow, too.
        browser.execute_script(
            "document.querySelectorAll('details').forEach(d => { d.open = true })"
        )
        visitor.check()
        # The navigation is a single line, or three on a phone, and all of it is seen.
        assert visitor.one("nav").size["height"] < (60 if width == DESKTOP else 130)
        for link in visitor.all("nav a"):
            assert link.rect["x"] >= 0 and link.rect["x"] + link.rect["width"] <= width
    color = "return getComputedStyle(document.body).backgroundColor"
    light = browser.execute_script(color) == "rgb(250, 248, 244)"
    assert light is (theme == "light")


def test_error_pages_fit(phone):
    phone.browser.get(f"{phone.address}/walk?pick=")
    # The browser itself logs the status.
    (entry,) = phone.browser.get_log("browser")
    assert "400" in entry["message"]
    phone.check()
    assert phone.one("h1").text == "Invalid request" and phone.all("nav a")


def test_favorites_are_kept_and_downloaded(phone, tmp_path):
    phone.open(f"/?model={BY_CLASS}&count=4")
    phone.browser.execute_script("localStorage.clear()")
    for i in (0, 2, 3):
        phone.press(phone.all(".heart")[i])
    phone.press(phone.all(".heart")[3])
    kept = [heart.get_attribute("aria-pressed") for heart in phone.all(".heart")]
    assert kept == ["true", "false", "true", "false"]
    chosen = [phone.all(".grid img")[i].get_attribute("src") for i in (0, 2)]
    phone.open("/favorites")
    assert len(phone.all(".grid img")) == 2
    addresses = [image.get_attribute("src") for image in phone.all(".grid img")]
    for address, expected in zip(addresses, chosen, strict=True):
        content = urllib.request.urlopen(expected).read()
        np.testing.assert_array_equal(pixels(phone.download(address)), pixels(content))
    behavior = {"behavior": "allow", "downloadPath": str(tmp_path)}
    phone.browser.execute_cdp_cmd("Browser.setDownloadBehavior", behavior)
    phone.click("[data-download]")
    file = tmp_path / "favorites.zip"
    for _ in range(100):
        if file.is_file():
            break
        time.sleep(0.1)
    with zipfile.ZipFile(file) as archive:
        assert len(archive.namelist()) == 2 and archive.testzip() is None
    phone.press(phone.all(".heart")[0])
    assert len(phone.all(".grid img")) == 1
    phone.one("[data-clear]").click()
    phone.browser.switch_to.alert.accept()
    assert not phone.all(".grid img") and "none yet" in phone.one("main").text


def test_trying_the_api(phone):
    phone.open("/docs")
    form = phone.one("form[data-path='/api/generate']")
    body = form.find_element(By.TAG_NAME, "textarea")
    body.clear()
    body.send_keys(json.dumps({"model": BY_CLASS, "count": 2, "seed": 4}))
    send_and_wait(phone, form, "200")
    image = phone.one(".response img")
    content = urllib.request.urlopen(image.get_attribute("src")).read()
    assert pixels(content).shape == (36, 2 * 34 + 2, 3)
    phone.check()
    for path, text in (("/api/models", BY_CLASS), ("/api/zip", "images.zip, ")):
        details = phone.one(f"details:has([data-path='{path}'])")
        phone.press(details.find_element(By.TAG_NAME, "summary"))
        form = details.find_element(By.TAG_NAME, "form")
        send_and_wait(phone, form, "200")
        assert text in details.find_element(By.CSS_SELECTOR, ".response").text
        phone.check()


def send_and_wait(visitor, form, status):
    button = form.find_element(By.TAG_NAME, "button")
    visitor.browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
    button.click()
    output = form.find_element(By.XPATH, "following-sibling::div")
    for _ in range(200):
        if output.text not in ("", "…"):
            break
        time.sleep(0.05)
    assert output.text.startswith(status), output.text
