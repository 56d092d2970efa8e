"""Large images in headless Chromium: thumbnails, and the dialog that shows them at full size."""

import time

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from browsers import DESKTOP, PHONE, Visitor, needs_browser

pytestmark = needs_browser

PAGE = "/?model=large/fastgan&count=3"


def wait_for(condition):
    for _ in range(300):
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError("The condition was never met.")


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_images_open_at_full_size(width, browser, shaped_address):
    visitor = Visitor(browser, shaped_address, width)
    visitor.open(PAGE)
    tops = [image.rect["y"] for image in visitor.all(".grid img")]
    wait_for(lambda: all(i.get_property("naturalWidth") == 128 for i in visitor.all(".grid img")))
    # Loading moves nothing.
    assert [image.rect["y"] for image in visitor.all(".grid img")] == tops
    links = visitor.all(".grid a")
    links[1].click()
    viewer = visitor.one("dialog")
    image = viewer.find_element(By.TAG_NAME, "img")
    wait_for(lambda: image.get_property("naturalWidth") == 512)
    frame = image.rect
    assert abs(frame["height"] / frame["width"] - 2) < 0.02
    assert frame["width"] <= width and frame["height"] <= 900
    assert "image no. 1" in viewer.text and "2 of 3" in viewer.text
    active = visitor.browser.switch_to.active_element
    active.send_keys(Keys.ARROW_RIGHT)
    assert "image no. 2" in viewer.text
    assert not visitor.one("[data-step='1']").is_enabled()
    visitor.one("[data-step='-1']").click()
    visitor.browser.switch_to.active_element.send_keys(Keys.HOME)
    assert "image no. 0" in viewer.text
    download = visitor.one("dialog a[download]")
    assert visitor.download(download.get_attribute("href"))[1:4] == b"PNG"
    assert download.get_attribute("download") == "seed-0-image-no-0.png"
    visitor.browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    wait_for(lambda: not viewer.get_property("open"))
    # The browser gives the focus back after the dialog has closed.
    wait_for(lambda: visitor.browser.switch_to.active_element == links[0])
    visitor.check()
    # Without JavaScript, the link leads to the page of the image.
    visitor.open(links[0].get_attribute("href").removeprefix(shaped_address))
    assert visitor.one(".large").rect["width"] >= 300


def test_images_of_a_busy_server_are_requested_again(browser, shaped_address):
    visitor = Visitor(browser, shaped_address, DESKTOP)
    visitor.open("/favorites")
    block = visitor.browser.execute_cdp_cmd
    block("Network.setBlockedURLs", {"urls": ["*icon.svg*"]})
    script = """
        const image = document.body.appendChild(new Image());
        image.addEventListener("error", () => { document.title = "failed"; });
        keepLoading(image);
        image.src = "/static/icon.svg?again";
    """
    visitor.browser.execute_script(script)
    wait_for(lambda: visitor.browser.title == "failed")
    block("Network.setBlockedURLs", {"urls": []})
    wait_for(lambda: visitor.browser.execute_script("return document.body.lastChild.naturalWidth"))
    # The browser itself logs the failure.
    visitor.browser.get_log("browser")
