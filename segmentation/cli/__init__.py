"""The command line. `script` is the console script `segmentation`: `main` in a process of its own."""

import atexit
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

INTERRUPTED = 130


def script() -> NoReturn:
    """Run `main` and end the process, without taking the engines' threads down.

    Arrow's pool, taken down while one of its threads is still at its last task, now and then ends the process by SIGABRT after
    all work is done (apache/arrow issues 34314 and 50482): a reading command in a hundred.
    """
    code: str | int | None = 0
    try:
        main()
    except SystemExit as stop:
        code = stop.code
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:  # whoever read it has gone
        code = 1
    os._exit(code if isinstance(code, int) else int(code is not None))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit: 0 done, 1 failed, 2 bad usage or configuration, 130 interrupted.

    Results go to stdout, all else to stderr.
    """
    try:
        _run(arguments)
    except (KeyboardInterrupt, SystemExit) as stop:  # Typer makes one of the other
        if isinstance(stop, SystemExit) and stop.code != INTERRUPTED:
            raise
        what = "what is published and accepted is kept; run the same command again to go on"
        print(f"segmentation: interrupted: {what}", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None


def _run(arguments: Sequence[str] | None) -> None:
    from segmentation.cli import reading, running, serving, simulating, starting  # noqa: F401  (they add their commands to the application)
    from segmentation.cli.app import app
    from segmentation.errors import SegmentationError

    try:
        app(args=arguments, prog_name="segmentation")
    except SegmentationError as error:
        print(f"segmentation: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"segmentation: {where}{error.strerror or error}", file=sys.stderr)
        raise SystemExit(1) from None
    except Exception as error:
        if not type(error).__module__.startswith("pyarrow"):
            raise
        print(f"segmentation: a file of the store is damaged ({error}); run `segmentation verify`", file=sys.stderr)
        raise SystemExit(1) from None
