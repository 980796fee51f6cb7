"""Fetches MNIST (LeCun et al. 1998): handwritten digits of 28 x 28 pixels and what they are.

    python recipes/digits/prepare.py data/mnist
    python -m seq2seq.train recipe=digits data=mnist data.root=data/mnist

60,000 pictures to train on and 10,000 to test with, in the four files that they were published in. A download that was
cut is taken up where it stopped; every file is checked by the sha256 of what is in it, and only then takes its name.
Files that you have elsewhere are taken with ``--from FOLDER``.
"""

from __future__ import annotations

import sys

from seq2seq.data.published import run

BASE_URL = "https://ossci-datasets.s3.amazonaws.com/mnist"
FILES = {
    "train-images-idx3-ubyte.gz": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte.gz": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte.gz": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte.gz": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


def main(arguments: list[str] | None = None) -> int:
    """Runs the script; returns its exit status."""
    ready = "python -m seq2seq.train recipe=digits data=mnist data.root="
    return run(FILES, base_url=BASE_URL, root="data/mnist", what="MNIST", ready=ready, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
