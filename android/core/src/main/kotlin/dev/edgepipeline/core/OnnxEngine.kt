package dev.edgepipeline.core

import ai.onnxruntime.OnnxJavaType
import ai.onnxruntime.OnnxTensor
import ai.onnxruntime.OrtEnvironment
import ai.onnxruntime.OrtException
import ai.onnxruntime.OrtLoggingLevel
import ai.onnxruntime.OrtProvider
import ai.onnxruntime.OrtSession

/** ONNX Runtime, the same API on Android and on a desktop's JVM. */
class OnnxKind private constructor(
    override val id: String,
    override val isExperimental: Boolean,
    private val provider: OrtProvider?,
) : EngineKind {
    override val runtime: String get() = "ONNX Runtime ${environment.version}"
    override val format: Format get() = Format.ONNX

    override fun open(bundle: Bundle, artifact: Artifact, threads: Int): Engine {
        require(artifact.format == Format.ONNX) { "${artifact.id} is not an ONNX artifact" }
        val model = bundle.loadModel(artifact)
        val environment = environment // before the options, which load the library, too
        val session = options(threads).use { environment.createSession(model, it) }
        return OnnxEngine(this, session, bundle.manifest, threads, warningsFor(bundle.manifest, artifact))
    }

    private fun options(threads: Int) = OrtSession.SessionOptions().apply {
        setInterOpNumThreads(1)
        setExecutionMode(OrtSession.SessionOptions.ExecutionMode.SEQUENTIAL)
        setSessionLogLevel(OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL)
        addConfigEntry("session.intra_op.allow_spinning", "0")
        // Nothing but ONNX: the runtime's own format is found by the first bytes otherwise.
        addConfigEntry("session.load_model_format", "ONNX")
        // XNNPACK has threads of its own, and asks that the session then has one.
        setIntraOpNumThreads(if (provider == OrtProvider.XNNPACK) 1 else threads)
        when (provider) {
            OrtProvider.XNNPACK -> addXnnpack(mapOf("intra_op_num_threads" to threads.toString()))
            OrtProvider.NNAPI -> addNnapi()
            else -> Unit
        }
    }

    companion object {
        private val environment: OrtEnvironment by lazy {
            Telemetry.checkOff()
            OrtEnvironment.getEnvironment(OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL, "edge-pipeline")
                .apply { setTelemetry(false) } // where another part of the program had loaded it before
        }

        val CPU = OnnxKind("cpu", false, null)

        /** What the runtime of this device was built with; the CPU first. */
        fun available(): List<OnnxKind> {
            environment
            val providers = OrtEnvironment.getAvailableProviders()
            return listOf(
                CPU,
                OnnxKind("xnnpack", false, OrtProvider.XNNPACK),
                OnnxKind("nnapi", true, OrtProvider.NNAPI),
            ).filter { it.provider == null || it.provider in providers }
        }
    }

    private class OnnxEngine(
        override val kind: EngineKind,
        private val session: OrtSession,
        private val manifest: Manifest,
        override val threads: Int,
        override val warnings: List<String>,
    ) : Engine {
        init {
            val inputs = manifest.inputs.map { it.name }
            val outputs = manifest.outputs.map { it.name }
            if (session.inputNames.toList() != inputs || session.outputNames.toList() != outputs) {
                session.close()
                throw RunFailed("backend-failed", "its inputs and outputs have other names than the manifest's")
            }
        }

        override fun run(inputs: List<Tensor>): List<Tensor> {
            val batch = checkInputs(manifest.inputs, inputs)
            val answers = try {
                runChecked(inputs)
            } catch (error: OrtException) {
                throw RunFailed("backend-failed", error.message ?: "ONNX Runtime failed", error)
            }
            checkOutputs(manifest.outputs, answers, batch)
            return answers
        }

        private fun runChecked(inputs: List<Tensor>): List<Tensor> {
            val feeds = LinkedHashMap<String, OnnxTensor>()
            try {
                for ((port, tensor) in manifest.inputs zip inputs) feeds[port.name] = toOnnx(tensor)
                val names = manifest.outputs.map { it.name }
                session.run(feeds, LinkedHashSet(names)).use { result ->
                    return names.map { fromOnnx(result.get(it).get()) }
                }
            } finally {
                feeds.values.forEach { it.close() }
            }
        }

        override fun close() = session.close()
    }
}

private val TYPES = mapOf(
    DType.BOOL to OnnxJavaType.BOOL,
    DType.UINT8 to OnnxJavaType.UINT8,
    DType.INT8 to OnnxJavaType.INT8,
    DType.INT16 to OnnxJavaType.INT16,
    DType.INT32 to OnnxJavaType.INT32,
    DType.INT64 to OnnxJavaType.INT64,
    DType.FLOAT16 to OnnxJavaType.FLOAT16,
    DType.FLOAT32 to OnnxJavaType.FLOAT,
    DType.FLOAT64 to OnnxJavaType.DOUBLE,
)

private fun toOnnx(tensor: Tensor): OnnxTensor {
    val shape = tensor.shape.toLongArray()
    return OnnxTensor.createTensor(OrtEnvironment.getEnvironment(), tensor.direct(), shape, TYPES.getValue(tensor.dtype))
}

private fun fromOnnx(value: Any): Tensor {
    val tensor = value as? OnnxTensor ?: throw RunFailed("bad-output", "an output is not a tensor")
    val dtype = TYPES.entries.find { it.value == tensor.info.type }?.key
        ?: throw RunFailed("bad-output", "an output has the type ${tensor.info.type}, which bundles do not support")
    val buffer = tensor.byteBuffer
    return Tensor(dtype, tensor.info.shape.toList(), ByteArray(buffer.remaining()).also { buffer.get(it) })
}
