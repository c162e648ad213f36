"""The Android app around a bundle: built without an SDK, and asked on a phone over adb.

`build` makes an APK of `android/` and a bundle, `jvm` its core for this machine; `phone` asks an
installed app by means of `adb`, `rows` makes rows of verify and bench of what it answers.
"""
