package dev.edgepipeline.app.state

import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Color
import android.graphics.Paint
import android.graphics.Path
import dev.edgepipeline.core.Bundle
import dev.edgepipeline.core.DType
import dev.edgepipeline.core.Port
import dev.edgepipeline.core.Tensor

/** How a drawing is made a picture: as large, and as bright on dark or dark on bright, as the samples. */
class Drawing(val width: Int, val height: Int, val channels: Int, val inkIsBright: Boolean) {
    /** Of the finger's line, as a share of the width: a little more than a pixel, and never a hair. */
    val strokeWidth: Float get() = maxOf(1.25f / width, 0.07f)

    /** Grey at [scale] times the size, bright ink on black. */
    fun bitmap(strokes: List<Stroke>, scale: Int): Bitmap {
        val bitmap = Bitmap.createBitmap(width * scale, height * scale, Bitmap.Config.ARGB_8888)
        val canvas = Canvas(bitmap)
        canvas.drawColor(Color.BLACK)
        val paint = strokePaint(strokeWidth * bitmap.width).apply { color = Color.WHITE }
        strokes.forEach { canvas.drawPath(pathOf(it, bitmap.width.toFloat(), bitmap.height.toFloat()), paint) }
        return bitmap
    }

    /** uint8 [1, height, width, channels]. Each pixel is the mean of what was drawn over it. */
    fun tensor(strokes: List<Stroke>): Tensor {
        val bitmap = bitmap(strokes, FINER)
        val fine = IntArray(bitmap.width * bitmap.height)
        bitmap.getPixels(fine, 0, bitmap.width, 0, 0, bitmap.width, bitmap.height)
        val data = ByteArray(width * height * channels)
        for (y in 0 until height) {
            for (x in 0 until width) {
                var sum = 0
                for (dy in 0 until FINER) {
                    for (dx in 0 until FINER) {
                        sum += Color.red(fine[(y * FINER + dy) * bitmap.width + x * FINER + dx])
                    }
                }
                val mean = sum / (FINER * FINER)
                val value = (if (inkIsBright) mean else 255 - mean).toByte()
                for (c in 0 until channels) data[(y * width + x) * channels + c] = value
            }
        }
        return Tensor(DType.UINT8, listOf(1L, height.toLong(), width.toLong(), channels.toLong()), data)
    }

    private companion object {
        const val FINER = 8
    }
}

fun strokePaint(width: Float) = Paint(Paint.ANTI_ALIAS_FLAG).apply {
    style = Paint.Style.STROKE
    strokeCap = Paint.Cap.ROUND
    strokeJoin = Paint.Join.ROUND
    strokeWidth = width
}

fun pathOf(stroke: Stroke, width: Float, height: Float) = Path().apply {
    val first = stroke.firstOrNull() ?: return@apply
    moveTo(first.x * width, first.y * height)
    // A tap is a dot.
    if (stroke.size == 1) lineTo(first.x * width + 0.01f, first.y * height)
    for (point in stroke.drop(1)) lineTo(point.x * width, point.y * height)
}

private const val DEFAULT_SIZE = 224L

/** Null for a model that takes anything but one picture, grey or RGB. Reads a sample: on the worker. */
fun drawingFor(bundle: Bundle): Drawing? {
    val port = bundle.manifest.inputs.singleOrNull()?.takeIf { isPicture(it) } ?: return null
    val sample = bundle.manifest.golden.firstOrNull()?.inputs?.get(0)
    fun axis(i: Int, default: Long) = port.shape[i] ?: sample?.shape?.get(i) ?: default
    val (height, width, channels) = listOf(axis(1, DEFAULT_SIZE), axis(2, DEFAULT_SIZE), axis(3, 3))
    if (height !in 1..512 || width !in 1..512) return null
    return Drawing(width.toInt(), height.toInt(), channels.toInt(), sample == null || hasDarkBorder(bundle.tensor(sample)))
}

fun isPicture(port: Port): Boolean = port.kind == "image" && port.dtype == DType.UINT8 && port.shape.size == 4 &&
    (port.shape[3] ?: 3L) in listOf(1L, 3L)

// What surrounds a sample's subject is its ground.
private fun hasDarkBorder(tensor: Tensor): Boolean {
    val (_, height, width, channels) = tensor.shape.map { it.toInt() }
    val values = tensor.numbers()
    val border = (0 until height).flatMap { y ->
        (0 until width).filter { x -> y == 0 || x == 0 || y == height - 1 || x == width - 1 }
            .map { x -> values[(y * width + x) * channels] }
    }
    return border.average() < 128
}
