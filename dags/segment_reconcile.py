"""
### Settle the days that a re-run or a backfill has left stale

A day is derived from the day before it. When an earlier day is added, or its rows have changed, the days after it are
*stale*: readable as they are, but not what a clean run in date order would give. This DAG starts after every day that
`user_segmentation` publishes (asset `user_segments`):

1. `wait_until_quiet` lets go of its slot and looks again every few seconds until no day is stale, or nothing has been
   written to the log for `settle_seconds`: a backfill costs at most two derivations a day, and not one per day and run.
2. `reconcile` derives the stale days again, in date order. When none is stale, which is so on every ordinary day, it is
   skipped and its log says so.

#### What is safe

Everything: trigger it, clear it, run it while `user_segmentation` runs. One run is active at a time; those behind it
find nothing to do. A day that comes out as it was leaves the days after it alone.

#### When it fails

I/O is tried again 4 times, a wrong configuration and bad data never. The log names the day. Correct what it says,
usually by running that day in `user_segmentation`, then clear the task. `segmentation reconcile` does the same by hand;
`segmentation history` shows which days are stale.

#### Parameters

* `config`: path of the `segmentation.toml`, as the workers see it; empty, where `SEGMENTATION_CONFIG` is a folder: all
  of its files. A run that was started by days published under other configurations settles the histories of those days
  instead.
* `settle_seconds`: how long the log must have been quiet. Empty: `[project] settle_seconds` (120).

To settle at once:

```json
{"settle_seconds": 0}
```
"""

import logging
from datetime import UTC, datetime

from airflow.sdk import DAG, Param, task
from airflow.sdk.exceptions import AirflowSkipException
from wiring import RETRIES, SEGMENTS, config_param, projects

from segmentation.config import load

log = logging.getLogger(__name__)
paths = list(projects().values())


def histories(params, events):
    """The configurations of the histories that this run is about."""
    named = {event.extra.get("config") for event in events[SEGMENTS]} if SEGMENTS in events else set()
    asked = [params["config"]] if params["config"] else paths
    return [load(name) for name in sorted(named - {None}) or asked]


with DAG(
    "segment_reconcile",
    schedule=[SEGMENTS],
    catchup=False,
    max_active_runs=1,
    default_args=RETRIES,
    params={
        "config": config_param(paths[0] if len(paths) == 1 else None),
        "settle_seconds": Param(
            None,
            type=["null", "integer"],
            minimum=0,
            title="Settle seconds",
            description="How long the log must have been quiet. Empty: [project] settle_seconds.",
        ),
    },
    description="Derive again, in date order, the days that became stale",
    doc_md=__doc__,
    tags=["segmentation"],
):

    @task.sensor(mode="reschedule", poke_interval=10)
    def wait_until_quiet(params=None, triggering_asset_events=None):
        from segmentation import history

        for config in histories(params, triggering_asset_events):
            settle = config.project.settle_seconds if params["settle_seconds"] is None else params["settle_seconds"]
            stale = history.stale(config)
            quiet = history.quiet_for(config, datetime.now(UTC))
            log.info("%s: %d stale days, quiet for %.0f of %d s", config.store_path(), len(stale), quiet, settle)
            if stale and quiet < settle:
                return False
        return True

    @task
    def reconcile(params=None, triggering_asset_events=None):
        from segmentation import history

        settled = [day for config in histories(params, triggering_asset_events) for day in history.reconcile(config)]
        if not settled:
            raise AirflowSkipException("no day is stale: nothing to do")
        return [{"date": day["date"], "outcome": day["outcome"]} for day in settled]

    wait_until_quiet() >> reconcile()
