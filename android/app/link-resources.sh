#!/bin/sh
# Links the app's resources without an Android SDK, for tests on the JVM: R.java, an APK with
# resources and the bundle among its assets, uncompressed.
#
#   link-resources.sh LINK GENERATED BUNDLE
#
#   LINK       has framework.jar, a framework whose resources aapt2 can read; resources.apk is made there
#   GENERATED  R.java is made below it
#   BUNDLE     a packaged bundle; without one the app has none
set -eu
link=$1 generated=$2 bundle=$3
sources=$(cd "$(dirname "$0")/src/main" && pwd)

command -v aapt2 >/dev/null || {
    echo "aapt2 is missing: apt-get install aapt" >&2
    exit 1
}
rm -rf "$link/assets" "$generated"
mkdir -p "$link/assets/bundles" "$generated"
if [ -f "$bundle/manifest.json" ]; then
    cp -R "$bundle" "$link/assets/bundles/"
else
    echo "There is no bundle $bundle: make demo" >&2
fi
# Gradle gives the package by `namespace`, and takes no manifest that names it.
sed 's|<manifest |<manifest package="dev.edgepipeline.app" |' "$sources/AndroidManifest.xml" >"$link/AndroidManifest.xml"
aapt2 compile --dir "$sources/res" -o "$link/compiled.zip"
# Debian's aapt2 warns of a part of the framework that it does not know, and does without it.
said=$(aapt2 link "$link/compiled.zip" -I "$link/framework.jar" -o "$link/resources.apk" \
    --manifest "$link/AndroidManifest.xml" \
    --java "$generated" -A "$link/assets" --no-compress \
    --min-sdk-version 26 --target-sdk-version 36 --version-code 1 --version-name 0.1.0 2>&1) || {
    echo "$said" >&2
    exit 1
}
echo "$said" | grep -v "Unknown chunk type" >&2 || true
