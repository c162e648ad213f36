package dev.edgepipeline.app.ui

import android.annotation.SuppressLint
import android.content.Context
import android.view.View
import android.view.ViewGroup

/**
 * A header, and cards one below the other; in two columns where there is room, each card in the
 * shorter one. Never wider than is good to read, and then in the middle.
 */
@SuppressLint("ViewConstructor")
class Columns(context: Context, private val header: View) : ViewGroup(context) {
    private val gap = context.dp(16)
    private val widest = context.dp(560)
    private var columns = 1
    private var columnWidth = 0
    private var start = 0

    init {
        addView(header)
    }

    override fun onMeasure(widthSpec: Int, heightSpec: Int) {
        val width = MeasureSpec.getSize(widthSpec)
        columns = if (width >= context.dp(640)) 2 else 1
        columnWidth = minOf(widest, (width - gap * (columns - 1)) / columns)
        val all = columnWidth * columns + gap * (columns - 1)
        start = (width - all) / 2
        measure(header, all)
        val ends = IntArray(columns) { header.measuredHeight }
        for (card in cards()) {
            measure(card, columnWidth)
            ends[shorter(ends)] += card.measuredHeight + gap
        }
        setMeasuredDimension(width, (ends.max() - gap).coerceAtLeast(header.measuredHeight))
    }

    private fun measure(child: View, width: Int) =
        child.measure(MeasureSpec.makeMeasureSpec(width, MeasureSpec.EXACTLY), MeasureSpec.makeMeasureSpec(0, MeasureSpec.UNSPECIFIED))

    override fun onLayout(changed: Boolean, left: Int, top: Int, right: Int, bottom: Int) {
        header.layout(start, 0, start + header.measuredWidth, header.measuredHeight)
        val ends = IntArray(columns) { header.measuredHeight }
        for (card in cards()) {
            val column = shorter(ends)
            val place = if (layoutDirection == LAYOUT_DIRECTION_RTL) columns - 1 - column else column
            val x = start + place * (columnWidth + gap)
            card.layout(x, ends[column], x + columnWidth, ends[column] + card.measuredHeight)
            ends[column] += card.measuredHeight + gap
        }
    }

    private fun shorter(ends: IntArray): Int = ends.indices.minBy { ends[it] }

    private fun cards(): List<View> = (0 until childCount).map(::getChildAt).filter { it !== header && it.visibility != GONE }

    override fun generateDefaultLayoutParams() = LayoutParams(LayoutParams.MATCH_PARENT, LayoutParams.WRAP_CONTENT)
}
