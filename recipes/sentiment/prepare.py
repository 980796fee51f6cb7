"""Fetches SST-2 (Socher et al. 2013): sentences and phrases of film reviews, each positive (1) or negative (0).

    python recipes/sentiment/prepare.py data/sst2
    python -m seq2seq.train recipe=sentiment data=sst2 data.root=data/sst2

67,349 phrases to train on, 872 sentences to choose by and the 1,821 sentences of the standard test, with their labels.
A download that was cut is taken up where it stopped; every file is checked by the sha256 of what is in it, and only
then takes its name. Files that you have elsewhere are taken with ``--from FOLDER``.
"""

from __future__ import annotations

import sys

from seq2seq.data.published import run

COMMIT = "ce2ab1719d32182e6233b24b2de246bd32814fde"
BASE_URL = f"https://raw.githubusercontent.com/awake020/pytorch_Bert_sst2/{COMMIT}/SST-2"
FILES = {
    "train.tsv": "e981ceb4fe6c9acd1c79851d0d091b9e78103f1f2a399ca83dda27915d41c56c",
    "dev.tsv": "84207e6be5873fb18db798cc6faec86871f5a426554650ff64a1c34e87665f6f",
    "test.tsv": "fcd46f967b7b8efd8b5398481dadf873886298d092195167af907fd532e81e1c",
}


def main(arguments: list[str] | None = None) -> int:
    """Runs the script; returns its exit status."""
    ready = "python -m seq2seq.train recipe=sentiment data=sst2 data.root="
    return run(FILES, base_url=BASE_URL, root="data/sst2", what="SST-2", ready=ready, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
