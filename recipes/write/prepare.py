"""Fetches tinyshakespeare (Karpathy 2015): 1,115,394 characters of plays in one file, public-domain text.

    python recipes/write/prepare.py data/tinyshakespeare
    python -m seq2seq.train recipe=write data=tinyshakespeare data.root=data/tinyshakespeare

A download that was cut is taken up where it stopped; the file is checked by its sha256 and only then takes its name.
One that you have elsewhere is taken with ``--from FOLDER``.
"""

from __future__ import annotations

import sys

from seq2seq.data.published import run

COMMIT = "6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e"
BASE_URL = f"https://raw.githubusercontent.com/karpathy/char-rnn/{COMMIT}/data/tinyshakespeare"
FILES = {"input.txt": "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"}


def main(arguments: list[str] | None = None) -> int:
    """Runs the script; returns its exit status."""
    root, ready = "data/tinyshakespeare", "python -m seq2seq.train recipe=write data=tinyshakespeare data.root="
    what = "tinyshakespeare"
    return run(FILES, base_url=BASE_URL, root=root, what=what, ready=ready, arguments=arguments, packed=False)


if __name__ == "__main__":
    sys.exit(main())
