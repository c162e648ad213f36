package dev.edgepipeline.app.ui

import android.content.Context
import android.util.TypedValue
import android.view.Gravity
import android.view.View
import android.view.ViewGroup.LayoutParams.MATCH_PARENT
import android.view.ViewGroup.LayoutParams.WRAP_CONTENT
import android.widget.ImageView
import android.widget.LinearLayout
import android.widget.TextView
import dev.edgepipeline.app.R

class Tab(val title: Int, val icon: Int)

/** The five places: a bar below on a phone, a rail at the side where it is wide. */
class Navigation(context: Context, tabs: List<Tab>, private val isRail: Boolean, onTap: (Int) -> Unit) :
    LinearLayout(context) {
    private val room = if (isRail) RAIL else context.resources.configuration.screenWidthDp / tabs.size
    private val items = tabs.mapIndexed { index, tab -> Item(context, tab, room).also { it.view.setOnClickListener { onTap(index) } } }

    init {
        orientation = if (isRail) VERTICAL else HORIZONTAL
        setBackgroundColor(context.getColor(R.color.card))
        gravity = Gravity.CENTER
        for (item in items) {
            val params = if (isRail) LayoutParams(context.dp(RAIL), WRAP_CONTENT) else LayoutParams(0, WRAP_CONTENT, 1f)
            if (isRail) params.setMargins(0, context.dp(4), 0, context.dp(4))
            addView(item.view, params)
        }
    }

    fun select(index: Int) = items.forEachIndexed { i, item -> item.select(i == index) }

    private class Item(context: Context, tab: Tab, room: Int) {
        private val icon = ImageView(context).apply {
            setImageDrawable(context.tinted(tab.icon, R.color.text_soft))
            scaleType = ImageView.ScaleType.CENTER
            importantForAccessibility = View.IMPORTANT_FOR_ACCESSIBILITY_NO
        }
        private val text: TextView = context.label(context.getString(tab.title), 12f, R.color.text_soft, bold = true).centred().apply {
            maxLines = 1
            // As large as people have their text, as far as the longest word has room.
            setTextSize(TypedValue.COMPLEX_UNIT_PX, minOf(textSize, dp(12) * room / LONGEST))
            importantForAccessibility = View.IMPORTANT_FOR_ACCESSIBILITY_NO
        }
        val view: LinearLayout = context.column(4).apply {
            gravity = Gravity.CENTER
            setPadding(0, dp(10), 0, dp(10))
            contentDescription = context.getString(tab.title)
            isClickable = true
            isFocusable = true
            addView(icon, LayoutParams(dp(60), dp(32)))
            addView(text, LayoutParams(MATCH_PARENT, WRAP_CONTENT))
        }

        fun select(isChosen: Boolean) {
            val context = view.context
            val color = context.getColor(if (isChosen) R.color.on_accent_soft else R.color.text_soft)
            view.isSelected = isChosen
            icon.drawable.setTint(color)
            icon.background = if (isChosen) rounded(context.getColor(R.color.accent_soft), context.dp(16).toFloat()) else null
            text.setTextColor(context.getColor(if (isChosen) R.color.text else R.color.text_soft))
        }
    }

    private companion object {
        const val RAIL = 88 // dp wide
        const val LONGEST = 68f // dp that the longest word takes at 12 dp
    }
}
