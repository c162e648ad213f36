"""Where models run beside this process: phones, emulated CPUs, Ray clusters."""
