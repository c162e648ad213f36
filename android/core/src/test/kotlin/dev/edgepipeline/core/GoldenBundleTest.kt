package dev.edgepipeline.core

import org.junit.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertTrue

/** The frozen bundles of both schemas, read and run. */
class GoldenBundleTest {
    private val bundle = Bundle.open(FolderSource(goldenBundle))
    private val artifact = bundle.manifest.artifacts.first { it.format == Format.ONNX && it.precision == "fp32" }

    @Test
    fun `the manifest is what the file says`() {
        val manifest = bundle.manifest
        assertEquals("bars", manifest.name)
        assertEquals(listOf(null, null, null, 1L), manifest.inputs[0].shape)
        assertEquals("classification", manifest.outputs[0].kind)
        assertEquals(3, bundle.labels(manifest.outputs[0]).size)
        assertEquals("905804fd183cd59af527bf3a2f6b0ac07c938b0410dfd1ef0e12c91b527e00c3", bundle.digest)
    }

    @Test
    fun `every ONNX artifact passes on this machine`() {
        for (artifact in bundle.manifest.artifacts.filter { it.format == Format.ONNX && fitsThisCpu(it) }) {
            OnnxKind.CPU.open(bundle, artifact, 1).use { engine ->
                val found = selfCheck(bundle, artifact, engine)
                assertEquals(Verdict.PASS, found.verdict, "${artifact.id}: ${found.reasons}")
                assertEquals(bundle.manifest.golden.size, found.samples.size)
                assertTrue(checkNotNull(found.perturbed).failed)
            }
        }
    }

    @Test
    fun `the batch stands where schema 2 says`() {
        val second = Bundle.open(FolderSource(secondBundle))
        assertEquals(listOf(0, 1, 1, null), second.manifest.inputs.map { it.batchAxis })
        assertEquals(listOf(1, 1, null), second.manifest.outputs.map { it.batchAxis })
        val float = second.manifest.artifacts.first { it.format == Format.ONNX && it.precision == "fp32" }
        OnnxKind.CPU.open(second, float, 1).use { engine ->
            assertEquals(Verdict.PASS, selfCheck(second, float, engine).verdict)
            fun gesture(frames: Long, motions: Long) = listOf(
                Tensor(DType.UINT8, listOf(frames, 8, 8, 1), ByteArray(64 * frames.toInt())),
                Tensor.floats(listOf(4, motions, 3), FloatArray(12 * motions.toInt())),
                Tensor.floats(listOf(1, motions, 6), FloatArray(6 * motions.toInt())),
                Tensor.floats(emptyList(), floatArrayOf(2f)),
            )
            val shapes = engine.run(gesture(3, 3)).map { it.shape }
            assertEquals(listOf(listOf(4L, 3L, 2L), listOf(1L, 3L, 6L), listOf(2L)), shapes)
            assertEquals("bad-input", assertFailsWith<RunFailed> { engine.run(gesture(3, 2)) }.code)
        }
    }

    @Test
    fun `a model of other weights fails`() {
        val other = OnnxKind.CPU.open(bundle, artifact, 1).use { Shifted(it) }
        val found = selfCheck(bundle, artifact, other)
        assertEquals(Verdict.FAIL, found.verdict)
        assertTrue(found.reasons.any { "largest error" in it }, "${found.reasons}")
    }

    // Answers as the golden ones, a little off; there is no second bundle to be had.
    private inner class Shifted(engine: Engine) : Engine by engine {
        private var asked = 0

        override fun run(inputs: List<Tensor>): List<Tensor> {
            val golden = bundle.tensor(bundle.manifest.golden[asked++ % bundle.manifest.golden.size].outputs[0])
            val values = golden.numbers().map { (it + 0.01).toFloat() }.toFloatArray()
            return listOf(Tensor.floats(golden.shape, values))
        }
    }

    @Test
    fun `inputs that do not fit are refused before the runtime sees them`() {
        OnnxKind.CPU.open(bundle, artifact, 1).use { engine ->
            val wrong = listOf(
                emptyList(),
                listOf(Tensor.floats(listOf(1, 8, 8, 1), FloatArray(64))),
                listOf(Tensor(DType.UINT8, listOf(1, 8, 8, 3), ByteArray(192))),
                listOf(Tensor(DType.UINT8, listOf(0, 8, 8, 1), ByteArray(0))),
            )
            for (inputs in wrong) assertEquals("bad-input", assertFailsWith<RunFailed> { engine.run(inputs) }.code)
        }
    }

    @Test
    fun `a batch gives an answer a row`() {
        OnnxKind.CPU.open(bundle, artifact, 1).use { engine ->
            val answers = engine.run(listOf(Tensor(DType.UINT8, listOf(5, 8, 8, 1), ByteArray(320))))
            assertEquals(listOf(5L, 3L), answers[0].shape)
        }
    }

    @Test
    fun `a benchmark measures at least what was asked`() {
        val choice = Choice(bundle, artifact, OnnxKind.CPU, 1)
        val found = checkNotNull(benchmark(choice, BenchPlan(20, 0.05, 2, 0.0)))
        assertTrue(found.latenciesMs.size >= 20 && found.latenciesMs.sum() >= 50)
        assertTrue(found.loadMs > 0 && found.firstMs > 0)
        assertTrue(found.percentile(50) <= found.percentile(90) && found.percentile(90) <= found.percentile(99))
        assertEquals(null, benchmark(choice, isCancelled = { true }))
    }

    @Test
    fun `a report has the artifact, the engine and each sample`() {
        val choice = Choice(bundle, artifact, OnnxKind.CPU, 1)
        choice.open().use { engine ->
            val text = toJson(checkJson(choice, engine.warnings, selfCheck(bundle, artifact, engine)))
            val report = parseJson(text.toByteArray()).asMap()
            assertEquals(artifact.sha256, report["sha256"])
            assertEquals("ONNX Runtime ${System.getProperty("onnxruntime.version")}", report["runtime"])
            assertEquals("pass", report["verdict"])
            assertEquals(bundle.manifest.golden.size, report["samples"].asItems().size)
        }
    }
}
