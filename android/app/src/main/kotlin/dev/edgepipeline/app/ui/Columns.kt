package dev.edgepipeline.app.ui

import android.content.Context
import android.view.View
import android.view.ViewGroup

/**
 * Cards one below the other; in two columns where there is room, each card in the shorter one. Never
 * wider than is good to read.
 */
class Columns(context: Context) : ViewGroup(context) {
    private val gap = context.dp(16)
    private val widest = context.dp(560)
    private var columns = 1
    private var columnWidth = 0
    private var start = 0

    override fun onMeasure(widthSpec: Int, heightSpec: Int) {
        val width = MeasureSpec.getSize(widthSpec)
        columns = if (width >= context.dp(640) && visible().size > 1) 2 else 1
        columnWidth = minOf(widest, (width - gap * (columns - 1)) / columns)
        start = (width - columnWidth * columns - gap * (columns - 1)) / 2
        val ends = IntArray(columns)
        for (child in visible()) {
            child.measure(MeasureSpec.makeMeasureSpec(columnWidth, MeasureSpec.EXACTLY), MeasureSpec.makeMeasureSpec(0, MeasureSpec.UNSPECIFIED))
            ends[shorter(ends)] += child.measuredHeight + gap
        }
        setMeasuredDimension(width, (ends.max() - gap).coerceAtLeast(0))
    }

    override fun onLayout(changed: Boolean, left: Int, top: Int, right: Int, bottom: Int) {
        val ends = IntArray(columns)
        for (child in visible()) {
            val column = shorter(ends)
            val place = if (layoutDirection == LAYOUT_DIRECTION_RTL) columns - 1 - column else column
            val x = start + place * (columnWidth + gap)
            child.layout(x, ends[column], x + columnWidth, ends[column] + child.measuredHeight)
            ends[column] += child.measuredHeight + gap
        }
    }

    private fun shorter(ends: IntArray): Int = ends.indices.minBy { ends[it] }

    private fun visible(): List<View> = (0 until childCount).map(::getChildAt).filter { it.visibility != GONE }

    override fun generateDefaultLayoutParams() = LayoutParams(LayoutParams.MATCH_PARENT, LayoutParams.WRAP_CONTENT)
}
