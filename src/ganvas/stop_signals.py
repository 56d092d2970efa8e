"""Ctrl-C and SIGTERM, which Docker, Kubernetes, Slurm and systemd send before they kill a process.

A command ends in one line; training finishes its step and saves first.
"""

import _thread
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM)
MESSAGE = "Interrupted: what was finished is kept, and the same command continues there."

_terminated = False


class Interrupted(KeyboardInterrupt):
    """A signal asks the process to end.

    Args:
        number: Number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def interrupt(number: int) -> NoReturn:
    """Raise `Interrupted`."""
    raise Interrupted(number)


@contextmanager
def on_signal(react: Callable[[int], None]) -> Iterator[None]:
    """Call a function at the first SIGINT or SIGTERM while a block runs.

    A second signal ends the process at once. Python runs handlers in the main thread alone, so in
    any other thread nothing changes. Signals that are ignored, as in the background of a script,
    stay so.

    Args:
        react: Takes the number of the signal.

    Raises:
        Interrupted: The reaction raised it, and a library another exception in its place.

    Example:
        >>> with on_signal(interrupt):
        ...     run()
    """
    global _terminated
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _terminated = False
    previous = {number: signal.getsignal(number) for number in SIGNALS}
    handled = [
        number for number, handler in previous.items() if handler not in (None, signal.SIG_IGN)
    ]

    raised: list[Interrupted] = []
    show_unraisable = sys.unraisablehook

    def raise_again(unraisable: Any) -> None:
        """Repeat a signal whose exception was raised, and so lost, in a destructor."""
        if isinstance(unraisable.exc_value, Interrupted):
            number = unraisable.exc_value.number
            signal.signal(number, handle)
            threading.Timer(0.1, _thread.interrupt_main, [number]).start()
        else:
            show_unraisable(unraisable)

    def handle(number: int, frame: FrameType | None) -> None:
        global _terminated
        _terminated = number == signal.SIGTERM
        for each in handled:
            signal.signal(each, signal.SIG_DFL)
        try:
            react(number)
        except Interrupted as error:
            raised.append(error)
            raise

    for number in handled:
        signal.signal(number, handle)
    sys.unraisablehook = raise_again
    try:
        yield
    except Exception as error:
        if raised:
            # Such as the ImportError of a compiled module whose import was interrupted.
            raise raised[0] from error
        raise
    finally:
        sys.unraisablehook = show_unraisable
        for number in handled:
            signal.signal(number, previous[number])


def end_after_saving() -> None:
    """Let `end_if_terminated` end this process, since another worker has received a signal."""
    global _terminated
    _terminated = True


def end_if_terminated() -> None:
    """Raise `Interrupted` if SIGTERM has come, and only a part of the work was to be finished."""
    if _terminated:
        raise Interrupted(signal.SIGTERM)


def exit_interrupted(error: KeyboardInterrupt) -> NoReturn:
    """Print one line, and exit with the status of a process that the signal has ended."""
    print(MESSAGE, file=sys.stderr)
    sys.exit(128 + (error.number if isinstance(error, Interrupted) else signal.SIGINT))


def hide_interrupted_imports() -> None:
    """Print one line in place of a traceback at Ctrl-C before a command begins."""
    show = sys.excepthook

    def show_briefly(kind: type[BaseException], error: BaseException, traceback: Any) -> None:
        if issubclass(kind, KeyboardInterrupt):
            print(MESSAGE, file=sys.stderr)
        else:
            show(kind, error, traceback)

    sys.excepthook = show_briefly
