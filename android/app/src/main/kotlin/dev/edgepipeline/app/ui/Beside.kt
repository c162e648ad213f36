package dev.edgepipeline.app.ui

import android.annotation.SuppressLint
import android.content.Context
import android.view.Gravity
import android.view.View
import android.view.ViewGroup.LayoutParams.MATCH_PARENT
import android.view.ViewGroup.LayoutParams.WRAP_CONTENT
import android.widget.LinearLayout
import android.widget.TextView

/** Lines of words, and a [badge] at their end; below them where their longest line has no room beside it. */
@SuppressLint("ViewConstructor")
class Beside(context: Context, private val lines: List<TextView>, private val badge: View) : LinearLayout(context) {
    private val gap = dp(12)
    private val words = context.column(2).apply { lines.forEach { put(it) } }

    init {
        addView(words, LayoutParams(0, WRAP_CONTENT, 1f))
        addView(badge, LayoutParams(WRAP_CONTENT, WRAP_CONTENT))
    }

    override fun onMeasure(widthSpec: Int, heightSpec: Int) {
        badge.measure(MeasureSpec.UNSPECIFIED, MeasureSpec.UNSPECIFIED)
        val longest = lines.maxOf { it.paint.measureText(it.text.toString()) }
        val room = MeasureSpec.getSize(widthSpec) - paddingLeft - paddingRight - badge.measuredWidth - gap
        val hasRoom = longest <= room
        orientation = if (hasRoom) HORIZONTAL else VERTICAL
        gravity = if (hasRoom) Gravity.CENTER_VERTICAL else Gravity.START
        (words.layoutParams as LayoutParams).apply {
            width = if (hasRoom) 0 else MATCH_PARENT
            weight = if (hasRoom) 1f else 0f
        }
        (badge.layoutParams as LayoutParams).apply {
            marginStart = if (hasRoom) gap else 0
            topMargin = if (hasRoom) 0 else gap / 2
        }
        super.onMeasure(widthSpec, heightSpec)
    }
}

/** A name that may be broken behind its hyphens, and nowhere else. */
fun breakable(name: String): String = name.replace("-", "-\u200b")
