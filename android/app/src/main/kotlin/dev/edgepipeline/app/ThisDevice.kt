package dev.edgepipeline.app

import android.content.Context
import android.os.Build
import android.system.Os
import android.system.OsConstants
import dev.edgepipeline.core.Device

fun thisDevice(context: Context) = Device(
    manufacturer = Build.MANUFACTURER,
    model = Build.MODEL,
    androidVersion = Build.VERSION.RELEASE,
    apiLevel = Build.VERSION.SDK_INT,
    abi = Build.SUPPORTED_ABIS.firstOrNull().orEmpty(),
    cores = Runtime.getRuntime().availableProcessors(),
    pageSize = Os.sysconf(OsConstants._SC_PAGESIZE),
    appVersion = context.packageManager.getPackageInfo(context.packageName, 0).versionName.orEmpty(),
)
