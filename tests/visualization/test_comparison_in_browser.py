"""The comparison page in headless Chromium, opened from disk, also on a phone and in the dark."""

import io

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from browsers import DESKTOP, PHONE, needs_browser, set_size, start_browser
from ganvas.visualization.comparison_page import make_thumbnail, render_comparison
from ganvas.visualization.image_grid import write_png
from leaderboard_entries import add_history, make_run

pytestmark = [needs_browser, pytest.mark.slow]

OVERFLOW = "return document.documentElement.scrollWidth - window.innerWidth"
# Right edges of everything that lies beyond the page, but for what is in a box that scrolls.
CUT_OFF = """return [...document.querySelectorAll("main *")].filter(
  e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".scroll")
).map(e => `${e.tagName} ${e.className} ${e.textContent}`)"""
HOSTILE = "</script><script>window.hurt = 1</script><img src=x onerror='hurt = 1'>\"'& \U0001f600"
GRID = np.full((132, 132, 3), 60, np.uint8)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    driver = start_browser(tmp_path_factory.mktemp("browser"))
    yield driver
    driver.quit()


@pytest.fixture(autouse=True)
def window(browser):
    set_size(browser, DESKTOP)
    browser.get_log("browser")
    return browser


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Write a page of eight runs, of three groups, with its folder of grids; return its file."""
    rate = {"train.rate": 0.1, "network.dcgan.latent": 100, "ingest.size": 64}
    runs = [add_history(make_run(n, d, seed=n, **rate)) for n, d in ((1, 0.5), (2, 0.3), (3, 0.4))]
    runs[0] |= {"run": "run-1 #50%?"}
    runs += [add_history(make_run(4, 0.2, **rate | {"train.rate": 0.2, "network.dcgan.latent": 9}))]
    # Of an earlier version, of another extractor, and of another collection.
    runs += [make_run(5, None), make_run(6, 0.9, extractor="inception", **rate)]
    runs += [make_run(7, 0.8, dataset=HOSTILE, **rate) | {"network": HOSTILE, "version": HOSTILE}]
    runs += [add_history(make_run(10, float("nan"), **{"train.text": HOSTILE}))]
    return write_page(tmp_path_factory.mktemp("comparison"), runs)


def write_page(folder, runs):
    thumbnail = make_thumbnail(GRID)
    (folder / "leaderboard").mkdir()
    for run in runs[:8]:
        write_png(folder / "leaderboard" / f"{run['run']}.png", GRID)
    thumbnails = {run["run"]: thumbnail for run in runs}
    (folder / "comparison.html").write_text(render_comparison(runs, thumbnails))
    return folder / "comparison.html"


def show(browser, file, fragment="", scheme="light"):
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    # A change of the fragment alone would not load the page.
    browser.get("about:blank")
    browser.get(file.as_uri() + fragment)


def find(browser, selector):
    return browser.find_element(By.CSS_SELECTOR, selector)


def texts(browser, selector):
    return [element.text for element in browser.find_elements(By.CSS_SELECTOR, selector)]


def shown_runs(browser):
    return browser.execute_script(
        "return [...document.querySelectorAll('#runs td.run')].map(cell => cell.title)"
    )


def click(browser, selector):
    # The bar of chosen runs covers the lowest part of the window.
    element = find(browser, selector)
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    element.click()


def tick(browser, *runs):
    for run in runs:
        click(browser, f"#runs td[title='{run}'] label")


def wait_until(browser, script):
    WebDriverWait(browser, 20).until(lambda driver: driver.execute_script(f"return {script}"))


def type_filter(browser, text):
    box = find(browser, "#text")
    box.clear()
    box.send_keys(text)
    # Rows are drawn with the next frame.
    browser.execute_async_script("requestAnimationFrame(() => setTimeout(arguments[0]))")


def test_the_table_is_sorted_within_groups_by_mouse_and_keyboard(browser, page):
    show(browser, page)
    groups = texts(browser, "#runs .group")
    assert groups[1:] == [
        "sample, features of inception · 1 run",
        "sample, features of lite · 6 runs",
    ]
    best_first = ["run-4", "run-2", "run-3", "run-1 #50%?", "run-5", "run-10"]
    assert shown_runs(browser) == ["run-7", "run-6", *best_first]
    head = find(browser, "th[data-key=kernel_distance]")
    assert head.get_attribute("aria-sort") == "ascending"
    assert texts(browser, "#runs .best") == ["200.0 ± 10.0"]
    head.find_element(By.TAG_NAME, "button").send_keys(Keys.ENTER)
    assert find(browser, "[aria-sort]").get_attribute("aria-sort") == "descending"
    # Runs without a value stay at the end.
    assert shown_runs(browser)[2:] == [*best_first[3::-1], "run-5", "run-10"]
    find(browser, "th[data-key=started] button").click()
    assert shown_runs(browser)[2:5] == ["run-10", "run-5", "run-4"]
    assert "not a number" in texts(browser, "#runs td.number")


def test_runs_are_filtered_by_text_and_by_choices(browser, page):
    show(browser, page)
    type_filter(browser, "RATE=0.2")
    assert shown_runs(browser) == ["run-4"] and texts(browser, "#count") == ["1 of 8 runs"]
    type_filter(browser, "seed=1 dcgan")
    assert shown_runs(browser) == ["run-1 #50%?"]
    type_filter(browser, "nothing like it")
    assert shown_runs(browser) == [] and "No run matches" in find(browser, "#runs .empty").text
    find(browser, "#runs .empty button").click()
    assert len(shown_runs(browser)) == 8
    Select(find(browser, "#extractor")).select_by_value("inception")
    assert shown_runs(browser) == ["run-6"]
    browser.refresh()
    assert shown_runs(browser) == ["run-6"]


def test_columns_are_chosen(browser, page):
    show(browser, page)
    find(browser, "#columns summary").click()
    for label in browser.find_elements(By.CSS_SELECTOR, "#columns label"):
        if label.text in ("Kernel <distance> × 1000 ↓", "Ended by"):
            label.click()
    heads = texts(browser, "#runs thead th")
    assert heads[0] == "Run" and heads[-1] == "Ended by" and "Kernel" not in " ".join(heads)
    assert "steps" in texts(browser, "#runs td")
    browser.refresh()
    assert texts(browser, "#runs thead th") == heads


def test_seeds_are_joined_to_their_median_and_range(browser, page):
    show(browser, page)
    # Equal names have their seeds, since a phone shows no column of them.
    seeds = texts(browser, "#runs td.run small")
    assert seeds[:3] == ["seed 2", "seed 3", "seed 1"]
    find(browser, "#joined").click()
    (row,) = [
        row for row in browser.find_elements(By.CSS_SELECTOR, "#runs tr") if "3 runs" in row.text
    ]
    assert row.find_element(By.CSS_SELECTOR, "td.number").text == "400.0\n300.0–500.0"
    assert "1, 2, 3" in [cell.text for cell in row.find_elements(By.TAG_NAME, "td")]
    row.find_element(By.TAG_NAME, "label").click()
    assert len(browser.find_elements(By.CSS_SELECTOR, ".grids figure")) == 3


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_two_runs_are_shown_side_by_side(browser, page, width):
    set_size(browser, width)
    show(browser, page)
    assert "Tick up to 6 runs" in find(browser, "#chosen").text
    tick(browser, "run-2", "run-1 #50%?")
    whole = "[...document.querySelectorAll('.grids a img')].filter(i => i.naturalWidth === 132)"
    wait_until(browser, f"{whole}.length === 2")
    assert "of the same latent vectors" in find(browser, "#latents").text
    headings = texts(browser, "#metrics th")
    assert headings == ["Metric", "A", "B", "Real images"]
    (row,) = [text for text in texts(browser, "#metrics tr") if text.startswith("Kernel")]
    assert "300.0 ± 10.0" in row and "500.0 ± 10.0" in row and row.endswith("1.0")
    assert texts(browser, "#metrics .best") == ["300.0 ± 10.0"]
    assert texts(browser, "#parameters tbody tr") == ["train.seed 2 1"]
    titles = texts(browser, "#charts h4")
    assert titles == ["Generator loss", "Kernel distance to validation images"]
    paths = "[...document.querySelectorAll('#charts .line')].map(line => line.getAttribute('d'))"
    before = browser.execute_script(f"return {paths}")
    assert len(before) == 4 and all(path.count("L") > 3 for path in before)
    click(browser, "input[value=minutes]")
    click(browser, "#log")
    after = browser.execute_script(f"return {paths}")
    assert len(after) == 4 and before[0] != after[0] and "NaN" not in "".join(after)
    assert "minutes" in texts(browser, "#charts text") and "epoch" not in texts(
        browser, "#charts text"
    )
    assert texts(browser, ".commands pre") == [f"kedro run --params=train.seed={n}" for n in (2, 1)]
    assert browser.execute_script(OVERFLOW) <= 0 and browser.execute_script(CUT_OFF) == []
    # A link keeps what is chosen.
    address = browser.current_url
    show(browser, page, address[address.index("#") :])
    assert find(browser, "input[value=minutes]").is_selected()
    assert len(browser.find_elements(By.CSS_SELECTOR, ".grids figure")) == 2
    assert len(browser.find_elements(By.CSS_SELECTOR, "#runs input:checked")) == 2
    assert browser.get_log("browser") == []


def test_what_cannot_be_compared_is_said(browser, page):
    show(browser, page, "#runs=run-4&runs=run-2&runs=run-6&runs=run-5")
    assert "latent size (9 and 100)" in find(browser, "#latents").text
    assert "can't be compared" in find(browser, "#incomparable").text
    assert texts(browser, "#metrics .best") == []
    assert "No history was recorded of C, D" in find(browser, "#no-history").text
    assert "No command was recorded" in find(browser, ".commands").text
    find(browser, "#tray ul button").click()
    assert texts(browser, ".grids .badge") == ["A", "B", "C"]


def test_texts_of_runs_are_never_executed(browser, page):
    show(browser, page, "#runs=run-7&runs=run-10&runs=%3Cb%3E&dataset=%3Cb%3E&sort=__proto__")
    assert "<script>window.hurt" in find(browser, "#runs .group").text
    assert HOSTILE in find(browser, "#parameters").text
    assert browser.execute_script("return window.hurt") is None
    assert len(shown_runs(browser)) == 8 and browser.get_log("browser") == []


def test_a_page_without_its_folder_shows_thumbnails_and_says_so(browser, tmp_path, page):
    copy = tmp_path / "copy.html"
    copy.write_text(page.read_text())
    show(browser, copy, "#runs=run-2")
    wait_until(browser, "document.querySelector('.missing') !== null")
    image = find(browser, ".grids img")
    assert browser.execute_script("return arguments[0].naturalWidth", image) == 128
    assert "leaderboard beside comparison.html" in find(browser, ".missing").text


def test_a_dark_page_has_no_white_areas(browser, page):
    show(browser, page, "#runs=run-1+%2350%25%3F&runs=run-2", "dark")
    height = browser.execute_script("return document.documentElement.scrollHeight")
    for top in range(0, height, 900):
        browser.execute_script(f"window.scrollTo(0, {top})")
        shot = Image.open(io.BytesIO(browser.get_screenshot_as_png()))
        # Letters are bright too.
        assert (np.asarray(shot.convert("L")) > 180).mean() < 0.08


def test_a_page_of_one_run_shows_it(browser, tmp_path):
    show(browser, write_page(tmp_path, [make_run(1) | {"metrics": {}, "parameters": {}}]))
    assert len(browser.find_elements(By.CSS_SELECTOR, ".grids figure")) == 1
    assert "No metrics were recorded" in find(browser, "#chosen").text
    assert texts(browser, "#count") == ["1 run"] and browser.get_log("browser") == []


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_a_page_of_five_hundred_runs_works(browser, tmp_path, width):
    names = {f"train.parameter_{place}": place for place in range(50)}
    runs = [
        add_history(make_run(n, n / 1000, seed=n % 3, **names | {"train.rate": n // 3}))
        for n in range(1, 501)
    ]
    file = write_page(tmp_path, runs)
    assert file.stat().st_size < 8e6
    set_size(browser, width)
    show(browser, file)
    assert len(shown_runs(browser)) == 500 and browser.execute_script(OVERFLOW) <= 0
    tick(browser, *(f"run-{number}" for number in range(1, 8)))
    assert len(browser.find_elements(By.CSS_SELECTOR, ".grids figure")) == 6
    assert "At most 6 runs" in find(browser, "#tray").text
    type_filter(browser, "rate=166")
    assert shown_runs(browser) == ["run-498", "run-499", "run-500"]
    assert browser.execute_script(OVERFLOW) <= 0 and browser.execute_script(CUT_OFF) == []
    assert browser.get_log("browser") == []
