package dev.edgepipeline.app

import android.app.Activity

class MainActivity : Activity()
