"""What the DAG files share: the projects' configurations, the asset, and which failures are tried again.

Nothing here or beside it may import what takes seconds (Great Expectations, scikit-learn, pandas): these files are parsed
again and again. The stages are imported inside the tasks.
"""

import hashlib
import logging
import os
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from airflow.sdk import Asset, ExceptionRetryPolicy, Param, RetryAction, RetryRule
from airflow.sdk.exceptions import AirflowFailException

from segmentation.config import Config, connection_variable
from segmentation.errors import ConfigError, DataContractError, NotYetError, SourceError, StoreError

log = logging.getLogger(__name__)

DAILY = "user_segmentation"
SEGMENTS = Asset("user_segments")

# Anything else, such as a worker that was killed, is tried again as well: every task can be run again alone.
RETRIES = {
    "retries": 4,
    "retry_delay": timedelta(seconds=15),
    "retry_exponential_backoff": 2.0,
    "retry_policy": ExceptionRetryPolicy(
        rules=[
            RetryRule(DataContractError, RetryAction.FAIL, reason="The same data would break its contract again."),
            RetryRule(ConfigError, RetryAction.FAIL, reason="The configuration or the date has to be changed first."),
            RetryRule(
                [OSError, StoreError, SourceError],
                RetryAction.RETRY,
                reason="Reading or writing failed; that may pass.",
            ),
            RetryRule(NotYetError, RetryAction.RETRY, reason="The rest of the day's rows may still come."),
        ]
    ),
}


def projects() -> dict[str, str]:
    """The configurations that SEGMENTATION_CONFIG names: id of the DAG → path. A folder has one for each of its files.

    Raises ConfigError, which Airflow shows as an import error.
    """
    named = os.environ.get("SEGMENTATION_CONFIG", "")
    if not named:
        raise ConfigError("set the environment variable SEGMENTATION_CONFIG to the path of a segmentation.toml")
    if not Path(named).is_dir():
        return {DAILY: named}
    found = {f"{DAILY}_{_id(path.stem)}": str(path) for path in sorted(Path(named).glob("*.toml"))}
    if not found:
        raise ConfigError(f"the folder {named} of SEGMENTATION_CONFIG has no configuration: no file *.toml")
    return found


def _id(name: str) -> str:
    """A file's name as a part of an id, for which Airflow takes ASCII letters, digits, _, . and - only."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "_", name)
    return plain if plain == name else f"{plain}_{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def config_param(path: str | None) -> Param:
    return Param(
        path,
        type="string" if path else ["null", "string"],
        minLength=1,
        title="Configuration",
        description="Path of the segmentation.toml, as the workers see it. "
        + ("Default: that of this DAG." if path else "Empty: all of the folder SEGMENTATION_CONFIG."),
    )


def connect(config: Config) -> None:
    """Let this process's stages find the databases of the configuration: Airflow's connections of these names."""
    from airflow.sdk import BaseHook

    for source in config.sources.tables().values():
        if source.connection and not os.environ.get(variable := connection_variable(source.connection)):
            os.environ[variable] = BaseHook.get_connection(source.connection).get_uri()


def complete(config: Config, day: date) -> bool:
    """Whether all rows of the day have come. The log says what is still to come.

    Raises AirflowFailException when they have not by the deadline of the configuration.
    """
    from segmentation import stages

    waiting = stages.waiting_for(config, day)
    if not waiting:
        return True
    deadline = config.deadline(day)
    if datetime.now(UTC) >= deadline:
        raise AirflowFailException(f"{day} was not complete by {deadline:%Y-%m-%d %H:%M %Z}, the deadline: {waiting}")
    log.info("%s is not complete yet: %s; asked again until %s", day, waiting, deadline)
    return False
