import subprocess
import sys

from ganvas.disk.busy import is_locked
from ganvas.file_lock import exclusive_lock


def test_a_lock_is_noticed_and_not_taken(tmp_path):
    folder = tmp_path / "dcgan"
    assert not is_locked(folder) and list(tmp_path.iterdir()) == []
    code = (
        "import sys, pathlib; from ganvas.file_lock import exclusive_lock\n"
        "with exclusive_lock(pathlib.Path(sys.argv[1]), 'trains', 'wait'):\n"
        "    print(flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout and holder.stdout.readline()
    assert is_locked(folder)
    holder.communicate(b"")
    assert not is_locked(folder)
    with exclusive_lock(folder, "trains", "wait"):
        assert is_locked(folder)
