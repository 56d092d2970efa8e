"""The pages without a browser: their links, forms and files."""

import io
import re
from html import unescape
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from PIL import Image

from ganvas.networks.sampling import MAX_TRUNCATION
from projects import BY_CLASS, PLAIN

IMAGE = {"model": BY_CLASS, "seed": 1, "number": 2}


def prose(page):
    """The text of a page without its model card, addresses and code."""
    page = re.sub(
        r"<article.*?</article>|<code.*?</code>|<textarea.*?</textarea>", "", page, flags=re.DOTALL
    )
    page = re.sub(r"<input[^>]*>", "", page.replace(">picture\n", ">"))
    labels = " ".join(re.findall(r'(?:alt|title|aria-label)="([^"]*)"', page))
    return unescape(re.sub(r"<[^>]*>", " ", page)) + labels


def form_fields(page, text):
    """The fields that a browser would send of the form that contains a text."""
    (form,) = [form for form in re.findall(r"<form.*?</form>", page, re.DOTALL) if text in form]
    fields = re.findall(r'<input[^>]* name="(\w+)" value="([^"]*)"', form)
    for name, options in re.findall(r'<select name="(\w+)">(.*?)</select>', form, re.DOTALL):
        selected = re.findall(r'<option value="([^"]*)" selected>', options)
        fields += [(name, value) for value in selected]
    return {name: unescape(value) for name, value in fields}


@pytest.mark.parametrize("model", [PLAIN, BY_CLASS])
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/picture",
        "/edit",
        "/invert",
        "/film",
        "/walk",
        "/mix",
        "/judge",
        "/game",
        "/favorites",
        "/about",
        "/docs",
    ],
)
def test_every_page_is_served_for_every_model(path, model, client):
    response = client.get(path, query_string={"model": model})
    assert response.status_code == 200 and response.mimetype == "text/html"
    assert model in unescape(response.text)
    # The words of the field, without personified networks; the collection's own words aside.
    assert not re.search(
        r"\b(paint|paints|painted|painter|picture|pictures|judge|machine)\b",
        prose(response.text),
        re.I,
    )
    # Pages load nothing from elsewhere; a model card may link there.
    page = re.sub(r'<a href="https://kedro.org">', "", response.text)
    for address in re.findall(r'(?:src|href|action)="([^"]+)"', page):
        local = ("/", "#", "data:image/png;base64,", "data:image/webp;base64,")
        assert address.startswith(local), address
    assert "style=" not in response.text and "onclick" not in response.text


def test_the_slider_of_truncation_has_the_range_of_the_parameter(client):
    page = client.get("/", query_string={"truncation": MAX_TRUNCATION}).text
    (slider,) = re.findall(r'<input type="range"[^>]* name="truncation"[^>]*>', page)
    assert f'value="{MAX_TRUNCATION}"' in slider and f'max="{MAX_TRUNCATION:g}"' in slider


def test_links_of_the_first_page_lead_to_pages(client):
    page = client.get("/", query_string={"model": BY_CLASS, "class": "Ink Waves", "count": 3}).text
    links = {unescape(link) for link in re.findall(r'href="(/[^"]*)"', page)}
    assert len(links) > 10
    for link in links:
        assert client.get(link).status_code == 200, link


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/", {"class": "Ink Waves", "seed": "5", "count": "3"}),
        ("/walk", {"class_a": "Ink Waves", "class_b": "Still Lifes", "seed_b": "5"}),
        ("/mix", {"class_a": "Ink Waves", "class_b": "Still Lifes", "number_a": "5"}),
    ],
)
def test_switching_models_keeps_all_fields_but_the_classes(path, query, client):
    page = client.get(path, query_string={"model": BY_CLASS, "truncation": "0.5"} | query).text
    fields = form_fields(page, '<select name="model">')
    assert fields["model"] == BY_CLASS
    assert client.get(path, query_string=fields | {"model": PLAIN}).status_code == 200
    kept = {name: value for name, value in query.items() if not name.startswith("class")}
    assert (kept | {"truncation": "0.5"}).items() <= fields.items()


def test_interpolations_of_an_image_use_its_version(client):
    page = client.get("/picture", query_string=IMAGE).text
    exact = parse_qs(urlsplit(unescape(re.search(r'href="(/picture\?[^"]+)"', page)[1])).query)
    links = [unescape(link) for link in re.findall(r'href="(/(?:walk|mix)\?[^"]+)"', page)]
    # The navigation has two further links, which lead to the newest version.
    links = [link for link in links if "seed_a" in link]
    assert len(links) == 2
    for link in links:
        assert parse_qs(urlsplit(link).query)["version"] == exact["version"]
        fields = form_fields(client.get(link).text, 'type="number"')
        assert [fields["version"]] == exact["version"]
    grid = client.get("/", query_string={"model": BY_CLASS, "count": 2}).text
    assert [form_fields(grid, 'name="pick"')["version"]] == exact["version"]


def test_images_of_a_class_are_side_by_side(client, genres):
    page = client.get("/", query_string={"model": BY_CLASS, "count": 16}).text
    numbers = [int(number) for number in re.findall(r'alt="Seed 0, image no. (\d+)', page)]
    assert numbers == [number for label in range(8) for number in (label, label + 8)]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/", 'type="number"'),
        ("/walk", 'type="number"'),
        ("/judge", 'type="file"'),
        ("/game", "answer0"),
    ],
)
def test_forms_and_navigation_keep_a_requested_version(path, text, client, versions):
    for version in ({}, {"version": versions[PLAIN]}):
        expected = {"model": PLAIN} | version
        page = client.get(path, query_string=expected).text
        assert expected.items() <= form_fields(page, text).items()
        (nav,) = re.findall(r"<nav.*?</nav>", page, re.DOTALL)
        for link in re.findall(r'href="([^"]+)"', nav):
            assert dict(parse_qsl(urlsplit(unescape(link)).query)) == expected


def test_the_animation_is_folded_away(client):
    page = client.get("/about", query_string={"model": PLAIN}).text
    folded = re.findall(r"<details>.*?</details>", page, re.DOTALL)
    assert page.count("progress.webp") == 1 and "progress.webp" in "".join(folded)


def test_interpolating_between_two_selected_images(client):
    def interpolate(*selected):
        return client.get("/walk", query_string={"model": BY_CLASS, "pick": list(selected)})

    page = interpolate("0:3:Ink Waves", "7:1:Still Lifes").text
    assert re.search(r'name="number_a" value="3"', page)
    assert re.search(r'name="seed_b" value="7"', page)
    assert '<option value="Still Lifes" selected>' in page
    response = interpolate("", "0:3:")
    assert response.status_code == 400 and "1 is selected: go back and select two" in response.text
    assert "none is selected" in interpolate("").text
    assert interpolate("0:1:", "0:2:", "0:3:").status_code == 400
    assert interpolate("x", "y").status_code == 400


def test_a_class_is_mixed_with_another_one(client, genres):
    for query in ({"class_a": genres[1]}, {"class_b": genres[0]}, {}):
        page = client.get("/mix", query_string={"model": BY_CLASS} | query).text
        fields = form_fields(page, 'name="class_a"')
        assert fields["class_a"] != fields["class_b"] and query.items() <= fields.items()


def test_the_score_page_names_the_class_and_keeps_it(client):
    image = io.BytesIO(client.get("/api/picture", query_string={"model": PLAIN}).data)
    data = {"model": BY_CLASS, "class": "Still Lifes", "picture": (image, "mine.png")}
    page = client.post("/judge", data=data, content_type="multipart/form-data").text
    assert "as “Still Lifes”" in page and "Best class:" in page
    assert "your image" in page
    assert form_fields(page, 'type="file"')["class"] == "Still Lifes"


def test_a_cut_list_of_unusable_files_is_marked_as_cut(client, trained):
    file = trained / "data/03_primary/sample/rejected.csv"
    content = file.read_text() if file.is_file() else None
    try:
        for count in (200, 201):
            rows = "".join(f"p{number}.png,spoilt\n" for number in range(count))
            file.write_text(f"path,reason\n{rows}")
            page = client.get("/about", query_string={"model": PLAIN}).text
            assert page.count("<td>spoilt</td>") == 200
            assert ("the first 200" in page) is (count == 201)
    finally:
        file.unlink() if content is None else file.write_text(content)


def test_errors_have_a_title_of_their_own_and_the_navigation(client):
    pages = {
        "/nothing": (404, "Page not found"),
        "/?model=none": (404, "Not found"),
        "/?seed=x": (400, "Invalid request"),
        "/walk?pick=": (400, "Invalid request"),
        "/judge?example=none": (400, "Invalid request"),
    }
    for path, (status, title) in pages.items():
        response = client.get(path)
        assert response.status_code == status
        assert f"<h1>{title}</h1>" in response.text and f"<title>{title} " in response.text
        assert 'href="/walk"' in response.text and "Back to gallery" in response.text
    response = client.post("/walk")
    assert response.status_code == 405 and "<h1>Method not allowed</h1>" in response.text


def test_a_random_seed_keeps_the_other_fields(client):
    query = {"model": BY_CLASS, "class": "Ink Waves", "count": "3", "seed": "5", "random": "1"}
    locations = {client.get("/", query_string=query).headers["Location"] for _ in range(3)}
    assert len(locations) > 1
    for location in locations:
        fields = dict(parse_qsl(urlsplit(location).query))
        assert 0 <= int(fields.pop("seed")) < 1_000_000
        assert fields == {"model": BY_CLASS, "class": "Ink Waves", "count": "3"}
        assert client.get(location).status_code == 200


def test_the_first_page_shows_each_class_in_a_row_of_its_own(client, genres):
    page = client.get("/", query_string={"model": BY_CLASS}).text
    assert [unescape(name) for name in re.findall(r"<h2>(.*?)</h2>", page)] == genres
    assert page.count('name="pick" value="0:') == 64 and 'class="caption"' not in page
    # A row of one or two would be mostly empty: the class stands below the image.
    page = client.get("/", query_string={"model": BY_CLASS, "count": 16}).text
    assert "<h2>" not in page and page.count('class="caption"') == 16
    page = client.get("/", query_string={"model": BY_CLASS, "class": genres[0]}).text
    assert 'class="caption"' not in page and page.count('name="pick" value="0:') == 24


def test_examples_are_scored(client):
    for kind in ("real", "generated"):
        page = client.get("/judge", query_string={"model": BY_CLASS, "example": kind}).text
        assert f">{kind} image</text>" in page and "% of generated images" in page


def test_a_model_without_its_discriminator_has_no_form(client):
    page = client.get("/judge", query_string={"model": "sample/pretrained"}).text
    assert "saved without its discriminator" in page and 'type="file"' not in page
    assert "The discriminator of" not in page


def test_the_default_class_of_an_interpolation_is_named(client, genres):
    page = client.get("/walk", query_string={"model": BY_CLASS, "number_a": 2, "number_b": 9}).text
    blanks = re.findall(r'<option value="">([^<]*)<', page)
    assert blanks == [f"Default: {genres[2]}", f"Default: {genres[1]}"]


def test_answers_of_the_game_are_shown(client):
    page = client.get("/game", query_string={"model": PLAIN}).text
    form = form_fields(page, "answer0") | {f"answer{i}": "real" for i in range(10)}
    page = client.post("/game", data=form).text
    assert page.count("your answer: real") == 10
    assert page.count("✓ real") + page.count("✗ it was generated") == 10


def test_rights_of_the_sample_collection_are_known(client):
    page = client.get("/about", query_string={"model": PLAIN}).text
    assert "no third-party rights" in page and "require consent" not in page


def test_the_model_card_is_html(client):
    page = client.get("/about", query_string={"model": PLAIN}).text
    (card,) = re.findall(r"<article.*?</article>", page, re.DOTALL)
    assert "<h4>" in card and "<table>" in card and "library_name" not in card


def test_interpolations_are_served_as_files(client):
    query = {"model": BY_CLASS, "seed_b": 4}
    strip = Image.open(io.BytesIO(client.get("/walk/strip.png", query_string=query).data))
    assert strip.size == (24 * 32, 32)
    animation = Image.open(io.BytesIO(client.get("/walk/film.webp", query_string=query).data))
    assert (animation.format, animation.size) == ("WEBP", (32, 32))


def test_markup_in_a_query_is_escaped(client):
    script = "<script>alert(1)</script>"
    for query in ({"model": script}, {"class": script}, {"version": script}, {"seed": script}):
        response = client.get("/", query_string=query)
        assert 400 <= response.status_code < 500 and script not in response.text


def test_the_report_is_sandboxed(client):
    response = client.get("/about/report", query_string={"model": PLAIN})
    assert "DCGAN" in response.text
    assert "sandbox allow-scripts" in response.headers["Content-Security-Policy"]
    assert "connect-src" not in response.headers["Content-Security-Policy"]
    animation = client.get("/about/progress.webp", query_string={"model": PLAIN})
    assert Image.open(io.BytesIO(animation.data)).format == "WEBP"
