"""Text of users, such as names of classes, within Markdown: always text, never markup."""

import html
import re

from ganvas.plain_text import one_line


def escape_markdown(text: object) -> str:
    """Return a text as one line of Markdown that shows it as it is.

    Example:
        >>> escape_markdown("<b>Still | lifes</b> *1*")
        '&lt;b&gt;Still \\\\| lifes&lt;/b&gt; \\\\*1\\\\*'
    """
    return html.escape(re.sub(r"([\\`*\[\]|~])", r"\\\1", one_line(str(text))), quote=False)


def code_span(text: object) -> str:
    """Return a text as code within a cell of a table.

    Example:
        >>> code_span("a|b"), code_span("a`b")
        ('`a\\\\|b`', '``a`b``')
    """
    line = one_line(str(text)).replace("|", r"\|")
    fence = "`" * (_longest_run(line) + 1)
    # A space keeps backticks at the ends apart from the fence.
    space = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{space}{line}{space}{fence}"


def code_fence(text: str) -> str:
    """Return the fence of a block of code with a text, which has fewer backticks in a row.

    Example:
        >>> code_fence("kedro run")
        '```'
    """
    return "`" * max(3, _longest_run(text) + 1)


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
