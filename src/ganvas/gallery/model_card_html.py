"""The model card as HTML."""

import mimetypes
from functools import lru_cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from ganvas.gallery.data_files import read_start
from ganvas.redaction import redact
from ganvas.visualization.image_cells import data_uri

# Bytes of a card that are shown, and of its images. Some texts take seconds for 64 KB.
MAX_CARD, MAX_IMAGES = 2**16, 2**24
CONTINUED = "<p>The rest is in <code>model_card.md</code> beside the model.</p>\n"
# The page has headings of the first two levels.
DEEPER = 2
PARSER = MarkdownIt("commonmark", {"html": False}).enable("table")


def read_card(file: Path) -> str | None:
    """Convert a model card, without its front matter, to HTML; None if there is none.

    HTML within the card is escaped. Images beside the card are embedded, others left out, since
    the gallery's pages load nothing from other hosts.
    """
    try:
        status = file.stat()
        return _render(file, (status.st_mtime_ns, status.st_size))
    except OSError:
        return None


@lru_cache(maxsize=8)
def _render(file: Path, _state: tuple[int, int]) -> str:
    """Convert a card; the state of its file is part of the cache key."""
    content = read_start(file, MAX_CARD + 1)
    # Cards of earlier versions may have passwords.
    text = redact(content[:MAX_CARD].decode(errors="replace"))
    tokens = PARSER.parse(text.split("---\n", 2)[-1] if text.startswith("---\n") else text)
    left = MAX_IMAGES
    for token in tokens:
        if token.type.startswith("heading"):
            token.tag = f"h{min(int(token.tag[1]) + DEEPER, 6)}"
        # Alignment is an inline style, which the Content-Security-Policy forbids.
        token.attrs.pop("style", None)
        token.children, left = _embed_images(token.children, file.parent, left)
    html = PARSER.renderer.render(tokens, PARSER.options, {})
    wide = html.replace("<table>", '<div class="scroll"><table>')
    wide = wide.replace("</table>", "</table></div>")
    return wide + CONTINUED if len(content) > MAX_CARD else wide


def _embed_images(
    tokens: list[Token] | None, folder: Path, left: int
) -> tuple[list[Token] | None, int]:
    """Embed images of at most `left` bytes; return what remains of them."""
    if tokens is None:
        return None, left
    kept = []
    for token in tokens:
        if token.type == "image":
            file = folder / str(token.attrs["src"])
            kind = mimetypes.guess_type(file.name)[0] or ""
            if file.parent != folder or not kind.startswith("image/"):
                continue
            try:
                content = read_start(file, left + 1)
            # The name may be too long, or have a null character.
            except (OSError, ValueError):
                continue
            if len(content) > left:
                continue
            left -= len(content)
            token.attrs["src"] = data_uri(content, kind.removeprefix("image/"))
        kept.append(token)
    return kept, left
