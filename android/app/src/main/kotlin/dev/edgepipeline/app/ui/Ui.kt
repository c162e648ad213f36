package dev.edgepipeline.app.ui

import android.content.Context
import android.content.res.ColorStateList
import android.graphics.Typeface
import android.graphics.drawable.Drawable
import android.graphics.drawable.GradientDrawable
import android.graphics.drawable.RippleDrawable
import android.os.Build
import android.view.Gravity
import android.view.View
import android.view.ViewGroup.LayoutParams.MATCH_PARENT
import android.view.ViewGroup.LayoutParams.WRAP_CONTENT
import android.widget.Button
import android.widget.LinearLayout
import android.widget.TextView
import dev.edgepipeline.app.R

// The few pieces that all screens are made of. Sizes in dp, text in sp.

fun Context.dp(size: Int): Int = (size * resources.displayMetrics.density + 0.5f).toInt()

fun View.dp(size: Int): Int = context.dp(size)

fun rounded(color: Int, radius: Float, line: Int = 0, lineWidth: Int = 0) = GradientDrawable().apply {
    setColor(color)
    cornerRadius = radius
    if (lineWidth > 0) setStroke(lineWidth, line)
}

/** A line of text; [color] is a resource. */
fun Context.label(text: CharSequence, size: Float = 14f, color: Int = R.color.text, bold: Boolean = false) =
    TextView(this).apply {
        this.text = text
        textSize = size
        textAlignment = View.TEXT_ALIGNMENT_VIEW_START // where one reads from the right, English too
        setTextColor(getColor(color))
        if (bold) typeface = MEDIUM
    }

val MEDIUM: Typeface = Typeface.create("sans-serif-medium", Typeface.NORMAL)

fun TextView.centred() = apply {
    gravity = Gravity.CENTER
    textAlignment = View.TEXT_ALIGNMENT_CENTER
}

fun TextView.heading() = apply { if (Build.VERSION.SDK_INT >= 28) isAccessibilityHeading = true }

/** TalkBack reads it whenever it changes. */
fun <T : View> T.live() = apply { accessibilityLiveRegion = View.ACCESSIBILITY_LIVE_REGION_POLITE }

fun Context.column(gap: Int = 0) = stack(LinearLayout.VERTICAL, gap)

fun Context.row(gap: Int = 0) = stack(LinearLayout.HORIZONTAL, gap).apply { gravity = Gravity.CENTER_VERTICAL }

private fun Context.stack(direction: Int, gap: Int) = LinearLayout(this).apply {
    orientation = direction
    isBaselineAligned = false
    if (gap > 0) {
        showDividers = LinearLayout.SHOW_DIVIDER_MIDDLE
        dividerDrawable = GradientDrawable().apply { setSize(dp(gap), dp(gap)) }
    }
}

/** Adds a child that is as wide as its parent, or that takes a [weight] of a row, after [setUp]. */
fun <T : View> LinearLayout.put(child: T, weight: Float = 0f, setUp: T.() -> Unit = {}): T {
    child.setUp()
    val isRow = orientation == LinearLayout.HORIZONTAL
    val width = if (isRow) (if (weight > 0) 0 else WRAP_CONTENT) else MATCH_PARENT
    addView(child, LinearLayout.LayoutParams(width, WRAP_CONTENT, weight))
    return child
}

/** A surface with a title, which [fill] fills. */
fun Context.card(title: String? = null, fill: LinearLayout.() -> Unit): LinearLayout = column(12).apply {
    background = rounded(context.getColor(R.color.card), dp(20).toFloat(), context.getColor(R.color.card_line), dp(1))
    setPadding(dp(20), dp(18), dp(20), dp(20))
    if (title != null) put(label(title, 16f, bold = true).heading())
    fill()
}

/** A short word on a tinted ground. */
fun Context.chip(text: String, color: Int, ground: Int) = label(text, 12f, color, bold = true).apply {
    background = rounded(context.getColor(ground), dp(10).toFloat())
    setPadding(dp(10), dp(4), dp(10), dp(4))
}

fun Context.mainButton(text: String, icon: Int = 0, action: () -> Unit): Button =
    button(text, R.color.on_accent, R.color.accent, icon, action)

fun Context.quietButton(text: String, icon: Int = 0, action: () -> Unit): Button =
    button(text, R.color.on_accent_soft, R.color.accent_soft, icon, action)

private fun Context.button(text: String, color: Int, ground: Int, icon: Int, action: () -> Unit) =
    IconButton(this, side = dp(if (text.length == 1) 0 else 20)).apply {
        this.text = text
        textSize = 15f
        typeface = MEDIUM
        minHeight = dp(48)
        minWidth = dp(48)
        setPadding(0, dp(10), 0, dp(10))
        setTextColor(getColor(color))
        background = rippled(rounded(getColor(ground), dp(24).toFloat()))
        if (icon != 0) {
            setCompoundDrawablesRelativeWithIntrinsicBounds(tinted(icon, color), null, null, null)
            compoundDrawablePadding = dp(8)
        }
        isClickable = true
        isFocusable = true
        setOnClickListener { action() }
    }

fun Context.rippled(content: Drawable?): Drawable {
    val ripple = ColorStateList.valueOf((getColor(R.color.text) and 0xffffff) or 0x22000000)
    return RippleDrawable(ripple, content, content ?: rounded(-1, dp(14).toFloat()))
}

fun Context.tinted(icon: Int, color: Int): Drawable =
    requireNotNull(getDrawable(icon)).mutate().apply { setTint(getColor(color)) }

/** A number with its name above it; both are read as one. */
fun Context.figure(name: String, value: String, note: String? = null, color: Int = R.color.text) = column(2).apply {
    background = rounded(context.getColor(R.color.well), dp(14).toFloat())
    setPadding(dp(14), dp(10), dp(14), dp(12))
    put(label(name, 12f, R.color.text_soft))
    put(label(value, 18f, color, bold = true))
    if (note != null) put(label(note, 12f, R.color.text_soft))
    contentDescription = listOfNotNull(name, value, note).joinToString(", ")
    isFocusable = true
}

/** Figures two by two. */
fun LinearLayout.putFigures(figures: List<View>, inRow: Int = 2) {
    for (some in figures.chunked(inRow)) {
        val row = context.row(8)
        some.forEach { row.addView(it, LinearLayout.LayoutParams(0, MATCH_PARENT, 1f)) }
        repeat(inRow - some.size) { row.put(View(context), 1f) }
        put(row)
    }
}

/** A name and its value at the ends of a line. */
fun Context.fact(name: String, value: String) = row(16).apply {
    put(label(name, 14f, R.color.text_soft))
    put(label(value, 14f).apply { textAlignment = View.TEXT_ALIGNMENT_VIEW_END }, 1f)
    contentDescription = "$name, $value"
    isFocusable = true
}
