"""
### Segment the users as of one day

Every night this DAG reads what the shop's users bought, checks it, turns it into features per user, puts every user
into a segment, compares with the day before, and publishes who is where, who moved, and why. One run is about one day,
midnight to midnight in the time zone of `[project] timezone`.

| task | does | when it fails |
|---|---|---|
| `wait_until_complete` | only with a `[complete]` section: asks again until the deadline | the day stayed half-loaded |
| `extract` | decides the day, reads the rows that the day's window lacks | no rows, a wrong date, a file that cannot be read |
| `validate` | splits rows into accepted and quarantined, gates the day | the data broke its contract, nothing is accepted |
| `build_features` | users' features as of the day | a day of the window was never accepted: run from `extract` on |
| `cluster` | decides which model scores the day | a column that the model needs is missing |
| `compare_segments` | places every user, counts moves and their causes | |
| `publish` | commits the day; readers see it from here on | |
| `ask` | decides whether a person is to be asked: see *When the segments should change* | |
| `approve_segments` | waits for the answer; takes no slot, and holds up no other day | |
| `adopt_segments` | after *Approve*: takes the proposed segments, from the first day that is not published yet | |

#### Run one day

Press **Trigger**. Leave `date` empty for the last day that is over, or choose a day. Leave the logical date as it is
offered, or empty. A configuration to copy:

```json
{"date": "2017-11-15"}
```

With a `[project] end` that has passed, empty the logical date: of a run with a later one Airflow runs no task, and calls
it a success.

A day that is not over, that is outside of `[project] start` and `end`, or that is unclear is refused; the log of
`extract` says why.

#### Backfill from the UI

1. Show times in the project's time zone (your user menu, *Time zone*): the dialogue reads its dates in it.
2. Open this DAG, press **Trigger**, choose **Backfill**.
3. Choose the first and the last day. The dialogue says how many runs that makes: one a day.
4. *Reprocess behaviour*: **Missing runs** for days that never ran, **Missing and errored runs** to try failures again,
   **All runs** to run days again whose rows have changed.
5. *Max active runs*: 1 to 4. *Run backwards* is fine, and so is a backfill while the schedule runs on.
6. Leave `date` empty in the advanced options: with it, every run is refused but that day's.
7. When the runs are done, `segment_reconcile` waits until nothing has been written for `settle_seconds`, then derives
   again the days that need it. The result is the one that a clean run in date order would have given.

For months of history `segmentation backfill --from … --to …` is much faster, and gives the same.

#### When the segments should change

Small changes are made by themselves; `segmentation decisions` tells which. A new model that would reassign more than
`[adjustment] ask_above` of the users, or of the revenue, is only proposed: the day is published with the segments as they
were, and `approve_segments` asks under **Required actions**. The days after it go on meanwhile.

* **Approve**: the next day that is published has the new segments. Segments that live on keep their ids.
* **Reject**, or no answer within `[project] approval_days`: nothing changes, and the same proposal is not made again for
  `[adjustment] ask_again_days`.

Only the newest day asks, and never in a backfill; a proposal that was not asked about is in `segmentation decisions`, with
the command that takes it.

#### What is safe

Everything. Clear a task or a run, run a day twice, run days in any order and side by side, stop a worker half-way:
nothing that is published is overwritten, and work that is done already is not done again. A re-run of a day whose rows
have changed publishes the day anew; `segment_reconcile` settles the days after it.

#### When it fails

The log of the failed task ends with one of these:

* **`DataContractError`**, never tried again. The message counts what is wrong; `segmentation quality --date D` has
  more. Correct the source (or `[validation]`, which counts at once), then clear `extract` *and downstream*.
* **was not complete by …, the deadline**: what the message names never came. When it has, clear
  `wait_until_complete` *and downstream*: a day that is complete goes on at once, also after the deadline. If the rule is
  wrong for this day, correct `[sources.TABLE.complete]`.
* **`NoRowsError`**, never tried again. Has the file arrived? If a day without rows is right for this shop, set
  `[validation] empty_days = "allow"`. Then clear `extract` *and downstream*.
* **`ConfigError`**, never tried again. Correct the setting that it names and clear the run; or, for a date that is
  refused, trigger the DAG again with another one.
* **`OSError`**, **`SourceError`** (a database) or **`StoreError`**, tried again 4 times within some minutes. Is the disk,
  the share or the database there, and not full? Then clear the task. If something is *damaged*, `segmentation verify`
  lists all of it.
* **Anything else**, tried again 4 times: a worker that was killed (memory?), or a fault of this software. Clear the
  task; report the log if it fails again.

The last published day stays what readers see until a day is committed.

#### Parameters

* `date`: the day to segment, `YYYY-MM-DD`. Empty: the run's own day; for a run started by hand, the last day that is
  over.
* `config`: path of the `segmentation.toml`, as the workers see it. The schedule's dates and time zone are always those
  of the DAG's own file: the one that `SEGMENTATION_CONFIG` names, or, where that is a folder, each of its `*.toml`, with a
  DAG for each.

#### What it leaves

An event of the asset `user_segments` with `date`, `snapshot_id`, `users`, `segments`, `share_moved`, `outcome` and
`config`. `outcome` is `published`, `current` (nothing had changed) or `superseded` (another run had published what is
asked for now)."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, CronDataIntervalTimetable, Param, task
from airflow.sdk.exceptions import AirflowFailException
from wiring import RETRIES, SEGMENTS, complete, config_param, connect, projects

from segmentation.config import load
from segmentation.dates import parse_day, resolve_snapshot_date

POKE_SECONDS = 300


def daily(dag_id: str, path: str) -> None:
    """The DAG of one shop."""
    config = load(path)
    zone = ZoneInfo(config.project.timezone)
    start, end = (day and datetime.combine(day, time(), zone) for day in (config.project.start, config.project.end))
    with DAG(
        dag_id,
        schedule=CronDataIntervalTimetable("0 0 * * *", timezone=config.project.timezone),
        start_date=start,
        end_date=end,
        catchup=False,
        max_active_runs=4,
        default_args=RETRIES,
        params={
            "date": Param(
                None,
                type=["null", "string"],
                format="date",
                title="Date",
                description="The day to segment. Empty: the run's own day, or the last day that is over.",
            ),
            "config": config_param(path),
        },
        description="Segment the users as of one day, and publish who moved where and why",
        doc_md=__doc__,
        tags=["segmentation"],
    ):
        extracted = extract()
        features = build_features(extracted)
        if any(source.complete.asked for source in config.sources.activity().values()):
            wait_until_complete() >> extracted
        published = publish(extracted, features)
        (
            validate(extracted)
            >> features
            >> cluster(extracted, features)
            >> compare_segments(extracted, features)
            >> published
        )
        approve = ApprovalOperator(
            task_id="approve_segments",
            subject="Segments of {{ ti.xcom_pull('extract')['date'] }}: a new model is proposed",
            body="{{ ti.xcom_pull('ask', key='question') }}",
            defaults="Reject",
            response_timeout=timedelta(days=config.project.approval_days),
        )
        published >> ask(extracted) >> approve >> adopt_segments()


def opened(params):
    """The configuration of a run, its databases within reach."""
    config = load(params["config"])
    connect(config)
    return config


def day_of(config, params, dag_run):
    return resolve_snapshot_date(
        param=params["date"],
        partition_key=dag_run.partition_key,
        data_interval_start=dag_run.data_interval_start,
        logical_date=dag_run.logical_date,
        run_after=dag_run.run_after,
        timezone=config.project.timezone,
    )


@task.sensor(mode="reschedule", poke_interval=POKE_SECONDS)
def wait_until_complete(params=None, dag_run=None):
    config = opened(params)
    return complete(config, day_of(config, params, dag_run))


@task
def extract(params=None, dag_run=None):
    from segmentation import stages

    config = opened(params)
    return stages.extract(config, day_of(config, params, dag_run))


@task
def validate(extracted, params=None):
    from segmentation import stages

    return stages.validate(opened(params), extracted["read"])


@task
def build_features(extracted, params=None):
    from segmentation import stages

    return stages.build_features(load(params["config"]), parse_day(extracted["date"]))


@task
def cluster(extracted, features, params=None):
    from segmentation import stages

    return stages.cluster(load(params["config"]), parse_day(extracted["date"]), features["derivation"])


@task
def compare_segments(extracted, features, params=None):
    from segmentation import stages

    return stages.compare_segments(load(params["config"]), parse_day(extracted["date"]), features["derivation"])


@task(outlets=[SEGMENTS])
def publish(extracted, features, params=None, outlet_events=None):
    from segmentation import stages

    day = stages.publish(load(params["config"]), parse_day(extracted["date"]), features["derivation"])
    told = ("date", "snapshot_id", "users", "segments", "share_moved", "outcome")
    outlet_events[SEGMENTS].extra = {**{name: day[name] for name in told}, "config": params["config"]}
    return day


@task.branch
def ask(extracted, params=None, dag_run=None, ti=None):
    from segmentation import stages

    if dag_run.run_type == "backfill":
        return None
    proposal = stages.proposal(load(params["config"]), parse_day(extracted["date"]))
    if proposal is None:
        return None
    ti.xcom_push("question", proposal["question"])
    ti.xcom_push("fit", proposal["fit"])
    return "approve_segments"


@task
def adopt_segments(params=None, ti=None):
    from segmentation.store.adoptions import adopt
    from segmentation.store.store import open_store

    answer = ti.xcom_pull("approve_segments") or {}
    user = answer.get("responded_by_user") or {}
    fit = ti.xcom_pull("ask", key="fit")
    adoption = adopt(open_store(load(params["config"])), fit, None, user.get("name") or "unknown")
    return {"fit": adoption.fit, "from_date": adoption.from_date.isoformat()}


def misconfigured(dag_id: str, error: Exception) -> None:
    """A DAG that shows what is wrong with the configuration of one shop of several: the others go on."""

    @task
    def extract():
        raise AirflowFailException(str(error))

    with DAG(
        dag_id, schedule=None, doc_md=f"**The configuration is wrong.** {error}", tags=["segmentation", "misconfigured"]
    ):
        extract()


shops = projects()
for dag_id, path in shops.items():
    try:
        daily(dag_id, path)
    except Exception as error:  # whatever is wrong with one shop's file, the others' DAGs are there
        if len(shops) == 1:
            raise
        misconfigured(dag_id, error)
