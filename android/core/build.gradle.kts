import org.jetbrains.kotlin.gradle.dsl.JvmTarget

plugins { alias(libs.plugins.kotlin.jvm) }

kotlin { compilerOptions { jvmTarget = JvmTarget.JVM_1_8 } }

java { targetCompatibility = JavaVersion.VERSION_1_8 }

dependencies {
    // The app brings the same API with libraries for Android.
    compileOnly(libs.onnxruntime.jvm)
    testImplementation(libs.onnxruntime.jvm)
    testImplementation(libs.kotlin.test.junit)
}

// The lists that the C++ runner has, too.
tasks.processResources {
    from("$rootDir/../cpp_runner/bundle") {
        include("operators.txt", "onnx.txt")
        into("dev/edgepipeline/core/validate")
    }
}

tasks.test {
    systemProperty("repository", rootDir.parent)
    environment("ORT_DISABLE_TELEMETRY", "1") // as every JVM must be started that runs this: Telemetry.kt
}
