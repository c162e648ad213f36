package dev.edgepipeline.core.validate

import dev.edgepipeline.core.validate.Kind.DOUBLES
import dev.edgepipeline.core.validate.Kind.FLOAT32
import dev.edgepipeline.core.validate.Kind.FLOATS
import dev.edgepipeline.core.validate.Kind.MESSAGE
import dev.edgepipeline.core.validate.Kind.NUMBER
import dev.edgepipeline.core.validate.Kind.NUMBERS
import dev.edgepipeline.core.validate.Kind.REFUSED
import dev.edgepipeline.core.validate.Kind.TEXT

// The messages of an ONNX file, as onnx.proto of release 1.23 has them.

/** What a field holds. `REFUSED` is a field of the format that no file for this app needs. */
internal enum class Kind { NUMBER, FLOAT32, TEXT, MESSAGE, NUMBERS, FLOATS, DOUBLES, REFUSED }

/** A field; [message] is what it holds, of [Kind.MESSAGE]. */
internal class Rule(val field: Int, val name: String, val kind: Kind, val isRepeated: Boolean, val message: Message?)

internal enum class Message(val title: String) {
    MODEL("ModelProto"),
    OPSET("OperatorSetIdProto"),
    ENTRY("StringStringEntryProto"),
    GRAPH("GraphProto"),
    NODE("NodeProto"),
    ATTRIBUTE("AttributeProto"),
    TENSOR("TensorProto"),
    ANNOTATION("TensorAnnotation"),
    VALUE("ValueInfoProto"),
    TYPE("TypeProto"),
    TENSOR_TYPE("TypeProto.Tensor"),
    SHAPE("TensorShapeProto"),
    DIMENSION("TensorShapeProto.Dimension"),
    SEQUENCE_TYPE("TypeProto.Sequence"),
    MAP_TYPE("TypeProto.Map"),
    OPTIONAL_TYPE("TypeProto.Optional"),
    ;

    fun rule(field: Int): Rule? = RULES.getValue(this)[field]

    /** The field that holds a name, for messages. */
    val nameField: Int? get() = RULES.getValue(this).values.find { it.name == "name" }?.field
}

private fun one(field: Int, name: String, kind: Kind) = Rule(field, name, kind, false, null)

private fun many(field: Int, name: String, kind: Kind) = Rule(field, name, kind, true, null)

private fun one(field: Int, name: String, message: Message) = Rule(field, name, MESSAGE, false, message)

private fun many(field: Int, name: String, message: Message) = Rule(field, name, MESSAGE, true, message)

private val RULES: Map<Message, Map<Int, Rule>> = mapOf(
    Message.MODEL to listOf(
        one(1, "ir_version", NUMBER),
        one(2, "producer_name", TEXT),
        one(3, "producer_version", TEXT),
        one(4, "domain", TEXT),
        one(5, "model_version", NUMBER),
        one(6, "doc_string", TEXT),
        one(7, "graph", Message.GRAPH),
        many(8, "opset_import", Message.OPSET),
        many(14, "metadata_props", Message.ENTRY),
        one(20, "training_info", REFUSED),
        one(25, "functions", REFUSED),
        one(26, "configuration", REFUSED),
    ),
    Message.OPSET to listOf(one(1, "domain", TEXT), one(2, "version", NUMBER)),
    Message.ENTRY to listOf(one(1, "key", TEXT), one(2, "value", TEXT)),
    Message.GRAPH to listOf(
        many(1, "node", Message.NODE),
        one(2, "name", TEXT),
        many(5, "initializer", Message.TENSOR),
        one(10, "doc_string", TEXT),
        many(11, "input", Message.VALUE),
        many(12, "output", Message.VALUE),
        many(13, "value_info", Message.VALUE),
        many(14, "quantization_annotation", Message.ANNOTATION),
        one(15, "sparse_initializer", REFUSED),
        many(16, "metadata_props", Message.ENTRY),
    ),
    Message.NODE to listOf(
        many(1, "input", TEXT),
        many(2, "output", TEXT),
        one(3, "name", TEXT),
        one(4, "op_type", TEXT),
        many(5, "attribute", Message.ATTRIBUTE),
        one(6, "doc_string", TEXT),
        one(7, "domain", TEXT),
        one(8, "overload", REFUSED),
        many(9, "metadata_props", Message.ENTRY),
        one(10, "device_configurations", REFUSED),
    ),
    Message.ATTRIBUTE to listOf(
        one(1, "name", TEXT),
        one(2, "f", FLOAT32),
        one(3, "i", NUMBER),
        one(4, "s", TEXT),
        one(5, "t", Message.TENSOR),
        one(6, "g", Message.GRAPH),
        many(7, "floats", FLOATS),
        many(8, "ints", NUMBERS),
        many(9, "strings", TEXT),
        many(10, "tensors", Message.TENSOR),
        many(11, "graphs", Message.GRAPH),
        one(13, "doc_string", TEXT),
        one(14, "tp", Message.TYPE),
        many(15, "type_protos", Message.TYPE),
        one(20, "type", NUMBER),
        one(21, "ref_attr_name", REFUSED), // of functions
        one(22, "sparse_tensor", REFUSED),
        one(23, "sparse_tensors", REFUSED),
    ),
    Message.TENSOR to listOf(
        many(1, "dims", NUMBERS),
        one(2, "data_type", NUMBER),
        one(3, "segment", REFUSED),
        many(4, "float_data", FLOATS),
        many(5, "int32_data", NUMBERS),
        many(6, "string_data", TEXT),
        many(7, "int64_data", NUMBERS),
        one(8, "name", TEXT),
        one(9, "raw_data", TEXT),
        many(10, "double_data", DOUBLES),
        many(11, "uint64_data", NUMBERS),
        one(12, "doc_string", TEXT),
        one(13, "external_data", REFUSED),
        one(14, "data_location", NUMBER),
        many(16, "metadata_props", Message.ENTRY),
    ),
    Message.ANNOTATION to listOf(
        one(1, "tensor_name", TEXT),
        many(2, "quant_parameter_tensor_names", Message.ENTRY),
    ),
    Message.VALUE to listOf(
        one(1, "name", TEXT),
        one(2, "type", Message.TYPE),
        one(3, "doc_string", TEXT),
        many(4, "metadata_props", Message.ENTRY),
    ),
    Message.TYPE to listOf(
        one(1, "tensor_type", Message.TENSOR_TYPE),
        one(4, "sequence_type", Message.SEQUENCE_TYPE),
        one(5, "map_type", Message.MAP_TYPE),
        one(6, "denotation", TEXT),
        one(7, "opaque_type", REFUSED),
        one(8, "sparse_tensor_type", REFUSED),
        one(9, "optional_type", Message.OPTIONAL_TYPE),
    ),
    Message.TENSOR_TYPE to listOf(one(1, "elem_type", NUMBER), one(2, "shape", Message.SHAPE)),
    Message.SHAPE to listOf(many(1, "dim", Message.DIMENSION)),
    Message.DIMENSION to listOf(
        one(1, "dim_value", NUMBER),
        one(2, "dim_param", TEXT),
        one(3, "denotation", TEXT),
    ),
    Message.SEQUENCE_TYPE to listOf(one(1, "elem_type", Message.TYPE)),
    Message.OPTIONAL_TYPE to listOf(one(1, "elem_type", Message.TYPE)),
    Message.MAP_TYPE to listOf(one(1, "key_type", NUMBER), one(2, "value_type", Message.TYPE)),
).mapValues { (_, rules) -> rules.associateBy { it.field } }
