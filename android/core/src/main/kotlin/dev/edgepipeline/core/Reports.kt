package dev.edgepipeline.core

// What the app says as JSON: to `am instrument`, and to whom a benchmark is shared with.
// docs/android.md has the keys.

/** The device and program that gave the figures. */
class Device(
    val manufacturer: String,
    val model: String,
    val androidVersion: String,
    val apiLevel: Int,
    val abi: String,
    val cores: Int,
    val pageSize: Long,
    val appVersion: String,
) {
    /** As people call it: `Google Pixel 8`. */
    val name: String
        get() {
            val whole = if (model.startsWith(manufacturer, ignoreCase = true)) model else "$manufacturer $model"
            return whole.replaceFirstChar { it.titlecaseChar() }
        }

    fun json(): Map<String, Any?> = mapOf(
        "manufacturer" to manufacturer,
        "model" to model,
        "android" to androidVersion,
        "api_level" to apiLevel,
        "abi" to abi,
        "cores" to cores,
        "page_size" to pageSize,
        "app" to appVersion,
    )
}

private fun head(choice: Choice) = mapOf(
    "bundle" to choice.bundle.manifest.name,
    "bundle_digest" to choice.bundle.digest,
    "artifact" to choice.artifact.id,
    "sha256" to choice.artifact.sha256,
    "engine" to choice.kind.id,
    "runtime" to choice.kind.runtime,
    "threads" to choice.threads,
)

fun checkJson(choice: Choice, warnings: List<String>, result: CheckResult): Map<String, Any?> = head(choice) + mapOf(
    "verdict" to result.verdict.word,
    "reasons" to result.reasons,
    "warnings" to warnings,
    "outputs" to choice.bundle.manifest.outputs.zip(result.outputs) { output, figures ->
        mapOf(
            "name" to output.name,
            "max_abs" to figures.maxAbs,
            "max_rel" to figures.maxRel,
            "sqnr_db" to figures.sqnrDb,
            "top1" to figures.top1,
            "reasons" to figures.reasons,
        )
    },
    "samples" to result.samples.map {
        mapOf("sample" to it.number, "max_abs" to it.maxAbs, "top1" to it.agrees, "reasons" to it.reasons)
    },
    "perturbed" to result.perturbed?.let { mapOf("sample" to it.number, "failed" to it.failed, "max_abs" to it.maxAbs) },
)

/** A model that could not be opened or run at all. */
fun failedJson(choice: Choice, why: String): Map<String, Any?> = checkJson(choice, emptyList(), CheckResult(Verdict.FAIL, listOf(why)))

fun benchJson(choice: Choice, result: BenchResult): Map<String, Any?> = head(choice) + mapOf(
    "load_ms" to result.loadMs,
    "first_ms" to result.firstMs,
    "warmup_runs" to result.warmupRuns,
    "runs" to result.latenciesMs.size,
    "p50_ms" to result.percentile(50),
    "p90_ms" to result.percentile(90),
    "p99_ms" to result.percentile(99),
    "latencies_ms" to result.latenciesMs,
)
