"""What the DAG files share: the project's configuration, the asset, and which failures are tried again.

Nothing here or beside it may import what takes seconds (Great Expectations, scikit-learn, pandas): these files are parsed
again and again. The stages are imported inside the tasks.
"""

import os
from datetime import timedelta

from airflow.sdk import Asset, ExceptionRetryPolicy, Param, RetryAction, RetryRule

from segmentation.config import Config, load
from segmentation.errors import ConfigError, DataContractError, StoreError

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
            RetryRule([OSError, StoreError], RetryAction.RETRY, reason="Reading or writing failed; that may pass."),
        ]
    ),
}


def project() -> tuple[str, Config]:
    """The path of the project's configuration, and the configuration.

    Raises ConfigError, which Airflow shows as the DAG's import error.
    """
    path = os.environ.get("SEGMENTATION_CONFIG", "")
    if not path:
        raise ConfigError("set the environment variable SEGMENTATION_CONFIG to the path of a segmentation.toml")
    return path, load(path)


def config_param(path: str) -> Param:
    return Param(
        path,
        type="string",
        minLength=1,
        title="Configuration",
        description="Path of the segmentation.toml, as the workers see it. Default: the variable SEGMENTATION_CONFIG.",
    )
