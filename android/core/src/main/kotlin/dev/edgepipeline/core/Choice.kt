package dev.edgepipeline.core

/** What is run: an artifact of a bundle, in an engine that can run its format. */
class Choice(val bundle: Bundle, val artifact: Artifact, val kind: EngineKind, val threads: Int) {
    fun isSame(other: Choice): Boolean = bundle.digest == other.bundle.digest &&
        artifact.id == other.artifact.id && kind.id == other.kind.id && threads == other.threads

    /** As by [EngineKind.open]. */
    fun open(): Engine = kind.open(bundle, artifact, threads)
}

/** This process's kind of CPU, in the manifest's words. */
val thisCpu: String = when (val arch = System.getProperty("os.arch") ?: "") {
    "aarch64", "arm64" -> "arm64"
    "amd64", "x86_64" -> "x86_64"
    else -> arch
}

/**
 * The first artifact that [formats] can run, that passed its verdict and was made for this kind of
 * CPU; the rule of docs/bundle-format.md. Null if there is none.
 */
fun chooseArtifact(manifest: Manifest, formats: Set<Format>): Artifact? =
    manifest.artifacts.find { it.format in formats && it.verdict == Verdict.PASS && fitsThisCpu(it) }

fun fitsThisCpu(artifact: Artifact): Boolean = artifact.madeFor == "any" || artifact.madeFor == thisCpu

fun warningsFor(manifest: Manifest, artifact: Artifact): List<String> = buildList {
    if (artifact.verdict != Verdict.PASS) add("The verdict of ${artifact.id} is ${artifact.verdict.word}.")
    if (!fitsThisCpu(artifact)) {
        add("${artifact.id} was made for ${artifact.madeFor}; on $thisCpu it may be slow or less exact.")
    } else if (artifact.precision == "int8" && artifact.madeFor == "x86_64" &&
        manifest.verified.flags.any { "vnni" in it } && !hasVnni()
    ) {
        add("${artifact.id} was verified on a CPU with VNNI, which this one lacks: sums of its int8 products may saturate.")
    }
}

private fun hasVnni(): Boolean = try {
    java.io.File("/proc/cpuinfo").useLines { lines ->
        lines.firstOrNull { it.startsWith("flags") }?.contains("vnni") ?: false
    }
} catch (_: java.io.IOException) {
    false
}
