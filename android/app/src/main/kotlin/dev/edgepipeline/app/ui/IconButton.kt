package dev.edgepipeline.app.ui

import android.annotation.SuppressLint
import android.content.Context
import android.view.Gravity
import android.widget.Button
import kotlin.math.ceil

/** A button whose icon stands beside its words, both in the middle; the framework's has it at the edge. */
@SuppressLint("ViewConstructor")
class IconButton(context: Context, private val side: Int) : Button(context, null, 0, 0) {
    init {
        gravity = Gravity.START or Gravity.CENTER_VERTICAL
    }

    override fun onMeasure(widthSpec: Int, heightSpec: Int) {
        pad(side)
        super.onMeasure(widthSpec, heightSpec)
        val lines = layout ?: return
        val words = (0 until lines.lineCount).maxOfOrNull { lines.getLineWidth(it) } ?: 0f
        val icon = compoundDrawablesRelative[0]?.let { it.intrinsicWidth + compoundDrawablePadding } ?: 0
        pad(maxOf(side, (measuredWidth - icon - ceil(words).toInt()) / 2))
        super.onMeasure(widthSpec, heightSpec)
    }

    private fun pad(side: Int) {
        if (paddingStart != side) setPaddingRelative(side, paddingTop, side, paddingBottom)
    }
}
