import org.jetbrains.kotlin.gradle.dsl.JvmTarget

plugins {
    alias(libs.plugins.android.application)
    alias(libs.plugins.kotlin.android)
}

// Android Studio builds with the bundle of examples/digits, which `make demo` makes; another one:
// ./gradlew installPlainDebug -Pbundle=/path/to/NAME.bundle
val bundle = file(
    providers.gradleProperty("bundle").getOrElse("$rootDir/../examples/digits/runs/digits/package/digits.bundle"),
)
val bundleAssets by tasks.registering(Sync::class) {
    from(bundle) { into("bundles/${bundle.name}") }
    into(layout.buildDirectory.dir("bundle-assets"))
}

android {
    namespace = "dev.edgepipeline.app"
    compileSdk = 36

    defaultConfig {
        applicationId = "dev.edgepipeline.app"
        minSdk = 26
        targetSdk = 36
        versionCode = 1
        versionName = "0.1.0"
        ndk { abiFilters += listOf("arm64-v8a", "x86_64") }
    }

    flavorDimensions += "engines"
    productFlavors {
        create("plain") {
            dimension = "engines"
            isDefault = true
        }
        create("pytorch") { dimension = "engines" }
    }

    buildTypes {
        release {
            isMinifyEnabled = true
            proguardFiles(getDefaultProguardFile("proguard-android-optimize.txt"), "proguard-rules.pro")
        }
    }

    sourceSets["main"].assets.srcDir(bundleAssets.map { it.destinationDir })

    // Stored: the app asks for descriptors of them.
    androidResources { noCompress += listOf("onnx", "pt", "bin", "json", "txt", "md") }

    compileOptions { targetCompatibility = JavaVersion.VERSION_1_8 }
}

kotlin { compilerOptions { jvmTarget = JvmTarget.JVM_1_8 } }

dependencies {
    implementation(project(":core"))
    implementation(libs.onnxruntime.android)
    "pytorchImplementation"(libs.pytorch.android)
}
