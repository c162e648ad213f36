package dev.edgepipeline.core

import kotlin.math.abs
import kotlin.math.log10
import kotlin.math.max

/** One output over all samples. Null where a figure has no meaning, all where [reasons] say why. */
class Figures(
    val maxAbs: Double?,
    val maxRel: Double?,
    val sqnrDb: Double?,
    /** Share of decisions that are the reference's, near ties among them. */
    val top1: Double?,
    val reasons: List<String>,
)

/** An output's answers against the reference's, by the rules of docs/bundle-format.md. */
class OutputCheck(private val output: Port, private val asked: Tolerance) {
    private var samples = 0
    private var wrong: String? = null
    private var maxAbs = 0.0
    private var scale = 0.0
    private var signal = 0.0
    private var noise = 0.0
    private var decisions = 0
    private var different = 0

    fun add(expected: Tensor, answer: Tensor) {
        val sample = samples++
        if (wrong != null) return
        val r = expected.numbers()
        val x = answer.numbers()
        misfit(expected, answer, r, x)?.let {
            wrong = "${output.name}, sample $sample: $it"
            return
        }
        for (i in r.indices) {
            val difference = r[i] - x[i]
            maxAbs = max(maxAbs, abs(difference))
            scale = max(scale, abs(r[i]))
            signal += r[i] * r[i]
            noise += difference * difference
        }
        decide(expected, answer, r, x)
    }

    fun result(): Figures {
        wrong?.let { return Figures(null, null, null, null, listOf(it)) }
        val maxRel = if (scale != 0.0) maxAbs / scale else if (maxAbs == 0.0) 0.0 else null
        val sqnr = if (signal != 0.0 && noise != 0.0) 10 * (log10(signal) - log10(noise)) else null
        val top1 = if (decisions > 0) (decisions - different).toDouble() / decisions else null
        return Figures(maxAbs, maxRel, sqnr, top1, reasons(maxRel, sqnr, top1))
    }

    private fun misfit(expected: Tensor, answer: Tensor, r: DoubleArray, x: DoubleArray): String? = when {
        expected.dtype != answer.dtype || expected.shape != answer.shape ->
            "${answer.describe()} instead of ${expected.describe()}"
        !r.all { it.isFinite() } || !x.all { it.isFinite() } -> "NaN or infinity"
        else -> null
    }

    private fun decide(expected: Tensor, answer: Tensor, r: DoubleArray, x: DoubleArray) {
        val line = output.threshold
        when {
            // By their bytes: a 64-bit integer does not fit a double.
            !output.dtype.isFloat -> for (i in r.indices) {
                val from = i * output.dtype.bytes
                val same = (from until from + output.dtype.bytes).all { expected.data[it] == answer.data[it] }
                count(!same, Double.POSITIVE_INFINITY)
            }
            line != null -> for (i in r.indices) count((r[i] > line) != (x[i] > line), abs(r[i] - line))
            output.kind == "classification" && r.isNotEmpty() -> {
                val classes = expected.shape.last().toInt()
                for (row in r.indices step classes) {
                    val chosen = firstLargest(r, row, classes)
                    val other = firstLargest(x, row, classes)
                    count(chosen != other, r[row + chosen] - r[row + other])
                }
            }
        }
    }

    private fun count(differs: Boolean, margin: Double) {
        decisions++
        if (differs && margin > (asked.tie ?: 0.0)) different++
    }

    private fun reasons(maxRel: Double?, sqnr: Double?, top1: Double?): List<String> = buildList {
        val name = output.name
        if (above(maxAbs, asked.maxAbs)) {
            add("$name: largest error ${short(maxAbs)}, ${short(asked.maxAbs)} allowed")
        }
        if (above(maxRel, asked.maxRel)) {
            add("$name: largest relative error ${short(maxRel)}, ${short(asked.maxRel)} allowed")
        }
        if (above(asked.minSqnrDb, sqnr)) {
            add("$name: SQNR ${short(sqnr)} dB, at least ${short(asked.minSqnrDb)} asked")
        }
        // A share below 1 says nothing of a few samples: one may always differ.
        if (above(asked.minTop1, top1) && (different > 1 || asked.minTop1 == 1.0)) {
            add("$name: $different of $decisions decisions are not the reference's")
        }
    }
}

/** The place of the largest of [length] numbers from [start], the first of equal ones. */
fun firstLargest(values: DoubleArray, start: Int = 0, length: Int = values.size): Int {
    var best = 0
    for (i in 1 until length) if (values[start + i] > values[start + best]) best = i
    return best
}

private fun above(value: Double?, limit: Double?): Boolean = value != null && limit != null && value > limit

internal fun short(value: Double?): String = if (value == null) "-" else "%.3g".format(java.util.Locale.ROOT, value)
