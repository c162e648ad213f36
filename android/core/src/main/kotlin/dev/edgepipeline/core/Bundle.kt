package dev.edgepipeline.core

import dev.edgepipeline.core.validate.validate
import java.io.IOException
import java.io.InputStream
import java.security.MessageDigest

/** An opened bundle, proven to be what its manifest says. */
class Bundle internal constructor(val source: Source, val manifest: Manifest) {
    val digest: String get() = manifest.digest

    private val listed = manifest.entries.associateBy { it.file }

    /** Bytes of all files. */
    val bytes: Long get() = listed.values.sumOf { it.bytes }

    /** A file's content: what is returned is the very buffer that was hashed. Throws [Refused]. */
    fun load(name: String): ByteArray {
        val entry = requireNotNull(listed[name]) { "the bundle lists no $name" }
        val content = source.open(name).use { readExactly(it, name, entry.bytes) }
        if (sha256(content) != entry.sha256) refuse(Refusal.WRONG_HASH, name)
        return content
    }

    /** An artifact's file, as by [load], and validated: what is returned may be given to a runtime. */
    fun loadModel(artifact: Artifact): ByteArray = load(artifact.file).also { validate(artifact, it) }

    /** The numbers of a golden file, checked as by [load]. */
    fun tensor(golden: GoldenTensor): Tensor = Tensor(golden.dtype, golden.shape, load(golden.file))

    /** The names of an output's classes; empty where it has none. */
    fun labels(output: Port): List<String> {
        val text = String(load(output.labels ?: return emptyList()), Charsets.UTF_8)
        return text.removeSuffix("\n").split('\n')
    }

    companion object {
        /**
         * Reads the manifest and proves that the source is what it says. Without [hashes] these are
         * left to [load]; names, kinds and sizes are always checked. [progress] is told the share of
         * bytes that are hashed. Throws [Refused], or [IOException] if the source cannot be read.
         */
        fun open(source: Source, hashes: Boolean = true, progress: (Double) -> Unit = {}): Bundle {
            val entries = source.list()
            checkNames(entries.filter { it.bytes != null }.map { it.name })
            val bytes = entries.find { it.name == MANIFEST }?.bytes
            if (bytes == null) refuse(Refusal.NOT_A_BUNDLE, source.title, "it has no $MANIFEST")
            val bundle = Bundle(source, parseManifest(readManifest(source, bytes)))
            compare(bundle.manifest, entries)
            if (hashes) bundle.checkHashes(progress)
            return bundle
        }

        private fun readManifest(source: Source, bytes: Long): ByteArray {
            if (bytes > MAX_MANIFEST_BYTES) refuse(Refusal.MANIFEST_TOO_LARGE, MANIFEST, bytes)
            return source.open(MANIFEST).use { readExactly(it, MANIFEST, bytes) }
        }
    }

    private fun checkHashes(progress: (Double) -> Unit) {
        var done = 0L
        for (entry in manifest.entries) {
            val digest = MessageDigest.getInstance("SHA-256")
            var size = 0L
            source.open(entry.file).use { stream ->
                forEachBlock(stream) { block, length ->
                    size += length
                    // Not at the end: an archive's entry may be far larger than it says.
                    if (size > entry.bytes) checkSize(entry.file, size, entry.bytes)
                    digest.update(block, 0, length)
                    progress((done + size) / bytes.coerceAtLeast(1).toDouble())
                }
            }
            checkSize(entry.file, size, entry.bytes)
            done += size
            if (digest.digest().toHexString() != entry.sha256) refuse(Refusal.WRONG_HASH, entry.file)
        }
    }
}

/** What is there against the list, without reading a file. */
private fun compare(manifest: Manifest, found: List<Entry>) {
    val listed = manifest.entries.associateBy { it.file }
    val sizes = found.filter { it.bytes != null }.associate { it.name to it.bytes }
    val folders = found.filter { it.bytes == null }.map { it.name }
    folders.find { it in listed }?.let { refuse(Refusal.NOT_A_FILE, it, "a folder") }
    sizes.keys.find { it !in listed && it != MANIFEST }?.let { refuse(Refusal.UNLISTED_FILE, it) }
    for ((name, entry) in listed) {
        checkSize(name, sizes[name] ?: refuse(Refusal.MISSING_FILE, name), entry.bytes)
    }
    val needed = listed.keys.flatMap(::foldersOf).toSet()
    folders.find { it !in needed }?.let { refuse(Refusal.EMPTY_FOLDER, it) }
}

private fun checkSize(name: String, found: Long, stated: Long) {
    if (found != stated) refuse(Refusal.WRONG_SIZE, name, "$found bytes, not $stated")
}

/** Exactly so many bytes, and never room for more than there are. */
internal fun readExactly(stream: InputStream, name: String, bytes: Long): ByteArray {
    if (bytes > Int.MAX_VALUE - 16) throw IOException("$name has $bytes bytes, too many to load here")
    val content = ByteArray(bytes.toInt())
    var at = 0
    while (at < content.size) {
        val length = stream.read(content, at, content.size - at)
        if (length < 0) refuse(Refusal.WRONG_SIZE, name, "$at bytes, not $bytes")
        at += length
    }
    if (stream.read() >= 0) refuse(Refusal.WRONG_SIZE, name, "more than $bytes bytes")
    return content
}

/** Calls [use] with each block of a stream and its length. */
inline fun forEachBlock(stream: InputStream, use: (ByteArray, Int) -> Unit) {
    val block = ByteArray(1 shl 16)
    while (true) {
        val length = stream.read(block)
        if (length < 0) return
        use(block, length)
    }
}
