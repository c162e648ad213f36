"""The C++ and C that the documentation shows is compiled, and the README's is run."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pytest

from pipeline.runner.program import program

ROOT = Path(__file__).parents[2]
INCLUDE = ROOT / "cpp_runner" / "include"
GOLDEN = ROOT / "tests" / "golden" / "bundle-v1"
FENCED = re.compile(r"^```(cpp|c\+\+|c)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# A line of a comment that is code: further in than the comment's text.
INDENTED = re.compile(r"^(?://| \*) {3}(.*)$")
INCLUDED = re.compile(r"^#include .*\n", re.MULTILINE)


@dataclass(frozen=True)
class Snippet:
    path: Path
    language: str  # "c++" or "c"
    code: str

    def program(self, more: str = "") -> str:
        """With what is around such lines in a real program."""
        header = "runner.hpp" if self.language == "c++" else "edge_runner.h"
        includes = [f"#include <edge_runner/{header}>\n", "#include <stdio.h>\n"]
        includes += INCLUDED.findall(self.code)
        body = INCLUDED.sub("", self.code)
        return f"{''.join(includes)}int main(void) {{\n{body}\n{more}\nreturn 0;\n}}\n"


def fenced() -> list[Snippet]:
    """In Markdown, and in what writes Markdown."""
    written = [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("pipeline/**/*.py")]
    return [
        Snippet(path, "c" if language == "c" else "c++", code)
        for path in sorted(written)
        for language, code in FENCED.findall(path.read_text(encoding="utf-8"))
    ]


def commented() -> list[Snippet]:
    found = []
    for path in sorted((INCLUDE / "edge_runner").iterdir()):
        lines = map(INDENTED.match, path.read_text(encoding="utf-8").splitlines())
        for is_code, block in groupby(lines, key=bool):
            if is_code:
                code = "\n".join(line.group(1) for line in block if line)
                found.append(Snippet(path, "c" if path.suffix == ".h" else "c++", code))
    return found


def test_the_places_that_are_known_to_show_code_are_found() -> None:
    shown = {snippet.path.relative_to(ROOT).as_posix() for snippet in (*fenced(), *commented())}
    assert shown >= {
        "README.md",
        "docs/cpp-runner.md",
        "cpp_runner/include/edge_runner/runner.hpp",
        "cpp_runner/include/edge_runner/edge_runner.h",
    }


def compiled(snippet: Snippet, source: str, *words: str | Path) -> None:
    compiler, standard = {"c++": ("c++", "c++20"), "c": ("cc", "c11")}[snippet.language]
    done = subprocess.run(
        [
            *(compiler, "-x", snippet.language, f"-std={standard}", "-I", INCLUDE),
            *("-Wall", "-Werror", "-Wno-unused", "-", "-x", "none", *words),
        ],
        input=source,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{snippet.path}:\n{done.stderr}"


@pytest.mark.parametrize(
    "snippet", [*fenced(), *commented()], ids=lambda one: f"{one.path.name}-{one.language}"
)
def test_it_compiles(snippet: Snippet) -> None:
    compiled(snippet, snippet.program(), "-fsyntax-only")


PRINT = 'for (const float score : answer->front().values<float>()) printf("%f\\n", score);'


def test_the_readme_s_lines_run(tmp_path: Path) -> None:
    (snippet,) = (one for one in fenced() if one.path.name == "README.md")
    (library,) = program().parents[1].glob("lib*/**/libedge_runner.so")
    built = tmp_path / "snippet"
    rpath = f"-Wl,-rpath,{library.parent}"
    compiled(snippet, snippet.program(PRINT), library, rpath, "-o", built)
    shutil.copytree(GOLDEN, tmp_path / "digits.bundle")
    done = subprocess.run([built], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert sum(map(float, done.stdout.split())) == pytest.approx(1, abs=1e-4)
