package dev.edgepipeline.app.screens

import android.graphics.Bitmap
import android.graphics.Color
import android.view.Gravity
import android.view.View
import android.widget.HorizontalScrollView
import android.widget.ImageView
import android.widget.LinearLayout
import dev.edgepipeline.app.MainActivity
import dev.edgepipeline.app.R
import dev.edgepipeline.app.state.Answer
import dev.edgepipeline.app.state.Mode
import dev.edgepipeline.app.state.Score
import dev.edgepipeline.app.state.isPicture
import dev.edgepipeline.app.ui.Columns
import dev.edgepipeline.app.ui.DrawView
import dev.edgepipeline.app.ui.Segments
import dev.edgepipeline.app.ui.ShareBar
import dev.edgepipeline.app.ui.card
import dev.edgepipeline.app.ui.centred
import dev.edgepipeline.app.ui.column
import dev.edgepipeline.app.ui.dp
import dev.edgepipeline.app.ui.label
import dev.edgepipeline.app.ui.live
import dev.edgepipeline.app.ui.mainButton
import dev.edgepipeline.app.ui.put
import dev.edgepipeline.app.ui.quietButton
import dev.edgepipeline.app.ui.rippled
import dev.edgepipeline.app.ui.rounded
import dev.edgepipeline.app.ui.row
import dev.edgepipeline.core.DType
import dev.edgepipeline.core.Tensor

class TryScreen(activity: MainActivity) : Screen(activity) {
    override val title = R.string.tab_try
    override val lead = R.string.try_lead
    private val tries = app.tries

    override fun build(columns: Columns) {
        val input = columns.place()
        val answer = columns.place()
        var slate: DrawView? = null
        watchAll(app.choice, tries.drawing, tries.mode, tries.picture, tries.sample) {
            slate = null
            input.show(inputCard { slate = it })
            slate?.show(tries.strokes.value)
        }
        watch(tries.strokes) { slate?.show(it) }
        watch(tries.answer) { answer.show(answerCard(it)) }
    }

    private fun inputCard(onSlate: (DrawView) -> Unit): View = activity.card {
        if (app.choice.value == null) {
            put(context.label(nothingToRun(), 14f, R.color.text_soft))
            return@card
        }
        val names = listOf(R.string.mode_draw, R.string.mode_picture, R.string.mode_samples)
        val choices = Mode.entries.mapIndexed { i, mode -> text(names[i]) to { tries.take(mode) } }
        put(Segments(context, choices, tries.mode.value.ordinal))
        when (tries.mode.value) {
            Mode.DRAW -> slate(onSlate)
            Mode.PICTURE -> picture()
            Mode.SAMPLES -> samples()
        }
    }

    private fun LinearLayout.slate(onSlate: (DrawView) -> Unit) {
        val drawing = tries.drawing.value
        if (drawing == null) {
            put(context.label(text(R.string.no_drawing), 14f, R.color.text_soft))
            return
        }
        val view = DrawView(context, drawing) { tries.draw(it) }
        addView(
            view,
            LinearLayout.LayoutParams(LinearLayout.LayoutParams.MATCH_PARENT, LinearLayout.LayoutParams.WRAP_CONTENT).apply {
                gravity =
                    Gravity.CENTER_HORIZONTAL
            },
        )
        onSlate(view)
        put(context.row(12)) {
            put(context.label(text(R.string.canvas_size, drawing.width, drawing.height), 13f, R.color.text_soft), 1f)
            put(context.quietButton(text(R.string.clear)) { tries.draw(emptyList()) })
        }
    }

    private fun LinearLayout.picture() {
        val input = app.choice.value?.bundle?.manifest?.inputs?.singleOrNull()
        if (input == null || !isPicture(input)) {
            put(context.label(text(R.string.no_drawing), 14f, R.color.text_soft))
            return
        }
        tries.picture.value?.let { bitmap ->
            put(pictureView(bitmap, text(R.string.picture_label))) {
                adjustViewBounds = true
                maxHeight = dp(360)
            }
        }
        put(context.mainButton(text(R.string.pick_picture), R.drawable.ic_add) { activity.pickPicture() })
    }

    private fun LinearLayout.samples() {
        val bundle = app.choice.value?.bundle ?: return
        val golden = bundle.manifest.golden
        if (golden.isEmpty()) {
            put(context.label(text(R.string.no_samples), 14f, R.color.text_soft))
            return
        }
        val strip = context.row(10)
        golden.forEachIndexed { number, sample ->
            strip.put(sampleView(number, sample.inputs.singleOrNull()?.let(bundle::tensor)))
        }
        put(HorizontalScrollView(context)) {
            isHorizontalScrollBarEnabled = false
            addView(strip)
        }
    }

    private fun sampleView(number: Int, tensor: Tensor?): View {
        val isChosen = tries.sample.value == number
        val name = text(R.string.sample_label, number)
        val ground = if (isChosen) R.color.accent_soft else R.color.well
        return activity.column(6).apply {
            background = context.rippled(rounded(context.getColor(ground), dp(16).toFloat()))
            setPadding(dp(8), dp(8), dp(8), dp(8))
            gravity = Gravity.CENTER_HORIZONTAL
            tensor?.let(::bitmapOf)?.let { addView(pictureView(it, null), dp(72), dp(72)) }
            put(context.label(name, 13f, if (isChosen) R.color.on_accent_soft else R.color.text_soft).centred())
            contentDescription = name
            isSelected = isChosen
            isFocusable = true
            setOnClickListener { tries.askSample(number) }
        }
    }

    private fun pictureView(bitmap: Bitmap, description: String?) = ImageView(activity).apply {
        setImageBitmap(bitmap)
        scaleType = ImageView.ScaleType.FIT_CENTER
        contentDescription = description
        if (description == null) importantForAccessibility = View.IMPORTANT_FOR_ACCESSIBILITY_NO
    }

    private fun answerCard(answer: Answer): View = activity.card(text(R.string.answer)) {
        when (answer) {
            is Answer.None -> put(context.label(text(R.string.no_answer), 14f, R.color.text_soft))
            is Answer.Running -> put(context.label(text(R.string.running), 14f, R.color.text_soft))
            is Answer.Failed -> {
                val what = if (answer.isOfPicture) R.string.picture_failed else R.string.run_failed
                put(context.label(text(what), 15f, R.color.bad, bold = true))
                put(context.label(answer.message).live())
            }
            is Answer.Given -> given(answer)
        }
    }

    private fun LinearLayout.given(answer: Answer.Given) {
        answer.scores.firstOrNull()?.let { best ->
            put(context.row(12)) {
                put(context.label(best.label, 44f, R.color.accent, bold = true).live(), 1f)
                answer.truth?.let { put(context.label(text(R.string.truth, it), 14f, R.color.text_soft)) }
            }
        }
        answer.scores.forEach { put(bar(it)) }
        answer.numbers?.let { put(context.label(it).live()) }
        val times = activity.resources.getQuantityString(
            R.plurals.run_times, answer.runs, milliseconds(answer.lastMs), answer.runs, milliseconds(answer.medianMs),
        )
        put(context.label(times, 13f, R.color.text_soft))
    }

    private fun bar(score: Score): View = activity.column(4).apply {
        val value = "%.4f".format(score.value)
        put(context.row(8)) {
            put(context.label(score.label, 15f, bold = true), 1f)
            put(context.label(value, 14f, R.color.text_soft))
        }
        put(ShareBar(context, score.share))
        contentDescription = text(R.string.bar_label, score.label, value)
        isFocusable = true
    }
}

/** uint8 [1, height, width, 1 or 3] as a picture, its pixels sharp; null for anything else. */
private fun bitmapOf(tensor: Tensor): Bitmap? {
    val shape = tensor.shape.map { it.toInt() }
    if (tensor.dtype != DType.UINT8 || shape.size != 4 || shape[0] != 1 || shape[3] !in listOf(1, 3)) return null
    val (_, height, width, channels) = shape
    fun at(i: Int, c: Int) = tensor.data[i * channels + if (channels == 3) c else 0].toInt() and 0xff
    val pixels = IntArray(width * height) { Color.rgb(at(it, 0), at(it, 1), at(it, 2)) }
    val bitmap = Bitmap.createBitmap(pixels, width, height, Bitmap.Config.ARGB_8888)
    val larger = 176 / maxOf(width, height)
    return if (larger > 1) Bitmap.createScaledBitmap(bitmap, width * larger, height * larger, false) else bitmap
}

/** Three digits, and never 0 for what took time. */
fun milliseconds(ms: Double): String = when {
    ms >= 100 -> "%.0f".format(ms)
    ms >= 10 -> "%.1f".format(ms)
    ms >= 1 -> "%.2f".format(ms)
    else -> "%.3f".format(ms)
}
