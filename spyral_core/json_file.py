"""Small JSON files that a user writes, gas targets and particle gates: read, or refused in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from spyral_core.errors import ConfigurationError

Thing = TypeVar("Thing")


def read_json(kind: str, path: str | Path, parse: Callable[[Any], Thing], expected: str) -> Thing:
    """What `parse` makes of a file's values.

    Raises ConfigurationError naming the kind of file, the file and the fault: it cannot be read, is not JSON, or
    `parse` raised ValueError, TypeError, KeyError or OverflowError; then it also says what is `expected`.
    """
    try:
        values = json.loads(Path(path).read_text())
    except OSError as error:
        raise ConfigurationError(f"{kind} {path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{kind} {path}: is not JSON: {error}") from None
    try:
        return parse(values)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        what = f"lacks the key {error}" if isinstance(error, KeyError) else str(error)
        raise ConfigurationError(f"{kind} {path}: {what}; expected {expected}") from None
