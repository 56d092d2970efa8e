"""The folder from which relative paths in parameters start.

It is the project's, or without a project the working folder when the run began, wherever the
process works: a notebook or a run in another folder reads the same files.
"""

from pathlib import Path

_folder: Path | None = None


def set_project_folder(folder: Path) -> None:
    """Set the folder from which `resolve_path` starts."""
    global _folder
    _folder = folder


def resolve_path(text: str) -> Path:
    """Return the absolute path of a parameter's value; `~` is the user's home.

    Example:
        >>> set_project_folder(Path("/project"))
        >>> resolve_path("data/06_models/sample"), resolve_path("/elsewhere")
        (PosixPath('/project/data/06_models/sample'), PosixPath('/elsewhere'))
    """
    return (_folder or Path.cwd()) / Path(text).expanduser()
