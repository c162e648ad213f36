package dev.edgepipeline.core.validate;

import java.io.File;
import java.nio.file.Files;
import java.util.Arrays;

/** Says of each file of a folder, by name: "accepted", or "refused".  Validate FOLDER */
final class Validate {
    public static void main(String[] arguments) throws Exception {
        File[] files = new File(arguments[0]).listFiles();
        Arrays.sort(files);
        for (File file : files) {
            byte[] content = Files.readAllBytes(file.toPath());
            Bytes bytes = new Bytes(content, 0, content.length);
            System.out.println(file.getName() + " " + (isTaken(file, bytes) ? "accepted" : "refused"));
        }
    }

    private static boolean isTaken(File file, Bytes bytes) {
        try {
            if (file.getName().endsWith(".onnx")) OnnxValidatorKt.validateOnnx(bytes);
            else TorchScriptValidatorKt.validateTorchScript(bytes);
            return true;
        } catch (RuntimeException error) { // a crash is no refusal
            throw error;
        } catch (Exception refusal) {
            return false;
        }
    }
}
