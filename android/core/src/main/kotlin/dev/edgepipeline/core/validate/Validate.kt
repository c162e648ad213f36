package dev.edgepipeline.core.validate

import dev.edgepipeline.core.Artifact
import dev.edgepipeline.core.Format
import dev.edgepipeline.core.Refusal
import dev.edgepipeline.core.refuse

/**
 * Validates a model file before a runtime sees a byte of it, by the rules of the C++ runner: an
 * ONNX file without external data, operators of others and sizes that lie; a TorchScript archive of
 * known records, whose code calls listed operators alone and whose pickles make nothing but tensors
 * and their containers. Throws Refused, `unsafe-model`.
 */
internal fun validate(artifact: Artifact, content: ByteArray) {
    try {
        when (artifact.format) {
            Format.ONNX -> validateOnnx(Bytes(content))
            Format.TORCHSCRIPT -> validateTorchScript(Bytes(content))
        }
    } catch (error: Unsafe) {
        refuse(Refusal.UNSAFE_MODEL, artifact.file, error.why)
    }
}

/** Thrown while a file is validated; [validate] names it. */
internal class Unsafe(val why: String) : Exception(why)

internal fun unsafe(why: String): Nothing = throw Unsafe(why)
