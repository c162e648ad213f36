package dev.edgepipeline.app.ui

import android.annotation.SuppressLint
import android.content.Context
import android.view.ViewGroup.LayoutParams.MATCH_PARENT
import android.view.ViewGroup.LayoutParams.WRAP_CONTENT
import android.widget.LinearLayout
import android.widget.TextView
import dev.edgepipeline.app.R

/** One of several choices, side by side and each as wide as the others; one below the other where a word has no room. */
@SuppressLint("ViewConstructor")
class Segments(context: Context, choices: List<Pair<String, () -> Unit>>, selected: Int) : LinearLayout(context) {
    private val inset = dp(4)
    private val items = choices.mapIndexed { i, (text, action) -> item(text, i == selected, action) }

    init {
        background = rounded(context.getColor(R.color.well), dp(28).toFloat())
        setPadding(inset, inset, inset, inset)
        items.forEach { addView(it, LayoutParams(0, WRAP_CONTENT, 1f)) }
    }

    private fun item(text: String, isChosen: Boolean, action: () -> Unit): TextView {
        val color = if (isChosen) R.color.on_accent_soft else R.color.text_soft
        return context.label(text, 14f, color, bold = true).centred().apply {
            minHeight = dp(48)
            setPadding(dp(6), 0, dp(6), 0)
            isSelected = isChosen
            background = context.rippled(rounded(if (isChosen) context.getColor(R.color.accent_soft) else 0, dp(24).toFloat()))
            isClickable = true
            isFocusable = true
            setOnClickListener { action() }
        }
    }

    override fun onMeasure(widthSpec: Int, heightSpec: Int) {
        val room = (MeasureSpec.getSize(widthSpec) - 2 * inset) / items.size.coerceAtLeast(1)
        val hasRoom = items.all { it.paint.measureText(it.text.toString()) + it.paddingLeft + it.paddingRight <= room }
        orientation = if (hasRoom) HORIZONTAL else VERTICAL
        for (item in items) {
            val params = item.layoutParams as LayoutParams
            params.width = if (hasRoom) 0 else MATCH_PARENT
            params.weight = if (hasRoom) 1f else 0f
        }
        super.onMeasure(widthSpec, heightSpec)
    }
}
