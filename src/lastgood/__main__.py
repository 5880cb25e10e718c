"""``lastgood`` and ``python -m lastgood``."""

from __future__ import annotations

import sys


def main() -> None:
    """The command line; everything else is imported when it is needed."""
    from lastgood.interfaces.cli.app import main as run

    sys.exit(run())


if __name__ == "__main__":
    main()
