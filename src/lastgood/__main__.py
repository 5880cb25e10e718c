"""``lastgood`` and ``python -m lastgood``."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """The command line; everything else is imported when it is needed."""
    gc.set_threshold(
        20_000, 20, 20
    )  # what is imported is no garbage: looking for some takes a tenth of a short command
    from lastgood.interfaces.cli.app import main as run

    sys.exit(run())


if __name__ == "__main__":
    main()
