"""Directives whose content is made by the build: figures, options, the header, uniforms."""

import argparse
import json
import re
import shutil
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

import simdrop
from simdrop._core import kernels
from simdrop.cli.main import make_parser

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "bench/results/results.md"
HEADER = ROOT / "csrc/simdrop.h"
TITLE = re.compile(r"^## (.*)$", re.MULTILINE)


def results() -> dict[str, str]:
    """Tables of the committed benchmark results by their titles; "" is what comes before."""
    head, *parts = TITLE.split(RESULTS.read_text(encoding="utf-8"))
    return {"": head} | {
        title: text.strip() for title, text in zip(parts[::2], parts[1::2], strict=True)
    }


class Results(SphinxDirective):
    """A table of bench/results/results.md, by its title; without one, facts about the machine."""

    has_content = True

    def run(self):
        self.env.note_dependency(str(RESULTS))
        title, found = " ".join(self.content), results()
        if title not in found:
            raise self.error(f"{RESULTS} has no table {title!r}")
        text = found[title]
        if not title:
            text = "\n".join(line for line in text.splitlines() if line.startswith("- "))
        return self.parse_text_to_nodes(text)


class Commands(SphinxDirective):
    """A section for each command of `simdrop`, from the parser that prints its --help."""

    def run(self):
        parser = make_parser()
        (commands,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
        return [self.command(name, one) for name, one in commands.choices.items()]

    def command(self, name, parser):
        section = nodes.section(ids=[f"simdrop-{name}"], names=[f"simdrop {name}"])
        section += nodes.title(text=f"simdrop {name}")
        section += nodes.paragraph("", "", *in_code(parser.description, OPTION))
        for group in parser._action_groups:
            options = [a for a in group._group_actions if a.help != argparse.SUPPRESS]
            if options == [] or {a.dest for a in options} == {"help"}:
                continue
            inner = nodes.section(ids=[f"simdrop-{name}-{nodes.make_id(group.title)}"])
            inner += nodes.title(text=group.title.capitalize())
            table = nodes.definition_list(classes=["options"])
            table += [self.option(a) for a in options if a.dest != "help"]
            inner += table
            section += inner
        if parser.epilog:
            section += nodes.literal_block(text=parser.epilog, language="none")
        return section

    def option(self, action):
        names = ", ".join(action.option_strings) or action.dest
        if action.metavar:
            names += f" {action.metavar}"
        elif action.choices:
            names += " {" + ",".join(map(str, action.choices)) + "}"
        item = nodes.definition_list_item()
        item += nodes.term("", "", nodes.literal(text=names))
        text = (action.help or "") % (vars(action) | {"prog": "simdrop"})
        item += nodes.definition("", nodes.paragraph("", "", *in_code(text, OPTION)))
        return item


class CHeader(SphinxDirective):
    """simdrop.h, a section for each of its own: comments as text, declarations as code."""

    def run(self):
        self.env.note_dependency(str(HEADER))
        text = HEADER.read_text(encoding="utf-8")
        text = text[text.index("#define SIMDROP_VERSION") : text.index("#ifdef __cplusplus\n}")]
        head, *parts = re.split(r"^/\* --- (.*?) ---", text, flags=re.MULTILINE)
        titles = ["Version", *parts[::2]]
        return [*map(self.section, titles, [head, *("/*" + part for part in parts[1::2])])]

    def section(self, title, text):
        section = nodes.section(ids=[nodes.make_id(f"c {title}")], names=[title])
        section += nodes.title(text=title)
        for comment, code in re.findall(r"/\*(.*?)\*/|((?:^(?!/\*)[^\n]*\n)+)", text, re.M | re.S):
            for paragraph in re.split(r"\n\s*\n", comment.strip()):
                if paragraph:
                    section += nodes.paragraph(
                        "", "", *in_code(" ".join(paragraph.split()), C_NAME)
                    )
            if code.strip():
                section += nodes.literal_block(text=code.strip(), language="c")
        return section


C_NAME = re.compile(r"`.*?`|\b(?:simdrop|SIMDROP)_\w+|\b\w+\[[^]]*\]")
OPTION = re.compile(r"(?<![\w-])--?[a-z][\w-]*|(?<!\w)mpiexec -.*|\.npz")


def in_code(text, pattern):
    """A text whose matches are code."""
    at = 0
    for found in pattern.finditer(text):
        yield nodes.Text(text[at : found.start()])
        yield nodes.literal(text=found[0].strip("`"))
        at = found.end()
    yield nodes.Text(text[at:])


def uniforms(draw: int, n: int, seed: int = 0) -> list[str]:
    """The uniforms of elements 0 to n - 1 of a draw: 64 bits each, in hexadecimal digits."""
    key = simdrop.Stream(seed).key
    planes = [kernels.keystream(key, draw, plane, 0, -(-n // 16)) for plane in range(8)]
    return [bytes(int(plane[e]) for plane in planes).hex() for e in range(n)]


class Uniforms(SphinxDirective):
    """The data of an interactive page: uniforms of draws of seed 0, as JSON in the page."""

    required_arguments = 3  # id, draws, elements

    def run(self):
        name, draws, n = self.arguments[0], int(self.arguments[1]), int(self.arguments[2])
        data = json.dumps([uniforms(draw, n) for draw in range(draws)], separators=(",", ":"))
        html = f'<script type="application/json" id="{name}">{data}</script>'
        return [nodes.raw("", html, format="html")]


def copy_pictures(app):
    """The pictures of benchmarks, which lie outside of this folder."""
    picture = ROOT / "bench/results/results.png"
    target = Path(app.srcdir) / "benchmarks/results.png"
    if not target.exists() or target.read_bytes() != picture.read_bytes():
        shutil.copyfile(picture, target)


def setup(app):
    app.add_directive("results", Results)
    app.add_directive("commands", Commands)
    app.add_directive("c-header", CHeader)
    app.add_directive("uniforms", Uniforms)
    app.connect("builder-inited", copy_pictures)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
