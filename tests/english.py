"""Rules of the project's prose, and a search for what breaks them: ``python -m tests.english [PATH ...]``.

``CONTRIBUTING.md`` explains them. ``test_english.py`` applies them to every folder.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
# The prose of these is searched; generated files and caches are not.
PYTHON = ("django_sendcloud", "tests", "example_project", "noxfile.py", "docs/conf.py")
PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "docs")
SCRIPTS = ("Makefile", ".ci/run", ".github/workflows", "pyproject.toml", ".pre-commit-config.yaml", ".readthedocs.yaml")
# Names and texts of these are read by others than the tests' authors. The sandbox has texts of Sendcloud's.
NAMED = ("django_sendcloud", "example_project")
QUOTING = "django_sendcloud/sandbox"
SKIPPED = {"__pycache__", "migrations", ".data", "node_modules"}

WORDS_IN_A_TEST_NAME = 7


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


CLAUSES = _words(
    """
    what whatever when whenever where wherever who whoever whom whose which whichever why how however
    that those these nobody somebody anybody
    """
)
# A message may ask ("What to do") and point ("These parcels …"), but its sentences have an actor.
NOT_IN_A_MESSAGE = _words("whatever who whoever whom whose that those nobody somebody anybody")
# A test name begins with its subject, so with none of these either.
NOT_A_SUBJECT = CLAUSES | _words(
    """
    a an the this it its one of in on at by to for from with without within and but or nor so if as than then there
    he she they we i you all both each every any some no not nothing everything something only also even
    after before because while until unless though although is are was were be been has have had does do did
    """
)

RETIRED = {
    r"tell|tells|telling|told": "push, report or say",
    r"nobody|somebody|anybody|whoever|whomever": "the actor's name: worker, request, operator, Sendcloud",
    r"he|him|his|himself|she|her|hers|herself": "they",
    r"mend|mends|mended|mending|cure|cures|cured|curing": "fix",
    r"anew": "again",
    r"so many": "the number, or a noun for what is counted",
    r"by itself|by themselves": "automatically",
    r"at once": "immediately, or concurrently",
    r"bell|bells|doorbell|doorbells|ring|rings|ringing|rang|rung": "notify",
    r"wake|wakes|woke|woken|waking|wake-up|wake-ups|wakes-up": "notify",
    r"news": "update",
    r"pump|pumps|pumped|pumping": "worker, or push_due()",
    r"undead": "undeleted",
    r"heal|heals|healed|healing": "pass, or retry automatically",
    r"(?:an?|each|every|one|two|the next|the last|another|scheduled|long) looks?(?!-up)": "recheck, check or confirmation",
    r"bury|buries|buried|burying": "dead-letter",
    r"patience|patiently": "retry",
    r"in hand": "claimed",
    r"of meanwhile": "since then",
    r"belongs? into": "belong in",
    r"(?:take|takes|took|taken|taking) down": "record",
    r"(?:catch|catches|caught|catching) up": "poll",
    r"(?:give|gives|gave|given|giving) up on": "dead-letter",
    r"Sendcloud refus(?:es|ed|e)": "Sendcloud rejects",
    r"given[ -]up": "dead-lettered, or stopped",
    r"heed|heeds|heeded|heeding": "count, or follow",
    r"(?:hear|hears|heard|hearing) of|unheard": "record, receive or call",
    r"rests|rested|resting": "wait",
    r"correction|corrections|corrects|corrected|correcting": "fix",
}

# In names, which have no articles: ``next_look`` has a noun, ``look_up`` a verb.
RETIRED_IN_NAMES = {r"looks?(?! up)": "recheck, check or confirmation"}

# Nearly all prose has none of them, so one search saves the single ones.
ANY_RETIRED = re.compile(rf"\b(?:{'|'.join(RETIRED)})\b", re.IGNORECASE)

# First words of function docstrings: a list, because no rule separates the verb "record" from the noun.
VERBS = _words(
    """
    abort accept acquire activate adapt add adjust advance affirm aggregate alias align allocate allow alter amend annotate
    answer append apply approve archive arrange ask assemble assert assign associate assume attach attempt authenticate
    authorize autodiscover await
    back backfill balance begin benchmark bind bisect block book boot bound break bring broadcast browse bucket build bundle
    cache calculate call cancel cap capture cast categorize change charge check choose claim clamp classify clean clear click
    clone close coalesce code coerce collapse collect combine commit compare compile complain complete compose compress
    compute concatenate confirm connect consider construct consume contact continue convert copy correct count cover crash
    create credit customize cut
    date deactivate dead-letter debounce decide declare decode decorate decrease decrypt defer define defuse delay delegate
    delete deliver demand deny derive describe deserialize detach detect determine digest disable discard disconnect discover
    dismiss dispatch display distribute divide do document double download drain draw drip drive drop dump duplicate
    earn edit eliminate emit empty enable encode encrypt end enforce enqueue enrich ensure enter enumerate erase escape
    establish estimate evaluate examine exchange exclude execute exercise exhaust exit expand expect expire explain export
    expose express extend extract
    fail fall feed fetch fill filter find finish fire fix flag flush fold follow force forget fork format forward freeze
    gather generate get give go grant group guard guess guarantee
    halt halve handle hang hash have hide hint hold
    identify ignore import include increase increment index infer inform inject insert inspect install instantiate
    interrupt introduce invalidate invoke isolate issue iterate
    join judge jump
    keep kill know
    label launch lay lead learn leave lend let limit link list listen live load localize locate lock log look loop lose lower
    make manage map mark mask match measure meet merge migrate mirror mix mock modify monitor mount move multiply mutate
    name narrow normalize note notify number
    obey observe obtain offer omit open operate order overwrite own
    pack paginate parse partition pass patch pause perform persist pick pin place plan play point poll pool pop populate post
    prefetch prefix prepare prepend present press preserve preview prevent print process produce prohibit promote prompt
    propagate protect prove provide prune publish pull purge push put
    quarantine query queue quote
    raise read rebuild receive recognize recompute reconcile reconnect record recover redact redirect reduce refer refetch
    refresh refuse register reject relay release reload remember remove rename render reopen repair repeat replace replay
    reply report represent reproduce request requeue require reread rescan resend reserve reset resolve respond restart
    restore restrict resume retrieve retry return reuse reveal revert review revoke rewrite roll rotate round route run
    sample sanitize save say scan schedule score scramble screen scroll seal search select send separate serialize serve set
    settle shadow share ship shorten show shrink shut sign signal simulate skip sleep slice slow sort spawn speak spell split
    spread stamp stand start state stay step stop store stream stretch strip stub submit subscribe substitute subtract
    succeed suggest sum summarize supply support suppress suspend swap sweep switch sync synchronize
    tag take tear terminate test throttle throw tick time toggle trace track trade transfer transform translate transmit
    traverse treat trigger trim truncate trust try turn type
    uncover undo unfold unfreeze unify uninstall unlock unpack unregister unsubscribe untangle update upgrade upload upsert
    use
    validate vary verify view visit vote
    wait walk warn watch withdraw withhold work wrap write
    yield zip
    """
)  # fmt: skip


class Finding(NamedTuple):
    """One place that breaks a rule."""

    path: str
    line: int
    rule: str
    text: str


def python_files() -> Iterator[Path]:
    """Yield the project's own Python files."""
    for name in PYTHON:
        yield from _below(ROOT / name, ".py")


def pages() -> Iterator[Path]:
    """Yield the pages a person reads."""
    for name in PAGES:
        yield from _below(ROOT / name, ".md")


def catalogues() -> Iterator[Path]:
    """Yield a catalogue of messages: one, because all languages have the same."""
    yield from ROOT.glob("django_sendcloud/locale/nl/LC_MESSAGES/*.po")


def scripts() -> Iterator[Path]:
    """Yield the files of other languages that have comments."""
    for name in SCRIPTS:
        yield from _below(ROOT / name, ".yml")
    for suffix in (".html", ".css", ".js"):
        yield from _below(ROOT / "django_sendcloud", suffix)


def _below(path: Path, suffix: str) -> Iterator[Path]:
    if path.is_file():
        yield path
    elif path.is_dir():
        yield from (
            found
            for found in sorted(path.rglob(f"*{suffix}"))
            if not SKIPPED.intersection(found.relative_to(ROOT).parts)
        )


def search(path: Path) -> list[Finding]:
    """Return what one file says against the rules, in the order of its lines."""
    text = path.read_text(encoding="utf-8")
    name = path.relative_to(ROOT).as_posix()
    searches = {".py": _python, ".po": _catalogue, ".md": _page}
    found = searches.get(path.suffix, _script)(path, text)
    return sorted({Finding(name, line, rule, said) for line, rule, said in found})


Found = tuple[int, str, str]
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
# Both, because a string may contain what looks like a comment. The standard library's tokenizer takes twenty times as long.
STRING_OR_COMMENT = re.compile(
    r"""\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3}|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|(#[^\n]*)""", re.DOTALL
)


def _python(path: Path, text: str) -> Iterator[Found]:
    tree = ast.parse(text)
    is_test = path.name.startswith("test_")
    for node in _documented(tree):
        said = ast.get_docstring(node)
        if said:
            yield from _docstring(node, node.body[0].lineno, said)
        if is_test and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_"):
            yield from _test_name(node.lineno, node.name)
    for line, said in _comments(text):
        yield from _opener(line, said)
        yield from _retired(line, said)
    name = path.relative_to(ROOT).as_posix()
    if name.startswith(NAMED):
        nodes = list(ast.walk(tree))
        yield from _names(nodes)
        if not name.startswith(QUOTING):
            yield from _texts(nodes)


def _documented(node: ast.AST) -> Iterator[Documented]:
    """Yield what may have a docstring: a module, and the classes and functions below it, in whatever block."""
    if isinstance(node, Documented):
        yield node
    for block in ("body", "orelse", "finalbody", "handlers", "cases"):
        # Not that of a lambda, or of a conditional expression.
        if isinstance(statements := getattr(node, block, None), list):
            for statement in statements:
                yield from _documented(statement)


def _names(nodes: list[ast.AST]) -> Iterator[Found]:
    """Search the names that a file defines: ``plan_wake`` has a retired word."""
    for node in nodes:
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                pass
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                pass
            case _:
                continue
        words = " ".join(re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name))
        yield from _retired(node.lineno, words)
        for retired, instead in RETIRED_IN_NAMES.items():
            if found := re.search(rf"\b(?:{retired})\b", words, re.IGNORECASE):
                yield node.lineno, f'"{found[0]}" is retired; write: {instead}', words


def _texts(nodes: list[ast.AST]) -> Iterator[Found]:
    """Search log lines, output of commands and other texts in the code."""
    for node in nodes:
        # A docstring is a text, too: one that is searched twice is found once.
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value.strip():
            yield from _retired(node.lineno, node.value)


def _script(path: Path, text: str) -> Iterator[Found]:
    """Search the comments of a file in another language."""
    begin = {".html": r"\{% comment %\}|\{#", ".css": r"/\*", ".js": r"/\*|//"}.get(path.suffix, r"(?:^|(?<=\s))#+")
    for number, line in enumerate(text.split("\n"), 1):
        if found := re.search(rf"(?:{begin})\s+(.*)|\{{% comment %\}}(.*)", line):
            said = found[1] or found[2] or ""
            yield from _opener(number, said)
            yield from _retired(number, said)


def _docstring(node: ast.AST, line: int, said: str) -> Iterator[Found]:
    opened = list(_opener(line, said))
    yield from opened
    yield from _retired(line, said)
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not opened and not _is_free(node):
        word = _first_word(said)
        if word not in VERBS:
            yield line, f'a function\'s docstring begins with an imperative verb, not "{word}"', said.split("\n")[0]


def _is_free(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Return whether a docstring need not begin with a verb: that of a test is a story, that of a property a noun."""
    decorators = {ast.unparse(decorator).partition("(")[0].rpartition(".")[2] for decorator in node.decorator_list}
    return node.name.startswith("test_") or bool(decorators & {"property", "cached_property"})


def _test_name(line: int, name: str) -> Iterator[Found]:
    words = name.removeprefix("test_").split("_")
    # The number of a fault is no word: test_f06_worker_killed_…
    while words and re.fullmatch(r"f\d\d", words[0]):
        words.pop(0)
    if words and words[0] in NOT_A_SUBJECT:
        yield line, f'a test name begins with its subject, not "{words[0]}"', name
    if len(words) > WORDS_IN_A_TEST_NAME:
        yield line, f"a test name has at most {WORDS_IN_A_TEST_NAME} words, not {len(words)}", name
    yield from _retired(line, " ".join(words))


def _comments(text: str) -> Iterator[tuple[int, str]]:
    """Yield each block of comments as one text, with its first line's number."""
    block: list[str] = []
    begin = last = last_column = -1
    line, seen = 1, 0
    for found in STRING_OR_COMMENT.finditer(text):
        if found[1] is None:
            continue
        line += text.count("\n", seen, found.start())
        seen = found.start()
        column = seen - text.rfind("\n", 0, seen)
        said = found[1].lstrip("#:! ").rstrip()
        if said.startswith("-- "):
            # A heading of a section.
            said = said.strip("- ")
        if not said or re.match(r"(type:|noqa|fmt:|pragma:|mypy:|ruff:|isort:|-\*-|/usr/bin)", said):
            continue
        if (line, column) == (last + 1, last_column):
            block.append(said)
        else:
            if block:
                yield begin, " ".join(block)
            block, begin, last_column = [said], line, column
        last = line
    if block:
        yield begin, " ".join(block)


def _catalogue(path: Path, text: str) -> Iterator[Found]:
    """Search the texts that people read, in English."""
    import polib

    for entry in polib.pofile(text):
        if entry.obsolete:
            continue
        for said in (entry.msgid, entry.msgid_plural):
            if _first_word(said) in NOT_IN_A_MESSAGE:
                yield from _opener(entry.linenum, said)
            yield from _retired(entry.linenum, said)


def _page(path: Path, text: str) -> Iterator[Found]:
    in_code, at_beginning = False, True
    for number, line in enumerate(text.split("\n"), 1):
        if line.lstrip().startswith(("```", "~~~")):
            in_code = not in_code
            at_beginning = True
            continue
        if in_code:
            continue
        said = re.sub(r"^\s*(#+|[-*+]|\d+\.|>)\s+", "", line)
        said = re.sub(r"\]\([^)]*\)", "]", said)
        if not line.startswith("|") and (at_beginning or said != line):
            yield from _opener(number, said)
        yield from _retired(number, said)
        at_beginning = not line.strip() or line.startswith("#")


def _first_word(said: str) -> str:
    found = re.match(r"[\W_]*([\w'’-]+)", said)
    return found[1].lower() if found else ""


def _opener(line: int, said: str) -> Iterator[Found]:
    word = _first_word(said)
    if word in CLAUSES:
        yield line, f'prose does not open with the clause "{word.capitalize()} …"', said.split("\n")[0]


def _retired(line: int, said: str) -> Iterator[Found]:
    if not ANY_RETIRED.search(said):
        return
    # Code keeps its names, and the lines keep their numbers.
    prose = re.sub(r"``.*?``|`[^`]*`", lambda code: " " + "\n" * code[0].count("\n"), said, flags=re.DOTALL)
    for words, instead in RETIRED.items():
        for found in re.finditer(rf"\b(?:{words})\b", prose, re.IGNORECASE):
            below = prose.count("\n", 0, found.start())
            yield line + below, f'"{found[0]}" is retired; write: {instead}', prose.split("\n")[below].strip()


def main() -> int:
    """Print the findings of the given files and folders, or of all."""
    wanted = [(ROOT / name).resolve() for name in sys.argv[1:]] or [ROOT]
    files = [
        path
        for path in (*python_files(), *pages(), *catalogues(), *scripts())
        if any(path.is_relative_to(some) for some in wanted)
    ]
    findings = [finding for path in files for finding in search(path)]
    for finding in findings:
        print(f"{finding.path}:{finding.line}: {finding.rule}\n    {finding.text[:110]}")
    print(f"{len(findings)} findings in {len(files)} files", file=sys.stderr)
    return bool(findings)


if __name__ == "__main__":
    sys.exit(main())
