package dev.edgepipeline.core

// manifest.json, schemas 1 and 2, as values. docs/bundle-format.md is the normative text.

/** A constant that the manifest calls by [word]. */
interface Word {
    val word: String
}

fun <T : Word> List<T>.named(word: String): T? = find { it.word == word }

enum class Verdict(override val word: String) : Word { PASS("pass"), FAIL("fail"), INCONCLUSIVE("inconclusive") }

enum class Format(override val word: String) : Word { ONNX("onnx"), TORCHSCRIPT("torchscript") }

class Manifest(
    val name: String,
    val version: String,
    val description: String,
    val license: String,
    val verdict: Verdict,
    val allowFailed: Boolean,
    val inputs: List<Port>,
    val outputs: List<Port>,
    val artifacts: List<Artifact>,
    val verified: Verified,
    val golden: List<Golden>,
    val files: List<Listed>,
    val producer: Map<String, String>,
    /** Names the content: bundles with the same digest are the same. */
    val digest: String,
) {
    /** Every file of the bundle but the manifest, artifacts first. */
    val entries: List<Listed> get() = artifacts.map { Listed(it.file, it.bytes, it.sha256) } + files

    fun artifact(id: String): Artifact? = artifacts.find { it.id == id }
}

/** An input or output; [shape] has null for an axis of any size. */
data class Port(
    val name: String,
    val dtype: DType,
    val shape: List<Long?>,
    /** The axis that counts samples; null for what all samples of a batch share. */
    val batchAxis: Int?,
    val meaning: String,
    /** inputs: `image`, `tensor`; outputs: `classification`, `regression`, `tensor`. */
    val kind: String,
    /** The file that names the classes, a line each. */
    val labels: String? = null,
    /** Of a classifier with one score: above it the answer is yes. */
    val threshold: Double? = null,
)

class Artifact(
    val id: String,
    val format: Format,
    val precision: String,
    val recipe: String?,
    val file: String,
    val bytes: Long,
    val sha256: String,
    val version: Long,
    /** `any`, `x86_64`, `arm64`. */
    val madeFor: String,
    val operators: Map<String, Long>,
    /** One for each output, or none where nothing could be measured. */
    val tolerances: List<Tolerance>,
    val verdict: Verdict,
    val results: List<Measured>,
)

/** What an output may differ from the reference by; null where nothing is asked. */
class Tolerance(
    val maxAbs: Double?,
    val maxRel: Double?,
    val minSqnrDb: Double?,
    val minTop1: Double?,
    val maxDrop: Double?,
    /** Two classes that the reference puts at most so far apart are a near tie. */
    val tie: Double?,
)

/** What `pipeline verify` measured of an artifact in one runtime. */
class Measured(
    val runtime: String,
    val verdict: Verdict,
    val reasons: List<String>,
    val figures: Map<String, Double?>,
)

class Verified(
    val samples: Long,
    val synthetic: Boolean,
    val threads: Long,
    val arch: String,
    val flags: List<String>,
    val metric: Metric?,
)

class Metric(val name: String, val goal: String, val reference: Double?)

/** A sample with the reference's answers. [label] is the true class. */
class Golden(val inputs: List<GoldenTensor>, val outputs: List<GoldenTensor>, val label: Long?)

class GoldenTensor(val file: String, val dtype: DType, val shape: List<Long>) {
    val bytes: Long get() = dtype.bytes * count(shape)
}

class Listed(val file: String, val bytes: Long, val sha256: String)
