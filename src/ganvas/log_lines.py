"""Log lines in one format, in a terminal and in a file."""

import logging
import sys

import rich
from rich.logging import RichHandler
from rich.text import Text

from ganvas.progress import in_terminal
from ganvas.redaction import redact

# As in conf/logging.yml, which Kedro does not read from a packaged conf.
FORMAT, DATE_FORMAT = "%(asctime)s %(levelname)-7s %(message)s", "%Y-%m-%d %H:%M:%S"
# How Kedro begins its advice after a failed run. Ganvas's errors say what to do, and the same
# command resumes a run.
ADVICE = ("No nodes ran", "There are ")


def use_log_lines() -> None:
    """Replace the handlers that Kedro has configured for the terminal by `LineHandler`.

    Their format stays. Without a configuration of its own, Kedro logs in rich's format, and each
    dataset that it loads and saves.
    """
    root = logging.getLogger()
    for handler in root.handlers:
        handler.addFilter(_redact_record)
    replaced = [x for x in root.handlers if _is_default(x) or type(x) is logging.StreamHandler]
    if not replaced:
        return
    handler = LineHandler()
    formatter = replaced[0].formatter
    if _is_default(replaced[0]):
        formatter = logging.Formatter(FORMAT, DATE_FORMAT)
        logging.getLogger("kedro").setLevel(logging.WARNING)
    handler.setFormatter(formatter)
    for other in replaced:
        root.removeHandler(other)
    root.addHandler(handler)
    logging.captureWarnings(True)


def _redact_record(record: logging.LogRecord) -> bool:
    """Hide passwords and keys in a record, whatever handler writes it."""
    message = record.getMessage()
    redacted = redact(message)
    if redacted != message:
        record.msg, record.args = redacted, None
    return True


def _is_default(handler: logging.Handler) -> bool:
    return isinstance(handler, RichHandler)


class LineHandler(logging.Handler):
    """Writes log lines without wrapping them: above the progress bar, or to standard error."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Leave out Kedro's advice on how to repeat a failed run."""
        advice = record.name.startswith("kedro.runner") and str(record.msg).startswith(ADVICE)
        return not advice and bool(super().filter(record))

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        try:
            # The whole line, since it may end with a traceback.
            line = redact(self.format(record))
            if in_terminal():
                rich.get_console().print(Text(line), soft_wrap=True)
            else:
                print(line, file=sys.stderr, flush=True)
        except Exception:
            self.handleError(record)
