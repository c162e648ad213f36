package dev.edgepipeline.app

import android.content.ContentProvider
import android.content.ContentValues
import android.content.Context
import android.database.Cursor
import android.database.MatrixCursor
import android.net.Uri
import android.os.ParcelFileDescriptor
import android.provider.OpenableColumns
import java.io.File
import java.io.FileNotFoundException

/**
 * What is shared with another app, as a file that it may read: a benchmark of a fast model is larger
 * than what passes between processes. Nobody may ask but whom the user has chosen.
 */
class SharedFiles : ContentProvider() {
    override fun onCreate(): Boolean = true

    override fun getType(uri: Uri): String = JSON

    override fun openFile(uri: Uri, mode: String): ParcelFileDescriptor {
        if (mode != "r") throw FileNotFoundException("$uri is only to be read")
        return ParcelFileDescriptor.open(fileOf(uri), ParcelFileDescriptor.MODE_READ_ONLY)
    }

    /** Its name and size, which receivers show. */
    override fun query(uri: Uri, columns: Array<String>?, where: String?, values: Array<String>?, order: String?): Cursor {
        val file = fileOf(uri)
        val known = mapOf(OpenableColumns.DISPLAY_NAME to file.name, OpenableColumns.SIZE to file.length())
        val asked = columns?.filter { it in known } ?: known.keys.toList()
        return MatrixCursor(asked.toTypedArray(), 1).apply { addRow(asked.map(known::get)) }
    }

    override fun insert(uri: Uri, values: ContentValues?): Uri? = throw UnsupportedOperationException()

    override fun update(uri: Uri, values: ContentValues?, where: String?, given: Array<String>?): Int =
        throw UnsupportedOperationException()

    override fun delete(uri: Uri, where: String?, given: Array<String>?): Int = throw UnsupportedOperationException()

    // One of the folder's own files: a name with a path in it is none.
    private fun fileOf(uri: Uri): File {
        val name = uri.lastPathSegment
        return folder(requireNotNull(context)).listFiles().orEmpty().find { it.name == name }
            ?: throw FileNotFoundException("there is no $uri")
    }

    companion object {
        const val JSON = "application/json"
        private const val AUTHORITY = "dev.edgepipeline.app.shared"

        /** Keeps [text] until the next one; gives what another app can be handed. */
        fun keep(context: Context, name: String, text: String): Uri {
            val folder = folder(context).apply {
                deleteRecursively()
                mkdirs()
            }
            File(folder, name).writeText(text)
            return Uri.parse("content://$AUTHORITY/$name")
        }

        private fun folder(context: Context) = File(context.cacheDir, "shared")
    }
}
