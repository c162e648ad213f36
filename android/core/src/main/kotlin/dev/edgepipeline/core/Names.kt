package dev.edgepipeline.core

// Names of files in a bundle: the same on every system, never outside of it.

internal const val MANIFEST = "manifest.json"
internal const val MAX_FILES = 1024
private const val MAX_LEVELS = 4
private const val MAX_NAME = 128

// Letters, digits, '.', '_' and '-' leave no room for "..", "\", "C:", blanks or control characters,
// nor for two Unicode spellings of one name.
private val SEGMENT = Regex("[A-Za-z0-9][A-Za-z0-9._-]*")

// https://learn.microsoft.com/windows/win32/fileio/naming-a-file
private val RESERVED =
    setOf("con", "prn", "aux", "nul") + (0..9).map { "com$it" } + (0..9).map { "lpt$it" }

/** The name, if it is a portable path relative to the bundle; else throws [Refused]. */
fun checkName(name: String): String {
    fun refuseName(why: String): Nothing = refuse(Refusal.UNSAFE_NAME, quoted(name.take(MAX_NAME)), why)
    if (name.codePointCount(0, name.length) > MAX_NAME) refuseName("it is longer than $MAX_NAME characters")
    val segments = name.split('/')
    for (segment in segments) {
        if (!SEGMENT.matches(segment)) {
            refuseName("letters, digits, '.', '_' and '-' only, a letter or digit first")
        }
        if (segment.endsWith('.')) refuseName("it ends with a dot")
        if (segment.substringBefore('.').lowercase() in RESERVED) refuseName("Windows reserves it")
    }
    if (segments.size > MAX_LEVELS) refuse(Refusal.TOO_DEEP, quoted(name), MAX_LEVELS)
    return name
}

/** Throws [Refused] if two paths, or folders on their way, differ in case alone. */
internal fun checkNames(names: Iterable<String>) {
    val seen = HashMap<String, String>()
    for (name in names) {
        for (path in foldersOf(name) + name) {
            val first = seen.getOrPut(path.lowercase()) { path }
            if (first != path) refuse(Refusal.CASE_COLLISION, path, first)
        }
    }
}

/** `a/b/c.txt` → `a`, `a/b`. */
internal fun foldersOf(name: String): List<String> =
    name.indices.filter { name[it] == '/' }.map { name.substring(0, it) }

private const val SHOWN = 128

/** Text from a file for a message: quoted, with control characters escaped, and cut if it is long. */
internal fun quoted(text: String): String =
    text.take(SHOWN).map { if (it < ' ' || it == '\u007f') "\\u%04x".format(it.code) else it.toString() }
        .joinToString("", "'", if (text.length > SHOWN) "...'" else "'")
