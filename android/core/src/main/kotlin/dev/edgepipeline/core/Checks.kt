package dev.edgepipeline.core

// Inputs against the manifest before an engine sees them, outputs before a caller does.

/** The batch, 1 where there is none. */
fun checkInputs(ports: List<Port>, tensors: List<Tensor>): Long {
    if (tensors.size != ports.size) wrongNumber("bad-input", "inputs", tensors.size, ports.size)
    var batch: Long? = null
    for ((port, tensor) in ports zip tensors) {
        if (tensor.dtype != port.dtype || !fits(tensor.shape, port.shape)) {
            throw RunFailed("bad-input", "${port.name} is ${tensor.describe()}, not ${describe(port)}")
        }
        if (tensor.shape.any { it == 0L }) throw RunFailed("bad-input", "${port.name} is empty")
        if (!countsSamples(port)) continue
        val rows = tensor.shape[port.batchAxis!!]
        if (rows != (batch ?: rows)) {
            throw RunFailed("bad-input", "${port.name}: a batch of $rows beside one of $batch")
        }
        batch = rows
    }
    return batch ?: 1
}

fun checkOutputs(ports: List<Port>, tensors: List<Tensor>, batch: Long) {
    if (tensors.size != ports.size) wrongNumber("bad-output", "outputs", tensors.size, ports.size)
    for ((port, tensor) in ports zip tensors) {
        val rightRows = !countsSamples(port) || tensor.shape.getOrNull(port.batchAxis!!) == batch
        if (tensor.dtype != port.dtype || !fits(tensor.shape, port.shape) || !rightRows) {
            val what = "${port.name}: the model gave ${tensor.describe()}, not ${describe(port)}"
            throw RunFailed("bad-output", "$what for a batch of $batch")
        }
        if (tensor.dtype.isFloat && !tensor.numbers().all { it.isFinite() }) {
            throw RunFailed("not-finite", "${port.name} has NaN or infinity")
        }
    }
}

private fun wrongNumber(code: String, what: String, got: Int, wanted: Int): Nothing =
    throw RunFailed(code, "$got $what where the signature has $wanted")

private fun describe(port: Port): String = port.dtype.word + port.shape.map { it ?: "any" }

// An axis of fixed size is compared as such.
private fun countsSamples(port: Port): Boolean = port.batchAxis != null && port.shape[port.batchAxis] == null
