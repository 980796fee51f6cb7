"""Fetches Multi30k (Elliott et al. 2016): 31,014 captions in several languages, as gzipped UTF-8, one sentence a line.

    python recipes/translate/prepare.py data/multi30k
    python -m seq2seq.train recipe=translate data=multi30k data.root=data/multi30k

A download that was cut is taken up where it stopped; every file is checked by the sha256 of what is in it, and only
then takes its name; files that are already right are left alone. Files that you have elsewhere are taken with
``--from FOLDER``. The captions are for non-commercial research and education (see the dataset's README).
"""

from __future__ import annotations

import argparse
import gzip
import sys
from pathlib import Path

from seq2seq.data.fetch import as_script
from seq2seq.data.published import lay_down, parser
from seq2seq.errors import DataError

COMMIT = "a3d2e0d26b56f3846f66a952536ffed4e401d05a"
BASE_URL = f"https://raw.githubusercontent.com/multi30k/dataset/{COMMIT}/data/task1/raw"
LANGUAGES = ("de", "en", "fr", "cs")
SPLITS = ("train", "val", "test_2016_flickr")
CHECKSUMS = {
    "train.de.gz": "2c2b73fd2b548fbcde3a875e0a78d6ee94d498bfdee6bd3eae3945779e9ddf72",
    "train.en.gz": "460a15fbd157e34a7a9957ee388c1ca247fe47af3ef25fb50442af6c274e0fc6",
    "val.de.gz": "660e09eb7e1da2f856ea13ee5ad3cf6d36b3d5b0b733c857e94c5747a3dfc660",
    "val.en.gz": "1f2a23d992769b5b3d209b0a10dd0b77c08cceb1f20dfb97ed0aafa49d107227",
    "test_2016_flickr.de.gz": "4be6b5b3236b79c25475c6bb829800a7ce559e9ba7a1f6c2394fe4d40be46d16",
    "test_2016_flickr.en.gz": "399a4382932c1aadd3ceb9bef1008d388a64c76d4ae4e9d4728c6f4301cac182",
}


def main(arguments: list[str] | None = None) -> int:
    """Runs the script; returns its exit status."""
    command = parser("Multi30k", base_url=BASE_URL, root="data/multi30k")
    command.add_argument(
        "--languages", nargs="+", default=["de", "en"], choices=LANGUAGES, metavar="LANGUAGE", help="of de en fr cs"
    )
    command.add_argument(
        "--allow-unverified", action="store_true", help="take languages whose sha256 is not known here (fr, cs)"
    )
    options = command.parse_args(arguments)
    return as_script(lambda: prepare(options))


def prepare(options: argparse.Namespace) -> None:
    """Lays down every file that is not there yet."""
    names = [f"{split}.{language}.gz" for split in SPLITS for language in options.languages]
    unknown = [name for name in names if name not in CHECKSUMS]
    if unknown and not options.allow_unverified:
        raise DataError(
            f"no sha256 is known for {', '.join(unknown)}; --allow-unverified takes them, checked only to be whole"
        )
    lay_down({name: CHECKSUMS.get(name) for name in names}, options)
    check_lines(options.root, options.languages)
    src, tgt = options.languages[0], options.languages[-1]
    chosen = "" if (src, tgt) == ("de", "en") else f" data.src={src} data.tgt={tgt}"
    print(f"ready: python -m seq2seq.train recipe=translate data=multi30k data.root={options.root}{chosen}")


def check_lines(root: Path, languages: list[str]) -> None:
    """Line n of every language is a caption of the same picture, so the counts agree."""
    for split in SPLITS:
        counts = {}
        for language in languages:
            with gzip.open(root / f"{split}.{language}.gz") as file:
                counts[language] = sum(1 for _ in file)
        if len(set(counts.values())) > 1:
            told = ", ".join(f"{count:,} of {language}" for language, count in counts.items())
            raise DataError(f"{root}: {split} has different numbers of lines ({told}); remove the wrong one")


if __name__ == "__main__":
    sys.exit(main())
