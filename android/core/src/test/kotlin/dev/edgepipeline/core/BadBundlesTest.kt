package dev.edgepipeline.core

import org.junit.AfterClass
import org.junit.BeforeClass
import org.junit.Test
import java.io.File
import java.nio.file.Files
import kotlin.test.assertEquals
import kotlin.test.assertTrue

/** Every case of tests/bad-bundles, as a folder and as a zip: the codes are those of the other readers. */
class BadBundlesTest {
    @Test
    fun folders() = assertEquals(wanted(), found { name -> FolderSource(File(folder, "$name.bundle").toPath()) })

    @Test
    fun zips() {
        // A zip has no hard links: what is packed is a file of its own, and in order.
        val wanted = wanted() + ("hard-link" to null)
        assertEquals(wanted, found { name -> ZipSource.open(File(folder, "$name.zip").toPath()) })
    }

    @Test
    fun `one that is refused leaves nothing where it is unpacked`() {
        val target = File(folder, "unpacked")
        val zip = ZipSource.open(File(folder, "untouched.zip").toPath())
        zip.use { assertEquals("bars", unpack(Bundle.open(it), target).manifest.name) }
        assertEquals(0, folder.list().orEmpty().count { it.endsWith(".draft") })
        assertTrue(target.deleteRecursively())
    }

    // Its own reader would refuse cases.json: that has numbers beyond what a manifest may have.
    private fun wanted(): Map<String, String?> = python("-c", LIST, File(repository, "tests/bad-bundles/cases.json").path)
        .lines().filter { it.isNotEmpty() }
        .associate { line -> line.split(' ').let { (name, code) -> name to code.takeIf { it != "None" } } }
        .also { assertTrue(it.size > 150) }

    private fun found(source: (String) -> Source): Map<String, String?> = wanted().keys.associateWith { name ->
        try {
            Bundle.open(source(name))
            null
        } catch (refused: Refused) {
            refused.code
        }
    }

    companion object {
        private const val LIST =
            "import json, sys\nfor c in json.load(open(sys.argv[1])): print(c['name'], c['code'])"
        private lateinit var folder: File

        @BeforeClass
        @JvmStatic
        fun build() {
            folder = Files.createTempDirectory("bad-bundles").toFile()
            val bundles = File(folder, "cases")
            python(File(repository, "tests/bad-bundles/make.py").path, bundles.path)
            python(File(repository, "android/core/src/test/python/zip_bundles.py").path, bundles.path)
            folder = bundles
        }

        @AfterClass
        @JvmStatic
        fun remove() {
            folder.parentFile.deleteRecursively()
        }
    }
}
