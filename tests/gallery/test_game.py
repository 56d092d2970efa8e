"""The game: rounds, answers, and images that do not reveal them."""

import io
import re
from html import unescape

import numpy as np
from PIL import Image

from ganvas.gallery.game import IMAGES, Game
from ganvas.ingestion.collection import open_collection
from projects import PLAIN


def play(client, answers, page=None):
    page = page or client.get("/game", query_string={"model": PLAIN}).text
    round_id = re.search(r'name="round" value="([^"]+)"', page)[1]
    form = {"model": PLAIN, "round": round_id}
    form |= {f"answer{position}": answer for position, answer in enumerate(answers)}
    return page, client.post("/game", data=form)


def test_correct_answers_are_counted(client, trained):
    page, _ = play(client, ["real"] * 10)
    collection = open_collection(trained / "data/03_primary/sample/collection")
    real = {np.asarray(image).tobytes() for image in collection.images[:]}
    addresses = [unescape(address) for address in re.findall(r'src="(/game/[^"]+)"', page)]
    images = [np.asarray(Image.open(io.BytesIO(client.get(a).data))) for a in addresses]
    truth = ["real" if image.tobytes() in real else "generated" for image in images]
    assert 2 <= truth.count("real") <= 8
    _, response = play(client, truth, page)
    assert "10 of 10" in response.text
    wrong = ["generated" if kind == "real" else "real" for kind in truth[:3]] + truth[3:]
    assert "7 of 10" in play(client, wrong, page)[1].text


def test_an_unfinished_round_is_rejected(client):
    assert play(client, ["real"] * 9)[1].status_code == 400
    assert play(client, ["real"] * 9 + ["maybe"])[1].status_code == 400
    assert client.get("/game/round/10.png").status_code == 404


def test_rounds_depend_on_their_id_and_the_secret_of_the_process():
    game, other = Game(), Game()
    rounds = [tuple(game.is_real(f"round {number}")) for number in range(50)]
    assert len(set(rounds)) > 30
    assert rounds == [tuple(game.is_real(f"round {number}")) for number in range(50)]
    assert rounds != [tuple(other.is_real(f"round {number}")) for number in range(50)]
    frequencies = np.mean(rounds, axis=0)
    # No position is more often real than another.
    assert len(frequencies) == IMAGES and frequencies.min() > 0.2 and frequencies.max() < 0.8


def test_images_of_a_round_have_no_metadata(client):
    page = client.get("/game", query_string={"model": PLAIN}).text
    address = unescape(re.findall(r'src="(/game/[^"]+)"', page)[0])
    assert Image.open(io.BytesIO(client.get(address).data)).info == {}
