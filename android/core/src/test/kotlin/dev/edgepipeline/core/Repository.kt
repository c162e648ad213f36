package dev.edgepipeline.core

import java.io.File

/** The checkout that these tests are part of; its golden and bad bundles are all readers' own. */
internal val repository = File(System.getProperty("repository") ?: "../..").canonicalFile
internal val goldenBundle = File(repository, "tests/golden/bundle-v1").toPath()

internal val secondBundle = File(repository, "tests/golden/bundle-v2").toPath()

internal fun python(vararg arguments: String): String {
    val process = ProcessBuilder("python3", *arguments).redirectErrorStream(true).start()
    val said = process.inputStream.bufferedReader().readText()
    check(process.waitFor() == 0) { said }
    return said
}

internal fun json(file: String): Any? = parseJson(File(repository, file).readBytes())

@Suppress("UNCHECKED_CAST")
internal fun Any?.asMap() = this as Map<String, Any?>

internal fun Any?.asItems() = this as List<*>
