"""The pages Edit, My image and Film in headless Chromium, at a phone's width and a desktop's."""

import io
import re
import time
import urllib.request
from base64 import b64decode
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from browsers import DESKTOP, PHONE, Visitor, needs_browser
from gallery.conftest import serve
from ganvas.gallery.app import create_app
from ganvas.gallery.model_store import ModelStore

pytestmark = needs_browser

MODEL, LABELED, PRETRAINED = "disks/dcgan", "faces/dcgan", "sample/pretrained"


@pytest.fixture(scope="module")
def studio_address(studio_data):
    yield from serve(create_app(ModelStore(studio_data / "06_models"), studio_data))


@pytest.fixture(params=[PHONE, pytest.param(DESKTOP, marks=pytest.mark.exhaustive)])
def visitor(request, browser, studio_address):
    visitor = Visitor(browser, studio_address, request.param)
    browser.get(f"{studio_address}/favorites")
    browser.execute_script("localStorage.clear()")
    browser.get_log("browser")
    return visitor


@pytest.fixture
def phone(browser, studio_address):
    visitor = Visitor(browser, studio_address, PHONE)
    browser.get(f"{studio_address}/favorites")
    browser.execute_script("localStorage.clear()")
    browser.get_log("browser")
    return visitor


def wait(condition, seconds=20):
    end = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.05)
    return result


def read_update(visitor):
    """Wait until the image is that of the sliders."""
    wait(lambda: not visitor.one("[data-edit]").get_attribute("aria-busy"))
    read_status(visitor, "Updated")


def source(visitor, css):
    return visitor.one(css).get_attribute("src")


def read_status(visitor, text):
    shown = []
    try:
        wait(lambda: text in (shown.append(visitor.one("[data-status]").text) or shown[-1]))
    except AssertionError as error:
        raise AssertionError(f"'{text}' was not shown, but {shown[-1]}") from error


def move(visitor, name, value):
    """Move a slider as the mouse does: many inputs, and a change at the end."""
    script = """
      const [slider, value] = arguments;
      for (const part of [0.3, 0.6, 1]) {
        slider.value = value * part;
        slider.dispatchEvent(new Event("input", { bubbles: true }));
      }
      slider.dispatchEvent(new Event("change", { bubbles: true }));
    """
    visitor.browser.execute_script(script, visitor.one(f"input[name='{name}']"), value)


def shown_pixels(visitor, css):
    """The pixels of an image as the browser has decoded them."""
    script = """
      const [image, done] = arguments;
      image.decode().then(() => {
        const canvas = document.createElement("canvas");
        [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
        const context = canvas.getContext("2d");
        context.drawImage(image, 0, 0);
        done(canvas.toDataURL());
      });
    """
    uri = visitor.browser.execute_async_script(script, visitor.one(css))
    image = Image.open(io.BytesIO(b64decode(uri.partition(",")[2])))
    return np.asarray(image.convert("RGB")).reshape(-1, 3)


def pixels_of(address):
    with urllib.request.urlopen(address) as response:
        return np.asarray(Image.open(io.BytesIO(response.read())).convert("RGB")).reshape(-1, 3)


@pytest.mark.parametrize(
    "query",
    [
        f"model={MODEL}&seed=3&number=0&truncation=0.73&direction.Color=1.234",
        f"model={LABELED}&seed=3&number=0&label.Hair=blond&mix.Hair=red&share.Hair=0.3333",
    ],
)
def test_links_of_other_programs_keep_their_numbers(query, phone):
    # Browsers round the values of sliders to their steps.
    phone.open(f"/edit?{query}")
    shown = parse_qs(urlsplit(phone.browser.current_url).query)
    del shown["version"]
    assert shown == parse_qs(query)


def test_editing_undoing_and_sharing(visitor):
    visitor.open(f"/edit?model={MODEL}&seed=3&number=2")
    # Without edits, both are the same, and there is nothing to undo.
    before = shown_pixels(visitor, "[data-before]")
    np.testing.assert_array_equal(shown_pixels(visitor, "[data-after]"), before)
    assert not visitor.one("[data-undo]").is_enabled()
    assert not visitor.one("[data-apply]").is_displayed()
    move(visitor, "direction.Color", 2)
    read_update(visitor)
    edited = shown_pixels(visitor, "[data-after]")
    assert (edited != before).any()
    assert visitor.one("output[data-of='direction.Color']").text == "2"
    # The address is the permalink, which shows the same image without JavaScript.
    link = visitor.one("[data-permalink]").get_attribute("href")
    assert visitor.browser.current_url == link
    assert parse_qs(urlsplit(link).query)["direction.Color"] == ["2"]
    file = link.replace("/edit?", "/edit/image.png?")
    np.testing.assert_array_equal(pixels_of(file), edited)
    visitor.open(urlsplit(link).path + "?" + urlsplit(link).query)
    np.testing.assert_array_equal(shown_pixels(visitor, "[data-after]"), edited)
    move(visitor, "direction.Other color", -1)
    move(visitor, "truncation", 0.5)
    wait(lambda: "truncation=0.5" in visitor.browser.current_url)
    visitor.click("[data-undo]")
    visitor.click("[data-undo]")
    wait(lambda: (shown_pixels(visitor, "[data-after]") == edited).all())
    assert visitor.browser.current_url == link
    ActionChains(visitor.browser).key_down(Keys.CONTROL).key_down(Keys.SHIFT).send_keys("z").key_up(
        Keys.SHIFT
    ).key_up(Keys.CONTROL).perform()
    wait(lambda: "Other+color=-1" in visitor.browser.current_url)
    # Reset is an edit, too.
    visitor.one("[data-reset]").click()
    wait(lambda: (shown_pixels(visitor, "[data-after]") == before).all())
    visitor.click("[data-undo]")
    wait(lambda: "Other+color=-1" in visitor.browser.current_url)
    read_update(visitor)
    # The image before the edits in the place of the one after.
    after = source(visitor, "[data-after]")
    visitor.click("[data-compare]")
    assert source(visitor, "[data-after]") == source(visitor, "[data-before]") != after
    visitor.click("[data-compare]")
    assert source(visitor, "[data-after]") == after


def test_the_images_stay_in_view_while_the_last_slider_moves(visitor):
    visitor.open(f"/edit?model={MODEL}")
    slider = visitor.one("input[name=truncation]")
    visitor.browser.execute_script("arguments[0].scrollIntoView({block: 'end'})", slider)
    top = "return arguments[0].getBoundingClientRect().top"
    assert visitor.browser.execute_script(top, visitor.one("[data-after]")) >= 0
    assert visitor.browser.execute_script(top, slider) < 900


def test_mixing_labels(phone):
    phone.open(f"/edit?model={LABELED}&number=1")
    share = phone.one("input[name='share.Hair']")
    assert not share.is_enabled()
    Select(phone.one("select[name='mix.Hair']")).select_by_visible_text("black")
    read_update(phone)
    assert share.is_enabled() and share.get_property("value") == "0.5"
    half = shown_pixels(phone, "[data-after]")
    query = parse_qs(urlsplit(phone.browser.current_url).query)
    assert query["mix.Hair"] == ["black"] and query["share.Hair"] == ["0.5"]
    phone.browser.refresh()
    np.testing.assert_array_equal(shown_pixels(phone, "[data-after]"), half)


@pytest.mark.exhaustive
def test_only_the_newest_answer_is_shown_and_a_busy_server_is_asked_again(phone):
    phone.open(f"/edit?model={MODEL}&seed=5")
    # The first request is slow, the second one refused, as a busy server does.
    phone.browser.execute_script(
        """
        const send = window.fetch;
        let count = 0;
        window.fetch = async (address, options) => {
          count += 1;
          const number = count;
          const page = "<main><h1>Busy</h1><p>Too many requests are pending: try again.</p></main>";
          if (number === 2) return new Response(page, { status: 429 });
          const response = await send(address, { ...options, signal: undefined });
          if (number === 1) await new Promise((resolve) => { setTimeout(resolve, 2500); });
          return response;
        };
        """
    )
    move(phone, "direction.Color", -2)
    time.sleep(0.4)
    move(phone, "direction.Color", 3)
    read_status(phone, "Too many requests are pending: trying again")
    read_update(phone)
    newest = shown_pixels(phone, "[data-after]")
    time.sleep(2.5)
    np.testing.assert_array_equal(shown_pixels(phone, "[data-after]"), newest)
    link = phone.browser.current_url.replace("/edit?", "/edit/image.png?")
    np.testing.assert_array_equal(pixels_of(link), newest)


def test_a_film_of_picked_edited_and_favorite_images(visitor, tmp_path):
    visitor.open(f"/edit?model={MODEL}&seed=4&direction.Color=1.5")
    visitor.click(".results .heart")
    assert visitor.one(".results .heart").get_attribute("aria-pressed") == "true"
    visitor.open("/favorites")
    wait(lambda: source(visitor, ".grid img"))
    assert "edited" in visitor.one(".grid .caption").text
    visitor.click(".grid a")
    assert urlsplit(visitor.browser.current_url).path == "/edit"
    visitor.click("[data-add-film]")
    assert visitor.one("h1").text == "Film" and len(visitor.all("[data-timeline] li")) == 1
    assert not visitor.one("[name=preview]").is_enabled()
    tiles = visitor.all(".picker > .grid .pickable")
    assert len(tiles) == 24
    for tile in (tiles[3], tiles[5], visitor.one("[data-favorites-picker] .pickable")):
        visitor.browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", tile)
        tile.click()
    assert "Added keyframe 4" in visitor.one("[data-status]").text
    keys = [x.get_property("value") for x in visitor.all("[data-timeline] input")]
    assert keys[1:3] == ["seed=0&number=3", "seed=0&number=5"] and keys[0] == keys[3]
    # Moving by keys keeps the focus on the image.
    visitor.browser.execute_script(
        "arguments[0].focus()", visitor.all("[data-timeline] [name=earlier]")[2]
    )
    visitor.browser.switch_to.active_element.send_keys(Keys.ENTER)
    visitor.browser.switch_to.active_element.send_keys(Keys.ENTER)
    moved = [x.get_property("value") for x in visitor.all("[data-timeline] input")]
    assert moved == [keys[2], keys[0], keys[1], keys[3]]
    assert visitor.browser.switch_to.active_element.get_attribute("aria-label").startswith("Move")
    visitor.all("[data-timeline] [name=remove]")[3].click()
    assert len(visitor.all("[data-timeline] li")) == 3
    visitor.one("[name=seconds]").clear()
    visitor.one("[name=seconds]").send_keys("1" + Keys.TAB)
    visitor.one("[name=preview]").click()
    read_status(visitor, "ready")
    assert source(visitor, "[data-preview]").startswith("data:image/webp")
    # The address is the permalink.
    link = visitor.one("[data-permalink]").get_attribute("href")
    assert visitor.browser.current_url == link
    visitor.browser.get(link)
    visitor.check()
    assert [x.get_property("value") for x in visitor.all("[data-timeline] input")] == moved[:3]
    behavior = {"behavior": "allow", "downloadPath": str(tmp_path)}
    visitor.browser.execute_cdp_cmd("Browser.setDownloadBehavior", behavior)
    visitor.one("[name=format][value=gif]").click()
    film = Image.open(wait(lambda: next(tmp_path.glob("*.gif"), None)))
    assert film.n_frames == 24
    # An image of another page comes behind the keyframes that are here.
    visitor.open(f"/picture?model={MODEL}&number=9")
    visitor.click("[data-add-film]")
    assert [x.get_property("value") for x in visitor.all("[data-timeline] input")] == [
        *moved[:3],
        "seed=0&number=9",
    ]
    # A film that was left is offered again.
    visitor.open(f"/film?model={MODEL}")
    assert "4 keyframes" in visitor.one("[data-continue] button").text
    visitor.one("[data-continue] button").click()
    wait(lambda: len(visitor.all("[data-timeline] li")) == 4)


@pytest.mark.exhaustive
def test_finding_an_image(visitor, tmp_path):
    file = tmp_path / "mine.webp"
    address = f"{visitor.address}/api/picture?model={PRETRAINED}&seed=9&number=4&format=webp"
    file.write_bytes(urllib.request.urlopen(address).read())
    visitor.open(f"/invert?model={PRETRAINED}")
    visitor.one("#picture").send_keys(str(file))
    visitor.one("[data-upload] button.primary").click()
    assert not visitor.one("[data-upload] button.primary").is_enabled()
    read_status(visitor, "Searching the latent space")
    # At the first upload, the model is prepared.
    wait(lambda: "Found" in visitor.one("[data-status]").text, 240)
    visitor.browser.get_log("browser")
    assert "The generator has this image" in visitor.one(".verdict").text
    assert [x.text for x in visitor.all(".found td:first-child")] == ["Features", "Pixels"]
    difference = shown_pixels(visitor, ".found figure:last-child img") - pixels_of(address) * 1.0
    assert np.abs(difference).mean() < 8
    found = shown_pixels(visitor, ".found figure:last-child img")
    visitor.click(".found form button.primary")
    np.testing.assert_array_equal(shown_pixels(visitor, "[data-before]"), found)
    # Its favorite and its keyframe are the same image.
    visitor.click(".results .heart")
    visitor.click("[data-add-film]")
    np.testing.assert_array_equal(shown_pixels(visitor, "[data-timeline] img"), found)
    visitor.open("/favorites")
    wait(lambda: source(visitor, ".grid img"))
    np.testing.assert_array_equal(shown_pixels(visitor, ".grid img"), found)


def test_opening_a_saved_file(visitor, tmp_path):
    file = tmp_path / "saved.png"
    address = f"{visitor.address}/edit/image.png?model={MODEL}&seed=2&direction.Color=-1"
    file.write_bytes(urllib.request.urlopen(address).read())
    visitor.open(f"/invert?model={LABELED}")
    visitor.one("#picture").send_keys(str(file))
    wait(lambda: visitor.all("[data-drop] img"))
    visitor.one("[data-upload] button.primary").click()
    read_status(visitor, "Opened")
    assert "exactly there" in visitor.one("[data-result]").text
    # The answer is read next.
    assert visitor.browser.switch_to.active_element.get_attribute("class") == "found"
    visitor.check()
    visitor.click("[data-result] form button.primary")
    np.testing.assert_array_equal(shown_pixels(visitor, "[data-after]"), pixels_of(address))
    file.write_bytes(b"no image")
    visitor.open(f"/invert?model={MODEL}")
    visitor.one("#picture").send_keys(str(file))
    visitor.one("[data-upload] button.primary").click()
    read_status(visitor, "can't be used")
    assert visitor.one("[data-upload] button.primary").is_enabled()
    visitor.browser.get_log("browser")


@pytest.mark.exhaustive
def test_dropping_and_pasting_a_file(phone):
    phone.open(f"/invert?model={MODEL}")
    for kind, name in (("drop", "dataTransfer"), ("paste", "clipboardData")):
        phone.browser.execute_script(
            """
            const [kind, name] = arguments;
            const data = new DataTransfer();
            const svg = "<svg xmlns='http://www.w3.org/2000/svg' width='8' height='8'/>";
            data.items.add(new File([svg], `${kind}.svg`, { type: "image/svg+xml" }));
            const event = new Event(kind, { bubbles: true, cancelable: true });
            Object.defineProperty(event, name, { value: data });
            document.querySelector("[data-drop]").dispatchEvent(event);
            """,
            kind,
            name,
        )
        wait(
            lambda kind=kind: [
                x
                for x in phone.all("[data-drop] img")
                if x.get_attribute("alt").endswith(f"{kind}.svg")
            ]
        )
        files = "return [...document.querySelector('#picture').files].map((file) => file.name)"
        assert phone.browser.execute_script(files) == [f"{kind}.svg"]


PAGES = {
    f"/edit?model={MODEL}&direction.Color=1": "Edit",
    f"/edit?model={LABELED}": "Edit",
    f"/invert?model={MODEL}": "My image",
    f"/film?model={LABELED}": "Film",
    f"/film?model={MODEL}&key=seed%3D1&key=seed%3D2": "Film",
}


# Of 24 alike buttons, one is enough.
FIELDS = """
  const css = "main :is(input:not([type=hidden]), select, a[href], button:not([aria-hidden]))";
  const elements = [...document.querySelectorAll(css)].filter((x) => x.checkVisibility());
  const isCut = ({ left, right }) => left < 0 || right > innerWidth;
  return [
    elements.filter((x) => !x.closest("li:not(:first-child)")),
    elements.filter((x) => isCut(x.getBoundingClientRect())).map((x) => x.outerHTML),
  ];
"""


@pytest.mark.parametrize(("width", "theme"), [(PHONE, "light"), (DESKTOP, "dark")])
def test_pages_fit_and_every_field_has_a_name(width, theme, browser, studio_address):
    visitor = Visitor(browser, studio_address, width, theme)
    for path, title in PAGES.items():
        visitor.open(path)
        assert title in visitor.one("h1").text
        assert visitor.one("nav").size["height"] < (60 if width == DESKTOP else 130)
        fields, cut = browser.execute_script(FIELDS)
        assert not cut
        for field in fields:
            assert field.accessible_name, field.get_attribute("outerHTML")
        numbers = [int(x) for x in re.findall(r'id="about-(\d+)"', browser.page_source)]
        assert len(numbers) == len(set(numbers))
