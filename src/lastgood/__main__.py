"""``lastgood`` and ``python -m lastgood``."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """The command line; everything else is imported when it is needed."""
    # What is imported is no garbage: looking for some takes a tenth of a short command.
    gc.set_threshold(20_000, 20, 20)
    try:
        from lastgood.interfaces.cli.app import main as run

        sys.exit(run())
    except KeyboardInterrupt:  # before there was anybody to hear it: nothing had begun
        sys.exit(130)


if __name__ == "__main__":
    main()
