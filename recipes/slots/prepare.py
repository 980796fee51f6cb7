"""Fetches ATIS (Hemphill et al. 1990), as Goo et al. 2018 split it: questions about flights, with tags and intents.

    python recipes/slots/prepare.py data/atis
    python -m seq2seq.train recipe=slots data=atis data.root=data/atis

4,478 questions to train on, 500 to choose by and 893 to test, words in small letters. A download that was cut is taken
up where it stopped; every file is checked by the sha256 of what is in it, and only then takes its name. Files that you
have elsewhere are taken with ``--from FOLDER``.
"""

from __future__ import annotations

import sys

from seq2seq.data.published import run

COMMIT = "61f0307c729b1fad479ef1de94aa5ac5dee601b0"
BASE_URL = f"https://raw.githubusercontent.com/MiuLab/SlotGated-SLU/{COMMIT}/data/atis"
FILES = {
    "train/seq.in": "3a670980841b21ab39088b2595efc17d487cdc45769c075a3e5f9458bba28c7f",
    "train/seq.out": "14c7131bd66562f797dbd7189bc7358f0cf354c6afb0785a9ab973c35b58f34c",
    "train/label": "d0a771547665eecbdf9f96ea015ef07d1f6ee9f063e861020dafabb3c2a04377",
    "valid/seq.in": "c7435b96e7948393608c34819628e863c5338f11ca68e8f896d2cc041d8e17f8",
    "valid/seq.out": "83ccff3e36f83a993f8e5b5b82adf3256076f234abda4d784051381d7ac76922",
    "valid/label": "06957cfe6fdffac84f8280bc3a1f8ca85c85631b363817aa4543aac611f8addf",
    "test/seq.in": "4b2119fc59c37f9398c6605db435d4f467505009e6ee3e5af04fed09f39dc397",
    "test/seq.out": "a4690d6bceadc06876d1ff99bc401744aa981cb321e598ae12a3859d7be53254",
    "test/label": "ce4bfe6590d9498e1078f30b4137d3e8b3e94277b444b26360c0bf2e9e282761",
}


def main(arguments: list[str] | None = None) -> int:
    """Runs the script; returns its exit status."""
    ready = "python -m seq2seq.train recipe=slots data=atis data.root="
    return run(FILES, base_url=BASE_URL, root="data/atis", what="ATIS", ready=ready, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
