package dev.edgepipeline.app.state

import android.content.Context
import android.graphics.Bitmap
import android.graphics.PointF
import android.net.Uri
import dev.edgepipeline.app.Live
import dev.edgepipeline.app.explain
import dev.edgepipeline.core.Bundle
import dev.edgepipeline.core.Choice
import dev.edgepipeline.core.Golden
import dev.edgepipeline.core.Port
import dev.edgepipeline.core.Tensor
import dev.edgepipeline.core.nearestRank

enum class Mode { DRAW, PICTURE, SAMPLES }

/** A stroke of a finger; points from 0 to 1 in both directions. */
typealias Stroke = List<PointF>

sealed class Answer {
    object None : Answer()
    object Running : Answer()

    /** [scores] of an output by class, best first; of other outputs there is [numbers]. */
    class Given(
        val scores: List<Score>, val numbers: String?, val truth: String?, val lastMs: Double, val medianMs: Double,
        val runs: Int,
    ) : Answer()

    /** [isOfPicture]: the picture could not be read, the model was not asked. */
    class Failed(val message: String, val isOfPicture: Boolean = false) : Answer()
}

class Score(val label: String, val value: Double, val share: Double)

class TryState(private val app: AppState, context: Context, private val slot: EngineSlot) {
    private val pictures = Pictures(context.contentResolver)

    val mode = Live(Mode.DRAW)
    val strokes = Live<List<Stroke>>(emptyList())
    val picture = Live<Bitmap?>(null)
    val sample = Live<Int?>(null)
    val answer = Live<Answer>(Answer.None)

    /** How a drawing is handed to the model; null where it takes none. */
    val drawing = Live<Drawing?>(null)

    private val times = ArrayList<Double>()
    private var timed: Choice? = null
    private var waiting: (() -> Unit)? = null

    /** Whether a run is under way, or one that was asked for meanwhile. */
    var isBusy = false
        private set

    init {
        app.choice.observe { choice -> if (choice != null) follow(choice.bundle) }
    }

    private var digest: String? = null

    private fun follow(bundle: Bundle) {
        if (digest == bundle.digest) return
        digest = bundle.digest
        reset()
        app.worker.run({ drawingFor(bundle) }) { result ->
            drawing.value = result.getOrNull()
            if (drawing.value == null) mode.value = Mode.SAMPLES
        }
    }

    private fun reset() {
        strokes.value = emptyList()
        picture.value = null
        sample.value = null
        answer.value = Answer.None
        drawing.value = null
    }

    fun take(mode: Mode) {
        this.mode.value = mode
        answer.value = Answer.None
    }

    fun draw(strokes: List<Stroke>) {
        this.strokes.value = strokes
        val drawing = drawing.value ?: return
        if (strokes.isEmpty()) {
            waiting = null
            answer.value = Answer.None
        } else {
            ask(null) { listOf(drawing.tensor(strokes)) }
        }
    }

    fun pick(uri: Uri) {
        val port = app.choice.value?.bundle?.manifest?.inputs?.singleOrNull() ?: return
        app.worker.run({ pictures.read(uri) }) { found ->
            found.onSuccess { bitmap ->
                picture.value = bitmap
                ask(null) { listOf(pictureTensor(bitmap, port)) }
            }.onFailure { answer.value = Answer.Failed(explain(it), isOfPicture = true) }
        }
    }

    fun askSample(number: Int) {
        val bundle = app.choice.value?.bundle ?: return
        val golden = bundle.manifest.golden[number]
        sample.value = number
        ask(truthOf(bundle, golden)) { golden.inputs.map(bundle::tensor) }
    }

    /** One run at a time; of those that are asked for meanwhile the last one counts. */
    private fun ask(truth: String?, inputs: () -> List<Tensor>) {
        val choice = app.choice.value ?: return
        if (isBusy) {
            waiting = { ask(truth, inputs) }
            return
        }
        isBusy = true
        if (answer.value !is Answer.Given) answer.value = Answer.Running
        app.worker.run({
            slot.use(choice) { engine ->
                val tensors = inputs()
                val start = System.nanoTime()
                val outputs = engine.run(tensors)
                val ms = (System.nanoTime() - start) / 1e6
                read(choice.bundle, outputs, truth, ms, timesWith(choice, ms))
            }
        }) { found ->
            isBusy = false
            val next = waiting
            waiting = null
            // The drawing may have been cleared meanwhile.
            val isWanted = mode.value != Mode.DRAW || strokes.value.isNotEmpty()
            if (isWanted) answer.value = found.getOrElse { Answer.Failed(explain(it)) }
            next?.invoke()
        }
    }

    // On the worker. The first run of an opened model is slower: the median tells.
    private fun timesWith(choice: Choice, ms: Double): List<Double> {
        if (timed?.isSame(choice) != true) times.clear()
        timed = choice
        times += ms
        return times.toList()
    }
}

private fun truthOf(bundle: Bundle, golden: Golden): String? {
    val label = golden.label ?: return null
    val output = bundle.manifest.outputs.find { it.kind == "classification" } ?: return null
    return bundle.labels(output).getOrNull(label.toInt()) ?: label.toString()
}

private fun read(bundle: Bundle, outputs: List<Tensor>, truth: String?, ms: Double, times: List<Double>): Answer.Given {
    val ports = bundle.manifest.outputs
    val at = ports.indexOfFirst { it.kind == "classification" }
    val scores = if (at >= 0) scores(bundle, ports[at], outputs[at].numbers()) else emptyList()
    val numbers = if (at >= 0) null else ports.zip(outputs).joinToString("\n") { (port, tensor) -> summary(port, tensor) }
    return Answer.Given(scores, numbers, truth, ms, nearestRank(times, 50), times.size)
}

private const val BEST = 5

private fun scores(bundle: Bundle, port: Port, values: DoubleArray): List<Score> {
    val threshold = port.threshold
    if (threshold != null) {
        val yes = values[0] > threshold
        return listOf(Score(if (yes) "yes" else "no", values[0], values[0].coerceIn(0.0, 1.0)))
    }
    val labels = bundle.labels(port)
    val isShare = values.all { it in 0.0..1.0 }
    val low = values.minOrNull() ?: 0.0
    val range = ((values.maxOrNull() ?: 0.0) - low).takeIf { it > 0 } ?: 1.0
    return values.indices.sortedByDescending { values[it] }.take(BEST).map { i ->
        Score(labels.getOrNull(i) ?: i.toString(), values[i], if (isShare) values[i] else (values[i] - low) / range)
    }
}

private fun summary(port: Port, tensor: Tensor): String {
    val values = tensor.numbers()
    val shown = values.take(8).joinToString(", ") { "%.4g".format(it) }
    return "${port.name} ${tensor.shape}: $shown${if (values.size > 8) ", …" else ""}"
}
