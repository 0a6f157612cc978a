"""What the checks say, line by line."""

from dataclasses import dataclass
from datetime import date

from segmentation.errors import ConfigError

OK, WARNING, FAULT, SKIPPED = "ok", "warning", "fault", "skipped"


@dataclass(frozen=True)
class Line:
    """The outcome of one check, in words. of_config: of a fault, whether it is the configuration's."""

    check: str
    status: str
    message: str
    of_config: bool = False


@dataclass(frozen=True)
class Report:
    """All checks in their order, and the day that was tried."""

    lines: tuple[Line, ...]
    day: date | None

    @property
    def exit_code(self) -> int:
        """0 without a fault, 2 with one of the configuration, else 1."""
        faults = [line for line in self.lines if line.status == FAULT]
        return 0 if not faults else 2 if any(line.of_config for line in faults) else 1


def fault_lines(name: str, error: Exception) -> list[Line]:
    """The lines of an error's message: the configuration tells all of its faults at once."""
    of_config = isinstance(error, ConfigError)
    lines = str(error).splitlines() if of_config and name == "configuration" else [" ".join(str(error).split())]
    return [Line(name, FAULT, line, of_config) for line in lines if line.strip()]
