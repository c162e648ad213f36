package dev.edgepipeline.core

/** What the golden samples say of an artifact on this device and engine. */
class CheckResult(
    val verdict: Verdict,
    val reasons: List<String>,
    /** By output; empty if a run failed or nothing could be asked. */
    val outputs: List<Figures> = emptyList(),
    val samples: List<SampleResult> = emptyList(),
    /** Null where no sample could be perturbed. */
    val perturbed: Perturbed? = null,
)

/** One sample by itself: [maxAbs] over all outputs, and whether each decision is the reference's. */
class SampleResult(val number: Int, val maxAbs: Double, val agrees: Boolean, val reasons: List<String>)

/** The proof that the check can fail: sample [number] with a damaged input must be refused. */
class Perturbed(val number: Int, val failed: Boolean, val maxAbs: Double?)

/**
 * Runs every golden sample, each by itself, then one that was damaged on purpose. [progress] is told
 * how many are done. Throws [Refused] for a golden file that is not what the manifest says.
 */
fun selfCheck(
    bundle: Bundle, artifact: Artifact, engine: Engine, progress: (done: Int, all: Int) -> Unit = { _, _ -> },
): CheckResult {
    val golden = bundle.manifest.golden
    val ports = bundle.manifest.outputs
    if (golden.isEmpty()) return CheckResult(Verdict.INCONCLUSIVE, listOf("the bundle has no golden samples"))
    if (artifact.tolerances.isEmpty()) return CheckResult(Verdict.INCONCLUSIVE, listOf("${artifact.id} has no tolerances"))
    val checks = ports.zip(artifact.tolerances, ::OutputCheck)
    val samples = ArrayList<SampleResult>()
    golden.forEachIndexed { number, sample ->
        progress(number, golden.size)
        val expected = sample.outputs.map(bundle::tensor)
        val answers = try {
            engine.run(sample.inputs.map(bundle::tensor))
        } catch (error: RunFailed) {
            return CheckResult(Verdict.FAIL, listOf("sample $number: ${error.message}"), samples = samples)
        }
        for (i in checks.indices) checks[i].add(expected[i], answers[i])
        val alone = figures(ports, artifact.tolerances, expected, answers)
        samples += SampleResult(
            number,
            alone.maxOf { it.maxAbs ?: Double.POSITIVE_INFINITY },
            alone.all { it.top1 == null || it.top1 == 1.0 },
            alone.flatMap { it.reasons },
        )
    }
    progress(golden.size, golden.size)
    val outputs = checks.map { it.result() }
    val reasons = outputs.flatMap { it.reasons }
    val verdict = if (reasons.isEmpty()) Verdict.PASS else Verdict.FAIL
    return CheckResult(verdict, reasons, outputs, samples, perturb(bundle, artifact, engine))
}

/** Of one sample by itself, an output after the other. */
private fun figures(
    ports: List<Port>, tolerances: List<Tolerance>, expected: List<Tensor>, answers: List<Tensor>,
): List<Figures> = ports.indices.map { i ->
    OutputCheck(ports[i], tolerances[i]).apply { add(expected[i], answers[i]) }.result()
}

/**
 * Tries the samples in turn, each with its input inverted, until one is judged `fail` by itself with
 * every decision asked. That an inverted picture answers alike can happen; that all do means that the
 * check sees nothing.
 */
private fun perturb(bundle: Bundle, artifact: Artifact, engine: Engine): Perturbed? {
    val strict = artifact.tolerances.map { asked ->
        Tolerance(asked.maxAbs, asked.maxRel, asked.minSqnrDb, asked.minTop1?.let { 1.0 }, asked.maxDrop, asked.tie)
    }
    var last: Perturbed? = null
    bundle.manifest.golden.forEachIndexed { number, sample ->
        val answers = try {
            engine.run(sample.inputs.map { inverted(bundle.tensor(it)) })
        } catch (error: RunFailed) {
            return Perturbed(number, true, null)
        }
        val figures = figures(bundle.manifest.outputs, strict, sample.outputs.map(bundle::tensor), answers)
        last = Perturbed(number, figures.any { it.reasons.isNotEmpty() }, figures.mapNotNull { it.maxAbs }.maxOrNull())
        if (last.failed) return last
    }
    return last
}

/** The same shape and type, other content: integers by their complement, floats with their sign turned. */
internal fun inverted(tensor: Tensor): Tensor {
    val data = tensor.data.copyOf()
    for (i in data.indices) {
        val turned = when {
            tensor.dtype == DType.BOOL -> data[i].toInt() xor 1
            !tensor.dtype.isFloat -> data[i].toInt().inv()
            i % tensor.dtype.bytes == tensor.dtype.bytes - 1 -> data[i].toInt() xor 0x80
            else -> data[i].toInt()
        }
        data[i] = turned.toByte()
    }
    return Tensor(tensor.dtype, tensor.shape, data)
}
