package dev.edgepipeline.app.ui

import android.annotation.SuppressLint
import android.content.Context
import android.graphics.Canvas
import android.graphics.PointF
import android.view.MotionEvent
import android.view.View
import dev.edgepipeline.app.R
import dev.edgepipeline.app.state.Drawing
import dev.edgepipeline.app.state.Stroke
import dev.edgepipeline.app.state.pathOf
import dev.edgepipeline.app.state.strokePaint

/** A slate to draw on. [onDrawn] is given all strokes whenever a finger is lifted. */
class DrawView(context: Context, private val drawing: Drawing, private val onDrawn: (List<Stroke>) -> Unit) :
    View(context) {
    private var strokes: List<Stroke> = emptyList()
    private var current: ArrayList<PointF>? = null
    private val paint = strokePaint(1f).apply { color = context.getColor(R.color.ink) }

    init {
        contentDescription = context.getString(R.string.canvas_label)
        background = rounded(context.getColor(R.color.slate), context.dp(16).toFloat())
        clipToOutline = true
    }

    fun show(strokes: List<Stroke>) {
        this.strokes = strokes
        invalidate()
    }

    override fun onMeasure(widthSpec: Int, heightSpec: Int) {
        // As wide as there is room, but all of it in sight where a phone lies on its side.
        val highest = context.dp(maxOf(200, resources.configuration.screenHeightDp * 6 / 10))
        val width = minOf(MeasureSpec.getSize(widthSpec), highest * drawing.width / drawing.height)
        setMeasuredDimension(width, width * drawing.height / drawing.width)
    }

    @SuppressLint("ClickableViewAccessibility") // drawing is no click
    override fun onTouchEvent(event: MotionEvent): Boolean {
        when (event.actionMasked) {
            MotionEvent.ACTION_DOWN -> {
                parent.requestDisallowInterceptTouchEvent(true) // the page must not scroll away
                current = arrayListOf(pointOf(event.x, event.y))
            }
            MotionEvent.ACTION_MOVE -> {
                for (i in 0 until event.historySize) {
                    current?.add(pointOf(event.getHistoricalX(i), event.getHistoricalY(i)))
                }
                current?.add(pointOf(event.x, event.y))
            }
            MotionEvent.ACTION_UP -> finish()
            MotionEvent.ACTION_CANCEL -> current = null
        }
        invalidate()
        return true
    }

    private fun finish() {
        val stroke = current ?: return
        current = null
        onDrawn(strokes + listOf(stroke))
    }

    private fun pointOf(x: Float, y: Float) = PointF((x / width).coerceIn(0f, 1f), (y / height).coerceIn(0f, 1f))

    override fun onDraw(canvas: Canvas) {
        paint.strokeWidth = drawing.strokeWidth * width
        for (stroke in strokes) canvas.drawPath(pathOf(stroke, width.toFloat(), height.toFloat()), paint)
        current?.let { canvas.drawPath(pathOf(it, width.toFloat(), height.toFloat()), paint) }
    }
}
