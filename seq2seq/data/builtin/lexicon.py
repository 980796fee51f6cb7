"""The nouns, adjectives and verbs of the built-in German-English corpus, and how they inflect."""

from __future__ import annotations

from typing import NamedTuple


class Noun(NamedTuple):
    """A noun, in both languages."""

    gender: str
    """``m``, ``f`` or ``n``"""
    weak: bool
    """Takes -(e)n in the accusative and dative singular: der Junge, den Jungen"""
    singular: str
    plural: str
    english: str
    english_plural: str
    tags: frozenset[str]
    """What kind of thing it is; verbs and adjectives choose by it"""


class Adjective(NamedTuple):
    german: str
    stem: str
    """What takes the endings: teuer, but teure"""
    english: str
    tags: frozenset[str]
    """The kinds of nouns it goes with"""


class English(NamedTuple):
    """An English verb."""

    base: str
    third: str
    past: str
    ing: str
    particle: str
    splits: bool
    """A pronoun stands before the particle: picks up the man, but picks him up"""


class Verb(NamedTuple):
    infinitive: str
    """Without its prefix"""
    prefix: str
    """Separable prefix, or nothing"""
    present: tuple[str, ...]
    """The six persons, without the prefix"""
    participle: str
    auxiliary: str
    """Of the perfect: ``haben`` or ``sein``"""
    english: English
    objects: frozenset[str]
    """Kinds of nouns that it takes as its object; empty where it takes none"""
    flags: frozenset[str]
    """dat (its object is dative), give (has a recipient too), dir (goes into a place), roam (or about in it), living
    (animals do it too), stative (no progressive, no place), still (no place)"""


def rows(table: str) -> list[list[str]]:
    """The cells of a table, a line each; ``_`` stands for a space within a cell."""
    return [[cell.replace("_", " ") for cell in line.split()] for line in table.strip().splitlines()]


def _tags(cell: str) -> frozenset[str]:
    return frozenset() if cell == "-" else frozenset(cell.split(","))


def conjugate(infinitive: str, du: str = "-", er: str = "-") -> tuple[str, ...]:
    """The six persons of the present; ``du`` and ``er`` are given where they are irregular."""
    stem = infinitive.removesuffix("en")
    link = "e" if stem[-1] in "td" else ""
    regular_du = stem + ("t" if stem[-1] in "szß" else link + "st")
    return (
        stem + "e",
        regular_du if du == "-" else du,
        stem + link + "t" if er == "-" else er,
        infinitive,
        stem + link + "t",
        infinitive,
    )


def _third(base: str) -> str:
    if base.endswith(("s", "x", "ch", "sh", "o")):
        return base + "es"
    if base.endswith("y") and base[-2] not in "aeiou":
        return base[:-1] + "ies"
    return base + "s"


def english_verb(cell: str) -> English:
    """Reads ``base/past``, ``base/past/ing``, each with ``+particle`` or, where a pronoun splits it, ``~particle``."""
    splits = "~" in cell
    forms, _, particle = cell.replace("~", "+").partition("+")
    base, past, *rest = forms.split("/")
    ing = rest[0] if rest else (base[:-1] if base.endswith("e") and not base.endswith("ee") else base) + "ing"
    return English(base, _third(base), past, ing, particle, splits)


def _verb(row: list[str]) -> Verb:
    german, du, er, participle, auxiliary, english, objects, flags = row
    prefix, _, infinitive = german.rpartition("·")
    present = conjugate(infinitive, du, er)
    return Verb(infinitive, prefix, present, participle, auxiliary, english_verb(english), _tags(objects), _tags(flags))


def _noun(row: list[str]) -> Noun:
    gender, singular, plural, english, english_plural, tags = row
    return Noun(gender[0], gender.endswith("*"), singular, plural, english, english_plural, _tags(tags))


def _adjective(row: list[str]) -> Adjective:
    german, stem, english, tags = row
    return Adjective(german, german if stem == "-" else stem, english, _tags(tags))


# Gender (* weak), singular, plural, English singular and plural, kinds.
NOUNS = [
    _noun(row)
    for row in rows("""
    m  Mann Männer man men person
    f  Frau Frauen woman women person
    n  Kind Kinder child children person
    m* Junge Jungen boy boys person
    n  Mädchen Mädchen girl girls person
    m  Lehrer Lehrer teacher teachers person
    f  Ärztin Ärztinnen doctor doctors person
    m  Arzt Ärzte doctor doctors person
    m* Nachbar Nachbarn neighbor neighbors person
    m  Freund Freunde friend friends person
    m  Bruder Brüder brother brothers person
    f  Schwester Schwestern sister sisters person
    m  Onkel Onkel uncle uncles person
    f  Tante Tanten aunt aunts person
    m* Student Studenten student students person
    f  Sängerin Sängerinnen singer singers person
    m  Koch Köche cook cooks person
    m  Gast Gäste guest guests person
    f  Königin Königinnen queen queens person
    m  Hund Hunde dog dogs animal
    f  Katze Katzen cat cats animal
    n  Pferd Pferde horse horses animal
    m  Vogel Vögel bird birds animal
    n  Buch Bücher book books thing,read
    m  Brief Briefe letter letters thing,read
    f  Zeitung Zeitungen newspaper newspapers thing,read
    m  Apfel Äpfel apple apples thing,food
    n  Ei Eier egg eggs thing,food
    m  Kuchen Kuchen cake cakes thing,food
    f  Orange Orangen orange oranges thing,food
    m  Hut Hüte hat hats thing,wear
    m  Mantel Mäntel coat coats thing,wear
    n  Hemd Hemden shirt shirts thing,wear
    f  Jacke Jacken jacket jackets thing,wear
    m  Koffer Koffer suitcase suitcases thing,open
    f  Tasche Taschen bag bags thing,open
    f  Tür Türen door doors open
    n  Fenster Fenster window windows open
    f  Lampe Lampen lamp lamps thing,device
    m  Computer Computer computer computers thing,device
    n  Radio Radios radio radios thing,device
    m  Schlüssel Schlüssel key keys thing
    m  Regenschirm Regenschirme umbrella umbrellas thing
    n  Messer Messer knife knives thing
    f  Blume Blumen flower flowers thing
    n  Bild Bilder picture pictures thing
    m  Garten Gärten garden gardens place
    m  Park Parks park parks place
    m  Wald Wälder forest forests place
    f  Stadt Städte city cities place
    n  Dorf Dörfer village villages place
    f  Küche Küchen kitchen kitchens place
    n  Büro Büros office offices place
    n  Haus Häuser house houses place,building
    n  Hotel Hotels hotel hotels place,building
    f  Schule Schulen school schools place,building
    m  Bahnhof Bahnhöfe station stations place,building
    n  Museum Museen museum museums place,building
""")
]
NAMES = [Noun(gender, False, name, "", name, "", frozenset({"person", "name"}))
         for gender, name in (("f", "Anna"), ("f", "Maria"), ("m", "Paul"), ("m", "Peter"))]  # fmt: skip

ADJECTIVES = [
    _adjective(row)
    for row in rows("""
    alt - old person,animal,thing,place,open
    klein - small animal,thing,place,open
    klein - short person
    groß - big animal,thing,place,open
    groß - tall person
    schön - beautiful animal,thing,place
    jung - young person,animal
    nett - nice person
    reich - rich person
    arm - poor person
    klug - clever person,animal
    müde müd tired person,animal
    krank - sick person,animal
    hungrig - hungry person,animal
    traurig - sad person
    glücklich - happy person
    neu - new thing,place,open
    rot - red thing,open
    blau - blue thing,open
    grün - green thing,open
    teuer teur expensive thing
    billig - cheap thing
    schwer - heavy thing
    ruhig - quiet place
""")
]

# Infinitive, du and er where irregular, participle, auxiliary, English, objects, flags.
VERBS = [
    _verb(row)
    for row in rows("""
    kaufen - - gekauft haben buy/bought thing -
    verkaufen - - verkauft haben sell/sold thing -
    suchen - - gesucht haben look/looked+for thing,person,animal living
    finden - - gefunden haben find/found thing,person,animal living
    verlieren - - verloren haben lose/lost thing -
    vergessen vergisst vergisst vergessen haben forget/forgot/forgetting thing -
    malen - - gemalt haben paint/painted thing,animal,person -
    putzen - - geputzt haben clean/cleaned device,open -
    reparieren - - repariert haben repair/repaired device,open -
    tragen trägst trägt getragen haben wear/wore wear -
    essen isst isst gegessen haben eat/ate food living
    lesen liest liest gelesen haben read/read read -
    ein·packen - - eingepackt haben pack/packed thing -
    weg·werfen wirfst wirft weggeworfen haben throw/threw~away thing -
    auf·heben - - aufgehoben haben pick/picked~up thing -
    zurück·geben gibst gibt zurückgegeben haben give/gave~back thing -
    aus·leihen - - ausgeliehen haben borrow/borrowed thing -
    auf·machen - - aufgemacht haben open/opened open -
    zu·machen - - zugemacht haben close/closed open -
    an·machen - - angemacht haben turn/turned~on device -
    aus·machen - - ausgemacht haben turn/turned~off device -
    an·rufen - - angerufen haben call/called person -
    ein·laden lädst lädt eingeladen haben invite/invited person -
    ab·holen - - abgeholt haben pick/picked~up person -
    an·sehen siehst sieht angesehen haben look/looked+at person,animal,thing living
    aus·lachen - - ausgelacht haben laugh/laughed+at person -
    besuchen - - besucht haben visit/visited person -
    treffen triffst trifft getroffen haben meet/met person -
    fragen - - gefragt haben ask/asked person -
    kennen - - gekannt haben know/knew person stative
    sehen siehst sieht gesehen haben see/saw person,animal,thing stative,living
    hören - - gehört haben hear/heard person,animal stative,living
    helfen hilfst hilft geholfen haben help/helped person dat
    danken - - gedankt haben thank/thanked person dat
    antworten - - geantwortet haben answer/answered person dat
    folgen - - gefolgt sein follow/followed person,animal dat,living
    vertrauen - - vertraut haben trust/trusted person dat,stative
    zu·hören - - zugehört haben listen/listened+to person dat
    nach·laufen läufst läuft nachgelaufen sein run/ran/running+after person,animal dat,living
    geben gibst gibt gegeben haben give/gave thing give
    zeigen - - gezeigt haben show/showed thing give
    schicken - - geschickt haben send/sent thing give
    bringen - - gebracht haben bring/brought thing give
    leihen - - geliehen haben lend/lent thing give
    schlafen schläfst schläft geschlafen haben sleep/slept - living
    arbeiten - - gearbeitet haben work/worked - -
    warten - - gewartet haben wait/waited - living
    tanzen - - getanzt haben dance/danced - -
    singen - - gesungen haben sing/sang - -
    spielen - - gespielt haben play/played - living
    lachen - - gelacht haben laugh/laughed - -
    auf·stehen - - aufgestanden sein get/got/getting+up - still
    ein·schlafen schläfst schläft eingeschlafen sein fall/fell+asleep - living
    auf·wachen - - aufgewacht sein wake/woke+up - living
    an·kommen - - angekommen sein arrive/arrived - -
    zurück·kommen - - zurückgekommen sein come/came+back - living,still
    gehen - - gegangen sein go/went - living,dir
    laufen läufst läuft gelaufen sein run/ran/running - living,dir,roam
    kommen - - gekommen sein come/came - living,dir
    fahren fährst fährt gefahren sein drive/drove - dir,roam
    zurück·gehen - - zurückgegangen sein go/went+back - living,dir
""")
]
VERBS_OF_SAYING = [
    _verb(row)
    for row in rows("""
    glauben - - geglaubt haben believe/believed - -
    sagen - - gesagt haben say/said - -
    hoffen - - gehofft haben hope/hoped - -
""")
]
WISSEN = Verb("wissen", "", ("weiß", "weißt", "weiß", "wissen", "wisst", "wissen"), "gewusst", "haben",
              english_verb("know/knew"), frozenset(), frozenset({"stative"}))  # fmt: skip
