package dev.edgepipeline.core

/**
 * Why a bundle is refused. The codes are part of the format (docs/bundle-format.md): every reader, in
 * whatever language, gives the same one for the same broken bundle.
 *
 * In a message `{name}` is the file inside the bundle, `{detail}` what exactly was found there.
 */
enum class Refusal(val code: String, private val message: String) {
    NOT_A_BUNDLE("not-a-bundle", "{name} is no bundle: {detail}."),
    LINK("link", "{name} is a symbolic link; a bundle holds plain files."),
    HARD_LINK("hard-link", "{name} has {detail} hard links; a file of a bundle has one."),
    NOT_A_FILE("not-a-file", "{name} is {detail} where a plain file belongs."),
    UNSAFE_NAME("unsafe-name", "The name {name} is not portable: {detail}."),
    CASE_COLLISION("case-collision", "{name} and {detail} differ in upper and lower case alone."),
    TOO_DEEP("too-deep", "{name} lies more than {detail} levels deep."),
    TOO_MANY_FILES("too-many-files", "{name} holds more than {detail} files."),
    EMPTY_FOLDER("empty-folder", "{name} is a folder without a file."),
    MANIFEST_TOO_LARGE("manifest-too-large", "{name} has {detail} bytes; at most 1 MiB is read."),
    NOT_UTF8("not-utf8", "{name} is not UTF-8: {detail}."),
    NOT_JSON("not-json", "{name} is not JSON: {detail}."),
    NESTED_TOO_DEEP("nested-too-deep", "{name} is nested more than {detail} levels deep."),
    DUPLICATE_KEY("duplicate-key", "{name} has the key {detail} twice in one object."),
    UNSUPPORTED_SCHEMA("unsupported-schema", "{name} says schema {detail}; this reader knows schemas 1 and 2."),
    UNKNOWN_KEY("unknown-key", "{name} has the unknown key {detail}."),
    MISSING_KEY("missing-key", "{name} lacks the key {detail}."),
    BAD_VALUE("bad-value", "{name}: {detail}."),
    TENSOR_TOO_LARGE("tensor-too-large", "{name}: {detail}."),
    LISTED_TWICE("listed-twice", "{name} is listed twice in the manifest."),
    INCONSISTENT("inconsistent", "{name} contradicts itself: {detail}."),
    UNLISTED_FILE("unlisted-file", "{name} is not listed in the manifest."),
    MISSING_FILE("missing-file", "{name} is listed in the manifest but is not there."),
    WRONG_SIZE("wrong-size", "{name} has another size than the manifest says: {detail}."),
    WRONG_HASH("wrong-hash", "{name} is damaged: its SHA-256 is not the one in the manifest."),
    UNSAFE_MODEL("unsafe-model", "{name} may not be run: {detail}."),
    ;

    internal fun say(name: String, detail: String): String =
        message.replace("{detail}", detail).replaceFirst("{name}", name)
}

/** A bundle that must not be used. [refusal] says why, [name] is the file inside it. */
class Refused(val refusal: Refusal, val name: String, detail: Any = "") :
    Exception(refusal.say(name, detail.toString())) {
    val code: String get() = refusal.code
}

internal fun refuse(refusal: Refusal, name: String, detail: Any = ""): Nothing =
    throw Refused(refusal, name, detail)
