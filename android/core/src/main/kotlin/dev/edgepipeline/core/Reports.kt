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

    fun json(): Map<String, Any?> = linkedMapOf(
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

private fun head(bundle: Bundle, artifact: Artifact, kind: EngineKind, threads: Int) = linkedMapOf<String, Any?>(
    "bundle" to bundle.manifest.name,
    "bundle_digest" to bundle.digest,
    "artifact" to artifact.id,
    "sha256" to artifact.sha256,
    "engine" to kind.id,
    "runtime" to kind.runtime,
    "threads" to threads,
)

fun checkJson(
    bundle: Bundle, artifact: Artifact, kind: EngineKind, threads: Int, warnings: List<String>, found: CheckResult,
): Map<String, Any?> = head(bundle, artifact, kind, threads) + linkedMapOf(
    "verdict" to found.verdict.word,
    "reasons" to found.reasons,
    "warnings" to warnings,
    "outputs" to bundle.manifest.outputs.zip(found.outputs) { output, figures ->
        linkedMapOf(
            "name" to output.name,
            "max_abs" to figures.maxAbs,
            "max_rel" to figures.maxRel,
            "sqnr_db" to figures.sqnrDb,
            "top1" to figures.top1,
            "reasons" to figures.reasons,
        )
    },
    "samples" to found.samples.map { sample ->
        linkedMapOf(
            "sample" to sample.number,
            "max_abs" to sample.maxAbs,
            "top1" to sample.agrees,
            "reasons" to sample.reasons,
        )
    },
    "perturbed" to found.perturbed?.let {
        linkedMapOf("sample" to it.number, "failed" to it.failed, "max_abs" to it.maxAbs)
    },
)

/** A model that could not be opened or run at all. */
fun failedJson(
    bundle: Bundle, artifact: Artifact, kind: EngineKind, threads: Int, why: String,
): Map<String, Any?> = head(bundle, artifact, kind, threads) + linkedMapOf(
    "verdict" to Verdict.FAIL.word,
    "reasons" to listOf(why),
    "warnings" to emptyList<String>(),
    "outputs" to emptyList<Any>(),
    "samples" to emptyList<Any>(),
    "perturbed" to null,
)

fun benchJson(
    bundle: Bundle, artifact: Artifact, kind: EngineKind, threads: Int, found: BenchResult,
): Map<String, Any?> = head(bundle, artifact, kind, threads) + linkedMapOf(
    "load_ms" to found.loadMs,
    "first_ms" to found.firstMs,
    "warmup_runs" to found.warmupRuns,
    "runs" to found.latenciesMs.size,
    "p50_ms" to found.percentile(50),
    "p90_ms" to found.percentile(90),
    "p99_ms" to found.percentile(99),
    "latencies_ms" to found.latenciesMs,
)
