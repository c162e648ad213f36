package dev.edgepipeline.app.ui

import android.content.Context
import android.graphics.Canvas
import android.graphics.Paint
import android.graphics.RectF
import android.util.TypedValue
import android.view.View
import dev.edgepipeline.app.R
import kotlin.math.floor

/** A share from 0 to 1 as a bar. Says nothing to TalkBack: the text beside it does. */
class ShareBar(context: Context, private val share: Double, color: Int = R.color.accent) : View(context) {
    private val paint = Paint(Paint.ANTI_ALIAS_FLAG).apply { this.color = context.getColor(color) }
    private val ground = Paint(Paint.ANTI_ALIAS_FLAG).apply { this.color = context.getColor(R.color.well) }

    init {
        importantForAccessibility = IMPORTANT_FOR_ACCESSIBILITY_NO
        minimumHeight = context.dp(8)
    }

    override fun onMeasure(widthSpec: Int, heightSpec: Int) =
        setMeasuredDimension(MeasureSpec.getSize(widthSpec), context.dp(8))

    override fun onDraw(canvas: Canvas) {
        val radius = height / 2f
        canvas.drawRoundRect(0f, 0f, width.toFloat(), height.toFloat(), radius, radius, ground)
        val end = (width * share.coerceIn(0.0, 1.0)).toFloat()
        if (end < 1) return
        val length = maxOf(end, height.toFloat())
        val from = if (layoutDirection == LAYOUT_DIRECTION_RTL) width - length else 0f
        canvas.drawRoundRect(from, 0f, from + length, height.toFloat(), radius, radius, paint)
    }
}

/** Bars of one colour over a common line, with the ends of the axis below. */
class Bars(
    context: Context, private val heights: List<Double>, private val from: String, private val to: String,
    private val marked: Set<Int> = emptySet(), markedColor: Int = R.color.bad,
) : View(context) {
    private val bar = Paint(Paint.ANTI_ALIAS_FLAG).apply { color = context.getColor(R.color.accent) }
    private val markedBar = Paint(Paint.ANTI_ALIAS_FLAG).apply { color = context.getColor(markedColor) }
    private val line = Paint().apply {
        color = context.getColor(R.color.card_line)
        strokeWidth = context.dp(1).toFloat()
    }
    private val text = Paint(Paint.ANTI_ALIAS_FLAG).apply {
        color = context.getColor(R.color.text_soft)
        textSize = TypedValue.applyDimension(TypedValue.COMPLEX_UNIT_SP, 12f, context.resources.displayMetrics)
    }
    private val place = RectF()

    override fun onMeasure(widthSpec: Int, heightSpec: Int) =
        setMeasuredDimension(MeasureSpec.getSize(widthSpec), context.dp(132))

    override fun onDraw(canvas: Canvas) {
        val floor = height - text.textSize * 1.7f
        val highest = heights.maxOrNull()?.takeIf { it > 0 } ?: 1.0
        val step = width.toFloat() / heights.size.coerceAtLeast(1)
        val gap = minOf(step * 0.2f, context.dp(4).toFloat())
        val radius = minOf((step - gap) / 2, context.dp(4).toFloat())
        heights.forEachIndexed { i, value ->
            if (value <= 0) return@forEachIndexed
            val top = floor - maxOf((floor * value / highest).toFloat(), context.dp(3).toFloat())
            place.set(i * step + gap / 2, top, (i + 1) * step - gap / 2, floor)
            canvas.drawRoundRect(place, radius, radius, if (i in marked) markedBar else bar)
        }
        canvas.drawLine(0f, floor, width.toFloat(), floor, line)
        text.textAlign = Paint.Align.LEFT
        canvas.drawText(from, 0f, height - text.textSize * 0.3f, text)
        text.textAlign = Paint.Align.RIGHT
        canvas.drawText(to, width.toFloat(), height - text.textSize * 0.3f, text)
    }
}

private const val BINS = 24

/**
 * How many values fall into each of 24 parts between the smallest one and [end], and last how many are
 * above it.
 */
fun histogram(values: List<Double>, end: Double): List<Double> {
    val low = values.min()
    val range = (end - low).takeIf { it > 0 } ?: 1.0
    val bins = DoubleArray(BINS + 1)
    for (value in values) bins[if (value > end) BINS else floor((value - low) / range * BINS).toInt().coerceIn(0, BINS - 1)]++
    return bins.asList()
}
