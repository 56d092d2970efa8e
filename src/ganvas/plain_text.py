"""Text from file names, tables and other users, made safe to show in one line."""

import re
import unicodedata

# Categories of Unicode: control characters, spaces, separators of lines and of paragraphs.
_SEPARATORS = {"Cc", "Zs", "Zl", "Zp"}
_ESCAPED = {"Cc", "Zl", "Zp", "Cs"}
# Marks that reverse the order of the text around them, and the byte order mark.
_INVISIBLE = re.compile("[\u202a-\u202e\u2066-\u2069\ufeff]")


def one_line(text: str) -> str:
    """Return a text as one line that can be printed, drawn and encoded as UTF-8.

    White space and control characters become one space, those at the ends are dropped, as are marks
    that change the direction of writing. Half a surrogate pair, as for a byte of a file name that
    isn't UTF-8, becomes the replacement character U+FFFD.

    Example:
        >>> one_line(" Still\\nlifes\\u2028of\\x1b[31m fruit ")
        'Still lifes of [31m fruit'
    """
    kinds = ((character, unicodedata.category(character)) for character in text)
    characters = (
        " " if kind in _SEPARATORS else "\ufffd" if kind == "Cs" else character
        for character, kind in kinds
    )
    return " ".join(_INVISIBLE.sub("", "".join(characters)).split())


def escape_controls(text: str, kept: str = "") -> str:
    """Return a text with control characters as escapes, which a terminal would obey.

    Args:
        text: The text.
        kept: Control characters that are kept, such as line breaks.

    Example:
        >>> print(escape_controls("red\\x1b[31m.jpg"))
        red\\x1b[31m.jpg
    """
    return "".join(
        character.encode("unicode_escape").decode()
        if character not in kept
        and (unicodedata.category(character) in _ESCAPED or _INVISIBLE.match(character))
        else character
        for character in text
    )


def as_cell(path: str) -> str:
    """Return a file's path for a table that people open in a terminal or a spreadsheet.

    Control characters are escaped. "./" stands before a path that a spreadsheet would take as a
    formula; it names the same file.

    Example:
        >>> as_cell("=1+2.jpg"), as_cell("a.jpg")
        ('./=1+2.jpg', 'a.jpg')
    """
    text = escape_controls(path)
    return f"./{text}" if text.startswith(("=", "+", "-", "@")) else text
