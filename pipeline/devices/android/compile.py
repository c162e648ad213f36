"""Kotlin and Java to classes, classes to DEX."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.devices.android.jars import COMPILER, R8, Jar
from pipeline.devices.android.tools import java, jdk, must

# Lambdas as classes keep method handles, which
# API 26 has no full set of, out of the DEX.
KOTLIN = (
    *("-jvm-target", "1.8", "-Xjdk-release=1.8", "-no-stdlib", "-no-reflect", "-Xlambdas=class"),
    *("-Xsam-conversions=class", "-Xsuppress-version-warnings"),
)


def compile_kotlin(
    files: Sequence[Path], libraries: Sequence[Path], out: Path, jars: dict[Jar, Path]
) -> None:
    """Classes below `out`. `files` may have Java sources, which are seen but not compiled.

    Of the JVM's own classes those of Java 8 are seen: Android's are about the same.
    """
    compiler = [jars[jar] for jar in COMPILER]
    classpath = ":".join(map(str, libraries))
    must(
        java(
            compiler,
            "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler",
            *(*KOTLIN, "-classpath", classpath, "-d", out, *files),
        ),
        "Compiling the app's Kotlin",
    )


def compile_java(files: Sequence[Path], out: Path) -> None:
    """R.java, which refers to nothing."""
    out.mkdir(parents=True, exist_ok=True)
    must(["javac", "--release", "8", "-Xlint:-options", "-d", out, *files], "Compiling R.java")


def to_dex(
    programs: Sequence[Path],
    framework: Path,
    rules: Sequence[Path],
    oldest: int,
    out: Path,
    jars: dict[Jar, Path],
) -> None:
    """`classes.dex` in `out`: R8 leaves out what nothing reaches.

    `programs` are jars, or folders of classes.
    """
    classes = [
        file
        for program in programs
        for file in ([program] if program.is_file() else sorted(program.rglob("*.class")))
    ]
    # The framework of Robolectric has none of java.*: the JDK lends its own.
    library = ["--lib", str(framework), "--lib", str(jdk())]
    wanted = [word for rule in rules for word in ("--pg-conf", str(rule))]
    out.mkdir(parents=True, exist_ok=True)
    must(
        java(
            [jars[R8]],
            "com.android.tools.r8.R8",
            *("--release", "--min-api", str(oldest), *library, *wanted),
            *("--output", out, *classes),
        ),
        "R8",
    )
