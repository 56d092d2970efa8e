"""Read TF_CONFIG, which numbers the workers of one training, without an import of TensorFlow."""

import json
import os
from typing import NamedTuple

from ganvas.errors import GanvasError

TF_CONFIG_EXAMPLE = (
    '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}'
)


class Workers(NamedTuple):
    """Number of this worker, and of all workers, in TF_CONFIG."""

    number: int
    total: int


def read_tf_config() -> Workers | None:
    """Read TF_CONFIG; return None if it isn't set.

    Raises:
        GanvasError: It is not valid.
    """
    text = os.environ.get("TF_CONFIG", "")
    if not text.strip():
        return None
    try:
        config = json.loads(text)
        cluster, task = config["cluster"], config["task"]
        jobs = {job: len(list(cluster.get(job, []))) for job in ("chief", "worker")}
        kind, index = task["type"], int(task["index"])
        if not 0 <= index < jobs[kind]:
            raise ValueError(f"there is no {kind} {index} in its cluster")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise GanvasError(
            f"TF_CONFIG is not valid ({reason}): write it like {TF_CONFIG_EXAMPLE}."
        ) from error
    return Workers(index + (jobs["chief"] if kind == "worker" else 0), sum(jobs.values()))
