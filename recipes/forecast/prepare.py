"""Fetches three series of the Time Series Data Library: air passengers, temperatures and sunspots.

    python recipes/forecast/prepare.py data/series
    python -m seq2seq.train recipe=forecast data=airline data.root=data/series

144 months, 3,650 days and 2,820 months, each with its number. A download that was cut is taken up where it
stopped; every file is checked by the sha256 of what is in it, and only then takes its name. Files that you have
elsewhere are taken with ``--from FOLDER``.
"""

from __future__ import annotations

import sys

from seq2seq.data.published import run

COMMIT = "d20fcb6402ae34e653d4513b00f39257bb37ed7f"
BASE_URL = f"https://raw.githubusercontent.com/jbrownlee/Datasets/{COMMIT}"
FILES = {
    "airline-passengers.csv": "8cb51be753a718d9be5d76d7e238cc224792754676adc21faa59e954b0201621",
    "daily-min-temperatures.csv": "8b9de63ed6789492bf497625e7f9beb96a63d367b4b0a21754006f749fa5e5da",
    "monthly-sunspots.csv": "c4ec8cc57d9f6fb6ecdb3e1f37f25b6f4badd5124c55931052b0cd2fc3bc71f3",
}


def main(arguments: list[str] | None = None) -> int:
    """Runs the script; returns its exit status."""
    ready = "python -m seq2seq.train recipe=forecast data=airline data.root="
    return run(FILES, base_url=BASE_URL, root="data/series", what="three series", ready=ready, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
