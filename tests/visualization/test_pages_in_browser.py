"""The report in headless Chromium, light and dark, also on a phone."""

import io

import numpy as np
import pytest
from PIL import Image

from browsers import DESKTOP, PHONE, needs_browser, set_size, start_browser
from ganvas.pipelines.evaluate.metric_entry import metric_entry
from ganvas.visualization.contact_sheet import draw_neighbors, draw_sheets
from ganvas.visualization.curves import plot_curves
from ganvas.visualization.image_grid import make_grid
from ganvas.visualization.image_tables import draw_style_mixing, draw_truncation_sweep
from ganvas.visualization.report import ReportImages, render_report

pytestmark = [needs_browser, pytest.mark.slow]

NAMES = [f"A class with a long name, number {number}" for number in range(8)]
OVERFLOW = "return document.documentElement.scrollWidth - window.innerWidth"
TRUNCATIONS = [0, 0.25, 0.5, 0.7, 1, 1.25]
# Right edges of everything that lies beyond the page, but for what is in a box that scrolls.
CUT_OFF = """return [...document.querySelectorAll("main *")].filter(
  e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".scroll, #curves")).length"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    driver = start_browser(tmp_path_factory.mktemp("browser"))
    yield driver
    driver.quit()


@pytest.fixture(params=[PHONE, DESKTOP])
def window(request, browser):
    set_size(browser, request.param)
    browser.get_log("browser")
    return browser, request.param


def show(browser, file, page, scheme="light"):
    file.write_text(page)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    browser.get(file.as_uri())


def report(training, history):
    def grid(columns, rows=8, gap=2):
        # No image is near white.
        rng = np.random.default_rng(0)
        return make_grid(rng.integers(0, 99, (rows * columns, 64, 64, 3), np.uint8), columns, gap)

    images = np.full((8, 12, 64, 64, 3), 50, np.uint8)
    sheets = draw_sheets(NAMES, list(images[:, :3]), list(images[:, :8]))
    page_images = ReportImages(
        shape=(64, 64),
        samples=grid(12),
        seed=1,
        files=[],
        real=grid(6),
        generated=grid(6),
        sheets=list(sheets),
        sheet_columns=(3, 8),
        interpolation=grid(9, rows=4, gap=0),
        sweep=draw_truncation_sweep(images[:4, :6], TRUNCATIONS, NAMES[:4]),
        truncations=TRUNCATIONS,
        style_mixing=draw_style_mixing(images[0, :2], images[1, :6], {"coarse": images[:2, :6]}),
        style_counts=(2, 6),
        neighbors=draw_neighbors(dict(zip(("made", "near", "nearest"), images, strict=False))),
        neighbor_columns=12,
        strip=dict.fromkeys((1, 2, 4, 8, 16, 30, 50, 70, 94), images[0, :4]),
        animation=np.full((2, 99, 99, 3), 50, np.uint8),
        curves=np.full((40, 90, 3), 50, np.uint8),
    )
    protocol = "N=256 a side, training split, features of an_extractor_with_a_long_name, seed 0"
    metrics = {
        key: metric_entry(f"Metric ({'x' * 25})", (0.0336, 0.0022), protocol, real=0.0007)
        for key in ("kernel_distance", "frechet_distance", "recall")
    }
    summary = training | {"classes": {"column": "style", "names": NAMES}}
    summary["parameters"] = {"train": {"seed": 7, "a_parameter": "a/very/long/value" * 9}}
    summary["command"] = "kedro run --params=" + "train.something=1," * 9
    verdict = {
        "level": "fair",
        "summary": "Varied · softer than real images · near training images",
        "sentences": ["A sentence of a verdict, which has some length as all of them have."] * 4,
        "advice": "Train for twice as long: add train.max_steps=6000 to --params.",
    }
    splits = {"train": 512, "validation": 51, "test": 37}
    published = [{"metric": "recall", "value": 0.5, "source": "a paper"}]
    plot = plot_curves(history)
    return render_report(page_images, plot, metrics, verdict, published, summary, splits, {})


@pytest.fixture
def page(training, history):
    return report(training, history)


@pytest.fixture
def history():
    import pandas as pd

    values = np.random.default_rng(0).random((40, 4))
    columns = ["loss_g", "loss_d", "real_score", "fake_score"]
    return pd.DataFrame(values, columns=columns).assign(epoch=range(1, 41))


def test_nothing_of_the_report_is_cut_off_and_nothing_fails(window, tmp_path, page):
    browser, _ = window
    show(browser, tmp_path / "report.html", page)
    browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert browser.execute_script(OVERFLOW) <= 0
    assert browser.execute_script(CUT_OFF) == 0
    assert browser.get_log("browser") == []
    # A file that is opened alone has no gallery to go back to.
    assert not browser.find_element("id", "gallery").is_displayed()


def test_headline_verdict_and_samples_are_seen_without_scrolling(window, tmp_path, page):
    browser, width = window
    show(browser, tmp_path / "report.html", page)
    tops = "return [...document.querySelectorAll(arguments[0])].map(e => e.getBoundingClientRect()"
    bottoms = browser.execute_script(tops + ".bottom)", "h1, .verdict, .cells")
    # Five of eight rows of samples on a desktop, the first one on a phone.
    assert max(bottoms[: 7 if width == DESKTOP else 3]) < 900
    sizes = browser.execute_script(tops + ".width)", ".cells img, .stacks img")
    assert min(sizes) >= 50


@pytest.mark.exhaustive
def test_a_dark_page_has_no_white_areas(window, tmp_path, page):
    browser, _ = window
    show(browser, tmp_path / "report.html", page, "dark")
    height = browser.execute_script("return document.documentElement.scrollHeight")
    for top in range(0, height, 900):
        browser.execute_script(f"window.scrollTo(0, {top})")
        shot = Image.open(io.BytesIO(browser.get_screenshot_as_png()))
        bright = np.asarray(shot.convert("L")) > 180
        # Letters are bright too.
        assert bright.mean() < 0.08
