package dev.edgepipeline.core

// What must agree within a manifest.

internal fun checkConsistency(manifest: Manifest) {
    checkFilesAreDistinct(manifest)
    checkDistinct("inputs", manifest.inputs.map { it.name })
    checkDistinct("outputs", manifest.outputs.map { it.name })
    checkDistinct("artifacts", manifest.artifacts.map { it.id })
    (manifest.inputs + manifest.outputs).forEach(::checkBatchAxis)
    manifest.outputs.forEach(::checkThreshold)
    for (artifact in manifest.artifacts) {
        val count = artifact.tolerances.size
        if (count != 0 && count != manifest.outputs.size) {
            contradicts("${artifact.id} has $count tolerances for ${manifest.outputs.size} outputs")
        }
    }
    checkVerdicts(manifest)
    checkListed(manifest)
}

private fun contradicts(how: String): Nothing = refuse(Refusal.INCONSISTENT, MANIFEST, how)

private fun checkFilesAreDistinct(manifest: Manifest) {
    val names = HashSet<String>()
    for (entry in manifest.entries) {
        if (!names.add(entry.file)) refuse(Refusal.LISTED_TWICE, entry.file)
    }
    if (MANIFEST in names) contradicts("it lists itself")
    checkNames(listOf(MANIFEST) + names.sorted())
}

private fun checkDistinct(what: String, names: List<String>) {
    if (names.toSet().size < names.size) contradicts("two $what have one name")
}

private fun checkBatchAxis(port: Port) {
    if (port.batchAxis != null && port.batchAxis >= port.shape.size) {
        contradicts("${quoted(port.name)} has no axis ${port.batchAxis} to count samples")
    }
}

private fun checkThreshold(output: Port) {
    val single = output.kind == "classification" && output.shape.lastOrNull() == 1L
    if (single != (output.threshold != null)) {
        val how = if (single) "needs a threshold" else "is no single score and has a threshold"
        contradicts("${quoted(output.name)} $how")
    }
}

private fun checkVerdicts(manifest: Manifest) {
    val allPass = (manifest.artifacts.map { it.verdict } + manifest.verdict).all { it == Verdict.PASS }
    if (manifest.allowFailed == allPass) {
        contradicts("allow_failed is ${manifest.allowFailed} against the verdicts")
    }
}

private fun checkListed(manifest: Manifest) {
    val sizes = manifest.files.associate { it.file to it.bytes }
    for (output in manifest.outputs) {
        if (output.labels != null && output.labels !in sizes) {
            contradicts("${output.labels} is not among the files")
        }
    }
    manifest.golden.forEachIndexed { number, sample ->
        checkGolden(sample.inputs, manifest.inputs, sizes, "golden sample $number, inputs")
        checkGolden(sample.outputs, manifest.outputs, sizes, "golden sample $number, outputs")
    }
}

private fun checkGolden(
    tensors: List<GoldenTensor>, declared: List<Port>, sizes: Map<String, Long>, where: String,
) {
    if (tensors.size != declared.size) contradicts("$where: ${tensors.size} instead of ${declared.size}")
    for ((tensor, port) in tensors zip declared) {
        val what = "$where: ${tensor.file}"
        if (tensor.dtype != port.dtype || !fits(tensor.shape, port.shape)) {
            contradicts("$what does not fit ${quoted(port.name)}")
        }
        val bytes = sizes[tensor.file] ?: contradicts("$what is not among the files")
        if (bytes != tensor.bytes) contradicts("$what has $bytes bytes, its shape ${tensor.bytes}")
    }
}

internal fun fits(shape: List<Long>, declared: List<Long?>): Boolean =
    shape.size == declared.size && shape.indices.all { declared[it] == null || declared[it] == shape[it] }
