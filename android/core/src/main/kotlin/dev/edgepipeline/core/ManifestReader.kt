package dev.edgepipeline.core

import java.security.MessageDigest

internal const val MAX_MANIFEST_BYTES = 1L shl 20
private const val MAX_RANK = 8
private const val MAX_AXIS = Int.MAX_VALUE.toLong()

/** Throws [Refused] for anything but a valid manifest of a schema that it knows, with the right digest. */
fun parseManifest(bytes: ByteArray): Manifest {
    if (bytes.size > MAX_MANIFEST_BYTES) refuse(Refusal.MANIFEST_TOO_LARGE, MANIFEST, bytes.size)
    val data = parseJson(bytes)
    val schema = readSchema(data)
    val manifest = readManifest(Node(data), schema)
    checkConsistency(manifest)
    checkDigest(bytes, manifest.digest)
    return manifest
}

// Before any other key is looked at: another schema may have other keys.
private fun readSchema(data: Any?): Long {
    val members = data as? Map<*, *> ?: refuse(Refusal.BAD_VALUE, MANIFEST, "not an object")
    for (key in listOf("schema", "digest")) {
        if (key !in members) refuse(Refusal.MISSING_KEY, MANIFEST, quoted(key))
        if (key == "schema" && members[key] !in listOf(1L, 2L)) {
            refuse(Refusal.UNSUPPORTED_SCHEMA, MANIFEST, toJson(members[key]).take(40))
        }
    }
    if (!HASH.matches(members["digest"] as? String ?: "")) {
        refuse(Refusal.BAD_VALUE, MANIFEST, "digest: not 64 hexadecimal digits")
    }
    return members["schema"] as Long
}

/** The SHA-256 of the file with the digest's own digits replaced by zeros. */
private fun checkDigest(bytes: ByteArray, digest: String) {
    val text = String(bytes, Charsets.ISO_8859_1) // a character a byte
    val first = text.indexOf(digest)
    if (first < 0 || first != text.lastIndexOf(digest)) refuse(Refusal.WRONG_HASH, MANIFEST)
    val blank = text.replaceRange(first, first + digest.length, "0".repeat(digest.length))
    if (sha256(blank.toByteArray(Charsets.ISO_8859_1)) != digest) refuse(Refusal.WRONG_HASH, MANIFEST)
}

fun sha256(bytes: ByteArray): String = MessageDigest.getInstance("SHA-256").digest(bytes).toHexString()

private fun readManifest(node: Node, schema: Long): Manifest {
    node.hasExactly(
        "schema", "name", "version", "description", "license", "verdict", "allow_failed", "inputs",
        "outputs", "artifacts", "verified", "golden", "files", "producer", "digest",
    )
    val inputs = atLeastOne(node["inputs"]) { readInput(it, schema) }
    val outputs = atLeastOne(node["outputs"]) { readOutput(it, schema) }
    val first = inputs[0].shape.firstOrNull()
    return Manifest(
        name = node["name"].identifier(),
        version = node["version"].identifier(),
        description = node["description"].text(),
        license = node["license"].line(),
        verdict = node["verdict"].oneOf(Verdict.entries),
        allowFailed = node["allow_failed"].boolean(),
        inputs = if (schema == 1L) inputs.map { withImpliedAxis(it, first) } else inputs,
        outputs = if (schema == 1L) outputs.map { withImpliedAxis(it, first) } else outputs,
        artifacts = atLeastOne(node["artifacts"], ::readArtifact),
        verified = readVerified(node["verified"]),
        golden = node["golden"].items(::readGolden),
        files = node["files"].items {
            it.hasExactly("file", "bytes", "sha256")
            Listed(it["file"].file(), it["bytes"].integer(), it["sha256"].hash())
        },
        producer = readProducer(node["producer"]),
        digest = node["digest"].hash(),
    )
}

private fun <T> atLeastOne(node: Node, read: (Node) -> T): List<T> =
    node.items(read).also { if (it.isEmpty()) node.wrong("empty") }

private fun readInput(node: Node, schema: Long): Port {
    hasKeys(node, schema, "name", "dtype", "shape", "meaning", "kind")
    return Port(
        node["name"].name(), node["dtype"].oneOf(DType.entries), portShape(node), batchAxis(node, schema),
        node["meaning"].line(), node["kind"].oneOf("image", "tensor"),
    )
}

private fun readOutput(node: Node, schema: Long): Port {
    hasKeys(node, schema, "name", "dtype", "shape", "meaning", "kind", "labels", "threshold")
    return Port(
        node["name"].name(), node["dtype"].oneOf(DType.entries), portShape(node), batchAxis(node, schema),
        node["meaning"].line(), node["kind"].oneOf("classification", "regression", "tensor"),
        node["labels"].orNull(Node::file), node["threshold"].orNull(Node::number),
    )
}

private fun hasKeys(node: Node, schema: Long, vararg keys: String) =
    if (schema == 1L) node.hasExactly(*keys) else node.hasExactly(*keys, "batch_axis")

private fun batchAxis(node: Node, schema: Long): Int? =
    if (schema == 1L) null else node["batch_axis"].orNull { it.integer(0..MAX_RANK - 1L).toInt() }

// Schema 1, which lacks the key: the first axis counts samples where it may have any size, or has the
// size of the first input's.
private fun withImpliedAxis(port: Port, first: Long?): Port {
    if (port.shape.isEmpty()) return port
    val size = port.shape[0]
    return if (size == null || size == first) port.copy(batchAxis = 0) else port
}

private fun portShape(node: Node): List<Long?> {
    val shape = node["shape"].items { axis -> axis.orNull { it.integer(1..MAX_AXIS) } }
    if (shape.size > MAX_RANK) node["shape"].wrong("more than $MAX_RANK axes")
    checkAddressable(node["dtype"].oneOf(DType.entries), shape.map { it ?: 1 })
    return shape
}

// Empty axes count as one here: whoever multiplies step by step must never overflow.
private fun checkAddressable(dtype: DType, shape: List<Long>) {
    var bytes = dtype.bytes.toLong()
    for (axis in shape) {
        if (axis > 1 && bytes > MAX_INTEGER / axis) {
            refuse(Refusal.TENSOR_TOO_LARGE, MANIFEST, "${dtype.word}$shape has 2^53 bytes or more")
        }
        bytes *= maxOf(axis, 1)
    }
}

private fun readArtifact(node: Node): Artifact {
    node.hasExactly(
        "id", "format", "precision", "recipe", "file", "bytes", "sha256", "version", "made_for",
        "operators", "tolerances", "verdict", "results",
    )
    return Artifact(
        id = node["id"].identifier(),
        format = node["format"].oneOf(Format.entries),
        precision = node["precision"].oneOf("fp32", "fp16", "int8", "int4"),
        recipe = node["recipe"].orNull(Node::identifier),
        file = node["file"].file(),
        bytes = node["bytes"].integer(),
        sha256 = node["sha256"].hash(),
        version = node["version"].integer(),
        madeFor = node["made_for"].identifier(),
        operators = node["operators"].members { it.integer() },
        tolerances = node["tolerances"].items(::readTolerance),
        verdict = node["verdict"].oneOf(Verdict.entries),
        results = node["results"].items(::readResult),
    )
}

private fun readTolerance(node: Node): Tolerance {
    node.hasExactly("max_abs", "max_rel", "min_sqnr_db", "min_top1", "max_drop", "tie")
    return Tolerance(
        maxAbs = node["max_abs"].orNull(Node::positive),
        maxRel = node["max_rel"].orNull(Node::positive),
        minSqnrDb = node["min_sqnr_db"].orNull(Node::number),
        minTop1 = node["min_top1"].orNull(Node::share),
        maxDrop = node["max_drop"].orNull(Node::number),
        tie = node["tie"].orNull(Node::notNegative),
    )
}

private fun readResult(node: Node): Measured {
    node.hasExactly(
        "runtime", "verdict", "reasons", "max_abs", "max_rel", "cosine", "sqnr_db", "top1", "metric",
        "drop",
    )
    fun figure(key: String, read: (Node) -> Double) = key to node[key].orNull(read)
    return Measured(
        runtime = node["runtime"].identifier(),
        verdict = node["verdict"].oneOf(Verdict.entries),
        reasons = node["reasons"].items(Node::line),
        figures = mapOf(
            figure("max_abs", Node::notNegative),
            figure("max_rel", Node::notNegative),
            figure("cosine", Node::number),
            figure("sqnr_db", Node::number),
            figure("top1", Node::share),
            figure("metric", Node::number),
            figure("drop", Node::number),
        ),
    )
}

private fun readVerified(node: Node): Verified {
    node.hasExactly("samples", "synthetic", "threads", "arch", "flags", "metric")
    return Verified(
        samples = node["samples"].integer(),
        synthetic = node["synthetic"].boolean(),
        threads = node["threads"].integer(),
        arch = node["arch"].identifier(),
        flags = node["flags"].items(Node::identifier),
        metric = node["metric"].orNull { metric ->
            metric.hasExactly("name", "goal", "reference")
            Metric(
                metric["name"].name(), metric["goal"].oneOf("max", "min"),
                metric["reference"].orNull(Node::number),
            )
        },
    )
}

private fun readGolden(node: Node): Golden {
    node.hasExactly("inputs", "outputs", "label")
    return Golden(
        node["inputs"].items(::readGoldenTensor), node["outputs"].items(::readGoldenTensor),
        node["label"].orNull { it.integer() },
    )
}

private fun readGoldenTensor(node: Node): GoldenTensor {
    node.hasExactly("file", "dtype", "shape")
    val shape = node["shape"].items { it.integer(0..MAX_AXIS) }
    if (shape.size > MAX_RANK) node["shape"].wrong("more than $MAX_RANK axes")
    val dtype = node["dtype"].oneOf(DType.entries)
    checkAddressable(dtype, shape)
    return GoldenTensor(node["file"].file(), dtype, shape)
}

private fun readProducer(node: Node): Map<String, String> {
    val keys = arrayOf("pipeline", "python", "torch", "onnx", "onnxruntime")
    node.hasExactly(*keys)
    return keys.associateWith { node[it].name() }
}
