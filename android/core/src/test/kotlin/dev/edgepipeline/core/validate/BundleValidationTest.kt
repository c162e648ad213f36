package dev.edgepipeline.core.validate

import dev.edgepipeline.core.Bundle
import dev.edgepipeline.core.FolderSource
import dev.edgepipeline.core.Format
import dev.edgepipeline.core.OnnxKind
import dev.edgepipeline.core.Refused
import dev.edgepipeline.core.goldenBundle
import dev.edgepipeline.core.python
import dev.edgepipeline.core.unpack
import org.junit.After
import org.junit.Test
import java.io.File
import java.nio.file.Files
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertTrue

/** A bundle whose hashes are right and whose model is none that may be run. */
class BundleValidationTest {
    private val folder: File = Files.createTempDirectory("look").toFile()

    @After
    fun remove() {
        folder.deleteRecursively()
    }

    /** The golden bundle with other content for an artifact, its manifest put right. */
    private fun bundleWith(format: Format, content: ByteArray): Bundle {
        val copy = File(folder, "bad.bundle")
        goldenBundle.toFile().copyRecursively(copy)
        val old = Bundle.open(FolderSource(copy.toPath()))
        File(copy, old.manifest.artifacts.first { it.format == format }.file).writeBytes(content)
        python("-c", RESIGN, copy.path)
        return Bundle.open(FolderSource(copy.toPath()))
    }

    private fun Bundle.first(format: Format) = manifest.artifacts.first { it.format == format }

    @Test
    fun `an ONNX model that reads another file is not given to the runtime`() {
        val outside = text(13, text(1, "location") + text(2, "/etc/passwd"))
        val model = onnx(initializer(number(2, 1) + text(8, "w") + number(1, 2) + outside))
        val bundle = bundleWith(Format.ONNX, model.bytes())
        val found = assertFailsWith<Refused> { OnnxKind.CPU.open(bundle, bundle.first(Format.ONNX), 1) }
        assertEquals("unsafe-model", found.code)
        assertTrue(bundle.first(Format.ONNX).file in found.message.orEmpty() && "outside the file" in found.message.orEmpty())
    }

    @Test
    fun `a TorchScript program that writes files is not imported where it could be run`() {
        val bundle = bundleWith(Format.TORCHSCRIPT, module("torch.save(x, \"/tmp/f\")").file().bytes())
        val target = File(folder, "imported")
        val found = assertFailsWith<Refused> { unpack(bundle, target) }
        assertEquals("unsafe-model", found.code)
        assertTrue("aten::save" in found.message.orEmpty(), found.message)
        assertEquals(listOf("bad.bundle"), folder.list().orEmpty().toList())
        unpack(bundle, target, setOf(Format.ONNX))
        assertTrue(target.isDirectory)
    }

    private companion object {
        val RESIGN = """
            import hashlib, json, pathlib, sys
            folder = pathlib.Path(sys.argv[1])
            manifest = json.loads((folder / "manifest.json").read_text())
            for entry in manifest["artifacts"] + manifest["files"]:
                content = (folder / entry["file"]).read_bytes()
                entry["bytes"], entry["sha256"] = len(content), hashlib.sha256(content).hexdigest()
            manifest["digest"] = "0" * 64
            text = json.dumps(manifest)
            digest = hashlib.sha256(text.encode()).hexdigest()
            (folder / "manifest.json").write_text(text.replace("0" * 64, digest))
        """.trimIndent()
    }
}
