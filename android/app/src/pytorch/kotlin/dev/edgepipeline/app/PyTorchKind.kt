package dev.edgepipeline.app

import dev.edgepipeline.core.Artifact
import dev.edgepipeline.core.Bundle
import dev.edgepipeline.core.DType
import dev.edgepipeline.core.Engine
import dev.edgepipeline.core.EngineKind
import dev.edgepipeline.core.Format
import dev.edgepipeline.core.Manifest
import dev.edgepipeline.core.RunFailed
import dev.edgepipeline.core.Tensor
import dev.edgepipeline.core.checkInputs
import dev.edgepipeline.core.checkOutputs
import dev.edgepipeline.core.warningsFor
import org.pytorch.IValue
import org.pytorch.Module
import org.pytorch.PyTorchAndroid
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder

/**
 * TorchScript by `org.pytorch:pytorch_android:1.13.1`: the last that was published, unmaintained, and
 * built for pages of 4 KB, so that devices with 16 KB pages cannot load it.
 */
object PyTorchKind : EngineKind {
    /** Where a model lies while it is loaded; the library takes files only. */
    lateinit var folder: File

    override val id: String get() = "pytorch"
    override val runtime: String get() = "PyTorch 1.13.1"
    override val format: Format get() = Format.TORCHSCRIPT
    override val isExperimental: Boolean get() = true

    override fun open(bundle: Bundle, artifact: Artifact, threads: Int): Engine {
        require(artifact.format == Format.TORCHSCRIPT) { "${artifact.id} is not a TorchScript artifact" }
        val model = bundle.loadModel(artifact)
        PyTorchAndroid.setNumThreads(threads)
        val file = File(folder, "model.pt")
        try {
            file.writeBytes(model)
            return PyTorchEngine(Module.load(file.path), bundle.manifest, threads, warningsFor(bundle.manifest, artifact))
        } finally {
            file.delete()
        }
    }
}

private class PyTorchEngine(
    private val module: Module, private val manifest: Manifest, override val threads: Int,
    override val warnings: List<String>,
) : Engine {
    override val kind: EngineKind get() = PyTorchKind

    override fun run(inputs: List<Tensor>): List<Tensor> {
        val batch = checkInputs(manifest.inputs, inputs)
        val answer = try {
            module.forward(*inputs.map { IValue.from(toTorch(it)) }.toTypedArray())
        } catch (error: RuntimeException) {
            throw RunFailed("backend-failed", error.message ?: "PyTorch failed", error)
        }
        val answers = (if (answer.isTuple) answer.toTuple().asList() else listOf(answer)).map { fromTorch(it.toTensor()) }
        checkOutputs(manifest.outputs, answers, batch)
        return answers
    }

    override fun close() = module.destroy()
}

private fun toTorch(tensor: Tensor): org.pytorch.Tensor {
    val buffer = tensor.direct()
    val shape = tensor.shape.toLongArray()
    return when (tensor.dtype) {
        DType.UINT8 -> org.pytorch.Tensor.fromBlobUnsigned(buffer, shape)
        DType.INT8 -> org.pytorch.Tensor.fromBlob(buffer, shape)
        DType.INT32 -> org.pytorch.Tensor.fromBlob(buffer.asIntBuffer(), shape)
        DType.INT64 -> org.pytorch.Tensor.fromBlob(buffer.asLongBuffer(), shape)
        DType.FLOAT32 -> org.pytorch.Tensor.fromBlob(buffer.asFloatBuffer(), shape)
        DType.FLOAT64 -> org.pytorch.Tensor.fromBlob(buffer.asDoubleBuffer(), shape)
        else -> throw RunFailed("bad-input", "PyTorch for Android has no tensors of ${tensor.dtype.word}")
    }
}

private fun fromTorch(tensor: org.pytorch.Tensor): Tensor {
    val shape = tensor.shape().asList()
    fun fill(dtype: DType, put: (ByteBuffer) -> Unit): Tensor {
        val bytes = ByteArray((tensor.numel() * dtype.bytes).toInt())
        put(ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN))
        return Tensor(dtype, shape, bytes)
    }
    return when (tensor.dtype()) {
        org.pytorch.DType.UINT8 -> fill(DType.UINT8) { it.put(tensor.dataAsUnsignedByteArray) }
        org.pytorch.DType.INT8 -> fill(DType.INT8) { it.put(tensor.dataAsByteArray) }
        org.pytorch.DType.INT32 -> fill(DType.INT32) { it.asIntBuffer().put(tensor.dataAsIntArray) }
        org.pytorch.DType.INT64 -> fill(DType.INT64) { it.asLongBuffer().put(tensor.dataAsLongArray) }
        org.pytorch.DType.FLOAT32 -> fill(DType.FLOAT32) { it.asFloatBuffer().put(tensor.dataAsFloatArray) }
        org.pytorch.DType.FLOAT64 -> fill(DType.FLOAT64) { it.asDoubleBuffer().put(tensor.dataAsDoubleArray) }
        else -> throw RunFailed("bad-output", "an output has the type ${tensor.dtype()}, which bundles do not support")
    }
}
