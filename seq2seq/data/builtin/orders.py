"""Travel orders that a grammar writes, with tags and a label: the same city may be left, reached or passed."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from seq2seq.data.builtin.drawn import check, distinct, fingerprint, percentile
from seq2seq.types import Example

CITIES = (
    *("aberdeen", "bath", "bristol", "cardiff", "derby", "dundee", "durham", "exeter", "glasgow", "hull", "leeds"),
    *("lincoln", "oxford", "perth", "reading", "york", "new york", "san jose", "stoke on trent", "milton keynes"),
    *("saint andrews", "newcastle upon tyne", "port talbot", "bury saint edmunds"),
)
DAYS = ("today", "tomorrow", "on monday", "on tuesday", "on friday", "next sunday", "on the third of june", "in may")
TIMES = ("at noon", "at seven", "before half past nine", "after midnight", "around ten", "by six in the evening")
WISHES = {
    "book": ("i want to <way>", "i would like to <way> please", "get me a ticket to <way>", "i need to <way>"),
    "price": ("how much does it cost to <way>", "what would i pay to <way>", "i want to know what it costs to <way>"),
    "times": ("when can i <way>", "how long does it take to <way>", "i want to know which trains <way>"),
    "cancel": ("i do not want to <way> any more", "i need not <way> after all", "take back my ticket to <way>"),
}
WAYS = (
    "go from <from> to <to> <stop> <depart>",
    "go to <to> <stop> from <from> <depart>",
    "leave <from> <depart> and arrive in <to> <arrive> <stop>",
    "arrive in <to> <arrive> and leave <from> <depart> <stop>",
    "be in <to> <arrive> having left <from> <depart>",
    "depart from <from> <depart> for <to> <stop>",
    "reach <to> <arrive> from <from> <stop>",
    "start in <from> <depart> and end up in <to> <arrive>",
    "travel out of <from> <depart> into <to> <arrive> <stop>",
)
STOPS = ("via", "with a stop in", "changing trains in")


class Orders:
    """Reads orders with a tag for each word (``B-from``, ``I-from``, ``B-arrive_time``, …), and a label behind a tab.

    A city is ``from``, ``to`` or ``via``, and a day or a time belongs to the departure or the arrival, as the words
    around it say. Of the pairs of city and role, one in eight occurs in the other parts, but never in training.

    Args:
        part: ``train``, ``valid`` or ``test``.
        size: number of orders, all distinct.
        seed: another seed draws other orders.

    Raises:
        ConfigError: unknown part or negative size; when reading, more orders than the grammar has.
    """

    def __init__(self, *, part: str, size: int, seed: int) -> None:
        check("orders", part=part, size=size)
        self.part, self.size, self.seed = part, size, seed

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[Example]:
        return distinct("orders", order, part=self.part, size=self.size, seed=self.seed)

    def fingerprint(self) -> str:
        """A hash of the settings and of the grammar."""
        return fingerprint([self.part, self.size, self.seed], __file__)


def order(random: Random, training: bool) -> tuple[str, str] | None:
    """Draws an order, and its tags and label."""
    label = random.choice(list(WISHES))
    roles = dict(zip(("from", "to", "via"), random.sample(CITIES, 3)))
    if training and any(percentile(f"{role} {city}") % 8 == 0 for role, city in roles.items()):
        return None
    filled: dict[str, list[tuple[str, str]]] = {f"<{role}>": [(role, city)] for role, city in roles.items()}
    filled["<stop>"] = random.choice(([], [("", random.choice(STOPS)), ("via", roles["via"])]))
    for end in ("depart", "arrive"):
        moments = [(f"{end}_day", random.choice(DAYS)), (f"{end}_time", random.choice(TIMES))]
        filled[f"<{end}>"] = random.choice(([], moments[:1], moments[1:], moments))
    words, tags = [], []
    for token in random.choice(WISHES[label]).replace("<way>", random.choice(WAYS)).split(" "):
        for role, phrase in filled.get(token, [("", token)]):
            for number, word in enumerate(phrase.split(" ")):
                words.append(word)
                tags.append(f"{'I' if number else 'B'}-{role}" if role else "O")
    return " ".join(words), f"{' '.join(tags)}\t{label}"
