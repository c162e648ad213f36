package dev.edgepipeline.core.validate

import dev.edgepipeline.core.quoted

// A TorchScript archive, from the outside in: the zip's structure, which records there are, the
// code, the pickles with the tensors that they describe.

private const val MAX_CODE = 1 shl 24 // bytes in all; timm's largest has 440 KB

private val CODE_PART = Regex("[A-Za-z_][A-Za-z_0-9]*")
private val NUMBER = Regex("[0-9]{1,9}")

/** Throws [Unsafe]. */
internal fun validateTorchScript(file: Bytes) {
    val archive = readArchive(file)
    checkRecords(archive)
    val definitions = Definitions()
    val code = archive.filter { isCode(it.name) }
    code.forEach { definitions.add(it.name, it.bytes) }
    code.forEach { checkCode(it.name, it.bytes, definitions) }

    val records = archive.associate { it.name to it.bytes }
    if ("version" !in records && ".data/version" !in records) refuseArchive("it has no version")
    val used = HashSet<String>()
    for ((pickle, folder) in listOf("constants.pkl" to "constants/", "data.pkl" to "data/")) {
        val content = records[pickle] ?: refuseArchive("it has no $pickle")
        checkPickle(pickle, content, World(folder, records, definitions, used))
    }
    records.keys.find { isStorage(it) && it !in used }?.let { refuseArchive("${quoted(it)} is used by nothing") }
}

/** The archive around a pickle whose storages lie in [folder]. Adds those that it uses to [used]. */
private class World(
    private val folder: String, private val records: Map<String, Bytes>, private val definitions: Definitions,
    private val used: MutableSet<String>,
) : PickleWorld {
    override fun storage(key: String): Int? {
        if (!isNumber(key)) return null
        return records[folder + key]?.size?.also { used += folder + key }
    }

    override fun hasClass(name: String): Boolean = name in definitions
}

private fun checkRecords(records: List<TorchRecord>) {
    var code = 0L
    for (record in records) {
        when {
            isCode(record.name) -> code += record.bytes.size
            record.name == "data.pkl" || record.name == "constants.pkl" || isStorage(record.name) -> Unit
            else -> checkSmall(record.name, record.bytes)
        }
    }
    if (code > MAX_CODE) refuseArchive("it has more than 16 MiB of code")
}

/** What stands beside code, pickles and storages, and must say just this. */
private fun checkSmall(name: String, bytes: Bytes) {
    when {
        name == "byteorder" -> if (!bytes.says("little")) refuseArchive("its byte order is not little-endian")
        name == "version" || name == ".data/version" -> {
            val text = if (bytes.size <= 10) bytes.text() else ""
            if (!text.endsWith('\n') || !isNumber(text.dropLast(1))) refuseArchive("its version is not a number")
        }
        name == ".data/serialization_id" -> {
            val isNumber = bytes.size <= 64 && bytes.all { it in '0'.code..'9'.code }
            if (!isNumber) refuseArchive("its serialization_id is not a number")
        }
        name.endsWith(".debug_pkl") -> {
            val remedy = "write it with the pipeline, which leaves that out"
            refuseArchive("it has ${quoted(name)}, which tells of the machine that made it; $remedy")
        }
        else -> refuseArchive("it has the record ${quoted(name)}, which is not allowed")
    }
}

private fun isNumber(text: String): Boolean = NUMBER.matches(text)

/** `code/__torch__/torch/nn/modules/conv.py` */
private fun isCode(name: String): Boolean = name.startsWith("code/__torch__") && name.endsWith(".py") &&
    name.removePrefix("code/").removeSuffix(".py").split('/').all(CODE_PART::matches)

private fun isStorage(name: String): Boolean =
    listOf("data/", "constants/").any { name.startsWith(it) && isNumber(name.removePrefix(it)) }
