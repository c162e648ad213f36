package dev.edgepipeline.app.state

import android.content.ContentResolver
import android.graphics.Bitmap
import android.graphics.BitmapFactory
import android.graphics.Color
import android.graphics.ImageDecoder
import android.graphics.Matrix
import android.media.ExifInterface
import android.net.Uri
import android.os.Build
import dev.edgepipeline.core.DType
import dev.edgepipeline.core.Port
import dev.edgepipeline.core.RunFailed
import dev.edgepipeline.core.Tensor
import java.io.IOException

private const val LARGEST = 1024

/** Pictures of the user's, the right way up. On the worker. */
class Pictures(private val resolver: ContentResolver) {
    /** At most 1024 pixels a side. Throws IOException. */
    fun read(uri: Uri): Bitmap {
        val bitmap = if (Build.VERSION.SDK_INT >= 28) decode(uri) else decodeBefore28(uri)
        val scale = LARGEST.toFloat() / maxOf(bitmap.width, bitmap.height)
        if (scale >= 1) return bitmap
        val width = (bitmap.width * scale).toInt().coerceAtLeast(1)
        val height = (bitmap.height * scale).toInt().coerceAtLeast(1)
        return Bitmap.createScaledBitmap(bitmap, width, height, true)
    }

    private fun decode(uri: Uri): Bitmap =
        ImageDecoder.decodeBitmap(ImageDecoder.createSource(resolver, uri)) { decoder, info, _ ->
            decoder.allocator = ImageDecoder.ALLOCATOR_SOFTWARE // its pixels are read
            decoder.setTargetSampleSize(sampleSize(info.size.width, info.size.height))
        }

    private fun decodeBefore28(uri: Uri): Bitmap {
        val bounds = BitmapFactory.Options().apply { inJustDecodeBounds = true }
        open(uri).use { BitmapFactory.decodeStream(it, null, bounds) }
        val options = BitmapFactory.Options().apply { inSampleSize = sampleSize(bounds.outWidth, bounds.outHeight) }
        val bitmap = open(uri).use { BitmapFactory.decodeStream(it, null, options) } ?: throw IOException("it is no picture")
        val degrees = when (open(uri).use { ExifInterface(it).getAttributeInt(ExifInterface.TAG_ORIENTATION, 1) }) {
            ExifInterface.ORIENTATION_ROTATE_90 -> 90f
            ExifInterface.ORIENTATION_ROTATE_180 -> 180f
            ExifInterface.ORIENTATION_ROTATE_270 -> 270f
            else -> return bitmap
        }
        return Bitmap.createBitmap(bitmap, 0, 0, bitmap.width, bitmap.height, Matrix().apply { setRotate(degrees) }, true)
    }

    private fun open(uri: Uri) = resolver.openInputStream(uri) ?: throw IOException("the file cannot be opened")

    private fun sampleSize(width: Int, height: Int): Int {
        var size = 1
        while (maxOf(width, height) / (size * 2) >= LARGEST) size *= 2
        return size
    }
}

/** uint8 [1, height, width, channels]: the pixels as they are, resized only where the model has one size. */
fun pictureTensor(picture: Bitmap, port: Port): Tensor {
    if (!isPicture(port)) throw RunFailed("bad-input", "the model takes no picture")
    val width = (port.shape[2] ?: picture.width.toLong()).toInt()
    val height = (port.shape[1] ?: picture.height.toLong()).toInt()
    val channels = (port.shape[3] ?: 3L).toInt()
    val sized = Bitmap.createScaledBitmap(picture, width, height, true)
    val pixels = IntArray(width * height)
    sized.getPixels(pixels, 0, width, 0, 0, width, height)
    val data = ByteArray(width * height * channels)
    for ((i, pixel) in pixels.withIndex()) {
        val rgb = intArrayOf(Color.red(pixel), Color.green(pixel), Color.blue(pixel))
        // Grey as ITU-R 601-2 luma, which Pillow's "L" is, too.
        if (channels == 1) data[i] = ((rgb[0] * 299 + rgb[1] * 587 + rgb[2] * 114) / 1000).toByte()
        else for (c in 0 until 3) data[3 * i + c] = rgb[c].toByte()
    }
    return Tensor(DType.UINT8, listOf(1L, height.toLong(), width.toLong(), channels.toLong()), data)
}
