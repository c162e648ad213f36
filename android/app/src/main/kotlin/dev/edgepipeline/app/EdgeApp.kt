package dev.edgepipeline.app

import android.app.Application

class EdgeApp : Application()
