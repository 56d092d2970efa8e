"""The model card as HTML."""

import mimetypes
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from ganvas.redaction import redact
from ganvas.visualization.image_cells import data_uri

# Bytes of a card that are shown.
MAX_CARD = 2**20
# The page has headings of the first two levels.
DEEPER = 2
PARSER = MarkdownIt("commonmark", {"html": False}).enable("table")


def read_card(file: Path) -> str | None:
    """Convert a model card, without its front matter, to HTML; None if there is none.

    HTML within the card is escaped. Images beside the card are embedded, others left out, since
    the gallery's pages load nothing from other hosts.
    """
    if not file.is_file():
        return None
    # Cards of earlier versions may have passwords.
    text = redact(file.read_bytes()[:MAX_CARD].decode(errors="replace"))
    tokens = PARSER.parse(text.split("---\n", 2)[-1] if text.startswith("---\n") else text)
    for token in tokens:
        if token.type.startswith("heading"):
            token.tag = f"h{min(int(token.tag[1]) + DEEPER, 6)}"
        # Alignment is an inline style, which the Content-Security-Policy forbids.
        token.attrs.pop("style", None)
        token.children = _embed_images(token.children, file.parent)
    html = PARSER.renderer.render(tokens, PARSER.options, {})
    wide = html.replace("<table>", '<div class="scroll"><table>')
    return wide.replace("</table>", "</table></div>")


def _embed_images(tokens: list[Token] | None, folder: Path) -> list[Token] | None:
    if tokens is None:
        return None
    kept = []
    for token in tokens:
        if token.type == "image":
            file = folder / str(token.attrs["src"])
            kind = mimetypes.guess_type(file.name)[0] or ""
            if not (file.is_file() and file.parent == folder and kind.startswith("image/")):
                continue
            token.attrs["src"] = data_uri(file.read_bytes(), kind.removeprefix("image/"))
        kept.append(token)
    return kept
