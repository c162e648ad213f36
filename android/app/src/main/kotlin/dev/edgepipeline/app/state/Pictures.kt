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
import dev.edgepipeline.core.forEachBlock
import java.io.ByteArrayOutputStream
import java.io.IOException
import java.io.InputStream
import java.nio.ByteBuffer

private const val LARGEST = 1024 // pixels a side
private const val MOST_BYTES = 64 shl 20

/** Pictures of the user's, the right way up. On the worker. */
class Pictures(private val resolver: ContentResolver) {
    /** At most 1024 pixels a side. Throws IOException. */
    fun read(uri: Uri): Bitmap {
        // Read once and whole: what a picker gives need not be a file that one can go back in.
        val stream = resolver.openInputStream(uri) ?: throw IOException("the file cannot be opened")
        val content = stream.use { readAtMost(it, MOST_BYTES) }
        val bitmap = if (Build.VERSION.SDK_INT >= 28) decode(content) else decodeBefore28(content)
        val scale = LARGEST.toFloat() / maxOf(bitmap.width, bitmap.height)
        if (scale >= 1) return bitmap
        val width = (bitmap.width * scale).toInt().coerceAtLeast(1)
        val height = (bitmap.height * scale).toInt().coerceAtLeast(1)
        return Bitmap.createScaledBitmap(bitmap, width, height, true)
    }

    private fun readAtMost(stream: InputStream, most: Int): ByteArray {
        val content = ByteArrayOutputStream()
        forEachBlock(stream) { block, length ->
            content.write(block, 0, length)
            if (content.size() > most) throw IOException("it is larger than ${most shr 20} MB")
        }
        return content.toByteArray()
    }

    private fun decode(content: ByteArray): Bitmap =
        ImageDecoder.decodeBitmap(ImageDecoder.createSource(ByteBuffer.wrap(content))) { decoder, info, _ ->
            decoder.allocator = ImageDecoder.ALLOCATOR_SOFTWARE // its pixels are read
            decoder.setTargetSampleSize(sampleSize(info.size.width, info.size.height))
        }

    private fun decodeBefore28(content: ByteArray): Bitmap {
        val bounds = BitmapFactory.Options().apply { inJustDecodeBounds = true }
        BitmapFactory.decodeByteArray(content, 0, content.size, bounds)
        val options = BitmapFactory.Options().apply { inSampleSize = sampleSize(bounds.outWidth, bounds.outHeight) }
        val bitmap = BitmapFactory.decodeByteArray(content, 0, content.size, options) ?: throw IOException("it is no picture")
        val exif = ExifInterface(content.inputStream())
        val degrees = when (exif.getAttributeInt(ExifInterface.TAG_ORIENTATION, 1)) {
            ExifInterface.ORIENTATION_ROTATE_90 -> 90f
            ExifInterface.ORIENTATION_ROTATE_180 -> 180f
            ExifInterface.ORIENTATION_ROTATE_270 -> 270f
            else -> return bitmap
        }
        return Bitmap.createBitmap(bitmap, 0, 0, bitmap.width, bitmap.height, Matrix().apply { setRotate(degrees) }, true)
    }

    private fun sampleSize(width: Int, height: Int): Int {
        var size = 1
        while (maxOf(width, height) / (size * 2) >= LARGEST) size *= 2
        return size
    }
}

/** uint8 [1, height, width, channels]: the pixels as they are, resized only where the model has one size. */
fun pictureTensor(picture: Bitmap, port: Port): Tensor {
    if (!isPicture(port)) throw RunFailed("bad-input", "the model does not take pictures")
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
