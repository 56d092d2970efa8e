"""The pages without a browser: what they hold, and what the game keeps to itself."""

import io
import os
import re
from html import unescape
from urllib.parse import parse_qs, parse_qsl, urlsplit

import numpy as np
import pytest
from PIL import Image

from ganvas.gallery.game import PICTURES, Game
from ganvas.gallery.model_store import Models
from ganvas.gallery.real_images import find_collection
from ganvas.ingestion.collection import MANIFEST, open_collection
from projects import BY_CLASS, PLAIN

PICTURE = {"model": BY_CLASS, "seed": 1, "number": 2}


@pytest.mark.parametrize("model", [PLAIN, BY_CLASS])
@pytest.mark.parametrize("path", ["/", "/picture", "/walk", "/mix", "/judge", "/game", "/about"])
def test_every_page_answers_for_every_model(path, model, client):
    answer = client.get(path, query_string={"model": model})
    assert answer.status_code == 200 and answer.mimetype == "text/html"
    assert model in unescape(answer.text)
    # All that a page needs comes from here.
    for address in re.findall(r'(?:src|href|action)="([^"]+)"', answer.text):
        assert address.startswith(("/", "#", "data:image/png;base64,")), address
    assert "style=" not in answer.text and "onclick" not in answer.text


def test_links_of_the_paint_page_lead_to_pages(client):
    page = client.get("/", query_string={"model": BY_CLASS, "class": "Ink Waves", "count": 3}).text
    links = {unescape(each) for each in re.findall(r'href="(/[^"]*)"', page)}
    assert len(links) > 10
    for link in links:
        assert client.get(link).status_code == 200, link


def fill(page, words):
    """What a browser sends of the form with these words in it, as it stands."""
    (form,) = [each for each in re.findall(r"<form.*?</form>", page, re.DOTALL) if words in each]
    sent = re.findall(r'<input[^>]* name="(\w+)" value="([^"]*)"', form)
    for name, options in re.findall(r'<select name="(\w+)">(.*?)</select>', form, re.DOTALL):
        sent += [(name, each) for each in re.findall(r'<option value="([^"]*)" selected>', options)]
    return {name: unescape(value) for name, value in sent}


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/", {"class": "Ink Waves", "seed": "5", "count": "3"}),
        ("/walk", {"class_a": "Ink Waves", "class_b": "Still Lifes", "seed_b": "5"}),
        ("/mix", {"class_a": "Ink Waves", "class_b": "Still Lifes", "number_a": "5"}),
    ],
)
def test_another_model_is_asked_for_none_of_the_classes_that_are_shown(path, shown, client):
    page = client.get(path, query_string={"model": BY_CLASS, "truncation": "0.5"} | shown).text
    sent = fill(page, '<select name="model">')
    assert sent["model"] == BY_CLASS
    assert client.get(path, query_string=sent | {"model": PLAIN}).status_code == 200
    kept = {name: value for name, value in shown.items() if not name.startswith("class")}
    assert (kept | {"truncation": "0.5"}).items() <= sent.items()


def test_walks_and_mixtures_are_of_the_version_that_painted_the_picture(client):
    page = client.get("/picture", query_string=PICTURE).text
    exact = parse_qs(urlsplit(unescape(re.search(r'href="(/picture\?[^"]+)"', page)[1])).query)
    links = [unescape(each) for each in re.findall(r'href="(/(?:walk|mix)\?[^"]+)"', page)]
    # Besides the two of the heading, which lead to the newest.
    links = [each for each in links if "seed_a" in each]
    assert len(links) == 2
    for link in links:
        assert parse_qs(urlsplit(link).query)["version"] == exact["version"]
        assert [fill(client.get(link).text, 'type="number"')["version"]] == exact["version"]
    paint = client.get("/", query_string={"model": BY_CLASS, "count": 2}).text
    assert [fill(paint, 'name="pick"')["version"]] == exact["version"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/", 'type="number"'),
        ("/walk", 'type="number"'),
        ("/judge", 'type="file"'),
        ("/game", "answer0"),
    ],
)
def test_a_version_that_was_asked_for_stays_the_one(path, words, client):
    told = client.get("/api/models").json["models"]
    version = next(each["version"] for each in told if each["model"] == PLAIN)
    for asked in ({}, {"version": version}):
        page = client.get(path, query_string={"model": PLAIN} | asked).text
        here = {"model": PLAIN} | asked
        assert here.items() <= fill(page, words).items()
        # Also on the next page.
        (nav,) = re.findall(r"<nav.*?</nav>", page, re.DOTALL)
        for link in re.findall(r'href="([^"]+)"', nav):
            assert dict(parse_qsl(urlsplit(unescape(link)).query)) == here


def test_nothing_moves_before_it_is_asked_to(client):
    page = client.get("/about", query_string={"model": PLAIN}).text
    folded = re.findall(r"<details>.*?</details>", page, re.DOTALL)
    assert page.count("progress.webp") == 1 and "progress.webp" in "".join(folded)


def test_walking_between_two_picked_pictures(client):
    def walk(*picks):
        return client.get("/walk", query_string={"model": BY_CLASS, "pick": list(picks)})

    page = walk("0:3:Ink Waves", "7:1:Still Lifes").text
    assert re.search(r'name="number_a" value="3"', page)
    assert re.search(r'name="seed_b" value="7"', page)
    assert '<option value="Still Lifes" selected>' in page
    answer = walk("0:3:")
    assert answer.status_code == 400 and "1 is picked: pick two" in answer.text
    assert walk("0:1:", "0:2:", "0:3:").status_code == 400
    assert walk("x", "y").status_code == 400


def test_a_class_is_mixed_with_another_one(client):
    names = client.get("/api/models").json["models"]
    names = next(each["classes"] for each in names if each["model"] == BY_CLASS)
    for given in ({"class_a": names[1]}, {"class_b": names[0]}, {}):
        page = client.get("/mix", query_string={"model": BY_CLASS} | given).text
        chosen = fill(page, 'name="class_a"')
        assert chosen["class_a"] != chosen["class_b"] and given.items() <= chosen.items()


def test_the_judge_tells_as_which_class_and_keeps_it(client):
    picture = io.BytesIO(client.get("/api/picture", query_string={"model": PLAIN}).data)
    data = {"model": BY_CLASS, "class": "Still Lifes", "picture": (picture, "mine.png")}
    page = client.post("/judge", data=data, content_type="multipart/form-data").text
    assert "as “Still Lifes”" in page
    assert fill(page, 'type="file"')["class"] == "Still Lifes"


def test_of_many_unusable_files_the_first_are_shown_and_told_to_be(client, trained):
    file = trained / "data/03_primary/sample/rejected.csv"
    kept = file.read_text() if file.is_file() else None
    try:
        for count in (200, 201):
            rows = "".join(f"p{number}.png,spoilt\n" for number in range(count))
            file.write_text(f"path,reason\n{rows}")
            page = client.get("/about", query_string={"model": PLAIN}).text
            assert page.count("<td>spoilt</td>") == 200
            assert ("the first 200" in page) is (count == 201)
    finally:
        file.unlink() if kept is None else file.write_text(kept)


def test_films_and_strips_are_files(client):
    query = {"model": BY_CLASS, "seed_b": 4}
    strip = Image.open(io.BytesIO(client.get("/walk/strip.png", query_string=query).data))
    assert strip.size == (24 * 32, 32)
    film = Image.open(io.BytesIO(client.get("/walk/film.webp", query_string=query).data))
    assert (film.format, film.size) == ("WEBP", (32, 32))


def test_nothing_that_is_asked_is_taken_for_markup(client):
    evil = "<script>alert(1)</script>"
    for query in ({"model": evil}, {"class": evil}, {"version": evil}, {"seed": evil}):
        answer = client.get("/", query_string=query)
        assert 400 <= answer.status_code < 500 and evil not in answer.text


def test_the_report_is_shut_off_from_the_gallery(client):
    answer = client.get("/about/report", query_string={"model": PLAIN})
    assert "painted by dcgan" in answer.text
    assert "sandbox allow-scripts" in answer.headers["Content-Security-Policy"]
    assert "connect-src" not in answer.headers["Content-Security-Policy"]
    film = client.get("/about/progress.webp", query_string={"model": PLAIN})
    assert Image.open(io.BytesIO(film.data)).format == "WEBP"


def play(client, answers, page=None):
    page = page or client.get("/game", query_string={"model": PLAIN}).text
    name = re.search(r'name="round" value="([^"]+)"', page)[1]
    form = {"model": PLAIN, "round": name}
    form |= {f"answer{position}": answer for position, answer in enumerate(answers)}
    return page, client.post("/game", data=form)


def test_a_game_counts_what_is_right(client, trained):
    page, _ = play(client, ["real"] * 10)
    collection = open_collection(trained / "data/03_primary/sample/collection")
    real = {np.asarray(each).tobytes() for each in collection.images[:]}
    addresses = [unescape(each) for each in re.findall(r'src="(/game/[^"]+)"', page)]
    pixels = [np.asarray(Image.open(io.BytesIO(client.get(a).data))) for a in addresses]
    truth = ["real" if each.tobytes() in real else "painted" for each in pixels]
    assert 2 <= truth.count("real") <= 8
    _, answer = play(client, truth, page)
    assert "10 of 10" in answer.text
    wrong = ["painted" if each == "real" else "real" for each in truth[:3]] + truth[3:]
    assert "7 of 10" in play(client, wrong, page)[1].text


def test_an_unfinished_game_is_not_counted(client):
    assert play(client, ["real"] * 9)[1].status_code == 400
    assert play(client, ["real"] * 9 + ["maybe"])[1].status_code == 400
    assert client.get("/game/round/10.png").status_code == 404


def test_rounds_differ_and_need_the_secret_of_the_process():
    game, other = Game(), Game()
    rounds = [tuple(game.tell(f"round {number}")) for number in range(50)]
    assert len(set(rounds)) > 30
    assert rounds == [tuple(game.tell(f"round {number}")) for number in range(50)]
    assert rounds != [tuple(other.tell(f"round {number}")) for number in range(50)]
    shares = np.mean(rounds, axis=0)
    # No place is more often real than another.
    assert len(shares) == PICTURES and shares.min() > 0.2 and shares.max() < 0.8


def test_pictures_of_a_game_hold_no_facts(client):
    page = client.get("/game", query_string={"model": PLAIN}).text
    address = unescape(re.findall(r'src="(/game/[^"]+)"', page)[0])
    assert Image.open(io.BytesIO(client.get(address).data)).info == {}


def test_a_collection_is_opened_once_until_it_is_packed_anew(trained):
    data = trained / "data"
    studio = Models(data / "06_models").choose(PLAIN)
    first = find_collection(data, studio)
    assert find_collection(data, studio) is first
    manifest = data / "03_primary/sample/collection" / MANIFEST
    later = manifest.stat().st_mtime_ns + 1_000_000_000
    os.utime(manifest, ns=(later, later))
    assert find_collection(data, studio) is not first


def test_a_gallery_without_models_says_what_to_run(tmp_path):
    with pytest.raises(LookupError, match="make run"):
        Models(tmp_path).choose(None)


def test_few_models_stay_loaded(trained, monkeypatch):
    monkeypatch.setattr("ganvas.gallery.model_store.LOADED", 1)
    models = Models(trained / "data/06_models")
    first = models.choose(PLAIN)
    assert models.choose(PLAIN) is first
    models.choose(BY_CLASS)
    assert models.choose(PLAIN) is not first
